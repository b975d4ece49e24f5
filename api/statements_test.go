package api_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"mediad/api"
	"mediad/api/stream"
	"mediad/store/db"
)

// TestReadsThatAreAskedOftenTakeFewStatements, as their number is what such a read costs: rows of users and streams are remembered, and what changes
// them is seen by the next read.
func TestReadsThatAreAskedOftenTakeFewStatements(t *testing.T) {
	var statements atomic.Int64
	s := newSite(t, db.Options{Observe: func(string, time.Duration, error) { statements.Add(1) }})
	for _, slug := range []string{"one", "two"} {
		s.create(t, stream.Create{Slug: slug, Tags: []string{"chess"}})
	}
	s.deps.Live = onAir{infos: []api.LiveInfo{liveInfo("one")}}
	c := s.client(t)
	reader := c.register("reader")
	for path, most := range map[string]int64{
		"/streams/one": 0, "/streams/one/playback": 0, "/streams?sort=newest": 1, "/streams": 1, "/users/@anna": 3, "/me": 3,
	} {
		c.want(200, "", "GET", "/api/v1"+path, reader.Access, "")
		before := statements.Load()
		c.want(200, "", "GET", "/api/v1"+path, reader.Access, "")
		assert.Equal(t, most, statements.Load()-before, path)
	}

	c.want(200, "", "PUT", "/api/v1/users/"+s.owner.ID+"/follow", reader.Access, "")
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/users/@anna", reader.Access, "").Body.String(), `"followers_count":1,`)
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/me", reader.Access, "").Body.String(), `"following_count":1,`)
	c.want(200, "", "PATCH", "/api/v1/me", reader.Access, `{"display_name":"Bookworm"}`)
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/users/@reader", reader.Access, "").Body.String(), `"display_name":"Bookworm"`)
	c.want(404, "not_found", "GET", "/api/v1/users/@late", reader.Access, "")
	c.register("late")
	c.want(200, "", "GET", "/api/v1/users/@late", reader.Access, "")
}
