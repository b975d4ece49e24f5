package serverkey

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/account"
	"mediad/api/page"
	"mediad/api/problem"
	"mediad/store/db"
)

// HTTP is what the routes need beside the service.
type HTTP struct {
	Service *Service
	Cursors page.Codec
	Log     *slog.Logger
}

type handlers struct {
	service *Service
	cursors page.Codec
}

// Register mounts the routes.
func Register(api huma.API, o HTTP) {
	h := &handlers{service: o.Service, cursors: o.Cursors}
	op := func(id, method, path, summary, description string, status int, codes ...problem.Code) huma.Operation {
		codes = append(codes, problem.Unauthenticated, problem.ScopeMissing, problem.RoleRequired)
		return problem.Document(api, huma.Operation{
			OperationID: id, Method: method, Path: path, Tags: []string{"admin"}, Summary: summary, Description: description, DefaultStatus: status,
		}, codes...)
	}
	huma.Register(api, op("listServerKeys", http.MethodGet, "/api/v1/admin/server-keys", "Keys with which other servers sign",
		"The newest first, without their secrets.", http.StatusOK, problem.InvalidCursor, problem.InvalidParameter, problem.ValidationFailed),
		problem.Handle(o.Log, h.list))
	huma.Register(api, op("createServerKey", http.MethodPost, "/api/v1/admin/server-keys", "Make a key for another server",
		"The secret is shown this once.", http.StatusCreated, problem.MalformedJSON, problem.UnsupportedMediaType, problem.ValidationFailed),
		problem.Handle(o.Log, h.create))
	huma.Register(api, op("getServerKey", http.MethodGet, "/api/v1/admin/server-keys/{id}", "A key with which another server signs", "Without its secret.",
		http.StatusOK, problem.NotFound, problem.InvalidParameter), problem.Handle(o.Log, h.get))
	huma.Register(api, op("deleteServerKey", http.MethodDelete, "/api/v1/admin/server-keys/{id}", "End a key", "At once.", http.StatusNoContent,
		problem.NotFound), problem.Handle(o.Log, h.remove))
}

// Body is a server key.
type Body struct {
	ID         string  `json:"id" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000071"`
	CreatedAt  string  `json:"created_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	UpdatedAt  string  `json:"updated_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	Label      string  `json:"label" example:"Payments"`
	KeyID      string  `json:"key_id" doc:"What key= of a signed request's header names" example:"mdk_0198f2a0000070008000000000000071"`
	Hint       string  `json:"hint" doc:"The secret's last four characters" example:"x7Qp"`
	LastUsedAt *string `json:"last_used_at" format:"date-time" doc:"To the minute; null: never" example:"2026-03-01T12:00:00.000Z"`
	Secret     string  `json:"secret,omitempty" doc:"Only in the answer to its making" example:"mdh_0f3K"`
}

// ListBody is a page.
type ListBody struct {
	Items      []Body  `json:"items" nullable:"false"`
	NextCursor *string `json:"next_cursor" doc:"null: this was the last page"`
}

func body(k db.ServerKey) Body {
	made := problem.Stamp(k.CreatedAt.Time())
	b := Body{ID: k.ID, CreatedAt: made, UpdatedAt: made, Label: k.Label, KeyID: KeyID(k.ID), Hint: k.Hint}
	if k.LastUsedAt != nil {
		used := problem.Stamp(k.LastUsedAt.Time())
		b.LastUsedAt = &used
	}
	return b
}

type listInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before"`
}

type listOutput struct{ Body ListBody }

const listName = "server-keys"

func (h *handlers) list(ctx context.Context, in *listInput) (*listOutput, error) {
	before := ""
	if in.Cursor != "" {
		if err := h.cursors.Open(listName, in.Cursor, &before); err != nil {
			return nil, problem.New(problem.InvalidCursor, "The cursor was altered, or belongs to another list. Start again without it.")
		}
	}
	found, err := h.service.List(ctx, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &listOutput{Body: ListBody{Items: []Body{}}}
	if len(found) > in.Limit {
		found = found[:in.Limit]
		next, err := h.cursors.Seal(listName, found[in.Limit-1].ID)
		if err != nil {
			return nil, err
		}
		out.Body.NextCursor = &next
	}
	for _, k := range found {
		out.Body.Items = append(out.Body.Items, body(k))
	}
	return out, nil
}

// NewBody is a key to be made.
type NewBody struct {
	Label string `json:"label" doc:"1 to 60 characters" example:"Payments"`
}

type newInput struct{ Body NewBody }

type newOutput struct {
	Location string `header:"Location" hidden:"true"`
	Body     Body
}

func (h *handlers) create(ctx context.Context, in *newInput) (*newOutput, error) {
	row, secret, err := h.service.Create(ctx, in.Body.Label)
	if err != nil {
		return nil, account.Refusal(err)
	}
	out := &newOutput{Location: "/api/v1/admin/server-keys/" + row.ID, Body: body(row)}
	out.Body.Secret = secret
	return out, nil
}

type idInput struct {
	ID string `path:"id" example:"0198f2a0-0000-7000-8000-000000000071"`
}

type keyOutput struct{ Body Body }

func (h *handlers) get(ctx context.Context, in *idInput) (*keyOutput, error) {
	row, err := h.service.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &keyOutput{body(row)}, nil
}

func (h *handlers) remove(ctx context.Context, in *idInput) (*struct{}, error) {
	return nil, h.service.Delete(ctx, in.ID)
}
