package api_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/apitest"
	"mediad/api/play"
	"mediad/api/stream"
	"mediad/store/db"
	"mediad/store/event"
)

const viewerID = "7d4f0a52-6b0e-4c36-9c1f-2d3b5a1e8f10"

// play begins a play, of a viewer who is signed in with the token, or calls itself by the id.
func (c client) play(v db.Video, token, viewer, remote string) string {
	c.t.Helper()
	body := map[string]string{"kind": "video", "id": v.ID}
	if viewer != "" {
		body["viewer_id"] = viewer
	}
	text, err := json.Marshal(body)
	require.NoError(c.t, err)
	a := apitest.Do(c.t, c.h, apitest.Scenario{Method: "POST", Path: "/api/v1/plays", Token: token, Body: string(text), Remote: remote})
	require.Equal(c.t, 201, a.Code, a.Body)
	c.doc.Check(c.t, "POST", a)
	var started struct {
		PlayID string `json:"play_id"`
		BeatS  int    `json:"beat_s"`
	}
	require.NoError(c.t, json.Unmarshal(a.Body.Bytes(), &started))
	require.Equal(c.t, 15, started.BeatS)
	require.Equal(c.t, "/api/v1/plays/"+started.PlayID, a.Header().Get("Location"))
	return started.PlayID
}

func beat(position, watched time.Duration, state string) string {
	return fmt.Sprintf(`{"position_ms":%d,"watched_ms":%d,"state":%q}`, position.Milliseconds(), watched.Milliseconds(), state)
}

func (c client) beat(id string, watched time.Duration) {
	c.t.Helper()
	c.want(204, "", "POST", "/api/v1/plays/"+id+"/beats", "", beat(watched, watched, "playing"))
}

// watch watches a video for a while.
func (c client) watch(v db.Video, token, viewer, remote string, long time.Duration) {
	c.t.Helper()
	id := c.play(v, token, viewer, remote)
	c.s.clock.pass(long)
	c.beat(id, long)
}

// views is what the API says once all is stored.
func (c client) views(v db.Video) (n int64) {
	c.t.Helper()
	require.NoError(c.t, c.s.plays.Store(c.t.Context()))
	var got struct {
		Stats struct{ Views int64 }
	}
	require.NoError(c.t, json.Unmarshal(c.want(200, "", "GET", "/api/v1/videos/"+v.ID, "", "").Body.Bytes(), &got))
	return got.Stats.Views
}

func TestAThousandBeatsAtOnceAreOneView(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	v := s.broadcast(t, s.create(t, stream.Create{Slug: "open"}), 1)
	id := c.play(v, "", viewerID, "")
	again := c.play(v, "", viewerID, "")
	s.clock.pass(15 * time.Second)
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			one := []string{id, again}[i%2]
			a := apitest.Do(t, c.h, apitest.Scenario{Method: "POST", Path: "/api/v1/plays/" + one + "/beats", Body: beat(30*time.Second, 30*time.Second, "playing")})
			assert.Equal(t, 204, a.Code, a.Body)
			if i%100 == 0 {
				assert.NoError(t, s.plays.Store(t.Context()))
			}
		})
	}
	wg.Wait()
	assert.Equal(t, int64(1), c.views(v))
}

func TestWhatIsAView(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	of := s.create(t, stream.Create{Slug: "open"})
	bert := c.register("bert")
	c.register("carl")
	n := 0
	count := func(what string, want int64, watch func(v db.Video)) {
		t.Helper()
		n++
		v := s.broadcast(t, of, n)
		watch(v)
		assert.Equal(t, want, c.views(v), what)
	}
	const enough = 30 * time.Second
	count("half a minute", 1, func(v db.Video) { c.watch(v, "", "", "", enough) })
	count("less", 0, func(v db.Video) { c.watch(v, "", "", "", enough-time.Millisecond) })
	count("more than there was time for", 0, func(v db.Video) {
		id := c.play(v, "", "", "")
		s.clock.pass(enough/2 - time.Millisecond)
		c.beat(id, time.Hour)
	})
	count("at twice the speed", 1, func(v db.Video) {
		id := c.play(v, "", "", "")
		s.clock.pass(enough / 2)
		c.beat(id, enough)
	})
	count("bit by bit", 1, func(v db.Video) {
		id := c.play(v, "", "", "")
		for i := range 3 {
			s.clock.pass(10 * time.Second)
			c.beat(id, time.Duration(i+1)*10*time.Second)
			require.NoError(t, s.plays.Store(t.Context()))
		}
	})
	count("once in six hours", 2, func(v db.Video) {
		c.watch(v, bert.Access, "", "", enough)
		for range 5 { // every hour, so that the buckets of the rows are crossed
			s.clock.pass(time.Hour)
			bert = c.login("bert", goodPassword)
			c.watch(v, bert.Access, "", "", enough)
		}
		s.clock.pass(time.Hour - 3*time.Minute - time.Millisecond)
		bert = c.login("bert", goodPassword)
		c.watch(v, bert.Access, viewerID, "", enough)
		assert.Equal(t, int64(1), c.views(v), "six hours are not over")
		s.clock.pass(3 * time.Minute)
		c.watch(v, bert.Access, "", "", enough)
	})
	bert = c.login("bert", goodPassword)
	carl := c.login("carl", goodPassword)
	owner := c.login("anna", "correct horse")
	count("its owner", 0, func(v db.Video) { c.watch(v, owner.Access, viewerID, "", enough) })
	count("by user, whatever the device", 2, func(v db.Video) {
		c.watch(v, bert.Access, viewerID, "198.51.100.1:1", enough)
		c.watch(v, bert.Access, "", "198.51.100.2:1", enough)
		c.watch(v, carl.Access, viewerID, "198.51.100.1:1", enough)
	})
	count("by the id that the client keeps", 2, func(v db.Video) {
		c.watch(v, "", viewerID, "198.51.100.1:1", enough)
		c.watch(v, "", viewerID, "198.51.100.2:1", enough)
		c.watch(v, "", "00000000-0000-4000-8000-000000000001", "198.51.100.2:1", enough)
	})
	count("by address and agent", 3, func(v db.Video) {
		c.watch(v, "", "", "198.51.100.1:1", enough)
		c.watch(v, "", "", "198.51.100.1:2", enough)
		c.watch(v, "", "", "[2001:db8::1]:1", enough)
		c.watch(v, "", "", "[2001:db8::2]:1", enough)
		c.watch(v, "", "", "198.51.100.2:1", enough)
	})
	count("at most 100 of a network", 101, func(v db.Video) {
		var plays []string
		for i := range 103 {
			plays = append(plays, c.play(v, "", fmt.Sprintf("00000000-0000-4000-8000-%012d", i), "198.51.100.1:1"))
		}
		plays = append(plays, c.play(v, "", viewerID, "198.51.100.2:1"))
		s.clock.pass(enough)
		for _, id := range plays {
			c.beat(id, enough)
		}
	})
}

// TestResumeIsEqualOnAnotherDevice at once, before and after it is stored, and at nobody else's.
func TestResumeIsEqualOnAnotherDevice(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	v := s.broadcast(t, s.create(t, stream.Create{Slug: "open"}), 1)
	c.register("bert")
	phone, laptop, other := c.login("bert", goodPassword), c.login("bert", goodPassword), c.register("carl")
	resume := func(token string) int64 {
		t.Helper()
		var got struct {
			ResumeMS int64 `json:"resume_ms"`
		}
		require.NoError(t, json.Unmarshal(c.want(200, "", "GET", "/api/v1/videos/"+v.ID+"/playback", token, "").Body.Bytes(), &got))
		return got.ResumeMS
	}
	assert.Zero(t, resume(laptop.Access))
	id := c.play(v, phone.Access, viewerID, "")
	s.clock.pass(10 * time.Second)
	c.want(204, "", "POST", "/api/v1/plays/"+id+"/beats", "", beat(41*time.Second+234*time.Millisecond, 10*time.Second, "paused"))
	for range 2 {
		assert.Equal(t, int64(41_234), resume(laptop.Access))
		assert.Equal(t, int64(41_234), resume(phone.Access))
		assert.Zero(t, resume(other.Access))
		assert.Zero(t, resume(""))
		require.NoError(t, s.plays.Store(t.Context()))
	}
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/videos/"+v.ID, laptop.Access, "").Body.String(), `"me":{"position_ms":41234,"watch_later":false}`)
	assert.NotContains(t, c.want(200, "", "GET", "/api/v1/videos/"+v.ID, "", "").Body.String(), `"me"`)
	// From another node, which has only what is stored.
	elsewhere := play.New(play.Options{DB: s.db, Streams: s.streams, Videos: s.videos, Keys: play.Keys{Secrets: s.secrets}, Now: s.clock.Now})
	require.NoError(t, elsewhere.Beat(t.Context(), id, play.Beat{PositionMS: 50_000, WatchedMS: 12_000, State: "playing"}))
	require.NoError(t, elsewhere.Store(t.Context()))
	assert.Equal(t, int64(50_000), resume(laptop.Access))
	// To the end: from the start again.
	c.want(204, "", "POST", "/api/v1/plays/"+id+"/beats", "", beat(time.Minute, 12*time.Second, "ended"))
	assert.Zero(t, resume(laptop.Access))

	c.want(204, "", "POST", "/api/v1/plays/"+id+"/beats", "", beat(20*time.Second, 12*time.Second, "paused"))
	assert.Equal(t, int64(20_000), resume(laptop.Access))
	c.want(200, "", "PATCH", "/api/v1/me", laptop.Access, `{"settings":{"privacy":{"history":false}}}`)
	assert.Zero(t, resume(laptop.Access), "who wants nothing remembered")
}

func TestPlaysOfWhatIsHidden(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	s.create(t, stream.Create{Slug: "secret", Visibility: "private"})
	hidden := s.create(t, stream.Create{Slug: "open", ReplayVisibility: "private"})
	v, deleted := s.broadcast(t, hidden, 1), s.broadcast(t, hidden, 2)
	require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error { return q.DeleteVideo(deleted.ID, 1) }))
	owner := c.login("anna", "correct horse")
	start := func(kind, id string) string { return fmt.Sprintf(`{"kind":%q,"id":%q}`, kind, id) }
	for _, body := range []string{
		start("video", v.ID), start("video", deleted.ID), start("video", "x"), start("video", hidden.ID), start("stream", "secret"), start("stream", v.ID),
		start("stream", "' OR 1=1 --"),
	} {
		c.want(404, "not_found", "POST", "/api/v1/plays", "", body)
	}
	c.want(201, "", "POST", "/api/v1/plays", owner.Access, start("video", v.ID))
	c.want(201, "", "POST", "/api/v1/plays", owner.Access, start("stream", "secret"))
	c.want(201, "", "POST", "/api/v1/plays", "", start("stream", hidden.ID))
	c.want(404, "not_found", "POST", "/api/v1/plays", owner.Access, start("video", deleted.ID))
	c.want(422, "validation_failed", "POST", "/api/v1/plays", "", start("radio", "x"))
	c.want(422, "validation_failed", "POST", "/api/v1/plays", "", `{"kind":"stream","id":"open","viewer_id":"me"}`)
	c.want(422, "unknown_field", "POST", "/api/v1/plays", "", `{"kind":"stream","id":"open","ip":"x"}`)
}

func TestBeats(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	v := s.broadcast(t, s.create(t, stream.Create{Slug: "open"}), 1)
	id := c.play(v, "", viewerID, "")
	path := "/api/v1/plays/" + id + "/beats"
	c.want(204, "", "POST", path, "", beat(0, 0, "playing"), "Content-Type", "text/plain;charset=UTF-8")
	c.want(204, "", "POST", path, "garbage", beat(0, 0, "playing"), "Content-Type", "text/plain")
	c.want(415, "unsupported_media_type", "POST", "/api/v1/plays", "", `{"kind":"video","id":"x"}`, "Content-Type", "text/plain")
	c.want(415, "unsupported_media_type", "POST", path, "", beat(0, 0, "playing"), "Content-Type", "text/html")
	c.want(400, "malformed_json", "POST", path, "", `{"state":"playing"`, "Content-Type", "text/plain")
	c.want(400, "malformed_json", "POST", path, "", `{"state":"playing","state":"ended"}`, "Content-Type", "text/plain")
	c.want(422, "validation_failed", "POST", path, "", beat(0, 0, "dancing"))
	c.want(422, "validation_failed", "POST", path, "", beat(-time.Second, 0, "playing"))
	c.want(404, "not_found", "POST", "/api/v1/plays/0198f2a0-0000-7000-8000-00000000dead/beats", "", beat(0, 0, "playing"))
	c.want(404, "not_found", "POST", "/api/v1/plays/x/beats", "", beat(0, 0, "playing"))

	s.clock.pass(30 * time.Minute)
	c.beat(id, 0)
	s.clock.pass(30*time.Minute + time.Millisecond)
	c.want(404, "not_found", "POST", path, "", beat(0, 0, "playing"))
	require.NoError(t, s.plays.Store(t.Context()))
	again := play.New(play.Options{DB: s.db, Streams: s.streams, Videos: s.videos, Keys: play.Keys{Secrets: s.secrets}, Now: s.clock.Now})
	require.ErrorIs(t, again.Beat(t.Context(), id, play.Beat{State: "playing"}), play.ErrNotFound)
}

func TestBeatsAreLimitedByPlay(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	v := s.broadcast(t, s.create(t, stream.Create{Slug: "open"}), 1)
	one, two := c.play(v, "", viewerID, ""), c.play(v, "", viewerID, "")
	s.deps.Config.LimitScale = 1
	h := s.handler(t)
	send := func(id string) *apitest.Answer {
		return apitest.Do(t, h, apitest.Scenario{Method: "POST", Path: "/api/v1/plays/" + id + "/beats", Body: beat(0, 0, "playing")})
	}
	for i := range 12 {
		a := send(one)
		require.Equal(t, 204, a.Code)
		require.Equal(t, `"play";q=12;w=60`, a.Header().Get("RateLimit-Policy"))
		require.Equal(t, fmt.Sprintf(`"play";r=%d;t=60`, 11-i), a.Header().Get("RateLimit"))
	}
	a := send(one)
	assert.Equal(t, 429, a.Code)
	assert.Contains(t, a.Body.String(), `"code":"rate_limited"`)
	assert.Equal(t, 204, send(two).Code)
}

func TestHistory(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	of := s.create(t, stream.Create{Slug: "open"})
	videos := []db.Video{s.broadcast(t, of, 1), s.broadcast(t, of, 2), s.broadcast(t, of, 3)}
	bert, carl := c.register("bert"), c.register("carl")
	for _, v := range videos {
		c.watch(v, bert.Access, "", "", 5*time.Second)
	}
	c.watch(videos[0], bert.Access, "", "", 7*time.Second) // again: it moves to the front
	c.watch(videos[1], "", viewerID, "", 9*time.Second)
	c.want(204, "", "PUT", "/api/v1/me/watch-later/"+videos[2].ID, bert.Access, "")
	type item struct {
		Video struct {
			ID string
			Me struct {
				WatchLater bool `json:"watch_later"`
			}
		}
		PositionMS int64  `json:"position_ms"`
		WatchedAt  string `json:"watched_at"`
	}
	page := func(token, query string) (items []item, next *string) {
		t.Helper()
		var got struct {
			Items []item
			Next  *string `json:"next_cursor"`
		}
		require.NoError(t, json.Unmarshal(c.want(200, "", "GET", "/api/v1/me/history"+query, token, "").Body.Bytes(), &got))
		return got.Items, got.Next
	}
	first, next := page(bert.Access, "?limit=2")
	require.Len(t, first, 2)
	assert.Equal(t, [2]string{videos[0].ID, videos[2].ID}, [2]string{first[0].Video.ID, first[1].Video.ID})
	assert.Equal(t, int64(7000), first[0].PositionMS)
	assert.Equal(t, [2]bool{false, true}, [2]bool{first[0].Video.Me.WatchLater, first[1].Video.Me.WatchLater})
	require.NotNil(t, next)
	rest, none := page(bert.Access, "?limit=2&cursor="+*next)
	require.Len(t, rest, 1)
	assert.Equal(t, videos[1].ID, rest[0].Video.ID)
	assert.Equal(t, int64(5000), rest[0].PositionMS, "what nobody in particular watched is nobody's")
	assert.Nil(t, none)
	c.want(400, "invalid_cursor", "GET", "/api/v1/me/watch-later?cursor="+*next, bert.Access, "")

	others, _ := page(carl.Access, "")
	assert.Empty(t, others)
	for range 2 {
		c.want(204, "", "DELETE", "/api/v1/me/history/"+videos[0].ID, bert.Access, "")
	}
	left, _ := page(bert.Access, "")
	assert.Len(t, left, 2)
	require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error { return q.DeleteVideo(videos[1].ID, 1) }))
	left, _ = page(bert.Access, "")
	assert.Len(t, left, 1, "what is gone is left out")

	c.want(200, "", "PATCH", "/api/v1/me", bert.Access, `{"settings":{"privacy":{"history":false}}}`)
	c.watch(videos[0], bert.Access, "", "", 5*time.Second)
	left, _ = page(bert.Access, "")
	assert.Len(t, left, 1, "who wants nothing remembered")
	c.want(204, "", "DELETE", "/api/v1/me/history", bert.Access, "")
	left, _ = page(bert.Access, "")
	assert.Empty(t, left)
}

func TestWatchLater(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	of := s.create(t, stream.Create{Slug: "open"})
	hidden := s.create(t, stream.Create{Slug: "hidden", ReplayVisibility: "private"})
	one, two, secret := s.broadcast(t, of, 1), s.broadcast(t, of, 2), s.broadcast(t, hidden, 3)
	bert, carl := c.register("bert"), c.register("carl")
	const path = "/api/v1/me/watch-later"
	for _, v := range []db.Video{one, two, one} {
		c.want(204, "", "PUT", path+"/"+v.ID, bert.Access, "")
		s.clock.pass(time.Second)
	}
	c.want(404, "not_found", "PUT", path+"/"+secret.ID, bert.Access, "")
	c.want(404, "not_found", "PUT", path+"/x", bert.Access, "")
	list := c.want(200, "", "GET", path, bert.Access, "").Body.String()
	assert.Regexp(t, two.ID+`.*`+one.ID, list, "the newest first")
	assert.Contains(t, c.want(200, "", "GET", path+"/"+one.ID, bert.Access, "").Body.String(), `"added_at":"2026-03-01T12:00:00.000Z"`)
	assert.Contains(t, c.want(200, "", "GET", path, carl.Access, "").Body.String(), `"items":[]`)
	c.want(404, "not_found", "GET", path+"/"+one.ID, carl.Access, "")
	for range 2 {
		c.want(204, "", "DELETE", path+"/"+one.ID, bert.Access, "")
	}
	c.want(404, "not_found", "GET", path+"/"+one.ID, bert.Access, "")
	require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error { return q.DeleteVideo(two.ID, 1) }))
	c.want(404, "not_found", "GET", path+"/"+two.ID, bert.Access, "")
	assert.Contains(t, c.want(200, "", "GET", path, bert.Access, "").Body.String(), `"items":[]`)
}

// TestNoAddressOfAViewerIsStored looks into the database's files.
func TestNoAddressOfAViewerIsStored(t *testing.T) {
	s := newSite(t, db.Options{Path: filepath.Join(t.TempDir(), "mediad.db")})
	c := s.client(t)
	v := s.broadcast(t, s.create(t, stream.Create{Slug: "open"}), 1)
	c.watch(v, "", "", "198.51.100.77:1", 30*time.Second)
	c.watch(v, "", viewerID, "[2001:db8:77:88::99]:1", 30*time.Second)
	require.Equal(t, int64(2), c.views(v))
	kept := s.logs.String()
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(s.db.Where() + suffix)
		require.NoError(t, err)
		kept += string(text)
	}
	require.Contains(t, kept, v.ID, "the search finds what is there")
	for _, secret := range []string{"198.51.100", "2001:db8:77", viewerID} {
		assert.NotContains(t, kept, secret)
	}
}

// TestAViewIsAnEvent of the video's, and names nobody.
func TestAViewIsAnEvent(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	v := s.broadcast(t, s.create(t, stream.Create{Slug: "open"}), 1)
	bert := c.register("bert")
	c.watch(v, bert.Access, "", "", 30*time.Second)
	c.watch(v, bert.Access, "", "", 30*time.Second)
	require.Equal(t, int64(1), c.views(v))
	events, err := s.db.Read(t.Context()).ListUnsent(0, 100)
	require.NoError(t, err)
	var found []db.Event
	for _, e := range events {
		if e.Type == event.ViewCounted {
			found = append(found, e)
		}
	}
	require.Len(t, found, 1)
	assert.Equal(t, [3]string{"video:" + v.ID, s.owner.ID, ""}, [3]string{found[0].Key, found[0].OwnerID, found[0].ActorID})
	assert.JSONEq(t, `{"video_id":"`+v.ID+`","at":"2026-03-01T12:00:30.000Z"}`, found[0].Data)
}

// TestAPlayToTheEndIsAnEvent once, when most of the video was watched; the owner's own is none.
func TestAPlayToTheEndIsAnEvent(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	v := s.broadcast(t, s.create(t, stream.Create{Slug: "open"}), 1) // of a minute
	completed := func() (found []db.Event) {
		require.NoError(t, s.plays.Store(t.Context()))
		events, err := s.db.Read(t.Context()).ListUnsent(0, 100)
		require.NoError(t, err)
		for _, e := range events {
			if e.Type == event.ViewComplete {
				found = append(found, e)
			}
		}
		return found
	}
	id, own := c.play(v, c.register("bert").Access, "", ""), c.play(v, c.login("anna", "correct horse").Access, "", "")
	for _, watched := range []time.Duration{30 * time.Second, 47 * time.Second} {
		s.clock.pass(watched)
		c.beat(id, watched)
		c.beat(own, time.Minute)
		require.Empty(t, completed())
	}
	for _, watched := range []time.Duration{48 * time.Second, 59 * time.Second} {
		s.clock.pass(time.Second)
		c.beat(id, watched)
		found := completed()
		require.Len(t, found, 1)
		assert.Equal(t, [3]string{"video:" + v.ID, s.owner.ID, ""}, [3]string{found[0].Key, found[0].OwnerID, found[0].ActorID})
		assert.JSONEq(t, `{"video_id":"`+v.ID+`","at":"2026-03-01T12:01:18.000Z"}`, found[0].Data)
	}
}
