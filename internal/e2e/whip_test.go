//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/viewer"
)

// publishByWHIP publishes painted pictures and a tone from a browser.
func (s *server) publishByWHIP(t testing.TB, stream string, args ...string) *viewer.Camera {
	t.Helper()
	c, err := viewer.Film(viewer.CameraOptions{Script: "../../web/tests/e2e/publish.mjs", URL: s.url("/whip/" + stream), Args: args})
	require.NoError(t, err)
	t.Cleanup(c.Kill)
	require.NoError(t, c.Await(30*time.Second, "the connection", func(told viewer.Told) bool { return told.State == "connected" }))
	return c
}

// TestBrowserPublishesByWHIP: our page plays what another browser sends, through an ICE restart; DELETE ends the broadcast.
func TestBrowserPublishesByWHIP(t *testing.T) {
	t.Parallel()
	s := startServer(t, "MEDIAD_INGEST_RESUME_WINDOW=2s")
	camera := s.publishByWHIP(t, "booth", "--size", "640x384", "--bitrate", "800")
	s.waitLive("booth")
	waitFor(t, 30*time.Second, "two segments", func() bool { l := s.media("booth", "source"); return l.last > l.first })
	c := s.watch(t, "page", "booth", faults...)
	c.awaitPlaying(30 * time.Second)
	begun, _ := c.Last(0)
	require.NoError(t, camera.Say("restart"))
	require.NoError(t, camera.Await(20*time.Second, "the restart of ICE", func(told viewer.Told) bool { return told.Type == "restarted" }))
	c.await(30*time.Second, "three seconds more", func(now viewer.Sample) bool { return now.CurrentTime > begun.CurrentTime+3 })
	health, err := s.cli("stream", "health", "booth")
	require.NoError(t, err, health)
	require.Contains(t, health, "whip from 127.0.0.x")
	require.Positive(t, c.finish().AudioBytes, "the browser's Opus is heard as AAC")
	require.NoError(t, camera.Stop())
	waitFor(t, 20*time.Second, "the end", func() bool { return s.json("/api/v1/streams/booth")["state"] == "idle" })
}

// TestPublisherMovesFromRTMPToWHIP: on one stream, while viewers play on.
func TestPublisherMovesFromRTMPToWHIP(t *testing.T) {
	s := startServer(t)
	s.publish(t, "move", source{gop: 30})
	s.waitLive("move")
	waitFor(t, 20*time.Second, "two segments", func() bool { l := s.media("move", "source"); return l.last > l.first })
	session := s.json("/api/v1/streams/move")["session"].(map[string]any)["id"]
	c := s.watch(t, "page", "move", faults...)
	c.awaitPlaying(30 * time.Second)
	numbers := s.watchNumbers("move")
	s.publishByWHIP(t, "move", "--size", "320x192", "--bitrate", "400")
	c.await(40*time.Second, "the browser's picture", func(now viewer.Sample) bool { return now.Width == 320 })
	begun, _ := c.Last(0)
	c.await(20*time.Second, "two seconds of it", func(now viewer.Sample) bool { return now.CurrentTime > begun.CurrentTime+2 })
	numbers()
	require.Equal(t, session, s.json("/api/v1/streams/move")["session"].(map[string]any)["id"])
}
