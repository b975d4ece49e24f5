//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/stamp"
	"mediad/internal/viewer"
)

// TestPlayersPlay: each player shows picture and sound without a stall, as far behind as twice design 3.2 at most. The exact
// figures are the benchmark's: here other things run on the same cores.
func TestPlayersPlay(t *testing.T) {
	s := startServer(t)
	film(t, s.rtmp, "play", stamp.Options{})
	s.waitLive("play")
	waitFor(t, 20*time.Second, "a window to play from", func() bool { l := s.media("play", "source"); return l.last-l.first >= 2 })
	for _, c := range []struct {
		player   string
		most     float64 // milliseconds behind, median
		pictures float64 // decoded a second of media, at least
		stalls   int     // at most; negative: any number
	}{
		{"hlsjs", 2400, 25, 0},
		{"page", 1700, 25, 0},
		// Video.js should not stand at all (design 3.2), and in about every second join it stands once for up to 6 s: it counts the
		// open segment as a whole target duration (VHS playlist-loader, getAllSegments), so it begins up to 1.4 s beyond the edge,
		// plays each part as it comes with nothing in hand, and runs dry. No playlist of ours can tell it otherwise; the benchmark
		// counts how often.
		{"videojs", 3600, 25, 1},
		// Shaka 5.2.12 resets its source buffer where the playlist's time falls behind the samples (packager/playlist, stretched).
		{"shaka", 5000, 25, 0},
	} {
		if c.stalls != 0 && !*soak {
			continue
		}
		t.Run(c.player, func(t *testing.T) {
			screen := s.watch(t, c.player, "play")
			screen.awaitPlaying(20 * time.Second)
			begun, _ := screen.Last(0)
			long := float64(times(12, 600))
			screen.await(time.Duration(2*long)*time.Second, "enough of it", func(now viewer.Sample) bool {
				return now.CurrentTime >= begun.CurrentTime+long
			})
			if c.stalls >= 0 {
				screen.requireStalls(c.stalls)
			}
			got := screen.finish()
			require.Greater(t, float64(got.Decoded), c.pictures*long, "pictures")
			require.Positive(t, got.AudioBytes, "sound")
			require.NotNil(t, got.Delay.P50)
			t.Logf("first picture %.0f ms, behind p50 %.0f ms p95 %.0f ms, %d waits, %d stalls", *got.First, *got.Delay.P50, *got.Delay.P95, got.Waits, got.Stalls)
			require.LessOrEqual(t, *got.Delay.P50, c.most, "milliseconds behind")
		})
	}
}

// TestPageOverTLSIsHTTP2: every answer comes by h2.
func TestPageOverTLSIsHTTP2(t *testing.T) {
	t.Parallel()
	s := startServer(t, "MEDIAD_TLS_SELF_SIGNED=true")
	film(t, s.rtmp, "tls", stamp.Options{})
	s.waitLive("tls")
	c := s.watch(t, "page", "tls", "--tls")
	c.awaitPlaying(20 * time.Second)
	got := c.finish()
	require.NotZero(t, got.Network.Reloads)
	require.Contains(t, got.Network.Protocols, "h2")
	require.Len(t, got.Network.Protocols, 1, "every answer by h2: %v", got.Network.Protocols)
}

// TestEmbedPlaysOnAnotherSite: the frame plays where a browser holds it for another site's.
func TestEmbedPlaysOnAnotherSite(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	film(t, s.rtmp, "embed", stamp.Options{})
	s.waitLive("embed")
	c := s.watch(t, "embed", "embed")
	c.awaitPlaying(20 * time.Second)
	c.finish()
}

// TestPagePlaysSoundAloneAndPictureAlone: a stream without one of the two tracks.
func TestPagePlaysSoundAloneAndPictureAlone(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.publish(t, "sound", source{noV: true})
	s.publish(t, "picture", source{noA: true})
	for stream, picture := range map[string]bool{"sound": false, "picture": true} {
		t.Run(stream, func(t *testing.T) {
			s.waitLive(stream)
			c := s.watch(t, "page", stream)
			c.awaitPlaying(20 * time.Second)
			c.await(10*time.Second, "the page to say so", func(now viewer.Sample) bool { return now.Phase == "playing" })
			begun, _ := c.Last(0)
			c.await(20*time.Second, "six seconds of it", func(now viewer.Sample) bool { return now.CurrentTime > begun.CurrentTime+6 })
			now, _ := c.Last(0)
			require.Equal(t, picture, now.Width > 0)
			got := c.finish()
			require.Equal(t, picture, got.AudioBytes == 0, "sound")
		})
	}
}

// TestTwoTabsPlayOverHTTP1: two watching tabs hold four reloads of a browser's six connections; the API is answered beside them.
func TestTwoTabsPlayOverHTTP1(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	film(t, s.rtmp, "tabs", stamp.Options{})
	s.waitLive("tabs")
	c := s.watch(t, "page", "tabs", "--tabs", "2", "--api", "/api/v1/streams/tabs")
	c.awaitPlaying(30 * time.Second)
	var begun [2]viewer.Sample
	for tab := range begun {
		require.NoError(t, c.Await(tab, 30*time.Second, "both tabs to play", func(now viewer.Sample) bool { return now.First != nil }))
		begun[tab], _ = c.Last(tab)
	}
	for tab := range begun {
		require.NoError(t, c.Await(tab, 30*time.Second, "ten seconds of both", func(now viewer.Sample) bool {
			return now.CurrentTime > begun[tab].CurrentTime+10
		}))
	}
	c.requireStalls(0)
	c.finish()
	summary, err := c.Stop()
	require.NoError(t, err)
	for _, tab := range summary.Tabs {
		require.Equal(t, []string{"http/1.1"}, keys(tab.Network.Protocols))
		require.Greater(t, tab.API.Calls, 10)
		require.Zero(t, tab.API.Failed)
		require.Less(t, tab.API.Worst, 2000.0, "milliseconds: the API waited behind parked reloads")
	}
}

func keys(m map[string]int) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}
