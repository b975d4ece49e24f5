package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/api"
	"mediad/api/stream"
	"mediad/store/db"
)

func BenchmarkRead(b *testing.B) {
	for _, path := range []string{"/api/v1/streams", "/api/v1/streams/s-01/playback"} {
		for name, ttl := range map[string]time.Duration{"cached": 0, "uncached": -1} {
			b.Run(path+" "+name, func(b *testing.B) { benchmark(b, path, ttl) })
		}
	}
}

func benchmark(b *testing.B, path string, ttl time.Duration) {
	s := newSite(b, db.Options{})
	for i := range 50 {
		s.create(b, stream.Create{Slug: fmt.Sprintf("s-%02d", i), Tags: []string{"one", "two"}})
	}
	s.deps.Live = onAir{infos: []api.LiveInfo{liveInfo("s-01"), liveInfo("s-02")}}
	s.deps.Config.CacheFor, s.deps.Now = ttl, time.Now
	h := s.handler(b)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, http.NoBody))
		require.Equal(b, http.StatusOK, w.Code)
	}
}
