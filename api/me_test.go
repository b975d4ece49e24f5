package api_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/account"
	"mediad/api/admin"
	"mediad/api/audit"
	"mediad/api/auth"
	"mediad/api/mail"
	"mediad/internal/testx"
	"mediad/store/db"
)

func TestPatchMe(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.register("bert")
	first := c.want(200, "", "GET", "/api/v1/me", bert.Access, "").Header().Get("ETag")
	require.Regexp(t, `^"v1-[A-Za-z0-9_-]{22}"$`, first)
	c.want(304, "", "GET", "/api/v1/me", bert.Access, "", "If-None-Match", first)

	a := c.want(200, "", "PATCH", "/api/v1/me", bert.Access, `{"display_name":" <script>alert(1)</script> ","bio":"one\ntwo","links":[{"label":"Me","url":"https://example.com/me"}],
		"settings":{"locale":"de","privacy":{"show_likes":false},"playback":{"quality":"720p"}}}`, "If-Match", first, "Content-Type", "application/merge-patch+json")
	for _, want := range []string{
		`"display_name":"<script>alert(1)</script>"`, `"bio":"one\ntwo"`, `"url":"https://example.com/me"`, `"locale":"de"`, `"show_likes":false`,
		`"show_following":true`, `"quality":"720p"`,
	} {
		assert.Contains(t, a.Body.String(), want)
	}
	second := a.Header().Get("ETag")
	assert.Equal(t, second, c.want(200, "", "GET", "/api/v1/me", bert.Access, "").Header().Get("ETag"))
	c.want(412, "version_mismatch", "PATCH", "/api/v1/me", bert.Access, `{"bio":"stale"}`, "If-Match", first)
	c.want(412, "version_mismatch", "PATCH", "/api/v1/me", bert.Access, `{"bio":"junk"}`, "If-Match", `"junk"`)
	c.want(200, "", "PATCH", "/api/v1/me", bert.Access, `{}`, "If-Match", second)

	a = c.want(200, "", "PATCH", "/api/v1/me", bert.Access, `{"display_name":null,"bio":null,"links":null,"settings":{"locale":null,"privacy":null}}`)
	for _, want := range []string{`"display_name":"bert"`, `"bio":""`, `"links":[]`, `"locale":null`, `"show_likes":true`, `"quality":"720p"`} {
		assert.Contains(t, a.Body.String(), want)
	}
	for body, code := range map[string]string{
		`{"display_name":"` + strings.Repeat("é", 51) + `"}`: "too_long", `{"bio":"` + strings.Repeat("x", 1001) + `"}`: "too_long", `{"role":"admin"}`: "unknown_field",
		`{"username":"other"}`: "unknown_field", `{"links":[{"label":"x","url":"javascript:alert(1)"}]}`: "invalid_format", `{"bio":7}`: "invalid_format",
		`{"links":[` + strings.Repeat(`{"label":"x","url":"https://a.b"},`, 5) + `{"label":"x","url":"https://a.b"}]}`: "too_long", `[]`: "invalid_format",
	} {
		assert.Contains(t, c.want(422, "validation_failed", "PATCH", "/api/v1/me", bert.Access, body).Body.String(), `"code":"`+code+`"`, body)
	}
	c.want(200, "", "PATCH", "/api/v1/me", bert.Access, `{"display_name":"`+strings.Repeat("é", 50)+`"}`)
}

func TestEmailIsChangedAndVerified(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, s.auth.Run(ctx)) })
	defer running.Wait()
	defer stop()
	bert, carl := c.register("bert"), c.register("carl")
	for range 7 { // it is no guess
		a := c.want(422, "validation_failed", "PATCH", "/api/v1/me", bert.Access, `{"email":"bert@example.com"}`)
		assert.Contains(t, a.Body.String(), `{"pointer":"/current_password","code":"required"`)
	}
	assert.Zero(t, s.security.of("login_failed"))
	c.want(401, "bad_credentials", "PATCH", "/api/v1/me", bert.Access, `{"email":"bert@example.com","current_password":"another one"}`)
	patch := func(address string) string {
		return fmt.Sprintf(`{"email":%q,"current_password":%q}`, address, goodPassword)
	}
	c.want(200, "", "PATCH", "/api/v1/me", bert.Access, patch("bert@example.com"))
	c.want(409, "email_taken", "PATCH", "/api/v1/me", carl.Access, patch("BERT@example.com"))
	testx.WaitFor(t, "the mail", func() bool { return strings.Contains(s.mails.last(), "verify-email#token=") })
	assert.True(t, strings.HasPrefix(s.mails.last(), "bert@example.com\n"))
	code := tokenOf(t, s.mails.last())
	c.want(401, "token_invalid", "POST", "/api/v1/auth/email/verify", carl.Access, `{"token":"`+code+`"}`)
	c.want(204, "", "POST", "/api/v1/auth/email/verify", bert.Access, `{"token":"`+code+`"}`)
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/me", bert.Access, "").Body.String(), `"email_verified":true`)
	c.want(401, "token_invalid", "POST", "/api/v1/auth/email/verify", bert.Access, `{"token":"`+code+`"}`)
	assert.Contains(t, c.want(200, "", "PATCH", "/api/v1/me", bert.Access, patch("new@example.com")).Body.String(), `"email_verified":false`)

	// The reset goes to the address, and says nothing of names that nobody has.
	for _, login := range []string{"nobody", "nobody@example.com", "carl", "NEW@example.com"} {
		c.want(202, "", "POST", "/api/v1/auth/password-reset/request", "", `{"login":"`+login+`"}`)
	}
	testx.WaitFor(t, "the mail", func() bool { return strings.Contains(s.mails.last(), "reset-password#token=") })
	assert.True(t, strings.HasPrefix(s.mails.last(), "new@example.com\n"), s.mails.last())
	code = tokenOf(t, s.mails.last())
	confirm := func(status int, problem, password string) {
		c.want(status, problem, "POST", "/api/v1/auth/password-reset/confirm", "", fmt.Sprintf(`{"token":%q,"new_password":%q}`, code, password))
	}
	confirm(422, "weak_password", "short")
	confirm(204, "", "staple of the battery")
	confirm(401, "token_invalid", "staple of the battery")
	c.login("bert", "staple of the battery")
	c.want(401, "token_invalid", "GET", "/api/v1/me", bert.Access, "")

	link, expires, err := s.auth.ResetLink(t.Context(), "bert")
	require.NoError(t, err)
	assert.Equal(t, 30*time.Minute, expires.Sub(s.clock.Now()))
	code = tokenOf(t, link)
	s.clock.pass(30 * time.Minute)
	confirm(401, "token_invalid", "another staple of it")
}

func tokenOf(t *testing.T, text string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, "#token=")
	require.True(t, found)
	return strings.Fields(rest)[0]
}

func TestBecomeStreamer(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.register("bert")
	c.want(200, "", "GET", "/api/v1/me", bert.Access, "")
	a := c.want(200, "", "POST", "/api/v1/me/streamer", bert.Access, "")
	assert.Contains(t, a.Body.String(), `"role":"streamer"`)
	assert.Contains(t, a.Body.String(), `"is_streamer":true`)
	c.want(409, "invalid_state", "POST", "/api/v1/me/streamer", bert.Access, `{"note":"again"}`)
	long := c.register("long").Access
	a = c.want(422, "validation_failed", "POST", "/api/v1/me/streamer", long, `{"note":"`+strings.Repeat("x", 501)+`"}`)
	assert.Contains(t, a.Body.String(), `"pointer":"/note","code":"too_long"`)
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/me", long, "").Body.String(), `"role":"viewer"`)

	manual := "manual"
	require.NoError(t, s.deps.Settings.Change(t.Context(), 0, map[string]*string{admin.StreamerApproval: &manual}))
	carl := c.register("carl")
	c.want(422, "validation_failed", "POST", "/api/v1/me/streamer", carl.Access, `{"note":"`+strings.Repeat("x", 501)+`"}`)
	a = c.want(202, "", "POST", "/api/v1/me/streamer", carl.Access, `{"note":"please"}`)
	assert.Contains(t, a.Body.String(), `"streamer_requested":true`)
	assert.Contains(t, a.Body.String(), `"role":"viewer"`)
	require.NoError(t, s.accounts.SetRole(t.Context(), "carl", account.Streamer))
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/me", carl.Access, "").Body.String(), `"streamer_requested":false`)
}

func TestRegistrationByInvitation(t *testing.T) {
	s := newSite(t, db.Options{})
	register := func(mode, name, invite string) (auth.Session, error) {
		a, err := auth.New(t.Context(), auth.Options{
			DB: s.db, Accounts: s.accounts, Secrets: s.secrets, Audit: s.audit, Standings: auth.NewStandings(s.clock.Now), Registration: func() (string, error) { return mode, nil }, Now: s.clock.Now,
		})
		require.NoError(t, err)
		return a.Register(t.Context(), auth.Newcomer{Username: name, Password: goodPassword, InviteCode: invite})
	}
	end := noon.Add(time.Hour)
	_, code, err := s.auth.Invite(t.Context(), 2, &end)
	require.NoError(t, err)
	for _, c := range []struct {
		mode, name, invite string
		ok                 bool
	}{
		{"closed", "bert", code, false}, {"invite", "bert", "", false}, {"invite", "bert", "mdi_x", false}, {"invite", "bert", code, true},
		{"invite", "bert", code, false}, {"invite", "carl", code, true}, {"invite", "dora", code, false}, {"open", "dora", "", true},
	} {
		_, err := register(c.mode, c.name, c.invite)
		assert.Equal(t, c.ok, err == nil, "%v: %v", c, err)
	}
	_, err = s.accounts.Find(t.Context(), "carl")
	require.NoError(t, err, "a name that was taken used no invitation up")
}

func TestAuditOfALife(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.register("bert")
	c.do("POST", "/api/v1/auth/login", "", `{"login":"bert","password":"some wrong password"}`)
	c.want(204, "", "POST", "/api/v1/auth/logout", bert.Access, "")
	rows, err := s.db.Read(t.Context()).ListAudit(db.AuditFilter{}, 10)
	require.NoError(t, err)
	var seen []string
	for _, r := range rows {
		seen = append(seen, r.Action+" "+r.Outcome+" "+r.Via+" "+r.IP)
		assert.NotEmpty(t, r.RequestID)
	}
	assert.Equal(t, []string{"logout ok session 192.0.2.x", "login denied session 192.0.2.x", "user.register ok session 192.0.2.x"}, seen)
	n, err := s.audit.Verify(t.Context(), "test", "2026-03-01")
	require.NoError(t, err)
	assert.Equal(t, 3, n)
	s.clock.pass(24 * time.Hour)
	require.NoError(t, swept(s.auth.Sweep(t.Context())))
	_, err = s.audit.Verify(t.Context(), "test", "2026-03-01")
	require.NoError(t, err)
	stranger := audit.New(audit.Options{DB: s.db})
	_, err = stranger.Verify(t.Context(), "test", "2026-03-02")
	require.ErrorIs(t, err, db.ErrNotFound)
}

func TestMailBySMTP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	got := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			close(got)
			return
		}
		defer conn.Close()
		got <- serveSMTP(conn)
	}()
	server, err := mail.New("smtp://"+l.Addr().String()+"?from=tv@example.com", "My TV")
	require.NoError(t, err)
	require.NoError(t, server.Send(t.Context(), "anna@example.com", "Grüße\r\nBcc: x@example.com", "Zeile\n.\nend ü\n"))
	text := <-got
	for _, want := range []string{"MAIL FROM:<tv@example.com>", "RCPT TO:<anna@example.com>", `From: "My TV" <tv@example.com>`, "To: <anna@example.com>", "=C3=BC"} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, text, "\r\nBcc:")
	for _, bad := range []string{"", "http://x", "smtp://", "smtp://u:secret@h:1/%zz"} {
		_, err := mail.New(bad, "")
		require.Error(t, err, bad)
		assert.NotContains(t, err.Error(), "secret")
	}
}

func serveSMTP(conn net.Conn) string {
	var all strings.Builder
	r := bufio.NewReader(conn)
	fmt.Fprint(conn, "220 test\r\n")
	data := false
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return all.String()
		}
		all.WriteString(line)
		switch {
		case data && line == ".\r\n":
			data = false
			fmt.Fprint(conn, "250 ok\r\n")
		case data:
		case strings.HasPrefix(line, "DATA"):
			data = true
			fmt.Fprint(conn, "354 go\r\n")
		case strings.HasPrefix(line, "QUIT"):
			fmt.Fprint(conn, "221 bye\r\n")
			return all.String()
		default:
			fmt.Fprint(conn, "250 ok\r\n")
		}
	}
}

// TestSettingsAreText: what of them is text is cleaned as all text, and a locale has its form.
func TestSettingsAreText(t *testing.T) {
	c := newSite(t, db.Options{}).client(t)
	bert := c.register("bert").Access
	a := c.want(200, "", "PATCH", "/api/v1/me", bert, `{"settings":{"locale":" zh-\u202eHans\u0000-CN\n","playback":{"quality":" 7\u000020p\u202e "}}}`)
	assert.Contains(t, a.Body.String(), `"locale":"zh-Hans-CN"`)
	assert.Contains(t, a.Body.String(), `"quality":"720p"`)
	for settings, want := range map[string]string{
		`{"locale":"not a locale"}`: `"/settings/locale","code":"invalid_format"`, `{"locale":""}`: `"/settings/locale","code":"invalid_format"`,
		`{"locale":"\u0000"}`: `"/settings/locale","code":"invalid_format"`, `{"locale":"de_DE"}`: `"/settings/locale","code":"invalid_format"`,
		`{"locale":"en` + strings.Repeat("-x", 20) + `"}`:            `"/settings/locale","code":"too_long"`,
		`{"playback":{"quality":"\u202e "}}`:                         `"/settings/playback/quality","code":"too_short"`,
		`{"playback":{"quality":"` + strings.Repeat("é", 21) + `"}}`: `"/settings/playback/quality","code":"too_long"`,
	} {
		assert.Contains(t, c.want(422, "validation_failed", "PATCH", "/api/v1/me", bert, `{"settings":`+settings+`}`).Body.String(), `"pointer":`+want, settings)
	}
}

// TestWhatIsWrongWithARegistration: each value with its code and its bound, and all at once.
func TestWhatIsWrongWithARegistration(t *testing.T) {
	c := newSite(t, db.Options{}).client(t)
	refused := func(body string, want ...string) {
		t.Helper()
		a := c.want(422, "validation_failed", "POST", "/api/v1/auth/register", "", body)
		for _, w := range want {
			assert.Contains(t, a.Body.String(), w, body)
		}
	}
	user := func(name string) string { return fmt.Sprintf(`{"username":%q,"password":%q}`, name, goodPassword) }
	named := func(display string) string {
		return fmt.Sprintf(`{"username":"bert","password":%q,"display_name":%q}`, goodPassword, display)
	}
	refused(user("ab"), `"pointer":"/username","code":"too_short"`, `"min":3`)
	refused(user(strings.Repeat("x", 33)), `"pointer":"/username","code":"too_long"`, `"max":32`)
	for _, name := range []string{
		"a b c", "bért", "admin", "Administrator", "mod", "mods", "staff", "official", "mediad", "support", "help", "anonymous", "null", "undefined", "_admin_",
	} {
		refused(user(name), `"pointer":"/username","code":"invalid_format"`)
	}
	refused(user("me"), `"pointer":"/username","code":"too_short"`)
	refused(named(strings.Repeat("é", 51)), `"pointer":"/display_name","code":"too_long"`, `"max":50`)
	for _, empty := range []string{"", "   ", "\n"} {
		refused(named(empty), `"pointer":"/display_name","code":"too_short"`, `"min":1`)
	}
	refused(`{"username":"ab","password":"short","display_name":"","email":"x"}`, `"/username"`, `"/password","code":"weak_password"`, `"/display_name"`, `"/email","code":"invalid_format"`)
	c.want(201, "", "POST", "/api/v1/auth/register", "", named(strings.Repeat("é", 50)))
	c.want(201, "", "POST", "/api/v1/auth/register", "", user("absent"))
}
