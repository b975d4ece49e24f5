package edge_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/packager/edge"
)

// TestWhatIsNotMediaGoesThrough: bodies, methods, headers, upgrades and the client's address.
func TestWhatIsNotMediaGoesThrough(t *testing.T) {
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "websocket" {
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
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
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("Location", "/whip/a/b")
		w.Header().Set("Alt-Svc", `h3=":443"`)
		for _, name := range []string{"X-Mine", "Keep-Alive", "Proxy-Authorization", "Forwarded"} {
			if r.Header.Get(name) != "" {
				t.Errorf("%s went through", name)
			}
		}
		fmt.Fprintf(w, "%s %s from %s by %s as %s with %s: %s", r.Method, r.URL.RequestURI(), r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"),
			r.Host, r.Header.Get("Authorization"), body)
	})
	n := newNode(t, o.URL, func(op *edge.Options) { op.ClientIP = func(*http.Request) string { return "192.0.2.9" } })
	dial := func(request string) (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp", n.Listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
		_, err = io.WriteString(c, request)
		require.NoError(t, err)
		return c, bufio.NewReader(c)
	}
	for i, method := range []string{"POST", "PATCH", "DELETE", "GET", "GET", "PUT"} {
		request := method + " /whip/a?x=%20;y HTTP/1.1\r\nHost: tv.example.com\r\nAuthorization: Bearer k\r\nX-Forwarded-For: 203.0.113.1\r\nForwarded: for=203.0.113.1\r\n" +
			"Connection: X-Mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Authorization: x\r\n"
		want := ""
		if method != "GET" {
			want = "sdp"
			request += "Content-Length: 3\r\n"
		}
		_, r := dial(request + "\r\n" + want)
		answer, err := http.ReadResponse(r, nil)
		require.NoError(t, err)
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.Equal(t, "/whip/a/b", answer.Header.Get("Location"))
		require.Empty(t, answer.Header.Get("Alt-Svc"))
		require.Equal(t, method+" /whip/a?x=%20;y from 192.0.2.9 by http as tv.example.com with Bearer k: "+want, string(body))
		require.Equal(t, i+1, o.requests("/whip/a?x=%20;y"), "it was kept")
	}
	c, r := dial("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	answer, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	require.Equal(t, 101, answer.StatusCode)
	_, err = io.WriteString(c, "ping\n")
	require.NoError(t, err)
	line, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "heard ping\n", line)
}

// TestLongAnswersArePassedOnAsTheyCome, and one that breaks off breaks off for the viewer too.
func TestLongAnswersArePassedOnAsTheyCome(t *testing.T) {
	more, cut := make(chan struct{}), make(chan struct{})
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "12")
		_, _ = io.WriteString(w, "first ")
		_ = http.NewResponseController(w).Flush()
		if strings.HasSuffix(r.URL.Path, "cut.mp4") {
			<-cut
			panic(http.ErrAbortHandler)
		}
		<-more
		_, _ = io.WriteString(w, "second")
	})
	n := newNode(t, o.URL)
	r, err := n.client.Get(n.URL + "/vod/a/download.mp4")
	require.NoError(t, err)
	defer r.Body.Close()
	first := make([]byte, 6)
	_, err = io.ReadFull(r.Body, first)
	require.NoError(t, err)
	close(more)
	rest, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, "first second", string(first)+string(rest))

	r, err = n.client.Get(n.URL + "/vod/a/cut.mp4")
	require.NoError(t, err)
	defer r.Body.Close()
	close(cut)
	_, err = io.ReadAll(r.Body)
	require.Error(t, err)
	testx.WaitFor(t, "it to be counted", func() bool { return n.counts.of(edge.Through) == 2 })
}

// TestMediaThatMayNotBeSharedIsAskedForByEachForHimself: with cookies, private, or longer than what is fetched whole.
func TestMediaThatMayNotBeSharedIsAskedForByEachForHimself(t *testing.T) {
	for name, set := range map[string]func(http.Header){
		"cookie":  func(h http.Header) { h.Set("Set-Cookie", "a=b") },
		"private": func(h http.Header) { h.Set("Cache-Control", "private, max-age=60, immutable") },
		"varies":  func(h http.Header) { h.Set("Vary", "Accept-Encoding, Authorization") },
		"long":    nil,
	} {
		t.Run(name, func(t *testing.T) {
			body := []byte("for you")
			if set == nil {
				body = bytes.Repeat([]byte("x"), 64<<20+1)
			}
			o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", immutable)
				w.Header().Set("Content-Length", fmt.Sprint(len(body)))
				if set != nil {
					set(w.Header())
				}
				w.Header().Set("X-Who", r.Header.Get("Authorization"))
				_, _ = w.Write(body)
			})
			n := newNode(t, o.URL)
			path, _ := segment(1)
			for _, who := range []string{"anna", "ben"} {
				r, got := n.ask("GET", path, "Authorization: "+who)
				require.Equal(t, who, r.Header.Get("X-Who"))
				require.True(t, bytes.Equal(body, got))
			}
			require.Equal(t, edge.Usage{}, n.Usage())
		})
	}
}

// TestOriginWithTLS: all that is parked shares one connection by HTTP/2, and what needs HTTP/1.1 gets it.
func TestOriginWithTLS(t *testing.T) {
	const many = 60
	release := make(chan struct{})
	var parked, opened, older atomic.Int64
	o := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello\n")
			_ = rw.Flush()
			return
		}
		if r.ProtoMajor != 2 {
			older.Add(1)
		}
		if parked.Add(1); r.URL.RawQuery != "" {
			<-release
		}
		give(w, "public, max-age=12", "application/vnd.apple.mpegurl", []byte("#EXTM3U"))
	}))
	o.EnableHTTP2 = true
	o.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	o.StartTLS()
	t.Cleanup(o.Close)
	roots := x509.NewCertPool()
	roots.AddCert(o.Certificate())
	n := newNode(t, o.URL, func(op *edge.Options) { op.TLS = &tls.Config{RootCAs: roots} })
	n.ask("GET", list) // so that the connection is there
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			if r, _, err := n.try(t.Context(), "GET", fmt.Sprintf("%s?_HLS_msn=%d", list, i)); err != nil || r.StatusCode != http.StatusOK {
				t.Error(err)
			}
		})
	}
	testx.WaitFor(t, "all to be parked", func() bool { return parked.Load() == many+1 })
	close(release)
	wg.Wait()
	require.Equal(t, int64(1), opened.Load())
	require.Zero(t, older.Load())

	c, err := net.Dial("tcp", n.Listener.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(c, "GET /socket.io/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	require.NoError(t, err)
	r := bufio.NewReader(c)
	answer, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	require.Equal(t, 101, answer.StatusCode)
	line, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "hello\n", line)

	stranger := newNode(t, o.URL) // does not know who vouches for the origin
	answer, body := stranger.ask("GET", list)
	require.Equal(t, 502, answer.StatusCode)
	require.Contains(t, string(body), `"origin_unavailable"`)
}

// TestOriginThatDiesInTheMiddle: those who wait are told, and half a segment is nobody's.
func TestOriginThatDiesInTheMiddle(t *testing.T) {
	half := make(chan struct{}, 2)
	die := make(chan struct{})
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		body := mediaOf("seg_1_1.m4s")
		w.Header().Set("Cache-Control", immutable)
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		half <- struct{}{}
		<-die
		panic(http.ErrAbortHandler)
	})
	n := newNode(t, o.URL)
	path, _ := segment(1)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if r, body, err := n.try(t.Context(), "GET", path); err != nil || r.StatusCode != http.StatusBadGateway || !strings.Contains(string(body), "origin_unavailable") {
				t.Error(err, len(body))
			}
		})
	}
	<-half
	testx.WaitFor(t, "all to wait", func() bool { return n.counts.waitingNow() == 20 })
	close(die)
	wg.Wait()
	require.Equal(t, 2, o.requests(path), "it is asked for once more, for all together")
	require.Equal(t, edge.Usage{}, n.Usage())
}
