package api_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api"
	"mediad/api/account"
	"mediad/api/playback"
	"mediad/api/playback/token"
	"mediad/api/relation"
	"mediad/api/stream"
	"mediad/api/video"
	"mediad/store/db"
)

// theatre is a site with rights: an owner, two who follow, a moderator, somebody else, and a stream and a replay of each closed visibility.
type theatre struct {
	*site
	client
	policies *playback.Policies
	rights   *playback.Rights
	tokens   map[string]string // access tokens by name
	videos   map[string]db.Video
}

func newTheatre(t *testing.T) *theatre {
	t.Helper()
	s := newSite(t, db.Options{})
	s.clock.pass(10 * time.Minute) // into a bucket
	th := &theatre{site: s, tokens: map[string]string{"anybody": ""}, videos: map[string]db.Video{}}
	ring, err := playback.Keys(s.secrets)
	require.NoError(t, err)
	th.policies = playback.NewPolicies(playback.PoliciesOptions{DB: s.db, Now: s.clock.Now})
	th.rights = playback.NewRights(playback.RightsOptions{Policies: th.policies, Keys: ring, Now: s.clock.Now})
	relations := relation.New(relation.Options{DB: s.db, Record: s.accounts.Record, Now: s.clock.Now})
	s.streams = stream.New(stream.Options{
		DB: s.db, Owner: s.accounts.FirstAdmin, DVR: time.Hour, Relations: relations, MaxStreams: 100, Now: s.clock.Now,
		Changed: func(_ context.Context, id string) { th.policies.StreamChanged(id) },
	})
	s.videos = video.New(video.Options{DB: s.db, Relations: relations, Now: s.clock.Now})
	s.deps.Streams, s.deps.Videos, s.deps.Playback = s.streams, s.videos, playback.NewIssuer(ring, s.clock.Now)
	s.deps.Blocked = func(_ context.Context, user string) { th.policies.OwnerChanged(user) }
	_, err = s.accounts.Create(t.Context(), account.Create{Username: "mona", Password: goodPassword, Role: account.Moderator})
	require.NoError(t, err)
	th.client = s.client(t)
	th.tokens["owner"], th.tokens["moderator"] = th.login("anna", "correct horse").Access, th.login("mona", goodPassword).Access
	for _, name := range []string{"fan", "second", "stranger"} {
		th.tokens[name] = th.register(name).Access
	}
	th.follow("fan")
	th.follow("second")
	for n, visibility := range []string{"public", "unlisted", "followers", "private"} {
		of := s.create(t, stream.Create{Slug: visibility + "-1", Visibility: visibility, ReplayVisibility: visibility})
		th.videos[visibility] = s.broadcast(t, of, n+1)
	}
	return th
}

// pass lets time go by; everybody logs in again, as access ends after minutes.
func (th *theatre) pass(d time.Duration) {
	th.t.Helper()
	th.clock.pass(d)
	for _, name := range []string{"fan", "second", "stranger"} {
		th.tokens[name] = th.login(name, goodPassword).Access
	}
}

func (th *theatre) follow(name string) {
	th.t.Helper()
	th.want(200, "", "PUT", "/api/v1/users/@anna/follow", th.tokens[name], "")
}

// playback asks for what a stream or video has for somebody.
func (th *theatre) playback(path, who string) map[string]any {
	th.t.Helper()
	var body map[string]any
	a := th.want(200, "", "GET", "/api/v1/"+path+"/playback", th.tokens[who], "")
	require.NoError(th.t, json.Unmarshal(a.Body.Bytes(), &body))
	return body
}

// plays says whether the media at a URL may be had.
func (th *theatre) plays(url string) error {
	th.t.Helper()
	tok, rest := "", url
	if below, ok := strings.CutPrefix(url, "/t/"); ok {
		tok, rest, _ = strings.Cut(below, "/")
		rest = "/" + rest
	}
	parts := strings.Split(rest, "/")
	require.Len(th.t, parts, 4, url)
	ask := playback.Ask{Kind: token.VOD, Name: parts[2], Token: tok, Begins: true}
	if parts[1] == "live" {
		ask.Kind = token.Live
	}
	_, err := th.rights.Media(th.t.Context(), ask)
	return err
}

func TestPlaybackByVisibility(t *testing.T) {
	th := newTheatre(t)
	for visibility, may := range map[string][]string{
		"public":    {"anybody", "owner", "moderator", "fan", "second", "stranger"},
		"unlisted":  {"anybody", "owner", "moderator", "fan", "second", "stranger"},
		"followers": {"owner", "moderator", "fan", "second"},
		"private":   {"owner", "moderator"},
	} {
		for _, path := range []string{"streams/" + visibility + "-1", "videos/" + th.videos[visibility].ID} {
			var first map[string]any
			for who := range th.tokens {
				if !slices.Contains(may, who) {
					th.want(404, "not_found", "GET", "/api/v1/"+path+"/playback", th.tokens[who], "")
					continue
				}
				body := th.playback(path, who)
				if first == nil {
					first = body
				}
				assert.Equal(t, first, body, "one cohort has one answer: %s of %s", who, path)
				require.NoError(t, th.plays(body["hls_url"].(string)))
			}
			closed := visibility == "followers" || visibility == "private"
			assert.Equal(t, closed, first["token_expires_at"] != nil)
			assert.Equal(t, closed, strings.HasPrefix(first["hls_url"].(string), "/t/"))
		}
	}
}

// TestTwoFollowersHaveOneURL is a check of api.md 4.5: byte-equal in one bucket, another in the next.
func TestTwoFollowersHaveOneURL(t *testing.T) {
	th := newTheatre(t)
	for _, path := range []string{"streams/followers-1", "videos/" + th.videos["followers"].ID} {
		one := th.playback(path, "fan")
		th.pass(20 * time.Minute)
		assert.Equal(t, one, th.playback(path, "second"))
		th.want(404, "not_found", "GET", "/api/v1/"+path+"/playback", th.tokens["stranger"], "")
		th.pass(41 * time.Minute)
		next := th.playback(path, "second")
		assert.NotEqual(t, one["hls_url"], next["hls_url"])
		require.NoError(t, th.plays(one["hls_url"].(string)), "what somebody has already is good until it expires")
	}
}

// TestUnfollowEndsPlayback is a check of api.md 4.5: the next call answers 404. The URL that is held is good until it expires.
func TestUnfollowEndsPlayback(t *testing.T) {
	th := newTheatre(t)
	held := th.playback("streams/followers-1", "fan")["hls_url"].(string)
	th.want(204, "", "DELETE", "/api/v1/users/@anna/follow", th.tokens["fan"], "")
	th.want(404, "not_found", "GET", "/api/v1/streams/followers-1/playback", th.tokens["fan"], "")
	th.want(404, "not_found", "GET", "/api/v1/videos/"+th.videos["followers"].ID+"/playback", th.tokens["fan"], "")
	require.NoError(t, th.plays(held))
	th.pass(13 * time.Hour)
	require.ErrorIs(t, th.plays(held), playback.ErrExpired)
}

// TestBlockingEndsOldTokens: of all that the owner has, for everybody; who may still watch gets others.
func TestBlockingEndsOldTokens(t *testing.T) {
	th := newTheatre(t)
	paths := []string{"streams/followers-1", "streams/private-1", "videos/" + th.videos["followers"].ID, "videos/" + th.videos["private"].ID}
	held := map[string]string{}
	for _, path := range paths {
		held[path] = th.playback(path, "owner")["hls_url"].(string)
		require.NoError(t, th.plays(held[path]))
	}
	open := th.playback("streams/public-1", "anybody")["hls_url"].(string)
	th.want(204, "", "PUT", "/api/v1/users/@fan/block", th.tokens["owner"], "")
	for _, path := range paths {
		require.ErrorIs(t, th.plays(held[path]), playback.ErrExpired, path)
		require.NoError(t, th.plays(th.playback(path, "owner")["hls_url"].(string)), path)
	}
	require.NoError(t, th.plays(open))
	th.want(404, "not_found", "GET", "/api/v1/streams/followers-1/playback", th.tokens["fan"], "")
	require.NoError(t, th.plays(th.playback("streams/followers-1", "second")["hls_url"].(string)))
	again := th.playback("streams/followers-1", "second")["hls_url"]
	th.want(204, "", "PUT", "/api/v1/users/@fan/block", th.tokens["owner"], "")
	assert.Equal(t, again, th.playback("streams/followers-1", "second")["hls_url"], "blocked already: nothing has changed")
}

// TestVisibilityChangeEndsOldTokens: by the owner's PATCH, and by deletion.
func TestVisibilityChangeEndsOldTokens(t *testing.T) {
	th := newTheatre(t)
	held := th.playback("streams/followers-1", "fan")["hls_url"].(string)
	require.NoError(t, th.plays(held))
	edit := func(body string) {
		t.Helper()
		th.want(200, "", "PATCH", "/api/v1/streams/followers-1", th.tokens["owner"], body)
	}
	edit(`{"title":"Another"}`)
	require.NoError(t, th.plays(held))
	edit(`{"visibility":"private"}`)
	require.ErrorIs(t, th.plays(held), playback.ErrExpired)
	th.want(404, "not_found", "GET", "/api/v1/streams/followers-1/playback", th.tokens["fan"], "")
	edit(`{"visibility":"followers"}`)
	require.ErrorIs(t, th.plays(held), playback.ErrExpired, "what was taken back stays so")
	edit(`{"visibility":"public"}`)
	plain := th.playback("streams/followers-1", "anybody")["hls_url"].(string)
	assert.Equal(t, "/live/followers-1/index.m3u8", plain)
	require.NoError(t, th.plays(plain))
	require.NoError(t, th.plays(held), "everybody may watch, and so who has an old one")
	edit(`{"visibility":"followers"}`)
	require.ErrorIs(t, th.plays(plain), playback.ErrHidden)
	last := th.playback("streams/followers-1", "fan")["hls_url"].(string)
	th.want(204, "", "DELETE", "/api/v1/streams/followers-1", th.tokens["owner"], "")
	require.ErrorIs(t, th.plays(last), playback.ErrExpired)
}

// TestPlaybackOfWhatIsClosed holds every address to the token, and the cookie to this origin and path.
func TestPlaybackOfWhatIsClosed(t *testing.T) {
	th := newTheatre(t)
	info := liveInfo("followers-1")
	info.Thumbnail = true
	th.deps.Live = onAir{infos: []api.LiveInfo{info}}
	th.client = th.site.client(t)
	a := th.want(200, "", "GET", "/api/v1/streams/followers-1/playback", th.tokens["fan"], "")
	assert.Equal(t, "private, no-cache", a.Header().Get("Cache-Control"))
	body := th.playback("streams/followers-1", "fan")
	tok := body["playback_token"].(string)
	assert.Len(t, tok, token.Length)
	assert.Equal(t, "/t/"+tok+"/live/followers-1/index.m3u8", body["hls_url"])
	assert.Equal(t, "/t/"+tok+"/live/followers-1/dvr.m3u8", body["dvr_url"])
	assert.Equal(t, "/whep/followers-1?token="+tok, body["whep_url"])
	cookie := a.Header().Get("Set-Cookie")
	assert.Regexp(t, `^mediad_pb=`+tok+`; Path=/live/followers-1/; Max-Age=\d+; HttpOnly; SameSite=Strict$`, cookie)
	expires, err := time.Parse(time.RFC3339, body["token_expires_at"].(string))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, expires.Sub(th.clock.Now()), 12*time.Hour)
	assert.LessOrEqual(t, expires.Sub(th.clock.Now()), 13*time.Hour)
	assert.Contains(t, th.want(200, "", "GET", "/api/v1/streams/followers-1", th.tokens["fan"], "").Body.String(), `"thumbnail_url":"/t/`+tok+`/live/followers-1/thumb.jpg"`)

	v := th.videos["followers"]
	require.NoError(t, th.db.Tx(t.Context(), func(q db.Queries) error { return q.SetPictures(v.ID, db.PicturesMade, 1) }))
	a = th.want(200, "", "GET", "/api/v1/videos/"+v.ID+"/playback", th.tokens["fan"], "")
	body = th.playback("videos/"+v.ID, "fan")
	prefix := strings.TrimSuffix(body["hls_url"].(string), "index.m3u8")
	assert.Regexp(t, `^/t/[A-Za-z0-9_-]{32}/vod/`+v.ID+`/$`, prefix)
	assert.Equal(t, prefix+"thumb.jpg", body["thumbnail_url"])
	assert.Equal(t, prefix+"storyboard.vtt", body["storyboard_url"])
	assert.Equal(t, prefix+"download.mp4", body["download_url"])
	assert.Contains(t, a.Header().Get("Set-Cookie"), "; Path=/vod/"+v.ID+"/; ")
	expires, err = time.Parse(time.RFC3339, body["token_expires_at"].(string))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, expires.Sub(th.clock.Now()), 6*time.Hour)
	assert.LessOrEqual(t, expires.Sub(th.clock.Now()), 7*time.Hour)
	one := th.want(200, "", "GET", "/api/v1/videos/"+v.ID, th.tokens["fan"], "").Body.String()
	assert.Contains(t, one, `"thumbnail_url":"`+prefix+`thumb.jpg"`)

	open := th.want(200, "", "GET", "/api/v1/streams/public-1/playback", th.tokens["fan"], "")
	assert.Empty(t, open.Header().Get("Set-Cookie"))
	assert.NotContains(t, open.Body.String(), "token")
}
