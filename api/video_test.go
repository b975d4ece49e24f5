package api_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/apitest"
	"mediad/api/stream"
	"mediad/api/video"
	"mediad/store/db"
)

// broadcast makes a session that is over, and its replay.
func (s *site) broadcast(t *testing.T, of db.Stream, n int) db.Video {
	t.Helper()
	id := fmt.Sprintf("0198f2a0-0000-7000-8000-0000000001%02d", n)
	began := noon.Add(time.Duration(n) * time.Hour)
	require.NoError(t, s.streams.SaveSession(t.Context(), db.Session{
		ID: id, StreamID: of.ID, StartedAt: db.At(began),
		Epochs: []db.Epoch{{ID: 1, StartedAt: db.At(began), Protocol: "rtmp", Reason: "first", Video: &db.VideoTrack{Codec: "avc1.64001f", Width: 1280, Height: 720, FPS: 30}}},
	}))
	require.NoError(t, s.videos.BeginRecording(t.Context(), id, of.ID, true))
	require.NoError(t, s.streams.EndSession(t.Context(), id, began.Add(61*time.Second), "publisher_stopped"))
	require.NoError(t, s.videos.EndRecording(t.Context(), id))
	v, err := s.videos.MakeReplay(t.Context(), id, &video.Facts{Duration: time.Minute, Width: 1280, Height: 720, Bytes: 1000})
	require.NoError(t, err)
	again, err := s.videos.MakeReplay(t.Context(), id, &video.Facts{Duration: time.Minute})
	require.NoError(t, err)
	require.Equal(t, v.ID, again.ID, "a session has one replay")
	s.media[v.ID] = []video.Rendition{{Name: "source", Width: 1280, Height: 720, FPS: 30, Codecs: "avc1.64001f", Bitrate: 2500000}}
	return v
}

// clip makes a clip of a stretch of a replay's session.
func (s *site) clip(t *testing.T, of db.Video, from, to time.Duration) db.Video {
	t.Helper()
	session, err := s.db.Read(t.Context()).FindSession(*of.SessionID)
	require.NoError(t, err)
	a, b := session.StartedAt.Time().Add(from).UnixNano(), session.StartedAt.Time().Add(to).UnixNano()
	v := of
	v.ID, err = db.NewID()
	require.NoError(t, err)
	v.Kind, v.FromNS, v.ToNS = db.KindClip, &a, &b
	require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error { return q.InsertVideo(v) }))
	s.media[v.ID] = s.media[of.ID]
	return v
}

func TestVideos(t *testing.T) {
	s := newSite(t, db.Options{})
	open := s.create(t, stream.Create{Slug: "open", Title: "Friday blitz", Category: "games"})
	hidden := s.create(t, stream.Create{Slug: "hidden", Title: "Secret", ReplayVisibility: "private"})
	quiet := s.create(t, stream.Create{Slug: "quiet", Title: "By link", ReplayVisibility: "unlisted"})
	first, second := s.broadcast(t, open, 1), s.broadcast(t, open, 2)
	private, unlisted := s.broadcast(t, hidden, 3), s.broadcast(t, quiet, 4)
	deleted := s.broadcast(t, open, 5)
	require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error { return q.DeleteVideo(deleted.ID, 1) }))
	require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error { return q.SetPictures(second.ID, db.PicturesMade, 1) }))
	s.media[unlisted.ID][0].Codecs = ""
	clip := s.clip(t, first, 20*time.Second+300*time.Microsecond, 30*time.Second)
	h := s.handler(t)
	const base = "/api/v1/videos"
	apitest.Run(t, h, []apitest.Scenario{
		{Path: base, Status: 200, Contains: []string{first.ID, second.ID, `"title":"Friday blitz"`, `"duration_ms":60000`, `"kind":"replay"`}, Lacks: []string{private.ID, unlisted.ID, deleted.ID}},
		{Path: base + "?stream=" + quiet.ID, Status: 200, Contains: []string{`"items":[]`}},
		{Path: base + "?sort=hot", Status: 422},
		{Path: base + "?cursor=x", Status: 400, Contains: []string{"invalid_cursor"}},
		{Path: base + "/" + first.ID, Status: 200, Contains: []string{`"renditions":[{"name":"source"`, `"username":"anna"`, `"playable":true`}},
		{Path: base + "/" + unlisted.ID, Status: 200},
		{Path: base + "/" + private.ID, Status: 404, Contains: []string{"not_found"}},
		{Path: base + "/" + deleted.ID, Status: 404},
		{Path: base + "/x", Status: 404},
		{Path: base + "/" + first.ID + "/playback", Status: 200, Contains: []string{`"hls_url":"/vod/` + first.ID + `/index.m3u8"`, `"bitrate_bps":2500000`}},
		{Path: base + "/" + first.ID + "/playback", Status: 200, Contains: []string{`"download_url":"/vod/` + first.ID + `/download.mp4"`, `"thumbnail_url":null`, `"storyboard_url":null`}},
		{Path: base + "/" + second.ID + "/playback", Status: 200, Contains: []string{`"thumbnail_url":"/vod/` + second.ID + `/thumb.jpg"`, `"storyboard_url":"/vod/` + second.ID + `/storyboard.vtt"`}},
		{Path: base + "/" + second.ID, Status: 200, Contains: []string{`"thumbnail_url":"/vod/` + second.ID + `/thumb.jpg"`, `"storyboard_url":"/vod/` + second.ID + `/storyboard.vtt"`}},
		{Path: base, Status: 200, Contains: []string{`"thumbnail_url":"/vod/` + second.ID + `/thumb.jpg"`, `"thumbnail_url":null`}},
		{Path: base + "/" + unlisted.ID + "/playback", Status: 200, Lacks: []string{"download_url"}},
		{Path: base + "/" + private.ID + "/playback", Status: 404},
		{Path: base + "/" + clip.ID, Status: 200, Contains: []string{`"source":{"kind":"clip","stream_id":"` + open.ID + `","session_id":"` + *first.SessionID + `","from_ms":20000,"to_ms":30000}`}},
		{Path: base, Status: 200, Contains: []string{`"from_ms":20000,"to_ms":30000`}},
		{Path: base + "/" + first.ID, Status: 200, Contains: []string{`"kind":"replay"`}, Lacks: []string{"from_ms"}},
		{Path: "/api/v1/streams/open/sessions", Status: 200, Contains: []string{`"replay_video_id":"` + first.ID, `"end_reason":"publisher_stopped"`, `"duration_ms":61000`, `"state":"ended"`}, Lacks: []string{deleted.ID}},
		{Path: "/api/v1/streams/hidden/sessions", Status: 200, Lacks: []string{private.ID}},
		{Path: "/api/v1/streams/none/sessions", Status: 404},
		{Path: "/api/v1/streams/open/sessions/" + *first.SessionID, Status: 200, Contains: []string{first.ID}},
		{Path: "/api/v1/streams/open/sessions/" + *private.SessionID, Status: 404},
		{Path: "/api/v1/streams/open/sessions/x", Status: 404},
	})
}

// TestVideoPages: every video and session shows up once, on pages of one.
func TestVideoPages(t *testing.T) {
	s := newSite(t, db.Options{})
	of := s.create(t, stream.Create{Slug: "open", Title: "Open"})
	var want []string
	for n := range 4 {
		want = append([]string{s.broadcast(t, of, n+1).ID}, want...)
	}
	h := s.handler(t)
	walk := func(path string, id func(map[string]any) string) (got []string) {
		cursor := ""
		for range 10 {
			var page struct {
				Items []map[string]any `json:"items"`
				Next  *string          `json:"next_cursor"`
			}
			a := apitest.Do(t, h, apitest.Scenario{Path: path + cursor})
			require.Equal(t, 200, a.Code, a.Body.String())
			require.NoError(t, json.Unmarshal(a.Body.Bytes(), &page))
			for _, item := range page.Items {
				got = append(got, id(item))
			}
			if page.Next == nil {
				return got
			}
			cursor = "&cursor=" + *page.Next
		}
		t.Fatal("the list has no end")
		return nil
	}
	assert.Equal(t, want, walk("/api/v1/videos?limit=1", func(v map[string]any) string { return v["id"].(string) }))
	assert.Equal(t, want, walk("/api/v1/streams/open/sessions?limit=1", func(v map[string]any) string { return v["replay_video_id"].(string) }))
}
