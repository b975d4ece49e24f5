//go:build bench

package bench

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/stamp"
	"mediad/internal/viewer"
)

const script = "../../web/tests/e2e/play.mjs"

// film publishes stamped pictures of the reference size until stop is called, which ends FFmpeg as kill -9 does.
func film(t *testing.T, address string) (stop func()) {
	t.Helper()
	return publishStamp(t, address, stamp.Options{})
}

func publishStamp(t *testing.T, address string, o stamp.Options) (stop func()) {
	t.Helper()
	o.Output = []string{"-f", "flv", "rtmp://" + address + "/live/bench"}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := stamp.Publish(ctx, o, io.Discard); err != nil {
			t.Logf("publisher: %v", err)
		}
	}()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return stop
}

// addressOf is what a player is given to watch at a peer.
func addressOf(p *Peer, player string) string {
	if player == "page" {
		return "http://" + p.HTTP + "/watch/bench"
	}
	return "http://" + p.HTTP + p.Playlist("bench")
}

// rtmp is a peer's RTMP address as HOST:PORT.
func rtmp(p *Peer) string { return p.RTMP[len("rtmp://") : len(p.RTMP)-len("/live/")] }

// quantile is the value below which that share of the values lies; NaN where there are none.
func quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	return values[max(0, int(math.Ceil(float64(len(values))*share))-1)]
}

// rowOrNone prints a row, or that there is no value.
func rowOrNone(what string, p *Peer, value float64, ours float64) {
	if math.IsNaN(value) {
		fmt.Printf("BENCH  %-34s %-24s %10s\n", what, p.Name, "none")
		return
	}
	row(what, p, value, "s", ours)
}

// pageJoins says how often and how long a player is loaded: its delay counts once it has settled.
type pageJoins struct {
	player, name            string
	joins, seconds, settled int
}

// TestGlassToGlass: from the stamp's painting to its showing, over fresh loads of a page, and how long the first picture takes.
func TestGlassToGlass(t *testing.T) {
	players := []pageJoins{{"hlsjs", "stock hls.js", 10, 4, 1}, {"page", "our page", 3, 12, 9}, {"videojs", "Video.js", 5, 6, 2}}
	ours := map[string]float64{}
	for _, name := range []string{"mediad", "mediamtx"} {
		t.Run(name, func(t *testing.T) {
			for _, p := range peers(t, name) {
				film(t, rtmp(p))
				waitPlaylist(t, p, "bench")
				pass(8 * time.Second)
				for _, j := range players {
					if j.player == "page" && name != "mediad" {
						continue
					}
					joins := load(t, p, j)
					report(p, j, joins, ours)
				}
			}
		})
	}
}

// load opens the player's page again and again in one browser, as a viewer who comes back.
func load(t *testing.T, p *Peer, j pageJoins) []viewer.Tab {
	t.Helper()
	v, err := viewer.Start(viewer.Options{Script: script, Player: j.player, URL: addressOf(p, j.player), Seconds: j.seconds,
		Args: []string{"--joins", fmt.Sprint(j.joins), "--settle", fmt.Sprint(j.settled), "--quiet"}})
	require.NoError(t, err)
	t.Cleanup(v.Kill)
	summary, err := v.Wait()
	require.NoError(t, err)
	return summary.Tabs
}

func report(p *Peer, j pageJoins, joins []viewer.Tab, ours map[string]float64) {
	var delays, firsts []float64
	stalls, late := 0, 0
	for _, tab := range joins {
		if tab.Delay.P50 != nil {
			delays = append(delays, *tab.Delay.P50/1000)
		}
		if tab.First != nil {
			firsts = append(firsts, *tab.First/1000)
		}
		stalls += tab.Stalls
		late = max(late, tab.Late)
	}
	show := func(what string, value float64) {
		what += " " + j.name
		if p.Name == "mediad" {
			ours[what] = value
		}
		rowOrNone(what, p, value, ours[what])
	}
	show("glass to glass p50", quantile(delays, 0.5))
	show("glass to glass p95", quantile(delays, 0.95))
	show("first picture", quantile(firsts, 0.5))
	fmt.Printf("BENCH    %d joins, %d with a picture, %d stalls, the page's timer %d ms late at worst\n", len(joins), len(firsts), stalls, late)
}

// TestPublisherReturns: killed and back after 2 s; the time from the first frame at the server to its picture. A peer whose viewers
// have to load the page again has none.
func TestPublisherReturns(t *testing.T) {
	const returns, patience = 3, 8 * time.Second
	ours := map[string]float64{}
	for _, name := range []string{"mediad", "mediamtx"} {
		for player, call := range map[string]string{"hlsjs": "stock hls.js", "page": "our page"} {
			if player == "page" && name != "mediad" {
				continue
			}
			t.Run(name+" "+player, func(t *testing.T) {
				for _, p := range peers(t, name) {
					took := returnsOf(t, p, player, returns, patience)
					what := "back after 2 s, " + call
					value := quantile(took, 0.5)
					if name == "mediad" {
						ours[what] = value
					}
					rowOrNone(what, p, value, ours[what])
					fmt.Printf("BENCH    %d of %d returns seen within %s: %.2f s\n", len(took), returns, patience, took)
				}
			})
		}
	}
}

// returnsOf kills and restarts the publisher, each time before a fresh page, and returns the seconds of those that were seen.
func returnsOf(t *testing.T, p *Peer, player string, returns int, patience time.Duration) []float64 {
	t.Helper()
	tap, err := viewer.NewTap(rtmp(p))
	require.NoError(t, err)
	t.Cleanup(tap.Close)
	stop := film(t, tap.Addr())
	<-tap.FirstFrame()
	waitPlaylist(t, p, "bench")
	var took []float64
	for range returns {
		waitPlaylist(t, p, "bench")
		v, err := viewer.Start(viewer.Options{Script: script, Player: player, URL: addressOf(p, player)})
		require.NoError(t, err)
		t.Cleanup(v.Kill)
		require.NoError(t, v.Await(0, 30*time.Second, "pictures", func(s viewer.Sample) bool { return s.Decoded > 60 }))
		stop()
		killed := time.Now()
		pass(2 * time.Second)
		stop = film(t, tap.Addr())
		arrived := <-tap.FirstFrame()
		e, err := v.AwaitEvent(patience, "the picture", func(e viewer.Event) bool { return e.Type == "leap" && e.Made > killed.UnixMilli() })
		if err == nil {
			took = append(took, e.Time().Sub(arrived).Seconds())
		}
		_, err = v.Stop()
		require.NoError(t, err)
	}
	return took
}
