package edge_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/packager/edge"
)

func segment(n int) (path, name string) {
	name = fmt.Sprintf("seg_1_%d.m4s", n)
	return "/live/a/source/" + name, name
}

// noMemory leaves media to the disk alone.
func noMemory(o *edge.Options) { o.Limits.Memory = 16 << 10 }

func TestMediaIsGivenWholeAndInPart(t *testing.T) {
	for name, change := range map[string]func(*edge.Options){"memory": func(*edge.Options) {}, "disk": noMemory} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, giveMedia)
			n := newNode(t, o.URL, change)
			path, file := segment(1)
			want := mediaOf(file)
			r, body := n.ask("GET", path, "Range: bytes=16-31") // of what is not there yet
			require.Equal(t, 206, r.StatusCode)
			require.Equal(t, want[16:32], body)
			testx.WaitFor(t, "it to lie on disk", func() bool { return n.Usage().DiskObjects == 1 })
			for range 2 {
				r, body = n.ask("GET", path+"?x=1", "Accept-Encoding: gzip")
				require.Equal(t, 200, r.StatusCode)
				require.Equal(t, want, body)
				require.Equal(t, "HIT", r.Header.Get("X-Cache"))
				require.Equal(t, immutable, r.Header.Get("Cache-Control"))
				require.Equal(t, `"`+file+`"`, r.Header.Get("Etag"))
				require.Equal(t, "video/mp4", r.Header.Get("Content-Type"))
				require.Equal(t, "*", r.Header.Get("Access-Control-Allow-Origin"))
				require.Equal(t, "bytes", r.Header.Get("Accept-Ranges"))
				require.Equal(t, int64(len(want)), r.ContentLength)
			}
			n.clock.advance(90 * time.Second)
			r, body = n.ask("GET", path, "Range: bytes=-5", `If-Range: "`+file+`"`)
			require.Equal(t, 206, r.StatusCode)
			require.Equal(t, want[len(want)-5:], body)
			require.Equal(t, fmt.Sprintf("bytes %d-%d/%d", len(want)-5, len(want)-1, len(want)), r.Header.Get("Content-Range"))
			require.Equal(t, "90", r.Header.Get("Age"))
			r, body = n.ask("GET", path, "Range: bytes=0-1", `If-Range: "other"`)
			require.Equal(t, 200, r.StatusCode)
			require.Equal(t, want, body)
			r, _ = n.ask("GET", path, fmt.Sprintf("Range: bytes=%d-", len(want)))
			require.Equal(t, 416, r.StatusCode)
			r, _ = n.ask("GET", path, `If-None-Match: "`+file+`"`)
			require.Equal(t, 304, r.StatusCode)
			r, body = n.ask("HEAD", path)
			require.Equal(t, int64(len(want)), r.ContentLength)
			require.Empty(t, body)
			require.Equal(t, 1, o.requests(path))
		})
	}
}

// TestWhatBrokeOffIsNeverKept: neither given out as if it were whole, nor found again.
func TestWhatBrokeOffIsNeverKept(t *testing.T) {
	path, file := segment(1)
	head := "HTTP/1.1 200 OK\r\nCache-Control: " + immutable + "\r\nContent-Type: video/mp4\r\n"
	for name, answer := range map[string]string{
		"shorter than it says": head + "Content-Length: 9000\r\n\r\nhalf",
		"a chunk is missing":   head + "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"no body":              head + "Content-Length: 9000\r\n\r\n",
		"a head alone":         head,
		"nothing":              "",
		"no length":            "HTTP/1.0 200 OK\r\nCache-Control: " + immutable + "\r\nContent-Type: video/mp4\r\n\r\nhalf",
		"no gzip":              head + "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nhalf",
	} {
		t.Run(name, func(t *testing.T) {
			var whole atomic.Bool
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			var wg sync.WaitGroup
			wg.Go(func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					_, _ = http.ReadRequest(bufio.NewReader(c))
					if whole.Load() {
						_, _ = fmt.Fprintf(c, "%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", head, len(mediaOf(file)), mediaOf(file))
					} else {
						_, _ = io.WriteString(c, answer)
					}
					_ = c.Close()
				}
			})
			t.Cleanup(func() {
				_ = l.Close()
				wg.Wait()
			})
			n := newNode(t, "http://"+l.Addr().String())
			r, body := n.ask("GET", path)
			if name == "no length" { // nobody can tell
				require.Equal(t, 200, r.StatusCode)
			} else {
				require.Equal(t, 502, r.StatusCode)
				require.Contains(t, string(body), `"origin_unavailable"`)
				require.Equal(t, "no-store", r.Header.Get("Cache-Control"))
			}
			require.Equal(t, edge.Usage{}, n.Usage())
			whole.Store(true)
			r, body = n.ask("GET", path)
			require.Equal(t, 200, r.StatusCode)
			require.True(t, bytes.Equal(mediaOf(file), body))
		})
	}
}

func TestARestartFindsWhatIsOnDisk(t *testing.T) {
	o := newOrigin(t, giveMedia)
	n := newNode(t, o.URL)
	const many = 40
	for i := range many {
		path, _ := segment(i)
		n.ask("GET", path)
	}
	testx.WaitFor(t, "all to lie on disk", func() bool { return n.Usage().DiskObjects == many })
	before := n.Usage().Disk
	n.stop()

	// What a crash of the machine may leave, and what is not ours.
	var files []string
	require.NoError(t, filepath.WalkDir(n.dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && len(e.Name()) == 38 {
			files = append(files, path)
		}
		return err
	}))
	require.Len(t, files, many)
	broken := map[string]func(string) error{
		"empty":     func(f string) error { return os.Truncate(f, 0) },
		"cut":       func(f string) error { return os.Truncate(f, 5000) },
		"zeros":     func(f string) error { return os.WriteFile(f, make([]byte, 9000), 0o600) },
		"one byte":  func(f string) error { return change(f, 4000) },
		"its head":  func(f string) error { return change(f, -60) },
		"the sum":   func(f string) error { return change(f, -15) },
		"the sizes": func(f string) error { return change(f, -11) },
		"another's": func(f string) error { b, err := os.ReadFile(files[20]); return joined(err, os.WriteFile(f, b, 0o600)) },
	}
	i := 0
	for _, harm := range broken {
		require.NoError(t, harm(files[i]))
		i++
	}
	other := filepath.Join(n.dir, "README")
	require.NoError(t, os.WriteFile(other, []byte("mine"), 0o600))
	half := filepath.Join(n.dir, "new-123")
	require.NoError(t, os.WriteFile(half, []byte("half"), 0o600))

	again := newNode(t, o.URL, func(op *edge.Options) { op.Dir = n.dir })
	require.Equal(t, many, again.Usage().DiskObjects)
	require.NoFileExists(t, half)
	require.FileExists(t, other)
	for i := range many {
		path, file := segment(i)
		r, body := again.ask("GET", path)
		require.Equal(t, 200, r.StatusCode)
		require.True(t, bytes.Equal(mediaOf(file), body), path)
	}
	testx.WaitFor(t, "all to be counted", func() bool {
		return again.counts.of(edge.Hit) == many-len(broken) && again.counts.of(edge.Miss) == len(broken)
	})
	testx.WaitFor(t, "what was broken to be whole again", func() bool { return again.Usage().DiskObjects == many && again.Usage().Disk == before })
	again.stop()

	smaller := newNode(t, o.URL, func(op *edge.Options) { op.Dir, op.Limits.Disk = n.dir, 100_000 })
	require.LessOrEqual(t, smaller.Usage().Disk, int64(100_000))
	require.Positive(t, smaller.Usage().DiskObjects)
	require.LessOrEqual(t, sizeOf(t, n.dir), int64(101_000))
	smaller.stop()

	elsewhere := newNode(t, "http://127.0.0.1:1", func(op *edge.Options) { op.Dir = n.dir })
	require.Equal(t, edge.Usage{}, elsewhere.Usage(), "names of another origin mean something else")
	require.FileExists(t, other)
}

func joined(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// change alters one byte of a file, counted from its end where at is negative.
func change(file string, at int) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 0x55
	return os.WriteFile(file, b, 0o600)
}

func sizeOf(t *testing.T, dir string) (n int64) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			info, err := e.Info()
			if err != nil {
				return nil //nolint:nilerr // it was removed meanwhile
			}
			n += info.Size()
		}
		return err
	}))
	return n
}

func TestTheDiskStaysWithinItsBound(t *testing.T) {
	const bound = 200_000 // some sixteen segments
	o := newOrigin(t, giveMedia)
	n := newNode(t, o.URL, noMemory, func(op *edge.Options) { op.Limits.Disk = bound })
	first, _ := segment(0)
	n.ask("GET", first)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 40 {
				for _, k := range []int{1 + w*40 + i, 0} { // the first stays in use
					path, file := segment(k)
					r, body, err := n.try(t.Context(), "GET", path)
					if err != nil || r.StatusCode != http.StatusOK || !bytes.Equal(body, mediaOf(file)) {
						t.Errorf("%s: %v", path, err)
						return
					}
				}
				if u := n.Usage(); u.Disk > bound {
					t.Errorf("%d bytes on disk", u.Disk)
				}
			}
		})
	}
	wg.Wait()
	n.stop()
	require.LessOrEqual(t, sizeOf(t, n.dir), int64(bound+1000))
	require.Equal(t, 1, o.requests(first), "what is in use goes last")
	n.counts.mu.Lock()
	defer n.counts.mu.Unlock()
	require.GreaterOrEqual(t, n.counts.evicted, 300)
}

func TestADiskThatTakesNothingCostsNobodyTheirMedia(t *testing.T) {
	o := newOrigin(t, giveMedia)
	n := newNode(t, o.URL)
	require.NoError(t, os.RemoveAll(n.dir))
	require.NoError(t, os.WriteFile(n.dir, nil, 0o600)) // a file where the folder was
	for i := range 5 {
		path, file := segment(i)
		for range 2 {
			r, body := n.ask("GET", path)
			require.Equal(t, 200, r.StatusCode)
			require.True(t, bytes.Equal(mediaOf(file), body))
		}
		require.Equal(t, 1, o.requests(path), "it is in memory")
	}
	require.Zero(t, n.Usage().DiskObjects)
}

func TestOriginGone(t *testing.T) {
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".m4s") {
			giveMedia(w, r)
			return
		}
		give(w, "public, max-age=1", "application/vnd.apple.mpegurl", []byte("#EXTM3U"))
	})
	n := newNode(t, o.URL)
	path, file := segment(1)
	n.ask("GET", path)
	n.ask("GET", list)
	require.NoError(t, n.Check(t.Context()))
	require.True(t, n.Reached())
	addr := o.Listener.Addr().String()
	o.CloseClientConnections()
	o.Close()

	r, _ := n.ask("GET", list)
	require.Equal(t, 200, r.StatusCode, "it is still valid")
	n.clock.advance(time.Second)
	began := time.Now()
	for _, p := range []string{list, list + "?_HLS_msn=5", "/live/a/source/seg_1_2.m4s", "/api/v1/streams"} {
		r, body := n.ask("GET", p)
		require.Equal(t, 502, r.StatusCode, p)
		require.Equal(t, "application/problem+json", r.Header.Get("Content-Type"))
		require.Equal(t, "1", r.Header.Get("Retry-After"))
		require.Equal(t, "no-store", r.Header.Get("Cache-Control"))
		require.Contains(t, string(body), `"origin_unavailable"`)
	}
	require.Less(t, time.Since(began), 5*time.Second)
	r, body := n.ask("GET", path)
	require.Equal(t, 200, r.StatusCode)
	require.True(t, bytes.Equal(mediaOf(file), body))
	require.Error(t, n.Check(t.Context()))

	l, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	back := &http.Server{Handler: o.Config.Handler}
	go func() { _ = back.Serve(l) }()
	t.Cleanup(func() { _ = back.Close() })
	testx.WaitFor(t, "the origin's return to be seen", func() bool { r, _ := n.ask("GET", list); return r.StatusCode == http.StatusOK })
}

// TestASilentOriginIsToldByTheDeadline: an origin that takes connections and says nothing, and one that nothing is heard of.
func TestASilentOriginIsToldByTheDeadline(t *testing.T) {
	silent := make(chan struct{})
	o := newOrigin(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-silent:
		case <-r.Context().Done():
		}
	})
	defer close(silent)
	n := newNode(t, o.URL, func(op *edge.Options) { op.Limits.Hold, op.Limits.Margin = 50*time.Millisecond, 50*time.Millisecond })
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			r, body, err := n.try(t.Context(), "GET", list+"?_HLS_msn=1")
			if err != nil || r.StatusCode != http.StatusGatewayTimeout || !strings.Contains(string(body), `"origin_unavailable"`) {
				t.Error(err, string(body))
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, o.requests(list+"?_HLS_msn=1"))
}

func TestTooManyThatWaitAreRefused(t *testing.T) {
	release := make(chan struct{})
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		give(w, "public, max-age=12", "text/plain", []byte("x"))
	})
	n := newNode(t, o.URL, func(op *edge.Options) { op.Limits.Waiting, op.Limits.Flights = 3, 2 })
	var wg sync.WaitGroup
	for _, q := range []string{"?_HLS_msn=1", "?_HLS_msn=2", "?_HLS_msn=2"} {
		wg.Go(func() {
			r, _, err := n.try(t.Context(), "GET", list+q)
			if err != nil || r.StatusCode != http.StatusOK {
				t.Error(err, r)
			}
		})
	}
	testx.WaitFor(t, "three to wait", func() bool { return n.counts.waitingNow() == 3 })
	for _, q := range []string{"?_HLS_msn=1", "?_HLS_msn=3"} {
		r, body := n.ask("GET", list+q)
		require.Equal(t, 503, r.StatusCode)
		require.Contains(t, string(body), "overloaded")
	}
	close(release)
	wg.Wait()
}
