package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/account"
	"mediad/api/apitest"
	"mediad/api/stream"
	"mediad/store/db"
)

// own is a stream as its owner sees it.
type own struct {
	ID, Slug, Visibility string
	StreamKey            string `json:"stream_key"`
	Keys                 []struct{ ID, Hint, Label string }
	Ingest               map[string]*string
	ETag                 string `json:"-"`
}

func (c client) streamer(name string) session {
	c.t.Helper()
	one := c.register(name)
	c.want(200, "", "POST", "/api/v1/me/streamer", one.Access, "")
	return one
}

func (c client) own(a *apitest.Answer) own {
	c.t.Helper()
	var o own
	require.NoError(c.t, json.Unmarshal(a.Body.Bytes(), &o), a.Body.String())
	o.ETag = a.Header().Get("ETag")
	return o
}

func (c client) stream(token, body string) own {
	c.t.Helper()
	return c.own(c.want(201, "", "POST", "/api/v1/streams", token, body))
}

func TestAStreamerMakesStreams(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	viewer := c.register("viewer1")
	c.want(403, "role_required", "POST", "/api/v1/streams", viewer.Access, `{"title":"x"}`)
	bert := c.streamer("bert")
	a := c.want(201, "", "POST", "/api/v1/streams", bert.Access,
		`{"slug":"blitz","title":" Friday \u202e<b>blitz</b> ","tags":["Go","chess"],"dvr_s":600,"visibility":"unlisted"}`)
	made := c.own(a)
	assert.Regexp(t, `^mds_[a-z2-7]{32}$`, made.StreamKey)
	assert.Equal(t, "/api/v1/streams/"+made.ID, a.Header().Get("Location"))
	assert.Regexp(t, `^"v1-`, made.ETag)
	require.Len(t, made.Keys, 1)
	assert.Equal(t, made.StreamKey[32:], made.Keys[0].Hint)
	assert.Equal(t, "rtmp://example.com/live", *made.Ingest["rtmp_url"])
	assert.Equal(t, "rtmps://example.com:1936/live", *made.Ingest["rtmps_url"])
	assert.Nil(t, made.Ingest["srt_url"])
	for _, want := range []string{`"title":"Friday <b>blitz</b>"`, `"tags":["Go","chess"]`, `"replay_visibility":"unlisted"`, `"me":{"is_owner":true}`} {
		assert.Contains(t, a.Body.String(), want)
	}
	// Replays follow who may watch, unless they were told to go their own way.
	for _, step := range []struct{ patch, want string }{
		{`{"visibility":"followers"}`, `"replay_visibility":"followers"`}, {`{"replay_visibility":"public"}`, `"replay_visibility":"public"`},
		{`{"visibility":"private"}`, `"replay_visibility":"public"`}, {`{"replay_visibility":null}`, `"replay_visibility":"private"`},
		{`{"visibility":"unlisted"}`, `"replay_visibility":"unlisted"`}, {`{"visibility":"unlisted","replay_visibility":"private"}`, `"replay_visibility":"private"`},
		{`{"replay_visibility":null}`, `"replay_visibility":"unlisted"`},
	} {
		assert.Contains(t, c.want(200, "", "PATCH", "/api/v1/streams/blitz", bert.Access, step.patch).Body.String(), step.want, step.patch)
	}
	grant, err := s.streams.AuthorizePublish(t.Context(), made.StreamKey, "203.0.113.9:1")
	require.NoError(t, err)
	assert.Equal(t, made.ID, grant.StreamID)

	seen := c.want(200, "", "GET", "/api/v1/streams/blitz", bert.Access, "").Body.String()
	assert.Contains(t, seen, `"last_ip":"203.0.113.x"`)
	for _, token := range []string{"", viewer.Access} {
		others := c.want(200, "", "GET", "/api/v1/streams/blitz", token, "").Body.String()
		for _, hidden := range []string{"keys", "ingest", "hint", "last_ip", "stream_key"} {
			assert.NotContains(t, others, `"`+hidden+`"`)
		}
	}

	for body, code := range map[string]string{
		`{"title":" "}`: "too_short", `{"title":"` + strings.Repeat("é", 121) + `"}`: "too_long", `{}`: "required", `{"title":"x","slug":"Ab c"}`: "invalid_format",
		`{"title":"x","slug":"ab"}`: "invalid_format", `{"title":"x","slug":"0198f2a0-0000-7000-8000-000000000031"}`: "invalid_format",
		`{"title":"x","visibility":"secret"}`: "invalid_enum", `{"title":"x","dvr_s":86401}`: "out_of_range", `{"title":"x","resume_window_s":-1}`: "out_of_range",
		`{"title":"x","tags":["1","2","3","4","5","6","7","8","9","10","11"]}`: "too_long", `{"title":"x","max_viewers":0}`: "out_of_range",
		`{"title":"x","owner":"me"}`: "unknown_field", `{"title":"x","slug":"' OR 1=1 --"}`: "invalid_format", `{"title":"x","description":"` + strings.Repeat("x", 2001) + `"}`: "too_long",
	} {
		assert.Contains(t, c.want(422, "validation_failed", "POST", "/api/v1/streams", bert.Access, body).Body.String(), `"code":"`+code+`"`, body)
	}
	c.want(409, "slug_taken", "POST", "/api/v1/streams", bert.Access, `{"title":"x","slug":"blitz"}`)
	c.stream(bert.Access, `{"title":"two"}`)
	c.stream(bert.Access, `{"title":"three"}`)
	assert.Contains(t, c.want(409, "limit_reached", "POST", "/api/v1/streams", bert.Access, `{"title":"four"}`).Body.String(), `"max":3`)

	var list struct {
		Items      []own
		NextCursor *string `json:"next_cursor"`
	}
	require.NoError(t, json.Unmarshal(c.want(200, "", "GET", "/api/v1/me/streams?limit=2", bert.Access, "").Body.Bytes(), &list))
	require.Len(t, list.Items, 2)
	require.NotNil(t, list.NextCursor)
	require.NoError(t, json.Unmarshal(c.want(200, "", "GET", "/api/v1/me/streams?limit=2&cursor="+*list.NextCursor, bert.Access, "").Body.Bytes(), &list))
	require.Len(t, list.Items, 1)
	assert.Equal(t, "blitz", list.Items[0].Slug)
	assert.Len(t, list.Items[0].Keys, 1)
	assert.Nil(t, list.NextCursor)
	c.want(400, "invalid_cursor", "GET", "/api/v1/me/streams?cursor=x", bert.Access, "")
}

func TestStreamsArePatched(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.streamer("bert")
	made := c.stream(bert.Access, `{"slug":"blitz","title":"One","max_viewers":5,"record":false}`)
	path := "/api/v1/streams/" + made.ID
	got := c.want(200, "", "GET", path, bert.Access, "")
	assert.Equal(t, made.ETag[:4], got.Header().Get("ETag")[:4])
	a := c.want(200, "", "PATCH", path, bert.Access, `{"title":"Two","tags":["B","a"],"slug":"rapid","visibility":"private","dvr_s":0,"mature":true}`,
		"If-Match", got.Header().Get("ETag"), "Content-Type", "application/merge-patch+json")
	for _, want := range []string{`"title":"Two"`, `"tags":["B","a"]`, `"slug":"rapid"`, `"visibility":"private"`, `"dvr_s":0`, `"mature":true`, `"max_viewers":5`} {
		assert.Contains(t, a.Body.String(), want)
	}
	c.want(412, "version_mismatch", "PATCH", path, bert.Access, `{"title":"Stale"}`, "If-Match", got.Header().Get("ETag"))
	c.want(404, "not_found", "GET", "/api/v1/streams/blitz", bert.Access, "")
	a = c.want(200, "", "PATCH", path, bert.Access, `{"title":null,"tags":null,"visibility":null,"dvr_s":null,"record":null,"max_viewers":null,"description":null}`)
	for _, want := range []string{`"title":"rapid"`, `"tags":[]`, `"visibility":"public"`, `"dvr_s":7200`, `"record":true`, `"mature":true`} {
		assert.Contains(t, a.Body.String(), want)
	}
	assert.NotContains(t, a.Body.String(), "max_viewers")
	for body, code := range map[string]string{
		`{"slug":null}`: "invalid_format", `{"title":""}`: "too_short", `{"visibility":"x"}`: "invalid_enum", `{"owner":"x"}`: "unknown_field", `{"state":"live"}`: "unknown_field",
	} {
		assert.Contains(t, c.want(422, "validation_failed", "PATCH", path, bert.Access, body).Body.String(), `"code":"`+code+`"`, body)
	}
	c.stream(bert.Access, `{"slug":"other","title":"x"}`)
	c.want(409, "slug_taken", "PATCH", path, bert.Access, `{"slug":"other"}`)
	require.NoError(t, s.streams.SaveSession(t.Context(), db.Session{ID: "0198f2a0-0000-7000-8000-0000000000e1", StreamID: made.ID, StartedAt: db.At(noon)}))
	c.want(409, "invalid_state", "PATCH", path, bert.Access, `{"slug":"later"}`)
	c.want(200, "", "PATCH", path, bert.Access, `{"slug":"rapid","title":"Same"}`)
}

func TestStreamsAreDeleted(t *testing.T) {
	s := newSite(t, db.Options{})
	s.deps.Live = onAir{infos: []stream.LiveInfo{liveInfo("onair")}}
	c := s.client(t)
	bert := c.streamer("bert")
	c.stream(bert.Access, `{"slug":"onair","title":"x"}`)
	c.want(409, "stream_live", "DELETE", "/api/v1/streams/onair", bert.Access, "")
	made := c.stream(bert.Access, `{"slug":"gone","title":"x"}`)
	c.want(412, "version_mismatch", "DELETE", "/api/v1/streams/gone", bert.Access, "", "If-Match", `"v9-x"`)
	c.want(204, "", "DELETE", "/api/v1/streams/gone", bert.Access, "", "If-Match", made.ETag)
	for _, path := range []string{"/api/v1/streams/gone", "/api/v1/streams/" + made.ID, "/api/v1/streams/gone/playback", "/api/v1/streams/gone/sessions"} {
		c.want(404, "not_found", "GET", path, bert.Access, "")
	}
	c.want(404, "not_found", "DELETE", "/api/v1/streams/gone", bert.Access, "")
	assert.NotContains(t, c.want(200, "", "GET", "/api/v1/streams", "", "").Body.String(), "gone")
	assert.NotContains(t, c.want(200, "", "GET", "/api/v1/me/streams", bert.Access, "").Body.String(), "gone")
	_, err := s.streams.AuthorizePublish(t.Context(), made.StreamKey, "203.0.113.9:1")
	var refused *stream.Refusal
	require.ErrorAs(t, err, &refused)
	c.want(409, "slug_taken", "POST", "/api/v1/streams", c.streamer("carl").Access, `{"slug":"gone","title":"x"}`)
	c.stream(bert.Access, `{"title":"room for two"}`)
}

func TestKeysAreMadeRevokedAndRotated(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.streamer("bert")
	made := c.stream(bert.Access, `{"slug":"blitz","title":"x"}`)
	const keys = "/api/v1/streams/blitz/keys"
	opens := func(key string) bool {
		_, err := s.streams.AuthorizePublish(t.Context(), key, "203.0.113.9:1")
		return err == nil
	}
	type key struct {
		ID, Hint  string
		StreamKey string `json:"stream_key"`
	}
	add := func(body string) (k key) {
		a := c.want(201, "", "POST", keys, bert.Access, body)
		require.NoError(t, json.Unmarshal(a.Body.Bytes(), &k))
		assert.Equal(t, "/api/v1/streams/"+made.ID+"/keys/"+k.ID, a.Header().Get("Location"))
		return k
	}
	second := add(`{"label":"Laptop","expires_at":"2026-03-01T13:00:00.000Z"}`)
	assert.True(t, opens(second.StreamKey))
	for body, code := range map[string]string{
		`{"label":"` + strings.Repeat("x", 41) + `"}`: "too_long", `{"expires_at":"2020-01-01T00:00:00.000Z"}`: "out_of_range", `{"secret":"x"}`: "unknown_field",
	} {
		assert.Contains(t, c.want(422, "validation_failed", "POST", keys, bert.Access, body).Body.String(), `"code":"`+code+`"`, body)
	}
	for range 3 {
		add(``)
	}
	assert.Contains(t, c.want(409, "limit_reached", "POST", keys, bert.Access, `{}`).Body.String(), `"max":5`)
	c.want(204, "", "DELETE", keys+"/"+second.ID, bert.Access, "")
	c.want(404, "not_found", "DELETE", keys+"/"+second.ID, bert.Access, "")
	assert.False(t, opens(second.StreamKey))

	var rotated key
	require.NoError(t, json.Unmarshal(c.want(201, "", "POST", keys+"/rotate", bert.Access, `{"grace_s":60}`).Body.Bytes(), &rotated))
	assert.True(t, opens(rotated.StreamKey))
	assert.True(t, opens(made.StreamKey), "within the grace")
	s.clock.pass(time.Minute)
	assert.False(t, opens(made.StreamKey))
	assert.True(t, opens(rotated.StreamKey))
	for _, grace := range []string{"-1", "3601", "9223372036854775807"} {
		c.want(422, "out_of_range", "POST", keys+"/rotate", bert.Access, `{"grace_s":`+grace+`}`)
	}
	c.want(201, "", "POST", keys+"/rotate", bert.Access, "")
	assert.False(t, opens(rotated.StreamKey))
	assert.Len(t, c.own(c.want(200, "", "GET", "/api/v1/streams/blitz", bert.Access, "")).Keys, 1)
}

func TestParallelRotationsLeaveOneKey(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.streamer("bert")
	first := c.stream(bert.Access, `{"slug":"blitz","title":"x"}`)
	const n = 100
	secrets := make([]string, n+1)
	secrets[n] = first.StreamKey
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			_, secret, err := s.streams.RotateKey(t.Context(), first.ID, stream.Rotate{})
			if assert.NoError(t, err) {
				secrets[i] = secret
			}
		})
	}
	wait.Wait()
	good := 0
	for _, secret := range secrets {
		if _, err := s.streams.AuthorizePublish(t.Context(), secret, "203.0.113.9:1"); err == nil {
			good++
		}
	}
	assert.Equal(t, 1, good)
	assert.Len(t, c.own(c.want(200, "", "GET", "/api/v1/streams/blitz", bert.Access, "")).Keys, 1)
	rows, err := s.db.Read(t.Context()).ListAuditChain("test", noon.Format(time.DateOnly), 0, 500)
	require.NoError(t, err)
	turns := 0
	for _, r := range rows {
		if r.Action == "stream_key.rotate" {
			turns++
		}
	}
	assert.Equal(t, n, turns)
}

func TestBroadcastsAreEndedAndStreamsDisabled(t *testing.T) {
	s := newSite(t, db.Options{})
	ended := map[string]string{}
	s.deps.Live = onAir{infos: []stream.LiveInfo{liveInfo("onair")}, ended: ended}
	c := s.client(t)
	bert, admin := c.streamer("bert"), c.login("anna", "correct horse")
	c.stream(bert.Access, `{"slug":"onair","title":"x"}`)
	idle := c.stream(bert.Access, `{"slug":"idle","title":"x"}`)
	c.want(202, "", "POST", "/api/v1/streams/onair/end", bert.Access, "")
	assert.Equal(t, "ended_by_owner", ended["onair"])
	c.want(202, "", "POST", "/api/v1/streams/onair/end", admin.Access, "")
	assert.Equal(t, "ended_by_admin", ended["onair"])
	assert.Contains(t, c.want(409, "invalid_state", "POST", "/api/v1/streams/idle/end", bert.Access, "").Body.String(), `"state":"idle"`)

	c.want(200, "", "GET", "/api/v1/streams/onair/health", bert.Access, "")
	assert.Contains(t, c.want(409, "invalid_state", "GET", "/api/v1/streams/idle/health", bert.Access, "").Body.String(), `"state":"idle"`)

	for range 2 {
		c.want(204, "", "PUT", "/api/v1/streams/idle/disabled", bert.Access, `{"reason":"holiday"}`)
	}
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/streams/idle", "", "").Body.String(), `"state":"disabled"`)
	_, err := s.streams.AuthorizePublish(t.Context(), idle.StreamKey, "203.0.113.9:1")
	var refused *stream.Refusal
	require.ErrorAs(t, err, &refused)
	assert.True(t, refused.Disabled())
	c.want(422, "too_long", "PUT", "/api/v1/streams/idle/disabled", bert.Access, `{"reason":"`+strings.Repeat("x", 201)+`"}`)
	for range 2 {
		c.want(204, "", "DELETE", "/api/v1/streams/idle/disabled", bert.Access, "")
	}
	_, err = s.streams.AuthorizePublish(t.Context(), idle.StreamKey, "203.0.113.9:1")
	require.NoError(t, err)

	for i := range 103 {
		require.NoError(t, s.streams.NoteDisconnect(t.Context(), stream.Disconnect{
			StreamID: idle.ID, At: noon, Protocol: "rtmp", Remote: "203.0.113.9:1935", Code: "replaced", Detail: fmt.Sprint(i),
		}))
	}
	a := c.want(200, "", "GET", "/api/v1/streams/idle/disconnects", bert.Access, "")
	assert.Equal(t, 100, strings.Count(a.Body.String(), `"code"`))
	assert.Contains(t, a.Body.String(), `"remote":"203.0.113.x"`)
	assert.Contains(t, a.Body.String(), `"detail":"102"`)
	assert.NotContains(t, a.Body.String(), `"detail":"2"`)
	assert.NotContains(t, a.Body.String(), "203.0.113.9")
}

// TestStreamsOfOthers tries every id of a stream with every caller that it is not of (IDOR).
func TestStreamsOfOthers(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert, carl := c.streamer("bert"), c.streamer("carl")
	_, err := s.accounts.Create(t.Context(), account.Create{Username: "mona", Password: goodPassword, Role: account.Moderator})
	require.NoError(t, err)
	viewer, moderator, admin := c.register("viewer1"), c.login("mona", goodPassword), c.login("anna", "correct horse")
	carls := c.stream(carl.Access, `{"slug":"carls","title":"x"}`)
	for _, visibility := range []string{"public", "unlisted", "followers", "private"} {
		made := c.stream(bert.Access, `{"slug":"`+visibility+`-1","title":"x","visibility":"`+visibility+`"}`)
		hidden := visibility == "followers" || visibility == "private"
		calls := [][3]string{
			{"PATCH", "", `{"title":"mine"}`}, {"DELETE", "", ""}, {"POST", "/keys", ""}, {"POST", "/keys/rotate", ""}, {"DELETE", "/keys/" + made.Keys[0].ID, ""},
			{"POST", "/end", ""}, {"PUT", "/disabled", ""}, {"DELETE", "/disabled", ""}, {"GET", "/disconnects", ""}, {"GET", "/health", ""},
		}
		for _, name := range []string{made.ID, made.Slug} {
			for who, token := range map[string]string{"viewer": viewer.Access, "other streamer": carl.Access} {
				status, code := 403, "forbidden"
				if hidden {
					status, code = 404, "not_found"
				}
				for _, call := range calls {
					a := c.do(call[0], "/api/v1/streams/"+name+call[1], token, call[2])
					assert.Equal(t, status, a.Code, "%s %s %s %s", visibility, who, call, a.Body)
					assert.Contains(t, a.Body.String(), `"code":"`+code+`"`)
				}
				for _, path := range []string{"", "/playback", "/sessions"} {
					assert.Equal(t, hidden, c.do("GET", "/api/v1/streams/"+name+path, token, "").Code == 404, "%s %s %s", visibility, who, path)
				}
			}
			for _, path := range []string{"", "/playback", "/sessions"} {
				assert.Equal(t, hidden, c.do("GET", "/api/v1/streams/"+name+path, "", "").Code == 404, "%s %s", visibility, path)
				c.want(200, "", "GET", "/api/v1/streams/"+name+path, bert.Access, "")
				c.want(200, "", "GET", "/api/v1/streams/"+name+path, moderator.Access, "")
			}
			for _, call := range calls[:9] {
				c.want(403, "forbidden", call[0], "/api/v1/streams/"+name+call[1], moderator.Access, call[2])
			}
			c.want(409, "invalid_state", "GET", "/api/v1/streams/"+name+"/health", moderator.Access, "")
			assert.NotContains(t, c.want(200, "", "GET", "/api/v1/streams/"+name, admin.Access, "").Body.String(), `"keys"`)
		}
		// A key is taken back at its own stream only.
		c.want(404, "not_found", "DELETE", "/api/v1/streams/carls/keys/"+made.Keys[0].ID, carl.Access, "")
		c.want(404, "not_found", "DELETE", "/api/v1/streams/"+made.Slug+"/keys/"+carls.Keys[0].ID, bert.Access, "")
		c.want(200, "", "PATCH", "/api/v1/streams/"+made.Slug, admin.Access, `{"title":"By an admin"}`)
		assert.Equal(t, visibility == "public", strings.Contains(c.want(200, "", "GET", "/api/v1/streams", "", "").Body.String(), made.Slug))
		assert.NotContains(t, c.want(200, "", "GET", "/api/v1/me/streams", carl.Access, "").Body.String(), made.Slug)
		c.want(204, "", "DELETE", "/api/v1/streams/"+made.Slug, bert.Access, "")
	}

	var token struct{ Token string }
	require.NoError(t, json.Unmarshal(c.want(201, "", "POST", "/api/v1/me/api-tokens", bert.Access, `{"label":"x","scopes":["profile"]}`).Body.Bytes(), &token))
	c.stream(bert.Access, `{"slug":"shy","title":"x","visibility":"private"}`)
	c.want(404, "not_found", "GET", "/api/v1/streams/shy", token.Token, "")
	c.want(403, "scope_missing", "DELETE", "/api/v1/streams/shy", token.Token, "")
}

// follows knows pairs of users, "a b": a follows b.
type follows map[string]bool

func (f follows) Follows(_ context.Context, follower, followee string) (bool, error) {
	return f[follower+" "+followee], nil
}

func (f follows) Moderates(_ context.Context, user, owner string) (bool, error) {
	return f[user+" moderates "+owner], nil
}

func TestFollowersSeeWhatIsForThem(t *testing.T) {
	s := newSite(t, db.Options{})
	relations := follows{}
	s.streams = stream.New(stream.Options{DB: s.db, Owner: s.accounts.FirstAdmin, Relations: relations, Now: s.clock.Now})
	s.deps.Streams = s.streams
	c := s.client(t)
	bert, fan := c.streamer("bert"), c.register("fan")
	c.stream(bert.Access, `{"slug":"for-fans","title":"x","visibility":"followers"}`)
	c.stream(bert.Access, `{"slug":"for-none","title":"x","visibility":"private"}`)
	c.want(404, "not_found", "GET", "/api/v1/streams/for-fans", fan.Access, "")
	relations[fan.User.ID+" "+bert.User.ID] = true
	c.want(200, "", "GET", "/api/v1/streams/for-fans", fan.Access, "")
	c.want(404, "not_found", "GET", "/api/v1/streams/for-none", fan.Access, "")
	c.want(403, "forbidden", "GET", "/api/v1/streams/for-fans/health", fan.Access, "")
	relations[fan.User.ID+" moderates "+bert.User.ID] = true
	c.want(409, "invalid_state", "GET", "/api/v1/streams/for-fans/health", fan.Access, "")
}

// TestStreamKeysAreNowhere looks for every key of a stream's life in answers, logs and the database's files.
func TestStreamKeysAreNowhere(t *testing.T) {
	s := newSite(t, db.Options{Path: filepath.Join(t.TempDir(), "mediad.db")})
	c := s.client(t)
	bert := c.streamer("bert")
	made := c.stream(bert.Access, `{"slug":"blitz","title":"x"}`)
	secrets := []string{made.StreamKey}
	for _, path := range []string{"/keys", "/keys/rotate"} {
		var k struct {
			StreamKey string `json:"stream_key"`
		}
		require.NoError(t, json.Unmarshal(c.want(201, "", "POST", "/api/v1/streams/blitz"+path, bert.Access, "").Body.Bytes(), &k))
		secrets = append(secrets, k.StreamKey)
	}
	_, err := s.streams.AuthorizePublish(t.Context(), secrets[2], "203.0.113.9:1")
	require.NoError(t, err)
	_, err = s.streams.AuthorizePublish(t.Context(), secrets[0], "203.0.113.9:1")
	require.Error(t, err)
	kept := s.logs.String()
	for _, path := range []string{"/streams", "/me/streams", "/streams/blitz", "/streams/blitz/playback", "/streams/blitz/sessions", "/streams/blitz/disconnects", "/me"} {
		kept += c.want(200, "", "GET", "/api/v1"+path, bert.Access, "").Body.String()
	}
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(s.db.Where() + suffix)
		require.NoError(t, err)
		kept += string(text)
	}
	require.Contains(t, kept, made.ID, "the search finds what is there")
	for _, secret := range secrets {
		assert.NotContains(t, kept, secret)
		assert.NotContains(t, kept, secret[4:])
	}
}

// TestKeysOfWhoIsNoStreamerAnyMoreOpenNothing: publisher and broadcast end, and all is as before once the role is back.
func TestKeysOfWhoIsNoStreamerAnyMoreOpenNothing(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.streamer("bert")
	made := c.stream(bert.Access, `{"slug":"main","title":"Main"}`)
	grant, err := s.streams.AuthorizePublish(t.Context(), made.StreamKey, "192.0.2.1:1")
	require.NoError(t, err)
	onAir := []stream.OnAir{{Grant: grant}}
	become := func(role string) {
		admin := c.login("anna", "correct horse").Access
		c.want(200, "", "PATCH", "/api/v1/admin/users/@bert", admin, `{"role":"`+role+`"}`)
	}
	dead, err := s.streams.CheckOnAir(t.Context(), onAir)
	require.NoError(t, err)
	require.Empty(t, dead)

	become("viewer")
	_, err = s.streams.AuthorizePublish(t.Context(), made.StreamKey, "192.0.2.1:1")
	var refused *stream.Refusal
	require.ErrorAs(t, err, &refused)
	assert.True(t, refused.Disabled())
	assert.Contains(t, refused.Detail(), "no streamer any more")
	dead, err = s.streams.CheckOnAir(t.Context(), onAir)
	require.NoError(t, err)
	require.Len(t, dead, 1)
	assert.True(t, dead[0].Refusal.Disabled(), "what is on air ends, as for a stream that is disabled")

	become("streamer")
	_, err = s.streams.AuthorizePublish(t.Context(), made.StreamKey, "192.0.2.1:1")
	require.NoError(t, err)
}
