package problem_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/humatest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/problem"
	"mediad/store/db"
)

func TestCodesHaveStatuses(t *testing.T) {
	for code, status := range problem.Codes() {
		p := problem.New(code, "why")
		assert.Equal(t, status, p.Status)
		assert.Equal(t, string(code), p.Code)
		assert.Equal(t, "urn:mediad:problem:"+string(code), p.Type)
		assert.NotEmpty(t, p.Title)
		assert.GreaterOrEqual(t, status, 400)
		assert.Regexp(t, "^[a-z_]+$", p.Code)
	}
	assert.Equal(t, 500, problem.New("never_heard_of", "").Status)
}

func TestFrom(t *testing.T) {
	secret := errors.New("SELECT * FROM users")
	ours := problem.New(problem.NotFound, "no")
	cases := []struct {
		err      error
		code     problem.Code
		internal bool
	}{
		{ours, problem.NotFound, false},
		{fmt.Errorf("wrapped: %w", ours), problem.NotFound, false},
		{secret, problem.Internal, true},
		{fmt.Errorf("db: %w", context.DeadlineExceeded), problem.Timeout, true},
		{errors.New("sql: database is closed"), problem.Unavailable, true},
		{db.ErrNotFound, problem.Internal, true},
		{&huma.ErrorModel{Status: 422}, problem.ValidationFailed, false},
		{&huma.ErrorModel{Status: 413}, problem.PayloadTooLarge, false},
		{&huma.ErrorModel{Status: 500}, problem.Internal, true},
	}
	for _, c := range cases {
		p, internal := problem.From(c.err)
		assert.Equal(t, string(c.code), p.Code, "%v", c.err)
		assert.Equal(t, c.internal, internal != nil, "%v", c.err)
		assert.NotContains(t, p.Detail, "SELECT")
	}
}

func TestFieldCodes(t *testing.T) {
	bound := func(f float64) *float64 { return &f }
	cases := map[string]problem.Field{
		"expected number >= 1":                     {Code: "out_of_range", Min: bound(1)},
		"expected number <= 100":                   {Code: "out_of_range", Max: bound(100)},
		"expected length >= 3":                     {Code: "too_short", Min: bound(3)},
		"expected length <= 40":                    {Code: "too_long", Max: bound(40)},
		`expected value to be one of "a, b"`:       {Code: "invalid_enum"},
		"required query parameter is missing":      {Code: "required"},
		"unexpected property":                      {Code: "unknown_field"},
		"invalid integer":                          {Code: "invalid_format"},
		"expected string to be RFC 3339 date-time": {Code: "invalid_format"},
	}
	for message, want := range cases {
		p, _ := problem.From(&huma.ErrorModel{Status: 422, Errors: []*huma.ErrorDetail{{Message: message, Location: "query.a.b"}, nil}})
		require.Len(t, p.Errors, 1)
		want.Pointer, want.Message = "/a/b", message
		assert.Equal(t, want, p.Errors[0])
	}
}

// TestPointers of huma's paths: with a schema a dot may be part of a name.
func TestPointers(t *testing.T) {
	text := &huma.Schema{Type: huma.TypeString}
	link := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{"url": text, "x.y": text}}
	body := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{
		"title": text, "limits": text, "limits.live": text, "links": {Type: huma.TypeArray, Items: link}, "of": link,
	}}
	op := &huma.Operation{RequestBody: &huma.RequestBody{Content: map[string]*huma.MediaType{"application/json": {Schema: body}}}}
	for _, c := range []struct{ location, message, pointer string }{
		{"body", "expected object", ""},
		{"body", "expected required property of to be present", "/of"},
		{"body", "expected required property limits.live to be present", "/limits.live"},
		{"body.title", "expected string", "/title"},
		{"body.limits.live", "expected string", "/limits.live"},
		{"body.http.addr", "unexpected property", "/http.addr"},
		{"body.a/b~c", "unexpected property", "/a~1b~0c"},
		{"body.links[0].url", "expected string", "/links/0/url"},
		{"body.links[12].x.y", "expected string", "/links/12/x.y"},
		{"body.links[1]", "expected object", "/links/1"},
		{"body.links[1]", "expected required property url to be present", "/links/1/url"},
		{"body.of.zip.code", "unexpected property", "/of/zip.code"},
		{"query.limit", "expected number <= 100", "/limit"},
		{"header.If-Match", "expected length <= 9", "/If-Match"},
	} {
		p := transformed(t, op, &huma.ErrorModel{Status: 422, Errors: []*huma.ErrorDetail{{Location: c.location, Message: c.message}}})
		require.Len(t, p.Errors, 1)
		assert.Equal(t, c.pointer, p.Errors[0].Pointer, c.location)
	}
}

func transformed(t *testing.T, op *huma.Operation, m *huma.ErrorModel) *problem.Problem {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/x", http.NoBody)
	out, err := problem.Transformer(huma.NewMapRegistry("#/", huma.DefaultSchemaNamer))(humatest.NewContext(op, r, httptest.NewRecorder()), "422", m)
	require.NoError(t, err)
	return out.(*problem.Problem)
}

func TestWrite(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(problem.WithRequestID(t.Context(), "id-1"), http.MethodGet, "/api/v1/x?token=hidden", http.NoBody)
	shared := problem.New(problem.RateLimited, "<slow down>").Retry(1500 * time.Millisecond)
	problem.Write(w, r, shared)
	assert.Equal(t, 429, w.Code)
	assert.Equal(t, "2", w.Header().Get("Retry-After"))
	assert.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	var body map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
	assert.Equal(t, map[string]any{
		"type": "urn:mediad:problem:rate_limited", "title": "Too many requests", "status": 429.0, "code": "rate_limited", "detail": "<slow down>",
		"instance": "/api/v1/x", "request_id": "id-1", "retry_after_ms": 1500.0,
	}, body)
	assert.Empty(t, shared.RequestID, "a problem may be shared by requests")
}

func TestNoSecretComesBack(t *testing.T) {
	p := problem.New(problem.NotFound, "token=abcdefgh1234 is none")
	p.Errors = []problem.Field{{Pointer: "/x", Code: "invalid_format", Message: "mds_abcdefgh1234"}}
	got := p.For(t.Context(), "/t/abcdefgh1234/live")
	assert.Equal(t, "/t/***1234/live", got.Instance)
	assert.Equal(t, "token=***1234 is none", got.Detail)
	assert.Equal(t, "***1234", got.Errors[0].Message)
	assert.Equal(t, "mds_abcdefgh1234", p.Errors[0].Message, "a problem may be shared by requests")
}

// TestInstanceIsAReference: the path as it stands in a URL, without secrets however they are written.
func TestInstanceIsAReference(t *testing.T) {
	for path, want := range map[string]string{
		"/api/v1/users/a%20b%22%0A": "/api/v1/users/a%20b%22%0A",
		"/api/v1/users/%2e%2e":      "/api/v1/users/%2e%2e",
		"/api/v1/streams/caf%C3%A9": "/api/v1/streams/caf%C3%A9",
		"/api/v1/streams/a%2Fb":     "/api/v1/streams/a%2Fb",
		"/t/%61bcdefgh1234/live":    "/t/***1234/live",
		"/t/abcdefgh1234/a%20b":     "/t/***1234/a%20b",
		"/x/%6Dds_abcdefgh1234":     "/x/***1234",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
		w := httptest.NewRecorder()
		problem.Write(w, r, problem.New(problem.NotFound, "no"))
		var got struct{ Instance string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
		assert.Equal(t, want, got.Instance)
		_, err := url.Parse(got.Instance)
		require.NoError(t, err)
	}
}

func TestAnOutageIsToldOfOnceASecond(t *testing.T) {
	var log bytes.Buffer
	h := problem.Handle(slog.New(slog.NewTextHandler(&log, nil)), func(context.Context, *struct{}) (*struct{}, error) { return nil, sql.ErrConnDone })
	for range 100 {
		_, err := h(t.Context(), nil)
		require.Error(t, err)
	}
	require.Less(t, strings.Count(log.String(), "request failed"), 10) // a busy machine may take more than a second
	require.Contains(t, log.String(), "others=0")
}
