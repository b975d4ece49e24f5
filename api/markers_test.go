package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api"
	"mediad/api/stream"
	"mediad/api/video"
	"mediad/store/db"
)

// TestMarkersBecomeChapters of the replay of the broadcast in which they were set, in their order and from its beginning on.
func TestMarkersBecomeChapters(t *testing.T) {
	s, _ := clipSite(t, "all")
	info := liveInfo("veras")
	s.deps.Live = onAir{infos: []api.LiveInfo{info}}
	c := s.client(t)
	vera, other, carl := c.streamer("vera"), c.streamer("other"), c.register("carl")
	of := c.stream(vera.Access, `{"slug":"veras","title":"Friday blitz"}`)
	c.stream(vera.Access, `{"slug":"idle","title":"Idle"}`)
	const path = "/api/v1/streams/veras/markers"
	c.want(403, "forbidden", "POST", path, other.Access, `{"label":"x"}`)
	c.want(409, "invalid_state", "POST", "/api/v1/streams/idle/markers", vera.Access, `{"label":"x"}`)
	for _, body := range []string{`{"label":""}`, `{"label":"` + strings.Repeat("ä", 61) + `"}`, `{}`} {
		c.want(422, "validation_failed", "POST", path, vera.Access, body)
	}
	s.clock.pass(61 * time.Second)
	a := c.want(201, "", "POST", path, vera.Access, `{"label":" Round\ntwo "}`)
	assert.Contains(t, a.Body.String(), `"label":"Round two","at_ms":61000`)
	c.want(204, "", "PUT", "/api/v1/channels/@vera/moderators/@carl", vera.Access, "")
	s.clock.pass(time.Second)
	c.want(201, "", "POST", path, carl.Access, `{"label":"<b>"}`)

	require.NoError(t, s.streams.SaveSession(t.Context(), db.Session{ID: info.SessionID, StreamID: of.ID, StartedAt: db.At(noon)}))
	require.NoError(t, s.videos.BeginRecording(t.Context(), info.SessionID, of.ID, true))
	require.NoError(t, s.streams.EndSession(t.Context(), info.SessionID, noon.Add(2*time.Minute), "publisher_stopped"))
	require.NoError(t, s.videos.EndRecording(t.Context(), info.SessionID))
	v, err := s.videos.MakeReplay(t.Context(), info.SessionID, &video.Facts{Duration: 2 * time.Minute})
	require.NoError(t, err)
	s.media[v.ID] = []video.Rendition{{Name: "source", Codecs: "avc1.64001f"}}
	got := c.want(200, "", "GET", "/api/v1/videos/"+v.ID, "", "").Body.String()
	assert.Contains(t, got, `"chapters":[{"start_ms":0,"title":"Friday blitz"},{"start_ms":61000,"title":"Round two"},{"start_ms":62000,"title":"<b>"}]`)
	assert.NotContains(t, c.want(200, "", "GET", "/api/v1/videos", "", "").Body.String(), "chapters")
	clip := s.clip(t, v, 61500*time.Millisecond, 70*time.Second)
	got = c.want(200, "", "GET", "/api/v1/videos/"+clip.ID, "", "").Body.String()
	assert.Contains(t, got, `"title":"<b>"}]`)
	assert.NotContains(t, got, "Round two", "a clip has those that are in it")

	for i := range stream.MaxMarkers - 2 {
		c.want(201, "", "POST", path, vera.Access, fmt.Sprintf(`{"label":"%d"}`, i))
	}
	assert.Contains(t, c.want(409, "limit_reached", "POST", path, vera.Access, `{"label":"x"}`).Body.String(), `"max":99`)
}
