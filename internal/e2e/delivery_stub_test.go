//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/bench"
)

// stub is an origin that a test answers for itself.
type stub struct {
	cache    *bench.Cache
	requests atomic.Int64
}

func behindCaches(t *testing.T, answer http.HandlerFunc, test func(t *testing.T, s *stub)) {
	for _, kind := range cachesOf(t) {
		t.Run(kind, func(t *testing.T) {
			s := &stub{}
			origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s.requests.Add(1)
				answer(w, r)
			}))
			t.Cleanup(origin.Close)
			var err error
			s.cache, err = bench.StartCache(kind, "../../deploy", t.TempDir(), strings.TrimPrefix(origin.URL, "http://"))
			if errors.Is(err, bench.ErrNoCache) {
				t.Skip(err)
			}
			require.NoError(t, err)
			t.Cleanup(s.cache.Stop)
			test(t, s)
		})
	}
}

// dial opens a connection to the cache and writes a request.
func (s *stub) dial(t *testing.T, request string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", s.cache.HTTP)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(30*time.Second)))
	_, err = io.WriteString(c, request)
	require.NoError(t, err)
	return c, bufio.NewReader(c)
}

// TestWhatIsNotMediaGoesThroughACache: bodies, methods, upgrades and the client's address.
func TestWhatIsNotMediaGoesThroughACache(t *testing.T) {
	t.Parallel()
	behindCaches(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "websocket" {
			c, rw, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
			_ = rw.Flush()
			line, _ := rw.ReadString('\n')
			_, _ = rw.WriteString("heard " + line)
			_ = rw.Flush()
			return
		}
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Cache-Control", "public, max-age=60") // a public list of the API
		w.Header().Set("Location", "/whip/a/b")
		fmt.Fprintf(w, "%s %s from %s as %s with %s: %s", r.Method, r.URL, r.Header.Get("X-Forwarded-For"), r.Host, r.Header.Get("Authorization"), body)
	}, func(t *testing.T, s *stub) {
		for i, method := range []string{"POST", "PATCH", "DELETE", "GET", "GET", "PUT"} {
			request := fmt.Sprintf("%s /whip/a?x=%%20 HTTP/1.1\r\nHost: tv.example.com\r\nAuthorization: Bearer k\r\nX-Forwarded-For: 192.0.2.9\r\n", method)
			want := ""
			if method != "GET" {
				want = "sdp"
				request += "Content-Length: 3\r\n"
			}
			_, r := s.dial(t, request+"\r\n"+want)
			answer, err := http.ReadResponse(r, nil)
			require.NoError(t, err)
			body, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			require.Equal(t, "/whip/a/b", answer.Header.Get("Location"))
			require.Equal(t, method+" /whip/a?x=%20 from 192.0.2.9, 127.0.0.1 as tv.example.com with Bearer k: "+want, string(body))
			require.Equal(t, int64(i+1), s.requests.Load(), "it was kept")
		}
		c, r := s.dial(t, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		answer, err := http.ReadResponse(r, nil)
		require.NoError(t, err)
		require.Equal(t, 101, answer.StatusCode)
		_, err = io.WriteString(c, "ping\n")
		require.NoError(t, err)
		line, err := r.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "heard ping\n", line)
	})
}

// TestWhatAVideoHasIsKept: playlists and pictures for as long as is said, under any query; the whole video as one file is passed on.
func TestWhatAVideoHasIsKept(t *testing.T) {
	t.Parallel()
	behindCaches(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		_, _ = io.WriteString(w, "it")
	}, func(t *testing.T, s *stub) {
		asked := func(path string) int64 {
			before := s.requests.Load()
			for range 3 {
				_, r := s.dial(t, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
				answer, err := http.ReadResponse(r, nil)
				require.NoError(t, err)
				require.Equal(t, 200, answer.StatusCode, path)
				require.NoError(t, answer.Body.Close())
			}
			return s.requests.Load() - before
		}
		for _, file := range []string{"index.m3u8", "source/index.m3u8", "thumb.jpg", "storyboard.vtt", "storyboard_0.jpg", "storyboard_12.jpg?x=1"} {
			require.Equal(t, int64(1), asked("/vod/a/"+file), file)
		}
		require.Equal(t, int64(3), asked("/vod/a/download.mp4"))
	})
}

// TestNoViewerHoldsUpTheOthers: who came first and leaves, or reads nothing, keeps nobody from the object, and costs no second request.
func TestNoViewerHoldsUpTheOthers(t *testing.T) {
	long(t)
	t.Parallel()
	const size = 24 << 20 // more than sockets hold
	release := make(chan struct{}, 8)
	asked := make(chan http.Header, 8)
	big := bytes.Repeat([]byte("mediad! "), size/8)
	behindCaches(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Clone()
		select {
		case <-release:
		case <-time.After(20 * time.Second):
		}
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		w.Header().Set("Content-Type", "video/mp4")
		w.Header().Set("Content-Length", fmt.Sprint(size))
		_, _ = w.Write(big)
	}, func(t *testing.T, s *stub) {
		fetch := func(path string) {
			t.Helper()
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.cache.HTTP+path, nil)
			require.NoError(t, err)
			answer, err := http.DefaultClient.Do(r)
			require.NoError(t, err)
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			require.Len(t, body, size)
		}
		// The first reads nothing.
		s.dial(t, "GET /live/a/source/seg_1_1.m4s?x HTTP/1.1\r\nHost: evil\r\nCookie: a=b\r\nX-Request-Id: mine\r\nAccept-Encoding: br\r\n\r\n")
		header := <-asked
		for _, name := range []string{"Cookie", "X-Request-Id"} {
			require.Empty(t, header.Get(name), "%s of one viewer reached the origin", name)
		}
		release <- struct{}{}
		fetch("/live/a/source/seg_1_1.m4s")
		require.Equal(t, int64(1), s.requests.Load())
		require.NoError(t, s.overHTTP2(t.Context(), "/live/a/source/seg_1_1.m4s"))

		// The first leaves while it waits, the second waits with it.
		c, _ := s.dial(t, "GET /live/a/source/seg_1_2.m4s HTTP/1.1\r\nHost: x\r\n\r\n")
		<-asked
		done := make(chan struct{})
		go func() {
			defer close(done)
			fetch("/live/a/source/seg_1_2.m4s")
		}()
		require.NoError(t, c.Close())
		release <- struct{}{}
		<-done
		require.Equal(t, int64(2), s.requests.Load())

		// The same by HTTP/2, where leaving is a message.
		ctx, leave := context.WithCancel(context.Background())
		defer leave()
		failed := make(chan error, 1)
		go func() { failed <- s.overHTTP2(ctx, "/live/a/source/seg_1_3.m4s") }()
		select {
		case <-asked:
		case err := <-failed:
			t.Fatal("over before the origin was asked: ", err)
		}
		done = make(chan struct{})
		go func() {
			defer close(done)
			fetch("/live/a/source/seg_1_3.m4s")
		}()
		leave()
		require.Error(t, <-failed)
		release <- struct{}{}
		release <- struct{}{}
		<-done
		require.Equal(t, int64(3), s.requests.Load())
		for len(release)+len(asked) > 0 {
			select {
			case <-release:
			case <-asked:
			}
		}
	})
}

// overHTTP2 reads an object by HTTP/2: with TLS where the cache has that, else without.
func (s *stub) overHTTP2(ctx context.Context, path string) error {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: &protocols}
	defer transport.CloseIdleConnections()
	base := "http://" + s.cache.HTTP
	if s.cache.HTTPS != "" {
		base = "https://" + s.cache.HTTPS
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return err
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.ProtoMajor != 2 {
		return fmt.Errorf("answered by %s", answer.Proto)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// TestOriginGoneIsToldToAllAtOnce: and nothing old is given out; what does not grow old is.
func TestOriginGoneIsToldToAllAtOnce(t *testing.T) {
	t.Parallel()
	var gone atomic.Bool
	behindCaches(t, func(w http.ResponseWriter, r *http.Request) {
		if gone.Load() {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Cache-Control", "public, max-age=1")
		if strings.HasSuffix(r.URL.Path, ".m4s") {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		_, _ = io.WriteString(w, "here")
	}, func(t *testing.T, s *stub) {
		gone.Store(false)
		status := func(path string) int {
			r, err := http.Get("http://" + s.cache.HTTP + path)
			require.NoError(t, err)
			defer r.Body.Close()
			if r.StatusCode != http.StatusOK {
				require.Equal(t, "application/problem+json", r.Header.Get("Content-Type"))
				require.Equal(t, "1", r.Header.Get("Retry-After"))
			}
			return r.StatusCode
		}
		require.Equal(t, 200, status("/live/a/source/index.m3u8"))
		require.Equal(t, 200, status("/live/a/source/seg_1_1.m4s"))
		gone.Store(true)
		began := time.Now()
		waitFor(t, 10*time.Second, "the playlist to be too old", func() bool { return status("/live/a/source/index.m3u8") == 503 })
		t.Logf("%s: a playlist good for 1 s was given out for %s", s.cache.Name, time.Since(began).Round(time.Millisecond))
		require.Equal(t, 200, status("/live/a/source/seg_1_1.m4s"))
		before := s.requests.Load()
		for range 50 {
			status("/live/a/source/index.m3u8")
		}
		require.LessOrEqual(t, s.requests.Load()-before, int64(6), "each tried for himself")
		gone.Store(false)
		waitFor(t, 10*time.Second, "the origin's return to be seen", func() bool { return status("/live/a/source/index.m3u8") == 200 })
	})
}

// TestALineEndGetsNoFurther: decoded, it would stand in the cache's own request, and the origin would read a header behind it.
func TestALineEndGetsNoFurther(t *testing.T) {
	t.Parallel()
	behindCaches(t, func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, func(t *testing.T, s *stub) {
		before := s.requests.Load()
		for _, path := range []string{"/live/a/index.m3u8%0a", "/live/a/source/index.m3u8%0a?_HLS_msn=1", "/live/a/source/seg_1_1.m4s%0a", "/t/x/live/a/source/init_1.mp4%0a"} {
			r, err := http.Get("http://" + s.cache.HTTP + path)
			require.NoError(t, err)
			require.NoError(t, r.Body.Close())
			require.Equal(t, http.StatusNotFound, r.StatusCode, path)
		}
		require.Equal(t, before, s.requests.Load(), "no name of ours: the cache knows that itself")
	})
}
