package admin

import (
	"context"
	"time"

	"mediad/api/problem"
	"mediad/store/db"
)

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

type oneInviteOutput struct{ Body InviteBody }

func (h *handlers) oneInvite(ctx context.Context, in *inviteInput) (*oneInviteOutput, error) {
	row, err := h.Auth.FindInvite(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &oneInviteOutput{inviteBody(row)}, nil
}

func (h *handlers) uninvite(ctx context.Context, in *inviteInput) (*struct{}, error) {
	return nil, h.Auth.DeleteInvite(ctx, in.ID)
}
