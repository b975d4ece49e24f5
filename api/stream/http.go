package stream

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/caller"
	"mediad/api/page"
	"mediad/api/playback"
	"mediad/api/problem"
	"mediad/api/text"
	"mediad/store/db"
)

// HTTP is what the routes need beside the service.
type HTTP struct {
	Service *Service
	Live    Live
	Cursors page.Codec
	// User finds whom a path names, for the caller.
	User func(ctx context.Context, user string) (db.User, error)
	// Rights makes the tokens of what is not public.
	Rights *playback.Issuer
	// PublicURL goes in front of the paths of media, without a slash at its end. "": the paths stand alone.
	PublicURL string
	// Ingest says where to publish.
	Ingest Ingest
	// WHEP says that streams are played by WHEP too.
	WHEP bool
	// LowLatency and NormalLatency are what a player should aim at, by the stream's latency.
	LowLatency, NormalLatency time.Duration
	// Now is the clock.
	Now func() time.Time
	Log *slog.Logger
}

type handlers struct {
	user                      func(ctx context.Context, user string) (db.User, error)
	service                   *Service
	live                      Live
	cursors                   page.Codec
	rights                    *playback.Issuer
	publicURL                 string
	whep                      bool
	ingest                    Ingest
	lowLatency, normalLatency time.Duration
	now                       func() time.Time
}

// Register mounts the routes of streams.
func Register(api huma.API, o HTTP) {
	h := &handlers{
		user: o.User, service: o.Service, live: o.Live, cursors: o.Cursors, rights: o.Rights, publicURL: strings.TrimSuffix(o.PublicURL, "/"),
		whep: o.WHEP, ingest: o.Ingest,
		lowLatency: o.LowLatency, normalLatency: o.NormalLatency, now: o.Now,
	}
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "listStreams", Method: http.MethodGet, Path: "/api/v1/streams", Tags: []string{"streams"},
		Summary: "Public streams", Description: "A page of the streams that everyone may find.",
	}, problem.InvalidCursor, problem.InvalidParameter, problem.ValidationFailed), problem.Handle(o.Log, h.list))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "listUserStreams", Method: http.MethodGet, Path: "/api/v1/users/{user}/streams", Tags: []string{"streams"},
		Summary: "Public streams of a user", Description: "The newest first.",
	}, problem.NotFound, problem.InvalidCursor, problem.InvalidParameter, problem.ValidationFailed), problem.Handle(o.Log, h.ofUser))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "getStream", Method: http.MethodGet, Path: "/api/v1/streams/{stream}", Tags: []string{"streams"},
		Summary: "One stream", Description: "By id, or by slug in any case. What the caller may not know of is not found.",
	}, problem.NotFound, problem.InvalidParameter), problem.Handle(o.Log, h.get))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "getStreamPlayback", Method: http.MethodGet, Path: "/api/v1/streams/{stream}/playback", Tags: []string{"streams"},
		Summary: "Where to play a stream", Description: "Good before, during and between broadcasts: the URLs stay. Of a stream that is not public or unlisted they have a token in their path, " +
			"which every address below inherits, and are good until token_expires_at for whoever begins; who plays then plays on until the broadcast ends. " +
			"They end sooner when who may watch changes: where media answers 403, ask here again. The same token goes to WHEP as Authorization: Bearer " +
			"(whep_url has it in its query already), to RTSP as ?token=, and to SRT as read:STREAM:TOKEN. A browser of this site also gets it as the cookie " +
			"mediad_pb, for the plain addresses of this stream.",
	}, problem.NotFound, problem.InvalidParameter), problem.Handle(o.Log, h.getPlayback))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "listStreamSessions", Method: http.MethodGet, Path: "/api/v1/streams/{stream}/sessions", Tags: []string{"streams"},
		Summary: "Broadcasts of a stream", Description: "The newest first, the one on air included.",
	}, problem.NotFound, problem.InvalidCursor, problem.InvalidParameter, problem.ValidationFailed), problem.Handle(o.Log, h.sessions))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "getStreamSession", Method: http.MethodGet, Path: "/api/v1/streams/{stream}/sessions/{id}", Tags: []string{"streams"},
		Summary: "One broadcast",
	}, problem.NotFound, problem.InvalidParameter), problem.Handle(o.Log, h.session))
	h.registerManage(api, o.Log)
	h.registerForwards(api, o.Log)
	h.registerMarkers(api, o.Log)
	h.registerOne(api, o.Log)
	h.registerAdmin(api, o.Log)
}

type listInput struct {
	hostInput
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
		live: in.Live.value(), sort: in.Sort, category: in.Category, tag: cmp.Or(db.NormTag(text.Line(in.Tag)), in.Tag), limit: in.Limit,
	}
	after, err := h.after(q, in.Cursor)
	if err != nil {
		return nil, err
	}
	found, more, err := h.service.page(ctx, h.live, q, after)
	if err != nil {
		return nil, err
	}
	out := &listOutput{}
	rows := make([]db.Stream, 0, len(found))
	for _, f := range found {
		rows = append(rows, f.row)
	}
	if out.Body.Items, err = h.bodies(ctx, rows, in.host); err != nil {
		return nil, err
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

type streamInput struct {
	Stream string `path:"stream" doc:"Id or slug" example:"main"`
}

type getInput struct {
	hostInput
	Stream string `path:"stream" doc:"Id or slug" example:"main"`
}

func (h *handlers) get(ctx context.Context, in *getInput) (*ownOutput, error) {
	row, err := h.visible(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	return h.owner(ctx, row, in.host)
}

type playbackOutput struct {
	SetCookie string `header:"Set-Cookie" hidden:"true"`
	Body      PlaybackBody
}

func (h *handlers) getPlayback(ctx context.Context, in *streamInput) (*playbackOutput, error) {
	row, err := h.visible(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	grant := h.rights.Stream(row)
	return &playbackOutput{
		SetCookie: grant.SetCookie("/live/"+url.PathEscape(row.Slug)+"/", caller.PeerOf(ctx).Secure), Body: h.playback(row, grant),
	}, nil
}
