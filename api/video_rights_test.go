package api_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/account"
	"mediad/api/stream"
	"mediad/api/video"
	"mediad/store/db"
)

// TestVideosOfOthers tries videos of every visibility with every caller (IDOR).
func TestVideosOfOthers(t *testing.T) {
	s := newSite(t, db.Options{})
	relations := follows{}
	s.streams = stream.New(stream.Options{DB: s.db, Owner: s.accounts.FirstAdmin, Relations: relations, Audit: s.audit, Now: s.clock.Now})
	s.videos = video.New(video.Options{DB: s.db, Relations: relations, Audit: s.audit, Now: s.clock.Now})
	s.deps.Streams, s.deps.Videos = s.streams, s.videos
	_, err := s.accounts.Create(t.Context(), account.Create{Username: "mona", Password: goodPassword, Role: account.Moderator})
	require.NoError(t, err)
	c := s.client(t)
	owner, moderator := c.login("anna", "correct horse"), c.login("mona", goodPassword)
	fan, other := c.register("fan"), c.streamer("other")
	relations[fan.User.ID+" "+owner.User.ID] = true
	tokens := map[string]string{"anybody": "", "owner": owner.Access, "moderator": moderator.Access, "follower": fan.Access, "other": other.Access}
	for n, one := range []struct {
		visibility string
		may        []string
	}{
		{"public", []string{"anybody", "owner", "moderator", "follower", "other"}},
		{"unlisted", []string{"anybody", "owner", "moderator", "follower", "other"}},
		{"followers", []string{"owner", "moderator", "follower"}},
		{"private", []string{"owner", "moderator"}},
	} {
		of := s.create(t, stream.Create{Slug: one.visibility + "-1", ReplayVisibility: one.visibility})
		v := s.broadcast(t, of, n+1)
		for who, token := range tokens {
			want := assert.NotContains
			if slices.Contains(one.may, who) {
				want = assert.Contains
				c.want(200, "", "GET", "/api/v1/videos/"+v.ID, token, "")
			} else {
				c.want(404, "not_found", "GET", "/api/v1/videos/"+v.ID, token, "")
			}
			if one.visibility == "unlisted" && who != "owner" && who != "moderator" {
				want = assert.NotContains // it is in no list
			}
			for _, path := range []string{"/sessions", "/sessions/" + *v.SessionID} {
				want(t, c.want(200, "", "GET", "/api/v1/streams/"+of.Slug+path, token, "").Body.String(), `"replay_video_id":"`+v.ID, "%s %s", one.visibility, who)
			}
			list := c.want(200, "", "GET", "/api/v1/videos?limit=100", token, "").Body.String()
			assert.Equal(t, one.visibility == "public", strings.Contains(list, v.ID), "%s in the list of %s", one.visibility, who)
		}
	}
}
