package api_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api"
	"mediad/api/account"
	"mediad/store/db"
)

// TestAWritesPlaceCanBeRead: what a POST names as Location is there for who made it, without its secret.
func TestAWritesPlaceCanBeRead(t *testing.T) {
	s := newSite(t, db.Options{})
	info := liveInfo("veras")
	s.deps.Live = onAir{infos: []api.LiveInfo{info}}
	c := s.client(t)
	vera, admin := c.streamer("vera"), s.staff(t, c, "abel", account.Admin)
	of := c.stream(vera.Access, `{"slug":"veras","title":"x"}`)
	require.NoError(t, s.streams.SaveSession(t.Context(), db.Session{ID: info.SessionID, StreamID: of.ID, StartedAt: db.At(noon)}))
	for path, by := range map[string]struct{ token, body, secret string }{
		"/api/v1/me/api-tokens":          {vera.Access, `{"label":"bot","scopes":["profile"]}`, "token"},
		"/api/v1/me/webhooks":            {vera.Access, `{"url":"https://bot.example.com/","events":["stream.online"]}`, "secret"},
		"/api/v1/me/exports":             {vera.Access, "", ""},
		"/api/v1/streams":                {vera.Access, `{"slug":"second","title":"x"}`, "stream_key"},
		"/api/v1/streams/veras/keys":     {vera.Access, `{"label":"laptop"}`, "stream_key"},
		"/api/v1/streams/veras/markers":  {vera.Access, `{"label":"Round two"}`, ""},
		"/api/v1/streams/veras/forwards": {vera.Access, `{"url":"rtmp://a.example.com/live/sekret"}`, ""},
		"/api/v1/admin/users":            {admin.Access, `{"username":"dora"}`, "one_time_password"},
		"/api/v1/admin/invites":          {admin.Access, `{"uses":2}`, "code"},
		"/api/v1/admin/server-keys":      {admin.Access, `{"label":"Payments"}`, "secret"},
		"/api/v1/admin/categories":       {admin.Access, `{"slug":"gardening","name":"Gardening"}`, ""},
	} {
		made := c.do("POST", path, by.token, by.body)
		if !assert.Contains(t, []int{201, 202}, made.Code, "%s: %s", path, made.Body) {
			continue
		}
		place := made.Header().Get("Location")
		one := c.want(200, "", "GET", place, by.token, "")
		assert.Equal(t, field(t, made, "id"), field(t, one, "id"), path)
		if by.secret != "" {
			secret := field(t, made, by.secret)
			assert.NotEmpty(t, secret, path)
			assert.NotContains(t, one.Body.String(), secret, path)
			assert.NotContains(t, one.Body.String(), `"`+by.secret+`"`, path)
		}
		c.want(404, "not_found", "GET", place[:len(place)-4]+"0000", by.token, "")
	}
}
