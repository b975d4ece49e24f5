package stream

import (
	"context"
	"errors"
	"math"
	"time"

	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/store/db"
)

type sessionsInput struct {
	Stream string `path:"stream" doc:"Id or slug" example:"main"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before"`
}

// SessionListBody is a page of broadcasts.
type SessionListBody struct {
	Items      []SessionBody `json:"items" nullable:"false"`
	NextCursor *string       `json:"next_cursor" doc:"null: this was the last page"`
}

type sessionsOutput struct{ Body SessionListBody }

// sessionsBefore is where a page ends. Sessions of a stream follow each other, so no two start in the same millisecond.
type sessionsBefore struct {
	StartedAt db.Millis `json:"s"`
}

func (h *handlers) sessions(ctx context.Context, in *sessionsInput) (*sessionsOutput, error) {
	row, err := h.visible(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	name := "sessions?" + row.ID
	before := sessionsBefore{StartedAt: math.MaxInt64}
	if in.Cursor != "" {
		if err := h.cursors.Open(name, in.Cursor, &before); err != nil {
			return nil, problem.New(problem.InvalidCursor, "The cursor was altered, or belongs to another list. Start again without it.")
		}
	}
	q := h.service.db.ReadReplica(ctx)
	found, err := q.ListSessions(row.ID, before.StartedAt, in.Limit+1) // one more tells whether there are more
	if err != nil {
		return nil, err
	}
	out := &sessionsOutput{Body: SessionListBody{Items: make([]SessionBody, 0, len(found))}}
	if len(found) > in.Limit {
		found = found[:in.Limit]
		next, err := h.cursors.Seal(name, sessionsBefore{found[in.Limit-1].StartedAt})
		if err != nil {
			return nil, err
		}
		out.Body.NextCursor = &next
	}
	replays, err := h.firstReplays(ctx, q, row, sessionIDs(found))
	if err != nil {
		return nil, err
	}
	for i := range found {
		out.Body.Items = append(out.Body.Items, h.pastSession(row, &found[i], replays[found[i].ID]))
	}
	return out, nil
}

type sessionInput struct {
	Stream string `path:"stream" doc:"Id or slug" example:"main"`
	ID     string `path:"id" doc:"Id of the session" example:"0198f2a0-0000-7000-8000-000000000021"`
}

type sessionOutput struct{ Body SessionBody }

func (h *handlers) session(ctx context.Context, in *sessionInput) (*sessionOutput, error) {
	row, err := h.visible(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	q := h.service.db.ReadReplica(ctx)
	found, err := q.FindSession(in.ID)
	if errors.Is(err, db.ErrNotFound) || err == nil && found.StreamID != row.ID {
		return nil, problem.New(problem.NotFound, "The stream had no session of that id.")
	}
	if err != nil {
		return nil, err
	}
	replays, err := h.firstReplays(ctx, q, row, []string{found.ID})
	if err != nil {
		return nil, err
	}
	return &sessionOutput{Body: h.pastSession(row, &found, replays[found.ID])}, nil
}

// firstReplays are by session the first replay that the caller may watch: a session that lasts has several, one after another.
func (h *handlers) firstReplays(ctx context.Context, q db.Queries, of db.Stream, sessions []string) (map[string]db.Video, error) {
	all, err := q.ListReplays(sessions)
	if err != nil {
		return nil, err
	}
	first := make(map[string]db.Video, len(sessions))
	for _, v := range all {
		if _, ok := first[*v.SessionID]; ok || v.DeletedAt != nil {
			continue
		}
		may, err := MayWatch(ctx, h.service.relations, v.Visibility, v.OwnerID, caller.VideosRead)
		if err != nil {
			return nil, err
		}
		// Unlisted is what one has the link to, and in no list. Who has that to an unlisted stream is to find its replays.
		if may && (v.Visibility != "unlisted" || of.Visibility == "unlisted" || caller.Of(ctx).MayRead(v.OwnerID)) {
			first[*v.SessionID] = v
		}
	}
	return first, nil
}

func sessionIDs(found []db.Session) []string {
	ids := make([]string, len(found))
	for i := range found {
		ids[i] = found[i].ID
	}
	return ids
}

// pastSession is a session as its row has it; one that is on air is told by what is on air.
func (h *handlers) pastSession(stream db.Stream, s *db.Session, replay db.Video) SessionBody {
	if info, on := h.live.LiveState(stream.Slug); on && info.SessionID == s.ID {
		b := sessionBody(info, h.now())
		b.ReplayVideoID = replay.ID // of what is over of it
		return *b
	}
	info := LiveInfo{
		Stream: stream.Slug, State: sessionEnded, SessionID: s.ID, StartedAt: s.StartedAt.Time(),
		Audience: Audience{Peak: s.PeakViewers, Unique: s.UniqueViewers, Watched: time.Duration(s.WatchMS) * time.Millisecond},
	}
	for _, e := range s.Epochs {
		one := Epoch{StartedAt: e.StartedAt.Time(), Protocol: e.Protocol, Encoder: e.Encoder, Reason: e.Reason}
		if v := e.Video; v != nil {
			one.Video = &Video{Codec: v.Codec, Width: v.Width, Height: v.Height, FPS: v.FPS}
		}
		if a := e.Audio; a != nil {
			one.Audio = &Audio{Codec: a.Codec, SampleRate: a.SampleRate, Channels: a.Channels}
		}
		info.Epochs = append(info.Epochs, one)
	}
	end := h.now()
	if s.EndedAt != nil {
		end = s.EndedAt.Time()
	} else {
		info.State = SessionReconnecting // its process is gone, and its row not ended yet
	}
	b := sessionBody(info, end)
	if s.EndedAt != nil {
		at := stamp(end)
		b.EndedAt, b.EndReason, b.UpdatedAt = &at, &s.EndReason, stamp(s.UpdatedAt.Time())
		b.DurationMS = max(0, end.Sub(info.StartedAt).Round(time.Millisecond).Milliseconds())
	}
	b.ReplayVideoID = replay.ID
	return *b
}
