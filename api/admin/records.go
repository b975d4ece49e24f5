package admin

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"mediad/api/problem"
	"mediad/store/db"
)

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
	ID   string `json:"id" doc:"Empty: nobody who was signed in" example:"0198f2a0-0000-7000-8000-000000000001"`
	Role string `json:"role" example:"admin"`
	Via  string `json:"via" doc:"session, token, key, system" example:"session"`
}

// TargetBody is what it was done to.
type TargetBody struct {
	Type string `json:"type" example:"user"`
	ID   string `json:"id" example:"0198f2a0-0000-7000-8000-000000000002"`
}

// AuditBody is a page.
type AuditBody struct {
	Items      []EntryBody `json:"items" nullable:"false"`
	NextCursor *string     `json:"next_cursor" doc:"null: this was the last page"`
}

type auditInput struct {
	PageInput
	Actor  string    `query:"actor" maxLength:"64" doc:"Only by this user, by id" example:"0198f2a0-0000-7000-8000-000000000001"`
	Action string    `query:"action" maxLength:"64" doc:"Only this" example:"role.change"`
	Target string    `query:"target" maxLength:"128" doc:"Only to this: type, colon, id" example:"user:0198f2a0-0000-7000-8000-000000000002"`
	From   time.Time `query:"from" doc:"Not before" example:"2026-03-01T00:00:00.000Z"`
	To     time.Time `query:"to" doc:"Before" example:"2026-03-02T00:00:00.000Z"`
}

type auditOutput struct{ Body AuditBody }

func (h *handlers) audit(ctx context.Context, in *auditInput) (*auditOutput, error) {
	list := "audit?" + url.Values{
		"actor": {in.Actor}, "action": {in.Action}, "target": {in.Target}, "from": {in.From.String()}, "to": {in.To.String()},
	}.Encode()
	before, err := h.after(list, in.Cursor)
	if err != nil {
		return nil, err
	}
	f := db.AuditFilter{ActorID: in.Actor, Action: in.Action, Before: before}
	if in.Target != "" {
		kind, id, ok := strings.Cut(in.Target, ":")
		if !ok {
			p := problem.New(problem.ValidationFailed, "A value is not allowed; errors tells which.")
			p.Errors = []problem.Field{{Pointer: "/target", Code: "invalid_format", Message: "a type, a colon and an id"}}
			return nil, p
		}
		f.TargetType, f.TargetID = kind, id
	}
	if !in.From.IsZero() {
		f.From = db.At(in.From)
	}
	if !in.To.IsZero() {
		f.To = db.At(in.To)
	}
	rows, err := h.Accounts.DB().Read(ctx).ListAudit(f, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &auditOutput{Body: AuditBody{Items: []EntryBody{}}}
	rows, out.Body.NextCursor, err = cut(h, list, in.Limit, rows, func(a db.Audit) string { return a.ID })
	if err != nil {
		return nil, err
	}
	for _, a := range rows {
		e := EntryBody{
			ID: a.ID, At: problem.Stamp(a.At.Time()), Actor: ActorBody{a.ActorID, a.ActorRole, a.Via}, IP: a.IP, RequestID: a.RequestID, Action: a.Action,
			Target: TargetBody{a.TargetType, a.TargetID}, Reason: a.Reason, Outcome: a.Outcome, PrevHash: a.PrevHash,
		}
		if e.Before, err = decoded(a.Before); err != nil {
			return nil, err
		}
		if e.After, err = decoded(a.After); err != nil {
			return nil, err
		}
		out.Body.Items = append(out.Body.Items, e)
	}
	return out, nil
}

func decoded(text string) (v any, err error) {
	if text != "" {
		err = json.Unmarshal([]byte(text), &v)
	}
	return v, err
}

// InviteBody is an invitation.
type InviteBody struct {
	ID        string  `json:"id" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000081"`
	CreatedAt string  `json:"created_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	UpdatedAt string  `json:"updated_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	Hint      string  `json:"hint" doc:"The last four characters of its code" example:"x7Qp"`
	UsesLeft  int64   `json:"uses_left" minimum:"0" example:"5"`
	ExpiresAt *string `json:"expires_at" format:"date-time" doc:"null: never" example:"2026-04-01T12:00:00.000Z"`
	Code      string  `json:"code,omitempty" doc:"Only in the answer to its making" example:"mdi_9bq2"`
}

// InvitesBody is a page.
type InvitesBody struct {
	Items      []InviteBody `json:"items" nullable:"false"`
	NextCursor *string      `json:"next_cursor" doc:"null: this was the last page"`
}

func inviteBody(i db.Invite) InviteBody {
	at := problem.Stamp(i.CreatedAt.Time())
	return InviteBody{ID: i.ID, CreatedAt: at, UpdatedAt: at, Hint: i.Hint, UsesLeft: i.UsesLeft, ExpiresAt: stamp(i.ExpiresAt)}
}

type invitesOutput struct{ Body InvitesBody }

func (h *handlers) invites(ctx context.Context, in *PageInput) (*invitesOutput, error) {
	before, err := h.after("invites", in.Cursor)
	if err != nil {
		return nil, err
	}
	rows, err := h.Auth.Invites(ctx, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &invitesOutput{Body: InvitesBody{Items: []InviteBody{}}}
	rows, out.Body.NextCursor, err = cut(h, "invites", in.Limit, rows, func(i db.Invite) string { return i.ID })
	for _, i := range rows {
		out.Body.Items = append(out.Body.Items, inviteBody(i))
	}
	return out, err
}

// NewInviteBody is an invitation to be made.
type NewInviteBody struct {
	Uses      int64      `json:"uses,omitempty" minimum:"1" maximum:"10000" default:"1" doc:"How many may register with it" example:"5"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"Absent: never" example:"2026-04-01T12:00:00.000Z"`
}

type newInviteInput struct{ Body NewInviteBody }

type inviteOutput struct {
	Location string `header:"Location" hidden:"true"`
	Body     InviteBody
}

func (h *handlers) invite(ctx context.Context, in *newInviteInput) (*inviteOutput, error) {
	row, code, err := h.Auth.Invite(ctx, in.Body.Uses, in.Body.ExpiresAt)
	if err != nil {
		return nil, err
	}
	out := &inviteOutput{Location: "/api/v1/admin/invites/" + row.ID, Body: inviteBody(row)}
	out.Body.Code = code
	return out, nil
}

type inviteInput struct {
	ID string `path:"id" doc:"Id of the invitation" example:"0198f2a0-0000-7000-8000-000000000081"`
}

func (h *handlers) uninvite(ctx context.Context, in *inviteInput) (*struct{}, error) {
	return nil, h.Auth.DeleteInvite(ctx, in.ID)
}
