package api_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/apitest"
	"mediad/api/stream"
	"mediad/store/db"
)

// TestWhatAnyoneReadsCanBeMatched: the ETag that anybody is given names the version, so that its owner can change what it is of.
func TestWhatAnyoneReadsCanBeMatched(t *testing.T) {
	s := newSite(t, db.Options{})
	s.deps.Config.CacheFor = time.Minute
	c := s.client(t)
	row := s.create(t, stream.Create{Slug: "main"})
	v := s.replay(t, row, "0198f2a0-0000-7000-8000-000000000301")
	anna := c.login("anna", "correct horse").Access
	for _, one := range []struct{ read, write, body string }{
		{"/api/v1/streams/main", "/api/v1/streams/main", `{"title":"Another"}`},
		{"/api/v1/videos/" + v.ID, "/api/v1/videos/" + v.ID, `{"title":"Another"}`},
		{"/api/v1/users/@anna", "/api/v1/me", `{"bio":"Another"}`},
	} {
		first := c.want(200, "", "GET", one.read, "", "").Header().Get("ETag")
		again := c.want(200, "", "GET", one.read, "", "").Header().Get("ETag") // out of the cache
		assert.Regexp(t, `^"v\d+-[A-Za-z0-9_-]{22}"$`, first, one.read)
		assert.Equal(t, first, again, one.read)
		c.want(304, "", "GET", one.read, "", "", "If-None-Match", first)
		c.want(200, "", "PATCH", one.write, anna, one.body, "If-Match", first)
		c.want(412, "version_mismatch", "PATCH", one.write, anna, one.body, "If-Match", first)
	}
}

// TestParametersThatAreThereTwice are refused where the route knows them, of which it would see one alone. Others are nobody's business.
func TestParametersThatAreThereTwice(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	k := c.serverKey(c.login("anna", "correct horse").Access)
	c.want(400, "invalid_parameter", "GET", "/api/v1/streams?limit=1&limit=2", "", "")
	c.want(400, "invalid_parameter", "GET", "/api/v1/streams?li%6Dit=1&limit=1", "", "")
	c.want(400, "invalid_parameter", "GET", "/api/v1/streams?x=1&x=%00", "", "")
	c.want(400, "invalid_parameter", "GET", "/api/v1/streams?x=1&x=%ff", "", "")
	c.want(200, "", "GET", "/api/v1/streams?limit=1&x=1&x=2", "", "")
	c.want(200, "", "GET", "/api/v1/config?limit=1&limit=2", "", "")
	const target = "/api/v1/config?b=x%20y&a=2&a=1"
	c.want(200, "", "GET", target, "", "", "Authorization", k.header(noon, "nonce-0123456789a", "GET", target, ""))
	c.want(401, "signature_invalid", "GET", "/api/v1/config?b=x%20y&a=2&a=3", "", "", "Authorization", k.header(noon, "nonce-0123456789b", "GET", target, ""))
}

// TestInstanceStandsInAURL: what was asked for comes back as it was written.
func TestInstanceStandsInAURL(t *testing.T) {
	c := newSite(t, db.Options{}).client(t)
	for path, code := range map[string]string{"/api/v1/users/a%20b%22": "not_found", "/api/v1/users/%2e%2e": "not_found", "/api/v1/no%20route": "route_not_found"} {
		a := c.want(404, code, "GET", path, "", "")
		var p struct{ Instance string }
		require.NoError(t, json.Unmarshal(a.Body.Bytes(), &p))
		assert.Equal(t, path, p.Instance)
	}
}

// TestPicturesAreTraced: their refusals name the request as all do.
func TestPicturesAreTraced(t *testing.T) {
	s := newSite(t, db.Options{})
	for _, sc := range []apitest.Scenario{
		{Path: "/pictures/none.jpg"}, {Path: "/pictures/" + strings.Repeat("0", 40) + ".jpg"}, {Method: "DELETE", Path: "/pictures/none.jpg"},
	} {
		a := s.picture(t, sc.Path, "X-Request-Id", "mine.1")
		assert.Equal(t, "mine.1", a.Header().Get("X-Request-Id"))
		assert.Contains(t, a.Body.String(), `"request_id":"mine.1"`)
	}
	a := s.picture(t, "/pictures/none.jpg", "X-Request-Id", "not one")
	assert.Contains(t, a.Body.String(), `"request_id":"`+a.Header().Get("X-Request-Id")+`"`)
	assert.Regexp(t, `^[0-9a-f-]{36}$`, a.Header().Get("X-Request-Id"))
	export := apitest.Do(t, s.exports, apitest.Scenario{Path: "/exports/none", Headers: map[string]string{"X-Request-Id": "mine.2"}})
	assert.Equal(t, "mine.2", export.Header().Get("X-Request-Id"))
	assert.Contains(t, export.Body.String(), `"request_id":"mine.2"`)
}

// TestTracesAreContinued: the lines of a request name the trace that it belongs to, where it names a valid one.
func TestTracesAreContinued(t *testing.T) {
	s := newSite(t, db.Options{})
	s.deps.Live = brokenLive{}
	s.create(t, stream.Create{Slug: "main"})
	c := s.client(t)
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	lines := func(request string) []string {
		var found []string
		for line := range strings.SplitSeq(s.logs.String(), "\n") {
			if strings.Contains(line, "request_id="+request) {
				found = append(found, line)
			}
		}
		return found
	}
	c.want(500, "internal", "GET", "/api/v1/streams/main", "", "", "X-Request-Id", "traced", "traceparent", "00-"+id+"-00f067aa0ba902b7-01")
	require.Len(t, lines("traced"), 2, "the failure and the request")
	for _, line := range lines("traced") {
		assert.Contains(t, line, "trace_id="+id)
	}
	c.want(500, "internal", "GET", "/api/v1/streams/main", "", "", "X-Request-Id", "untraced", "traceparent", "00-"+id+"-0-01")
	require.NotEmpty(t, lines("untraced"))
	for _, line := range lines("untraced") {
		assert.NotContains(t, line, "trace_id")
	}
}

// TestEveryOperationCanRefuseAParameter: broken escapes are refused by any, and so the document says it of each.
func TestEveryOperationCanRefuseAParameter(t *testing.T) {
	c := newSite(t, db.Options{}).client(t)
	c.want(400, "invalid_parameter", "POST", "/api/v1/auth/logout?x=%zz", "", "")
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Responses   map[string]struct {
				Codes []string `json:"x-problem-codes"`
			}
		}
	}
	require.NoError(t, json.Unmarshal(c.want(200, "", "GET", "/api/v1/openapi.json", "", "").Body.Bytes(), &doc))
	require.NotEmpty(t, doc.Paths)
	for path, methods := range doc.Paths {
		for _, op := range methods {
			if path == "/api/v1/openapi.json" || path == "/api/docs" {
				continue // they tell of no refusal at all
			}
			assert.Contains(t, op.Responses["400"].Codes, "invalid_parameter", "%s %s", path, op.OperationID)
		}
	}
}
