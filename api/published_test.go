package api_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/event"
)

// TestWhatBecomesPublicIsPublished: replays and clips as they can be played, and what was not public when it is made so; each once.
func TestWhatBecomesPublicIsPublished(t *testing.T) {
	s, _ := clipSite(t, "all")
	c := s.client(t)
	vera, fan := c.streamer("vera"), c.register("fan")
	told := func(id string, kinds ...string) {
		t.Helper()
		events, err := s.db.Read(t.Context()).ListUnsent(0, 500)
		require.NoError(t, err)
		var got []string
		for _, e := range events {
			if e.Key == event.Video(id) {
				got = append(got, e.Type)
			}
		}
		assert.Equal(t, kinds, got)
	}
	of := c.stream(vera.Access, `{"slug":"veras","title":"Open"}`)
	hidden := c.stream(vera.Access, `{"slug":"hidden","title":"Closed","replay_visibility":"private"}`)
	public := s.over(t, s.air(t, of.ID, 1, 10*time.Minute), 10*time.Minute)
	told(public.ID, event.VideoReady, event.ReplayReady, event.VideoPublished)
	private := s.over(t, s.air(t, hidden.ID, 2, 10*time.Minute), 10*time.Minute)
	told(private.ID, event.VideoReady, event.ReplayReady)

	at := "/api/v1/videos/" + private.ID
	c.want(200, "", "PATCH", at, vera.Access, `{"visibility":"unlisted"}`)
	told(private.ID, event.VideoReady, event.ReplayReady, event.VideoUpdated)
	c.want(200, "", "PATCH", at, vera.Access, `{"visibility":"public"}`)
	c.want(200, "", "PATCH", at, vera.Access, `{"title":"Best of"}`)
	told(private.ID, event.VideoReady, event.ReplayReady, event.VideoUpdated, event.VideoUpdated, event.VideoPublished, event.VideoUpdated)

	made := c.want(201, "", "POST", "/api/v1/streams/veras/clips", fan.Access, `{"duration_ms":5000,"end_ms":60000}`)
	told(decode[clipBody](t, made.Body.Bytes()).ID, event.VideoReady, event.ClipCreated, event.VideoPublished)
	c.want(201, "", "POST", "/api/v1/me/webhooks", vera.Access, `{"url":"https://bot.example.com/","events":["video.published"]}`)
}
