package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/live"
)

type openDoor struct{}

func (openDoor) AuthorizePublish(_ context.Context, key string, _ live.Peer) (live.Grant, error) {
	return live.Grant{Stream: key}, nil
}

func TestDrain(t *testing.T) {
	n := &node{log: slog.New(slog.DiscardHandler)}
	hub := live.NewHub(live.Options{Authorizer: n.drainGate(openDoor{}), Run: func(ctx context.Context, _ *live.Session) error {
		<-ctx.Done()
		return nil
	}})
	n.hub = hub
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = hub.Run(ctx) }()
	defer func() { cancel(); <-done }()
	server := httptest.NewServer(adminHandler(prometheus.NewRegistry(), &n.health, http.NotFoundHandler(), n.serveDrain()))
	defer server.Close()
	environ := []string{"MEDIAD_ADMIN_ADDR=" + strings.TrimPrefix(server.URL, "http://")}

	_, err := hub.Restore(live.Restored{SessionID: "0198f2a0-0000-7000-8000-000000000021", Grant: live.Grant{Stream: "on", ResumeWindow: time.Minute}, Start: time.Now()})
	require.NoError(t, err)
	said := succeed(t, environ, "drain", "--no-wait")
	require.Contains(t, said, "on air: 1")
	said, code := mediadWith(t, environ, "drain", "--wait", "1ms")
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "it stays drained")
	_, err = hub.Publish(t.Context(), "off", live.Peer{Protocol: "test"})
	require.Equal(t, live.ReasonShuttingDown, live.ReasonOf(err), "nothing new begins")
	back, err := hub.Publish(t.Context(), "on", live.Peer{Protocol: "test"})
	require.NoError(t, err, "what is on goes on")
	answer, err := http.Get(server.URL + "/readyz")
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)

	var ended atomic.Bool
	go func() {
		defer ended.Store(true)
		said, code = mediadWith(t, environ, "drain")
	}()
	back.Close(live.ReasonPublisherStopped)
	require.NoError(t, hub.End("on", live.ReasonEndedByAdmin))
	testx.WaitFor(t, "the end of the command", ended.Load)
	require.Zero(t, code, said)
	require.Contains(t, said, "stop the server now")

	succeed(t, environ, "drain", "--undo")
	p, err := hub.Publish(t.Context(), "off", live.Peer{Protocol: "test"})
	require.NoError(t, err)
	p.Close(live.ReasonPublisherStopped)
}

// TestDrainIsNotForPages: a page in somebody's browser cannot reach through to the port, nor by a name that leads to it.
func TestDrainIsNotForPages(t *testing.T) {
	n := &node{}
	h := n.serveDrain()
	for _, header := range []map[string]string{{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example:9090"}} {
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:9090/drain", nil)
		for name, value := range header {
			r.Header.Set(name, value)
		}
		if host := header["Host"]; host != "" {
			r.Host = host
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusForbidden, w.Code, "%v", header)
		require.False(t, n.health.draining.Load())
	}
}
