package main

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
)

func TestEdgeStandsInFrontOfAnother(t *testing.T) {
	origin := serve(t, t.TempDir())
	dir := t.TempDir()
	e := &serving{t: t, http: testx.FreeAddr(t), https: testx.FreeAddr(t), admin: testx.FreeAddr(t), code: make(chan int, 1), client: origin.client}
	e.environ = []string{
		"MEDIAD_DATA_DIR=" + dir, "MEDIAD_HTTP_ADDR=" + e.http, "MEDIAD_HTTPS_ADDR=" + e.https, "MEDIAD_ADMIN_ADDR=" + e.admin, "MEDIAD_TLS_SELF_SIGNED=true",
		"MEDIAD_EDGE_ORIGIN=http://" + origin.http + "/",
	}
	e.start("mediad", "--role", "edge")
	require.FileExists(t, filepath.Join(dir, "edge", "origin"))
	require.NoFileExists(t, filepath.Join(dir, "mediad.db"))

	get := func(url string) (*http.Response, string) {
		t.Helper()
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		require.NoError(t, err)
		q.Header.Set("Accept", "text/html, */*")
		r, err := origin.client.Do(q)
		require.NoError(t, err)
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		return r, string(body)
	}
	for _, base := range []string{"http://" + e.http, "https://" + e.https} {
		r, body := get(base + "/api/v1/config")
		require.Equal(t, 200, r.StatusCode, body)
		r, _ = get(base + "/live/main/index.m3u8")
		require.Equal(t, 404, r.StatusCode)
		require.Equal(t, "public, max-age=1", r.Header.Get("Cache-Control"))
		r, _ = get(base + "/live/main/nothing")
		require.Equal(t, 404, r.StatusCode)
		r, body = get(base + "/watch/main")
		require.Equal(t, 200, r.StatusCode)
		require.Contains(t, body, "<html")
		r, body = get(base + "/t/a/b")
		require.Equal(t, 404, r.StatusCode)
		require.Contains(t, body, `_not_found"`)
	}
	answer, err := origin.client.Post("http://"+e.http+"/whep/main", "application/sdp", strings.NewReader("v=0"))
	require.NoError(t, err)
	refusal, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Contains(t, string(refusal), `"code":"not_live"`, "it reached the origin")
	_, body := get("http://" + e.admin + "/metrics")
	require.Contains(t, body, `mediad_edge_requests_total{kind="playlist",result="miss",status="404"}`)
	require.NotContains(t, body, "mediad_ingest")

	origin.stop()
	<-origin.code
	r, body := get("http://" + e.http + "/api/v1/config")
	require.Equal(t, 502, r.StatusCode)
	require.Contains(t, body, `"origin_unavailable"`)
	r, _ = get("http://" + e.http + "/readyz")
	require.Equal(t, 200, r.StatusCode, "an edge whose origin went away still has what it has")
	testx.WaitFor(t, "the check of the origin to fail", func() bool {
		_, body := get("http://" + e.admin + "/readyz")
		return strings.Contains(body, `"origin":{"ok":false`)
	})
	e.stop()
	require.Zero(t, <-e.code, e.stderr)

	// One that has never reached its origin is not ready.
	e.code = make(chan int, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		e.code <- run(ctx, []string{"mediad", "serve", "--role", "edge"}, e.environ, e.stdout, e.stderr)
	}()
	testx.WaitFor(t, "it to serve", func() bool {
		r, err := origin.client.Get("http://" + e.http + "/healthz")
		return err == nil && r.Body.Close() == nil
	})
	r, _ = get("http://" + e.http + "/readyz")
	require.Equal(t, 503, r.StatusCode)
	cancel()
	require.Zero(t, <-e.code, e.stderr)
}
