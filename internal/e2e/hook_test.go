//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestHookKeepsPublishersOut: whoever the hook says no to is refused in its protocol's words; the others are on air.
func TestHookKeepsPublishersOut(t *testing.T) {
	t.Parallel()
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var call struct{ Stream string }
		if err := json.NewDecoder(r.Body).Decode(&call); err != nil || call.Stream != "welcome" {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer hook.Close()
	s := startServer(t, "MEDIAD_HOOKS_ON_PUBLISH="+hook.URL, "MEDIAD_HOOKS_ON_PLAY="+hook.URL)
	s.publish(t, "welcome", source{gop: 30})
	s.waitLive("welcome")
	out, err := output(t, 30*time.Second, "ffmpeg", source{}.args("rtmp://"+s.rtmp+"/live/stranger")...)
	require.Error(t, err, out)
	require.Contains(t, out, "Refused by the site", "its key is good")
	out, err = output(t, 30*time.Second, "ffprobe", "-v", "error", "rtsp://"+s.rtsp+"/live/welcome")
	require.NoError(t, err, out)
}
