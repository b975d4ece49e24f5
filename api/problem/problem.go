// Package problem is the one form of every refusal: application/problem+json (RFC 9457) with a stable code.
package problem

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"mediad/api/redact"
)

// Code names what went wrong. Clients branch on it, so a code never changes its meaning.
type Code string

// The codes that a route of this program answers today.
const (
	MalformedJSON          Code = "malformed_json"
	InvalidCursor          Code = "invalid_cursor"
	InvalidParameter       Code = "invalid_parameter"
	IdempotencyKeyRequired Code = "idempotency_key_required"
	Unauthenticated        Code = "unauthenticated"
	TokenExpired           Code = "token_expired"
	TokenInvalid           Code = "token_invalid"
	BadCredentials         Code = "bad_credentials"
	TwoFactorRequired      Code = "two_factor_required"
	TwoFactorInvalid       Code = "two_factor_invalid"
	RefreshInvalid         Code = "refresh_invalid"
	RefreshReused          Code = "refresh_reused"
	SignatureInvalid       Code = "signature_invalid"
	SignatureExpired       Code = "signature_expired"
	NonceReused            Code = "nonce_reused"
	Forbidden              Code = "forbidden"
	PasswordChangeRequired Code = "password_change_required"
	ScopeMissing           Code = "scope_missing"
	RoleRequired           Code = "role_required"
	AccountSuspended       Code = "account_suspended"
	BlockedByUser          Code = "blocked_by_user"
	CSRF                   Code = "csrf"
	OriginRefused          Code = "origin_refused"
	NotFound               Code = "not_found"
	RouteNotFound          Code = "route_not_found"
	MethodNotAllowed       Code = "method_not_allowed"
	UsernameTaken          Code = "username_taken"
	EmailTaken             Code = "email_taken"
	SlugTaken              Code = "slug_taken"
	StreamLive             Code = "stream_live"
	InvalidState           Code = "invalid_state"
	IdempotencyInProgress  Code = "idempotency_in_progress"
	LastAdmin              Code = "last_admin"
	LimitReached           Code = "limit_reached"
	VersionMismatch        Code = "version_mismatch"
	IfMatchRequired        Code = "if_match_required"
	PayloadTooLarge        Code = "payload_too_large"
	UnsupportedMediaType   Code = "unsupported_media_type"
	ValidationFailed       Code = "validation_failed"
	IdempotencyKeyReused   Code = "idempotency_key_reused"
	SelfTarget             Code = "self_target"
	RateLimited            Code = "rate_limited"
	LoginThrottled         Code = "login_throttled"
	Internal               Code = "internal"
	StorageUnavailable     Code = "storage_unavailable"
	Unavailable            Code = "unavailable"
	Overloaded             Code = "overloaded"
	Timeout                Code = "timeout"
)

type meaning struct {
	status int
	title  string
}

// meanings is the table of codes.
func meanings() map[Code]meaning {
	return map[Code]meaning{
		MalformedJSON:          {http.StatusBadRequest, "The body is not JSON as it should be"},
		InvalidCursor:          {http.StatusBadRequest, "The cursor is not one of this list"},
		InvalidParameter:       {http.StatusBadRequest, "A parameter cannot be read"},
		IdempotencyKeyRequired: {http.StatusBadRequest, "The header Idempotency-Key is missing"},
		Unauthenticated:        {http.StatusUnauthorized, "Sign in first"},
		TokenExpired:           {http.StatusUnauthorized, "The token has expired"},
		TokenInvalid:           {http.StatusUnauthorized, "The token is not valid"},
		BadCredentials:         {http.StatusUnauthorized, "Name and password do not belong together"},
		TwoFactorRequired:      {http.StatusUnauthorized, "A code of the second factor is needed"},
		TwoFactorInvalid:       {http.StatusUnauthorized, "The code of the second factor is wrong"},
		RefreshInvalid:         {http.StatusUnauthorized, "The refresh token is not valid"},
		RefreshReused:          {http.StatusUnauthorized, "The refresh token was used before"},
		SignatureInvalid:       {http.StatusUnauthorized, "The signature is not valid"},
		SignatureExpired:       {http.StatusUnauthorized, "The signature is too old, or too new"},
		NonceReused:            {http.StatusUnauthorized, "The nonce was used before"},
		Forbidden:              {http.StatusForbidden, "That is not allowed"},
		PasswordChangeRequired: {http.StatusForbidden, "The password has to be changed first"},
		ScopeMissing:           {http.StatusForbidden, "The API token has not the scope"},
		RoleRequired:           {http.StatusForbidden, "A higher role is needed"},
		AccountSuspended:       {http.StatusForbidden, "The account is suspended"},
		BlockedByUser:          {http.StatusForbidden, "The user has blocked you"},
		CSRF:                   {http.StatusForbidden, "The header X-Mediad-Csrf is missing"},
		OriginRefused:          {http.StatusForbidden, "Pages of that site may not do this"},
		NotFound:               {http.StatusNotFound, "There is no such thing"},
		RouteNotFound:          {http.StatusNotFound, "There is no such route"},
		MethodNotAllowed:       {http.StatusMethodNotAllowed, "The route has no such method"},
		UsernameTaken:          {http.StatusConflict, "The username is taken"},
		EmailTaken:             {http.StatusConflict, "The address is taken"},
		SlugTaken:              {http.StatusConflict, "The name is taken"},
		StreamLive:             {http.StatusConflict, "The stream is on air"},
		InvalidState:           {http.StatusConflict, "That is not possible in this state"},
		IdempotencyInProgress:  {http.StatusConflict, "The same call still runs"},
		LastAdmin:              {http.StatusConflict, "There has to be an admin"},
		LimitReached:           {http.StatusConflict, "There are as many as are allowed"},
		VersionMismatch:        {http.StatusPreconditionFailed, "It was changed meanwhile"},
		IfMatchRequired:        {http.StatusPreconditionRequired, "The header If-Match is missing"},
		PayloadTooLarge:        {http.StatusRequestEntityTooLarge, "The body is too large"},
		UnsupportedMediaType:   {http.StatusUnsupportedMediaType, "The body is of another type"},
		IdempotencyKeyReused:   {http.StatusUnprocessableEntity, "The key was used for another call"},
		ValidationFailed:       {http.StatusUnprocessableEntity, "A value is not allowed"},
		SelfTarget:             {http.StatusUnprocessableEntity, "That cannot be done to oneself"},
		RateLimited:            {http.StatusTooManyRequests, "Too many requests"},
		LoginThrottled:         {http.StatusTooManyRequests, "Too many failed tries"},
		Internal:               {http.StatusInternalServerError, "The server failed"},
		StorageUnavailable:     {http.StatusBadGateway, "The store of files does not answer"},
		Unavailable:            {http.StatusServiceUnavailable, "The server cannot answer now"},
		Overloaded:             {http.StatusServiceUnavailable, "The server has too much to do"},
		Timeout:                {http.StatusGatewayTimeout, "The answer took too long"},
	}
}

// Codes lists every code with its status.
func Codes() map[Code]int {
	all := map[Code]int{}
	for code, m := range meanings() {
		all[code] = m.status
	}
	return all
}

// Problem is the body of a refusal.
type Problem struct { //nolint:errname // the name that RFC 9457 gives it
	Type      string  `json:"type" doc:"urn:mediad:problem: and the code" example:"urn:mediad:problem:not_found"`
	Title     string  `json:"title" doc:"What the code means" example:"There is no such thing"`
	Status    int     `json:"status" doc:"The HTTP status" minimum:"400" maximum:"599" example:"404"`
	Code      string  `json:"code" doc:"Stable; new ones may be added" pattern:"^[a-z0-9_]+$" example:"not_found"`
	Detail    string  `json:"detail" doc:"For people" example:"There is no stream of that name."`
	Instance  string  `json:"instance" doc:"The path that was asked for, as it stands in a URL" example:"/api/v1/streams/nobody"`
	RequestID string  `json:"request_id" doc:"As in the X-Request-Id header and the server's log" example:"0198f2a0-0000-7000-8000-000000000001"`
	Errors    []Field `json:"errors,omitempty" nullable:"false" doc:"One for each value that is not allowed"`

	RetryAfterMS int64  `json:"retry_after_ms,omitempty" doc:"When to try again" minimum:"0"`
	Scope        string `json:"scope,omitempty" doc:"What the API token lacks" example:"profile"`
	Role         string `json:"role,omitempty" doc:"The least role that may" example:"moderator"`
	Until        string `json:"until,omitempty" format:"date-time" doc:"When it ends; absent: it has no end" example:"2026-03-01T12:00:00.000Z"`
	Reason       string `json:"reason,omitempty" doc:"Why, as whoever decided wrote it" example:"spam"`
	State        string `json:"state,omitempty" doc:"What it is now" example:"streamer"`
	Max          int64  `json:"max,omitempty" minimum:"0" doc:"How many are allowed" example:"20"`

	MaxBytes int64 `json:"max_bytes,omitempty" doc:"How large the body may be" minimum:"0"`
}

// Field says what is wrong with one value.
type Field struct {
	Pointer string   `json:"pointer" doc:"JSON pointer (RFC 6901) to the value, empty for the whole body; or / and the parameter's name" example:"/limit"`
	Code    string   `json:"code" doc:"What is wrong" example:"out_of_range" pattern:"^[a-z0-9_]+$"`
	Message string   `json:"message" doc:"For people" example:"expected number <= 100"`
	Min     *float64 `json:"min,omitempty" nullable:"false" doc:"The smallest that is allowed"`
	Max     *float64 `json:"max,omitempty" nullable:"false" doc:"The largest that is allowed"`
}

// New makes a problem; detail is for people and never shows what is inside.
func New(code Code, detail string) *Problem {
	m, known := meanings()[code]
	if !known {
		code, m = Internal, meanings()[Internal]
	}
	return &Problem{
		Type: "urn:mediad:problem:" + string(code), Title: m.title, Status: m.status, Code: string(code), Detail: detail,
	}
}

// Retry adds when to try again, which is also sent as Retry-After.
func (p *Problem) Retry(after time.Duration) *Problem {
	p.RetryAfterMS = max(after.Milliseconds(), 1)
	return p
}

// Error implements error.
func (p *Problem) Error() string { return fmt.Sprintf("%s: %s", p.Code, p.Detail) }

// GetStatus tells huma the status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType tells huma the media type.
func (p *Problem) ContentType(string) string { return MediaType }

// MediaType of a problem.
const MediaType = "application/problem+json"

// For completes a copy of the problem with what belongs to the request, whose path is as it stands in a URL. No secret of the caller's comes back in it.
func (p *Problem) For(ctx context.Context, path string) *Problem {
	c := *p
	c.Instance = instance(path)
	c.Detail, c.Reason = redact.Text(c.Detail), redact.Text(c.Reason)
	c.Errors = slices.Clone(c.Errors)
	for i := range c.Errors {
		c.Errors[i].Message = redact.Text(c.Errors[i].Message)
	}
	c.RequestID = RequestID(ctx)
	if told, ok := ctx.Value(codeKey{}).(*string); ok {
		*told = c.Code
	}
	return &c
}

// instance is a path without secrets, which are looked for in what the path says and not in how it is written.
func instance(path string) string {
	said, err := url.PathUnescape(path)
	if err != nil {
		said = path
	}
	clean := redact.Text(said)
	if clean == said {
		return path
	}
	return strings.ReplaceAll((&url.URL{Path: clean}).EscapedPath(), "%2A", "*")
}

// Stamp writes a moment as the whole API does.
func Stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// SetHeaders sets the headers that go with the problem.
func (p *Problem) SetHeaders(h http.Header) {
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	if p.RetryAfterMS > 0 {
		h.Set("Retry-After", strconv.FormatInt((p.RetryAfterMS+999)/1000, 10))
	}
}

// Write answers r with the problem.
func Write(w http.ResponseWriter, r *http.Request, p *Problem) {
	p = p.For(r.Context(), r.URL.EscapedPath())
	p.SetHeaders(w.Header())
	w.Header().Set("Content-Type", MediaType)
	w.WriteHeader(p.Status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	// A write fails when the caller has gone; there is nobody to tell.
	_ = enc.Encode(p)
}

type codeKey struct{}

// WithCode has the code of the problem that the request is answered with put into told.
func WithCode(ctx context.Context, told *string) context.Context {
	return context.WithValue(ctx, codeKey{}, told)
}
