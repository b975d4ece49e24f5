package api_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"mediad/api/apitest"
	"mediad/store/db"
)

// TestCORSListsOfTheContract holds the lists of api.md 3.6.
func TestCORSListsOfTheContract(t *testing.T) {
	s := newSite(t, db.Options{})
	s.deps.Config.CORSOrigins = []string{"https://tv.example"}
	c := s.client(t)
	ask := func(origin string) *apitest.Answer {
		return apitest.Do(t, c.h, apitest.Scenario{Method: "OPTIONS", Path: "/api/v1/streams", Headers: map[string]string{
			"Origin": origin, "Access-Control-Request-Method": "POST",
		}})
	}
	h := ask("https://tv.example").Header()
	assert.Equal(t, "https://tv.example", h.Get("Access-Control-Allow-Origin"))
	assert.Equal(t, "600", h.Get("Access-Control-Max-Age"))
	for header, names := range map[string]string{
		"Access-Control-Expose-Headers": "ETag, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id, Idempotency-Replayed, Tus-Resumable, Upload-Offset",
		"Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-Id, X-Mediad-Csrf, traceparent, " +
			"Uppy-Versions, Uppy-Auth-Token, Tus-Resumable, Upload-Offset, Upload-Length, Upload-Metadata",
	} {
		for name := range strings.SplitSeq(names, ", ") {
			assert.Contains(t, strings.Split(h.Get(header), ", "), name, header)
		}
	}
	for _, other := range []string{"https://tv.example.evil", "http://tv.example", "https://TV.example", "null", "https://tv.example:444"} {
		assert.Empty(t, ask(other).Header().Get("Access-Control-Allow-Origin"), other)
	}
}
