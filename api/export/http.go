package export

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/caller"
	"mediad/api/page"
	"mediad/api/problem"
	"mediad/store/db"
)

// HTTP is what the routes need.
type HTTP struct {
	Service *Service
	Cursors page.Codec
	Log     *slog.Logger
}

type handlers struct{ HTTP }

// Register mounts the routes.
func Register(api huma.API, o HTTP) {
	h := &handlers{o}
	op := func(id, method, path, summary, description string, status int, codes ...problem.Code) huma.Operation {
		return problem.Document(api, huma.Operation{
			OperationID: id, Method: method, Path: "/api/v1/me/exports" + path, Tags: []string{"users"}, Summary: summary, Description: description,
			DefaultStatus: status,
		}, append(codes, problem.Unauthenticated, problem.ScopeMissing)...)
	}
	huma.Register(api, op("createExport", http.MethodPost, "", "Ask for what is stored about the caller",
		"A zip of JSON, made by a job, that can be downloaded for 7 days. Once a day.", http.StatusAccepted), problem.Handle(o.Log, h.create))
	huma.Register(api, op("listExports", http.MethodGet, "", "Exports of the caller", "The newest first.", http.StatusOK,
		problem.InvalidCursor, problem.InvalidParameter, problem.ValidationFailed), problem.Handle(o.Log, h.list))
	huma.Register(api, op("getExport", http.MethodGet, "/{id}", "One export of the caller", "", http.StatusOK, problem.NotFound, problem.InvalidParameter),
		problem.Handle(o.Log, h.get))
}

// Body is an export.
type Body struct {
	ID          string  `json:"id" doc:"UUIDv7" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000091"`
	CreatedAt   string  `json:"created_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	UpdatedAt   string  `json:"updated_at" format:"date-time" example:"2026-03-01T12:00:05.000Z"`
	State       string  `json:"state" doc:"queued, running, ready, failed, expired" example:"ready"`
	Bytes       int64   `json:"bytes" minimum:"0" doc:"0 until it is ready" example:"20480"`
	ExpiresAt   *string `json:"expires_at" format:"date-time" doc:"null until it is ready" example:"2026-03-08T12:00:05.000Z"`
	DownloadURL *string `json:"download_url" doc:"Good without signing in: whoever has it can download. null: not ready, or over" example:"/exports/0198f2a0-0000-7000-8000-000000000091?sig=5f0c"`
}

// ListBody is a page.
type ListBody struct {
	Items      []Body  `json:"items" nullable:"false"`
	NextCursor *string `json:"next_cursor" doc:"null: this was the last page"`
}

func (h *handlers) body(e db.Export) Body {
	b := Body{
		ID: e.ID, CreatedAt: problem.Stamp(e.CreatedAt.Time()), UpdatedAt: problem.Stamp(e.CreatedAt.Time()), State: e.State, Bytes: e.Bytes,
		DownloadURL: h.Service.link(e),
	}
	if e.FinishedAt != nil {
		b.UpdatedAt = problem.Stamp(e.FinishedAt.Time())
	}
	if e.ExpiresAt != nil {
		at := problem.Stamp(e.ExpiresAt.Time())
		b.ExpiresAt = &at
	}
	if h.Service.over(e) {
		b.State = "expired"
	}
	return b
}

type madeOutput struct {
	Location string `header:"Location" hidden:"true"`
	Body     Body
}

func (h *handlers) create(ctx context.Context, _ *struct{}) (*madeOutput, error) {
	e, err := h.Service.Request(ctx, caller.Of(ctx).UserID)
	if err != nil {
		return nil, err
	}
	return &madeOutput{"/api/v1/me/exports/" + e.ID, h.body(e)}, nil
}

type getInput struct {
	ID string `path:"id" doc:"Id of the export" example:"0198f2a0-0000-7000-8000-000000000091"`
}

type getOutput struct{ Body Body }

func (h *handlers) get(ctx context.Context, in *getInput) (*getOutput, error) {
	e, err := h.Service.Find(ctx, caller.Of(ctx).UserID, in.ID)
	if errors.Is(err, db.ErrNotFound) {
		return nil, problem.New(problem.NotFound, "You have no export of that id.")
	}
	if err != nil {
		return nil, err
	}
	return &getOutput{h.body(e)}, nil
}

type listInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before"`
}

type listOutput struct{ Body ListBody }

func (h *handlers) list(ctx context.Context, in *listInput) (*listOutput, error) {
	who := caller.Of(ctx).UserID
	name, before := "me/exports "+who, ""
	if in.Cursor != "" {
		if err := h.Cursors.Open(name, in.Cursor, &before); err != nil {
			return nil, problem.New(problem.InvalidCursor, "The cursor was altered, or belongs to another list. Start again without it.")
		}
	}
	rows, err := h.Service.List(ctx, who, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &listOutput{Body: ListBody{Items: []Body{}}}
	if len(rows) > in.Limit {
		rows = rows[:in.Limit]
		next, err := h.Cursors.Seal(name, rows[in.Limit-1].ID)
		if err != nil {
			return nil, err
		}
		out.Body.NextCursor = &next
	}
	for _, e := range rows {
		out.Body.Items = append(out.Body.Items, h.body(e))
	}
	return out, nil
}
