package api_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/apitest"
)

// injections are what breaks programs that put strings together.
func injections() []spelling {
	short := []spelling{spelled("' OR 1=1 --"), spelled("%"), {"\x00", `"\u0000"`, "%00"}}
	if testing.Short() {
		return short
	}
	long := []spelling{
		spelled("_"), {"\xed\xa0\x80", `"\ud800"`, "%ED%A0%80"}, spelled("'; DROP TABLE users; --"), spelled(`" OR ""="`), spelled(`\`), spelled(`\'`), spelled("$1"), spelled("?"), spelled(":name"),
		spelled("@p1"), spelled("1) UNION SELECT password_hash FROM users --"), spelled("{{7*7}}${7*7}"), spelled("../../../etc/passwd"),
		spelled("a\r\nSet-Cookie: mediad_rt=x"), spelled("\u202eabc\u2066"), spelled("Z\u0351\u036b\u0343\u036a"), spelled("👩‍👩‍👧‍👦"), spelled("\ufeff\u200b"),
		spelled(strings.Repeat("x", 10_000)), spelled(strings.Repeat("ﷺ", 500)), spelled("null"), spelled("true"), spelled("[]"), spelled("{}"), spelled("-1"),
		spelled("99999999999999999999"), spelled("1e999"), {"\xff\xfe", "\"\xff\xfe\"", "%FF%FE"}, {"\ufffe", `"\ufffe"`, "%EF%BF%BE"},
	}
	return append(short, long...)
}

// tells is what no answer may say, whatever was asked.
var tells = regexp.MustCompile(`(?i)sqlite|sqlstate|pgconn|syntax error|no such (table|column)|goroutine|\.go:\d|SELECT .* FROM|/tmp/`)

// TestSQLInjection puts injections and hostile Unicode into every string field and parameter of every operation, as an admin, to whom all are
// open: the answer is as the document says and never the server's fault, no list has rows for what nobody wrote, and nothing of somebody
// else's changes.
func TestSQLInjection(t *testing.T) {
	w := newWalker(t)
	vera := w.streamer("vera")
	w.stream(vera.Access, `{"slug":"veras","title":"Hers","visibility":"private"}`)
	w.want(201, "", "POST", "/api/v1/me/api-tokens", vera.Access, `{"label":"bot","scopes":["profile"]}`)
	w.want(204, "", "PUT", "/api/v1/users/@dora/block", vera.Access, "")
	before := w.life(vera)
	tried, kept := 0, 0
	for _, op := range operations(t) {
		for _, p := range w.places(op) {
			for _, value := range injections() {
				a := w.call(p, value)
				tried++
				if !assert.Less(t, a.Code, 500, "%s %s in %s %s: %s", op.Method, op.Path, p.in, p.name, a.Body) {
					continue
				}
				if op.ID != "getOpenAPI" && op.ID != "getDocs" {
					assert.NotRegexp(t, tells, echoless(a, value), "%s in %s %s", op.ID, p.in, p.name)
				}
				if a.Code < 300 && p.in == "query" {
					noRows(t, p, value, a)
				}
				if a.Code < 300 && p.in == "body" && echoes(a, p.name, value.plain) {
					kept++
				}
			}
		}
		if !assert.Equal(t, before, w.life(vera), "%s changed what is somebody else's", op.ID) {
			before = w.life(vera)
		}
	}
	assert.Greater(t, tried, 300)
	assert.Greater(t, kept, 20, "some are good texts, and come back as they were sent")
	t.Logf("%d calls, %d texts came back", tried, kept)
}

// echoless is the answer without the text that was sent, which it may give back.
func echoless(a *apitest.Answer, value spelling) string {
	return strings.NewReplacer(value.plain, "", strings.Trim(value.json, `"`), "").Replace(a.Body.String())
}

// noRows: a filter by a text that nobody wrote finds nothing.
func noRows(t *testing.T, p place, value spelling, a *apitest.Answer) {
	t.Helper()
	if p.name == "cursor" || p.name == "limit" || p.name == "sort" || p.name == "from" || p.name == "to" || value.plain == "true" {
		return
	}
	if p.op.ID == "exportAudit" { // an entry a line
		assert.Empty(t, a.Body.String(), "%s finds rows by %s=%s", p.op.ID, p.name, value.query)
		return
	}
	var page struct{ Items *[]any }
	require.NoError(t, json.Unmarshal(a.Body.Bytes(), &page), a.Body.String())
	if page.Items != nil {
		assert.Empty(t, *page.Items, "%s finds rows by %s=%s", p.op.ID, p.name, value.query)
	}
}

// echoes says whether the answer has the text at the same place as the body.
func echoes(a *apitest.Answer, pointer, text string) bool {
	var v any
	if json.Unmarshal(a.Body.Bytes(), &v) != nil {
		return false
	}
	for name := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		switch in := v.(type) {
		case map[string]any:
			v = in[name]
		case []any:
			if len(in) == 0 {
				return false
			}
			v = in[0]
		default:
			return false
		}
	}
	return v == text
}

// TestXSS puts scripts into every string field and parameter: a text is data and comes back letter for letter, as JSON that no browser takes
// for a page.
func TestXSS(t *testing.T) {
	w := newWalker(t)
	scripts := []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</script><svg/onload=alert(1)>`, `javascript:alert(1)`}
	if testing.Short() {
		scripts = scripts[:1]
	}
	back := map[string]bool{}
	for _, op := range operations(t) {
		for _, p := range w.places(op) {
			for _, script := range scripts {
				a := w.call(p, spelled(script))
				where := op.ID + " " + p.in + " " + p.name
				if a.Body.Len() > 0 && op.ID != "getDocs" {
					assert.Contains(t, []string{"application/json; charset=utf-8", "application/problem+json"}, a.Header().Get("Content-Type"), where)
				}
				assert.Equal(t, "nosniff", a.Header().Get("X-Content-Type-Options"), where)
				assert.Contains(t, a.Header().Get("Content-Security-Policy"), "default-src 'none'", where)
				for name, values := range a.Header() {
					for _, value := range values {
						assert.NotContains(t, value, script, "%s: header %s", where, name)
					}
				}
				if a.Code < 300 && p.in == "body" {
					if echoes(a, p.name, script) {
						back[op.ID+p.name] = true
					}
					assert.NotContains(t, a.Body.String(), "&lt;", "%s: text is not stored as HTML", where)
				}
			}
		}
	}
	for _, want := range []string{
		"updateMe/display_name", "updateMe/bio", "updateMe/links/0/label", "createStream/title", "createStream/description", "updateStream/title",
		"updateStream/description", "updateStream/tags/0", "createStreamKey/label", "createAPIToken/label", "createServerKey/label", "register/display_name",
	} {
		if want == "register/display_name" { // it stands in the user of the session
			continue
		}
		assert.True(t, back[want], "%s comes back letter for letter", want)
	}
	c := w.client
	c.want(422, "validation_failed", "PATCH", "/api/v1/me", w.who.Access, `{"links":[{"label":"x","url":"javascript:alert(1)"}]}`)
}
