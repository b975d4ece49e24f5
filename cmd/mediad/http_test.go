package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/api/problem"
	"mediad/api/trace"
)

// TestPathsForProgramsAreNotRedirected: what is no route in this spelling is none, and the mux answers nobody in the API's place.
func TestPathsForProgramsAreNotRedirected(t *testing.T) {
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = problem.Identify(w.Header(), r)
		if r.URL.Path == "/api/v1/me" || r.URL.Path == "/api" || r.URL.Path == "/api/" {
			return
		}
		problem.Write(w, r, problem.New(problem.RouteNotFound, "no"))
	})
	door := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	h := publicHandler(http.NotFoundHandler(), api, page, map[string]http.Handler{"/whip/": door}, &health{})
	for target, want := range map[string]int{
		"/api/v1/me": 200, "/api": 200, "/api/": 200, "/whip/a": 202, "/watch/a": 418, "/": 418, "/apiary": 418, "//watch//a": 307, "/api/v1/users/%2e%2e": 404,
		"//api/v1/me": 404, "/api//v1/me": 404, "/api/v1/./me": 404, "/api/v1/users/../me": 404, "/x/../api/v1/me": 404, "/api/../watch": 404, "/%2e/api/v1/me": 404,
		"//whip/a": 404, "/api/v1/me/..": 404, "/.well-known//jwks.json": 404,
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "http://tv.example.com/", nil)
		u, err := url.ParseRequestURI(target) // as the server does
		require.NoError(t, err)
		r.URL, r.RequestURI = u, target
		h.ServeHTTP(w, r)
		require.Equal(t, want, w.Code, target)
		if want == 404 {
			require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"), target)
			require.NotEmpty(t, w.Header().Get("X-Request-Id"), target)
		}
	}
}

// TestEdgePassesOnWhatIsMisspelt, so that its origin refuses it as it refuses everybody.
func TestEdgePassesOnWhatIsMisspelt(t *testing.T) {
	passed := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	h := edgeHandler(passed, page, &health{})
	for target, want := range map[string]int{"/api/v1/me": 202, "//api/v1/me": 202, "/x/../api/v1/me": 202, "/watch/a": 418} {
		u, err := url.ParseRequestURI(target)
		require.NoError(t, err)
		r, w := httptest.NewRequest(http.MethodGet, "http://tv.example.com/", nil), httptest.NewRecorder()
		r.URL = u
		h.ServeHTTP(w, r)
		require.Equal(t, want, w.Code, target)
	}
}

// TestHSTS is one rule for all that comes by TLS.
func TestHSTS(t *testing.T) {
	public := publicHandler(http.NotFoundHandler(), http.NotFoundHandler(), http.NotFoundHandler(), nil, &health{})
	for selfSigned, want := range map[bool]string{false: "max-age=31536000", true: ""} {
		for _, path := range []string{"/", "/api/v1/config", "/live/a/index.m3u8"} {
			w := httptest.NewRecorder()
			withHSTS(public, selfSigned).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://tv.example.com"+path, nil))
			require.Equal(t, want, w.Header().Get("Strict-Transport-Security"), path)
		}
	}
}

// TestLinesNameTheTrace that their request belongs to.
func TestLinesNameTheTrace(t *testing.T) {
	var lines bytes.Buffer
	log := newLogger(&lines, "json", new(slog.LevelVar))
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	log.InfoContext(trace.Continue(t.Context(), http.Header{"Traceparent": {"00-" + id + "-00f067aa0ba902b7-01"}}), "line")
	var line map[string]any
	require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
	require.Equal(t, id, line["trace_id"])
}
