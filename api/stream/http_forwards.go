package stream

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/problem"
)

// registerForwards mounts where a stream is forwarded to.
func (h *handlers) registerForwards(api huma.API, log *slog.Logger) {
	const path = "/api/v1/streams/{stream}/forwards"
	tags := []string{"streams"}
	owned := []problem.Code{problem.Unauthenticated, problem.ScopeMissing, problem.InvalidParameter, problem.Forbidden, problem.RoleRequired, problem.NotFound}
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "createForward", Method: http.MethodPost, Path: path, Tags: tags, Summary: "Forward a stream to another server",
		Description: "While it is on air, from within two seconds on. The address and the key are sealed, and shown without what is secret. Servers within the network of " +
			"this one are not called.", DefaultStatus: http.StatusCreated,
	}, append(owned, problem.MalformedJSON, problem.UnsupportedMediaType, problem.ValidationFailed, problem.LimitReached)...), problem.Handle(log, h.addForward))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "listForwards", Method: http.MethodGet, Path: path, Tags: tags, Summary: "Where a stream is forwarded to", Description: "The oldest first, with how it stands.",
	}, append(owned, problem.InvalidCursor, problem.ValidationFailed)...), problem.Handle(log, h.forwards))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "deleteForward", Method: http.MethodDelete, Path: path + "/{id}", Tags: tags, Summary: "Forward a stream there no more",
		Description: "What is on air ends there within two seconds.", DefaultStatus: http.StatusNoContent,
	}, owned...), problem.Handle(log, h.removeForward))
}

// ForwardBody is a server that a stream is forwarded to.
type ForwardBody struct {
	ID            string  `json:"id" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000051"`
	CreatedAt     string  `json:"created_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	URL           string  `json:"url" doc:"Without the key" example:"rtmp://a.example/live2/…"`
	State         string  `json:"state" doc:"idle (not on air), connecting, live, waiting (lost or refused)" example:"live"`
	Since         *string `json:"since" format:"date-time" doc:"null: not on air"`
	Attempts      uint64  `json:"attempts" doc:"Calls in this broadcast" example:"1"`
	Bytes         uint64  `json:"bytes" doc:"Sent in this broadcast" example:"1250000"`
	DroppedFrames uint64  `json:"dropped_frames" doc:"Units that the target was too slow for" example:"0"`
	RetryAt       string  `json:"retry_at,omitempty" format:"date-time" doc:"When it is called again" example:"2026-03-01T12:00:05.000Z"`
	Error         string  `json:"error,omitempty" doc:"Why it was last lost or refused" example:"the target does not answer in time"`
	Note          string  `json:"note,omitempty" doc:"What the target does not get" example:"without sound: the target does not take Opus"`
}

// ForwardListBody is a page; of a stream they are few.
type ForwardListBody struct {
	Items      []ForwardBody `json:"items" nullable:"false"`
	NextCursor *string       `json:"next_cursor" doc:"null: this was the last page"`
}

// NewForwardBody is one to be added.
type NewForwardBody struct {
	URL string `json:"url" doc:"rtmp://HOST[:1935]/APP[/KEY], rtmps:// or srt://HOST:PORT?streamid=…" example:"rtmp://a.example/live2"`
	Key string `json:"key,omitempty" doc:"The stream key there, where the address has none" example:"abcd-1234"`
}

type newForwardInput struct {
	Stream string `path:"stream" doc:"Id or slug" example:"main"`
	Body   NewForwardBody
}

type forwardOutput struct {
	Location string `header:"Location" hidden:"true"`
	Body     ForwardBody
}

func (h *handlers) addForward(ctx context.Context, in *newForwardInput) (*forwardOutput, error) {
	row, err := h.owned(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	f, err := h.service.AddForward(ctx, row, in.Body.URL, in.Body.Key)
	if err != nil {
		return nil, refusal(err)
	}
	return &forwardOutput{Location: "/api/v1/streams/" + row.ID + "/forwards/" + f.ID, Body: forwardBody(f, nil)}, nil
}

type forwardsInput struct {
	Stream string `path:"stream" doc:"Id or slug" example:"main"`
	PageInput
}

type forwardsOutput struct{ Body ForwardListBody }

func (h *handlers) forwards(ctx context.Context, in *forwardsInput) (*forwardsOutput, error) {
	row, err := h.owned(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	found, err := h.service.Forwards(ctx, row.ID)
	if err != nil {
		return nil, err
	}
	found, next, err := shortPage(h.cursors, "forwards of "+row.ID, in.PageInput, found, func(f Forward) string { return f.ID }, ascending)
	if err != nil {
		return nil, err
	}
	health, _ := h.live.Health(row.Slug)
	out := &forwardsOutput{Body: ForwardListBody{Items: make([]ForwardBody, 0, len(found)), NextCursor: next}}
	for _, f := range found {
		out.Body.Items = append(out.Body.Items, forwardBody(f, health.Forwards))
	}
	return out, nil
}

// forwardBody is a forward as its owner sees it, with how it stands where it is on air here.
func forwardBody(f Forward, on []HealthForward) ForwardBody {
	b := ForwardBody{ID: f.ID, CreatedAt: stamp(f.CreatedAt.Time()), URL: f.Shown, State: "idle"}
	for _, one := range on {
		if one.ID != f.ID {
			continue
		}
		b.State, b.Since, b.Attempts, b.Bytes, b.DroppedFrames = one.State, &one.Since, one.Attempts, one.Bytes, one.DroppedFrames
		b.RetryAt, b.Error, b.Note = one.RetryAt, one.Error, one.Note
	}
	return b
}

type forwardInput struct {
	Stream string `path:"stream" doc:"Id or slug" example:"main"`
	ID     string `path:"id" doc:"Id of the forward" example:"0198f2a0-0000-7000-8000-000000000051"`
}

func (h *handlers) removeForward(ctx context.Context, in *forwardInput) (*struct{}, error) {
	row, err := h.owned(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	err = h.service.DeleteForward(ctx, row, in.ID)
	if errors.Is(err, ErrNotFound) {
		return nil, problem.New(problem.NotFound, "The stream has no forward of that id.")
	}
	return nil, err
}
