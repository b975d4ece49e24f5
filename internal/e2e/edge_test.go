//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/bench"
	"mediad/internal/viewer"
)

// behindEdge starts a server, a ledger, and an edge in front of them whose data folder is dir.
func behindEdge(t *testing.T, dir string, env ...string) *delivery {
	t.Helper()
	s := startServer(t, append([]string{"MEDIAD_HTTP_TRUSTED_PROXIES=127.0.0.0/8"}, env...)...)
	d := &delivery{server: s, ledger: newLedger(t, s.http)}
	var err error
	d.cache, err = bench.StartEdge(binary, dir, d.ledger.addr(), nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		d.cache.Stop()
		if t.Failed() {
			t.Logf("edge:\n%s", tail(d.cache.Output(), 4000))
		}
	})
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	d.client = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	return d
}

// TestEdgeAnswersForTheOrigin: those who pull, the judge and a stock player in a browser cost the origin one request an object together, and
// none of them sees that it is not the origin.
func TestEdgeAnswersForTheOrigin(t *testing.T) {
	t.Parallel()
	d := behindEdge(t, t.TempDir())
	d.publish(t, "edge", source{gop: 30})
	d.waitLive("edge")
	waitFor(t, 20*time.Second, "two segments", func() bool { l := d.media("edge", "source"); return l.last-l.first >= 1 })
	d.ledger.reset()
	c := &bench.Counts{Saw: d.ledger.check}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	watchFrom(ctx, &wg, d.cache.HTTP, "edge", times(60, 150), false, c)
	v, err := viewer.Start(viewer.Options{Script: "../../web/tests/e2e/play.mjs", Player: "hlsjs", URL: "https://" + d.cache.HTTPS + "/live/edge/index.m3u8", Args: []string{"--tls"}})
	require.NoError(t, err)
	t.Cleanup(v.Kill)
	player := &screen{Viewer: v, t: t}
	out, err := d.cli("hlslint", "--strict", "--duration", "6s", "http://"+d.cache.HTTP+"/live/edge/index.m3u8")
	require.NoError(t, err, out)
	player.awaitPlaying(30 * time.Second)
	from, _ := player.Last(0)
	player.await(30*time.Second, "three seconds more", func(s viewer.Sample) bool { return s.CurrentTime > from.CurrentTime+3 })
	tab := player.finish()
	cancel()
	wg.Wait()

	require.Positive(t, tab.Network.Reloads, "blocking reloads were used")
	require.Positive(t, tab.Network.Protocols["h2"])
	all, hits, err := d.cache.Count()
	require.NoError(t, err)
	requests, objects, often := d.ledger.asked()
	t.Logf("%d requests, %.2f %% without the origin; the origin: %d requests for %d objects; %d stalls of those who pull, %d of the player",
		all, 100*float64(hits)/float64(all), requests, objects, c.Stalls.Load(), tab.Stalls)
	require.Zero(t, c.Errors.Load())
	require.Empty(t, often, "more than one request an object")
	require.GreaterOrEqual(t, float64(hits), 0.95*float64(all))
	d.ledger.requireTruth(t)
}

// TestNothingStaleBehindAnEdge: the origin and the edge are killed under viewers and come back; what is given out is what the origin gave for
// that URL, within its lifetime, and what is immutable outlives both.
func TestNothingStaleBehindAnEdge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := behindEdge(t, dir, "MEDIAD_INGEST_RESUME_WINDOW=10s")
	p := d.publish(t, "fate", source{gop: 30})
	d.waitLive("fate")
	waitFor(t, 20*time.Second, "two segments", func() bool { l := d.media("fate", "source"); return l.last-l.first >= 1 })
	list := "/live/fate/source/index.m3u8"
	now := d.media("fate", "source")
	segment := "/live/fate/source/" + now.segments[0]
	_, want := d.get(segment)
	r, body := d.ask("GET", segment)
	require.Equal(t, 200, r.StatusCode)
	require.Equal(t, want, body)

	c := &bench.Counts{Saw: d.ledger.check}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	watchFrom(ctx, &wg, d.cache.HTTP, "fate", 15, true, c)

	d.stop(syscall.SIGKILL)
	p.kill(syscall.SIGKILL)
	waitFor(t, 10*time.Second, "the playlist to be too old", func() bool { r, _ := d.ask("GET", list); return r.StatusCode != http.StatusOK })
	r, body = d.ask("GET", list)
	require.Equal(t, http.StatusBadGateway, r.StatusCode)
	require.Equal(t, "application/problem+json", r.Header.Get("Content-Type"))
	require.Contains(t, body, `"origin_unavailable"`)
	cached := func(when string) {
		t.Helper()
		r, body := d.ask("GET", segment, "Range: bytes=10-19")
		require.Equal(t, http.StatusPartialContent, r.StatusCode, when)
		require.Equal(t, want[10:20], body)
		r, body = d.ask("GET", segment)
		require.Equal(t, http.StatusOK, r.StatusCode, when)
		require.Equal(t, "HIT", r.Header.Get("X-Cache"))
		require.Equal(t, want, body, when)
	}
	cached("without the origin")
	d.cache.Kill()
	var err error
	d.cache, err = bench.StartEdge(binary, dir, d.ledger.addr(), d.cache)
	require.NoError(t, err)
	cached("by a new process, without the origin")

	d.start()
	p = d.publish(t, "fate", source{gop: 30})
	waitFor(t, 30*time.Second, "two segments through the edge after the return", func() bool {
		r, body := d.ask("GET", list)
		if r.StatusCode != http.StatusOK {
			return false
		}
		l := readPlaylist(t, body)
		require.GreaterOrEqual(t, l.first, now.first)
		return l.last >= now.last+2 && len(l.discontinuities) > 0
	})
	cached("with the origin back")
	p.kill(syscall.SIGINT)
	cancel()
	wg.Wait()
	_, _, often := d.ledger.asked()
	t.Logf("%d answers compared, %d parts, %d refusals while somebody was gone; asked for again: %s", c.Requests.Load(), c.Parts.Load(), c.Errors.Load(), fmt.Sprint(often))
	d.ledger.requireTruth(t)
}
