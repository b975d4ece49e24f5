package admin

import (
	"context"
	"math"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/problem"
	"mediad/store/db"
)

// registerAlerts mounts what admins are told by the server's own rules.
func (h *handlers) registerAlerts(api huma.API, op func(id, method, path, summary string, status int, more ...problem.Code) huma.Operation) {
	huma.Register(api, op("listAlerts", http.MethodGet, "/admin/alerts", "What the server's rules find wrong, or did, the newest first", http.StatusOK),
		problem.Handle(h.Log, h.alerts))
	huma.Register(api, op("ackAlert", http.MethodPost, "/admin/alerts/{id}/ack", "Note that one was seen", http.StatusOK, problem.NotFound),
		problem.Handle(h.Log, h.ackAlert))
}

// AlertBody is an alert.
type AlertBody struct {
	ID         string            `json:"id" format:"uuid" example:"0198f2a0-0000-7000-8000-0000000000a1"`
	Rule       string            `json:"rule" doc:"As it is called in the file of rules" example:"MediadDiskLow"`
	Severity   string            `json:"severity" doc:"info, warning, critical, or what the rule says" example:"warning"`
	Summary    string            `json:"summary" example:"Under 10 % of the disk of data are free."`
	Labels     map[string]string `json:"labels" nullable:"false" doc:"Of the metric and of the rule"`
	Node       string            `json:"node" doc:"Which tells of it" example:"media-1-0198f2a0-0000-7000-8000-000000000095"`
	State      string            `json:"state" doc:"firing, resolved" example:"firing"`
	Resolution *string           `json:"resolution" doc:"cleared: it holds no more; node_gone: its node is not there any more; rule_gone: its rule is not; null: it fires" example:"cleared"`
	Value      *float64          `json:"value" doc:"Of the rule's expression when it fired; null: no finite number" example:"0.07"`
	FiredAt    string            `json:"fired_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	ResolvedAt *string           `json:"resolved_at" format:"date-time" doc:"null: it fires" example:"2026-03-01T12:10:00.000Z"`
	AckedAt    *string           `json:"acked_at" format:"date-time" doc:"null: nobody has seen it" example:"2026-03-01T12:05:00.000Z"`
	AckedBy    *string           `json:"acked_by" format:"uuid" doc:"The user who has; null: nobody" example:"0198f2a0-0000-7000-8000-000000000001"`
}

// AlertsBody is a page.
type AlertsBody struct {
	Items      []AlertBody `json:"items" nullable:"false"`
	NextCursor *string     `json:"next_cursor" doc:"null: this was the last page"`
}

func alertBody(a db.Alert) AlertBody {
	b := AlertBody{
		ID: a.ID, Rule: a.Rule, Severity: a.Severity, Summary: a.Summary, Labels: a.Labels, Node: a.Node, State: a.State,
		FiredAt: problem.Stamp(a.FiredAt.Time()), ResolvedAt: stamp(a.ResolvedAt), AckedAt: stamp(a.AckedAt),
	}
	if b.Labels == nil {
		b.Labels = map[string]string{}
	}
	if a.Resolution != "" {
		b.Resolution = &a.Resolution
	}
	if a.Value != nil && !math.IsInf(*a.Value, 0) && !math.IsNaN(*a.Value) {
		b.Value = a.Value
	}
	if a.AckedBy != "" {
		b.AckedBy = &a.AckedBy
	}
	return b
}

type alertsInput struct {
	PageInput
	State string `query:"state" enum:"firing,resolved" doc:"Only these" example:"firing"`
}

type alertsOutput struct{ Body AlertsBody }

func (h *handlers) alerts(ctx context.Context, in *alertsInput) (*alertsOutput, error) {
	list := "alerts?" + url.Values{"state": {in.State}}.Encode()
	before, err := h.after(list, in.Cursor)
	if err != nil {
		return nil, err
	}
	rows, err := h.Alerts.List(ctx, in.State, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &alertsOutput{Body: AlertsBody{Items: []AlertBody{}}}
	rows, out.Body.NextCursor, err = cut(h, list, in.Limit, rows, func(a db.Alert) string { return a.ID })
	for _, a := range rows {
		out.Body.Items = append(out.Body.Items, alertBody(a))
	}
	return out, err
}

type alertInput struct {
	ID string `path:"id" maxLength:"64" doc:"Id of the alert" example:"0198f2a0-0000-7000-8000-0000000000a1"`
}

type alertOutput struct{ Body AlertBody }

func (h *handlers) ackAlert(ctx context.Context, in *alertInput) (*alertOutput, error) {
	a, err := h.Alerts.Ack(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &alertOutput{alertBody(a)}, nil
}
