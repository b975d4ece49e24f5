//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPublishRulesInTheProtocol: an encoder that comes by another protocol is told so by RTMP's own words, and one that sends more than its
// stream allows is cut; the owner finds both among the disconnects.
func TestPublishRulesInTheProtocol(t *testing.T) {
	t.Parallel()
	s := startServer(t, "MEDIAD_INGEST_OPEN=false", "MEDIAD_LIMITS_LIVE_SESSIONS=1")
	token := s.call(201, "POST", "/api/v1/auth/register", "", `{"username":"bert","password":"correct horse battery"}`)["access_token"].(string)
	s.call(200, "POST", "/api/v1/me/streamer", token, "")
	key := s.call(201, "POST", "/api/v1/streams", token, `{"slug":"blitz","title":"Friday blitz","publish":{"protocols":["srt","whip"]}}`)["stream_key"].(string)
	second := s.call(201, "POST", "/api/v1/streams", token, `{"slug":"second","title":"Second"}`)["stream_key"].(string)
	details := func(slug string) map[string]int {
		found := map[string]int{}
		for _, d := range s.call(200, "GET", "/api/v1/streams/"+slug+"/disconnects", token, "")["items"].([]any) {
			one := d.(map[string]any)
			found[one["code"].(string)+" "+one["detail"].(string)]++
		}
		return found
	}
	out, err := output(t, 30*time.Second, "ffmpeg", source{}.args("rtmp://"+s.rtmp+"/live/"+key)...)
	require.Error(t, err, out)
	assert.Contains(t, out, "A limit that was set for this stream has been reached.")
	const byProtocol = "policy_limit The stream's rules do not let this protocol in."
	waitFor(t, 10*time.Second, "the refusal among the disconnects", func() bool { return details("blitz")[byProtocol] == 1 })

	s.call(200, "PATCH", "/api/v1/streams/blitz", token, `{"publish":null}`)
	publisher := s.publish(t, key, source{gop: 30})
	s.waitLive("blitz")
	out, err = output(t, 30*time.Second, "ffmpeg", source{}.args("rtmp://"+s.rtmp+"/live/"+second)...)
	require.Error(t, err, out)
	waitFor(t, 10*time.Second, "the second broadcast's refusal", func() bool {
		return details("second")["policy_limit Its owner has as many broadcasts on air as the site allows."] == 1
	})
	s.call(200, "PATCH", "/api/v1/streams/blitz", token, `{"publish":{"max_bitrate_bps":100000}}`)
	session := func() map[string]any {
		return s.json("/api/v1/streams/blitz/sessions")["items"].([]any)[0].(map[string]any)
	}
	waitFor(t, 30*time.Second, "the end by the rule", func() bool { return session()["ended_at"] != nil })
	assert.Equal(t, "policy_limit", session()["end_reason"])
	_ = publisher.wait(t, 10*time.Second)

	// The next one is held to the rule from its first frame on.
	_ = s.publish(t, key, source{gop: 30}).wait(t, 60*time.Second)
	waitFor(t, 20*time.Second, "both ends among the disconnects", func() bool {
		found := details("blitz")
		return found["policy_limit The encoder sends more than the stream's rules allow."] == 1 &&
			found["policy_limit A limit that was set for this stream has been reached."] == 1
	})
}
