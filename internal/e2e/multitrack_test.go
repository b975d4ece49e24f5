//go:build e2e

package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var variantLine = regexp.MustCompile(`(?m)^(\w+)/index\.m3u8$`)

// TestMultitrack: what a publisher has encoded itself are the rungs, whether the server has a ladder or not, and nothing is
// encoded again.
func TestMultitrack(t *testing.T) {
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
