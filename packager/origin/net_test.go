package origin_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/packager/origin"
	"mediad/packager/playlist"
	"mediad/store/blob"
)

// folder is a store of files, as far as the handler needs one.
type folder struct {
	blob.Store
	dir string
}

func (f folder) OpenFile(key string) (blob.File, error) { return os.Open(filepath.Join(f.dir, key)) }

// withFile makes segment 1000 size random bytes behind 100 others in a file.
func withFile(t testing.TB, s *site, dir string, size int) []byte {
	t.Helper()
	body := make([]byte, size)
	_, _ = rand.Read(body)
	file := append(bytes.Repeat([]byte{1}, 100), body...)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "k"), append(file, 2, 2, 2), 0o600))
	s.source.mu.Lock()
	defer s.source.mu.Unlock()
	s.source.media[mediaKey(fakeEpoch, 1000, -1)] = playlist.Media{Key: "k", Offset: 100, Size: int64(size)}
	return body
}

func newFileSite(t testing.TB, size int, change ...func(*origin.Options)) (*site, []byte) {
	dir := t.TempDir()
	s := newSite(t, append(change, func(o *origin.Options) { o.Blobs = folder{dir: dir} })...)
	return s, withFile(t, s, dir, size)
}

// fetch reads an answer to its end.
func fetch(t *testing.T, c *http.Client, url string, headers ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w, err := c.Do(r)
	require.NoError(t, err)
	b, err := io.ReadAll(w.Body)
	require.NoError(t, err)
	require.NoError(t, w.Body.Close())
	return w, b
}

// servers run the handler over every version of HTTP that it is reached by.
func servers(t *testing.T, h http.Handler, f func(t *testing.T, url string, c *http.Client, proto string)) {
	t.Run("HTTP/1.1", func(t *testing.T) {
		server := httptest.NewServer(h)
		defer server.Close()
		f(t, server.URL, server.Client(), "HTTP/1.1")
	})
	t.Run("h2", func(t *testing.T) {
		server := httptest.NewUnstartedServer(h)
		server.EnableHTTP2 = true
		server.StartTLS()
		defer server.Close()
		f(t, server.URL, server.Client(), "HTTP/2.0")
	})
	t.Run("h2c", func(t *testing.T) {
		server := httptest.NewUnstartedServer(h)
		server.Config.Protocols = new(http.Protocols)
		server.Config.Protocols.SetHTTP1(true)
		server.Config.Protocols.SetUnencryptedHTTP2(true)
		server.Start()
		defer server.Close()
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetUnencryptedHTTP2(true)
		defer transport.CloseIdleConnections()
		f(t, server.URL, &http.Client{Transport: transport}, "HTTP/2.0")
	})
}

func TestOverEveryHTTP(t *testing.T) {
	s, body := newFileSite(t, 700_000)
	servers(t, s, func(t *testing.T, url string, c *http.Client, proto string) {
		w, got := fetch(t, c, url+sourceList, "Accept-Encoding", "identity")
		require.Equal(t, proto, w.Proto)
		require.NoError(t, playlist.CheckInvariants(nil, got))
		require.NotEmpty(t, w.Header.Get("Date"))

		w, got = fetch(t, c, url+segPath(1000))
		require.Equal(t, 200, w.StatusCode)
		require.True(t, bytes.Equal(body, got))

		w, got = fetch(t, c, url+segPath(1000), "Range", "bytes=300000-699998")
		require.Equal(t, 206, w.StatusCode)
		require.True(t, bytes.Equal(body[300_000:699_999], got))

		w, err := c.Head(url + segPath(1000))
		require.NoError(t, err)
		require.Equal(t, int64(700_000), w.ContentLength)

		w, err = c.Post(url+sourceList, "text/plain", nil)
		require.NoError(t, err)
		require.Equal(t, 405, w.StatusCode)
		require.NoError(t, w.Body.Close())
	})
}

func TestHeldRequestsOverEveryHTTP(t *testing.T) {
	s := newSite(t)
	servers(t, s, func(t *testing.T, url string, c *http.Client, _ string) {
		s.source.mu.Lock()
		msn, part := s.source.open.MSN, len(s.source.open.Parts)
		s.source.mu.Unlock()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				path := fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%d", sourceList, msn, part)
				if i%2 == 0 {
					path = partPath("source", int(msn), part)
				}
				w, err := c.Get(url + path)
				if err != nil || w.StatusCode != http.StatusOK {
					t.Errorf("%v %v", w, err)
					return
				}
				_, _ = io.Copy(io.Discard, w.Body)
				_ = w.Body.Close()
			})
		}
		s.untilParked(t, 20)
		s.source.step()
		wg.Wait()
		require.Zero(t, s.Parked())
	})
}

func TestAViewerWhoLeavesFreesThePlaceOverEveryHTTP(t *testing.T) {
	s := newSite(t)
	servers(t, s, func(t *testing.T, url string, c *http.Client, _ string) {
		ctx, leave := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+sourceList+"?_HLS_msn=1004", nil)
		require.NoError(t, err)
		done := make(chan error)
		go func() {
			w, err := c.Do(r)
			if err == nil {
				_ = w.Body.Close()
			}
			done <- err
		}()
		s.untilParked(t, 1)
		leave()
		require.ErrorIs(t, <-done, context.Canceled)
		s.untilParked(t, 0)
	})
}

// A viewer that stops reading is cut once the write deadline has passed, and costs nothing after that.
func TestAStalledViewerIsCut(t *testing.T) {
	for name, memory := range map[string]bool{"from a file": false, "from memory": true} {
		t.Run(name, func(t *testing.T) {
			const size = 64 << 20 // more than the kernel buffers
			s, body := newFileSite(t, size, func(o *origin.Options) { o.Limits.WriteTimeout = 100 * time.Millisecond })
			if memory {
				s.source.media[mediaKey(fakeEpoch, 1000, -1)] = playlist.Media{Bytes: body}
			}
			server := httptest.NewServer(s)
			defer server.Close()
			c, err := net.Dial("tcp", server.Listener.Addr().String())
			require.NoError(t, err)
			defer func() { _ = c.Close() }()
			_, err = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", segPath(1000))
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				s.seen.mu.Lock()
				defer s.seen.mu.Unlock()
				return len(s.seen.served) == 1
			}, 10*time.Second, 5*time.Millisecond)
			require.Less(t, s.seen.last().Bytes, int64(size))
		})
	}
}

func TestConnectionsOfOneAddressAreCapped(t *testing.T) {
	s := newSite(t)
	open := func(t *testing.T, exempt func(string) bool) (answered int) {
		limit := origin.NewConnLimit(3, exempt)
		server := httptest.NewUnstartedServer(s)
		theirs := server.Config.ConnState
		server.Config.ConnState = func(c net.Conn, state http.ConnState) {
			limit.ConnState(c, state)
			if theirs != nil {
				theirs(c, state)
			}
		}
		server.Start()
		defer server.Close()
		dial := func() (net.Conn, bool) {
			c, err := net.Dial("tcp", server.Listener.Addr().String())
			require.NoError(t, err)
			_, _ = fmt.Fprintf(c, "GET /live/main/index.m3u8 HTTP/1.1\r\nHost: x\r\n\r\n")
			w, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				return c, false
			}
			_ = w.Body.Close()
			return c, true
		}
		var last net.Conn
		for range 5 {
			c, ok := dial()
			defer func() { _ = c.Close() }()
			if ok {
				answered++
				last = c
			}
		}
		require.NoError(t, last.Close())
		require.Eventually(t, func() bool {
			c, ok := dial()
			_ = c.Close()
			return ok
		}, 5*time.Second, time.Millisecond, "a closed connection makes room")
		return answered
	}
	require.Equal(t, 3, open(t, nil))
	require.Equal(t, 5, open(t, func(ip string) bool { return ip == "127.0.0.1" }))
}
