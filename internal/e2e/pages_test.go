//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const adminPassword = "staple of the battery"

// people starts a server with an admin, boss, and lets a streamer, anna, and a viewer, bert, register. It returns their tokens.
func people(t *testing.T) (s *server, boss, anna string) {
	t.Helper()
	s = startServer(t, "MEDIAD_INGEST_OPEN=false", "MEDIAD_AUTH_REGISTRATION=open",
		"MEDIAD_ADMIN_USERNAME=boss", "MEDIAD_ADMIN_PASSWORD="+adminPassword)
	boss = s.call(200, "POST", "/api/v1/auth/login", "", `{"login":"boss","password":"`+adminPassword+`"}`)["access_token"].(string)
	anna = s.call(201, "POST", "/api/v1/auth/register", "", `{"username":"anna","password":"correct horse battery"}`)["access_token"].(string)
	s.call(201, "POST", "/api/v1/auth/register", "", `{"username":"bert","password":"correct horse battery"}`)
	s.call(200, "POST", "/api/v1/me/streamer", anna, "")
	return s, boss, anna
}

// look opens pages as those people, see web/tests/e2e/pages.mjs.
func (s *server) look(t *testing.T, args ...string) {
	t.Helper()
	all := append([]string{"../../web/tests/e2e/pages.mjs", "--url", s.url(""), "--as", "boss:" + adminPassword,
		"--as", "anna:correct horse battery", "--as", "bert:correct horse battery"}, args...)
	p := spawn(t, "node", all...)
	require.NoError(t, p.wait(t, 6*time.Minute), p.log.String())
}

func pages(list ...string) (args []string) {
	for _, page := range list {
		args = append(args, "--page", page)
	}
	return args
}

func body(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

// TestHostileTextStaysText: what people write is shown as they wrote it, wherever the pages show it, and never runs.
func TestHostileTextStaysText(t *testing.T) {
	t.Parallel()
	s, boss, anna := people(t)
	// Short enough for every field; what it would do is seen by pages.mjs.
	const text = `<img src=x onerror=__ran=1>`
	s.call(200, "PATCH", "/api/v1/me", anna, body(t, map[string]any{
		"display_name": text, "bio": text + `<script>window.__ran=1</script>{{constructor.constructor('__ran=1')()}}`,
		"links": []map[string]string{{"label": text, "url": "https://example.com/?q=%22onclick=__ran=1"}},
	}))
	s.call(201, "POST", "/api/v1/streams", anna, body(t, map[string]any{
		"slug": "blitz", "title": text, "description": text, "category": "games", "tags": []string{text},
	}))
	s.call(201, "POST", "/api/v1/streams/blitz/keys", anna, body(t, map[string]any{"label": text}))
	s.call(201, "POST", "/api/v1/me/api-tokens", anna, body(t, map[string]any{"label": text, "scopes": []string{"profile"}}))
	s.call(200, "POST", "/api/v1/auth/login", "", body(t, map[string]any{
		"login": "anna", "password": "correct horse battery", "device_name": text,
	}))
	bert := s.json("/api/v1/users/@bert")["id"].(string)
	s.call(200, "PUT", "/api/v1/users/@boss/follow", anna, `{"notify":"all"}`)
	s.call(204, "PUT", "/api/v1/users/"+bert+"/suspension", boss, body(t, map[string]any{"reason": text}))
	s.call(201, "POST", "/api/v1/admin/server-keys", boss, body(t, map[string]any{"label": text}))
	s.asks(t, boss, "carl", text)
	s.look(t, append(pages(
		":/@anna", "boss:/@anna", ":/watch/blitz", "anna:/studio", "anna:/studio/blitz", "anna:/settings", "anna:/settings/sessions",
		"anna:/settings/tokens", "boss:/admin/users", "boss:/admin/audit",
		"boss:/admin/requests", "boss:/admin/keys", "boss:/moderation/bert",
	), "--text", text)...)
}

// TestPagesOfARoleAreForItAlone: who lacks the role is told so, and gets none of the page's files.
func TestPagesOfARoleAreForItAlone(t *testing.T) {
	t.Parallel()
	s, _, _ := people(t)
	s.look(t, append(pages("bert:/admin", "bert:/admin/audit", "anna:/admin/users", "bert:/studio/blitz"),
		"--expect", "[data-forbidden]", "--without", "/AdminPage")...)
	s.look(t, append(pages("bert:/moderation", "anna:/moderation/bert"), "--expect", "[data-forbidden]", "--without", "/ModerationPage")...)
	s.look(t, append(pages("boss:/admin"), "--expect", "[data-admin]")...)
	// Nor more than the part that is open.
	s.look(t, append(pages("boss:/admin/keys"), "--expect", "[data-new-key]", "--without", "/JobsPart")...)
}

// asks makes a user who waits to be made a streamer. It leaves the site with auth.streamer_approval=manual.
func (s *server) asks(t *testing.T, boss, name, note string) {
	t.Helper()
	s.setting(t, boss, `{"auth.streamer_approval":"manual"}`)
	token := s.call(201, "POST", "/api/v1/auth/register", "", `{"username":"`+name+`","password":"correct horse battery"}`)["access_token"].(string)
	s.call(202, "POST", "/api/v1/me/streamer", token, body(t, map[string]any{"note": note}))
}

// setting changes settings of the site.
func (s *server) setting(t *testing.T, boss, change string) {
	t.Helper()
	ask := func(method, version, content string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, s.url("/api/v1/admin/settings"), strings.NewReader(content))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+boss)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("If-Match", version)
		a, err := s.client.Do(r)
		require.NoError(t, err)
		a.Body.Close()
		require.Equal(t, http.StatusOK, a.StatusCode)
		return a
	}
	ask(http.MethodPatch, ask(http.MethodGet, "", "").Header.Get("ETag"), change)
}

// TestPagesForPeopleAreAccessible: the new pages against axe, in both themes, on a desk and on a phone.
func TestPagesForPeopleAreAccessible(t *testing.T) {
	t.Parallel()
	s, boss, anna := people(t)
	s.call(200, "PATCH", "/api/v1/me", anna, `{"bio":"Chess.","links":[{"label":"Club","url":"https://example.com"}]}`)
	s.call(201, "POST", "/api/v1/streams", anna, `{"slug":"blitz","title":"Friday blitz","description":"Three minutes each."}`)
	s.call(201, "POST", "/api/v1/me/api-tokens", anna, `{"label":"Bot","scopes":["profile"]}`)
	s.call(201, "POST", "/api/v1/admin/invites", boss, `{"uses":2}`)
	s.call(201, "POST", "/api/v1/admin/server-keys", boss, `{"label":"Payments"}`)
	s.call(202, "POST", "/api/v1/me/exports", anna, "") // a job
	s.asks(t, boss, "carl", "Chess on Fridays.")
	s.call(200, "PUT", "/api/v1/users/@anna/follow", boss, `{"notify":"all"}`)
	s.call(201, "POST", "/api/v1/me/webhooks", anna, `{"url":"https://hooks.example.com/in","events":["stream.online","stream.offline"]}`)
	list := pages(
		":/login", ":/register", "boss:/@anna", "bert:/studio", "anna:/studio/blitz", "anna:/settings", "anna:/settings/security",
		"anna:/settings/data", "anna:/settings/webhooks", "anna:/history", "anna:/watch/blitz", ":/watch/nothing-here", "boss:/admin/users",
		"boss:/admin/audit", "boss:/admin", "boss:/admin/jobs", "boss:/admin/settings", "boss:/moderation/bert",
	)
	if *soak {
		list = append(list, pages(
			":/forgot-password", ":/reset-password#token=x", ":/verify-email", ":/restore", ":/@anna", ":/@nobody_is_here", "bert:/admin", "anna:/studio",
			"anna:/settings/account", "anna:/settings/sessions", "anna:/settings/tokens", "anna:/settings/look", "anna:/watch-later", "bert:/watch/nothing-here",
			"boss:/admin/streams", "boss:/admin/invites", "boss:/admin/requests", "boss:/admin/keys", "boss:/admin/categories", "boss:/moderation",
		)...)
	}
	s.look(t, append(list, "--axe")...)
}

// TestPagesInChineseOnATablet: each page has its texts in Chinese, and room for them between a phone and a desk.
func TestPagesInChineseOnATablet(t *testing.T) {
	t.Parallel()
	s, _, anna := people(t)
	s.call(201, "POST", "/api/v1/streams", anna, `{"slug":"blitz","title":"周五快棋：每方三分钟，欢迎观看","tags":["国际象棋","快棋"]}`)
	s.call(201, "POST", "/api/v1/me/webhooks", anna, `{"url":"https://hooks.example.com/in","events":["stream.online","stream.offline"]}`)
	s.look(t, append(pages(
		":/", ":/login", ":/register", ":/forgot-password", ":/watch/blitz", ":/watch/nothing-here", ":/@anna", "anna:/studio", "anna:/studio/blitz", "anna:/history",
		"anna:/watch-later", "anna:/settings", "anna:/settings/account", "anna:/settings/security", "anna:/settings/sessions", "anna:/settings/tokens",
		"anna:/settings/webhooks", "anna:/settings/data", "bert:/studio", "boss:/admin/users", "boss:/admin/streams", "boss:/admin/invites", "boss:/admin/audit",
	), "--locale", "zh-CN", "--width", "768")...)
}
