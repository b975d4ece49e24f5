package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"mediad/store/db"
)

// TestCSRF: what a page of another site can make a browser send does nothing. It can send the cookie to browsers of old, simple bodies, and
// no header of its own.
func TestCSRF(t *testing.T) {
	s := newSite(t, db.Options{})
	s.deps.Config.CORSOrigins = []string{"https://app.example.net"}
	s.deps.Config.PublicURL = "https://tv.example.com"
	c := s.client(t)
	c.register("bert")
	login := fmt.Sprintf(`{"login":"bert","password":%q,"transport":"cookie"}`, goodPassword)
	bert := c.session(c.want(200, "", "POST", "/api/v1/auth/login", "", login))
	const refresh, evil = "/api/v1/auth/refresh", "https://evil.example"
	for name, headers := range map[string][]string{
		"no header":             {},
		"another value":         {"X-Mediad-Csrf", "true"},
		"another header":        {"X-Csrf-Token", "1"},
		"no header, own origin": {"Origin", "http://example.com"},
	} {
		c.want(403, "csrf", "POST", refresh, "", "", append(headers, "Cookie", bert.Cookie)...)
		assert.NotEmpty(t, name)
	}
	for _, origin := range []string{evil, "null", "http://example.com.evil.example", "http://evil.example/?example.com", "https://example.comx", "file://"} {
		c.want(403, "origin_refused", "POST", refresh, "", "", "Cookie", bert.Cookie, "X-Mediad-Csrf", "1", "Origin", origin)
		c.want(403, "origin_refused", "POST", "/api/v1/auth/login", "", login, "Origin", origin)
		c.want(403, "origin_refused", "POST", "/api/v1/auth/register", "",
			`{"username":"planted","password":"`+goodPassword+`","transport":"cookie"}`, "Origin", origin)
	}
	for _, origin := range []string{"http://example.com", "https://example.com", "https://app.example.net", "https://tv.example.com", ""} {
		headers := []string{"Cookie", bert.Cookie, "X-Mediad-Csrf", "1"}
		if origin != "" {
			headers = append(headers, "Origin", origin)
		}
		bert = c.session(c.want(200, "", "POST", refresh, "", "", headers...))
	}
	// Without the cookie an origin means nothing: the page has the token itself.
	c.want(200, "", "POST", "/api/v1/auth/login", "", strings.Replace(login, "cookie", "body", 1), "Origin", evil)

	// The cookie alone opens nothing else, whatever it is sent with.
	for _, call := range [][2]string{
		{"GET", "/api/v1/me"}, {"PATCH", "/api/v1/me"}, {"DELETE", "/api/v1/auth/sessions"}, {"POST", "/api/v1/auth/logout"}, {"POST", "/api/v1/streams"},
	} {
		a := c.do(call[0], call[1], "", "", "Cookie", bert.Cookie, "X-Mediad-Csrf", "1", "Origin", evil)
		assert.Equal(t, 401, a.Code, call)
		assert.Empty(t, a.Header().Get("Access-Control-Allow-Origin"))
		assert.Empty(t, a.Header().Get("Access-Control-Allow-Credentials"))
	}
	// Bodies that forms can send are no JSON.
	for _, simple := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
		c.want(415, "unsupported_media_type", "POST", "/api/v1/auth/login", "", login, "Content-Type", simple)
	}
}
