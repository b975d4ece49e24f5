package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var needed, nice error
		asked := 0
		h := &health{checks: []healthCheck{
			{name: "db", run: func(context.Context) error { asked++; return needed }},
			{name: "ffmpeg", run: func(context.Context) error { return nice }, advisory: true},
		}}
		probe := func(handler http.Handler) (int, string) {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			return w.Code, w.Body.String()
		}
		expect := func(handler http.Handler, code int, contains string) {
			t.Helper()
			got, body := probe(handler)
			require.Equal(t, code, got)
			require.Contains(t, body, contains)
		}
		for range 100 {
			expect(h.status(true), 200, "ok\n")
		}
		require.Equal(t, 1, asked, "a flood of probes costs one look a second")

		needed, nice = errors.New("locked"), errors.New("not found")
		expect(h.status(true), 200, "ok")
		time.Sleep(checkFor)
		expect(h.status(true), 503, "unavailable\n")
		expect(h.status(false), 200, "ok\n")
		expect(h.details(true), 503, `"db":{"ok":false,"latency_ms":0,"error":"locked"}`)
		expect(h.details(false), 200, `"status":"ok"`)

		needed = nil
		time.Sleep(checkFor)
		expect(h.details(true), 200, `"ffmpeg":{"ok":false`)

		ctx, stop := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() { left <- h.leave(ctx) }()
		synctest.Wait()
		expect(h.status(true), 200, "ok")
		stop()
		synctest.Wait()
		expect(h.status(true), 503, "shutting_down\n")
		expect(h.details(true), 503, `"status":"shutting_down"`)
		expect(h.status(false), 200, "ok\n")
		began := time.Now()
		require.NoError(t, <-left)
		require.Equal(t, leaveNotice, time.Since(began), "a prober has the time to see it")
	})
}

func TestSpaceOnTheDisk(t *testing.T) {
	free, total, err := diskSpace(t.TempDir() + "/not/made/yet")
	require.NoError(t, err)
	require.NotZero(t, total)
	require.LessOrEqual(t, free, total)
	require.Error(t, writable(t.TempDir()+"/none"))
	require.NoError(t, writable(t.TempDir()))
}
