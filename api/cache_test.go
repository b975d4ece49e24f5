package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api"
	"mediad/api/apitest"
	"mediad/api/stream"
	"mediad/internal/testx"
	"mediad/store/db"
)

// countingLive counts how often it is asked, and waits where the test says so.
type countingLive struct {
	onAir
	asked atomic.Int64
	gate  chan struct{} // nil: open
}

func (c *countingLive) LiveState(slug string) (api.LiveInfo, bool) {
	c.asked.Add(1)
	if c.gate != nil {
		<-c.gate
	}
	return c.onAir.LiveState(slug)
}

func TestEqualQuestionsShareAnAnswer(t *testing.T) {
	s := newSite(t, db.Options{})
	s.create(t, stream.Create{Slug: "main"})
	live := &countingLive{}
	now := noon
	s.deps.Live, s.deps.Config.CacheFor, s.deps.Now = live, 0, func() time.Time { return now }
	h := s.handler(t)
	get := func(path string, headers map[string]string) *apitest.Answer {
		return apitest.Do(t, h, apitest.Scenario{Path: path, Headers: headers})
	}
	first := get("/api/v1/streams/main", nil)
	second := get("/api/v1/streams/main", map[string]string{"Origin": "https://x.example", "X-Request-Id": "mine"})
	assert.Equal(t, int64(1), live.asked.Load())
	assert.Equal(t, first.Body.String(), second.Body.String())
	assert.Equal(t, first.Header().Get("ETag"), second.Header().Get("ETag"))
	assert.Equal(t, first.Header().Get("Content-Type"), second.Header().Get("Content-Type"))
	assert.Equal(t, "mine", second.Header().Get("X-Request-Id"))
	assert.Equal(t, 304, get("/api/v1/streams/main", map[string]string{"If-None-Match": first.Header().Get("ETag")}).Code)
	assert.Equal(t, int64(1), live.asked.Load())

	get("/api/v1/streams/main", map[string]string{"Authorization": "Bearer " + s.client(t).register("bert").Access})
	assert.Equal(t, int64(2), live.asked.Load(), "who signs in is not answered with others' answers")
	get("/api/v1/streams/main?x=1", nil)
	assert.Equal(t, int64(3), live.asked.Load())
	now = now.Add(500 * time.Millisecond)
	get("/api/v1/streams/main", nil)
	assert.Equal(t, int64(4), live.asked.Load())

	for range 2 {
		a := get("/api/v1/streams/nobody", nil)
		assert.Equal(t, 404, a.Code)
		assert.Contains(t, a.Body.String(), a.Header().Get("X-Request-Id"), "a refusal is each one's own")
	}
	s.create(t, stream.Create{Slug: "nobody"})
	assert.Equal(t, 200, get("/api/v1/streams/nobody", nil).Code, "absence is not remembered")
}

func TestManyAskAtOnce(t *testing.T) {
	s := newSite(t, db.Options{})
	s.create(t, stream.Create{Slug: "main"})
	live := &countingLive{gate: make(chan struct{})}
	s.deps.Live, s.deps.Config.CacheFor = live, time.Minute
	h := s.handler(t)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/streams/main", http.NoBody))
			assert.Equal(t, 200, w.Code)
		})
	}
	close(live.gate)
	wg.Wait()
	assert.Equal(t, int64(1), live.asked.Load(), "one asked for all")

	wg = sync.WaitGroup{}
	for i := range 30 {
		wg.Go(func() {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/streams/nobody", http.NoBody)
			r.Header.Set("X-Request-Id", fmt.Sprintf("r-%d", i))
			h.ServeHTTP(w, r)
			assert.Equal(t, 404, w.Code)
			assert.Contains(t, w.Body.String(), fmt.Sprintf(`"request_id":"r-%d"`, i))
		})
	}
	wg.Wait()
}

func TestCacheIsBounded(t *testing.T) {
	s := newSite(t, db.Options{})
	s.create(t, stream.Create{Slug: "main"})
	live := &countingLive{}
	s.deps.Live, s.deps.Config.CacheFor, s.deps.Config.Timeout = live, time.Minute, time.Hour
	h := s.handler(t)
	for i := range 600 {
		a := apitest.Do(t, h, apitest.Scenario{Path: fmt.Sprintf("/api/v1/streams/main?i=%d", i)})
		require.Equal(t, 200, a.Code)
	}
	for _, i := range []int{0, 599} {
		apitest.Do(t, h, apitest.Scenario{Path: fmt.Sprintf("/api/v1/streams/main?i=%d", i)})
	}
	assert.Equal(t, int64(601), live.asked.Load(), "the first is kept, one beyond the bound is not")
}

func TestPanicBelowTheCache(t *testing.T) {
	s := newSite(t, db.Options{})
	s.create(t, stream.Create{Slug: "main"})
	s.deps.Live, s.deps.Config.CacheFor = brokenLive{}, time.Minute
	apitest.Run(t, s.handler(t), []apitest.Scenario{
		{Path: "/api/v1/streams/main", Status: 500, Contains: []string{`"code":"internal"`}, Lacks: []string{"secret"}},
		{Path: "/api/v1/config", Status: 200},
	})
}

// TestOnlyOneWaitsForAnAnswerThatIsOld: the others are given the old one while it is asked for anew, for at most as long again.
func TestOnlyOneWaitsForAnAnswerThatIsOld(t *testing.T) {
	s := newSite(t, db.Options{})
	s.create(t, stream.Create{Slug: "main"})
	var now atomic.Int64
	live := &countingLive{}
	s.deps.Live, s.deps.Config.CacheFor, s.deps.Now = live, 0, func() time.Time { return noon.Add(time.Duration(now.Load())) }
	h := s.handler(t)
	get := func() int { return apitest.Do(t, h, apitest.Scenario{Path: "/api/v1/streams/main"}).Code }
	require.Equal(t, 200, get())
	now.Store(int64(600 * time.Millisecond))
	live.gate = make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() { assert.Equal(t, 200, get()) })
	testx.WaitFor(t, "one to ask", func() bool { return live.asked.Load() == 2 })
	for range 20 {
		require.Equal(t, 200, get(), "whoever else asks does not wait")
	}
	require.Equal(t, int64(2), live.asked.Load())
	now.Store(int64(time.Second))
	for range 3 { // it is too old now: they wait with the one who asks
		asking.Go(func() { assert.Equal(t, 200, get()) })
	}
	close(live.gate)
	asking.Wait()
	require.Equal(t, int64(2), live.asked.Load())
	require.Equal(t, 200, get())
	require.Equal(t, int64(2), live.asked.Load())
}
