package webhook

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/page"
	"mediad/api/patch"
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
			OperationID: id, Method: method, Path: "/api/v1/me/webhooks" + path, Tags: []string{"webhooks"}, Summary: summary, Description: description,
			DefaultStatus: status,
		}, codes...)
	}
	lists := []problem.Code{problem.InvalidCursor, problem.InvalidParameter, problem.ValidationFailed}
	writes := []problem.Code{problem.MalformedJSON, problem.UnsupportedMediaType, problem.ValidationFailed}
	huma.Register(api, op("listWebhooks", http.MethodGet, "", "Webhooks of the caller", "The newest first, without their secrets.", http.StatusOK, lists...),
		problem.Handle(o.Log, h.list))
	huma.Register(api, op("createWebhook", http.MethodPost, "", "Make a webhook", "Events are posted to it as JSON, signed as Standard Webhooks says: "+
		"webhook-id, webhook-timestamp, webhook-signature. What is not answered with 2xx within 10 s is sent again for a day. The secret is shown this once.",
		http.StatusCreated, append(writes, problem.LimitReached)...), problem.Handle(o.Log, h.create))
	huma.Register(api, op("getWebhook", http.MethodGet, "/{id}", "A webhook of the caller", "Without its secret.", http.StatusOK,
		problem.NotFound, problem.InvalidParameter), problem.Handle(o.Log, h.get))
	huma.Register(api, op("updateWebhook", http.MethodPatch, "/{id}", "Change a webhook", "active: true forgives one that was disabled because it failed.",
		http.StatusOK, append(writes, problem.NotFound)...), problem.Handle(o.Log, h.update))
	huma.Register(api, op("deleteWebhook", http.MethodDelete, "/{id}", "Delete a webhook", "With its deliveries.", http.StatusNoContent, problem.NotFound),
		problem.Handle(o.Log, h.remove))
	huma.Register(api, op("rotateWebhookSecret", http.MethodPost, "/{id}/rotate-secret", "Give a webhook a new secret",
		"It is shown this once. For 24 hours deliveries carry signatures by the old one as well.", http.StatusOK, problem.NotFound),
		problem.Handle(o.Log, h.rotate))
	huma.Register(api, op("testWebhook", http.MethodPost, "/{id}/test", "Send a test event", "Of the type webhook.test, also to one that is not active.",
		http.StatusAccepted, problem.NotFound), problem.Handle(o.Log, h.test))
	huma.Register(api, op("listWebhookDeliveries", http.MethodGet, "/{id}/deliveries", "Deliveries of a webhook", "The newest first, for 30 days.",
		http.StatusOK, append(lists, problem.NotFound)...), problem.Handle(o.Log, h.deliveries))
	huma.Register(api, op("retryWebhookDelivery", http.MethodPost, "/{id}/deliveries/{delivery_id}/retry", "Send a delivery again", "Now, with the same id.",
		http.StatusAccepted, problem.NotFound), problem.Handle(o.Log, h.retry))
}

// Body is a webhook.
type Body struct {
	ID             string   `json:"id" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000091"`
	CreatedAt      string   `json:"created_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	UpdatedAt      string   `json:"updated_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	Scope          string   `json:"scope" doc:"own: what happens to the caller's channel and account; site: everything" example:"own"`
	URL            string   `json:"url" example:"https://bot.example.com/mediad"`
	Events         []string `json:"events" nullable:"false" example:"[\"stream.offline\",\"stream.online\"]"`
	Active         bool     `json:"active" example:"true"`
	Hint           string   `json:"hint" doc:"The secret's last four characters" example:"x7Q="`
	OldSecretUntil *string  `json:"old_secret_until" format:"date-time" doc:"Until then the secret before this one signs too; null: there is none" example:"2026-03-02T12:00:00.000Z"`
	FailingSince   *string  `json:"failing_since" format:"date-time" doc:"Nothing has been delivered since; null: all is well" example:"2026-03-01T12:00:00.000Z"`
	DisabledAt     *string  `json:"disabled_at" format:"date-time" doc:"By the server, after three days of failure; null: it is not" example:"2026-03-04T12:00:00.000Z"`
	Secret         string   `json:"secret,omitempty" doc:"Only in the answer to its making" example:"whsec_bWVkaWFk"`
}

// ListBody is a page.
type ListBody struct {
	Items      []Body  `json:"items" nullable:"false"`
	NextCursor *string `json:"next_cursor" doc:"null: this was the last page"`
}

// DeliveryBody is an event on its way to a webhook.
type DeliveryBody struct {
	ID           string  `json:"id" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000092"`
	CreatedAt    string  `json:"created_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	UpdatedAt    string  `json:"updated_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	EventID      string  `json:"event_id" format:"uuid" doc:"webhook-id of each attempt" example:"0198f2a0-0000-7000-8000-000000000093"`
	Type         string  `json:"type" example:"stream.online"`
	State        string  `json:"state" doc:"waiting, delivered, failed" example:"delivered"`
	Attempt      int     `json:"attempt" minimum:"0" doc:"How many there were" example:"1"`
	Status       *int    `json:"status" doc:"Of the last answer; null: there was none" example:"204"`
	Error        *string `json:"error" doc:"Why there was no answer, such as timeout, dns, refused, tls, blocked, or why it was not sent: disabled, suspended, no_right; null: there was one" example:"timeout"`
	DurationMS   *int64  `json:"duration_ms" doc:"Of the last attempt; null: there was none" example:"84"`
	ResponseHead *string `json:"response_head" doc:"The first bytes of the last answer's body, up to 1 KiB; null: there was none" example:"ok"`
	NextAt       *string `json:"next_at" format:"date-time" doc:"When it is tried next; null: no more" example:"2026-03-01T12:00:10.000Z"`
}

// DeliveriesBody is a page.
type DeliveriesBody struct {
	Items      []DeliveryBody `json:"items" nullable:"false"`
	NextCursor *string        `json:"next_cursor" doc:"null: this was the last page"`
}

func stamp(at *db.Millis) *string {
	if at == nil {
		return nil
	}
	text := problem.Stamp(at.Time())
	return &text
}

func body(w db.Webhook) Body {
	return Body{
		ID: w.ID, CreatedAt: problem.Stamp(w.CreatedAt.Time()), UpdatedAt: problem.Stamp(w.UpdatedAt.Time()), Scope: w.Scope, URL: w.URL,
		Events: w.Events, Active: w.Active, Hint: w.Hint, OldSecretUntil: stamp(w.OldUntil), FailingSince: stamp(w.FailingSince),
		DisabledAt: stamp(w.DisabledAt),
	}
}

func deliveryBody(d db.Delivery) DeliveryBody {
	b := DeliveryBody{
		ID: d.ID, CreatedAt: problem.Stamp(d.CreatedAt.Time()), UpdatedAt: problem.Stamp(d.UpdatedAt.Time()), EventID: d.EventID, Type: d.Type,
		State: d.State, Attempt: d.Attempt, NextAt: stamp(d.NextAt),
	}
	if d.Attempt > 0 {
		b.DurationMS = &d.DurationMS
	}
	if d.Status > 0 {
		b.Status, b.ResponseHead = &d.Status, &d.ResponseHead
	}
	if d.Error != "" {
		b.Error = &d.Error
	}
	return b
}

// ListInput names a page.
type ListInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before"`
}

type listOutput struct{ Body ListBody }

const listName = "webhooks"

// open reads where a page begins.
func (h *handlers) open(list, cursor string) (before string, err error) {
	if cursor == "" {
		return "", nil
	}
	if err := h.cursors.Open(list, cursor, &before); err != nil {
		return "", problem.New(problem.InvalidCursor, "The cursor was altered, or belongs to another list. Start again without it.")
	}
	return before, nil
}

// cut brings one row too many down to a page and seals the cursor behind it.
func cut[T any](h *handlers, list string, limit int, rows []T, id func(T) string) ([]T, *string, error) {
	if len(rows) <= limit {
		return rows, nil, nil
	}
	rows = rows[:limit]
	next, err := h.cursors.Seal(list, id(rows[limit-1]))
	return rows, &next, err
}

func (h *handlers) list(ctx context.Context, in *ListInput) (*listOutput, error) {
	before, err := h.open(listName, in.Cursor)
	if err != nil {
		return nil, err
	}
	rows, err := h.service.List(ctx, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &listOutput{Body: ListBody{Items: []Body{}}}
	rows, out.Body.NextCursor, err = cut(h, listName, in.Limit, rows, func(w db.Webhook) string { return w.ID })
	for _, w := range rows {
		out.Body.Items = append(out.Body.Items, body(w))
	}
	return out, err
}

// NewBody is a webhook to be made.
type NewBody struct {
	Scope  string   `json:"scope,omitempty" doc:"own, or for admins site; absent: own" example:"own"`
	URL    string   `json:"url" doc:"https://host[:port]/path" example:"https://bot.example.com/mediad"`
	Events []string `json:"events" nullable:"false" doc:"Types of events" example:"[\"stream.offline\",\"stream.online\"]"`
	Active *bool    `json:"active,omitempty" doc:"Absent: true" example:"true"`
}

type newInput struct{ Body NewBody }

type newOutput struct {
	Location string `header:"Location" hidden:"true"`
	Body     Body
}

func (h *handlers) create(ctx context.Context, in *newInput) (*newOutput, error) {
	active := in.Body.Active == nil || *in.Body.Active
	w, secret, err := h.service.Create(ctx, Create{Scope: in.Body.Scope, URL: in.Body.URL, Events: in.Body.Events, Active: active})
	if err != nil {
		return nil, err
	}
	out := &newOutput{Location: "/api/v1/me/webhooks/" + w.ID, Body: body(w)}
	out.Body.Secret = secret
	return out, nil
}

// IDInput names a webhook.
type IDInput struct {
	ID string `path:"id" doc:"Id of the webhook" example:"0198f2a0-0000-7000-8000-000000000091"`
}

// ChangeBody is what is changed of a webhook.
type ChangeBody struct {
	URL    patch.Field[string]   `json:"url,omitempty" example:"https://bot.example.com/mediad"`
	Events patch.Field[[]string] `json:"events,omitempty" doc:"In the place of those there are" example:"[\"stream.online\"]"`
	Active patch.Field[bool]     `json:"active,omitempty" example:"true"`
}

type changeInput struct {
	IDInput
	Body ChangeBody
}

type webhookOutput struct{ Body Body }

func (h *handlers) get(ctx context.Context, in *IDInput) (*webhookOutput, error) {
	w, err := h.service.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &webhookOutput{Body: body(w)}, nil
}

func (h *handlers) update(ctx context.Context, in *changeInput) (*webhookOutput, error) {
	var c Change
	in.Body.URL.ApplyPtr(&c.URL)
	in.Body.Events.ApplyPtr(&c.Events)
	in.Body.Active.ApplyPtr(&c.Active)
	// None of the three can be without a value, so null clears to what is refused, or off.
	if in.Body.URL.Null {
		c.URL = new(string)
	}
	if in.Body.Events.Null {
		c.Events = new([]string)
	}
	if in.Body.Active.Null {
		c.Active = new(bool)
	}
	w, err := h.service.Update(ctx, in.ID, c)
	if err != nil {
		return nil, err
	}
	return &webhookOutput{Body: body(w)}, nil
}

func (h *handlers) remove(ctx context.Context, in *IDInput) (*struct{}, error) {
	return nil, h.service.Delete(ctx, in.ID)
}

func (h *handlers) rotate(ctx context.Context, in *IDInput) (*webhookOutput, error) {
	w, secret, err := h.service.Rotate(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &webhookOutput{Body: body(w)}
	out.Body.Secret = secret
	return out, nil
}

type deliveryOutput struct{ Body DeliveryBody }

func (h *handlers) test(ctx context.Context, in *IDInput) (*deliveryOutput, error) {
	d, err := h.service.Try(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &deliveryOutput{Body: deliveryBody(d)}, nil
}

type deliveriesInput struct {
	IDInput
	ListInput
}

type deliveriesOutput struct{ Body DeliveriesBody }

func (h *handlers) deliveries(ctx context.Context, in *deliveriesInput) (*deliveriesOutput, error) {
	list := "deliveries " + in.ID
	before, err := h.open(list, in.Cursor)
	if err != nil {
		return nil, err
	}
	rows, err := h.service.Deliveries(ctx, in.ID, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &deliveriesOutput{Body: DeliveriesBody{Items: []DeliveryBody{}}}
	rows, out.Body.NextCursor, err = cut(h, list, in.Limit, rows, func(d db.Delivery) string { return d.ID })
	for _, d := range rows {
		out.Body.Items = append(out.Body.Items, deliveryBody(d))
	}
	return out, err
}

type retryInput struct {
	IDInput
	DeliveryID string `path:"delivery_id" doc:"Id of the delivery" example:"0198f2a0-0000-7000-8000-000000000092"`
}

func (h *handlers) retry(ctx context.Context, in *retryInput) (*deliveryOutput, error) {
	d, err := h.service.Retry(ctx, in.ID, in.DeliveryID)
	if err != nil {
		return nil, err
	}
	return &deliveryOutput{Body: deliveryBody(d)}, nil
}
