package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/store/db"
)

// registerAudit mounts the reading of the audit log.
func (h *handlers) registerAudit(api huma.API, op func(id, method, path, summary string, status int, more ...problem.Code) huma.Operation) {
	huma.Register(api, op("listAudit", http.MethodGet, "/admin/audit", "The audit log, the newest first", http.StatusOK), problem.Handle(h.Log, h.audit))
	export := op("exportAudit", http.MethodGet, "/admin/audit.ndjson", "The same as a file: an entry a line, as they are in the list", http.StatusOK, problem.RateLimited)
	export.Description = "It is sent while it is read, and itself recorded. A connection that is broken off means that it is not whole."
	export.Responses["200"] = &huma.Response{
		Description: "OK", Content: map[string]*huma.MediaType{ndjson: {Schema: &huma.Schema{Type: huma.TypeString}}},
	}
	huma.Register(api, export, problem.Handle(h.Log, h.exportAudit))
}

// EntryBody is an entry of the audit log.
type EntryBody struct {
	ID        string     `json:"id" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000071"`
	At        string     `json:"at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	Actor     ActorBody  `json:"actor"`
	IP        string     `json:"ip" doc:"Masked; empty: none" example:"203.0.113.x"`
	RequestID string     `json:"request_id" example:"0198f2a0-0000-7000-8000-000000000001"`
	Action    string     `json:"action" example:"role.change"`
	Target    TargetBody `json:"target"`
	Before    any        `json:"before" doc:"Masked; null: nothing"`
	After     any        `json:"after" doc:"Masked; null: nothing"`
	Reason    string     `json:"reason" example:"spam"`
	Outcome   string     `json:"outcome" doc:"ok, denied" example:"ok"`
	PrevHash  string     `json:"prev_hash" doc:"Of the entry before it on its node and day" example:"9f86d081884c7d65"`
}

// ActorBody is who did it.
type ActorBody struct {
	ID       string  `json:"id" doc:"Empty: nobody who was signed in" example:"0198f2a0-0000-7000-8000-000000000001"`
	Role     string  `json:"role" example:"admin"`
	Via      string  `json:"via" doc:"session, token, key, system" example:"session"`
	Username *string `json:"username" doc:"As it is now; null: no user, or one who is gone" example:"anna"`
}

// TargetBody is what it was done to.
type TargetBody struct {
	Type     string  `json:"type" example:"user"`
	ID       string  `json:"id" example:"0198f2a0-0000-7000-8000-000000000002"`
	Username *string `json:"username" doc:"As it is now; null: no user, or one who is gone" example:"bert"`
}

// AuditBody is a page.
type AuditBody struct {
	Items      []EntryBody `json:"items" nullable:"false"`
	NextCursor *string     `json:"next_cursor" doc:"null: this was the last page"`
}

// AuditFilter narrows what is read of the audit log.
type AuditFilter struct {
	Actor   string    `query:"actor" maxLength:"64" doc:"Only by this user, by id or @username" example:"@anna"`
	Action  string    `query:"action" maxLength:"64" doc:"Only this" example:"role.change"`
	Target  string    `query:"target" maxLength:"128" doc:"Only to this: type, colon, id; of a user also the @username" example:"user:@bert"`
	Outcome string    `query:"outcome" enum:"ok,denied" doc:"Only these" example:"denied"`
	From    time.Time `query:"from" doc:"Not before" example:"2026-03-01T00:00:00.000Z"`
	To      time.Time `query:"to" doc:"Before" example:"2026-03-02T00:00:00.000Z"`
}

// values are what a filter was asked for, to name its list and its record.
func (f AuditFilter) values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"actor": f.Actor, "action": f.Action, "target": f.Target, "outcome": f.Outcome} {
		if value != "" {
			v.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"from": f.From, "to": f.To} {
		if !at.IsZero() {
			v.Set(name, problem.Stamp(at))
		}
	}
	return v
}

// narrowed is the filter as the database has it. none: it names a user whom there is not, and so finds nothing.
func (h *handlers) narrowed(ctx context.Context, in AuditFilter) (f db.AuditFilter, none bool, err error) {
	f = db.AuditFilter{Action: in.Action, Outcome: in.Outcome}
	if f.ActorID, none, err = h.idOf(ctx, in.Actor); none || err != nil {
		return f, none, err
	}
	if in.Target != "" {
		kind, id, ok := strings.Cut(in.Target, ":")
		if !ok {
			p := problem.New(problem.ValidationFailed, "A value is not allowed; errors tells which.")
			p.Errors = []problem.Field{{Pointer: "/target", Code: "invalid_format", Message: "a type, a colon and an id"}}
			return f, false, p
		}
		f.TargetType, f.TargetID = kind, id
		if kind == "user" {
			if f.TargetID, none, err = h.idOf(ctx, id); none || err != nil {
				return f, none, err
			}
		}
	}
	if !in.From.IsZero() {
		f.From = db.At(in.From)
	}
	if !in.To.IsZero() {
		f.To = db.At(in.To)
	}
	return f, false, nil
}

// idOf is the id that an @username stands for; whatever else was named is one.
func (h *handlers) idOf(ctx context.Context, user string) (id string, none bool, err error) {
	name, ok := strings.CutPrefix(user, "@")
	if !ok {
		return user, false, nil
	}
	u, err := h.Accounts.DB().Read(ctx).FindUserByName(strings.ToLower(name))
	if errors.Is(err, db.ErrNotFound) {
		return "", true, nil
	}
	return u.ID, false, err
}

type auditInput struct {
	PageInput
	AuditFilter
}

type auditOutput struct{ Body AuditBody }

func (h *handlers) audit(ctx context.Context, in *auditInput) (*auditOutput, error) {
	list := "audit?" + in.values().Encode()
	before, err := h.after(list, in.Cursor)
	if err != nil {
		return nil, err
	}
	out := &auditOutput{Body: AuditBody{Items: []EntryBody{}}}
	f, none, err := h.narrowed(ctx, in.AuditFilter)
	if none || err != nil {
		return out, err
	}
	f.Before = before
	q := h.Accounts.DB().Read(ctx)
	rows, err := q.ListAudit(f, in.Limit+1)
	if err != nil {
		return nil, err
	}
	rows, out.Body.NextCursor, err = cut(h, list, in.Limit, rows, func(a db.Audit) string { return a.ID })
	if err != nil {
		return nil, err
	}
	found, err := entries(q, rows)
	out.Body.Items = append(out.Body.Items, found...)
	return out, err
}

// entries are rows as they are shown, with the names of the users in them.
func entries(q db.Queries, rows []db.Audit) ([]EntryBody, error) {
	names, err := usernames(q, rows)
	if err != nil {
		return nil, err
	}
	all := make([]EntryBody, 0, len(rows))
	for _, a := range rows {
		e := EntryBody{
			ID: a.ID, At: problem.Stamp(a.At.Time()), Actor: ActorBody{ID: a.ActorID, Role: a.ActorRole, Via: a.Via, Username: names[a.ActorID]}, IP: a.IP,
			RequestID: a.RequestID, Action: a.Action, Target: TargetBody{Type: a.TargetType, ID: a.TargetID}, Reason: a.Reason, Outcome: a.Outcome,
			PrevHash: a.PrevHash,
		}
		if a.TargetType == "user" {
			e.Target.Username = names[a.TargetID]
		}
		if e.Before, err = decoded(a.Before); err != nil {
			return nil, err
		}
		if e.After, err = decoded(a.After); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// usernames are those of the users in the rows who are not gone, by id.
func usernames(q db.Queries, rows []db.Audit) (map[string]*string, error) {
	names := map[string]*string{}
	for _, a := range rows {
		if a.ActorID != "" && a.Via != string(caller.Key) {
			names[a.ActorID] = nil
		}
		if a.TargetType == "user" && a.TargetID != "" {
			names[a.TargetID] = nil
		}
	}
	ids := make([]string, 0, len(names))
	for id := range names {
		ids = append(ids, id)
	}
	users, err := q.FindUsers(ids)
	for _, u := range users {
		if u.State != db.UserErased {
			names[u.ID] = &u.Username
		}
	}
	return names, err
}

func decoded(text string) (v any, err error) {
	if text != "" {
		err = json.Unmarshal([]byte(text), &v)
	}
	return v, err
}
