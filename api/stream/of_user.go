package stream

import (
	"context"

	"mediad/api/problem"
	"mediad/store/db"
)

type ofUserInput struct {
	User   string `path:"user" doc:"Id or @username" example:"@anna"`
	Sort   string `query:"sort" enum:"newest" default:"newest" doc:"newest: by the time of making"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before"`
}

// ofUser lists of a user what everyone finds in lists.
func (h *handlers) ofUser(ctx context.Context, in *ofUserInput) (*listOutput, error) {
	u, err := h.user(ctx, in.User)
	if err != nil {
		return nil, err
	}
	name := "streams of " + u.ID
	f := db.StreamFilter{Listed: true, OwnerID: u.ID}
	if in.Cursor != "" {
		if err := h.cursors.Open(name, in.Cursor, &f.Before); err != nil {
			return nil, problem.New(problem.InvalidCursor, "The cursor was altered, or belongs to another list. Start again without it.")
		}
	}
	rows, err := h.service.db.RecallLists(db.OwnWrites(ctx)).ListStreams(f, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &listOutput{Body: ListBody{Items: make([]Body, 0, len(rows))}}
	if len(rows) > in.Limit {
		rows = rows[:in.Limit]
		next, err := h.cursors.Seal(name, rows[in.Limit-1].ID)
		if err != nil {
			return nil, err
		}
		out.Body.NextCursor = &next
	}
	for _, row := range rows {
		out.Body.Items = append(out.Body.Items, h.body(row, u))
	}
	return out, nil
}
