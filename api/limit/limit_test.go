package limit_test

import (
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"mediad/api/limit"
)

func policy(quota int) limit.Policy {
	return limit.Policy{Name: "default", Quota: quota, Window: time.Minute}
}

func TestWindow(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := limit.New(limit.Options{Policy: policy(2), Now: func() time.Time { return now }})
	assert.Equal(t, limit.State{Policy: policy(2), Left: 1, Reset: time.Minute, Allowed: true}, l.Take(t.Context(), "a"))
	now = now.Add(20 * time.Second)
	assert.Equal(t, 1, l.Look(t.Context(), "a").Left)
	assert.True(t, l.Take(t.Context(), "a").Allowed)
	refused := l.Take(t.Context(), "a")
	assert.Equal(t, limit.State{Policy: policy(2), Left: 0, Reset: 40 * time.Second}, refused)
	assert.True(t, l.Take(t.Context(), "b").Allowed, "callers do not share")
	h := http.Header{}
	refused.SetHeaders(h)
	assert.Equal(t, `"default";q=2;w=60`, h.Get("RateLimit-Policy"))
	assert.Equal(t, `"default";r=0;t=40`, h.Get("RateLimit"))
	now = now.Add(40 * time.Second)
	assert.True(t, l.Take(t.Context(), "a").Allowed)
}

func TestCallersAreBounded(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := limit.New(limit.Options{Policy: policy(1), MaxCallers: 3, Now: func() time.Time { return now }})
	for i := range 10 {
		assert.True(t, l.Take(t.Context(), fmt.Sprint(i)).Allowed, "strangers beyond the bound are not refused")
	}
	assert.False(t, l.Take(t.Context(), "0").Allowed)
	assert.True(t, l.Take(t.Context(), "9").Allowed, "but not counted either")
	now = now.Add(2 * time.Minute)
	assert.True(t, l.Take(t.Context(), "9").Allowed)
	assert.False(t, l.Take(t.Context(), "9").Allowed, "ended windows made room")
}

func TestParallelCallsAreCountedExactly(t *testing.T) {
	l := limit.New(limit.Options{Policy: policy(500)})
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 50 {
				if l.Take(t.Context(), "a").Allowed {
					allowed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, int64(500), allowed.Load())
}

func TestScale(t *testing.T) {
	assert.Equal(t, 600, policy(300).Scale(2).Quota)
	assert.Equal(t, 1, policy(300).Scale(0.0001).Quota)
	assert.Equal(t, math.MaxInt32, policy(300).Scale(1e300).Quota)
}

func TestCaller(t *testing.T) {
	cases := map[string]string{
		"203.0.113.7": "203.0.113.7", "::ffff:203.0.113.7": "203.0.113.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"fe80::1%eth0": "fe80::/64",
	}
	for in, want := range cases {
		assert.Equal(t, want, limit.Caller(netip.MustParseAddr(in)))
	}
	assert.Equal(t, "unknown", limit.Caller(netip.Addr{}))
}
