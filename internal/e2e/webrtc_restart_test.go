//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/viewer"
)

// awaitMoreFrames waits until a browser has sent, or decoded, so many pictures more than when it was asked.
func awaitMoreFrames(t testing.TB, c *viewer.Camera, typ string, n int) {
	t.Helper()
	newest := 0
	require.NoError(t, c.Await(30*time.Second, "a count of pictures", func(told viewer.Told) bool {
		newest = max(newest, told.Frames, told.Decoded)
		return told.Type == typ
	}))
	from := -1
	require.NoError(t, c.Await(60*time.Second, "more pictures", func(told viewer.Told) bool {
		if told.Type == "restarted" {
			from = newest
		}
		newest = max(newest, told.Frames, told.Decoded)
		return from >= 0 && newest >= from+n
	}))
}

// TestICERestarts: a browser that publishes and one that plays get new credentials by PATCH (RFC 9725 4.3.3), and go on in the sessions that
// they have.
func TestICERestarts(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	camera := s.publishByWHIP(t, "booth", "--size", "640x384", "--bitrate", "800")
	s.waitLive("booth")
	viewing := s.playByWHEP(t, "booth")
	session := s.json("/api/v1/streams/booth")["session"].(map[string]any)["id"]
	for name, c := range map[string]*viewer.Camera{"sent": camera, "played": viewing} {
		require.NoError(t, c.Say("restart"))
		require.NoError(t, c.Await(20*time.Second, "the restart", func(told viewer.Told) bool { return told.Type == "restarted" }))
		awaitMoreFrames(t, c, name, 60)
	}
	require.Equal(t, session, s.json("/api/v1/streams/booth")["session"].(map[string]any)["id"])
	require.Len(t, s.media("booth", "source").maps, 1, "no epoch but the first")
	log := s.log.String()
	require.Equal(t, 1, strings.Count(log, "whip: publishing"))
	require.Equal(t, 1, strings.Count(log, "whip: ICE restarted"))
	require.EqualValues(t, 1, s.json("/api/v1/streams/booth")["viewers"])
	require.NoError(t, viewing.Stop())
	require.NoError(t, camera.Stop())
}
