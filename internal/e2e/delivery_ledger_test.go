//go:build e2e

package e2e

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/bench"
)

// ledger stands between a cache and the origin and notes what the origin gave for each URL, so that everything that came
// out of the cache can be held against it.
type ledger struct {
	*httptest.Server

	mu    sync.Mutex // guards the following
	given map[string]*entry
	wrong []string // of what a cache handed out
	went  map[string]int
}

// entry is what the origin gave for one URL.
type entry struct {
	requests    int
	first, last time.Time
	lifetime    time.Duration // the longest that any answer may be kept
	bodies      map[[32]byte]given
}

// given is when a body was given last, and for how long.
type given struct {
	at       time.Time
	lifetime time.Duration
}

func newLedger(t testing.TB, origin string) *ledger {
	t.Helper()
	l := &ledger{given: map[string]*entry{}, went: map[string]int{}}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: origin})
	transport := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	proxy.Transport, proxy.FlushInterval, proxy.ModifyResponse = transport, -1, l.note
	// The origin is gone: the cache is to see that as it would without the ledger.
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	l.Server = httptest.NewServer(proxy)
	t.Cleanup(func() {
		l.CloseClientConnections()
		l.Close()
		transport.CloseIdleConnections()
	})
	return l
}

func (l *ledger) addr() string { return strings.TrimPrefix(l.URL, "http://") }

var maxAge = regexp.MustCompile(`max-age=(\d+)`)

func lifetime(h http.Header) time.Duration {
	m := maxAge.FindStringSubmatch(h.Get("Cache-Control"))
	if m == nil {
		return 0
	}
	seconds, err := strconv.Atoi(m[1])
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

func unzipped(h http.Header, body []byte) ([]byte, error) {
	if h.Get("Content-Encoding") != "gzip" {
		return body, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// note writes an answer of the origin down.
func (l *ledger) note(r *http.Response) error {
	if !strings.HasPrefix(r.Request.URL.Path, "/live/") {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	plain, err := unzipped(r.Header, body)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := r.Request.URL.RequestURI()
	e := l.given[key]
	if e == nil {
		e = &entry{first: time.Now(), bodies: map[[32]byte]given{}}
		l.given[key] = e
	}
	e.requests++
	e.last = time.Now()
	e.lifetime = max(e.lifetime, lifetime(r.Header))
	if r.StatusCode == http.StatusOK {
		e.bodies[sha256.Sum256(plain)] = given{time.Now(), lifetime(r.Header)}
	}
	return nil
}

// slack is what a busy machine may take between an answer of the origin and the cache's receiving it.
const slack = 500 * time.Millisecond

var mediaSequence = regexp.MustCompile(`#EXT-X-MEDIA-SEQUENCE:(\d+)`)

// check holds an answer that came through the cache against what the origin gave for its URL.
func (l *ledger) check(a bench.Answer) {
	if a.Status != http.StatusOK {
		return
	}
	sum := sha256.Sum256(a.Body)
	l.mu.Lock()
	defer l.mu.Unlock()
	fault := func(format string, args ...any) {
		if len(l.wrong) < 20 {
			l.wrong = append(l.wrong, a.Path+": "+fmt.Sprintf(format, args...))
		}
	}
	e := l.given[a.Path]
	if e == nil {
		fault("the origin was never asked for it")
		return
	}
	g, ok := e.bodies[sum]
	if !ok {
		fault("the origin never gave these %d bytes", len(a.Body))
		return
	}
	if old := a.Asked.Sub(g.at); old > g.lifetime+slack {
		fault("an answer for %s was handed out after %s", g.lifetime, old)
	}
	if age, err := strconv.Atoi(a.Header.Get("Age")); err == nil {
		if since := a.Landed.Sub(g.at).Seconds(); float64(age) > since+1.5 || float64(age) < a.Asked.Sub(g.at).Seconds()-1.5 {
			fault("Age %d of an answer of %.1f s ago", age, since)
		}
	}
	if m := mediaSequence.FindSubmatch(a.Body); m != nil && !strings.Contains(a.Path, "?") {
		first, err := strconv.Atoi(string(m[1]))
		// Those who asked before may be answered later: only a sequence that was overtaken whole seconds ago went back.
		if err == nil && first < l.went[a.Path]-1 {
			fault("the media sequence went back from %d to %d", l.went[a.Path], first)
		}
		l.went[a.Path] = max(l.went[a.Path], first)
	}
}

// reset forgets the counts, but not the bodies.
func (l *ledger) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.given {
		e.requests, e.first, e.last = 0, time.Now(), time.Now()
	}
}

// asked tells how often the origin was asked, for how many objects, and which of them more often than their lifetime explains.
func (l *ledger) asked() (requests, objects int, often []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for path, e := range l.given {
		requests += e.requests
		if e.requests == 0 {
			continue
		}
		objects++
		most := 1
		if e.lifetime > 0 {
			most += int((e.last.Sub(e.first) + slack) / e.lifetime)
		}
		if e.requests > most {
			often = append(often, fmt.Sprintf("%s: %d times in %s, at most %d", path, e.requests, e.last.Sub(e.first), most))
		}
	}
	return requests, objects, often
}

func (l *ledger) requireTruth(t testing.TB) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Empty(t, l.wrong, "what the cache gave is not what the origin gave")
}
