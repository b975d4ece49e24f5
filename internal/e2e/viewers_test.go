//go:build e2e

package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/stamp"
)

// TestWhoWatchesIsCounted: two browsers on our page and one player that tells nothing are three viewers, one of them estimated, and
// they are missed when they leave.
func TestWhoWatchesIsCounted(t *testing.T) {
	s := startServer(t)
	film(t, s.rtmp, "seats", stamp.Options{})
	s.waitLive("seats")
	const path = "/api/v1/streams/seats"
	seen := func(viewers, estimated float64) func() bool {
		return func() bool {
			body := s.json(path)
			return body["viewers"] == viewers && body["viewers_estimated"] == estimated
		}
	}
	one, two := s.watch(t, "page", "seats"), s.watch(t, "page", "seats")
	puller := spawn(t, "ffmpeg", "-v", "error", "-i", s.url("/live/seats/index.m3u8"), "-f", "null", "-")
	one.awaitPlaying(30 * time.Second)
	two.awaitPlaying(30 * time.Second)
	began := time.Now()
	waitFor(t, 30*time.Second, "three viewers, one of them estimated", seen(3, 1))
	t.Logf("counted %.1f s after both played", time.Since(began).Seconds())
	session := s.json(path)["session"].(map[string]any)
	require.GreaterOrEqual(t, session["peak_viewers"], 3.0)
	require.GreaterOrEqual(t, session["unique_viewers"], 3.0)

	began = time.Now()
	for _, page := range []*screen{one, two} { // to the home page: a page that is left says so
		require.NoError(t, page.Do("goto "+s.url("/")))
	}
	waitFor(t, 20*time.Second, "the pages to be missed", seen(1, 1))
	t.Logf("missed after %.1f s", time.Since(began).Seconds())
	id := session["id"].(string)
	waitFor(t, 10*time.Second, "the row of the broadcast", func() bool {
		row := s.json(path + "/sessions/" + id)
		return row["peak_viewers"].(float64) >= 3 && row["watch_s"].(float64) >= 2
	})
	puller.kill(syscall.SIGKILL)
	if *soak { // nobody tells that this one has left
		waitFor(t, 90*time.Second, "the player to be missed", seen(0, 0))
	}
}
