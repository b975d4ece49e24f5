package api_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"mediad/api/account"
)

// TestWhatIsOnesOwnIsKeptByOneself: every read of who is signed in has a tag and may be kept by its caller, but for signing in and what only
// staff sees.
func TestWhatIsOnesOwnIsKeptByOneself(t *testing.T) {
	s, _ := clipSite(t, "all")
	s.deps.Live = onAir{}
	c := s.client(t)
	vera, admin := c.streamer("vera"), s.staff(t, c, "abel", account.Admin)
	c.stream(vera.Access, `{"slug":"veras","title":"x"}`)
	c.want(202, "", "POST", "/api/v1/me/exports", vera.Access, "")
	for _, path := range []string{
		"/api/v1/me", "/api/v1/me/streams", "/api/v1/me/exports", "/api/v1/me/api-tokens", "/api/v1/me/webhooks", "/api/v1/me/blocks", "/api/v1/me/history",
		"/api/v1/me/watch-later", "/api/v1/streams/veras", "/api/v1/streams/veras/disconnects", "/api/v1/streams/veras/forwards", "/api/v1/channels/@vera/moderators",
	} {
		first := c.want(200, "", "GET", path, vera.Access, "")
		assert.Equal(t, "private, no-cache", first.Header().Get("Cache-Control"), path)
		etag := first.Header().Get("ETag")
		assert.Regexp(t, `^"[^"]+"$`, etag, path)
		again := c.want(304, "", "GET", path, vera.Access, "", "If-None-Match", etag)
		assert.Empty(t, again.Body.String(), path)
	}
	for path, token := range map[string]string{"/api/v1/auth/sessions": vera.Access, "/api/v1/admin/users": admin.Access, "/api/v1/admin/overview": admin.Access} {
		a := c.want(200, "", "GET", path, token, "", "If-None-Match", "*")
		assert.Equal(t, "no-store", a.Header().Get("Cache-Control"), path)
		assert.Empty(t, a.Header().Get("ETag"), path)
	}
}
