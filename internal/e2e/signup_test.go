//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/internal/viewer"
)

// TestSignUpToViewer: all in the pages. Somebody registers, becomes a streamer, makes a stream; FFmpeg publishes with the key that the page
// shows; somebody else watches and cuts a clip; the key is revoked, FFmpeg is cut, and the page says so; a new password and a sign-out end what they
// should.
func TestSignUpToViewer(t *testing.T) {
	t.Parallel()
	s := startServer(t, "MEDIAD_INGEST_OPEN=false", "MEDIAD_AUTH_REGISTRATION=open")
	walk, err := viewer.Film(viewer.CameraOptions{Script: "../../web/tests/e2e/walk.mjs", URL: s.url("")})
	require.NoError(t, err)
	t.Cleanup(walk.Kill)
	var key string
	until := func(step string) {
		t.Helper()
		require.NoError(t, walk.Await(90*time.Second, step, func(told viewer.Told) bool {
			if told.Type == "key" {
				key = told.Text
			}
			return told.Type == step
		}))
	}
	until("key")
	publisher := s.publish(t, key, source{gop: 30})
	until("watched")
	until("followed")
	until("clipped")
	until("revoked")
	assert.Error(t, publisher.wait(t, 10*time.Second), "the publisher is cut")
	until("done")
	assert.NotContains(t, s.log.String(), key[4:])
	assert.NotContains(t, s.log.String(), "correct horse")
}
