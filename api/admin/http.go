// Package admin is what moderators and admins do to accounts, over HTTP. The rules are those of account and auth.
package admin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/account"
	"mediad/api/alert"
	"mediad/api/audit"
	"mediad/api/auth"
	"mediad/api/page"
	"mediad/api/problem"
	"mediad/api/setting"
	"mediad/api/upkeep"
	"mediad/store/db"
	"mediad/store/job"
)

// HTTP is what the routes need.
type HTTP struct {
	Accounts *account.Service
	Auth     *auth.Service
	Views    *account.Views
	Settings *setting.Service
	// Overview tells how the site stands.
	Overview func(context.Context) (Overview, error)
	Jobs     job.Admin
	Upkeep   *upkeep.Service
	Alerts   *alert.Service
	Cursors  page.Codec
	// Stream lets an answer that is fine be followed by what is written while it is sent.
	Stream func(ctx context.Context, s Streamed)
	Log    *slog.Logger
}

// Streamed is a body that is written while it is sent. Done is called in any case, once; Write only where the answer has a body.
type Streamed struct {
	Write func(ctx context.Context, w io.Writer) error
	Done  func()
}

type handlers struct {
	HTTP
	exports chan struct{} // a token each of those that run
}

// Register mounts the routes.
func Register(api huma.API, o HTTP) {
	h := &handlers{o, make(chan struct{}, maxAuditExports)}
	op := func(id, method, path, summary string, status int, more ...problem.Code) huma.Operation {
		codes := []problem.Code{problem.Unauthenticated, problem.ScopeMissing, problem.RoleRequired, problem.InvalidParameter, problem.ValidationFailed}
		codes = append(codes, more...)
		if method == http.MethodGet {
			codes = append(codes, problem.InvalidCursor)
		} else {
			codes = append(codes, problem.MalformedJSON, problem.UnsupportedMediaType)
		}
		return problem.Document(api, huma.Operation{
			OperationID: id, Method: method, Path: "/api/v1" + path, Tags: []string{"admin"}, Summary: summary, DefaultStatus: status,
		}, codes...)
	}
	handle := o.Log
	huma.Register(api, op("suspendUser", http.MethodPut, "/users/{user}/suspension", "Keep a user out", http.StatusNoContent, problem.NotFound, problem.LastAdmin),
		problem.Handle(handle, h.suspend))
	huma.Register(api, op("releaseUser", http.MethodDelete, "/users/{user}/suspension", "Let a user in again", http.StatusNoContent, problem.NotFound),
		problem.Handle(handle, h.release))
	huma.Register(api, op("getSuspension", http.MethodGet, "/users/{user}/suspension", "Whether and why a user is kept out", http.StatusOK, problem.NotFound),
		problem.Handle(handle, h.suspension))
	huma.Register(api, op("listUsers", http.MethodGet, "/admin/users", "Accounts", http.StatusOK), problem.Handle(handle, h.users))
	huma.Register(api, op("createUser", http.MethodPost, "/admin/users", "Make an account", http.StatusCreated, problem.UsernameTaken, problem.EmailTaken),
		problem.Handle(handle, h.create))
	huma.Register(api, op("moderateUser", http.MethodPatch, "/admin/users/{user}", "Change an account", http.StatusOK,
		problem.NotFound, problem.LastAdmin, problem.VersionMismatch), problem.Handle(handle, h.change))
	huma.Register(api, op("createPasswordReset", http.MethodPost, "/admin/users/{user}/password-reset", "A link to a new password, shown once",
		http.StatusOK, problem.NotFound), problem.Handle(handle, h.reset))
	huma.Register(api, op("signOutUser", http.MethodPost, "/admin/users/{user}/logout", "End every session of a user", http.StatusNoContent, problem.NotFound),
		problem.Handle(handle, h.signOut))
	huma.Register(api, op("revealUser", http.MethodGet, "/admin/users/{user}/reveal", "What is masked elsewhere, for a reason that is recorded",
		http.StatusOK, problem.NotFound), problem.Handle(handle, h.reveal))
	huma.Register(api, op("listInvites", http.MethodGet, "/admin/invites", "Invitations, the newest first", http.StatusOK), problem.Handle(handle, h.invites))
	huma.Register(api, op("createInvite", http.MethodPost, "/admin/invites", "Make an invitation, whose code is shown this once", http.StatusCreated),
		problem.Handle(handle, h.invite))
	huma.Register(api, op("getInvite", http.MethodGet, "/admin/invites/{id}", "An invitation, without its code", http.StatusOK, problem.NotFound),
		problem.Handle(handle, h.oneInvite))
	huma.Register(api, op("deleteInvite", http.MethodDelete, "/admin/invites/{id}", "End an invitation", http.StatusNoContent, problem.NotFound),
		problem.Handle(handle, h.uninvite))
	h.registerAudit(api, op)
	h.registerSettings(api, op)
	h.registerOverview(api, op)
	h.registerJobs(api, op)
	h.registerUpkeep(api, op)
	h.registerAlerts(api, op)
}

// UserInput names a user.
type UserInput struct {
	User string `path:"user" doc:"Id or @username" example:"@anna"`
}

// PageInput names a page.
type PageInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before, with the same filters and sort"`
}

// cut brings one row too many down to a page and seals the cursor behind it.
func cut[T any](h *handlers, list string, limit int, rows []T, position func(T) string) ([]T, *string, error) {
	if len(rows) <= limit {
		return rows, nil, nil
	}
	rows = rows[:limit]
	next, err := h.Cursors.Seal(list, position(rows[limit-1]))
	return rows, &next, err
}

func (h *handlers) after(list, cursor string) (after string, err error) {
	if cursor == "" {
		return "", nil
	}
	if err := h.Cursors.Open(list, cursor, &after); err != nil {
		return "", problem.New(problem.InvalidCursor, "The cursor was altered, or belongs to another list. Start again without it.")
	}
	return after, nil
}

func (h *handlers) named(ctx context.Context, user string) (db.User, error) {
	u, err := h.Accounts.Named(ctx, user)
	if errors.Is(err, account.ErrNotFound) {
		return db.User{}, account.NoUser()
	}
	return u, err
}

// SuspensionBody says for how long and why.
type SuspensionBody struct {
	Until  *time.Time `json:"until,omitempty" doc:"Absent: for good" example:"2026-03-08T12:00:00.000Z"`
	Reason string     `json:"reason" doc:"1 to 500 characters; the user is told" example:"spam"`
}

type suspendInput struct {
	UserInput
	Body SuspensionBody
}

func (h *handlers) suspend(ctx context.Context, in *suspendInput) (*struct{}, error) {
	u, err := h.named(ctx, in.User)
	if err != nil {
		return nil, err
	}
	return nil, account.Refusal(h.Accounts.Suspend(ctx, u.ID, in.Body.Until, in.Body.Reason))
}

func (h *handlers) release(ctx context.Context, in *UserInput) (*struct{}, error) {
	u, err := h.named(ctx, in.User)
	if err != nil {
		return nil, err
	}
	return nil, account.Refusal(h.Accounts.Release(ctx, u.ID))
}

// SuspendedBody says whether a user is kept out.
type SuspendedBody struct {
	Suspended bool    `json:"suspended" example:"true"`
	Until     *string `json:"until" format:"date-time" doc:"null: for good, or not suspended" example:"2026-03-08T12:00:00.000Z"`
	Reason    string  `json:"reason" doc:"Empty: not suspended" example:"spam"`
}

type suspendedOutput struct{ Body SuspendedBody }

func (h *handlers) suspension(ctx context.Context, in *UserInput) (*suspendedOutput, error) {
	u, err := h.named(ctx, in.User)
	if err != nil {
		return nil, err
	}
	if err := h.note(ctx, "user.suspension.read", u, ""); err != nil {
		return nil, err
	}
	out := &suspendedOutput{}
	if h.Accounts.Suspended(u) {
		out.Body = SuspendedBody{true, stamp(u.SuspendedUntil), u.SuspendedReason}
	}
	return out, nil
}

func (h *handlers) signOut(ctx context.Context, in *UserInput) (*struct{}, error) {
	u, err := h.named(ctx, in.User)
	if err != nil {
		return nil, err
	}
	return nil, account.Refusal(h.Accounts.SignOut(ctx, u.ID))
}

// ResetBody is a link to a new password.
type ResetBody struct {
	URL       string `json:"url" doc:"Good once; shown this once" example:"https://tv.example.com/reset-password#token=mdc_7fJq"`
	ExpiresAt string `json:"expires_at" format:"date-time" example:"2026-03-01T12:30:00.000Z"`
}

type resetOutput struct{ Body ResetBody }

func (h *handlers) reset(ctx context.Context, in *UserInput) (*resetOutput, error) {
	u, err := h.named(ctx, in.User)
	if err != nil {
		return nil, err
	}
	if err := h.note(ctx, "password.reset_link", u, ""); err != nil {
		return nil, err
	}
	link, expires, err := h.Auth.ResetLink(ctx, u.ID)
	if err != nil {
		return nil, account.Refusal(err)
	}
	return &resetOutput{Body: ResetBody{URL: link, ExpiresAt: problem.Stamp(expires)}}, nil
}

// note records an act before it is done: what cannot be recorded is not done.
func (h *handlers) note(ctx context.Context, action string, u db.User, reason string) error {
	return h.Accounts.Note(ctx, audit.Entry{Action: action, TargetType: "user", TargetID: u.ID, Reason: reason})
}

type revealInput struct {
	UserInput
	Field  string `query:"field" required:"true" enum:"email,ip" doc:"email, or ip: the address that the newest session came from"`
	Reason string `query:"reason" required:"true" minLength:"1" maxLength:"500" doc:"It is recorded" example:"abuse report 17"`
}

// RevealedBody is a value as it is.
type RevealedBody struct {
	Value *string `json:"value" doc:"null: there is none" example:"anna@example.com"`
}

type revealOutput struct{ Body RevealedBody }

func (h *handlers) reveal(ctx context.Context, in *revealInput) (*revealOutput, error) {
	u, err := h.named(ctx, in.User)
	if err != nil {
		return nil, err
	}
	if err := h.note(ctx, "user.reveal."+in.Field, u, in.Reason); err != nil {
		return nil, err
	}
	var value string
	if in.Field == "email" {
		value, err = h.Accounts.EmailOf(u)
	} else {
		value, err = h.Auth.LastAddress(ctx, u)
	}
	if err != nil {
		return nil, err
	}
	out := &revealOutput{}
	if value != "" {
		out.Body.Value = &value
	}
	return out, nil
}
