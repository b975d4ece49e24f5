//go:build e2e

package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// call sends a request to the API and decodes its answer, if it has a body.
func (s *server) call(status int, method, path, token, body string) map[string]any {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url(path), strings.NewReader(body))
	require.NoError(s.t, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := s.client.Do(r)
	require.NoError(s.t, err)
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	require.NoError(s.t, err)
	require.Equal(s.t, status, a.StatusCode, "%s %s: %s", method, path, text)
	var v map[string]any
	if len(text) > 0 {
		require.NoError(s.t, json.Unmarshal(text, &v))
	}
	return v
}

// TestAStreamerGoesOnAirAndIsCut: an account, a stream, its key in FFmpeg, playback; a revoked key ends it within a second, and the reasons
// are told to nobody but the owner.
func TestAStreamerGoesOnAirAndIsCut(t *testing.T) {
	t.Parallel()
	s := startServer(t, "MEDIAD_INGEST_OPEN=false", "MEDIAD_AUTH_REGISTRATION=open")
	token := s.call(201, "POST", "/api/v1/auth/register", "", `{"username":"bert","password":"correct horse battery"}`)["access_token"].(string)
	s.call(200, "POST", "/api/v1/me/streamer", token, "")
	made := s.call(201, "POST", "/api/v1/streams", token, `{"slug":"blitz","title":"Friday blitz"}`)
	key := made["stream_key"].(string)
	keyID := made["keys"].([]any)[0].(map[string]any)["id"].(string)
	assert.Equal(t, "rtmp://"+s.rtmp+"/live", made["ingest"].(map[string]any)["rtmp_url"])

	publisher := s.publish(t, key, source{gop: 30})
	s.waitLive("blitz")
	playback := s.json("/api/v1/streams/blitz/playback")
	assert.Equal(t, "live", playback["state"])
	r, body := s.get(playback["hls_url"].(string))
	require.Equal(t, 200, r.StatusCode, body)
	assert.Equal(t, "rtmp", s.call(200, "GET", "/api/v1/streams/blitz/health", token, "")["protocol"])
	s.call(409, "DELETE", "/api/v1/streams/blitz", token, "")

	session := func() map[string]any {
		list := s.json("/api/v1/streams/blitz/sessions")["items"].([]any)
		require.NotEmpty(t, list)
		return list[0].(map[string]any)
	}
	s.call(204, "DELETE", "/api/v1/streams/blitz/keys/"+keyID, token, "")
	revoked := time.Now()
	waitFor(t, 20*time.Second, "the end of the session", func() bool { return session()["ended_at"] != nil })
	assert.Equal(t, "key_revoked", session()["end_reason"])
	ended, err := time.Parse(time.RFC3339, session()["ended_at"].(string))
	require.NoError(t, err)
	assert.Less(t, ended.Sub(revoked), time.Second)
	_ = publisher.wait(t, 10*time.Second) // FFmpeg says that its pipe broke

	_ = s.publish(t, key, source{gop: 30}).wait(t, 10*time.Second) // refused
	codes := map[string]string{}
	waitFor(t, 10*time.Second, "both reasons", func() bool {
		clear(codes)
		for _, d := range s.call(200, "GET", "/api/v1/streams/blitz/disconnects", token, "")["items"].([]any) {
			one := d.(map[string]any)
			codes[one["code"].(string)] = one["detail"].(string) + " " + one["remote"].(string)
		}
		return len(codes) == 2
	})
	assert.Equal(t, "The stream key was revoked. 127.0.0.x", codes["key_revoked"])
	assert.Equal(t, "The stream key was revoked. 127.0.0.x", codes["stream_key_invalid"])

	next := s.call(201, "POST", "/api/v1/streams/blitz/keys/rotate", token, "")["stream_key"].(string)
	s.publish(t, next, source{gop: 30})
	waitFor(t, 20*time.Second, "the next broadcast", func() bool { return s.json("/api/v1/streams/blitz")["state"] == "live" })
	s.call(202, "POST", "/api/v1/streams/blitz/end", token, "")
	waitFor(t, 20*time.Second, "its end", func() bool { return session()["end_reason"] == "ended_by_owner" })
	s.call(204, "PUT", "/api/v1/streams/blitz/disabled", token, `{"reason":"done"}`)
	assert.Equal(t, "disabled", s.call(200, "GET", "/api/v1/streams/blitz", token, "")["state"])
	assert.NotContains(t, s.log.String(), key[4:])
	assert.NotContains(t, s.log.String(), next[4:])
}

// TestAnOwnerForwardsAStream to another server, within two seconds on while it is on air, until that is taken back.
func TestAnOwnerForwardsAStream(t *testing.T) {
	t.Parallel()
	s, other := startServer(t, "MEDIAD_AUTH_REGISTRATION=open"), startServer(t)
	token := s.call(201, "POST", "/api/v1/auth/register", "", `{"username":"bert","password":"correct horse battery"}`)["access_token"].(string)
	s.call(200, "POST", "/api/v1/me/streamer", token, "")
	key := s.call(201, "POST", "/api/v1/streams", token, `{"slug":"blitz","title":"Friday blitz"}`)["stream_key"].(string)
	s.publish(t, key, source{gop: 30})
	s.waitLive("blitz")

	const forwards = "/api/v1/streams/blitz/forwards"
	made := s.call(201, "POST", forwards, token, `{"url":"rtmp://`+other.rtmp+`/live","key":"copy"}`)
	asked := time.Now()
	waitFor(t, 20*time.Second, "the other server to have it", func() bool {
		r, _ := other.get("/api/v1/streams/copy")
		return r.StatusCode == http.StatusOK && other.json("/api/v1/streams/copy")["session"] != nil
	})
	t.Logf("on its way %d ms after it was asked for", time.Since(asked).Milliseconds())
	other.waitLive("copy")
	waitFor(t, 10*time.Second, "its owner to be told", func() bool {
		one := s.call(200, "GET", forwards, token, "")["items"].([]any)[0].(map[string]any)
		assert.NotContains(t, one["url"], "copy")
		return one["state"] == "live"
	})
	s.call(204, "DELETE", forwards+"/"+made["id"].(string), token, "")
	waitFor(t, 20*time.Second, "the end of it", func() bool { return other.json("/api/v1/streams/copy")["state"] != "live" })
	require.Equal(t, "live", s.json("/api/v1/streams/blitz")["state"])
}
