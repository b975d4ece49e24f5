package origin_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/packager/origin"
	"mediad/packager/playlist"
)

// bench asks one address again and again over one connection, reading every byte.
func bench(b *testing.B, h http.Handler, path string) {
	server := httptest.NewServer(h)
	defer server.Close()
	c, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(b, err)
	defer func() { _ = c.Close() }()
	r := bufio.NewReaderSize(c, 64<<10)
	ask := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nUser-Agent: bench\r\n\r\n", path)
	b.ReportAllocs()
	before := processorTime(b)
	defer func() { b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op") }()
	for b.Loop() {
		if _, err := c.Write(ask); err != nil {
			b.Fatal(err)
		}
		if err := readAnswer(r); err != nil {
			b.Fatal(err)
		}
	}
}

// processorTime is what this process used so far, in user mode and kernel. Unlike time it holds on a busy machine.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// readAnswer reads an answer of status 200 and drops it, at less cost than a client of HTTP has: what is measured is the server.
func readAnswer(r *bufio.Reader) error {
	length, first := -1, true
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			return fmt.Errorf("%s", line)
		}
		first = false
		if rest, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, err = strconv.Atoi(string(bytes.TrimSpace(rest)))
			if err != nil {
				return err
			}
		}
		if len(line) == 2 {
			break
		}
	}
	_, err := r.Discard(length)
	return err
}

const benchPart = 60_000 // bytes: 200 ms at 2.4 Mbit/s

func BenchmarkPartFromMemory(b *testing.B) {
	body := make([]byte, benchPart)
	b.Run("mediad", func(b *testing.B) {
		s := newSite(b, func(o *origin.Options) { o.Limits.SamePart = -1 })
		s.source.media[mediaKey(fakeEpoch, 1000, 0)] = playlist.Media{Bytes: body}
		s.seen.off()
		bench(b, s, partPath("source", 1000, 0))
	})
	b.Run("bare", func(b *testing.B) {
		bench(b, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "video/mp4")
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			_, _ = w.Write(body)
		}), "/")
	})
}

func BenchmarkPlaylistGzip(b *testing.B) {
	s := newSite(b)
	s.seen.off()
	body := s.source.Window().Render(0, true)
	b.Run("mediad", func(b *testing.B) { bench(b, s, sourceList) })
	b.Run("bare", func(b *testing.B) {
		bench(b, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			_, _ = w.Write(body)
		}), "/")
	})
}

func BenchmarkSegmentFromFile(b *testing.B) {
	const size = 320 << 10
	b.Run("mediad", func(b *testing.B) {
		s, _ := newFileSite(b, size)
		s.seen.off()
		bench(b, s, segPath(1000))
	})
	b.Run("ServeContent", func(b *testing.B) {
		file := filepath.Join(b.TempDir(), "k")
		require.NoError(b, os.WriteFile(file, make([]byte, size), 0o600))
		bench(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f, err := os.Open(file)
			if err != nil {
				http.Error(w, "", http.StatusInternalServerError)
				return
			}
			defer func() { _ = f.Close() }()
			w.Header().Set("Content-Type", "video/mp4")
			http.ServeContent(w, r, "", time.Time{}, f)
		}), "/")
	})
}

// readers is how many wait in BenchmarkWake. Both ends of every connection are in this process, and 20 000 files are a usual
// limit of one.
const readers = 9_500

// BenchmarkWake parks readers over as many connections, wakes them all at once, and measures how long it takes until the last
// has its answer, what a parked one weighs, and that none is lost; mediad beside a bare handler that waits on a channel and
// writes the same bytes.
func BenchmarkWake(b *testing.B) {
	b.Run("mediad", func(b *testing.B) {
		s := newSite(b)
		s.seen.off()
		var msn uint64
		var part int
		wake(b, s, func() string {
			msn, part = s.source.Window().Edge()
			return fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%d", sourceList, msn, part+1)
		}, s.Parked, s.source.step)
	})
	b.Run("bare", func(b *testing.B) {
		body := newSite(b).source.Window().Render(0, true)
		var mu sync.Mutex
		next, parked := make(chan struct{}), 0
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			parked += n
		}
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			ch := next
			mu.Unlock()
			count(1)
			defer count(-1)
			timer := time.NewTimer(8 * time.Second)
			defer timer.Stop()
			select {
			case <-ch:
			case <-timer.C:
			case <-r.Context().Done():
			}
			w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			_, _ = w.Write(body)
		})
		wake(b, h, func() string { return "/" }, func() int {
			mu.Lock()
			defer mu.Unlock()
			return parked
		}, func() {
			mu.Lock()
			defer mu.Unlock()
			close(next)
			next = make(chan struct{})
		})
	})
}

func wake(b *testing.B, h http.Handler, path func() string, parked func() int, step func()) {
	server := httptest.NewServer(h)
	defer server.Close()
	conns := make([]net.Conn, readers)
	for i := range conns {
		// Loopback addresses of their own: one has too few ports free.
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i%100))}}
		c, err := d.Dial("tcp", server.Listener.Addr().String())
		require.NoError(b, err)
		defer func() { _ = c.Close() }()
		conns[i] = c
	}
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	took := make([]time.Duration, readers)
	var all []time.Duration
	var woken time.Duration
	b.ReportAllocs()
	for b.Loop() {
		ask := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nUser-Agent: bench\r\n\r\n", path())
		for _, c := range conns {
			if _, err := c.Write(ask); err != nil {
				b.Fatal(err)
			}
		}
		for parked() < readers {
			runtime.Gosched()
		}
		runtime.GC()
		runtime.ReadMemStats(&during)
		used, began := processorTime(b), time.Now()
		step()
		drain(b, conns, took, began)
		woken += processorTime(b) - used
		all = append(all, took...)
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(all[len(all)-1].Microseconds())/1000, "last-ms")
	b.ReportMetric(float64(woken.Nanoseconds())/float64(len(all)), "cpu-ns/woken")
	inUse := func(m *runtime.MemStats) uint64 { return m.HeapInuse + m.StackInuse }
	b.ReportMetric(float64(inUse(&during)-inUse(&before))/readers, "B/parked")
}

// drain reads one answer from every connection with few goroutines, as the readers share these cores.
func drain(b *testing.B, conns []net.Conn, took []time.Duration, began time.Time) {
	const workers = 4
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			buf := make([]byte, 16<<10)
			for i := w; i < len(conns); i += workers {
				n := 0
				for {
					m, err := conns[i].Read(buf[n:])
					if err != nil {
						b.Errorf("reader %d: %v", i, err)
						return
					}
					n += m
					if complete(buf[:n]) {
						break
					}
				}
				took[i] = time.Since(began)
			}
		})
	}
	wg.Wait()
}

// complete tells whether b is a whole answer of status 200.
func complete(b []byte) bool {
	head, body, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok || !bytes.HasPrefix(head, []byte("HTTP/1.1 200")) {
		return false
	}
	var n int
	_, rest, _ := bytes.Cut(head, []byte("Content-Length: "))
	_, err := fmt.Sscan(string(rest), &n)
	return err == nil && len(body) == n
}

// blank is a ResponseWriter that drops everything, to see what a request costs beside net/http's own work.
type blank struct{ header http.Header }

func (w *blank) Header() http.Header         { return w.header }
func (w *blank) Write(p []byte) (int, error) { return len(p), nil }
func (w *blank) WriteHeader(int)             {}

// BenchmarkOwnCost is the handler alone.
func BenchmarkOwnCost(b *testing.B) {
	s := newSite(b, func(o *origin.Options) { o.Limits.SamePart = -1 })
	s.seen.off()
	for name, path := range map[string]string{
		"part": partPath("source", 1000, 0), "playlist": sourceList + "?_HLS_msn=1003&_HLS_part=1&_HLS_skip=YES", "missing": segPath(1),
	} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("Accept-Encoding", "gzip, deflate, br")
			r.Header.Set("User-Agent", "bench")
			w := &blank{header: make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				s.ServeHTTP(w, r)
			}
		})
	}
}
