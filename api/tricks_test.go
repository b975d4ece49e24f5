package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/account"
	"mediad/api/apitest"
	"mediad/store/db"
)

// foreignBodies are operations whose bodies other programs write, by rules of their own.
func foreignBodies() map[string]bool { return map[string]bool{"getOBSConfig": true} }

// wished are fields that somebody would like to set.
func wished() []string {
	return []string{
		"id", "role", "verified", "verified_at", "is_streamer", "permissions", "state", "owner", "owner_id", "user_id", "created_at", "updated_at", "version",
		"password_hash", "session_version", "followers_count", "email_verified", "email_enc", "two_factor", "suspended_until", "deleted_at", "disabled_at",
		"hash", "hint", "secret", "scopes", "admin", "is_admin", "quota", "me", "__proto__", "constructor", "$where", "Role", "ROLE",
	}
}

// TestMassAssignment adds to every body that an operation takes what its answers have and it does not take, and what rows have: each is refused
// by name, and nothing is written.
func TestMassAssignment(t *testing.T) {
	w := newWalker(t)
	answers := answerFields(t, w.reader)
	tried := 0
	for _, op := range operations(t) {
		if op.Body == nil || foreignBodies()[op.ID] {
			continue
		}
		fields := map[string]bool{}
		for _, name := range append(wished(), answers[op.ID]...) {
			fields[name] = true
		}
		for name := range w.properties(op.Body) {
			delete(fields, name)
		}
		w.spent = true
		w.ready()
		for name := range fields {
			body := w.least(op.Body)
			body[name] = "admin"
			a := apitest.Do(t, w.h, apitest.Scenario{Method: op.Method, Path: w.path(op.Path), Body: toText(body), Token: w.who.Access})
			w.doc.Check(t, op.Method, a)
			tried++
			assert.Equal(t, 422, a.Code, "%s takes %s: %s", op.ID, name, a.Body)
			assert.Contains(t, a.Body.String(), `"code":"unknown_field"`, "%s of %s", name, op.ID)
		}
	}
	assert.Greater(t, tried, 300)

	bert := w.register("bert")
	for _, body := range []string{`{"role":"admin"}`, `{"verified":true}`, `{"bio":"x","role":"admin"}`, `{"settings":{"role":"admin"}}`, `{"links":[{"label":"x","url":"https://a.b","verified":true}]}`} {
		w.want(422, "validation_failed", "PATCH", "/api/v1/me", bert.Access, body)
	}
	me := w.want(200, "", "GET", "/api/v1/me", bert.Access, "").Body.String()
	for _, want := range []string{`"role":"viewer"`, `"verified":false`, `"bio":""`, `"links":[]`} {
		assert.Contains(t, me, want)
	}
	w.want(422, "validation_failed", "POST", "/api/v1/auth/register", "", `{"username":"king","password":"`+goodPassword+`","role":"admin"}`)
	w.want(404, "not_found", "GET", "/api/v1/users/@king", "", "")
}

// answerFields are the names that the good answers of operations have.
func answerFields(t *testing.T, r reader) map[string][]string {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string
			Responses   map[string]struct {
				Content map[string]struct{ Schema schema }
			}
		}
	}
	w := apitest.Do(t, newSite(t, db.Options{}).handler(t), apitest.Scenario{Path: "/api/v1/openapi.json"})
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &doc))
	names := map[string][]string{}
	for _, methods := range doc.Paths {
		for _, op := range methods {
			for status, answer := range op.Responses {
				if strings.HasPrefix(status, "2") {
					for name := range r.properties(answer.Content["application/json"].Schema) {
						names[op.OperationID] = append(names[op.OperationID], name)
					}
				}
			}
		}
	}
	return names
}

// TestHostileJSON sends bodies that two readers would read differently, or that would cost too much, to every operation that takes one.
func TestHostileJSON(t *testing.T) {
	w := newWalker(t)
	deep := strings.Repeat("[", 33) + strings.Repeat("]", 33)
	for _, op := range operations(t) {
		if op.Body == nil || foreignBodies()[op.ID] {
			continue
		}
		w.spent = true
		w.ready()
		send := func(body string, headers ...string) *apitest.Answer {
			sc := apitest.Scenario{Method: op.Method, Path: w.path(op.Path), Body: body, Token: w.who.Access, Headers: map[string]string{}}
			for i := 0; i+1 < len(headers); i += 2 {
				sc.Headers[headers[i]] = headers[i+1]
			}
			a := apitest.Do(t, w.h, sc)
			w.doc.Check(t, op.Method, a)
			return a
		}
		for name, body := range map[string]string{
			"too deep": `{"x":` + deep + `}`, "a key twice": `{"x":1,"x":2}`, "a key twice, escaped": `{"x":1,"\u0078":2}`, "twice within": `{"x":[{"y":1,"y":1}]}`,
			"trailing": `{} {}`, "trailing text": `{}x`, "half a character": `{"x":"\ud800"}`, "bytes that are no text": "{\"x\":\"\xff\"}", "quotes": `{'x':1}`,
			"a comment": `{/**/}`, "NaN": `{"x":NaN}`, "open": `{"x":`, "a byte order mark": "\ufeff{}", "nothing but space": "  ", "zeros": "\x00\x00",
			"a number beyond all": `{"x":1e400}`, "digits without end": `{"x":` + strings.Repeat("9", 400) + `}`,
		} {
			a := send(body)
			assert.Equal(t, 400, a.Code, "%s, %s: %s", op.ID, name, a.Body)
			assert.Contains(t, a.Body.String(), `"code":"malformed_json"`)
		}
		for _, body := range []string{`[]`, `1`, `"x"`, `true`, `{"":1}`} {
			a := send(body)
			assert.Equal(t, 422, a.Code, "%s, %s: %s", op.ID, body, a.Body)
		}
		a := send(`{"x":"` + strings.Repeat("x", 1<<20) + `"}`)
		assert.Equal(t, 413, a.Code, op.ID)
		assert.Contains(t, a.Body.String(), `"max_bytes":1048576`)
		for _, other := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", "text/json", "application/json, text/html", "*/*", "x"} {
			if slices.Contains(op.Types, other) {
				continue
			}
			assert.Equal(t, 415, send(`{}`, "Content-Type", other).Code, "%s as %s", op.ID, other)
		}
	}
}

// TestHeaderAndPathTricks: no spelling of a path and no header goes around what decides who may.
func TestHeaderAndPathTricks(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.streamer("bert")
	c.stream(bert.Access, `{"slug":"blitz","title":"x"}`)
	for _, path := range []string{
		"//api/v1/admin/users", "/api//v1/admin/users", "/api/v1//admin/users", "/api/v1/admin//users", "/api/v1/admin/users/", "/api/v1/./admin/users", "/api/v1/streams/../admin/users",
		"/api/v1/streams/..%2fadmin/users", "/api/v1/streams/%2e%2e/admin/users", "/api/v1/%61dmin/users", "/api/v1/admin%2Fusers", "/api/v1/admin%252Fusers", "/API/V1/ADMIN/USERS",
		"/api/v1/Admin/users", "/api/v1/admin/users;x=1", "/api/v1/admin/users%00", "/api/v1/admin/users%20", "/api/v1/admin/users.json", "/api/v1/admin/users%23", "/api/v1/admin/users%3Fq=a",
		`/api/v1/admin\users`, "/api/v1/admin/users?%00=1", "/api/v1/admin/users?limit=1&limit=2", "/api/v2/admin/users", "/v1/admin/users", "/api/v1/admin/users%0d%0aX:1",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com/", http.NoBody)
		require.NoError(t, err)
		if r.URL.Path, r.URL.RawQuery, _ = strings.Cut(path, "?"); strings.Contains(path, "%") {
			parsed, err := r.URL.Parse("http://example.com" + strings.ReplaceAll(path, `\`, "%5C"))
			require.NoError(t, err, path)
			r.URL = parsed
		}
		r.RequestURI, r.RemoteAddr = path, "192.0.2.1:1"
		r.Header.Set("Authorization", "Bearer "+bert.Access)
		a := apitest.Serve(t, c.h, r)
		assert.Contains(t, []int{400, 403, 404}, a.Code, "%s: %s", path, a.Body)
		assert.NotContains(t, a.Body.String(), `"items"`, path)
	}
	for _, headers := range [][]string{
		{"X-Original-URL", "/api/v1/admin/users"}, {"X-Rewrite-URL", "/api/v1/admin/users"}, {"X-Forwarded-Prefix", "/api/v1/admin"}, {"X-HTTP-Method-Override", "DELETE"},
		{"X-HTTP-Method", "DELETE"}, {"X-Method-Override", "DELETE"}, {"X-Forwarded-User", "anna"}, {"X-User-Id", s.owner.ID}, {"X-Role", "admin"},
		{"X-Forwarded-Host", "evil.example"}, {"Forwarded", "for=127.0.0.1;host=evil.example"}, {"X-Forwarded-Proto", "https"}, {"X-Real-IP", "127.0.0.1"},
	} {
		for _, path := range []string{"/api/v1/streams/blitz", "/api/v1/me"} {
			a := c.want(200, "", "GET", path, bert.Access, "", headers...)
			assert.NotContains(t, a.Body.String(), "evil.example", headers)
			assert.Contains(t, a.Body.String(), `bert`, headers)
		}
		c.want(403, "role_required", "GET", "/api/v1/admin/users", bert.Access, "", headers...)
	}
	c.want(200, "", "GET", "/api/v1/streams/blitz", "", "")

	// Who is behind no trusted proxy cannot say where it comes from.
	c.want(401, "bad_credentials", "POST", "/api/v1/auth/login", "", `{"login":"bert","password":"a wrong password"}`, "X-Forwarded-For", "198.51.100.77", "X-Real-IP", "198.51.100.77")
	failed := s.audited(t, "login")
	require.NotEmpty(t, failed)
	for _, row := range failed {
		assert.Equal(t, "192.0.2.x", row.IP)
	}
	// The second of two tokens is not looked at.
	admin := s.staff(t, c, "boss", account.Admin)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com/api/v1/admin/users", http.NoBody)
	require.NoError(t, err)
	r.RemoteAddr = "192.0.2.1:1"
	r.Header["Authorization"] = []string{"Bearer " + bert.Access, "Bearer " + admin.Access}
	assert.Equal(t, 403, apitest.Serve(t, c.h, r).Code)
	for _, header := range []string{"bearer", "Bearer", "Bearer  ", "Basic YTpi", "Bearer " + strings.Repeat("x", 10_000), fmt.Sprintf("Bearer %s, Bearer %s", bert.Access, admin.Access)} {
		c.want(401, "token_invalid", "GET", "/api/v1/me", "", "", "Authorization", header)
	}
}
