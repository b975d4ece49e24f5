package video

import (
	"context"

	"mediad/api/caller"
	"mediad/store/db"
)

// Shown shows at most 100 videos by id, of those that the caller may see.
func Shown(o HTTP) func(ctx context.Context, ids []string) (map[string]Body, error) {
	h := newHandlers(o)
	return func(ctx context.Context, ids []string) (map[string]Body, error) {
		if len(ids) == 0 {
			return nil, nil
		}
		q := h.service.db.Read(ctx)
		found, err := q.FindVideos(ids)
		if err != nil {
			return nil, err
		}
		var seen []db.Video
		for _, v := range found {
			if v.DeletedAt != nil || v.State != db.VideoReady {
				continue
			}
			may, err := MayWatch(ctx, h.service.relations, v)
			if err != nil {
				return nil, err
			}
			if may {
				seen = append(seen, v)
			}
		}
		bodies, err := h.bodies(ctx, q, seen)
		shown := make(map[string]Body, len(bodies))
		for i := range bodies {
			shown[bodies[i].ID] = bodies[i]
		}
		return shown, err
	}
}

// bodies are at most 100 videos as they stand in lists, in their order.
func (h *handlers) bodies(ctx context.Context, q db.Queries, found []db.Video) ([]Body, error) {
	owners := map[string]db.User{}
	var ownerIDs, ids []string
	for i := range found {
		v := &found[i]
		ids = append(ids, v.ID)
		if _, ok := owners[v.OwnerID]; !ok {
			owners[v.OwnerID] = db.User{}
			ownerIDs = append(ownerIDs, v.OwnerID)
		}
	}
	users, err := q.FindUsers(ownerIDs)
	if err != nil {
		return nil, err
	}
	for _, u := range users {
		owners[u.ID] = u
	}
	starts, err := startsOf(q, found...)
	if err != nil {
		return nil, err
	}
	me, err := mine(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	out := make([]Body, 0, len(found))
	for _, v := range found {
		b := h.body(v, owners[v.OwnerID], starts, nil)
		b.Me = me[v.ID]
		out = append(out, b)
	}
	return out, nil
}

// mine is what at most 100 videos are to the caller; nothing where nobody is signed in.
func mine(ctx context.Context, q db.Queries, ids []string) (map[string]*MeBody, error) {
	who := caller.Of(ctx)
	if !who.SignedIn() || !who.Has(caller.Interactions) || len(ids) == 0 {
		return nil, nil
	}
	marks, err := q.FindMarks(who.UserID, ids)
	if err != nil {
		return nil, err
	}
	later, err := q.FindWatchLater(who.UserID, ids)
	if err != nil {
		return nil, err
	}
	me := make(map[string]*MeBody, len(ids))
	for _, id := range ids {
		me[id] = &MeBody{}
	}
	for _, m := range marks {
		me[m.VideoID].PositionMS = m.PositionMS
	}
	for _, w := range later {
		me[w.VideoID].WatchLater = true
	}
	return me, nil
}
