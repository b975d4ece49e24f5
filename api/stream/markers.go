package stream

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

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

// registerMarkers mounts what names moments of a broadcast.
func (h *handlers) registerMarkers(api huma.API, log *slog.Logger) {
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "createMarker", Method: http.MethodPost, Path: "/api/v1/streams/{stream}/markers", Tags: []string{"streams"}, Summary: "Mark this moment of a broadcast",
		Description: "It becomes a chapter of the replay, and of clips that it is in.", DefaultStatus: http.StatusCreated,
	}, problem.Unauthenticated, problem.ScopeMissing, problem.InvalidParameter, problem.Forbidden, problem.NotFound, problem.MalformedJSON, problem.UnsupportedMediaType,
		problem.ValidationFailed, problem.InvalidState, problem.LimitReached), problem.Handle(log, h.addMarker))
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
	return &markerOutput{Location: "/api/v1/streams/" + row.ID + "/markers/" + m.ID, Body: MarkerBody{
		ID: m.ID, CreatedAt: stamp(m.At.Time()), SessionID: m.SessionID, Label: m.Label, AtMS: max(0, m.At.Time().Sub(info.StartedAt).Milliseconds()),
	}}, nil
}
