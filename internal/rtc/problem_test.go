package rtc

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAProblemNamesItsRequest, by the id that somebody in front gave it, or the peer did where that is one, and never gives a key back.
func TestAProblemNamesItsRequest(t *testing.T) {
	h := &Head{Name: "whip", Timeout: time.Second, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	for _, c := range []struct{ path, given, front, id, instance string }{
		{"/whip/session/AAAA", "abc-1", "", "abc-1", "/whip/session/AAAA"},
		{"/whip/session/AAAA", "abc-1", "front.2", "front.2", "/whip/session/AAAA"},
		{"/whip/session/AAAA", "no id\n", "", "", "/whip/session/AAAA"},
		{"/whip/mds_abcdefghijklmnopqrstuvwxyz234567", "abc-1", "", "abc-1", "/whip/***4567"},
		{"/whip/mds_", "abc-1", "", "abc-1", "/whip/***mds_"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, c.path, http.NoBody)
		r.Header["X-Request-Id"] = []string{c.given}
		w := httptest.NewRecorder()
		if c.front != "" {
			w.Header().Set("X-Request-Id", c.front)
		}
		h.Serve(w, r, h.NotFound)
		var p Problem
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
		require.Equal(t, c.instance, p.Instance)
		require.Equal(t, w.Header().Get("X-Request-Id"), p.RequestID)
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		if c.id != "" {
			require.Equal(t, c.id, p.RequestID)
		} else {
			require.Regexp(t, "^[a-z0-9]{20,}$", p.RequestID)
		}
	}
}
