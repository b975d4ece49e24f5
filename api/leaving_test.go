package api_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api"
	"mediad/api/account"
	"mediad/api/apitest"
	"mediad/api/stream"
	"mediad/api/video"
	"mediad/store/db"
)

const myPassword = `{"password":"` + goodPassword + `"}`

// drop lets objects go at once.
func (s *site) drop(q db.Queries, key string) error { return s.keeper.Drop(q, key) }

// erase runs what is due.
func (s *site) erase(t testing.TB) {
	t.Helper()
	require.NoError(t, swept(s.accounts.EraseDue(t.Context(), s.drop)))
	s.clock.pass(2 * time.Minute)
	require.NoError(t, swept(s.keeper.Sweep(t.Context())))
}

func TestAccountIsClosedAndComesBack(t *testing.T) {
	s := newSite(t, db.Options{})
	ended := map[string]string{}
	s.deps.Live = onAir{infos: []api.LiveInfo{liveInfo("main")}, ended: ended}
	c := s.client(t)
	bert, carl := c.register("bert"), c.register("carl")
	c.want(200, "", "POST", "/api/v1/me/streamer", bert.Access, "")
	made := c.want(201, "", "POST", "/api/v1/streams", bert.Access, `{"title":"Main","slug":"main"}`)
	key := field(t, made, "stream_key")
	token := field(t, c.want(201, "", "POST", "/api/v1/me/api-tokens", bert.Access, `{"label":"x","scopes":["profile"]}`), "token")
	avatar := c.put("/api/v1/me/avatar", bert.Access, square(t, 100, aRed))
	c.want(200, "", "PUT", "/api/v1/users/@bert/follow", carl.Access, "")
	c.want(200, "", "PUT", "/api/v1/users/@carl/follow", bert.Access, "")
	row, err := s.streams.Find(t.Context(), "main")
	require.NoError(t, err)
	_, err = s.streams.AuthorizePublish(t.Context(), key, "192.0.2.1:1")
	require.NoError(t, err)
	v := s.replay(t, row, "0198f2a0-0000-7000-8000-000000000301")
	c.want(200, "", "GET", "/api/v1/videos/"+v.ID, "", "")

	c.want(401, "bad_credentials", "DELETE", "/api/v1/me", bert.Access, `{"password":"a wrong password"}`)
	c.want(412, "version_mismatch", "DELETE", "/api/v1/me", bert.Access, myPassword, "If-Match", `"v1-kq3zJ0p5xg"`)
	c.want(403, "scope_missing", "DELETE", "/api/v1/me", token, myPassword)
	c.want(401, "unauthenticated", "DELETE", "/api/v1/me", "", myPassword)
	c.want(422, "required", "DELETE", "/api/v1/me", bert.Access, `{}`)
	c.want(409, "invalid_state", "POST", "/api/v1/auth/restore", "", restoring("bert"))
	other := c.login("bert", goodPassword)
	a := c.want(202, "", "DELETE", "/api/v1/me", bert.Access, myPassword)
	assert.Contains(t, a.Body.String(), `"erased_at":"2026-03-15T12:00:00.000Z"`)

	for _, one := range []session{bert, other} {
		c.want(401, "token_invalid", "GET", "/api/v1/me", one.Access, "")
		assert.Equal(t, 401, c.refresh(one.Refresh).Code)
	}
	c.want(401, "token_invalid", "GET", "/api/v1/me", token, "")
	c.want(401, "bad_credentials", "POST", "/api/v1/auth/login", "", `{"login":"bert","password":"`+goodPassword+`"}`)
	assert.Equal(t, map[string]string{"main": stream.EndedByOwner}, ended)
	_, err = s.streams.AuthorizePublish(t.Context(), key, "192.0.2.1:1")
	var refused *stream.Refusal
	require.ErrorAs(t, err, &refused)
	dead, err := s.streams.CheckOnAir(t.Context(), []stream.OnAir{{Grant: stream.Grant{StreamID: row.ID, Stream: "main"}}})
	require.NoError(t, err)
	assert.Len(t, dead, 1, "another node cuts it too")
	for _, path := range []string{"/users/@bert", "/users/" + bert.User.ID, "/streams/main", "/videos/" + v.ID, "/users/@bert/streams", "/users/@bert/followers"} {
		for _, who := range []string{"", carl.Access} {
			c.want(404, "not_found", "GET", "/api/v1"+path, who, "")
		}
	}
	c.want(404, "not_found", "PUT", "/api/v1/users/@bert/follow", carl.Access, "")
	assert.NotContains(t, c.want(200, "", "GET", "/api/v1/streams", "", "").Body.String(), "main")
	seen := c.want(200, "", "GET", "/api/v1/users/@carl", "", "").Body.String()
	assert.Contains(t, seen, `"followers_count":0,"following_count":0`)
	assert.NotContains(t, c.want(200, "", "GET", "/api/v1/users/@carl/followers", "", "").Body.String(), "bert")
	c.want(409, "username_taken", "POST", "/api/v1/auth/register", "", `{"username":"bert","password":"`+goodPassword+`"}`)
	admin := c.login("anna", "correct horse")
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/admin/users?state=leaving", admin.Access, "").Body.String(), `"bert"`)
	c.want(404, "not_found", "PUT", "/api/v1/users/"+bert.User.ID+"/suspension", admin.Access, `{"reason":"x"}`)

	c.want(200, "", "PATCH", "/api/v1/streams/"+row.ID, admin.Access, `{"visibility":"public","title":"Seen by an admin"}`)
	c.want(404, "not_found", "GET", "/api/v1/streams/main", carl.Access, "")

	s.clock.pass(14*24*time.Hour - time.Second)
	s.erase(t)
	s.clock.pass(-2 * time.Minute)
	c.want(401, "bad_credentials", "POST", "/api/v1/auth/restore", "", `{"login":"bert","password":"a wrong password"}`)
	c.want(204, "", "POST", "/api/v1/auth/restore", "", restoring("BERT"))
	c.want(409, "invalid_state", "POST", "/api/v1/auth/restore", "", restoring("bert"))
	c.want(401, "token_invalid", "GET", "/api/v1/me", token, "")
	bert = c.login("bert", goodPassword)
	c.want(200, "", "GET", "/api/v1/streams/main", "", "")
	c.want(200, "", "GET", "/api/v1/videos/"+v.ID, "", "")
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/me", bert.Access, "").Body.String(), `"followers_count":1,"following_count":1`)
	assert.Equal(t, 200, s.picture(t, avatar).Code)
	_, err = s.streams.AuthorizePublish(t.Context(), key, "192.0.2.1:1")
	require.NoError(t, err)
}

// field is a text of an answer's body.
func field(t testing.TB, a *apitest.Answer, name string) string {
	t.Helper()
	var body map[string]any
	require.NoError(t, json.Unmarshal(a.Body.Bytes(), &body))
	text, ok := body[name].(string)
	require.True(t, ok, name)
	return text
}

func restoring(login string) string {
	return fmt.Sprintf(`{"login":%q,"password":%q}`, login, goodPassword)
}

// replay makes a public replay of a stream.
func (s *site) replay(t testing.TB, of db.Stream, session string) db.Video {
	t.Helper()
	require.NoError(t, s.streams.SaveSession(t.Context(), db.Session{ID: session, StreamID: of.ID, StartedAt: db.At(noon)}))
	require.NoError(t, s.videos.BeginRecording(t.Context(), session, of.ID, true))
	require.NoError(t, s.videos.EndRecording(t.Context(), session))
	v, err := s.videos.MakeReplay(t.Context(), session, &video.Facts{Duration: time.Minute, Bytes: 1000, Stored: 5000})
	require.NoError(t, err)
	s.media[v.ID] = []video.Rendition{{Name: "source", Codecs: "avc1.64001f"}}
	return v
}

// TestAccountIsErased looks for what is left of one in every table.
func TestAccountIsErased(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	a := c.want(201, "", "POST", "/api/v1/auth/register", "", `{"username":"bertram","password":"`+goodPassword+`","email":"bertram@example.com"}`)
	bert, carl := c.session(a), c.register("carl")
	c.want(200, "", "POST", "/api/v1/me/streamer", bert.Access, "")
	c.want(200, "", "PATCH", "/api/v1/me", bert.Access, `{"display_name":"Bertram the Great","bio":"bertram writes","links":[{"label":"bertram","url":"https://bertram.example.com"}]}`)
	c.want(201, "", "POST", "/api/v1/streams", bert.Access, `{"title":"Bertram on air","slug":"on-air","description":"bertram again","tags":["bertramtag"]}`)
	c.want(201, "", "POST", "/api/v1/me/api-tokens", bert.Access, `{"label":"bertramtoken","scopes":["profile"]}`)
	c.put("/api/v1/me/avatar", bert.Access, square(t, 100, aRed))
	c.put("/api/v1/me/banner", bert.Access, square(t, 100, aRed))
	for _, call := range [][2]string{{"@carl/follow", bert.Access}, {"@bertram/follow", carl.Access}, {"@anna/block", bert.Access}} {
		c.do("PUT", "/api/v1/users/"+call[0], call[1], "")
	}
	c.want(204, "", "PUT", "/api/v1/channels/@bertram/moderators/@carl", bert.Access, "")
	row, err := s.streams.Find(t.Context(), "on-air")
	require.NoError(t, err)
	v := s.replay(t, row, "0198f2a0-0000-7000-8000-000000000302")
	c.want(202, "", "DELETE", "/api/v1/me", bert.Access, myPassword)
	s.clock.pass(14 * 24 * time.Hour)
	c.want(401, "bad_credentials", "POST", "/api/v1/auth/restore", "", restoring("bertram"))
	s.erase(t)
	c.want(401, "bad_credentials", "POST", "/api/v1/auth/restore", "", restoring("bertram"))
	assert.Empty(t, s.objects.snapshot())

	q := s.db.Read(t.Context())
	u, err := q.FindUser(bert.User.ID)
	require.NoError(t, err)
	assert.Equal(t, "deleted-"+u.ID, u.Username)
	assert.Equal(t, db.UserErased, u.State)
	gone, err := q.FindVideo(v.ID)
	require.NoError(t, err)
	require.NotNil(t, gone.DeletedAt)
	due, err := q.ListDeletedReplays("", db.At(s.clock.Now().Add(-7*24*time.Hour)), 5)
	require.NoError(t, err)
	assert.Len(t, due, 1, "retention takes its media at the next sweep")
	for table, rows := range s.tables(t) {
		assert.NotContains(t, strings.ToLower(rows), "bertram", table)
	}
	c.want(404, "not_found", "GET", "/api/v1/users/"+bert.User.ID, "", "")
	admin := c.login("anna", "correct horse")
	assert.NotContains(t, c.want(200, "", "GET", "/api/v1/admin/users", admin.Access, "").Body.String(), bert.User.ID)
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/admin/audit?target=user:"+bert.User.ID, admin.Access, "").Body.String(), "user.erase")
	carl = c.login("carl", goodPassword)
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/me", carl.Access, "").Body.String(), `"followers_count":0,"following_count":0`)
	c.register("bertram") // the name is free again
}

// tables are the rows of every table as text; on SQLite.
func (s *site) tables(t testing.TB) map[string]string {
	t.Helper()
	if s.db.Engine() != db.SQLite {
		return nil
	}
	raw, err := sql.Open("sqlite", "file:"+s.db.Where())
	require.NoError(t, err)
	defer raw.Close()
	column := func(question string) (texts []string) {
		rows, err := raw.QueryContext(t.Context(), question)
		require.NoError(t, err)
		defer rows.Close()
		names, err := rows.Columns()
		require.NoError(t, err)
		for rows.Next() {
			values := make([]any, len(names))
			for i := range values {
				values[i] = new(any)
			}
			require.NoError(t, rows.Scan(values...))
			for _, v := range values {
				texts = append(texts, fmt.Sprint(*v.(*any)))
			}
		}
		require.NoError(t, rows.Err())
		return texts
	}
	all := map[string]string{}
	for _, table := range column("SELECT name FROM sqlite_master WHERE type = 'table'") {
		all[table] = strings.Join(column(`SELECT * FROM "`+table+`"`), "\n")
	}
	require.Greater(t, len(all), 20)
	return all
}

// TestAccountsThatCannotBeErasedKeepNoOtherFromIt, however many they are and however long they have waited.
func TestAccountsThatCannotBeErasedKeepNoOtherFromIt(t *testing.T) {
	s := newSite(t, db.Options{})
	leave := func(name, avatar string) string {
		made, err := s.accounts.Create(t.Context(), account.Create{Username: name, Password: goodPassword, Role: account.Viewer})
		require.NoError(t, err)
		require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error { return q.SetAvatar(made.User.ID, avatar, db.At(s.clock.Now())) }))
		_, _, err = s.accounts.Leave(t.Context(), made.User.ID, 0)
		require.NoError(t, err)
		return made.User.ID
	}
	const stuck = 101
	for n := range stuck {
		leave(fmt.Sprintf("stuck_%d", n), "stuck.jpg")
	}
	s.clock.pass(time.Second)
	last := leave("last", "")
	s.clock.pass(14 * 24 * time.Hour)
	broken := errors.New("the object's row is locked")
	_, err := s.accounts.EraseDue(t.Context(), func(db.Queries, string) error { return broken })
	require.ErrorIs(t, err, broken)
	assert.Contains(t, err.Error(), "101 could not be erased")
	u, err := s.db.Read(t.Context()).FindUser(last)
	require.NoError(t, err)
	assert.Equal(t, db.UserErased, u.State)

	require.NoError(t, swept(s.accounts.EraseDue(t.Context(), func(db.Queries, string) error { return nil })), "once it can be done it is")
	due, err := s.db.Read(t.Context()).DueErasures(db.At(s.clock.Now()), db.DueErasure{}, 5)
	require.NoError(t, err)
	assert.Empty(t, due)
}

func TestTheLastAdminStays(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	admin := c.login("anna", "correct horse")
	password := `{"password":"correct horse"}`
	c.want(409, "last_admin", "DELETE", "/api/v1/me", admin.Access, password)
	_, err := s.accounts.Create(t.Context(), account.Create{Username: "dora", Password: goodPassword, Role: account.Admin})
	require.NoError(t, err)
	second := c.login("dora", goodPassword)
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[int]int{}
	for token, body := range map[string]string{admin.Access: password, second.Access: myPassword} {
		wg.Go(func() {
			a := apitest.Do(t, c.h, apitest.Scenario{Method: http.MethodDelete, Path: "/api/v1/me", Token: token, Body: body})
			mu.Lock()
			defer mu.Unlock()
			codes[a.Code]++
		})
	}
	wg.Wait()
	assert.Equal(t, map[int]int{202: 1, 409: 1}, codes)
	_, err = s.accounts.FirstAdmin(t.Context())
	require.NoError(t, err)
}

// TestNothingIsHalfAlive lets an account be closed while it is used in every way.
func TestNothingIsHalfAlive(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert, carl := c.register("bert"), c.register("carl")
	c.want(200, "", "POST", "/api/v1/me/streamer", bert.Access, "")
	small := square(t, 64, aRed)
	calls := []apitest.Scenario{
		{Method: http.MethodPost, Path: "/api/v1/auth/login", Body: restoring("bert")},
		{Method: http.MethodPost, Path: "/api/v1/auth/refresh", Body: `{"refresh_token":"` + bert.Refresh + `"}`},
		{Method: http.MethodPut, Path: "/api/v1/users/@bert/follow", Token: carl.Access},
		{Method: http.MethodPut, Path: "/api/v1/users/@carl/follow", Token: bert.Access},
		{Method: http.MethodPost, Path: "/api/v1/streams", Token: bert.Access, Body: `{"title":"x"}`},
		{Method: http.MethodPost, Path: "/api/v1/me/api-tokens", Token: bert.Access, Body: `{"label":"x","scopes":["profile"]}`},
		{Method: http.MethodPut, Path: "/api/v1/me/avatar", Token: bert.Access, Body: small, Headers: map[string]string{"Content-Type": "image/jpeg"}},
		{Method: http.MethodPatch, Path: "/api/v1/me", Token: bert.Access, Body: `{"bio":"still here"}`},
	}
	var wg sync.WaitGroup
	for _, call := range calls {
		for range 3 {
			wg.Go(func() {
				a := apitest.Do(t, c.h, call)
				assert.Less(t, a.Code, 500, "%s %s: %s", call.Method, call.Path, a.Body)
			})
		}
	}
	wg.Go(func() {
		a := apitest.Do(t, c.h, apitest.Scenario{Method: http.MethodDelete, Path: "/api/v1/me", Token: bert.Access, Body: myPassword})
		assert.Contains(t, []int{202, 401}, a.Code, a.Body) // 401: the refresh token was used thrice, which ends the session
	})
	wg.Wait()
	if u, err := s.db.Read(t.Context()).FindUser(bert.User.ID); err == nil && !u.Closed() {
		c.want(202, "", "DELETE", "/api/v1/me", c.login("bert", goodPassword).Access, myPassword)
	}
	q := s.db.Read(t.Context())
	u, err := q.FindUser(bert.User.ID)
	require.NoError(t, err)
	assert.Equal(t, db.UserLeaving, u.State)
	assert.Zero(t, u.FollowersCount+u.FollowingCount)
	for _, call := range calls {
		if call.Token == bert.Access {
			assert.Equal(t, 401, apitest.Do(t, c.h, call).Code, call.Path)
		}
	}
	usage, err := q.UsageOf(u.ID, 0)
	require.NoError(t, err)
	assert.Zero(t, usage.APITokens)
	streams, err := q.ListStreamsOf(u.ID, "", 100)
	require.NoError(t, err)
	for _, one := range streams {
		assert.Equal(t, "private", one.Visibility)
		assert.NotNil(t, one.HiddenAt)
	}
	carls := c.want(200, "", "GET", "/api/v1/users/@carl", "", "").Body.String()
	assert.Contains(t, carls, `"followers_count":0,"following_count":0`)
	s.clock.pass(15 * 24 * time.Hour)
	s.erase(t)
	assert.Empty(t, s.objects.snapshot())
}
