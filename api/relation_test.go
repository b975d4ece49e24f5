package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api"
	"mediad/api/apitest"
	"mediad/api/relation"
	"mediad/api/stream"
	"mediad/store/db"
)

// seenUser is a user as a client has them.
type seenUser struct {
	ID             string
	FollowersCount int64 `json:"followers_count"`
	FollowingCount int64 `json:"following_count"`
	VideosCount    int64 `json:"videos_count"`
	Live           *struct {
		Stream, Title string
		Viewers       int
	}
	Me *struct {
		Following    bool
		Notify       *string
		FollowedBy   bool `json:"followed_by"`
		Blocked      bool
		IsChannelMod bool `json:"is_channel_mod"`
	}
}

func (c client) user(path, token string) seenUser {
	c.t.Helper()
	var u seenUser
	require.NoError(c.t, json.Unmarshal(c.want(200, "", "GET", "/api/v1/users/"+path, token, "").Body.Bytes(), &u))
	return u
}

// walk reads a whole list, a few at a time.
func (c client) walk(path, token string, limit int) (ids []string) {
	c.t.Helper()
	first := "?"
	if strings.Contains(path, "?") {
		first = "&"
	}
	for cursor := ""; ; {
		var page struct {
			Items      []seenUser
			NextCursor *string `json:"next_cursor"`
		}
		require.NoError(c.t, json.Unmarshal(c.want(200, "", "GET", fmt.Sprintf("%s%slimit=%d%s", path, first, limit, cursor), token, "").Body.Bytes(), &page))
		for _, u := range page.Items {
			ids = append(ids, u.ID)
		}
		if page.NextCursor == nil {
			return ids
		}
		cursor = "&cursor=" + *page.NextCursor
	}
}

func TestFollow(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert, carl := c.register("bert"), c.register("carl")
	assert.Nil(t, c.user("@bert", "").Me)
	const follow = "/api/v1/users/@bert/follow"
	c.want(401, "unauthenticated", "PUT", follow, "", "")
	c.want(422, "self_target", "PUT", follow, bert.Access, "")
	c.want(422, "validation_failed", "PUT", follow, carl.Access, `{"notify":"often"}`)
	c.want(404, "not_found", "PUT", "/api/v1/users/@nobody/follow", carl.Access, "")
	c.want(204, "", "DELETE", follow, carl.Access, "")
	for _, body := range []string{"", "", `{"notify":"live"}`, ""} {
		assert.JSONEq(t, `{"following":true,"followers_count":1}`, c.want(200, "", "PUT", follow, carl.Access, body).Body.String())
	}
	u := c.user("@bert", carl.Access)
	assert.True(t, u.Me.Following)
	assert.Equal(t, "live", *u.Me.Notify, "what is not said stays")
	assert.Equal(t, int64(1), u.FollowersCount)
	u = c.user("@carl", bert.Access)
	assert.True(t, u.Me.FollowedBy)
	assert.False(t, u.Me.Following)
	assert.Nil(t, u.Me.Notify)
	assert.Equal(t, int64(1), u.FollowingCount)
	for range 2 {
		c.want(204, "", "DELETE", follow, carl.Access, "")
	}
	assert.Zero(t, c.user("@bert", "").FollowersCount)
}

func TestListsOfFollowers(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.register("bert")
	var want []string
	for i := range 5 {
		one := c.register(fmt.Sprintf("user_%d", i))
		s.clock.pass(time.Second)
		c.want(200, "", "PUT", "/api/v1/users/@bert/follow", one.Access, "")
		c.want(200, "", "PUT", "/api/v1/users/"+one.User.ID+"/follow", bert.Access, `{"notify":"none"}`)
		want = append([]string{one.User.ID}, want...)
	}
	assert.Equal(t, want, c.walk("/api/v1/users/@bert/followers", "", 2))
	assert.Equal(t, want, c.walk("/api/v1/users/@bert/following", "", 2))
	assert.Equal(t, int64(5), c.user("@bert", "").FollowersCount)
	first := c.want(200, "", "GET", "/api/v1/users/@bert/followers?limit=1", "", "").Body.String()
	_, cursor, _ := strings.Cut(first, `"next_cursor":"`)
	cursor = strings.TrimSuffix(strings.TrimSpace(cursor), `"}`)
	c.want(400, "invalid_cursor", "GET", "/api/v1/users/@bert/following?cursor="+cursor, "", "")
	c.want(400, "invalid_cursor", "GET", "/api/v1/users/@anna/followers?cursor="+cursor, "", "")
	c.want(422, "validation_failed", "GET", "/api/v1/users/@bert/followers?limit=101", "", "")
	c.want(404, "not_found", "GET", "/api/v1/users/@nobody/followers", "", "")

	c.want(200, "", "PATCH", "/api/v1/me", bert.Access, `{"settings":{"privacy":{"show_following":false}}}`)
	c.want(404, "not_found", "GET", "/api/v1/users/@bert/following", "", "")
	c.want(404, "not_found", "GET", "/api/v1/users/@bert/following", c.login("user_1", goodPassword).Access, "")
	assert.Len(t, c.walk("/api/v1/users/@bert/following", bert.Access, 2), 5)
	assert.Len(t, c.walk("/api/v1/users/@bert/following", c.login("anna", "correct horse").Access, 2), 5)
	assert.Len(t, c.walk("/api/v1/users/@bert/followers", "", 2), 5)
}

func TestBlock(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert, carl := c.register("bert"), c.register("carl")
	c.want(200, "", "PUT", "/api/v1/users/@bert/follow", carl.Access, "")
	c.want(200, "", "PUT", "/api/v1/users/@carl/follow", bert.Access, "")
	c.want(422, "self_target", "PUT", "/api/v1/users/@bert/block", bert.Access, "")
	for range 2 {
		c.want(204, "", "PUT", "/api/v1/users/@carl/block", bert.Access, "")
	}
	u := c.user("@carl", bert.Access)
	assert.True(t, u.Me.Blocked)
	assert.False(t, u.Me.Following || u.Me.FollowedBy)
	assert.Zero(t, u.FollowersCount+u.FollowingCount)
	assert.Equal(t, []string{carl.User.ID}, c.walk("/api/v1/me/blocks", bert.Access, 1))
	assert.Empty(t, c.walk("/api/v1/me/blocks", carl.Access, 1), "nobody is told")
	c.want(403, "blocked_by_user", "PUT", "/api/v1/users/@bert/follow", carl.Access, "")
	c.want(409, "invalid_state", "PUT", "/api/v1/users/@carl/follow", bert.Access, "")
	for _, path := range []string{"", "/followers", "/following"} {
		c.want(404, "not_found", "GET", "/api/v1/users/@bert"+path, carl.Access, "")
		c.want(200, "", "GET", "/api/v1/users/@bert"+path, c.login("anna", "correct horse").Access, "")
	}
	for range 2 {
		c.want(204, "", "DELETE", "/api/v1/users/@carl/block", bert.Access, "")
	}
	c.want(200, "", "PUT", "/api/v1/users/@bert/follow", carl.Access, "")
}

func TestParallelFollowsAreOneFollower(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	c.register("bert")
	carl := c.register("carl")
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			a := apitest.Do(t, c.h, apitest.Scenario{Method: "PUT", Path: "/api/v1/users/@bert/follow", Token: carl.Access})
			assert.Equal(t, 200, a.Code, a.Body)
			assert.Contains(t, a.Body.String(), `"followers_count":1`)
		})
	}
	wg.Wait()
	assert.Equal(t, []string{carl.User.ID}, c.walk("/api/v1/users/@bert/followers", "", 10))
}

func TestChannelModerators(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert, carl, dora := c.register("bert"), c.register("carl"), c.register("dora")
	const list, one = "/api/v1/channels/@bert/moderators", "/api/v1/channels/@bert/moderators/@carl"
	anna := c.login("anna", "correct horse").Access
	for _, token := range []string{carl.Access, dora.Access} {
		c.want(403, "forbidden", "PUT", one, token, "")
		c.want(403, "forbidden", "DELETE", one, token, "")
		c.want(403, "forbidden", "GET", list, token, "")
	}
	c.want(422, "self_target", "PUT", list+"/@bert", bert.Access, "")
	for range 2 {
		c.want(204, "", "PUT", one, bert.Access, "")
	}
	assert.True(t, c.user("@bert", carl.Access).Me.IsChannelMod)
	assert.False(t, c.user("@carl", bert.Access).Me.IsChannelMod)
	for _, token := range []string{bert.Access, carl.Access, anna} {
		assert.Equal(t, []string{carl.User.ID}, c.walk(list, token, 10))
	}
	c.want(403, "forbidden", "PUT", list+"/@dora", carl.Access, "")
	c.want(204, "", "PUT", list+"/@dora", anna, "")
	for range 2 {
		c.want(204, "", "DELETE", one, bert.Access, "")
	}
	c.want(403, "forbidden", "GET", list, carl.Access, "")
	rows, err := s.db.Read(t.Context()).ListAudit(db.AuditFilter{TargetType: "user", TargetID: bert.User.ID}, 10)
	require.NoError(t, err)
	actions := map[string]int{}
	for _, r := range rows {
		actions[r.Action]++
	}
	assert.Equal(t, 2, actions["channel.moderator.add"], "what was so already is no act")
	assert.Equal(t, 1, actions["channel.moderator.remove"])

	for i := range relation.MaxModerators - 1 {
		require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error {
			id := fmt.Sprintf("0198f2a0-0000-7000-8000-0000000002%02d", i)
			u := db.User{ID: id, Username: fmt.Sprintf("mod_%d", i), Role: "viewer", State: db.UserActive, SessionVersion: 1, Version: 1}
			if err := q.CreateUser(u); err != nil {
				return err
			}
			return q.AddChannelMod(db.ChannelMod{UserID: bert.User.ID, OtherID: id, CreatedAt: 1})
		}))
	}
	assert.Contains(t, c.want(409, "limit_reached", "PUT", one, bert.Access, "").Body.String(), `"max":50`)
	c.want(204, "", "PUT", list+"/@dora", bert.Access, "")
}

func TestUsersShowWhatIsOnAir(t *testing.T) {
	s := newSite(t, db.Options{})
	s.create(t, stream.Create{Slug: "main", Title: "Chess"})
	s.create(t, stream.Create{Slug: "big", Title: "Bigger"})
	hidden := s.create(t, stream.Create{Slug: "hidden", Title: "Hidden", Visibility: "unlisted"})
	require.NotEmpty(t, hidden.ID)
	s.deps.Live = onAir{infos: []api.LiveInfo{liveInfo("main"), liveInfo("big"), liveInfo("hidden")}, viewers: map[string]int{"main": 3, "big": 7, "hidden": 90}}
	c := s.client(t)
	u := c.user("@anna", "")
	require.NotNil(t, u.Live)
	assert.Equal(t, "big", u.Live.Stream)
	assert.Equal(t, "Bigger", u.Live.Title)
	assert.Equal(t, 7, u.Live.Viewers)
	carl := c.register("carl")
	assert.Len(t, c.walk("/api/v1/users/@anna/streams", "", 1), 2)
	assert.Empty(t, c.walk("/api/v1/users/@carl/streams", "", 1))
	c.want(404, "not_found", "GET", "/api/v1/users/@nobody/streams", "", "")

	var want []string
	for i, v := range []string{"public", "unlisted", "public", "private"} {
		row := db.Video{
			ID: fmt.Sprintf("0198f2a0-0000-7000-8000-00000000030%d", i), Kind: db.KindReplay, OwnerID: s.owner.ID, StreamID: &hidden.ID, Title: v, Visibility: v,
			State: db.VideoReady, LastMSN: db.LastMSN, FirstMSN: int64(i), Version: 1,
		}
		session := fmt.Sprintf("0198f2a0-0000-7000-8000-00000000040%d", i)
		row.SessionID = &session
		require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error {
			if err := q.SaveSession(db.Session{ID: session, StreamID: hidden.ID, StartedAt: db.Millis(i)}); err != nil {
				return err
			}
			_, err := q.InsertReplay(row)
			return err
		}))
		if v == "public" {
			want = append([]string{row.ID}, want...)
		}
	}
	assert.Equal(t, want, c.walk("/api/v1/users/@anna/videos", "", 1))
	assert.Equal(t, int64(2), c.user("@anna", "").VideosCount)
	require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error {
		_, _, err := q.Block(db.Block{UserID: s.owner.ID, OtherID: carl.User.ID})
		return err
	}))
	for _, path := range []string{"streams", "videos"} {
		c.want(404, "not_found", "GET", "/api/v1/users/@anna/"+path, carl.Access, "")
	}
}
