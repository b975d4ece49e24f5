package api

import (
	"context"

	"mediad/api/account"
	"mediad/api/stream"
	"mediad/store/db"
)

// broadcasts tells of each user what is on air that everyone may find; of several streams the one that is watched most.
func broadcasts(live Live, rows *db.DB) func(context.Context) (map[string]account.LiveBody, error) {
	return func(ctx context.Context) (map[string]account.LiveBody, error) {
		var slugs []string
		for _, info := range live.LiveNow() {
			if info.State == stream.SessionLive || info.State == stream.SessionReconnecting {
				slugs = append(slugs, info.Stream)
			}
		}
		streams, err := rows.RecallLists(ctx).FindStreamsBySlug(db.StreamFilter{Listed: true}, slugs)
		found := make(map[string]account.LiveBody, len(streams))
		for _, row := range streams {
			one := account.LiveBody{Stream: row.Slug, Title: row.Title, Viewers: live.Viewers(row.Slug)}
			if before, ok := found[row.OwnerID]; !ok || one.Viewers > before.Viewers {
				found[row.OwnerID] = one
			}
		}
		return found, err
	}
}

// ended ends what is on air of streams whose owner has closed the account. Other nodes see it in the rows, within a second.
func ended(streams *stream.Service, live Live, ownerChanged func(ctx context.Context, userID string)) func(context.Context, string, []db.Stream) {
	return func(ctx context.Context, owner string, rows []db.Stream) {
		if ownerChanged != nil {
			ownerChanged(ctx, owner)
		}
		for _, row := range rows {
			streams.Close(ctx, row.ID)
			live.End(row.Slug, stream.EndedByOwner)
		}
		live.Recheck()
	}
}
