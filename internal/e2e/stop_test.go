//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestGracefulStop: probes are told first, then the publisher; the open segment is closed, whoever waits is answered, and after the
// restart the session goes on.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := s.publish(t, "bye", source{gop: 30})
	s.waitLive("bye")
	waitFor(t, 20*time.Second, "three segments", func() bool { l := s.media("bye", "source"); return l.last-l.first >= 2 })
	session := s.json("/api/v1/streams/bye")["session"].(map[string]any)["id"]
	before := s.media("bye", "source")

	answered := make(chan int, 1)
	go func() { // waits for what will never come: two segments ahead
		r, err := s.client.Get(s.url(fmt.Sprintf("/live/bye/source/index.m3u8?_HLS_msn=%d", before.last+2)))
		if err != nil {
			answered <- -1
			return
		}
		defer r.Body.Close()
		_, _ = io.Copy(io.Discard, r.Body)
		answered <- r.StatusCode
	}()
	waitFor(t, 5*time.Second, "the request to be parked", func() bool {
		r, err := s.client.Get("http://" + s.admin + "/metrics")
		require.NoError(t, err)
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		return strings.Contains(string(text), "\nmediad_parked_waiters 1\n")
	})
	began := time.Now()
	stopped := make(chan struct{})
	go func() { defer close(stopped); s.stop(syscall.SIGTERM) }()
	waitFor(t, 2*time.Second, "503 of /readyz", func() bool {
		r, err := s.client.Get(s.url("/readyz"))
		if err != nil {
			return false
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		return err == nil && r.StatusCode == http.StatusServiceUnavailable && string(body) == "shutting_down\n"
	})
	require.Error(t, p.wait(t, 10*time.Second), "the publisher is closed")
	require.Contains(t, p.log.String(), "shutting down", "and told why")
	<-stopped
	require.Less(t, time.Since(began), 6*time.Second)
	select {
	case code := <-answered:
		require.Contains(t, []int{http.StatusOK, http.StatusServiceUnavailable}, code, "neither cut off nor empty")
	case <-time.After(5 * time.Second):
		t.Fatal("the parked request was never answered")
	}
	require.NotContains(t, s.log.String(), "task does not stop")

	s.start()
	after := s.media("bye", "source")
	require.GreaterOrEqual(t, after.last, before.last)
	require.Zero(t, after.parts, "the open segment was closed before the end:\n%s", after.text)
	require.False(t, after.ended, "viewers are held")
	require.Equal(t, "reconnecting", s.json("/api/v1/streams/bye")["state"])
	back := s.json("/api/v1/streams/bye")["session"].(map[string]any)
	require.Equal(t, session, back["id"])
	require.Len(t, back["epochs"], 1)
	s.publish(t, "bye", source{gop: 30})
	waitFor(t, 15*time.Second, "the publisher's return", func() bool { return s.media("bye", "source").last > after.last+1 })
	require.Contains(t, s.media("bye", "source").discontinuities, after.last+1)
}
