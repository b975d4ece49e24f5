package category

import (
	"context"
	"errors"
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
	// OnAir counts what is on air and on everybody's lists, by category.
	OnAir   func(context.Context) (map[string]int64, error)
	Cursors page.Codec
	Log     *slog.Logger
}

type handlers struct{ HTTP }

// Register mounts the routes.
func Register(api huma.API, o HTTP) {
	h := &handlers{o}
	op := func(id, method, path, tag, summary, description string, status int, codes ...problem.Code) huma.Operation {
		return problem.Document(api, huma.Operation{
			OperationID: id, Method: method, Path: "/api/v1" + path, Tags: []string{tag}, Summary: summary, Description: description, DefaultStatus: status,
		}, codes...)
	}
	list := []problem.Code{problem.InvalidCursor, problem.InvalidParameter, problem.ValidationFailed}
	admin := []problem.Code{problem.Unauthenticated, problem.ScopeMissing, problem.RoleRequired, problem.InvalidParameter, problem.ValidationFailed}
	huma.Register(api, op("listCategories", http.MethodGet, "/categories", "discovery", "What streams and videos may be about",
		"By slug. It changes with categories_version of GET /api/v1/config.", http.StatusOK, list...), problem.Handle(o.Log, h.list("categories")))
	huma.Register(api, op("listAdminCategories", http.MethodGet, "/admin/categories", "admin", "What streams and videos may be about", "By slug.",
		http.StatusOK, append(admin, problem.InvalidCursor)...), problem.Handle(o.Log, h.list("admin_categories")))
	huma.Register(api, op("createCategory", http.MethodPost, "/admin/categories", "admin", "Add a category", "Up to 200.", http.StatusCreated,
		append(admin, problem.MalformedJSON, problem.UnsupportedMediaType, problem.SlugTaken, problem.LimitReached)...), problem.Handle(o.Log, h.create))
	huma.Register(api, op("getAdminCategory", http.MethodGet, "/admin/categories/{category}", "admin", "A category", "", http.StatusOK,
		append(admin, problem.NotFound)...), problem.Handle(o.Log, h.get))
	huma.Register(api, op("deleteCategory", http.MethodDelete, "/admin/categories/{category}", "admin", "Delete a category",
		"Refused while a stream or video has it, unless move_to says which they get in its place.", http.StatusNoContent,
		append(admin, problem.NotFound, problem.InvalidState)...), problem.Handle(o.Log, h.remove))
}

// Body is a category.
type Body struct {
	ID        string     `json:"id" format:"uuid" example:"0198f2a0-0000-7000-8000-0000000000a1"`
	CreatedAt string     `json:"created_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	UpdatedAt string     `json:"updated_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	Slug      string     `json:"slug" doc:"What streams and videos have as category" example:"games"`
	Name      string     `json:"name" doc:"For people" example:"Games"`
	Counts    CountsBody `json:"counts"`
}

// CountsBody is how much of a category everyone finds.
type CountsBody struct {
	Streams int64 `json:"streams" minimum:"0" doc:"Public ones, on air or not" example:"12"`
	Live    int64 `json:"live" minimum:"0" doc:"Of those on air" example:"2"`
	Videos  int64 `json:"videos" minimum:"0" example:"40"`
}

// ListBody is a page.
type ListBody struct {
	Items      []Body  `json:"items" nullable:"false"`
	NextCursor *string `json:"next_cursor" doc:"null: this was the last page"`
}

func body(c db.Category, counts CountsBody) Body {
	return Body{
		ID: c.ID, CreatedAt: problem.Stamp(c.CreatedAt.Time()), UpdatedAt: problem.Stamp(c.UpdatedAt.Time()), Slug: c.Slug, Name: c.Name, Counts: counts,
	}
}

type listInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before"`
}

type listOutput struct{ Body ListBody }

// list answers with a page. A cursor is good for the list of the name alone that it was made by.
func (h *handlers) list(name string) func(context.Context, *listInput) (*listOutput, error) {
	return func(ctx context.Context, in *listInput) (*listOutput, error) { return h.page(ctx, name, in) }
}

func (h *handlers) page(ctx context.Context, name string, in *listInput) (*listOutput, error) {
	after := ""
	if in.Cursor != "" {
		if err := h.Cursors.Open(name, in.Cursor, &after); err != nil {
			return nil, problem.New(problem.InvalidCursor, "The cursor was altered, or belongs to another list. Start again without it.")
		}
	}
	found, err := h.Service.List(ctx, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	live, err := h.OnAir(ctx)
	if err != nil {
		return nil, err
	}
	out := &listOutput{Body: ListBody{Items: []Body{}}}
	if len(found) > in.Limit {
		found = found[:in.Limit]
		next, err := h.Cursors.Seal(name, found[in.Limit-1].Slug)
		if err != nil {
			return nil, err
		}
		out.Body.NextCursor = &next
	}
	for _, c := range found {
		out.Body.Items = append(out.Body.Items, body(c.Category, CountsBody{Streams: c.Streams, Live: live[c.Slug], Videos: c.Videos}))
	}
	return out, nil
}

// NewBody is a category to be made.
type NewBody struct {
	Slug string `json:"slug" doc:"1 to 40 characters of a-z, 0-9 and -" example:"gardening"`
	Name string `json:"name" doc:"1 to 50 characters" example:"Gardening"`
}

type newInput struct{ Body NewBody }

type newOutput struct {
	Location string `header:"Location" hidden:"true"`
	Body     Body
}

func (h *handlers) create(ctx context.Context, in *newInput) (*newOutput, error) {
	c, err := h.Service.Create(ctx, in.Body.Slug, in.Body.Name)
	if err != nil {
		return nil, refusal(err)
	}
	return &newOutput{Location: "/api/v1/admin/categories/" + c.ID, Body: body(c, CountsBody{})}, nil
}

type getInput struct {
	Category string `path:"category" doc:"Id or slug" example:"games"`
}

type getOutput struct{ Body Body }

func (h *handlers) get(ctx context.Context, in *getInput) (*getOutput, error) {
	c, err := h.Service.Get(ctx, in.Category)
	if err != nil {
		return nil, refusal(err)
	}
	live, err := h.OnAir(ctx)
	if err != nil {
		return nil, err
	}
	return &getOutput{body(c.Category, CountsBody{Streams: c.Streams, Live: live[c.Slug], Videos: c.Videos})}, nil
}

type removeInput struct {
	Category string `path:"category" doc:"Id or slug" example:"games"`
	MoveTo   string `query:"move_to" maxLength:"40" doc:"Id or slug of the category that streams and videos get in its place, or none" example:"music"`
}

func (h *handlers) remove(ctx context.Context, in *removeInput) (*struct{}, error) {
	return nil, refusal(h.Service.Delete(ctx, in.Category, in.MoveTo))
}

// refusal says in the API's words what the service refused.
func refusal(err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return problem.New(problem.NotFound, "There is no such category.")
	case errors.Is(err, ErrTaken):
		return problem.New(problem.SlugTaken, "There is a category of that slug.")
	case errors.Is(err, ErrFull):
		p := problem.New(problem.LimitReached, "There are as many categories as are allowed. Delete one first.")
		p.Max = Max
		return p
	case errors.Is(err, ErrUsed):
		p := problem.New(problem.InvalidState, "Streams or videos have the category. Say by move_to which they get in its place: another one, or none.")
		p.State = "used"
		return p
	case errors.Is(err, ErrMoveTo):
		p := problem.New(problem.ValidationFailed, "A value is not allowed; errors tells which.")
		p.Errors = []problem.Field{{Pointer: "/move_to", Code: "invalid_enum", Message: "another category of the list, or none"}}
		return p
	}
	return account.Refusal(err)
}
