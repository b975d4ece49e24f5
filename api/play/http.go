package play

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/page"
	"mediad/api/problem"
	"mediad/api/text"
	"mediad/api/video"
	"mediad/store/db"
)

// HTTP is what the routes need beside the service.
type HTTP struct {
	Service *Service
	// Videos shows videos that the caller may see, by id; others are left out.
	Videos  func(ctx context.Context, ids []string) (map[string]video.Body, error)
	Cursors page.Codec
	Log     *slog.Logger
}

type handlers struct{ HTTP }

// Register mounts the routes of plays.
func Register(api huma.API, o HTTP) {
	h := &handlers{o}
	operation := func(id, method, path, summary, description string, codes ...problem.Code) huma.Operation {
		status := http.StatusOK
		switch {
		case id == "startPlay":
			status = http.StatusCreated
		case method != http.MethodGet:
			status = http.StatusNoContent
		}
		return problem.Document(api, huma.Operation{
			OperationID: id, Method: method, Path: "/api/v1" + path, Tags: []string{"plays"}, Summary: summary, Description: description, DefaultStatus: status,
		}, append(codes, problem.InvalidParameter)...)
	}
	body := []problem.Code{problem.NotFound, problem.MalformedJSON, problem.UnsupportedMediaType, problem.ValidationFailed}
	own := []problem.Code{problem.Unauthenticated, problem.ScopeMissing}
	list := append([]problem.Code{problem.InvalidCursor, problem.ValidationFailed}, own...)
	huma.Register(api, operation("startPlay", http.MethodPost, "/plays", "Say that something is played",
		"Sent with the first picture. It is how views are counted; nothing has to be asked for before it can be played.", body...), problem.Handle(o.Log, h.start))
	beat := operation("beatPlay", http.MethodPost, "/plays/{play_id}/beats", "Say how a play goes on",
		"Sent each beat_s, and when something changes. A play that was silent for 30 minutes is over. The id is all that is needed, so that "+
			"navigator.sendBeacon can send it, as text/plain.", body...)
	beat.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{
		Type: huma.TypeString, Description: "The same JSON",
	}}}}
	huma.Register(api, beat, problem.Handle(o.Log, h.beat))
	huma.Register(api, operation("listHistory", http.MethodGet, "/me/history", "What the caller has watched",
		"The newest first. What cannot be seen any more is left out.", list...), problem.Handle(o.Log, h.history))
	huma.Register(api, operation("clearHistory", http.MethodDelete, "/me/history", "Forget what the caller has watched", "", own...),
		problem.Handle(o.Log, func(ctx context.Context, _ *struct{}) (*struct{}, error) { return nil, h.Service.Forget(ctx, "") }))
	huma.Register(api, operation("deleteHistory", http.MethodDelete, "/me/history/{video}", "Forget that the caller has watched a video", "", own...),
		problem.Handle(o.Log, h.forget))
	huma.Register(api, operation("listWatchLater", http.MethodGet, "/me/watch-later", "What the caller wants to watch later",
		"The newest first. What cannot be seen any more is left out.", list...), problem.Handle(o.Log, h.watchLaters))
	huma.Register(api, operation("getWatchLater", http.MethodGet, "/me/watch-later/{video}", "A video that the caller wants to watch later", "",
		append(own, problem.NotFound)...), problem.Handle(o.Log, h.watchLater))
	huma.Register(api, operation("addWatchLater", http.MethodPut, "/me/watch-later/{video}", "Watch a video later", "At most 1000 are kept.",
		append(own, problem.NotFound, problem.LimitReached)...), problem.Handle(o.Log, h.addWatchLater))
	huma.Register(api, operation("removeWatchLater", http.MethodDelete, "/me/watch-later/{video}", "Watch a video later no more", "", own...),
		problem.Handle(o.Log, h.removeWatchLater))
}

// refusal says to the caller what is wrong.
func refusal(err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return problem.New(problem.NotFound, "There is no such thing to be played, or the play is over.")
	case errors.Is(err, ErrFull):
		return problem.New(problem.Unavailable, "More is played than can be counted. Try again.").Retry(BeatEvery)
	}
	return err
}

// StartBody says what is played.
type StartBody struct {
	Kind     string `json:"kind" enum:"video,stream" doc:"What it is" example:"video"`
	ID       string `json:"id" minLength:"1" maxLength:"64" doc:"Id of the video, or id or slug of the stream" example:"0198f2a0-0000-7000-8000-000000000031"`
	ViewerID string `json:"viewer_id,omitempty" format:"uuid" doc:"Made at random by the client, and kept; it tells viewers apart who are not signed in" example:"7d4f0a52-6b0e-4c36-9c1f-2d3b5a1e8f10"`
	Player   string `json:"player,omitempty" maxLength:"40" doc:"What plays" example:"mediad-web"`
	Referrer string `json:"referrer,omitempty" maxLength:"2000" doc:"The page that led there; only its host is kept" example:"https://example.com/"`
}

type startInput struct{ Body StartBody }

// StartedBody names a play.
type StartedBody struct {
	PlayID string `json:"play_id" format:"uuid" doc:"UUIDv7; who knows it may send beats" example:"0198f2a0-0000-7000-8000-000000000091"`
	BeatS  int    `json:"beat_s" minimum:"1" doc:"How often to send one, in seconds" example:"15"`
}

type startOutput struct {
	Location string `header:"Location" doc:"The play"`
	Body     StartedBody
}

func (h *handlers) start(ctx context.Context, in *startInput) (*startOutput, error) {
	b := &in.Body
	id, err := h.Service.Start(ctx, Start{Kind: b.Kind, ID: b.ID, ViewerID: b.ViewerID, Player: b.Player, Referrer: b.Referrer})
	if err != nil {
		return nil, refusal(err)
	}
	return &startOutput{Location: "/api/v1/plays/" + id, Body: StartedBody{PlayID: id, BeatS: int(BeatEvery.Seconds())}}, nil
}

// BeatBody is how a play goes.
type BeatBody struct {
	PositionMS    int64  `json:"position_ms" minimum:"0" maximum:"9000000000000000" doc:"Where it is" example:"61000"`
	WatchedMS     int64  `json:"watched_ms" minimum:"0" maximum:"9000000000000000" doc:"How much of it was played since the play began, all together: a beat that is lost loses nothing. It counts as far as there was time for it, twice the time that has passed" example:"45000"`
	State         string `json:"state" enum:"playing,paused,stalled,ended" doc:"ended: the viewer has left, or seen it to the end" example:"playing"`
	Rendition     string `json:"rendition,omitempty" maxLength:"40" doc:"What is shown" example:"720p"`
	BitrateBPS    int64  `json:"bitrate_bps,omitempty" minimum:"0" maximum:"9000000000000000" example:"2660000"`
	Stalls        int64  `json:"stalls,omitempty" minimum:"0" maximum:"9000000000000000" doc:"How often it ran dry, since it began" example:"0"`
	StallMS       int64  `json:"stall_ms,omitempty" minimum:"0" maximum:"9000000000000000" doc:"And for how long" example:"0"`
	DroppedFrames int64  `json:"dropped_frames,omitempty" minimum:"0" maximum:"9000000000000000" doc:"Since it began" example:"3"`
	LatencyMS     *int64 `json:"latency_ms,omitempty" nullable:"false" minimum:"0" maximum:"9000000000000000" doc:"How far behind a broadcast" example:"950"`
	StartupMS     *int64 `json:"startup_ms,omitempty" nullable:"false" minimum:"0" maximum:"9000000000000000" doc:"From the wish to the first picture" example:"310"`
}

type beatInput struct {
	PlayID string `path:"play_id" doc:"Id of the play" example:"0198f2a0-0000-7000-8000-000000000091"`
	Body   BeatBody
}

func (h *handlers) beat(ctx context.Context, in *beatInput) (*struct{}, error) {
	b := &in.Body
	return nil, refusal(h.Service.Beat(ctx, in.PlayID, Beat{
		PositionMS: b.PositionMS, WatchedMS: b.WatchedMS, State: b.State, Rendition: text.Line(b.Rendition), BitrateBPS: b.BitrateBPS,
		Stalls: b.Stalls, StallMS: b.StallMS, DroppedFrames: b.DroppedFrames, LatencyMS: b.LatencyMS, StartupMS: b.StartupMS,
	}))
}

type pageInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before"`
}

// HistoryItem is a video that was watched.
type HistoryItem struct {
	Video      video.Body `json:"video"`
	PositionMS int64      `json:"position_ms" minimum:"0" doc:"Where it was left" example:"61000"`
	WatchedAt  string     `json:"watched_at" format:"date-time" doc:"When it was watched last" example:"2026-03-01T12:00:00.000Z"`
}

// HistoryBody is a page.
type HistoryBody struct {
	Items      []HistoryItem `json:"items" nullable:"false"`
	NextCursor *string       `json:"next_cursor" doc:"null: this was the last page"`
}

type historyOutput struct{ Body HistoryBody }

func (h *handlers) history(ctx context.Context, in *pageInput) (*historyOutput, error) {
	marks, next, err := list(ctx, h, in, "history", h.Service.History, func(m db.Mark) db.Related { return db.Related{ID: m.VideoID, At: m.UpdatedAt} })
	if err != nil {
		return nil, err
	}
	out := &historyOutput{Body: HistoryBody{Items: make([]HistoryItem, 0, len(marks)), NextCursor: next}}
	videos, err := h.Videos(ctx, ids(marks, func(m db.Mark) string { return m.VideoID }))
	for _, m := range marks {
		if v, ok := videos[m.VideoID]; ok {
			out.Body.Items = append(out.Body.Items, HistoryItem{Video: v, PositionMS: m.PositionMS, WatchedAt: problem.Stamp(m.UpdatedAt.Time())})
		}
	}
	return out, err
}

// list is a page of what belongs to the caller, and the cursor of the next one.
func list[T any](ctx context.Context, h *handlers, in *pageInput, name string,
	find func(ctx context.Context, after db.Related, limit int) ([]T, error), position func(T) db.Related,
) (found []T, next *string, err error) {
	var after db.Related
	if in.Cursor != "" {
		if err := h.Cursors.Open(name, in.Cursor, &after); err != nil {
			return nil, nil, problem.New(problem.InvalidCursor, "The cursor was altered, or belongs to another list. Start again without it.")
		}
	}
	found, err = find(ctx, after, in.Limit+1) // one more tells whether there are more
	if err != nil || len(found) <= in.Limit {
		return found, nil, err
	}
	found = found[:in.Limit]
	cursor, err := h.Cursors.Seal(name, position(found[in.Limit-1]))
	return found, &cursor, err
}

func ids[T any](of []T, id func(T) string) []string {
	all := make([]string, len(of))
	for i, one := range of {
		all[i] = id(one)
	}
	return all
}

type videoInput struct {
	Video string `path:"video" doc:"Id of the video" example:"0198f2a0-0000-7000-8000-000000000031"`
}

func (h *handlers) forget(ctx context.Context, in *videoInput) (*struct{}, error) {
	return nil, h.Service.Forget(ctx, in.Video)
}

// WatchLaterItem is a video that somebody wants to watch later.
type WatchLaterItem struct {
	Video      video.Body `json:"video"`
	PositionMS int64      `json:"position_ms" minimum:"0" doc:"Where it was left; 0: it was not watched" example:"0"`
	AddedAt    string     `json:"added_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
}

// WatchLaterBody is a page.
type WatchLaterBody struct {
	Items      []WatchLaterItem `json:"items" nullable:"false"`
	NextCursor *string          `json:"next_cursor" doc:"null: this was the last page"`
}

type watchLatersOutput struct{ Body WatchLaterBody }

type watchLaterOutput struct{ Body WatchLaterItem }

func (h *handlers) watchLaters(ctx context.Context, in *pageInput) (*watchLatersOutput, error) {
	found, next, err := list(ctx, h, in, "watch later", h.Service.WatchLaters, func(w db.WatchLater) db.Related { return db.Related{ID: w.VideoID, At: w.CreatedAt} })
	if err != nil {
		return nil, err
	}
	items, err := h.items(ctx, found)
	return &watchLatersOutput{Body: WatchLaterBody{Items: items, NextCursor: next}}, err
}

func (h *handlers) items(ctx context.Context, found []db.WatchLater) ([]WatchLaterItem, error) {
	items := make([]WatchLaterItem, 0, len(found))
	videos, err := h.Videos(ctx, ids(found, func(w db.WatchLater) string { return w.VideoID }))
	for _, w := range found {
		v, ok := videos[w.VideoID]
		if !ok {
			continue
		}
		item := WatchLaterItem{Video: v, AddedAt: problem.Stamp(w.CreatedAt.Time())}
		if v.Me != nil {
			item.PositionMS = v.Me.PositionMS
		}
		items = append(items, item)
	}
	return items, err
}

func (h *handlers) watchLater(ctx context.Context, in *videoInput) (*watchLaterOutput, error) {
	found, err := h.Service.WatchLater(ctx, in.Video)
	if err != nil {
		return nil, refusal(err)
	}
	items, err := h.items(ctx, []db.WatchLater{found})
	switch {
	case err != nil:
		return nil, err
	case len(items) == 0:
		return nil, refusal(ErrNotFound)
	}
	return &watchLaterOutput{Body: items[0]}, nil
}

func (h *handlers) addWatchLater(ctx context.Context, in *videoInput) (*struct{}, error) {
	return nil, refusal(h.Service.AddWatchLater(ctx, in.Video))
}

func (h *handlers) removeWatchLater(ctx context.Context, in *videoInput) (*struct{}, error) {
	return nil, h.Service.RemoveWatchLater(ctx, in.Video)
}
