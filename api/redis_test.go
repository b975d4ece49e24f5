package api_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api"
	"mediad/api/apitest"
	"mediad/api/limit"
	"mediad/api/stream"
	"mediad/internal/testx"
	"mediad/store/db"
	"mediad/store/redis"
	"mediad/store/redis/redistest"
)

// TestNodesShareQuotasAndAnswerWithoutRedis: one quota for two nodes; then Redis hangs and is killed under load, which nobody is
// told by a 5xx or a long wait.
func TestNodesShareQuotasAndAnswerWithoutRedis(t *testing.T) {
	server := redistest.Start(t)
	s := newSite(t, db.Options{})
	s.create(t, stream.Create{Slug: "main"})
	s.deps.Config.LimitScale = 1
	node := func(quota int) http.Handler {
		client, err := redis.Open(server.URL, nil)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, client.Close()) })
		s.deps.Limits = redis.NewCounts(client)
		s.deps.Config.Quota = limit.Policy{Name: "default", Quota: quota, Window: time.Hour}
		h, err := api.New(s.deps)
		require.NoError(t, err)
		return h
	}
	ask := func(h http.Handler) *apitest.Answer {
		return apitest.Do(t, h, apitest.Scenario{Path: "/api/v1/streams/main"})
	}
	a, b := node(5), node(5)
	for i := range 5 {
		h := []http.Handler{a, b}[i%2]
		assert.Equal(t, http.StatusOK, ask(h).Code)
	}
	refused := ask(a)
	assert.Equal(t, http.StatusTooManyRequests, refused.Code)
	assert.Contains(t, refused.Header().Get("RateLimit"), `"default";r=0;t=`)
	assert.Equal(t, http.StatusTooManyRequests, ask(b).Code)

	a, b = node(1_000_000), node(1_000_000)
	var asked, slow atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, h := range []http.Handler{a, b, a, b} {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				began := time.Now()
				assert.Equal(t, http.StatusOK, ask(h).Code)
				asked.Add(1)
				if time.Since(began) > 5*time.Second {
					slow.Add(1)
				}
			}
		})
	}
	more := func() {
		before := asked.Load()
		testx.WaitFor(t, "answers to go on", func() bool { return asked.Load() > before+50 })
	}
	for _, step := range []func(testing.TB){server.Pause, server.Resume, server.Stop, server.Run} {
		step(t)
		more()
	}
	close(stop)
	wg.Wait()
	assert.Zero(t, slow.Load(), "of %d answers", asked.Load())
}
