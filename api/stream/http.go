package stream

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/page"
	"mediad/api/problem"
	"mediad/store/db"
)

// HTTP is what the routes need beside the service.
type HTTP struct {
	Service *Service
	Live    Live
	Cursors page.Codec
	// PublicURL goes in front of the paths of media, without a slash at its end. "": the paths stand alone.
	PublicURL string
	// WHEP says that streams are played by WHEP too.
	WHEP bool
	// LowLatency and NormalLatency are what a player should aim at, by the stream's latency.
	LowLatency, NormalLatency time.Duration
	// Now is the clock.
	Now func() time.Time
	Log *slog.Logger
}

type handlers struct {
	service                   *Service
	live                      Live
	cursors                   page.Codec
	publicURL                 string
	whep                      bool
	lowLatency, normalLatency time.Duration
	now                       func() time.Time
}

// Register mounts the routes of streams.
func Register(api huma.API, o HTTP) {
	h := &handlers{
		service: o.Service, live: o.Live, cursors: o.Cursors, publicURL: strings.TrimSuffix(o.PublicURL, "/"),
		whep:       o.WHEP,
		lowLatency: o.LowLatency, normalLatency: o.NormalLatency, now: o.Now,
	}
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "listStreams", Method: http.MethodGet, Path: "/api/v1/streams", Tags: []string{"streams"},
		Summary: "Public streams", Description: "A page of the streams that everyone may find.",
	}, problem.InvalidCursor, problem.InvalidParameter, problem.ValidationFailed), problem.Handle(o.Log, h.list))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "getStream", Method: http.MethodGet, Path: "/api/v1/streams/{stream}", Tags: []string{"streams"},
		Summary: "One stream", Description: "By id, or by slug in any case. What the caller may not know of is not found.",
	}, problem.NotFound, problem.InvalidParameter), problem.Handle(o.Log, h.get))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "getStreamPlayback", Method: http.MethodGet, Path: "/api/v1/streams/{stream}/playback", Tags: []string{"streams"},
		Summary: "Where to play a stream", Description: "Good before, during and between broadcasts: the URLs stay.",
	}, problem.NotFound, problem.InvalidParameter), problem.Handle(o.Log, h.getPlayback))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "listStreamSessions", Method: http.MethodGet, Path: "/api/v1/streams/{stream}/sessions", Tags: []string{"streams"},
		Summary: "Broadcasts of a stream", Description: "The newest first, the one on air included.",
	}, problem.NotFound, problem.InvalidCursor, problem.InvalidParameter, problem.ValidationFailed), problem.Handle(o.Log, h.sessions))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "getStreamSession", Method: http.MethodGet, Path: "/api/v1/streams/{stream}/sessions/{id}", Tags: []string{"streams"},
		Summary: "One broadcast",
	}, problem.NotFound, problem.InvalidParameter), problem.Handle(o.Log, h.session))
}

type listInput struct {
	Live     optionalBool `query:"live" doc:"true: only streams on air, false: only others, absent: both"`
	Sort     string       `query:"sort" enum:"viewers,newest" default:"viewers" doc:"viewers: most watched first, then the newest; newest: by the time of making"`
	Category string       `query:"category" maxLength:"100" doc:"Only of this category" example:"games"`
	Tag      string       `query:"tag" maxLength:"100" doc:"Only with this tag" example:"chess"`
	Limit    int          `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many"`
	Cursor   string       `query:"cursor" doc:"next_cursor of the page before, with the same filters and sort"`
}

// ListBody is a page.
type ListBody struct {
	Items      []Body  `json:"items" nullable:"false"`
	NextCursor *string `json:"next_cursor" doc:"null: this was the last page"`
}

type listOutput struct{ Body ListBody }

func (h *handlers) list(ctx context.Context, in *listInput) (*listOutput, error) {
	q := query{
		live: in.Live.value(), sort: in.Sort, category: in.Category, tag: strings.ToLower(in.Tag), limit: in.Limit,
	}
	after, err := h.after(q, in.Cursor)
	if err != nil {
		return nil, err
	}
	found, more, err := h.service.page(ctx, h.live, q, after)
	if err != nil {
		return nil, err
	}
	out := &listOutput{Body: ListBody{Items: make([]Body, 0, len(found))}}
	owners, err := h.owners(ctx, found)
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		out.Body.Items = append(out.Body.Items, h.body(f.row, owners[f.row.OwnerID]))
	}
	if more {
		next, err := h.cursors.Seal(q.name(), found[len(found)-1].pos)
		if err != nil {
			return nil, err
		}
		out.Body.NextCursor = &next
	}
	return out, nil
}

func (h *handlers) after(q query, cursor string) (*position, error) {
	if cursor == "" {
		return nil, nil
	}
	var p position
	if err := h.cursors.Open(q.name(), cursor, &p); err != nil {
		return nil, problem.New(problem.InvalidCursor, "The cursor was altered, or belongs to another list. Start again without it.")
	}
	return &p, nil
}

func (h *handlers) owners(ctx context.Context, found []listed) (map[string]db.User, error) {
	ids := make([]string, 0, len(found))
	seen := map[string]bool{}
	for _, f := range found {
		if !seen[f.row.OwnerID] {
			seen[f.row.OwnerID] = true
			ids = append(ids, f.row.OwnerID)
		}
	}
	users, err := h.service.db.Read(ctx).FindUsers(ids)
	return byID(users, func(u db.User) string { return u.ID }), err
}

type streamInput struct {
	Stream string `path:"stream" doc:"Id or slug" example:"main"`
}

type streamOutput struct{ Body Body }

func (h *handlers) get(ctx context.Context, in *streamInput) (*streamOutput, error) {
	row, err := h.visible(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	owner, err := h.service.db.Read(ctx).FindUser(row.OwnerID)
	if err != nil {
		return nil, err
	}
	return &streamOutput{Body: h.body(row, owner)}, nil
}

type playbackOutput struct{ Body PlaybackBody }

func (h *handlers) getPlayback(ctx context.Context, in *streamInput) (*playbackOutput, error) {
	row, err := h.visible(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	return &playbackOutput{Body: h.playback(row)}, nil
}

// visible finds what anyone with the link may see. Whatever else there is does not exist.
func (h *handlers) visible(ctx context.Context, idOrSlug string) (db.Stream, error) {
	row, err := h.service.Find(ctx, idOrSlug)
	if errors.Is(err, ErrNotFound) || err == nil && row.Visibility != "public" && row.Visibility != "unlisted" {
		return db.Stream{}, problem.New(problem.NotFound, "There is no stream of that name or id.")
	}
	return row, err
}
