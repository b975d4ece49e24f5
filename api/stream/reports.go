package stream

import (
	"context"

	"mediad/api/caller"
	"mediad/store/db"
)

// DisconnectBody says why a publisher left, or was refused.
type DisconnectBody struct {
	ID       string `json:"id" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000051"`
	At       string `json:"at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	Protocol string `json:"protocol" example:"rtmp"`
	Remote   string `json:"remote" doc:"The publisher's network: the address is masked" example:"203.0.113.x"`
	Code     string `json:"code" doc:"Stable; new ones may be added" example:"connection_lost"`
	Detail   string `json:"detail" doc:"For people" example:"The connection to the encoder was lost."`
}

// DisconnectsBody has the newest.
type DisconnectsBody struct {
	Items      []DisconnectBody `json:"items" nullable:"false"`
	NextCursor *string          `json:"next_cursor" doc:"null: this was the last page"`
}

type disconnectsOutput struct{ Body DisconnectsBody }

type disconnectsInput struct {
	Stream string `path:"stream" doc:"Id or slug" example:"main"`
	PageInput
}

func (h *handlers) disconnects(ctx context.Context, in *disconnectsInput) (*disconnectsOutput, error) {
	row, err := h.owned(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	if caller.Of(ctx).UserID != row.OwnerID {
		if err := h.service.noteRead(ctx, row); err != nil {
			return nil, err
		}
	}
	found, err := h.service.Disconnects(ctx, row.ID)
	if err != nil {
		return nil, err
	}
	found, next, err := shortPage(h.cursors, "disconnects of "+row.ID, in.PageInput, found, func(d db.Disconnect) string { return d.ID }, descending)
	if err != nil {
		return nil, err
	}
	out := &disconnectsOutput{Body: DisconnectsBody{Items: make([]DisconnectBody, 0, len(found)), NextCursor: next}}
	for _, d := range found {
		out.Body.Items = append(out.Body.Items, DisconnectBody{d.ID, stamp(d.At.Time()), d.Protocol, d.Remote, d.Code, d.Detail})
	}
	return out, nil
}

type healthOutput struct{ Body Health }

func (h *handlers) health(ctx context.Context, in *streamInput) (*healthOutput, error) {
	row, err := h.overseen(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	health, ok := h.live.Health(row.Slug)
	if !ok {
		return nil, h.notOnAir(row)
	}
	return &healthOutput{Body: health}, nil
}
