//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/viewer"
)

// TestSimulcastLayersAreRungs: what a browser encodes in three sizes is what viewers are offered, with a ladder or without, and
// nothing is encoded by the server but the sound.
func TestSimulcastLayersAreRungs(t *testing.T) {
	long(t)
	for _, ladder := range []string{"off", "auto"} {
		t.Run(ladder, func(t *testing.T) {
			s := startServer(t, "MEDIAD_TRANSCODE_LADDER="+ladder)
			s.publishByWHIP(t, "booth", "--camera", "--layers", "3", "--size", "1024x576", "--bitrate", "1500")
			s.waitLive("booth")
			_, master := s.get("/live/booth/index.m3u8")
			var listed []string
			for _, m := range variantLine.FindAllStringSubmatch(master, -1) {
				listed = append(listed, m[1])
			}
			require.ElementsMatch(t, []string{"source", "288p", "144p", "audio"}, listed, master)
			for _, size := range []string{"1024x576", "512x288", "256x144"} {
				require.Contains(t, master, "RESOLUTION="+size)
			}
			s.lintBrowser("booth")
			require.Empty(t, s.ladder("booth"))
			require.False(t, s.encodes("libx264"))

			at := dates(t, s.media("booth", "source"))
			for _, name := range []string{"288p", "144p"} {
				l := s.media("booth", name)
				require.Zero(t, l.gaps, name)
				require.Empty(t, l.discontinuities, name)
				same := 0
				for n, d := range dates(t, l) {
					if want, ok := at[n]; ok {
						same++
						require.Equal(t, want, d, "%s, segment %d", name, n)
					}
				}
				require.Greater(t, same, 2, name)
			}
			for name, height := range map[string]string{"source": "576", "288p": "288", "144p": "144"} {
				probe, err := output(t, 30*time.Second, "ffprobe", "-v", "error", "-select_streams", "v",
					"-show_entries", "stream=height", "-of", "csv=p=0", s.url("/live/booth/"+name+"/index.m3u8"))
				require.NoError(t, err, probe)
				require.Equal(t, height, strings.SplitN(probe, "\n", 2)[0], name)
			}
		})
	}
}

// TestSimulcastLayersPause: a rung whose layer the browser stops is shed and comes back. When the largest stops, the next is the
// source, and viewers play on.
func TestSimulcastLayersPause(t *testing.T) {
	long(t)
	s := startServer(t)
	camera := s.publishByWHIP(t, "booth", "--layers", "3", "--size", "1024x576", "--bitrate", "1500")
	s.waitLive("booth")
	c := s.watch(t, "page", "booth", faults...)
	c.awaitPlaying(30 * time.Second)
	numbers := s.watchNumbers("booth", "288p", "144p")

	require.NoError(t, camera.Say("pause l"))
	waitFor(t, 20*time.Second, "the rung to be shed", func() bool { return s.media("booth", "144p").gaps > 0 })
	require.Zero(t, s.media("booth", "source").gaps)
	require.Zero(t, s.media("booth", "288p").gaps)
	require.NoError(t, camera.Say("resume l"))
	waitFor(t, 40*time.Second, "the rung to be back", func() bool { return !s.media("booth", "144p").endsInGap() })

	require.NoError(t, camera.Say("pause h"))
	c.await(40*time.Second, "the next layer", func(now viewer.Sample) bool { return now.Width == 512 })
	begun, _ := c.Last(0)
	c.await(30*time.Second, "three seconds of it", func(now viewer.Sample) bool { return now.CurrentTime > begun.CurrentTime+3 })
	require.NoError(t, camera.Say("resume h"))
	c.await(60*time.Second, "the largest again", func(now viewer.Sample) bool { return now.Width == 1024 })
	numbers()
	c.finish()
}

// lintBrowser holds what a browser publishes to all rules. Where the machine lets the browser stand for a second there is another try.
func (s *server) lintBrowser(stream string) {
	s.t.Helper()
	for try := 1; ; try++ {
		out, err := s.cli("hlslint", "--strict", "--duration", "8s", s.url("/live/"+stream+"/index.m3u8"))
		s.t.Log(out)
		require.Contains(s.t, out, "playlists")
		if err == nil {
			return
		}
		require.Less(s.t, try, 3, "rules are broken:\n%s", out)
	}
}

// endsInGap tells whether the newest segment has nothing.
func (l listing) endsInGap() bool {
	if len(l.segments) == 0 {
		return false
	}
	before, _, _ := strings.Cut(l.text, "\n"+l.segments[len(l.segments)-1]+"\n")
	if len(l.segments) > 1 {
		_, before, _ = strings.Cut(before, "\n"+l.segments[len(l.segments)-2]+"\n")
	}
	return strings.Contains(before, "#EXT-X-GAP")
}
