package api_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
)

func TestOBSConfigFile(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	vera, other := c.streamer("vera"), c.streamer("other")
	of := c.stream(vera.Access, `{"slug":"veras","title":"Open"}`)
	const path = "/api/v1/streams/veras/obs-config.json"
	a := c.want(200, "", "GET", path+"?encoder=nvenc&fps=60", vera.Access, "")
	assert.Equal(t, `attachment; filename="obs-veras.json"`, a.Header().Get("Content-Disposition"))
	assert.Equal(t, "application/json; charset=utf-8", a.Header().Get("Content-Type"))
	var got struct {
		Status    *struct{} `json:"status"`
		Endpoints []struct {
			Protocol       string
			URL            string `json:"url_template"`
			Authentication string
		} `json:"ingest_endpoints"`
		Encoders []struct {
			Type          string
			Width, Height int
			Settings      struct{ Bitrate int }
		} `json:"encoder_configurations"`
	}
	require.NoError(t, json.Unmarshal(a.Body.Bytes(), &got))
	assert.Nil(t, got.Status)
	require.Len(t, got.Endpoints, 1, "no RTMPS with a certificate that OBS refuses")
	assert.Equal(t, [3]string{"RTMP", "rtmp://example.com:1935/live/{stream_key}", ""}, [3]string{got.Endpoints[0].Protocol, got.Endpoints[0].URL, got.Endpoints[0].Authentication})
	require.Len(t, got.Encoders, 4)
	assert.Equal(t, [3]any{"obs_nvenc_h264_tex", 1080, 9000}, [3]any{got.Encoders[0].Type, got.Encoders[0].Height, got.Encoders[0].Settings.Bitrate})
	assert.NotContains(t, a.Body.String(), of.StreamKey)
	for _, query := range []string{"?encoder=vapi", "?width=64", "?fps=0", "?fps=241", "?bitrate_kbps=100", "?fps_den=0"} {
		c.want(422, "validation_failed", "GET", path+query, vera.Access, "")
	}
	c.want(403, "forbidden", "GET", path, other.Access, "")
	s.deps.Config.Site.TrustedTLS = true
	c = s.client(t)
	assert.Contains(t, c.want(200, "", "GET", path, vera.Access, "").Body.String(), "rtmps://example.com:1936/live/{stream_key}")
	s.deps.Config.Site.RTMPPort, s.deps.Config.Site.RTMPSPort = 0, 0
	c = s.client(t)
	c.want(409, "invalid_state", "GET", path, vera.Access, "")
}
