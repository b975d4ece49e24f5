package edge_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/packager/edge"
)

func TestMain(m *testing.M) { testx.Main(m) }

const (
	immutable = "public, max-age=31536000, immutable"
	list      = "/live/a/source/index.m3u8"
)

// origin is one that a test answers for.
type origin struct {
	*httptest.Server
	mu    sync.Mutex // guards the following
	asked map[string]int
	last  map[string]http.Header
}

func newOrigin(t testing.TB, answer http.HandlerFunc) *origin {
	t.Helper()
	o := &origin{asked: map[string]int{}, last: map[string]http.Header{}}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.asked[r.URL.RequestURI()]++
		o.last[r.URL.RequestURI()] = r.Header.Clone()
		o.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(func() {
		o.CloseClientConnections()
		o.Close()
	})
	return o
}

func (o *origin) requests(uri string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[uri]
}

func (o *origin) header(uri string) http.Header {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last[uri]
}

// clock is one that a test moves.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// counts is an edge.Observer.
type counts struct {
	mu      sync.Mutex // guards the following
	results map[edge.Result]int
	waiting int
	evicted int
	fetched []edge.Fetched
}

func (c *counts) Served(s edge.Served) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results[s.Result]++
}

func (c *counts) Fetched(f edge.Fetched) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fetched = append(c.fetched, f)
}

func (c *counts) Evicted(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.evicted += n
}

func (c *counts) Waiting(delta int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting += delta
}

func (c *counts) waitingNow() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting
}

func (c *counts) of(r edge.Result) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.results[r]
}

// node is an edge under test.
type node struct {
	*edge.Handler
	*httptest.Server
	t      testing.TB
	clock  *clock
	counts *counts
	dir    string
	client *http.Client
	stop   func()
}

func newNode(t testing.TB, origin string, change ...func(*edge.Options)) *node {
	t.Helper()
	n := &node{t: t, clock: &clock{}, counts: &counts{results: map[edge.Result]int{}}, dir: t.TempDir()}
	u, err := url.Parse(origin)
	require.NoError(t, err)
	o := edge.Options{Origin: u, Dir: n.dir, Observer: n.counts, Log: slog.New(slog.DiscardHandler), Now: n.clock.now}
	for _, c := range change {
		c(&o)
	}
	n.Handler, err = edge.New(o)
	require.NoError(t, err)
	n.Server = httptest.NewServer(n.Handler)
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 256}
	n.client = &http.Client{Transport: transport, Timeout: 30 * time.Second}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		transport.CloseIdleConnections()
		n.CloseClientConnections()
		n.Close()
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(n.stop)
	return n
}

// ask sends a request; headers are "Name: value".
func (n *node) ask(method, uri string, headers ...string) (*http.Response, []byte) {
	n.t.Helper()
	r, body, err := n.try(context.Background(), method, uri, headers...)
	require.NoError(n.t, err)
	return r, body
}

func (n *node) try(ctx context.Context, method, uri string, headers ...string) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, n.URL+uri, nil)
	if err != nil {
		return nil, nil, err
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	answer, err := n.client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer, body, err
}

func zip(s string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.Bytes()
}

// give writes an answer as mediad's origin does.
func give(w http.ResponseWriter, cache, contentType string, body []byte) {
	w.Header().Set("Cache-Control", cache)
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

func giveMedia(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	w.Header().Set("Etag", `"`+name+`"`)
	w.Header().Set("Access-Control-Allow-Origin", "*")
	give(w, immutable, "video/mp4", mediaOf(name))
}

// mediaOf is what lies under a name: 8 kB that tell it.
func mediaOf(name string) []byte { return bytes.Repeat([]byte(fmt.Sprintf("%16.16s", name)), 512) }

func TestManyThatAskTheSameCostOneRequest(t *testing.T) {
	const viewers = 200
	release := make(chan struct{})
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Vary", "Accept-Encoding")
		w.Header().Set("Etag", `"7-gz"`)
		give(w, "public, max-age=12", "application/vnd.apple.mpegurl", zip("#EXTM3U"))
	})
	n := newNode(t, o.URL)
	var wg sync.WaitGroup
	ctx, leave := context.WithCancel(context.Background())
	for i := range viewers {
		wg.Go(func() {
			query := []string{"?_HLS_msn=7&_HLS_part=1", "?x=1&_HLS_part=1&_HLS_msn=7", "?_HLS_part=1&CMCD=bl%3D1&_HLS_msn=7&_HLS_skip=v9"}[i%3]
			accept := []string{"gzip", "identity"}[i%2]
			mine := context.Background()
			if i < 20 {
				mine = ctx
			}
			r, body, err := n.try(mine, "GET", list+query, "Accept-Encoding: "+accept, "Cookie: a="+strconv.Itoa(i))
			switch {
			case i < 20:
				if err == nil {
					t.Error("who left was answered")
				}
				return
			case err != nil:
				t.Error(err)
				return
			}
			want, encoding, tag := []byte("#EXTM3U"), "", `"7"`
			if accept == "gzip" {
				want, encoding, tag = zip("#EXTM3U"), "gzip", `"7-gz"`
			}
			if r.StatusCode != http.StatusOK || !bytes.Equal(body, want) || r.Header.Get("Content-Encoding") != encoding || r.Header.Get("Etag") != tag {
				t.Errorf("%s %v %q", r.Status, r.Header, body)
			}
		})
	}
	testx.WaitFor(t, "all to wait", func() bool { return n.counts.waitingNow() == viewers })
	leave() // the first that came may be among them
	testx.WaitFor(t, "some to leave", func() bool { return n.counts.waitingNow() == viewers-20 })
	close(release)
	wg.Wait()
	const key = list + "?_HLS_msn=7&_HLS_part=1"
	require.Equal(t, 1, o.requests(key))
	require.Empty(t, o.header(key).Get("Cookie"))
	require.Equal(t, "127.0.0.1", o.header(key).Get("X-Forwarded-For"))
	require.NotEmpty(t, o.header(key).Get("Via"))
	n.ask("GET", list+"?_HLS_msn=7&_HLS_part=1")
	require.Equal(t, 1, o.requests(key))
	testx.WaitFor(t, "all to be counted", func() bool {
		return n.counts.of(edge.Miss) == 1 && n.counts.of(edge.Collapsed) == viewers-1 && n.counts.of(edge.Hit) == 1
	})
}

func TestPlaylistsLiveAsLongAsTheOriginSays(t *testing.T) {
	version := atomic.Int64{}
	var cache, age atomic.Value
	cache.Store("public, max-age=4")
	age.Store("")
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if s := age.Load().(string); s != "" {
			w.Header().Set("Age", s)
		}
		w.Header().Set("Etag", `"x"`)
		give(w, cache.Load().(string), "application/vnd.apple.mpegurl", []byte(strconv.FormatInt(version.Add(1), 10)))
	})
	n := newNode(t, o.URL)
	get := func(wantBody, wantAge string) {
		t.Helper()
		r, body := n.ask("GET", list)
		require.Equal(t, wantBody, string(body))
		require.Equal(t, wantAge, r.Header.Get("Age"))
	}
	get("1", "0")
	n.clock.advance(2500 * time.Millisecond)
	get("1", "2")
	n.clock.advance(1600 * time.Millisecond)
	age.Store("3") // a cache between had it for three seconds
	get("2", "3")
	n.clock.advance(900 * time.Millisecond)
	get("2", "3")
	r, _ := n.ask("GET", list, `If-None-Match: W/"x"`)
	require.Equal(t, 304, r.StatusCode)
	n.clock.advance(200 * time.Millisecond)
	age.Store("")
	for _, c := range []string{"no-store", "no-cache", "max-age=0", "max-age=nonsense", "", "max-age=60, s-maxage=0", "s-maxage=0, max-age=60"} {
		cache.Store(c)
		before := version.Load()
		n.ask("GET", list)
		n.ask("GET", list)
		require.Greater(t, version.Load(), before+1, c)
	}
	cache.Store("private, max-age=60")
	before := version.Load()
	n.ask("GET", list)
	n.ask("GET", list)
	require.Greater(t, version.Load(), before+1)
}

func TestRefusalsLiveAsLongAsTheOriginSays(t *testing.T) {
	for _, c := range []struct {
		status int
		cache  string
		kept   bool
	}{{404, "public, max-age=1", true}, {400, "public, max-age=8", true}, {503, "public, max-age=1", true}, {503, "no-store", false}, {404, "no-store", false}, {500, "", false}} {
		o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", c.cache)
			w.Header().Set("Content-Type", "application/problem+json")
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, "{}")
		})
		n := newNode(t, o.URL)
		for range 3 {
			r, body := n.ask("GET", "/live/a/source/seg_1_2.m4s")
			require.Equal(t, c.status, r.StatusCode)
			require.Equal(t, "{}", string(body))
			require.Equal(t, "1", r.Header.Get("Retry-After"))
			require.Equal(t, c.cache, r.Header.Get("Cache-Control"))
		}
		want := 3
		if c.kept {
			want = 1
		}
		require.Equal(t, want, o.requests("/live/a/source/seg_1_2.m4s"), "%d %s", c.status, c.cache)
		n.clock.advance(8 * time.Second)
		n.ask("GET", "/live/a/source/seg_1_2.m4s")
		require.Equal(t, want+1, o.requests("/live/a/source/seg_1_2.m4s"))
		require.Zero(t, n.Usage().DiskObjects)
	}
}

func TestNamesThatNobodyHasDoNotReachTheOrigin(t *testing.T) {
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "passed") })
	n := newNode(t, o.URL)
	for _, path := range []string{"/live/", "/live/a", "/live/a/b.m4s", "/live/a/source/seg_01_2.m4s", "/live/a/source/seg_1.m4s", "/live/a/source/part_1_2.m4s",
		"/live/a/source/index.html", "/live/a/source/seg_1_2.m4s/", "/live/a%2Fb/index.m3u8", "/live/a/source/x/seg_1_2.m4s", "/t/tok/live/a/x",
		"/live/a/source/seg_1_99999999999999999999.m4s", "/live/" + strings.Repeat("a", 65) + "/index.m3u8"} {
		r, body := n.ask("GET", path)
		require.Equal(t, 404, r.StatusCode, path)
		require.Equal(t, "application/problem+json", r.Header.Get("Content-Type"))
		require.Contains(t, string(body), `"not_found"`)
		require.Zero(t, o.requests(path))
	}
	for _, path := range []string{"/vod/a/download.mp4", "/vod/a/source/other", "/vod/a/storyboard_x.jpg", "/t/", "/t/tok", "/t/tok/api", "/t/a%2Fb/live/a/index.m3u8", "/api/v1/live", "/vod/a/dvr.m3u8"} {
		_, body := n.ask("GET", path)
		require.Equal(t, "passed", string(body), path)
		n.ask("GET", path)
		require.Equal(t, 2, o.requests(path), path)
	}
	r, _ := n.ask("DELETE", list)
	require.Equal(t, 405, r.StatusCode)
	r, _ = n.ask("OPTIONS", list, "Origin: https://x", "Access-Control-Request-Headers: cmcd-session")
	require.Equal(t, 204, r.StatusCode)
	require.Equal(t, "*", r.Header.Get("Access-Control-Allow-Headers"))
	require.Zero(t, o.requests(list))
}

func TestDirectivesHaveOneSpelling(t *testing.T) {
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		give(w, "public, max-age=12", "application/vnd.apple.mpegurl", []byte(r.URL.RawQuery))
	})
	n := newNode(t, o.URL)
	for query, want := range map[string]string{
		"": "", "?": "", "?x=1&CMCD=sid%3D4": "", "?_HLS_skip=v9": "", "?_HLS_skip=YES": "_HLS_skip=YES", "?_HLS_msn=5": "_HLS_msn=5",
		"?_HLS_skip=v2&_HLS_part=0&a&_HLS_msn=5": "_HLS_msn=5&_HLS_part=0&_HLS_skip=v2",
		"?_HLS_part=1":                           "_HLS_msn=x", "?_HLS_msn=5&_HLS_msn=5": "_HLS_msn=x", "?_HLS_msn=05": "_HLS_msn=x", "?_HLS_msn": "_HLS_msn=x",
		"?_HLS_msn=-1": "_HLS_msn=x", "?_HLS_msn=1&_HLS_part=00": "_HLS_msn=x", "?%zz&_HLS_msn=6": "_HLS_msn=6", "?_HLS_msnx=1": "",
	} {
		_, body := n.ask("GET", list+query)
		require.Equal(t, want, string(body), query)
	}
	_, body := n.ask("GET", "/vod/a/source/index.m3u8?_HLS_msn=3")
	require.Empty(t, body, "nothing is waited for in a video")
	_, body = n.ask("GET", "/t/tok.en~1/live/a/source/index.m3u8?_HLS_msn=3")
	require.Equal(t, "_HLS_msn=3", string(body))
	require.Equal(t, 1, o.requests("/t/tok.en~1/live/a/source/index.m3u8?_HLS_msn=3"))
}

func TestALoopIsTold(t *testing.T) {
	var back atomic.Pointer[node]
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { // sends everything back where it came from
		again, err := http.NewRequest(r.Method, back.Load().URL+r.URL.RequestURI(), nil)
		if err != nil {
			t.Error(err)
			return
		}
		again.Header = r.Header
		answer, err := http.DefaultTransport.RoundTrip(again)
		if err != nil {
			t.Error(err)
			return
		}
		defer answer.Body.Close()
		w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(w, answer.Body)
	})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	n := newNode(t, o.URL)
	back.Store(n)
	for _, path := range []string{list + "?_HLS_msn=9", "/api/v1/streams", "/live/a/source/seg_1_1.m4s"} {
		r, body := n.ask("GET", path)
		require.Equal(t, http.StatusLoopDetected, r.StatusCode, path)
		require.Contains(t, string(body), "loop_detected")
	}
}
