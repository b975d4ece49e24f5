package stream

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/problem"
	"mediad/store/db"
)

// registerOne mounts what the making of a key, a marker and a forward names as their place.
func (h *handlers) registerOne(api huma.API, log *slog.Logger) {
	const path = "/api/v1/streams/{stream}/"
	tags := []string{"streams"}
	codes := []problem.Code{problem.Unauthenticated, problem.ScopeMissing, problem.InvalidParameter, problem.Forbidden, problem.NotFound}
	owned := append(slices.Clone(codes), problem.RoleRequired)
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "getStreamKey", Method: http.MethodGet, Path: path + "keys/{key_id}", Tags: tags, Summary: "A key of a stream", Description: "Without its secret.",
	}, owned...), problem.Handle(log, h.oneKey))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "getForward", Method: http.MethodGet, Path: path + "forwards/{id}", Tags: tags, Summary: "A server that a stream is forwarded to",
		Description: "With how it stands.",
	}, owned...), problem.Handle(log, h.oneForward))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "getMarker", Method: http.MethodGet, Path: path + "markers/{id}", Tags: tags, Summary: "A marked moment of a broadcast",
	}, codes...), problem.Handle(log, h.oneMarker))
}

type oneKeyInput struct {
	Stream string `path:"stream" doc:"Id or slug" example:"main"`
	KeyID  string `path:"key_id" doc:"Id of the key" example:"0198f2a0-0000-7000-8000-000000000031"`
}

type oneKeyOutput struct{ Body KeyBody }

func (h *handlers) oneKey(ctx context.Context, in *oneKeyInput) (*oneKeyOutput, error) {
	row, err := h.owned(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	keys, err := h.service.db.Read(ctx).ListStreamKeys(row.ID)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(keys, func(k db.StreamKey) bool { return k.ID == in.KeyID })
	if i < 0 || !keys[i].AliveAt(db.At(h.now())) {
		return nil, problem.New(problem.NotFound, "The stream has no key of that id.")
	}
	return &oneKeyOutput{keyBody(keys[i])}, nil
}

type oneForwardOutput struct{ Body ForwardBody }

func (h *handlers) oneForward(ctx context.Context, in *forwardInput) (*oneForwardOutput, error) {
	row, err := h.owned(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	forwards, err := h.service.Forwards(ctx, row.ID)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(forwards, func(f Forward) bool { return f.ID == in.ID })
	if i < 0 {
		return nil, problem.New(problem.NotFound, "The stream has no forward of that id.")
	}
	health, _ := h.live.Health(row.Slug)
	return &oneForwardOutput{forwardBody(forwards[i], health.Forwards)}, nil
}

type oneMarkerOutput struct{ Body MarkerBody }

func (h *handlers) oneMarker(ctx context.Context, in *markerInput) (*oneMarkerOutput, error) {
	row, err := h.overseen(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	q := h.service.db.Read(ctx)
	m, err := q.FindMarker(row.ID, in.ID)
	if errors.Is(err, db.ErrNotFound) {
		return nil, problem.New(problem.NotFound, "The stream has no marker of that id.")
	}
	if err != nil {
		return nil, err
	}
	of, err := q.FindSession(m.SessionID)
	if err != nil {
		return nil, err
	}
	return &oneMarkerOutput{markerBody(m, of.StartedAt.Time())}, nil
}
