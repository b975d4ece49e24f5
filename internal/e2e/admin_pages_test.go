//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAdminsRunTheSite: all in the pages. An admin sees how the site stands, ends a broadcast, changes settings while another does, makes somebody
// a streamer, deals with a job, a server's key and a category, saves what the audit log says of it; a moderator keeps somebody out and lets them in again.
func TestAdminsRunTheSite(t *testing.T) {
	t.Parallel()
	s, boss, anna := people(t)
	s.call(201, "POST", "/api/v1/admin/users", boss, `{"username":"mod","role":"moderator","password":"`+adminPassword+`"}`)
	key := s.call(201, "POST", "/api/v1/streams", anna, `{"slug":"blitz","title":"Friday blitz"}`)["stream_key"].(string)
	publisher := s.publish(t, key, source{gop: 30})
	walk := spawn(t, "node", "../../web/tests/e2e/admin.mjs", "--url", s.url(""), "--admin", "boss:"+adminPassword, "--moderator", "mod:"+adminPassword,
		"--user", "bert:correct horse battery", "--stream", "blitz")
	require.NoError(t, walk.wait(t, 4*time.Minute), walk.log.String())
	assert.Error(t, publisher.wait(t, 10*time.Second), "the publisher is cut")
}
