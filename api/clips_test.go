package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/account"
	"mediad/api/apitest"
	"mediad/api/play"
	"mediad/api/relation"
	"mediad/api/stream"
	"mediad/api/video"
	"mediad/store/db"
	"mediad/store/event"
)

// scissors is a video.Cutter that takes one whole segment. Where hold is set, it waits for that.
type scissors struct {
	s    *site
	hold chan struct{}
	err  error
	cuts atomic.Int32
}

func (c *scissors) Cut(ctx context.Context, v db.Video, _ bool) (video.Cutting, error) {
	c.cuts.Add(1)
	if c.hold != nil {
		select {
		case <-c.hold:
		case <-ctx.Done():
			return video.Cutting{}, ctx.Err()
		}
	}
	if c.err != nil {
		return video.Cutting{}, c.err
	}
	c.s.media[v.ID] = []video.Rendition{{Name: "source", Width: 1280, Height: 720, FPS: 30, Codecs: "avc1.64001f", Bitrate: 2500000}}
	return video.Cutting{
		Facts: video.Facts{Duration: time.Duration(*v.ToNS - *v.FromNS), Width: 1280, Height: 720, Bytes: 1}, From: time.Unix(0, *v.FromNS), To: time.Unix(0, *v.ToNS),
		Segments: []db.Segment{{SessionID: v.ID, StreamID: *v.StreamID, Rendition: "source", MSN: 1, Epoch: 1, BlobKey: "vod/" + v.ID, Bytes: 1}},
	}, nil
}

func (c *scissors) Discard(context.Context, string) error { return nil }

// clipSite is a site with real relations, and with scissors.
func clipSite(t *testing.T, who string) (*site, *scissors) {
	t.Helper()
	s := newSite(t, db.Options{})
	relations := relation.New(relation.Options{DB: s.db, Record: s.accounts.Record, Now: s.clock.Now})
	s.streams = stream.New(stream.Options{
		DB: s.db, Owner: s.accounts.FirstAdmin, DVR: 2 * time.Hour, ResumeWindow: time.Minute, Record: true, Relations: relations, Audit: s.audit, Now: s.clock.Now,
	})
	s.videos = video.New(video.Options{DB: s.db, Relations: relations, Audit: s.audit, Now: s.clock.Now})
	s.plays = play.New(play.Options{DB: s.db, Streams: s.streams, Videos: s.videos, Relations: relations, Keys: play.Keys{Secrets: s.secrets}, Now: s.clock.Now})
	s.deps.Streams, s.deps.Videos, s.deps.Plays = s.streams, s.videos, s.plays
	cut := &scissors{s: s}
	s.deps.Clipping = video.NewClipping(video.ClippingOptions{Service: s.videos, Cutter: cut, Who: who, AtOnce: 1, Most: 3})
	return s, cut
}

// air begins a broadcast of which so much is stored.
func (s *site) air(t *testing.T, streamID string, n int, length time.Duration) db.Session {
	t.Helper()
	id := fmt.Sprintf("0198f2a0-0000-7000-8000-0000000002%02d", n)
	began := noon.Add(time.Duration(n) * time.Hour)
	row := db.Session{ID: id, StreamID: streamID, StartedAt: db.At(began), Epochs: []db.Epoch{{ID: 1, StartedAt: db.At(began), Protocol: "rtmp", Reason: "first"}}}
	require.NoError(t, s.streams.SaveSession(t.Context(), row))
	require.NoError(t, s.videos.BeginRecording(t.Context(), id, streamID, true))
	require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error {
		if err := q.InsertTracks([]db.SessionTrack{{SessionID: id, Rendition: "source", Epoch: 1, Kind: "video", Config: []byte{1}, Init: []byte{1}}}); err != nil {
			return err
		}
		return q.InsertSegments([]db.Segment{{
			SessionID: id, StreamID: streamID, Rendition: "source", MSN: 1, Epoch: 1, StartNS: began.UnixNano(), DurationNS: int64(length), BlobKey: "x", Bytes: 1,
		}})
	}))
	return row
}

// over ends a broadcast and makes its replay.
func (s *site) over(t *testing.T, session db.Session, length time.Duration) db.Video {
	t.Helper()
	require.NoError(t, s.streams.EndSession(t.Context(), session.ID, session.StartedAt.Time().Add(length), "publisher_stopped"))
	require.NoError(t, s.videos.EndRecording(t.Context(), session.ID))
	v, err := s.videos.MakeReplay(t.Context(), session.ID, &video.Facts{Duration: length, Width: 1280, Height: 720, Bytes: 1000})
	require.NoError(t, err)
	s.media[v.ID] = []video.Rendition{{Name: "source", Width: 1280, Height: 720, FPS: 30, Codecs: "avc1.64001f", Bitrate: 2500000}}
	return v
}

type clipBody struct {
	ID         string
	Title      string
	Visibility string
	DurationMS int64 `json:"duration_ms"`
	Owner      struct{ Username string }
	Source     struct {
		Kind   string
		FromMS int64 `json:"from_ms"`
		ToMS   int64 `json:"to_ms"`
	}
}

const thirty = `{"duration_ms":30000}`

func TestClips(t *testing.T) {
	s, _ := clipSite(t, "")
	c := s.client(t)
	vera, fan, other := c.streamer("vera"), c.register("fan"), c.register("other")
	of := c.stream(vera.Access, `{"slug":"veras","title":"Friday blitz"}`)
	path := "/api/v1/streams/" + of.Slug + "/clips"
	c.want(401, "unauthenticated", "POST", path, "", thirty)
	c.want(403, "forbidden", "POST", path, other.Access, thirty)
	c.want(200, "", "PUT", "/api/v1/users/@vera/follow", fan.Access, "")
	c.want(409, "invalid_state", "POST", path, fan.Access, thirty)
	session := s.air(t, of.ID, 1, 10*time.Minute)

	a := c.want(201, "", "POST", path, fan.Access, `{"duration_ms":30000,"title":" What a\u202e move "}`, "Idempotency-Key", "once")
	made := decode[clipBody](t, a.Body.Bytes())
	assert.Equal(t, "/api/v1/videos/"+made.ID, a.Header().Get("Location"))
	assert.Equal(t, [4]any{"What a move", "public", "fan", "clip"}, [4]any{made.Title, made.Visibility, made.Owner.Username, made.Source.Kind})
	assert.Equal(t, [2]int64{570_000, 600_000}, [2]int64{made.Source.FromMS, made.Source.ToMS}, "up to the newest")
	again := c.want(201, "", "POST", path, fan.Access, `{"duration_ms":30000,"title":" What a\u202e move "}`, "Idempotency-Key", "once")
	assert.Equal(t, made.ID, decode[clipBody](t, again.Body.Bytes()).ID)
	c.want(200, "", "GET", "/api/v1/videos/"+made.ID+"/playback", "", "")

	for body, field := range map[string]string{
		`{"duration_ms":4999}`: "/duration_ms", `{"duration_ms":120001}`: "/duration_ms", `{"duration_ms":5000,"end_ms":-1}`: "/end_ms", `{}`: "/duration_ms",
		`{"duration_ms":9223372036854775807}`: "/duration_ms",
	} {
		assert.Contains(t, c.want(422, "validation_failed", "POST", path, fan.Access, body).Body.String(), `"pointer":"`+field+`"`, body)
	}
	for body, want := range map[string]string{
		`{}`:                               `"code":"required"`,
		`{"duration_ms":0}`:                `"code":"out_of_range","message":"5000 to 120000","min":5000,"max":120000`,
		`{"duration_ms":5000,"end_ms":-1}`: `"code":"out_of_range","message":"0 or more","min":0}`,
		`{"duration_ms":5000,"title":"` + strings.Repeat("x", 121) + `"}`: `"code":"too_long","message":"at most 120 characters","max":120`,
	} {
		assert.Contains(t, c.want(422, "validation_failed", "POST", path, fan.Access, body).Body.String(), want, body)
	}
	for _, body := range []string{`{"duration_ms":30000,"end_ms":20000}`, `{"duration_ms":30000,"end_ms":9223372036854775807}`} {
		c.want(409, "invalid_state", "POST", path, fan.Access, body)
	}
	hers := decode[clipBody](t, c.want(201, "", "POST", path, vera.Access, `{"duration_ms":5000,"end_ms":20000}`).Body.Bytes())
	assert.Equal(t, [2]int64{15_000, 20_000}, [2]int64{hers.Source.FromMS, hers.Source.ToMS})

	// The list has what the caller may find, each once.
	c.want(401, "unauthenticated", "GET", path, "", "")
	page := c.want(200, "", "GET", path+"?limit=1", other.Access, "").Body.Bytes()
	var list struct {
		Items []clipBody
		Next  string `json:"next_cursor"`
	}
	require.NoError(t, json.Unmarshal(page, &list))
	require.Equal(t, hers.ID, list.Items[0].ID)
	require.NoError(t, json.Unmarshal(c.want(200, "", "GET", path+"?limit=1&cursor="+list.Next, other.Access, "").Body.Bytes(), &list))
	require.Equal(t, made.ID, list.Items[0].ID)
	c.want(400, "invalid_cursor", "GET", path+"?cursor=x", other.Access, "")

	// Who is blocked cuts nothing, whoever else may.
	c.want(204, "", "PUT", "/api/v1/users/@fan/block", vera.Access, "")
	c.want(403, "blocked_by_user", "POST", path, fan.Access, thirty)
	// Of a broadcast that is over it is cut out of the replay, and of a replay that is deleted not at all.
	replay := s.over(t, session, 10*time.Minute)
	c.want(200, "", "PUT", "/api/v1/users/@vera/follow", other.Access, "")
	c.want(201, "", "POST", path, other.Access, `{"duration_ms":30000,"end_ms":60000}`)
	c.want(204, "", "DELETE", "/api/v1/videos/"+replay.ID, vera.Access, "")
	c.want(409, "invalid_state", "POST", path, other.Access, `{"duration_ms":30000,"end_ms":60000}`)
	c.want(200, "", "GET", "/api/v1/videos/"+made.ID, "", "")
}

// TestClipsOfWhatIsNotForAll: a clip is for nobody who could not watch the broadcast, whatever its maker does.
func TestClipsOfWhatIsNotForAll(t *testing.T) {
	s, _ := clipSite(t, "all")
	c := s.client(t)
	vera, fan, other, makersFan := c.streamer("vera"), c.register("fan"), c.register("other"), c.register("makers_fan")
	mod := s.staff(t, c, "mona", account.Moderator)
	c.want(200, "", "PUT", "/api/v1/users/@vera/follow", fan.Access, "")
	c.want(200, "", "PUT", "/api/v1/users/@fan/follow", makersFan.Access, "")
	of := c.stream(vera.Access, `{"slug":"veras","title":"Closed","visibility":"followers"}`)
	path := "/api/v1/streams/" + of.Slug + "/clips"
	broadcast := s.air(t, of.ID, 1, 10*time.Minute)
	c.want(404, "not_found", "POST", path, other.Access, thirty)
	c.want(404, "not_found", "POST", path, makersFan.Access, thirty)
	c.want(404, "not_found", "GET", path, other.Access, "")

	clip := decode[clipBody](t, c.want(201, "", "POST", path, fan.Access, thirty).Body.Bytes())
	require.Equal(t, "followers", clip.Visibility)
	at := "/api/v1/videos/" + clip.ID
	seen := func(who session, may bool) {
		t.Helper()
		if may {
			c.want(200, "", "GET", at, who.Access, "")
			c.want(200, "", "GET", at+"/playback", who.Access, "")
			c.want(201, "", "POST", "/api/v1/plays", who.Access, `{"kind":"video","id":"`+clip.ID+`"}`)
			return
		}
		c.want(404, "not_found", "GET", at, who.Access, "")
		c.want(404, "not_found", "GET", at+"/playback", who.Access, "")
		c.want(404, "not_found", "POST", "/api/v1/plays", who.Access, `{"kind":"video","id":"`+clip.ID+`"}`)
		c.want(404, "not_found", "PATCH", at, who.Access, `{"title":"x"}`)
		c.want(404, "not_found", "DELETE", at, who.Access, "")
	}
	for _, one := range []session{fan, vera, mod} {
		seen(one, true)
	}
	for _, one := range []session{other, makersFan, {}} {
		if one.Access != "" {
			seen(one, false)
		}
	}
	c.want(404, "not_found", "GET", at, "", "")
	assert.Contains(t, c.want(200, "", "GET", path, fan.Access, "").Body.String(), clip.ID)
	assert.NotContains(t, c.want(200, "", "GET", "/api/v1/users/@fan/videos", makersFan.Access, "").Body.String(), clip.ID)

	// Its maker gives it to nobody else, and may keep it to themselves.
	for _, wider := range []string{"public", "unlisted"} {
		a := c.want(422, "validation_failed", "PATCH", at, fan.Access, `{"visibility":"`+wider+`"}`)
		assert.Contains(t, a.Body.String(), `"code":"out_of_range"`)
		c.want(422, "validation_failed", "PATCH", at, mod.Access, `{"visibility":"`+wider+`"}`)
	}
	c.want(200, "", "PATCH", at, fan.Access, `{"visibility":"private"}`)
	seen(fan, true)
	c.want(200, "", "PATCH", at, fan.Access, `{"visibility":"followers"}`)

	// Tokens of it end when the channel's owner blocks somebody, and its maker loses it with the channel.
	policy := func() int64 {
		p, err := s.db.Read(t.Context()).VideoPolicy(clip.ID)
		require.NoError(t, err)
		return p.PolicyEpoch
	}
	before := policy()
	c.want(204, "", "PUT", "/api/v1/users/@fan/block", vera.Access, "")
	assert.Greater(t, policy(), before)
	seen(fan, false)
	seen(vera, true)

	// A replay for its owner alone: no clip of it for others, and nobody learns that there is one.
	c.want(200, "", "PUT", "/api/v1/users/@vera/follow", other.Access, "")
	replay := s.over(t, broadcast, 10*time.Minute)
	c.want(200, "", "PATCH", "/api/v1/videos/"+replay.ID, vera.Access, `{"visibility":"private"}`)
	a := c.want(409, "invalid_state", "POST", path, other.Access, `{"duration_ms":30000,"end_ms":60000}`)
	assert.NotContains(t, a.Body.String(), "private")
	own := decode[clipBody](t, c.want(201, "", "POST", path, vera.Access, `{"duration_ms":30000,"end_ms":60000}`).Body.Bytes())
	assert.Equal(t, "private", own.Visibility)
	// On air it is plain that nothing is kept for others.
	c.want(200, "", "PATCH", "/api/v1/streams/"+of.Slug, vera.Access, `{"visibility":"public","replay_visibility":"private"}`)
	s.air(t, of.ID, 2, 10*time.Minute)
	c.want(403, "forbidden", "POST", path, other.Access, thirty)

	// What vera showed goes with her, from her clips of others as well, and comes back with her.
	c.want(200, "", "PATCH", "/api/v1/streams/"+of.Slug, vera.Access, `{"replay_visibility":"public"}`)
	s.air(t, of.ID, 3, 10*time.Minute)
	clip = decode[clipBody](t, c.want(201, "", "POST", path, other.Access, thirty).Body.Bytes())
	at = "/api/v1/videos/" + clip.ID
	seen(makersFan, true)
	c.want(202, "", "DELETE", "/api/v1/me", vera.Access, `{"password":"`+goodPassword+`"}`)
	seen(makersFan, false)
	c.want(202, "", "DELETE", "/api/v1/me", other.Access, `{"password":"`+goodPassword+`"}`)
	c.want(204, "", "POST", "/api/v1/auth/restore", "", `{"login":"vera","password":"`+goodPassword+`"}`)
	seen(makersFan, false)
	c.want(204, "", "POST", "/api/v1/auth/restore", "", `{"login":"other","password":"`+goodPassword+`"}`)
	seen(makersFan, true)
}

// TestClipsAreBounded: one at a time of a user, so many of a node, so many that are kept.
func TestClipsAreBounded(t *testing.T) {
	s, cut := clipSite(t, "all")
	c := s.client(t)
	vera, fan, other := c.streamer("vera"), c.register("fan"), c.register("other")
	of := c.stream(vera.Access, `{"slug":"veras","title":"Open"}`)
	s.air(t, of.ID, 1, 10*time.Minute)
	path := "/api/v1/streams/" + of.Slug + "/clips"
	cut.hold = make(chan struct{})
	first := make(chan *apitest.Answer)
	go func() {
		first <- apitest.Do(t, c.h, apitest.Scenario{Method: "POST", Path: path, Token: fan.Access, Body: thirty})
	}()
	require.Eventually(t, func() bool { return cut.cuts.Load() == 1 }, 5*time.Second, time.Millisecond)
	assert.NotEmpty(t, c.want(429, "rate_limited", "POST", path, fan.Access, thirty).Header().Get("Retry-After"))
	assert.NotEmpty(t, c.want(503, "overloaded", "POST", path, other.Access, thirty).Header().Get("Retry-After"))
	close(cut.hold)
	require.Equal(t, 201, (<-first).Code)
	for range 2 {
		c.want(201, "", "POST", path, fan.Access, thirty)
	}
	assert.Contains(t, c.want(409, "limit_reached", "POST", path, fan.Access, thirty).Body.String(), `"max":3`)
	for range 4 {
		c.want(201, "", "POST", path, vera.Access, thirty) // her own are as many as she likes
	}
	cut.err = video.ErrElsewhere
	assert.Contains(t, c.want(503, "unavailable", "POST", path, vera.Access, thirty).Body.String(), "another node")
	cut.err = fmt.Errorf("of a test: %w", video.ErrStorage)
	assert.Contains(t, c.want(503, "unavailable", "POST", path, vera.Access, thirty).Body.String(), "bucket")

	s.deps.Config.LimitScale = 1
	h := s.handler(t)
	codes := map[int]int{}
	for range 12 {
		codes[apitest.Do(t, h, apitest.Scenario{Method: "POST", Path: path, Token: other.Access, Body: `{"duration_ms":1}`}).Code]++
	}
	assert.Equal(t, map[int]int{422: 10, 429: 2}, codes)
}

// TestAClipOfWhoLeavesIsHidden: whoever of the two goes while it is made, nobody sees it until they are back, and then it is as if they had never gone.
func TestAClipOfWhoLeavesIsHidden(t *testing.T) {
	for _, late := range []bool{false, true} { // late: the clip's row comes after what who leaves has was hidden
		for _, leaver := range []string{"fan", "vera"} {
			s, cut := clipSite(t, "all")
			c := s.client(t)
			vera, fan := c.streamer("vera"), c.register("fan")
			tokens := map[string]string{"vera": vera.Access, "fan": fan.Access}
			of := c.stream(vera.Access, `{"slug":"veras","title":"Open","visibility":"public"}`)
			s.air(t, of.ID, 1, 10*time.Minute)
			cut.hold = make(chan struct{})
			made := make(chan *apitest.Answer)
			go func() {
				made <- apitest.Do(t, c.h, apitest.Scenario{Method: "POST", Path: "/api/v1/streams/veras/clips", Token: fan.Access, Body: thirty})
			}()
			require.Eventually(t, func() bool { return cut.cuts.Load() == 1 }, 5*time.Second, time.Millisecond)
			c.want(202, "", "DELETE", "/api/v1/me", tokens[leaver], myPassword)
			clips, err := s.db.Read(t.Context()).ListClips("0198f2a0-0000-7000-8000-000000000201")
			require.NoError(t, err)
			require.Len(t, clips, 1)
			if id := clips[0].ID; late {
				_, err := s.db.JobPool().ExecContext(t.Context(), "UPDATE videos SET visibility = 'public', kept_visibility = '' WHERE id = '"+id+"'")
				require.NoError(t, err)
			}
			close(cut.hold)
			<-made
			at := "/api/v1/videos/" + clips[0].ID
			c.want(404, "not_found", "GET", at, "", "")
			v, err := s.db.Read(t.Context()).FindVideo(clips[0].ID)
			require.NoError(t, err)
			require.Equal(t, [3]string{"private", "public", "public"}, [3]string{v.Visibility, v.KeptVisibility, v.Widest})
			c.want(204, "", "POST", "/api/v1/auth/restore", "", restoring(leaver))
			c.want(200, "", "GET", at, "", "")
			c.want(200, "", "PATCH", at, c.login("fan", goodPassword).Access, `{"title":"Back"}`)
		}
	}
}

// TestWhoCutsClips tries each setting with each caller.
func TestWhoCutsClips(t *testing.T) {
	for who, may := range map[string]map[string]int{
		"followers": {"owner": 201, "fan": 201, "other": 403, "chanmod": 201, "mod": 201, "admin": 201},
		"all":       {"owner": 201, "fan": 201, "other": 201, "chanmod": 201, "mod": 201, "admin": 201},
		"owner":     {"owner": 201, "fan": 403, "other": 403, "chanmod": 403, "mod": 403, "admin": 201},
	} {
		s, _ := clipSite(t, who)
		c := s.client(t)
		vera := c.streamer("vera")
		tokens := map[string]string{
			"owner": vera.Access, "fan": c.register("fan").Access, "other": c.register("other").Access, "chanmod": c.register("carl").Access,
			"mod": s.staff(t, c, "mona", account.Moderator).Access, "admin": s.staff(t, c, "abel", account.Admin).Access,
		}
		c.want(200, "", "PUT", "/api/v1/users/@vera/follow", tokens["fan"], "")
		c.want(204, "", "PUT", "/api/v1/channels/@vera/moderators/@carl", vera.Access, "")
		of := c.stream(vera.Access, `{"slug":"veras","title":"Open"}`)
		s.air(t, of.ID, 1, 10*time.Minute)
		for name, status := range may {
			code := ""
			if status == 403 {
				code = "forbidden"
			}
			c.want(status, code, "POST", "/api/v1/streams/veras/clips", tokens[name], thirty)
		}
	}
}

// TestChangingAndDeletingVideos tries both with each caller, and looks at what is left.
func TestChangingAndDeletingVideos(t *testing.T) {
	s, _ := clipSite(t, "all")
	var changed []string
	s.videos = video.New(video.Options{
		DB: s.db, Audit: s.audit, Now: s.clock.Now, Changed: func(_ context.Context, id string) { changed = append(changed, id) },
		Relations: relation.New(relation.Options{DB: s.db, Record: s.accounts.Record, Now: s.clock.Now}),
	})
	s.deps.Videos = s.videos
	s.deps.Clipping = video.NewClipping(video.ClippingOptions{Service: s.videos, Cutter: &scissors{s: s}, Who: "all"})
	c := s.client(t)
	vera, fan, other := c.streamer("vera"), c.register("fan"), c.streamer("other")
	mod, chief := s.staff(t, c, "mona", account.Moderator), s.staff(t, c, "abel", account.Admin)
	of := c.stream(vera.Access, `{"slug":"veras","title":"Open"}`)
	replay := s.over(t, s.air(t, of.ID, 1, 10*time.Minute), 10*time.Minute)
	at := "/api/v1/videos/" + replay.ID
	etag := c.want(200, "", "GET", at, "", "").Header().Get("ETag")
	assert.Regexp(t, `^"v1-`, etag)

	c.want(401, "unauthenticated", "PATCH", at, "", `{"title":"x"}`)
	c.want(403, "forbidden", "PATCH", at, other.Access, `{"title":"x"}`)
	c.want(403, "forbidden", "PATCH", at, fan.Access, `{"title":"x"}`)
	a := c.want(200, "", "PATCH", at, vera.Access, `{"title":" Best of ","description":"Line\nline","mature":true}`, "If-Match", etag)
	assert.Contains(t, a.Body.String(), `"title":"Best of"`)
	assert.Regexp(t, `^"v2-`, a.Header().Get("ETag"))
	c.want(412, "version_mismatch", "PATCH", at, vera.Access, `{"title":"x"}`, "If-Match", etag)
	c.want(412, "version_mismatch", "DELETE", at, vera.Access, "", "If-Match", etag)
	for _, body := range []string{`{"title":""}`, `{"title":null}`, `{"visibility":"secret"}`, `{"visibility":null}`, `{"owner":"x"}`, `{"views":5}`} {
		c.want(422, "validation_failed", "PATCH", at, vera.Access, body)
	}
	c.want(200, "", "PATCH", at, vera.Access, `{"visibility":"private"}`)
	c.want(404, "not_found", "GET", at, other.Access, "")
	c.want(404, "not_found", "PATCH", at, other.Access, `{"title":"x"}`)
	c.want(404, "not_found", "DELETE", at, other.Access, "")
	assert.NotContains(t, c.want(200, "", "GET", "/api/v1/videos", "", "").Body.String(), replay.ID)
	c.want(200, "", "PATCH", at, mod.Access, `{"visibility":"public"}`)
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/videos", "", "").Body.String(), replay.ID)
	policy, err := s.db.Read(t.Context()).VideoPolicy(replay.ID)
	require.NoError(t, err)
	assert.Equal(t, int64(2), policy.PolicyEpoch, "tokens from before are good no more")

	// A clip is deleted by its owner, by the stream's, and by moderators who say why, and by nobody else.
	clip := func() string {
		return "/api/v1/videos/" + decode[clipBody](t, c.want(201, "", "POST", "/api/v1/streams/veras/clips", fan.Access, `{"duration_ms":5000,"end_ms":60000}`).Body.Bytes()).ID
	}
	one := clip()
	c.want(403, "forbidden", "DELETE", one, other.Access, "")
	c.want(403, "forbidden", "PATCH", one, vera.Access, `{"title":"hers"}`)
	c.want(422, "validation_failed", "DELETE", one, mod.Access, "")
	c.want(204, "", "DELETE", one, fan.Access, "")
	c.want(404, "not_found", "DELETE", one, fan.Access, "")
	c.want(404, "not_found", "GET", one, fan.Access, "")
	c.want(204, "", "DELETE", clip(), vera.Access, "")
	c.want(204, "", "DELETE", clip()+"?reason=spam", mod.Access, "")
	admins := s.create(t, stream.Create{Slug: "annas"})
	annas := s.over(t, s.air(t, admins.ID, 2, 10*time.Minute), 10*time.Minute)
	c.want(403, "role_required", "DELETE", "/api/v1/videos/"+annas.ID+"?reason=spam", mod.Access, "")
	c.want(403, "role_required", "PATCH", "/api/v1/videos/"+annas.ID, mod.Access, `{"title":"x"}`)
	c.want(204, "", "DELETE", "/api/v1/videos/"+annas.ID+"?reason=spam", chief.Access, "")

	c.want(204, "", "DELETE", at, vera.Access, "")
	c.want(404, "not_found", "GET", at+"/playback", vera.Access, "")
	assert.NotContains(t, c.want(200, "", "GET", "/api/v1/videos", "", "").Body.String(), replay.ID)
	assert.NotContains(t, c.want(200, "", "GET", "/api/v1/streams/veras/sessions", vera.Access, "").Body.String(), replay.ID)
	assert.Contains(t, changed, replay.ID)
	records := c.want(200, "", "GET", "/api/v1/admin/audit?limit=100", chief.Access, "").Body.String()
	for _, want := range []string{`"video.update"`, `"video.delete"`, `"reason":"spam"`} {
		assert.Contains(t, records, want)
	}
	var told int
	events, err := s.db.Read(t.Context()).ListUnsent(0, 500)
	require.NoError(t, err)
	for _, e := range events {
		if e.Key == event.Video(replay.ID) && (e.Type == event.VideoDeleted || e.Type == event.VideoUpdated) {
			told++
			assert.Equal(t, vera.User.ID, e.OwnerID)
		}
	}
	assert.Equal(t, 4, told)
	assert.Equal(t, http.StatusNotFound, apitest.Do(t, c.h, apitest.Scenario{Path: at}).Code)
}
