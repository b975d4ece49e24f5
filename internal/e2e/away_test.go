//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/store/db/pgtest"
	"mediad/store/redis/redistest"
)

// call is one that is made again and again.
type call struct {
	method, path, token, body string
	known                     bool // it was answered before, so it is answered whatever is away
}

// load makes calls all the time, and holds each answer against what may be away at the time.
type load struct {
	s        *server
	database atomic.Bool // it may be away
	closing  chan struct{}
	workers  sync.WaitGroup

	mu      sync.Mutex     // guards the following
	answers map[string]int // by call and status, "away" where the database may have been
	wrong   []string
	slowest time.Duration // of known calls
	worked  map[string]time.Time
}

// load makes each call over and over from two places at once until stop.
func (s *server) load(calls ...call) *load {
	l := &load{s: s, closing: make(chan struct{}), answers: map[string]int{}, worked: map[string]time.Time{}}
	for _, c := range calls {
		for worker := range 2 {
			l.workers.Go(func() {
				pace := time.NewTicker(25 * time.Millisecond)
				defer pace.Stop()
				for n := 0; ; n++ {
					select {
					case <-l.closing:
						return
					case <-pace.C:
						l.make(c, fmt.Sprintf("%d-%d", worker, n))
					}
				}
			})
		}
	}
	s.t.Cleanup(l.stop)
	return l
}

func (l *load) stop() {
	select {
	case <-l.closing:
	default:
		close(l.closing)
	}
	l.workers.Wait()
}

func (l *load) make(c call, number string) {
	began, away := time.Now(), l.database.Load()
	r, err := http.NewRequest(c.method, l.s.url(strings.ReplaceAll(c.path, "{n}", number)), strings.NewReader(c.body))
	if err != nil {
		panic(err)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	var text []byte
	answer, err := l.s.client.Do(r)
	if err == nil {
		text, err = io.ReadAll(answer.Body)
		answer.Body.Close()
	}
	took := time.Since(began)
	away = away || l.database.Load()
	name := c.method + " " + c.path
	if c.token != "" {
		name += " signed in"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.wrong = append(l.wrong, name+": "+err.Error())
		return
	}
	status := answer.StatusCode
	if away {
		l.answers[fmt.Sprintf("%s: %d away", name, status)]++
	} else {
		l.answers[fmt.Sprintf("%s: %d", name, status)]++
	}
	var p struct {
		Code string `json:"code"`
	}
	switch {
	case status < 300:
		l.worked[name] = time.Now()
		if c.known {
			l.slowest = max(l.slowest, took)
		}
	case away && !c.known && status == http.StatusServiceUnavailable && answer.Header.Get("Retry-After") != "" &&
		strings.HasPrefix(answer.Header.Get("Content-Type"), "application/problem+json") && json.Unmarshal(text, &p) == nil && p.Code == "unavailable":
	default:
		l.wrong = append(l.wrong, fmt.Sprintf("%s, database away: %v: %d %s", name, away, status, text))
	}
}

// works waits until every call was answered well after now.
func (l *load) works(what string) {
	l.s.t.Helper()
	since := time.Now()
	waitFor(l.s.t, 30*time.Second, what, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, at := range l.worked {
			if at.Before(since) {
				return false
			}
		}
		return len(l.worked) > 0
	})
}

// TestDatabaseAndRedisAway: under load PostgreSQL is restarted and gone for a while, and so is Redis. What was answered before is answered, what
// was not is refused in clean words, viewers notice nothing, and all of it comes back by itself.
func TestDatabaseAndRedisAway(t *testing.T) {
	t.Parallel()
	gone := time.Duration(times(4, 60)) * time.Second
	database := pgtest.Start(t, "synchronous_commit = on")
	shared := redistest.Start(t)
	s := startServer(t, "MEDIAD_DATABASE_URL="+database.Database(t, "site"), "MEDIAD_REDIS_URL="+shared.URL, "MEDIAD_LIMITS_SCALE=100000",
		"MEDIAD_LOG_LEVEL=info")
	s.publish(t, "tower", source{})
	s.waitLive("tower")
	token := s.call(201, "POST", "/api/v1/auth/register", "", `{"username":"bert","password":"correct horse battery"}`)["access_token"].(string)
	s.call(201, "POST", "/api/v1/auth/register", "", `{"username":"cora","password":"correct horse battery"}`)
	known := []call{
		{method: "GET", path: "/api/v1/streams/tower", known: true},
		{method: "GET", path: "/api/v1/streams/tower/playback", known: true},
		{method: "GET", path: "/api/v1/streams", known: true},
		{method: "GET", path: "/api/v1/users/@cora", known: true},
		{method: "GET", path: "/api/v1/streams/tower", token: token, known: true},
		{method: "GET", path: "/api/v1/me", token: token, known: true},
	}
	for _, c := range known {
		s.call(200, c.method, c.path, c.token, "")
	}
	viewer := spawn(t, "ffmpeg", "-v", "error", "-i", s.url("/live/tower/index.m3u8"), "-f", "null", "-")
	l := s.load(append(known,
		call{method: "GET", path: "/api/v1/streams?tag=t{n}"},
		call{method: "GET", path: "/api/v1/users/@cora?n={n}", token: token},
		call{method: "PUT", path: "/api/v1/users/@cora/follow", token: token},
	)...)
	goesOn := func() {
		t.Helper()
		before := s.media("tower", "source").last
		waitFor(t, 20*time.Second, "segments", func() bool { return s.media("tower", "source").last >= before+2 })
	}
	away := func(how string, wait time.Duration) {
		t.Helper()
		l.works("all calls before " + how)
		l.database.Store(true)
		require.NoError(t, database.Stop())
		if wait > 0 {
			until := time.Now().Add(wait)
			goesOn()
			waitFor(t, wait+time.Minute, how, func() bool { return time.Now().After(until) })
		}
		require.NoError(t, database.Run())
		l.works("all calls after " + how)
		l.database.Store(false)
	}
	away("a restart", 0)
	away("an outage", gone)

	l.works("all calls before Redis goes")
	shared.Stop(t)
	until := time.Now().Add(gone)
	goesOn()
	waitFor(t, gone+time.Minute, "the outage", func() bool { return time.Now().After(until) })
	l.works("all calls without Redis")
	shared.Run(t)
	waitFor(t, 10*time.Second, "Redis to be used again", func() bool { return strings.Contains(s.log.String(), "Redis is back") })
	l.works("all calls after Redis is back")
	goesOn()
	l.stop()

	for _, answer := range slices.Sorted(maps.Keys(l.answers)) {
		t.Logf("%6d %s", l.answers[answer], answer)
	}
	t.Logf("the slowest known answer took %v", l.slowest)
	require.Empty(t, l.wrong, "%d wrong answers", len(l.wrong))
	select {
	case <-viewer.exited:
		t.Fatalf("the viewer ended:\n%s", viewer.log.String())
	default:
	}
	viewer.kill(syscall.SIGKILL)
	require.Empty(t, viewer.log.String(), "what the viewer noticed")
}
