//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/viewer"
)

// TestPlayersChangeTheirQuality: stock players are made to play one quality after the other, and none stands for it.
func TestPlayersChangeTheirQuality(t *testing.T) {
	long(t)
	s := startLadder(t)
	s.publish(t, "tower", source{size: "1280x720", gop: 30})
	s.waitLive("tower")
	waitFor(t, 20*time.Second, "a window to play from", func() bool { l := s.media("tower", "240p"); return l.last-l.first >= 2 })
	for _, c := range []struct {
		player string
		stalls int // -1: not judged
	}{
		{"hlsjs", 0},
		// VHS throws away what it has loaded and goes on with the part at hand, which seldom begins with a key frame. It was seen
		// to stand for 3 to 6 s then, with media in hand.
		{"videojs", -1},
		{"shaka", 0},
	} {
		if c.stalls < 0 && !*soak {
			continue
		}
		t.Run(c.player, func(t *testing.T) {
			screen := s.watch(t, c.player, "tower", "--turn", "3")
			screen.awaitPlaying(20 * time.Second)
			begun, _ := screen.Last(0)
			var heights []int
			changes := times(4, 40)
			screen.await(time.Duration(changes)*15*time.Second, fmt.Sprintf("%d changes", changes), func(now viewer.Sample) bool {
				if n := len(heights); n == 0 || heights[n-1] != now.Height {
					heights = append(heights, now.Height)
				}
				return len(heights) > changes || s.sheds() > 0
			})
			if s.sheds() > 0 {
				t.Skip("the machine is too busy for the ladder: who is made to play a shed rung stands")
			}
			if c.stalls >= 0 {
				screen.requireStalls(c.stalls)
			}
			got := screen.finish()
			t.Logf("played %v in %.0f s, %d waits, %d stalls of %.0f ms", heights, secondsSince(begun, screen), got.Waits, got.Stalls,
				got.StalledMS)
			for _, h := range []int{240, 360, 480} {
				require.Contains(t, heights, h)
			}
		})
	}
}

// sheds is how often a rung was shed.
func (s *server) sheds() int { return strings.Count(s.log.String(), "ladder: rung shed") }

// secondsSince is how much media a screen has played since a sample.
func secondsSince(begun viewer.Sample, c *screen) float64 {
	now, _ := c.Last(0)
	return now.CurrentTime - begun.CurrentTime
}

// TestPlayersLeaveAShedRung: who plays the rung that is shed goes on with a smaller one.
func TestPlayersLeaveAShedRung(t *testing.T) {
	long(t)
	s := startLadder(t)
	s.publish(t, "tower", source{size: "1280x720", gop: 30})
	s.waitLive("tower")
	players := []string{"hlsjs"}
	if *soak {
		players = []string{"videojs", "hlsjs"}
	}
	for _, player := range players {
		t.Run(player, func(t *testing.T) {
			waitFor(t, 4*time.Minute, "all rungs", func() bool {
				_, master := s.get("/live/tower/index.m3u8")
				return strings.Contains(master, "480p/index.m3u8")
			})
			had, since := s.sheds(), 0.0
			screen := s.watch(t, player, "tower", append([]string{"--cap", "480"}, faults...)...)
			screen.await(60*time.Second, "480p for three seconds", func(now viewer.Sample) bool {
				if now.Height != 480 || since == 0 {
					since = now.CurrentTime
				}
				return now.Height == 480 && now.CurrentTime > since+3 || s.sheds() > had
			})
			if s.sheds() > had {
				t.Skip("the machine is too busy for the ladder")
			}
			faster := s.slow(4)
			waitFor(t, 60*time.Second, "the rung to be shed", func() bool { return s.ladder("tower")[0].State == "shed" })
			faster()
			before := len(screen.Events())
			screen.await(30*time.Second, "a smaller picture", func(now viewer.Sample) bool { return now.Height < 480 })
			begun, _ := screen.Last(0)
			screen.await(30*time.Second, "five seconds of it", func(now viewer.Sample) bool {
				return now.CurrentTime > begun.CurrentTime+5
			})
			for _, e := range screen.Events()[before:] {
				t.Logf("stood for %.0f ms when the rung went", e.MS)
			}
			got := screen.finish()
			t.Logf("%d waits, %d stalls of %.0f ms", got.Waits, got.Stalls, got.StalledMS)
		})
	}
}
