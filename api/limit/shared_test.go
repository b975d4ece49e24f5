package limit_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/limit"
	"mediad/internal/testx"
	"mediad/store/redis"
	"mediad/store/redis/redistest"
)

func TestMain(m *testing.M) { testx.Main(m) }

func counts(t testing.TB, s *redistest.Server) limit.Shared {
	t.Helper()
	c, err := redis.Open(s.URL, nil)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return redis.NewCounts(c)
}

// TestContract runs on counts of the process and on those of a server, by the clock both of them have.
func TestContract(t *testing.T) {
	s := redistest.Start(t)
	for name, shared := range map[string]limit.Shared{"alone": nil, "shared": counts(t, s)} {
		t.Run(name, func(t *testing.T) {
			long := limit.Policy{Name: "default", Quota: 50, Window: time.Hour}
			l := limit.New(limit.Options{Policy: long, Shared: shared})
			assert.Equal(t, 50, l.Look(t.Context(), "a").Left)
			var allowed atomic.Int64
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for range 10 {
						if l.Take(t.Context(), "a").Allowed {
							allowed.Add(1)
						}
					}
				})
			}
			wg.Wait()
			assert.Equal(t, int64(50), allowed.Load())
			refused := l.Take(t.Context(), "a")
			assert.False(t, refused.Allowed)
			assert.Equal(t, 0, refused.Left)
			assert.InDelta(t, time.Hour, refused.Reset, float64(5*time.Minute))
			assert.True(t, l.Look(t.Context(), "a").Allowed, "a look is no call")
			assert.Equal(t, 1, l.GiveBack(t.Context(), "a").Left)
			assert.True(t, l.Take(t.Context(), "a").Allowed, "what was given back is there for another")
			assert.False(t, l.Take(t.Context(), "a").Allowed)
			for range 2 {
				assert.Equal(t, 50, l.GiveBack(t.Context(), "nobody").Left, "no more than there was")
			}
			assert.Equal(t, 49, l.Take(t.Context(), "b").Left, "callers do not share")
			other := limit.New(limit.Options{Policy: long, Shared: shared, Name: "other"})
			assert.Equal(t, 49, other.Take(t.Context(), "a").Left, "policies do not share")

			short := limit.Policy{Name: "short", Quota: 1, Window: time.Second}
			l = limit.New(limit.Options{Policy: short, Shared: shared})
			assert.True(t, l.Take(t.Context(), "a").Allowed)
			testx.WaitFor(t, "the window to end", func() bool { return l.Take(t.Context(), "a").Allowed })
		})
	}
}

// TestNodesShareTheirCounts, and each decides by its own while the server is gone.
func TestNodesShareTheirCounts(t *testing.T) {
	s := redistest.Start(t)
	p := limit.Policy{Name: "default", Quota: 10, Window: time.Hour}
	a := limit.New(limit.Options{Policy: p, Shared: counts(t, s)})
	b := limit.New(limit.Options{Policy: p, Shared: counts(t, s)})
	for i := range 10 {
		l := a
		if i >= 6 {
			l = b
		}
		assert.Equal(t, 9-i, l.Take(t.Context(), "x").Left)
	}
	assert.False(t, a.Take(t.Context(), "x").Allowed)
	assert.False(t, b.Take(t.Context(), "x").Allowed)

	for name, outage := range map[string]struct{ begin, end func(testing.TB) }{
		"killed": {s.Stop, s.Run}, "hanging": {s.Pause, s.Resume},
	} {
		t.Run(name, func(t *testing.T) {
			a := limit.New(limit.Options{Policy: p, Name: name, Shared: counts(t, s)})
			b := limit.New(limit.Options{Policy: p, Name: name, Shared: counts(t, s)})
			for range 6 {
				require.True(t, a.Take(t.Context(), "x").Allowed)
			}
			outage.begin(t)
			began, allowed := time.Now(), 0
			for range 200 {
				if a.Take(t.Context(), "x").Allowed {
					allowed++
				}
			}
			assert.Equal(t, 4, allowed, "this node goes on from what it counted")
			assert.True(t, b.Take(t.Context(), "x").Allowed, "and the other from its own")
			assert.Less(t, time.Since(began), 10*time.Second, "nobody waits for a server that is gone")
			outage.end(t)
			tries := 0
			testx.WaitFor(t, "counts to be shared again", func() bool {
				tries++
				again := fmt.Sprint("y", tries)
				return a.Take(t.Context(), again).Left == 9 && b.Take(t.Context(), again).Left == 8
			})
		})
	}
}
