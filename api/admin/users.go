package admin

import (
	"context"
	"net/url"
	"strconv"

	"mediad/api/account"
	"mediad/api/audit"
	"mediad/api/patch"
	"mediad/api/problem"
	"mediad/store/db"
)

// UserBody is an account as admins see it.
type UserBody struct {
	account.UserBody
	Email              *string            `json:"email" doc:"Masked; null: none" example:"a***a@e***.com"`
	EmailVerified      bool               `json:"email_verified" example:"true"`
	Role               string             `json:"role" doc:"viewer, streamer, moderator, admin" example:"viewer"`
	State              string             `json:"state" doc:"active, suspended, leaving" example:"active"`
	SuspendedUntil     *string            `json:"suspended_until" format:"date-time" doc:"null: not suspended, or for good" example:"2026-03-08T12:00:00.000Z"`
	SuspendedReason    string             `json:"suspended_reason" example:"spam"`
	MustChangePassword bool               `json:"must_change_password" example:"false"`
	StreamerRequested  bool               `json:"streamer_requested" doc:"Waits to be made a streamer" example:"false"`
	StreamerNote       string             `json:"streamer_note" doc:"What the user wrote to that" example:"I play chess on Fridays."`
	Quota              account.LimitsBody `json:"quota" doc:"How much the user may have"`
	LastSeenAt         *string            `json:"last_seen_at" format:"date-time" doc:"null: never, or long ago" example:"2026-03-01T12:00:00.000Z"`
}

// UsersBody is a page.
type UsersBody struct {
	Items      []UserBody `json:"items" nullable:"false"`
	NextCursor *string    `json:"next_cursor" doc:"null: this was the last page"`
}

type usersInput struct {
	PageInput
	Q     string `query:"q" maxLength:"254" doc:"The begin of a username, a whole address, or an id" example:"ann"`
	Role  string `query:"role" enum:"viewer,streamer,moderator,admin" doc:"Only of this role"`
	State string `query:"state" enum:"active,suspended,leaving" doc:"Only in this state"`
	Sort  string `query:"sort" enum:"newest,oldest" default:"newest" doc:"By the time of making; with the begin of a username by name"`
	// Requested lists by the time of asking.
	Requested bool `query:"requested" doc:"Only who waits to be made a streamer, the longest first; without the other filters"`
}

type usersOutput struct{ Body UsersBody }

func (h *handlers) users(ctx context.Context, in *usersInput) (*usersOutput, error) {
	out, err := h.page(ctx, in)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(out.Body.Items))
	for i, u := range out.Body.Items {
		ids[i] = u.ID
	}
	// What cannot be recorded is not shown. Not what was looked for, which may be a name: the log outlives accounts.
	return out, h.Accounts.Note(ctx, audit.Entry{Action: "user.list", TargetType: "site", TargetID: "users", After: map[string]any{"users": ids}})
}

func (h *handlers) page(ctx context.Context, in *usersInput) (*usersOutput, error) {
	if in.Requested {
		return h.requests(ctx, in)
	}
	list := "admin users?" + url.Values{"q": {in.Q}, "role": {in.Role}, "state": {in.State}, "sort": {in.Sort}}.Encode()
	after, err := h.after(list, in.Cursor)
	if err != nil {
		return nil, err
	}
	f := db.UserFilter{Role: in.Role, State: in.State, Oldest: in.Sort == "oldest", After: after}
	found, err := h.Accounts.Search(ctx, in.Q, f, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &usersOutput{}
	found, out.Body.NextCursor, err = cut(h, list, in.Limit, found, func(u db.User) string {
		if h.Accounts.ByName(in.Q) {
			return u.Username
		}
		return u.ID
	})
	if err != nil {
		return nil, err
	}
	out.Body.Items, err = h.bodies(ctx, found...)
	return out, err
}

// requests lists who waits to be made a streamer. A page may be longer than was asked for, see db.ListStreamerRequests.
func (h *handlers) requests(ctx context.Context, in *usersInput) (*usersOutput, error) {
	if in.Q != "" || in.Role != "" || in.State != "" {
		p := problem.New(problem.ValidationFailed, "A value is not allowed; errors tells which.")
		p.Errors = []problem.Field{{Pointer: "/requested", Code: "invalid_format", Message: "not together with q, role or state"}}
		return nil, p
	}
	const list = "admin users that ask"
	after, err := h.after(list, in.Cursor)
	if err != nil {
		return nil, err
	}
	var since db.Millis
	if after != "" {
		n, err := strconv.ParseInt(after, 10, 64)
		if err != nil {
			return nil, err // we have sealed it
		}
		since = db.Millis(n)
	}
	found, err := h.Accounts.DB().Read(ctx).ListStreamerRequests(since, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &usersOutput{}
	if len(found) >= in.Limit {
		last := *found[len(found)-1].StreamerRequestedAt
		next, err := h.Cursors.Seal(list, strconv.FormatInt(int64(last), 10))
		if err != nil {
			return nil, err
		}
		out.Body.NextCursor = &next
	}
	out.Body.Items, err = h.bodies(ctx, found...)
	return out, err
}

func (h *handlers) bodies(ctx context.Context, users ...db.User) ([]UserBody, error) {
	seen, err := h.Views.Public(ctx, users...)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(users))
	for i, u := range users {
		ids[i] = u.ID
	}
	last, err := h.Accounts.DB().Read(ctx).LastSeen(ids)
	if err != nil {
		return nil, err
	}
	bodies := make([]UserBody, 0, len(users))
	for i, u := range users {
		email, err := h.Accounts.EmailOf(u)
		if err != nil {
			return nil, err
		}
		b := UserBody{
			UserBody: seen[i], EmailVerified: u.EmailVerifiedAt != nil, Role: u.Role, State: u.State, SuspendedUntil: stamp(u.SuspendedUntil),
			SuspendedReason: u.SuspendedReason, MustChangePassword: u.MustChangePassword, StreamerRequested: u.StreamerRequestedAt != nil,
			StreamerNote: u.StreamerNote, Quota: h.Accounts.LimitsBody(u),
		}
		if email != "" {
			masked := account.MaskEmail(email)
			b.Email = &masked
		}
		if at, ok := last[u.ID]; ok {
			b.LastSeenAt = stamp(&at)
		}
		bodies = append(bodies, b)
	}
	return bodies, nil
}

func stamp(m *db.Millis) *string {
	if m == nil {
		return nil
	}
	text := problem.Stamp(m.Time())
	return &text
}

// NewUserBody is an account to be made.
type NewUserBody struct {
	Username    string  `json:"username" example:"anna"`
	DisplayName *string `json:"display_name,omitempty" nullable:"false" doc:"1 to 50 characters; absent: the username" example:"Anna"`
	Role        string  `json:"role,omitempty" enum:"viewer,streamer,moderator,admin" doc:"Absent: viewer" example:"streamer"`
	Password    string  `json:"password,omitempty" doc:"Absent: a one-time password is made" example:"correct horse battery"`
	Email       string  `json:"email,omitempty" example:"anna@example.com"`
}

type newUserInput struct{ Body NewUserBody }

// MadeBody is a new account.
type MadeBody struct {
	UserBody
	OneTimePassword string `json:"one_time_password,omitempty" doc:"Shown this once; it has to be changed at the first login" example:"4XQ2M7"`
}

type madeOutput struct {
	Location string `header:"Location" hidden:"true"`
	Body     MadeBody
}

func (h *handlers) create(ctx context.Context, in *newUserInput) (*madeOutput, error) {
	b := in.Body
	made, err := h.Accounts.Create(ctx, account.Create{
		Username: b.Username, DisplayName: b.DisplayName, Password: b.Password, Role: account.Role(b.Role), Email: b.Email, ByAdmin: true,
	})
	if err != nil {
		return nil, account.Refusal(err)
	}
	bodies, err := h.bodies(ctx, made.User)
	if err != nil {
		return nil, err
	}
	return &madeOutput{Location: "/api/v1/users/" + made.User.ID, Body: MadeBody{bodies[0], made.OneTimePassword}}, nil
}

// ChangeBody is what an admin may change. What is absent stays.
type ChangeBody struct {
	Role               *string              `json:"role,omitempty" nullable:"false" enum:"viewer,streamer,moderator,admin" example:"streamer"`
	Verified           *bool                `json:"verified,omitempty" nullable:"false" doc:"The site vouches for who it is" example:"true"`
	MustChangePassword *bool                `json:"must_change_password,omitempty" nullable:"false" example:"true"`
	Quota              *account.LimitsPatch `json:"quota,omitempty" nullable:"false" doc:"How much the user may have in the place of the site's limits"`
}

type changeInput struct {
	UserInput
	IfMatch string `header:"If-Match" doc:"The ETag of what is changed; 412 if it was changed meanwhile"`
	Body    ChangeBody
}

type userOutput struct {
	ETag string `header:"ETag" hidden:"true"`
	Body UserBody
}

func (h *handlers) change(ctx context.Context, in *changeInput) (*userOutput, error) {
	u, err := h.named(ctx, in.User)
	if err != nil {
		return nil, err
	}
	m := account.Moderation{Verified: in.Body.Verified, MustChange: in.Body.MustChangePassword, Limits: in.Body.Quota}
	if m.Version, err = patch.Matched(in.IfMatch); err != nil {
		return nil, err
	}
	if in.Body.Role != nil {
		role := account.Role(*in.Body.Role)
		m.Role = &role
	}
	if u, err = h.Accounts.Moderate(ctx, u.ID, m); err != nil {
		return nil, account.Refusal(err)
	}
	bodies, err := h.bodies(ctx, u)
	if err != nil {
		return nil, err
	}
	return &userOutput{ETag: patch.VersionTag(u.Version), Body: bodies[0]}, nil
}
