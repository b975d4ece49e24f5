package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/api/text"
	"mediad/store/db"
)

const (
	// MaxMarkers is how many a broadcast may have: as many as make chapters of its replay.
	MaxMarkers = 99
	// maxMarker is in characters.
	maxMarker = 60
)

// AddMarker gives a moment of a broadcast a name.
func (s *Service) AddMarker(ctx context.Context, streamID, session, label string, at time.Time) (db.Marker, error) {
	label = text.Line(label)
	var bad Invalid
	switch n := text.Len(label); {
	case n == 0:
		bad.add("label", "too_short", "1 to 60 characters")
	case n > maxMarker:
		bad.tooLong("label", maxMarker, "characters")
	}
	if len(bad.Fields) > 0 {
		return db.Marker{}, &bad
	}
	id, err := db.NewID()
	if err != nil {
		return db.Marker{}, fmt.Errorf("stream: id: %w", err)
	}
	m := db.Marker{ID: id, SessionID: session, StreamID: streamID, UserID: caller.Of(ctx).UserID, Label: label, At: db.At(at)}
	return m, s.db.Tx(ctx, func(q db.Queries) error {
		have, err := q.CountMarkers(session, MaxMarkers)
		if err != nil {
			return err
		}
		if have >= MaxMarkers {
			return &LimitError{"markers", MaxMarkers}
		}
		return q.CreateMarker(m)
	})
}

// Markers lists those of a broadcast, in their order.
func (s *Service) Markers(ctx context.Context, session string) ([]db.Marker, error) {
	return s.db.Read(ctx).ListMarkers(session, 0, math.MaxInt64, MaxMarkers)
}

// DeleteMarker takes one back; ErrNotFound if the stream has none of that id. Who set it may not be who may not stand for it any more, so it is
// recorded.
func (s *Service) DeleteMarker(ctx context.Context, of db.Stream, id string) error {
	return found(s.db.Tx(ctx, func(q db.Queries) error {
		if err := q.DeleteMarker(of.ID, id); err != nil {
			return err
		}
		return s.note(ctx, q, audit.Entry{
			Action: "stream_marker.delete", TargetType: "stream", TargetID: of.ID, Before: map[string]string{"marker_id": id},
		})
	}))
}

// registerMarkers mounts what names moments of a broadcast.
func (h *handlers) registerMarkers(api huma.API, log *slog.Logger) {
	const path = "/api/v1/streams/{stream}/markers"
	tags := []string{"streams"}
	overseen := []problem.Code{problem.Unauthenticated, problem.ScopeMissing, problem.InvalidParameter, problem.Forbidden, problem.NotFound}
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "listMarkers", Method: http.MethodGet, Path: path, Tags: tags, Summary: "Marked moments of a broadcast", Description: "In their order; there are 99 at most.",
	}, append(overseen, problem.InvalidCursor, problem.ValidationFailed)...), problem.Handle(log, h.markers))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "deleteMarker", Method: http.MethodDelete, Path: path + "/{id}", Tags: tags, Summary: "Take a marker back",
		Description: "It is no chapter of the replay any more, nor of its clips.", DefaultStatus: http.StatusNoContent,
	}, overseen...), problem.Handle(log, h.removeMarker))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "createMarker", Method: http.MethodPost, Path: path, Tags: tags, Summary: "Mark this moment of a broadcast",
		Description: "It becomes a chapter of the replay, and of clips that it is in.", DefaultStatus: http.StatusCreated,
	}, append(overseen, problem.MalformedJSON, problem.UnsupportedMediaType, problem.ValidationFailed, problem.InvalidState, problem.LimitReached)...),
		problem.Handle(log, h.addMarker))
}

// NewMarkerBody names a moment.
type NewMarkerBody struct {
	Label string `json:"label" doc:"Plain text, 1 to 60 characters" example:"Round two"`
}

// MarkerBody is a moment that has a name.
type MarkerBody struct {
	ID        string `json:"id" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000061"`
	CreatedAt string `json:"created_at" format:"date-time" example:"2026-03-01T12:01:01.000Z"`
	SessionID string `json:"session_id" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000021"`
	Label     string `json:"label" example:"Round two"`
	AtMS      int64  `json:"at_ms" minimum:"0" doc:"Since the broadcast began" example:"61000"`
}

type newMarkerInput struct {
	Stream string `path:"stream" doc:"Id or slug" example:"main"`
	Body   NewMarkerBody
}

type markerOutput struct {
	Location string `header:"Location" hidden:"true"`
	Body     MarkerBody
}

func (h *handlers) addMarker(ctx context.Context, in *newMarkerInput) (*markerOutput, error) {
	row, err := h.overseen(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	info, on := h.live.LiveState(row.Slug)
	if !on || !info.onAir() {
		return nil, h.notOnAir(row)
	}
	m, err := h.service.AddMarker(ctx, row.ID, info.SessionID, in.Body.Label, h.now())
	if err != nil {
		return nil, refusal(err)
	}
	return &markerOutput{Location: "/api/v1/streams/" + row.ID + "/markers/" + m.ID, Body: markerBody(m, info.StartedAt)}, nil
}

func markerBody(m db.Marker, began time.Time) MarkerBody {
	return MarkerBody{
		ID: m.ID, CreatedAt: stamp(m.At.Time()), SessionID: m.SessionID, Label: m.Label, AtMS: max(0, m.At.Time().Sub(began).Milliseconds()),
	}
}

// MarkerListBody is a page of the markers of a broadcast.
type MarkerListBody struct {
	Items      []MarkerBody `json:"items"`
	NextCursor *string      `json:"next_cursor" doc:"null: this was the last page"`
}

type markersInput struct {
	Stream  string `path:"stream" doc:"Id or slug" example:"main"`
	Session string `query:"session_id" required:"true" format:"uuid" doc:"The broadcast" example:"0198f2a0-0000-7000-8000-000000000021"`
	PageInput
}

type markersOutput struct{ Body MarkerListBody }

func (h *handlers) markers(ctx context.Context, in *markersInput) (*markersOutput, error) {
	row, err := h.overseen(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	of, err := h.service.db.Read(ctx).FindSession(in.Session)
	if errors.Is(err, db.ErrNotFound) || err == nil && of.StreamID != row.ID {
		return nil, problem.New(problem.NotFound, "The stream had no session of that id.")
	}
	if err != nil {
		return nil, err
	}
	list, err := h.service.Markers(ctx, of.ID)
	if err != nil {
		return nil, err
	}
	place := func(m db.Marker) string { return fmt.Sprintf("%020d %s", m.At, m.ID) }
	list, next, err := shortPage(h.cursors, "markers of "+of.ID, in.PageInput, list, place, ascending)
	if err != nil {
		return nil, err
	}
	out := &markersOutput{Body: MarkerListBody{Items: make([]MarkerBody, 0, len(list)), NextCursor: next}}
	for _, m := range list {
		out.Body.Items = append(out.Body.Items, markerBody(m, of.StartedAt.Time()))
	}
	return out, nil
}

type markerInput struct {
	Stream string `path:"stream" doc:"Id or slug" example:"main"`
	ID     string `path:"id" doc:"Id of the marker" example:"0198f2a0-0000-7000-8000-000000000061"`
}

func (h *handlers) removeMarker(ctx context.Context, in *markerInput) (*struct{}, error) {
	row, err := h.overseen(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	err = h.service.DeleteMarker(ctx, row, in.ID)
	if errors.Is(err, ErrNotFound) {
		return nil, problem.New(problem.NotFound, "The stream has no marker of that id.")
	}
	return nil, err
}
