package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/api"
	"mediad/api/stream"
	"mediad/store/db"
)

// BenchmarkRead are reads as the bench of the running server asks them, and those of a page for who is signed in. cpu-µs/op is what the process
// spent, also where a busy machine makes ns/op long.
func BenchmarkRead(b *testing.B) {
	s := newSite(b, db.Options{})
	for i := range 50 {
		s.create(b, stream.Create{Slug: fmt.Sprintf("s-%02d", i), Tags: []string{"one", "two"}})
	}
	s.deps.Live = onAir{infos: []api.LiveInfo{liveInfo("s-01"), liveInfo("s-02")}}
	token := s.client(b).register("reader").Access
	s.deps.Config.LimitScale = 1e6 // counted and told, as on a site, and never used up
	s.deps.Config.CacheFor = 0
	cached := s.handler(b)
	s.deps.Config.CacheFor = -1
	for name, h := range map[string]http.Handler{"cached": cached, "uncached": s.handler(b)} {
		for _, path := range []string{"/streams", "/streams/s-01/playback", "/streams/s-01"} {
			b.Run(name+strings.ReplaceAll(path, "/", " "), func(b *testing.B) { benchmark(b, h, "/api/v1"+path, "") })
		}
	}
	for _, path := range []string{"/streams", "/streams/s-01", "/users/@anna", "/me"} {
		b.Run("signed in"+strings.ReplaceAll(path, "/", " "), func(b *testing.B) { benchmark(b, cached, "/api/v1"+path, token) })
	}
}

func benchmark(b *testing.B, h http.Handler, path, token string) {
	b.ReportAllocs()
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, http.NoBody)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	before := processorTime(b)
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.Clone(b.Context()))
		require.Equal(b, http.StatusOK, w.Code)
	}
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// processorTime is what the process has used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
