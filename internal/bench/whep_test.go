//go:build bench

package bench

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/stamp"
	"mediad/internal/viewer"
)

// TestWHEP: from the stamp's painting to its showing by WebRTC, published by RTMP without and with sound and by a browser, and how
// long the first picture takes from the request. The publisher's FFmpeg holds pictures back for its sound, some 50 ms.
func TestWHEP(t *testing.T) {
	const joins, seconds = 5, 6
	ours := map[string]float64{}
	for _, name := range []string{"mediad webrtc", "mediamtx webrtc"} {
		for _, source := range []string{"RTMP, mute", "RTMP", "WHIP"} {
			t.Run(name+" "+source, func(t *testing.T) {
				for _, p := range peers(t, name) {
					p.Name = strings.TrimSuffix(name, " webrtc")
					filmTo(t, p, source)
					pass(5 * time.Second)
					var delays, tails, firsts []float64
					for range joins {
						tab := playWHEP(t, p, seconds)
						require.NotNil(t, tab.Delay.P50, "%s: no stamp was seen", source)
						delays, tails = append(delays, *tab.Delay.P50/1000), append(tails, *tab.Delay.P95/1000)
						firsts = append(firsts, (*tab.First-*tab.Requested)/1000)
					}
					show := func(what string, value float64) {
						what += " WHEP of " + source
						if p.Name == "mediad" {
							ours[what] = value
						}
						row(what, p, value, "s", ours[what])
					}
					show("glass to glass p50", quantile(delays, 0.5))
					show("glass to glass p95", quantile(tails, 0.5))
					show("first picture", quantile(firsts, 0.5))
				}
			})
		}
	}
}

// filmTo publishes stamped pictures of the reference size until the test ends.
func filmTo(t *testing.T, p *Peer, source string) {
	t.Helper()
	if source != "WHIP" {
		publishStamp(t, rtmp(p), stamp.Options{NoAudio: source != "RTMP"})
		return
	}
	c, err := viewer.Film(viewer.CameraOptions{Script: "../../web/tests/e2e/publish.mjs", URL: p.WebRTC("whip", "bench")})
	require.NoError(t, err)
	t.Cleanup(c.Kill)
	connected := func(told viewer.Told) bool { return told.State == "connected" }
	require.NoError(t, c.Await(30*time.Second, "the connection", connected))
}

func playWHEP(t *testing.T, p *Peer, seconds int) viewer.Tab {
	t.Helper()
	v, err := viewer.Start(viewer.Options{Script: script, Player: "whep", URL: p.WebRTC("whep", "bench"), Seconds: seconds,
		Args: []string{"--settle", fmt.Sprint(seconds / 2), "--quiet"}})
	require.NoError(t, err)
	t.Cleanup(v.Kill)
	summary, err := v.Wait()
	require.NoError(t, err)
	require.NotEmpty(t, summary.Tabs)
	return summary.Tabs[0]
}

// TestWHEPReturns: a publisher by RTMP is killed and is back after 5 s, longer than a browser waits until it asks for a picture; the
// time from the first frame at the server to its picture.
func TestWHEPReturns(t *testing.T) {
	const returns, away, patience = 3, 5 * time.Second, 8 * time.Second
	ours := math.NaN()
	for _, name := range []string{"mediad webrtc", "mediamtx webrtc"} {
		t.Run(name, func(t *testing.T) {
			for _, p := range peers(t, name) {
				p.Name = strings.TrimSuffix(name, " webrtc")
				tap, err := viewer.NewTap(rtmp(p))
				require.NoError(t, err)
				t.Cleanup(tap.Close)
				stop := film(t, tap.Addr())
				<-tap.FirstFrame()
				var took []float64
				for range returns {
					pass(2 * time.Second)
					v, err := viewer.Start(viewer.Options{Script: script, Player: "whep", URL: p.WebRTC("whep", "bench")})
					require.NoError(t, err)
					t.Cleanup(v.Kill)
					require.NoError(t, v.Await(0, 30*time.Second, "pictures", func(s viewer.Sample) bool { return s.Decoded > 60 }))
					stop()
					killed := time.Now()
					pass(away)
					stop = film(t, tap.Addr())
					arrived := <-tap.FirstFrame()
					e, err := v.AwaitEvent(patience, "the picture", func(e viewer.Event) bool { return e.Type == "leap" && e.Made > killed.UnixMilli() })
					if err == nil {
						took = append(took, e.Time().Sub(arrived).Seconds())
					}
					v.Kill()
				}
				stop()
				value := quantile(took, 0.5)
				if p.Name == "mediad" {
					ours = value
				}
				rowOrNone("back after 5 s, WHEP", p, value, ours)
				fmt.Printf("BENCH    %d of %d returns seen within %s: %.2f s\n", len(took), returns, patience, took)
			}
		})
	}
}
