package main

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"mediad/internal/metrics"
)

// TestSamplesAreOfTheLastMinutes: what is shown is what came since the oldest reading, of which there are never more than five minutes'.
func TestSamplesAreOfTheLastMinutes(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := metrics.New(registry, "test")
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := &samples{now: func() time.Time { return now }}
	require.Equal(t, now, s.back(0).at, "before the first reading")
	for i := range 3 * sampleCount {
		m.APIRequest("/x", "GET", 500+i%2, time.Millisecond)
		m.APIRequest("/x", "GET", 200, time.Millisecond)
		m.CacheRequest("answers", i%4 > 0)
		families, err := registry.Gather()
		require.NoError(t, err)
		s.add(now, families)
		now = now.Add(sampleEvery)
	}
	require.Len(t, s.kept, sampleCount)
	newest, first := s.back(0), s.back(sampleCount)
	require.Equal(t, 5*time.Minute, newest.at.Sub(first.at))
	require.InDelta(t, sampleCount-1, newest.errors-first.errors, 0)
	require.InDelta(t, sampleCount-1, newest.asked-first.asked, 0)
	require.InDelta(t, 0.75, (newest.hits-first.hits)/(newest.asked-first.asked), 0.05)
	require.Positive(t, newest.rss)
	require.Equal(t, time.Minute, newest.at.Sub(s.back(lastMinute).at))
}
