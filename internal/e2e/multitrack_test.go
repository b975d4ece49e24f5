//go:build e2e

package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/egress/whep/wheptest"
)

var variantLine = regexp.MustCompile(`(?m)^(\w+)/index\.m3u8$`)

// TestMultitrack: what a publisher has encoded itself are the rungs, whether the server has a ladder or not, and nothing is
// encoded again.
func TestMultitrack(t *testing.T) {
	t.Parallel()
	sizes := encodedSizes(t, 1200, [2]int{1280, 720}, [2]int{854, 480}, [2]int{426, 240})
	for _, ladder := range []string{"off", "auto"} {
		t.Run(ladder, func(t *testing.T) {
			s := startServer(t, "MEDIAD_TRANSCODE_LADDER="+ladder)
			s.publishMultitrack(t, "multi", sizes)
			s.waitLive("multi")
			_, master := s.get("/live/multi/index.m3u8")
			var listed []string
			for _, m := range variantLine.FindAllStringSubmatch(master, -1) {
				listed = append(listed, m[1])
			}
			require.ElementsMatch(t, []string{"source", "480p", "240p", "audio"}, listed, master)
			for _, size := range []string{"1280x720", "854x480", "426x240"} {
				require.Contains(t, master, "RESOLUTION="+size+",FRAME-RATE=29.970")
			}
			out, err := s.cli("hlslint", "--strict", "--duration", "8s", s.url("/live/multi/index.m3u8"))
			require.NoError(t, err, out)
			require.Empty(t, s.ladder("multi"))
			// The child of a thumbnail lives for a moment, one that encodes rungs as long as the stream.
			waitFor(t, 10*time.Second, "there to be no encoder", func() bool { return len(s.encoders()) == 0 })

			at := dates(t, s.media("multi", "source"))
			for _, name := range listed {
				l := s.media("multi", name)
				require.Zero(t, l.gaps, name)
				require.Empty(t, l.discontinuities, name)
				off := time.Duration(0) // of pictures: they are the source's
				if name == "audio" {
					off = 34 * time.Millisecond
				}
				same := 0
				for n, d := range dates(t, l) {
					if want, ok := at[n]; ok {
						same++
						require.LessOrEqual(t, d.Sub(want).Abs(), off, "%s, segment %d", name, n)
					}
				}
				require.Greater(t, same, 2, name)
			}
			for name, height := range map[string]string{"source": "720", "480p": "480", "240p": "240"} {
				probe, err := output(t, 30*time.Second, "ffprobe", "-v", "error", "-select_streams", "v",
					"-show_entries", "stream=height", "-of", "csv=p=0", s.url("/live/multi/"+name+"/index.m3u8"))
				require.NoError(t, err, probe)
				require.Equal(t, height, strings.SplitN(probe, "\n", 2)[0], name)
			}
		})
	}
}

// TestMultitrackByWHEP: a viewer by WebRTC gets the publisher's largest picture, over a link that is too narrow a smaller one of the
// publisher's own, and the large one again when there is room. Nothing is encoded.
func TestMultitrackByWHEP(t *testing.T) {
	long(t)
	t.Parallel()
	s := startServer(t)
	s.publishMultitrack(t, "multi", encodedSizes(t, 2400, [2]int{1280, 720}, [2]int{854, 480}, [2]int{426, 240}))
	s.waitLive("multi")
	p, err := wheptest.Play(t.Context(), wheptest.Options{URL: s.url("/whep/multi")})
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	shows := func(what string, ok func(height int) bool) {
		t.Helper()
		waitFor(t, 60*time.Second, what, func() bool { return ok(p.Height()) })
		seen := p.Pictures()
		waitFor(t, 20*time.Second, what+" to move", func() bool { return p.Pictures() > seen+30 })
		t.Logf("%d lines after %d packets", p.Height(), p.Packets())
	}
	shows("the source", func(h int) bool { return h == 720 })
	began, from := time.Now(), p.Bytes()
	waitFor(t, 10*time.Second, "three seconds", func() bool { return time.Since(began) > 3*time.Second })
	rate := float64(p.Bytes()-from) * 8 / time.Since(began).Seconds()
	t.Logf("the source has %.0f bit/s", rate)
	p.Limit(int(rate * 0.6))
	shows("a layer that fits", func(h int) bool { return h == 480 || h == 240 })
	p.Limit(0)
	shows("the source again", func(h int) bool { return h == 720 })
	require.Empty(t, s.encoders())
}
