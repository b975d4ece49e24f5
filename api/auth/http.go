package auth

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/account"
	"mediad/api/caller"
	"mediad/api/page"
	"mediad/api/problem"
	"mediad/api/text"
	"mediad/store/db"
)

// HTTP is what the routes need beside the service.
type HTTP struct {
	Service *Service
	Views   *account.Views
	Cursors page.Codec
	// Origins are those of other sites whose pages may use the cookie, beside the site's own, exact: "https://example.com".
	Origins []string
	// Left is told of a user who has closed the account, and of their streams, whose broadcasts end.
	Left func(ctx context.Context, userID string, streams []db.Stream)
	Log  *slog.Logger
}

type handlers struct {
	service *Service
	views   *account.Views
	cursors page.Codec
	origins []string
	left    func(ctx context.Context, userID string, streams []db.Stream)
}

const tag = "auth"

// Register mounts the routes of sessions and tokens.
func Register(api huma.API, o HTTP) {
	h := &handlers{service: o.Service, views: o.Views, cursors: o.Cursors, origins: o.Origins, left: o.Left}
	body := []problem.Code{problem.MalformedJSON, problem.UnsupportedMediaType, problem.ValidationFailed}
	user := []problem.Code{problem.Unauthenticated, problem.ScopeMissing}
	with := func(groups ...[]problem.Code) []problem.Code {
		var all []problem.Code
		for _, g := range groups {
			all = append(all, g...)
		}
		return all
	}
	op := func(id, method, path, summary, description string, status int, codes ...problem.Code) huma.Operation {
		return problem.Document(api, huma.Operation{
			OperationID: id, Method: method, Path: path, Tags: []string{tag}, Summary: summary, Description: description, DefaultStatus: status,
		}, codes...)
	}
	huma.Register(api, op("register", http.MethodPost, "/api/v1/auth/register", "Make an account", "And sign in.", http.StatusCreated,
		with(body, []problem.Code{problem.UsernameTaken, problem.EmailTaken, problem.Forbidden, problem.OriginRefused})...), problem.Handle(o.Log, h.register))
	huma.Register(api, op("login", http.MethodPost, "/api/v1/auth/login", "Sign in", "", http.StatusOK,
		with(body, []problem.Code{problem.BadCredentials, problem.TwoFactorRequired, problem.TwoFactorInvalid, problem.LoginThrottled, problem.OriginRefused})...),
		problem.Handle(o.Log, h.login))
	huma.Register(api, op("refresh", http.MethodPost, "/api/v1/auth/refresh", "Get new tokens for a refresh token",
		"The old one is good no more. Without a body the cookie is taken; then the header X-Mediad-Csrf has to be 1.", http.StatusOK,
		with(body, []problem.Code{problem.RefreshInvalid, problem.RefreshReused, problem.CSRF, problem.OriginRefused})...), problem.Handle(o.Log, h.refresh))
	huma.Register(api, op("logout", http.MethodPost, "/api/v1/auth/logout", "End this session", "", http.StatusNoContent, user...),
		problem.Handle(o.Log, h.logout))
	huma.Register(api, op("listSessions", http.MethodGet, "/api/v1/auth/sessions", "Living sessions of the caller", "The newest first.", http.StatusOK,
		with(user, []problem.Code{problem.InvalidCursor, problem.InvalidParameter, problem.ValidationFailed})...), problem.Handle(o.Log, h.sessions))
	huma.Register(api, op("endSession", http.MethodDelete, "/api/v1/auth/sessions/{id}", "End a session", "", http.StatusNoContent,
		with(user, []problem.Code{problem.NotFound})...), problem.Handle(o.Log, h.endSession))
	huma.Register(api, op("endOtherSessions", http.MethodDelete, "/api/v1/auth/sessions", "End all sessions but this one", "", http.StatusNoContent, user...),
		problem.Handle(o.Log, h.endOthers))
	huma.Register(api, op("changePassword", http.MethodPost, "/api/v1/auth/password", "Change the password", "All other sessions end.", http.StatusNoContent,
		with(user, body, []problem.Code{problem.BadCredentials, problem.LoginThrottled})...), problem.Handle(o.Log, h.changePassword))
	huma.Register(api, op("requestPasswordReset", http.MethodPost, "/api/v1/auth/password-reset/request", "Ask for a link to a new password",
		"Always 202, whether there is such an account or not. Where the site sends no mail, an admin makes the link.", http.StatusAccepted, body...),
		problem.Handle(o.Log, h.requestReset))
	huma.Register(api, op("confirmPasswordReset", http.MethodPost, "/api/v1/auth/password-reset/confirm", "Set a new password by such a link",
		"Good once, for half an hour. All sessions end.", http.StatusNoContent, body...), problem.Handle(o.Log, h.reset))
	huma.Register(api, op("verifyEmail", http.MethodPost, "/api/v1/auth/email/verify", "Show that an address is one's own", "", http.StatusNoContent,
		with(user, body)...), problem.Handle(o.Log, h.verifyEmail))
	huma.Register(api, op("createTOTP", http.MethodPost, "/api/v1/auth/totp", "Make a second factor",
		"It is asked for at logins once /auth/totp/confirm has seen a code. Secret and recovery codes are shown this once.", http.StatusOK,
		with(user, []problem.Code{problem.InvalidState})...), problem.Handle(o.Log, h.newTOTP))
	huma.Register(api, op("confirmTOTP", http.MethodPost, "/api/v1/auth/totp/confirm", "Turn the second factor on", "", http.StatusNoContent,
		with(user, body, []problem.Code{problem.TwoFactorInvalid, problem.InvalidState, problem.LoginThrottled})...), problem.Handle(o.Log, h.confirmTOTP))
	huma.Register(api, op("deleteTOTP", http.MethodDelete, "/api/v1/auth/totp", "Turn the second factor off", "", http.StatusNoContent,
		with(user, []problem.Code{problem.NotFound})...), problem.Handle(o.Log, h.removeTOTP))
	huma.Register(api, op("getJWKS", http.MethodGet, "/.well-known/jwks.json", "Public keys of access tokens", "", http.StatusOK, problem.InvalidParameter),
		problem.Handle(o.Log, h.jwks))
	huma.Register(api, op("deleteMe", http.MethodDelete, "/api/v1/me", "Close the caller's account",
		"Every session and API token ends, what the account has made is hidden, and broadcasts end. It is erased after 14 days; until then "+
			"POST /auth/restore brings it back.", http.StatusAccepted,
		with(user, body, []problem.Code{problem.BadCredentials, problem.LoginThrottled, problem.LastAdmin, problem.VersionMismatch})...), problem.Handle(o.Log, h.leave))
	huma.Register(api, op("restoreMe", http.MethodPost, "/api/v1/auth/restore", "Open an account again that was closed less than 14 days ago",
		"Sign in afterwards. API tokens stay dead.", http.StatusNoContent,
		with(body, []problem.Code{problem.BadCredentials, problem.TwoFactorRequired, problem.TwoFactorInvalid, problem.LoginThrottled, problem.InvalidState})...),
		problem.Handle(o.Log, h.restore))
	h.registerTokens(api, o.Log)
}

// SessionBody is what a login gives.
type SessionBody struct {
	AccessToken  string          `json:"access_token" doc:"JWT, to be sent as Authorization: Bearer" example:"eyJhbGciOiJFZERTQSJ9.e30.c2ln"`
	TokenType    string          `json:"token_type" example:"Bearer"`
	ExpiresIn    int64           `json:"expires_in" doc:"Seconds that the access token is good for" minimum:"1" example:"900"`
	RefreshToken string          `json:"refresh_token,omitempty" doc:"Good once, for 30 days; absent where it went into a cookie" example:"mdr_kq3zJ0p5xg"`
	SessionID    string          `json:"session_id" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000041"`
	User         account.OwnBody `json:"user"`
}

type sessionOutput struct {
	SetCookie string `header:"Set-Cookie" hidden:"true"`
	Location  string `header:"Location" hidden:"true"`
	Body      SessionBody
}

// Names of the cookie: browsers take a name with the prefix by TLS alone.
const (
	cookieName       = "mediad_rt"
	secureCookieName = "__Secure-mediad_rt"
	cookiePath       = "/api/v1/auth"
)

// cookie is the header that sets the refresh token, or takes it away where it is "".
func cookie(ctx context.Context, token string) string {
	c := http.Cookie{Name: cookieName, Value: token, Path: cookiePath, HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: int(refreshIdle / time.Second)}
	if caller.PeerOf(ctx).Secure {
		c.Name, c.Secure = secureCookieName, true
	}
	if token == "" {
		c.MaxAge = -1
	}
	return c.String()
}

func (h *handlers) answer(ctx context.Context, s Session) (*sessionOutput, error) {
	own, err := h.views.Own(caller.With(ctx, caller.Caller{UserID: s.User.ID}), s.User)
	if err != nil {
		return nil, err
	}
	out := &sessionOutput{Body: SessionBody{
		AccessToken: s.AccessToken, TokenType: "Bearer", ExpiresIn: int64(s.ExpiresIn / time.Second), SessionID: s.ID, User: own,
	}}
	if s.Transport == InCookie {
		out.SetCookie = cookie(ctx, s.RefreshToken)
	} else {
		out.Body.RefreshToken = s.RefreshToken
	}
	return out, nil
}

// RegisterBody is a new account.
type RegisterBody struct {
	Username    string  `json:"username" doc:"3 to 32 characters of a-z, 0-9 and _" example:"anna"`
	Password    string  `json:"password" doc:"10 to 128 characters, not one that everybody knows" example:"correct horse battery"`
	DisplayName *string `json:"display_name,omitempty" nullable:"false" doc:"1 to 50 characters; absent: the username" example:"Anna"`
	Email       string  `json:"email,omitempty" doc:"Absent: none" example:"anna@example.com"`
	InviteCode  string  `json:"invite_code,omitempty" doc:"Where registration is by invitation" example:"mdi_9bq2"`
	Transport   string  `json:"transport,omitempty" enum:"body,cookie" doc:"Where the refresh token goes; absent: body" example:"body"`
}

type registerInput struct {
	origin
	Body RegisterBody
}

func (h *handlers) register(ctx context.Context, in *registerInput) (*sessionOutput, error) {
	b := in.Body
	if err := h.ownPage(in.origin, b.Transport); err != nil {
		return nil, err
	}
	s, err := h.service.Register(ctx, Newcomer{
		Username: b.Username, Password: b.Password, DisplayName: b.DisplayName, Email: b.Email, InviteCode: b.InviteCode,
		Device: Device{Transport: b.Transport},
	})
	if err != nil {
		return nil, account.Refusal(err)
	}
	out, err := h.answer(ctx, s)
	if err == nil {
		out.Location = "/api/v1/users/" + s.User.ID
	}
	return out, err
}

// LoginBody is a try to sign in.
type LoginBody struct {
	Login      string `json:"login" doc:"Username or address" example:"anna"`
	Password   string `json:"password" example:"correct horse battery"`
	TOTP       string `json:"totp,omitempty" doc:"A code of the second factor, or a recovery code" example:"123456"`
	Transport  string `json:"transport,omitempty" enum:"body,cookie" doc:"Where the refresh token goes; absent: body" example:"body"`
	DeviceName string `json:"device_name,omitempty" doc:"What the session is called in lists, up to 60 characters" example:"Anna's phone"`
}

type loginInput struct {
	origin
	Body LoginBody
}

func (h *handlers) login(ctx context.Context, in *loginInput) (*sessionOutput, error) {
	b := in.Body
	if err := h.ownPage(in.origin, b.Transport); err != nil {
		return nil, err
	}
	if text.Len(text.Line(b.DeviceName)) > MaxDeviceName {
		var bad account.Invalid
		bad.Add("device_name", "too_long", "at most 60 characters", MaxDeviceName)
		return nil, account.Refusal(&bad)
	}
	s, err := h.service.Login(ctx, Login{
		Login: b.Login, Password: b.Password, TOTP: b.TOTP, Device: Device{Transport: b.Transport, Name: b.DeviceName},
	})
	if err != nil {
		return nil, err
	}
	return h.answer(ctx, s)
}

// RefreshBody has the token where it is in no cookie.
type RefreshBody struct {
	RefreshToken string `json:"refresh_token,omitempty" example:"mdr_kq3zJ0p5xg"`
}

// Cookies are those of the refresh token, by its two names.
type Cookies struct {
	Plain  string `cookie:"mediad_rt" doc:"The refresh token, where it came by a cookie"`
	Secure string `cookie:"__Secure-mediad_rt" doc:"The same by TLS"`
}

func (c Cookies) token(ctx context.Context) string {
	if caller.PeerOf(ctx).Secure {
		return c.Secure
	}
	return c.Plain
}

type refreshInput struct {
	Cookies
	origin
	CSRF string `header:"X-Mediad-Csrf" doc:"1, where the cookie is used: pages of other sites cannot send it"`
	Body *RefreshBody
}

func (h *handlers) refresh(ctx context.Context, in *refreshInput) (*sessionOutput, error) {
	token, transport := "", InBody
	if in.Body != nil {
		token = in.Body.RefreshToken
	}
	if token == "" {
		if token, transport = in.token(ctx), InCookie; token != "" && in.CSRF != "1" {
			return nil, problem.New(problem.CSRF, "A call with the cookie needs the header X-Mediad-Csrf: 1.")
		}
		if err := h.ownPage(in.origin, transport); err != nil {
			return nil, err
		}
	}
	s, err := h.service.Refresh(ctx, token, transport)
	if err != nil {
		return nil, err
	}
	return h.answer(ctx, s)
}

type emptyOutput struct {
	SetCookie string `header:"Set-Cookie" hidden:"true"`
}

type logoutInput struct{ Cookies }

func (h *handlers) logout(ctx context.Context, in *logoutInput) (*emptyOutput, error) {
	if err := h.service.Logout(ctx); err != nil {
		return nil, err
	}
	out := &emptyOutput{}
	if in.token(ctx) != "" {
		out.SetCookie = cookie(ctx, "")
	}
	return out, nil
}

// LivingBody is a session as its user sees it.
type LivingBody struct {
	ID         string  `json:"id" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000041"`
	CreatedAt  string  `json:"created_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	UpdatedAt  string  `json:"updated_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	DeviceName string  `json:"device_name" doc:"As it was given at the login" example:"Anna's phone"`
	Agent      string  `json:"agent" doc:"What the program called itself; empty after 30 days" example:"Mozilla/5.0"`
	IP         *string `json:"ip" doc:"Masked; null after 30 days" example:"203.0.113.x"`
	LastSeenAt string  `json:"last_seen_at" format:"date-time" doc:"When its tokens were refreshed last" example:"2026-03-01T12:00:00.000Z"`
	Current    bool    `json:"current" doc:"It is the one that asks" example:"true"`
}

// LivingsBody is a page.
type LivingsBody struct {
	Items      []LivingBody `json:"items" nullable:"false"`
	NextCursor *string      `json:"next_cursor" doc:"null: this was the last page"`
}

type pageInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before"`
}

type livingsOutput struct{ Body LivingsBody }

func (h *handlers) sessions(ctx context.Context, in *pageInput) (*livingsOutput, error) {
	who := caller.Of(ctx)
	before, err := h.before("sessions "+who.UserID, in.Cursor)
	if err != nil {
		return nil, err
	}
	found, err := h.service.Sessions(ctx, who.UserID, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &livingsOutput{Body: LivingsBody{Items: []LivingBody{}}}
	if len(found) > in.Limit {
		found = found[:in.Limit]
		next, err := h.cursors.Seal("sessions "+who.UserID, found[in.Limit-1].ID)
		if err != nil {
			return nil, err
		}
		out.Body.NextCursor = &next
	}
	for _, l := range found {
		b := LivingBody{
			ID: l.ID, CreatedAt: problem.Stamp(l.CreatedAt), UpdatedAt: problem.Stamp(l.LastSeenAt), DeviceName: l.DeviceName, Agent: l.Agent,
			LastSeenAt: problem.Stamp(l.LastSeenAt), Current: l.ID == who.SessionID,
		}
		if l.IP != "" {
			b.IP = &l.IP
		}
		out.Body.Items = append(out.Body.Items, b)
	}
	return out, nil
}

// before reads the id behind which a list goes on.
func (h *handlers) before(list, cursor string) (id string, err error) {
	if cursor == "" {
		return "", nil
	}
	if err := h.cursors.Open(list, cursor, &id); err != nil {
		return "", problem.New(problem.InvalidCursor, "The cursor was altered, or belongs to another list. Start again without it.")
	}
	return id, nil
}

type idInput struct {
	ID string `path:"id" example:"0198f2a0-0000-7000-8000-000000000041"`
}

func (h *handlers) endSession(ctx context.Context, in *idInput) (*struct{}, error) {
	return nil, h.service.EndSession(ctx, in.ID)
}

func (h *handlers) endOthers(ctx context.Context, _ *struct{}) (*struct{}, error) {
	return nil, h.service.EndOtherSessions(ctx)
}

// JWKSBody is a set of keys (RFC 7517).
type JWKSBody struct {
	Keys []JWKBody `json:"keys" nullable:"false"`
}

// JWKBody is an Ed25519 key (RFC 8037).
type JWKBody struct {
	KeyType   string `json:"kty" example:"OKP"`
	Curve     string `json:"crv" example:"Ed25519"`
	Use       string `json:"use" example:"sig"`
	Algorithm string `json:"alg" example:"EdDSA"`
	ID        string `json:"kid" example:"0198f2a0-0000-7000-8000-000000000051"`
	X         string `json:"x" doc:"The public key" example:"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`
}

type jwksOutput struct {
	CacheControl string `header:"Cache-Control" hidden:"true"`
	Body         JWKSBody
}

func (h *handlers) jwks(context.Context, *struct{}) (*jwksOutput, error) {
	out := &jwksOutput{CacheControl: "public, max-age=300", Body: JWKSBody{Keys: []JWKBody{}}}
	for _, k := range h.service.keys.all() {
		out.Body.Keys = append(out.Body.Keys, JWKBody{
			KeyType: "OKP", Curve: "Ed25519", Use: "sig", Algorithm: "EdDSA", ID: k.id, X: base64.RawURLEncoding.EncodeToString(k.public),
		})
	}
	return out, nil
}
