//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/bench"
	"mediad/internal/viewer"
)

// The tests in this file put the real nginx and the real Varnish, as deploy/ configures them, in front of the server. Those that judge
// how long an answer takes are not parallel.

// cachesOf are the caches that a test is run with: with -soak all and an edge, else one of the two, as its name has it.
func cachesOf(t *testing.T) []string {
	if *soak {
		switch t.Name() {
		case "TestPurge", // an edge has no purge
			"TestWhatIsNotMediaGoesThroughACache", // tells the origin the address it believes alone
			"TestOriginGoneIsToldToAllAtOnce":     // by another status; both are in packager/edge
			return bench.Caches
		}
		return append(slices.Clone(bench.Caches), bench.Edge)
	}
	n := 0
	for _, c := range t.Name() {
		n += int(c)
	}
	return bench.Caches[n%2 : n%2+1]
}

// delivery is a server with a ledger and a cache in front.
type delivery struct {
	*server
	ledger *ledger
	cache  *bench.Cache
	client *http.Client
}

// throughCaches runs a test with caches in front of a server of their own.
func throughCaches(t *testing.T, test func(t *testing.T, d *delivery), env ...string) {
	for _, kind := range cachesOf(t) {
		t.Run(kind, func(t *testing.T) {
			s := startServer(t, append([]string{"MEDIAD_HTTP_TRUSTED_PROXIES=127.0.0.0/8"}, env...)...)
			l := newLedger(t, s.http)
			cache, err := bench.StartCache(kind, "../../deploy", t.TempDir(), l.addr())
			if errors.Is(err, bench.ErrNoCache) {
				t.Skip(err)
			}
			require.NoError(t, err)
			t.Cleanup(func() {
				cache.Stop()
				if t.Failed() {
					t.Logf("%s:\n%s", kind, tail(cache.Output(), 4000))
				}
			})
			transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true, ForceAttemptHTTP2: true}
			t.Cleanup(transport.CloseIdleConnections)
			test(t, &delivery{server: s, ledger: l, cache: cache, client: &http.Client{Transport: transport, Timeout: 20 * time.Second}})
		})
	}
}

// ask sends a request through the cache; headers are "Name: value".
func (d *delivery) ask(method, path string, headers ...string) (*http.Response, string) {
	d.t.Helper()
	r, err := http.NewRequest(method, "http://"+d.cache.HTTP+path, nil)
	require.NoError(d.t, err)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			r.Host = value
		}
		r.Header.Add(name, value)
	}
	answer, err := d.client.Do(r)
	require.NoError(d.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(d.t, err)
	return answer, string(body)
}

// watchFrom runs viewers at an address until ctx ends. Where again is set, one that was refused starts over.
func watchFrom(ctx context.Context, wg *sync.WaitGroup, address, stream string, viewers int, again bool, c *bench.Counts) {
	for range viewers {
		for _, rendition := range []string{"source", "audio"} {
			wg.Go(func() {
				for ctx.Err() == nil {
					bench.Watch(ctx, address, "/live/"+stream+"/"+rendition+"/index.m3u8", "", c)
					if !again {
						return
					}
					select {
					case <-ctx.Done():
					case <-time.After(100 * time.Millisecond):
					}
				}
			})
		}
	}
}

// TestCacheAnswersForTheOrigin: hundreds of viewers at the live edge cost the origin one request an object, and get their parts
// less than a part later than those who ask it directly at the same time.
func TestCacheAnswersForTheOrigin(t *testing.T) {
	long(t)
	const viewers, direct = 150, 40 // each of pictures and sound: 300 and 80 that pull
	const span, part = 20 * time.Second, 16 * 200 * time.Millisecond / 15
	throughCaches(t, func(t *testing.T, d *delivery) {
		d.publish(t, "edge", source{gop: 60})
		d.waitLive("edge")
		before := d.media("edge", "source").last
		waitFor(t, 20*time.Second, "two segments more", func() bool { return d.media("edge", "source").last >= before+2 })
		d.ledger.reset()
		asked, hit, err := d.cache.Count()
		require.NoError(t, err)

		var through, beside bench.Landings
		cached := &bench.Counts{Saw: func(a bench.Answer) { through.Note(a); d.ledger.check(a) }}
		directly := &bench.Counts{Saw: beside.Note}
		busy := d.cache.CPU()
		ctx, cancel := context.WithTimeout(context.Background(), span)
		defer cancel()
		var wg sync.WaitGroup
		watchFrom(ctx, &wg, d.http, "edge", direct, false, directly)
		watchFrom(ctx, &wg, d.cache.HTTP, "edge", viewers, false, cached)
		wg.Wait()
		busy = d.cache.CPU() - busy

		requests, objects, often := d.ledger.asked()
		var all, hits int
		waitFor(t, 10*time.Second, "the cache's log", func() bool {
			a, h, err := d.cache.Count()
			require.NoError(t, err)
			all, hits = a-asked, h-hit
			return int64(all) >= cached.Requests.Load()*99/100 // Varnish's threads add to its counters now and then
		})
		later := through.Later(&beside)
		require.NotEmpty(t, later)
		q := func(p float64) time.Duration { return later[int(p*float64(len(later)-1))].Round(time.Millisecond) }
		t.Logf("%s: %d that pull, %d requests, %.2f %% hits; the origin: %d requests for %d objects; parts come later than directly: p50 %s, p95 %s (a part is %s); "+
			"%d stalls, directly %d; %s of processor a request", d.cache.Name, 2*viewers, all, 100*float64(hits)/float64(all), requests, objects,
			q(.5), q(.95), part.Round(time.Millisecond), cached.Stalls.Load(), directly.Stalls.Load(), (busy / time.Duration(all)).Round(time.Microsecond))
		last := ""
		if e := cached.LastError.Load(); e != nil {
			last = *e
		}
		require.Zero(t, cached.Errors.Load(), last)
		require.Empty(t, often, "more than one request an object")
		require.GreaterOrEqual(t, float64(hits), 0.95*float64(all))
		require.Less(t, q(.5), part)
		d.ledger.requireTruth(t)
	})
}

// TestNothingStaleBehindACache: whatever happens to the publisher and the server, what comes out of the cache is what the origin
// gave for that URL, within its lifetime, and numbers do not come back.
func TestNothingStaleBehindACache(t *testing.T) {
	t.Parallel()
	throughCaches(t, func(t *testing.T, d *delivery) {
		p := d.publish(t, "fate", source{gop: 30})
		d.waitLive("fate")
		c := &bench.Counts{Saw: d.ledger.check}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		watchFrom(ctx, &wg, d.cache.HTTP, "fate", 30, true, c)
		goesOn := func(what string, from listing) listing {
			t.Helper()
			var l listing
			waitFor(t, 30*time.Second, "two segments through the cache after "+what, func() bool {
				answer, body := d.ask("GET", "/live/fate/source/index.m3u8")
				if answer.StatusCode != http.StatusOK {
					return false
				}
				l = readPlaylist(t, body)
				return l.last >= from.last+2
			})
			require.GreaterOrEqual(t, l.first, from.first)
			return l
		}
		l := goesOn("the start", listing{})
		for i := range times(2, 10) {
			p.kill(syscall.SIGKILL)
			p = d.publish(t, "fate", source{gop: 30})
			l = goesOn(fmt.Sprintf("return %d of the publisher", i), l)

			d.stop(syscall.SIGKILL)
			p.kill(syscall.SIGKILL)
			d.start()
			p = d.publish(t, "fate", source{gop: 30})
			l = goesOn(fmt.Sprintf("restart %d of the server", i), l)
		}
		p.kill(syscall.SIGINT)
		waitFor(t, 30*time.Second, "ENDLIST through the cache", func() bool {
			_, body := d.ask("GET", "/live/fate/source/index.m3u8")
			return strings.Contains(body, "#EXT-X-ENDLIST")
		})
		answer, _ := d.ask("GET", "/live/fate/source/index.m3u8?_HLS_msn=x")
		require.Equal(t, 200, answer.StatusCode, "after ENDLIST directives mean nothing")
		cancel()
		wg.Wait()
		t.Logf("%s: %d answers compared, %d parts, %d refusals while the server was gone", d.cache.Name, c.Requests.Load(), c.Parts.Load(), c.Errors.Load())
		d.ledger.requireTruth(t)
	}, "MEDIAD_INGEST_RESUME_WINDOW=10s")
}

// TestCacheSpeaksForTheOrigin: what a viewer may ask of media and playlists works through the cache as without it.
func TestCacheSpeaksForTheOrigin(t *testing.T) {
	t.Parallel()
	throughCaches(t, func(t *testing.T, d *delivery) {
		d.publish(t, "talk", source{gop: 30})
		d.waitLive("talk")
		waitFor(t, 20*time.Second, "three segments", func() bool { l := d.media("talk", "source"); return l.last-l.first >= 2 })
		l := d.media("talk", "source")
		list, segment := "/live/talk/source/index.m3u8", "/live/talk/source/"+l.segments[len(l.segments)-1]

		direct, want := d.get(segment)
		for _, state := range []string{"MISS", "HIT"} {
			r, body := d.ask("GET", segment)
			require.Equal(t, 200, r.StatusCode)
			require.Equal(t, want, body)
			require.Equal(t, state, r.Header.Get("X-Cache"))
			require.NotEmpty(t, r.Header.Get("Age"))
			for _, name := range []string{"Content-Type", "Cache-Control", "Etag", "Access-Control-Allow-Origin", "Timing-Allow-Origin", "Accept-Ranges"} {
				require.Equal(t, direct.Header.Get(name), r.Header.Get(name), name)
			}
		}
		r, body := d.ask("GET", segment, "Range: bytes=10-19")
		require.Equal(t, 206, r.StatusCode)
		require.Equal(t, want[10:20], body)
		r, body = d.ask("HEAD", segment)
		require.Equal(t, 200, r.StatusCode)
		require.Equal(t, int64(len(want)), r.ContentLength)
		require.Empty(t, body)
		r, _ = d.ask("GET", segment, "If-None-Match: "+direct.Header.Get("Etag"))
		require.Equal(t, 304, r.StatusCode)
		r, body = d.ask("GET", "/live/talk/source/"+l.maps[0], "Range: bytes=0-3")
		require.Equal(t, 206, r.StatusCode, "a range of what is not in the cache yet")
		require.Len(t, body, 4)

		// Gzip is sent to those who take it.
		for _, accept := range []string{"gzip", "br, gzip;q=0.5", "GZIP", "identity", "", "gzip;q=0"} {
			r, body := d.ask("GET", list+"?_HLS_msn=1", "Accept-Encoding: "+accept)
			require.Equal(t, 200, r.StatusCode)
			require.Equal(t, "Accept-Encoding", r.Header.Get("Vary"))
			zipped := r.Header.Get("Content-Encoding") == "gzip"
			require.Equal(t, strings.Contains(strings.ToLower(accept), "gzip") && !strings.Contains(accept, "q=0") || strings.Contains(accept, "q=0.5"), zipped, accept)
			plain, err := unzipped(r.Header, []byte(body))
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(string(plain), "#EXTM3U"))
		}

		// A playlist that is waited for comes with its part, and no second request is made for it.
		now := d.media("talk", "source")
		next := fmt.Sprintf("%s?_HLS_msn=%d", list, now.last+1)
		d.ledger.reset()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				r, err := d.client.Get("http://" + d.cache.HTTP + next)
				if err != nil {
					t.Error(err)
					return
				}
				defer r.Body.Close()
				if body, err := io.ReadAll(r.Body); err != nil || r.StatusCode != http.StatusOK || readPlaylist(t, string(body)).last < now.last+1 {
					t.Errorf("%s: %v %s", next, err, r.Status)
				}
			})
		}
		wg.Wait()
		_, _, often := d.ledger.asked()
		require.Empty(t, often)

		// Refusals are the origin's, and stay as long as it says.
		for path, want := range map[string]struct {
			status int
			cache  string
		}{
			list + "?_HLS_part=1":                        {400, "public, max-age=8"},
			list + "?_HLS_msn=1&_HLS_msn=1":              {400, "public, max-age=8"},
			list + "?_HLS_msn=007":                       {400, "public, max-age=8"},
			list + "?_HLS_msn":                           {400, "public, max-age=8"},
			list + "?_HLS_msn=9999999999":                {400, "public, max-age=8"},
			fmt.Sprint(list, "?_HLS_msn=", now.last+20):  {400, "no-store"},
			"/live/nobody/index.m3u8":                    {404, "public, max-age=1"},
			"/live/talk/source/seg_0_1.m4s":              {404, "public, max-age=2"},
			"/live/talk/source/index.html":               {404, "public, max-age=1"},
			"/live/talk/source/../../../etc/passwd.m3u8": {404, ""},
		} {
			r, body := d.ask("GET", path, "Accept-Encoding: identity")
			require.Equal(t, want.status, r.StatusCode, "%s: %s", path, body)
			if want.cache == "" {
				continue
			}
			require.Equal(t, want.cache, r.Header.Get("Cache-Control"), path)
			require.Equal(t, "application/problem+json", r.Header.Get("Content-Type"), path)
			require.Equal(t, "*", r.Header.Get("Access-Control-Allow-Origin"), path)
		}
		r, _ = d.ask("GET", list+"?_HLS_msnx=1&_HLS_skip=v9&x=_HLS_msn=3&%zz")
		require.Equal(t, 200, r.StatusCode, "what is no directive changes nothing")

		// A page of another site asks first whether it may send CMCD.
		d.ledger.reset()
		r, _ = d.ask("OPTIONS", segment, "Origin: https://elsewhere.example", "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: cmcd-session")
		require.Equal(t, 204, r.StatusCode)
		require.Equal(t, "*", r.Header.Get("Access-Control-Allow-Headers"))
		r, _ = d.ask("GET", segment+"?CMCD=bl%3D2100%2Cbs", "CMCD-Session: sid=\"x\"", "CMCD-Request: bl=2100", "Accept-Encoding: identity")
		require.Equal(t, "HIT", r.Header.Get("X-Cache"))
		r, _ = d.ask("DELETE", segment)
		require.Equal(t, 405, r.StatusCode)
		requests, _, _ := d.ledger.asked()
		require.Zero(t, requests, "the origin was asked")

		out, err := d.cli("hlslint", "--duration", "6s", "http://"+d.cache.HTTP+"/live/talk/index.m3u8")
		require.NoError(t, err, out)

		// The API, chat and WebRTC go through, and nothing of them is kept.
		for range 2 {
			r, body = d.ask("GET", "/api/v1/streams/talk")
			require.Equal(t, 200, r.StatusCode, body)
			require.Empty(t, r.Header.Get("X-Cache"))
			require.Contains(t, []string{"", "0"}, r.Header.Get("Age"))
		}
		r, _ = d.ask("POST", "/whep/talk", "Content-Type: application/sdp")
		require.NotContains(t, []int{404, 405, 502, 503}, r.StatusCode)
		r, _ = d.ask("DELETE", "/whip/nobody/nothing")
		require.NotContains(t, []int{405, 502, 503}, r.StatusCode)
		if d.cache.HTTPS != "" {
			r, err := d.client.Get("https://" + d.cache.HTTPS + list)
			require.NoError(t, err)
			require.NoError(t, r.Body.Close())
			require.Equal(t, "HTTP/2.0", r.Proto)
		}
	})
}

// TestHostileQueriesDoNotReachTheOrigin: parameters, encodings, hosts and headers that nobody has asked with before are the same object.
func TestHostileQueriesDoNotReachTheOrigin(t *testing.T) {
	t.Parallel()
	throughCaches(t, func(t *testing.T, d *delivery) {
		d.publish(t, "calm", source{gop: 30})
		d.waitLive("calm")
		waitFor(t, 20*time.Second, "three segments", func() bool { l := d.media("calm", "source"); return l.last-l.first >= 2 })
		l := d.media("calm", "source")
		list, segment := "/live/calm/source/index.m3u8", "/live/calm/source/"+l.segments[len(l.segments)-1]
		d.ledger.reset()
		word := func() string { return fmt.Sprintf("%x", rand.Uint64()) }
		queries := []func() string{
			func() string { return segment + "?" + word() },
			func() string { return segment + "?CMCD=sid%3D" + word() + "&v=" + word() },
			func() string { return segment + "?_HLS_msn=" + word() },
			func() string { return list + "?" + word() + "=1&_HLS_msn=2&" + word() },
			func() string { return list + "?_HLS_part=0&x=" + word() + "&_HLS_msn=2" },
			func() string { return list + "?_HLS_skip=YES&_HLS_part=0&_HLS_msn=2&_HLS_" + word() + "=3" },
			func() string { return list + "?_HLS_msn=x" + word() },
			func() string { return list + "?_HLS_msn=1&_HLS_part=-" + word() },
			func() string { return list + "?_HLS_msn=1&_HLS_msn=" + word() },
			func() string { return list + "?_HLS_skip=" + word() },
			func() string { return "/live/calm/index.m3u8?" + word() },
			func() string { return "/live/calm/source/" + word() + ".m4s" },
		}
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for i := range 40 * len(queries) {
					r, err := http.NewRequest(http.MethodGet, "http://"+d.cache.HTTP+queries[i%len(queries)](), nil)
					if err != nil {
						t.Error(err)
						return
					}
					r.Host = word() + ".example"
					for name, value := range map[string]string{"Cookie": word(), "Authorization": "Bearer " + word(), "Origin": "https://" + word(), "Cache-Control": "no-cache",
						"Pragma": "no-cache", "Accept-Encoding": "gzip, " + word(), "Accept-Language": word(), "X-Request-Id": word(), "User-Agent": word()} {
						r.Header.Set(name, value)
					}
					answer, err := d.client.Do(r)
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, answer.Body)
					answer.Body.Close()
				}
			})
		}
		wg.Wait()
		requests, objects, often := d.ledger.asked()
		t.Logf("%s: %d hostile requests were %d of the origin for %d objects", d.cache.Name, 16*40*len(queries), requests, objects)
		require.Empty(t, often)
		require.LessOrEqual(t, objects, 7, "segment, multivariant, plain, two directives, with skip, and refused")
	})
}

// TestPurge: what is purged is asked for anew, by this machine alone.
func TestPurge(t *testing.T) {
	t.Parallel()
	throughCaches(t, func(t *testing.T, d *delivery) {
		d.publish(t, "gone", source{gop: 30})
		d.publish(t, "stays", source{gop: 30})
		d.waitLive("gone")
		d.waitLive("stays")
		segments := map[string]string{}
		for _, stream := range []string{"gone", "stays"} {
			waitFor(t, 20*time.Second, "two segments", func() bool { l := d.media(stream, "source"); return l.last-l.first >= 1 })
			segments[stream] = "/live/" + stream + "/source/" + d.media(stream, "source").segments[1]
		}
		state := func(stream string) string {
			r, body := d.ask("GET", segments[stream])
			require.Equal(t, 200, r.StatusCode, body)
			return r.Header.Get("X-Cache")
		}
		for _, c := range []struct {
			purge       string
			status      int
			gone, stays string
		}{
			{segments["gone"] + "?x=1", 200, "MISS", "HIT"},
			{"/live/gone/", 200, "MISS", "HIT"},
			{"/", 200, "MISS", "MISS"},
			{"/live/gone/source/", 400, "HIT", "HIT"},
		} {
			for _, stream := range []string{"gone", "stays"} {
				state(stream)
				require.Equal(t, "HIT", state(stream))
			}
			r, body := d.ask("PURGE", c.purge)
			require.Equal(t, c.status, r.StatusCode, body)
			require.Equal(t, c.gone, state("gone"), "after PURGE %s", c.purge)
			require.Equal(t, c.stays, state("stays"), "after PURGE %s", c.purge)
		}
	})
}

// TestHLSJSPlaysThroughACache: a stock player in a real browser, by TLS and HTTP/2 where the cache has them.
func TestHLSJSPlaysThroughACache(t *testing.T) {
	long(t)
	throughCaches(t, func(t *testing.T, d *delivery) {
		d.publish(t, "play", source{gop: 30})
		d.waitLive("play")
		base, args := "http://"+d.cache.HTTP, []string(nil)
		if d.cache.HTTPS != "" {
			base, args = "https://"+d.cache.HTTPS, []string{"--tls"}
		}
		v, err := viewer.Start(viewer.Options{Script: "../../web/tests/e2e/play.mjs", Player: "hlsjs", URL: base + "/live/play/index.m3u8", Args: args})
		require.NoError(t, err)
		t.Cleanup(v.Kill)
		c := &screen{Viewer: v, t: t}
		c.awaitPlaying(30 * time.Second)
		from, _ := c.Last(0)
		c.await(30*time.Second, "ten seconds more", func(s viewer.Sample) bool { return s.CurrentTime > from.CurrentTime+10 })
		tab := c.finish()
		require.Positive(t, tab.Network.Reloads, "blocking reloads were used")
		latency := "unknown"
		if tab.Latency.P50 != nil {
			latency = fmt.Sprintf("%.2f s", *tab.Latency.P50)
		}
		t.Logf("%s: latency %s, %d stalls, protocols %v", d.cache.Name, latency, tab.Stalls, tab.Network.Protocols)
		c.requireStalls(0)
		if d.cache.HTTPS != "" {
			require.Positive(t, tab.Network.Protocols["h2"])
		}
		_, _, often := d.ledger.asked()
		require.Empty(t, often)
	})
}

// TestWhoWaitsInVainIsToldAtOnce: while the publisher is away, all who wait for the same playlist cost the origin one request, and get
// its refusal when it comes.
func TestWhoWaitsInVainIsToldAtOnce(t *testing.T) {
	long(t)
	throughCaches(t, func(t *testing.T, d *delivery) {
		p := d.publish(t, "vain", source{gop: 30})
		d.waitLive("vain")
		waitFor(t, 20*time.Second, "two segments", func() bool { l := d.media("vain", "source"); return l.last-l.first >= 1 })
		p.kill(syscall.SIGKILL)
		waitFor(t, 20*time.Second, "the publisher to be missed", func() bool { return d.json("/api/v1/streams/vain")["state"] == "reconnecting" })
		path := fmt.Sprintf("/live/vain/source/index.m3u8?_HLS_msn=%d", d.media("vain", "source").last+1)
		d.ledger.reset()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				r, err := d.client.Get("http://" + d.cache.HTTP + path)
				if err != nil {
					t.Error(err)
					return
				}
				defer r.Body.Close()
				if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") != "1" {
					t.Errorf("%s, Retry-After %q", r.Status, r.Header.Get("Retry-After"))
				}
			})
		}
		wg.Wait()
		requests, _, _ := d.ledger.asked()
		require.Equal(t, 1, requests)
	})
}
