package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/account"
	"mediad/api/apitest"
	"mediad/store/db"
	"mediad/store/event"
)

// testClock is moved by hand.
type testClock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// mailbox keeps what is sent.
type mailbox struct {
	mu   sync.Mutex // guards sent
	sent []string
}

func (m *mailbox) Send(_ context.Context, to, subject, body string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent = append(m.sent, to+"\n"+subject+"\n"+body)
	return nil
}

func (m *mailbox) last() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.sent) == 0 {
		return ""
	}
	return m.sent[len(m.sent)-1]
}

type lockedWriter struct {
	mu sync.Mutex // guards to
	to *bytes.Buffer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

// session is a session as a client has it.
type session struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"session_id"`
	Cookie  string `json:"-"`
	User    struct {
		ID, Username, Role string
		TwoFactor          bool `json:"two_factor"`
	}
}

const goodPassword = "correct horse battery"

// client calls an API and holds every answer to its document.
type client struct {
	t   testing.TB
	h   http.Handler
	doc apitest.Document
	s   *site
}

func (s *site) client(t testing.TB) client {
	t.Helper()
	s.deps.Config.LimitScale = 0
	h := s.handler(t)
	return client{t, h, apitest.Load(t, h), s}
}

// do sends one request; body "" is none.
func (c client) do(method, path, token, body string, headers ...string) *apitest.Answer {
	c.t.Helper()
	sc := apitest.Scenario{Method: method, Path: path, Token: token, Body: body, Headers: map[string]string{}}
	for i := 0; i+1 < len(headers); i += 2 {
		sc.Headers[headers[i]] = headers[i+1]
	}
	a := apitest.Do(c.t, c.h, sc)
	c.doc.Check(c.t, method, a)
	c.s.remember(body, a.Body.String())
	return a
}

// want sends one request and expects a status and a code ("" where it is no problem).
func (c client) want(status int, code, method, path, token, body string, headers ...string) *apitest.Answer {
	c.t.Helper()
	a := c.do(method, path, token, body, headers...)
	require.Equal(c.t, status, a.Code, "%s %s: %s", method, path, a.Body)
	if code != "" {
		require.Contains(c.t, a.Body.String(), `"code":"`+code+`"`)
	}
	return a
}

func (c client) session(a *apitest.Answer) session {
	c.t.Helper()
	var s session
	require.NoError(c.t, json.Unmarshal(a.Body.Bytes(), &s), a.Body.String())
	if set := a.Header().Get("Set-Cookie"); set != "" {
		s.Cookie, _, _ = strings.Cut(set, ";")
	}
	return s
}

func (c client) register(name string) session {
	c.t.Helper()
	return c.session(c.want(201, "", "POST", "/api/v1/auth/register", "", fmt.Sprintf(`{"username":%q,"password":%q}`, name, goodPassword)))
}

func (c client) login(name, password string) session {
	c.t.Helper()
	return c.session(c.want(200, "", "POST", "/api/v1/auth/login", "", fmt.Sprintf(`{"login":%q,"password":%q}`, name, password)))
}

func (c client) refresh(token string) *apitest.Answer {
	c.t.Helper()
	return c.do("POST", "/api/v1/auth/refresh", "", fmt.Sprintf(`{"refresh_token":%q}`, token))
}

func TestRegisterLoginAndMe(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	a := c.want(201, "", "POST", "/api/v1/auth/register", "",
		`{"username":"Bert_9","password":"correct horse battery","display_name":" Bert \u202e<b> ","email":"Bert@Example.COM"}`)
	bert := c.session(a)
	assert.Equal(t, "no-store", a.Header().Get("Cache-Control"))
	assert.Equal(t, "/api/v1/users/"+bert.User.ID, a.Header().Get("Location"))
	assert.Regexp(t, `^mdr_[A-Za-z0-9_-]{43}$`, bert.Refresh)
	assert.Equal(t, "viewer", bert.User.Role)

	me := c.want(200, "", "GET", "/api/v1/me", bert.Access, "")
	assert.Equal(t, "private, no-cache", me.Header().Get("Cache-Control"))
	for _, want := range []string{`"username":"bert_9"`, `"display_name":"Bert <b>"`, `"email":"Bert@example.com"`, `"email_verified":false`, `"permissions":["interact"]`} {
		assert.Contains(t, me.Body.String(), want)
	}
	public := c.want(200, "", "GET", "/api/v1/users/@BERT_9", "", "")
	assert.Equal(t, "public, max-age=5, stale-while-revalidate=30", public.Header().Get("Cache-Control"))
	for _, hidden := range []string{"email", "role", "xample", "settings", "two_factor"} {
		assert.NotContains(t, public.Body.String(), hidden)
	}
	c.want(200, "", "GET", "/api/v1/users/"+bert.User.ID, "", "")
	c.want(404, "not_found", "GET", "/api/v1/users/bert_9", "", "")
	c.want(404, "not_found", "GET", "/api/v1/users/@nobody", "", "")

	for _, login := range []string{"bert_9", "BERT_9", "bert@example.com", "BERT@EXAMPLE.COM"} {
		assert.Equal(t, bert.User.ID, c.login(login, goodPassword).User.ID, login)
	}
	rows, err := s.db.Read(t.Context()).FindUser(bert.User.ID)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(rows.PasswordHash, "$argon2id$"))
	assert.NotContains(t, rows.EmailEnc+*rows.EmailBidx, "xample")
}

func TestRegisterIsChecked(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	c.want(201, "", "POST", "/api/v1/auth/register", "", `{"username":"carl","password":"correct horse battery","email":"carl@example.com"}`)
	for body, code := range map[string]string{
		`{"username":"CARL","password":"correct horse battery"}`:                             "username_taken",
		`{"username":"carla","password":"correct horse battery","email":"CARL@example.com"}`: "email_taken",
		`{"username":"root","password":"correct horse battery"}`:                             "invalid_format",
		`{"username":"' OR 1=1 --","password":"correct horse battery"}`:                      "invalid_format",
		`{"username":"dora","password":""}`:                                                  "weak_password",
		`{"username":"dora","password":"short"}`:                                             "weak_password",
		`{"username":"dora","password":"dora-is-in-it"}`:                                     "weak_password",
		`{"username":"dora","password":"Password123"}`:                                       "weak_password",
		`{"username":"dora","password":"correct horse battery","email":"no address"}`:        "invalid_format",
		`{"username":"dora","password":"correct horse battery","extra":1}`:                   "unknown_field",
		`{"username":"dora"}`: "required",
		`{"username":"dora","password":"correct horse battery","transport":"pigeon"}`:                             "invalid_enum",
		`{"username":"dora","password":"correct horse battery","display_name":"` + strings.Repeat("x", 51) + `"}`: "too_long",
	} {
		a := c.do("POST", "/api/v1/auth/register", "", body)
		assert.Contains(t, a.Body.String(), `"code":"`+code+`"`, body)
		assert.Contains(t, []int{409, 422}, a.Code, body)
	}
	for body, status := range map[string]int{
		`{"username":"dora","username":"eve","password":"x"}`: 400, `{} {}`: 400, `{"a":`: 400, "{\"username\":\"\xff\"}": 400, `{"username":"\ud800"}`: 400,
		strings.Repeat("[", 40) + strings.Repeat("]", 40): 400,
	} {
		c.want(status, "malformed_json", "POST", "/api/v1/auth/register", "", body)
	}
	c.want(400, "malformed_json", "POST", "/api/v1/auth/register", "", "")
	c.want(415, "unsupported_media_type", "POST", "/api/v1/auth/register", "", `username=dora`, "Content-Type", "application/x-www-form-urlencoded")
	closed := newSite(t, db.Options{})
	_, err := closed.accounts.Create(t.Context(), account.Create{Username: "dora"})
	require.NoError(t, err)
}

func TestRefreshChainAndReuse(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	r0 := c.register("bert")
	r1 := c.session(c.refresh(r0.Refresh))
	r2 := c.session(c.refresh(r1.Refresh))
	assert.Equal(t, r0.ID, r2.ID)
	c.want(200, "", "GET", "/api/v1/me", r2.Access, "")

	a := c.refresh(r0.Refresh)
	assert.Equal(t, 401, a.Code)
	assert.Contains(t, a.Body.String(), `"code":"refresh_reused"`)
	a = c.refresh(r2.Refresh)
	assert.Equal(t, 401, a.Code)
	assert.Contains(t, a.Body.String(), `"code":"refresh_invalid"`, "R2 is dead")
	c.want(401, "token_invalid", "GET", "/api/v1/me", r2.Access, "")
	rows, err := s.db.Read(t.Context()).ListAudit(db.AuditFilter{Action: "refresh.reused"}, 10)
	require.NoError(t, err)
	assert.Len(t, rows, 1)
	events, err := s.db.Read(t.Context()).ListUnsent(0, 100)
	require.NoError(t, err)
	events = slices.DeleteFunc(events, func(e db.Event) bool { return e.Type != event.SecurityRefreshReused })
	require.Len(t, events, 1, "its user is told")
	assert.Equal(t, r0.User.ID, events[0].OwnerID)
}

func TestRefreshMercy(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	r0 := c.register("bert")
	r1 := c.session(c.refresh(r0.Refresh))
	s.clock.pass(10 * time.Second)
	assert.Equal(t, r1.Refresh, c.session(c.refresh(r0.Refresh)).Refresh, "a lost answer is given again")
	s.clock.pass(time.Millisecond)
	assert.Contains(t, c.refresh(r0.Refresh).Body.String(), "refresh_reused", "not for ever")
	assert.Contains(t, c.refresh(r1.Refresh).Body.String(), "refresh_invalid")
}

func TestParallelRefreshesAgree(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	r0 := c.register("bert")
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]int{}
	for range 100 {
		wg.Go(func() {
			a := apitest.Do(t, c.h, apitest.Scenario{Method: "POST", Path: "/api/v1/auth/refresh", Body: fmt.Sprintf(`{"refresh_token":%q}`, r0.Refresh)})
			var got session
			assert.NoError(t, json.Unmarshal(a.Body.Bytes(), &got))
			mu.Lock()
			defer mu.Unlock()
			seen[got.Refresh]++
		})
	}
	wg.Wait()
	require.Len(t, seen, 1, "all get the same R1")
	for r1 := range seen {
		assert.Equal(t, 200, c.refresh(r1).Code)
	}
}
