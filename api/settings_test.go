package api_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api"
	"mediad/api/admin"
	"mediad/api/setting"
	"mediad/api/stream"
	"mediad/store/db"
	"mediad/store/db/dbtest"
)

func settingKeys() []setting.Key {
	among := func(allowed string) func(string) error {
		return func(value string) error {
			if !strings.Contains(" "+allowed+" ", " "+value+" ") {
				return errors.New("not one of " + allowed)
			}
			return nil
		}
	}
	return []setting.Key{
		{Path: admin.Registration, Help: "who may register", Default: "open", Value: "open", Source: setting.FromDefault, Check: among("open invite closed")},
		{Path: admin.StreamerApproval, Default: "auto", Value: "auto", Source: setting.FromFile, Check: among("auto manual")},
		{Path: admin.LiveSessions, Default: "0", Value: "3", Source: setting.FromEnv, Number: true, Check: func(value string) error {
			if strings.HasPrefix(value, "-") {
				return errors.New("outside 0 to 10000")
			}
			return nil
		}},
	}
}

func TestSettingsAreChangedWhileTheServerRuns(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	anna := c.login("anna", "correct horse").Access
	const path = "/api/v1/admin/settings"
	first := c.want(200, "", "GET", path, anna, "")
	for _, want := range []string{
		`{"key":"auth.registration","value":"open","default":"open","source":"default","description":"who may register"}`,
		`"key":"auth.streamer_approval","value":"auto","default":"auto","source":"file"`, `"key":"limits.live_sessions","value":3,"default":0,"source":"env"`,
	} {
		assert.Contains(t, first.Body.String(), want)
	}
	etag := first.Header().Get("ETag")
	same := c.want(304, "", "GET", path, anna, "", "If-None-Match", etag)
	assert.Equal(t, []string{"no-store", etag, ""}, []string{same.Header().Get("Cache-Control"), same.Header().Get("ETag"), same.Body.String()})
	c.want(428, "if_match_required", "PATCH", path, anna, `{"auth.registration":"closed"}`)
	c.want(412, "version_mismatch", "PATCH", path, anna, `{"auth.registration":"closed"}`, "If-Match", `"v9"`)
	for body, want := range map[string]string{
		`{"auth.registration":"maybe"}`: `"pointer":"/auth.registration","code":"invalid_enum"`, `{"limits.live_sessions":-1}`: `"pointer":"/limits.live_sessions","code":"out_of_range"`,
		`{"http.addr":"/"}`: `"pointer":"/http.addr","code":"unknown_field"`, `{"limits.live_sessions":"2"}`: `"pointer":"/limits.live_sessions","code":"invalid_format"`,
		`{"a/b~c":1}`: `"pointer":"/a~1b~0c","code":"unknown_field"`, `[]`: `"pointer":"","code":"invalid_format"`,
	} {
		assert.Contains(t, c.want(422, "validation_failed", "PATCH", path, anna, body, "If-Match", etag).Body.String(), want, body)
	}
	assert.Contains(t, c.want(200, "", "GET", path, anna, "", "If-None-Match", `"other"`).Body.String(), "items")
	assert.Contains(t, c.want(200, "", "GET", path, anna, "").Body.String(), `"source":"default"`, "a refused change changes nothing")

	second := c.want(200, "", "PATCH", path, anna, `{"auth.registration":"closed","limits.live_sessions":1}`, "If-Match", etag)
	assert.Contains(t, second.Body.String(), `"value":"closed","default":"open","source":"db"`)
	assert.Contains(t, second.Body.String(), `"value":1,"default":0,"source":"db"`)
	c.want(412, "version_mismatch", "PATCH", path, anna, `{"auth.registration":"open"}`, "If-Match", etag)
	c.want(403, "forbidden", "POST", "/api/v1/auth/register", "", `{"username":"bert","password":"`+goodPassword+`"}`)
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/config", "", "").Body.String(), `"registration":"closed"`)
	most, err := s.deps.Settings.Int(admin.LiveSessions)
	require.NoError(t, err)
	assert.Equal(t, 1, most)

	back := c.want(200, "", "PATCH", path, anna, `{"auth.registration":null,"limits.live_sessions":null}`, "If-Match", second.Header().Get("ETag"))
	assert.Contains(t, back.Body.String(), `"value":3,"default":0,"source":"env"`)
	assert.NotEqual(t, first.Header().Get("ETag")[:4], back.Header().Get("ETag")[:4], "a version never comes back")
	c.register("bert")
	changes := s.audited(t, "settings.update")
	require.Len(t, changes, 2)
	assert.JSONEq(t, `{"auth.registration":"open","limits.live_sessions":"3"}`, changes[1].Before)
	assert.JSONEq(t, `{"auth.registration":"closed","limits.live_sessions":"1"}`, changes[1].After)
}

// TestSettingsOfAnotherNode: seen within a second.
func TestSettingsOfAnotherNode(t *testing.T) {
	s := newSite(t, db.Options{})
	other := setting.New(setting.Options{DB: s.db, Keys: settingKeys(), Audit: s.audit, Now: s.clock.Now})
	is := func(want string, of *setting.Service, path, why string) {
		t.Helper()
		got, err := of.Text(path)
		require.NoError(t, err)
		assert.Equal(t, want, got, why)
	}
	is("open", other, admin.Registration, "as the configuration has it")
	closed := "closed"
	require.NoError(t, s.deps.Settings.Change(t.Context(), 0, map[string]*string{admin.Registration: &closed}))
	is("closed", s.deps.Settings, admin.Registration, "at once where it was changed")
	s.clock.pass(time.Second)
	is("closed", other, admin.Registration, "a second later")
	is("", other, "data_dir", "that cannot be changed")
}

// TestNobodyRegistersBeforeTheSettingsAreKnown: a server that begins while the database is away does not know what an admin has closed.
func TestNobodyRegistersBeforeTheSettingsAreKnown(t *testing.T) {
	s := newSite(t, db.Options{})
	bert := s.client(t).register("bert")
	s.deps.Settings = setting.New(setting.Options{DB: dbtest.Closed(t), Keys: settingKeys(), Audit: s.audit, Now: s.clock.Now})
	c := s.client(t)
	refused := c.want(503, "unavailable", "POST", "/api/v1/auth/register", "", `{"username":"carl","password":"`+goodPassword+`"}`)
	assert.NotEmpty(t, refused.Header().Get("Retry-After"))
	c.want(503, "unavailable", "GET", "/api/v1/config", "", "")
	c.want(503, "unavailable", "POST", "/api/v1/me/streamer", bert.Access, "")
}

func TestAdminsSeeAndCutEveryStream(t *testing.T) {
	s := newSite(t, db.Options{})
	ended := map[string]string{}
	away := liveInfo("away-one")
	away.State = stream.SessionReconnecting
	s.deps.Live = onAir{infos: []api.LiveInfo{liveInfo("hidden"), away, liveInfo("halted")}, ended: ended}
	c := s.client(t)
	bert := c.streamer("bert")
	c.stream(bert.Access, `{"slug":"hidden","title":"x","visibility":"private"}`)
	c.stream(bert.Access, `{"slug":"away-one","title":"x"}`)
	c.stream(bert.Access, `{"slug":"quiet","title":"x","visibility":"unlisted"}`)
	for _, slug := range []string{"halted", "idle-one"} {
		s.create(t, stream.Create{Slug: slug})
	}
	require.NoError(t, s.streams.SetDisabled(t.Context(), "halted", true, ""))
	anna := c.login("anna", "correct horse").Access
	slugs := func(query string) (found []string) {
		for _, one := range strings.Split(c.want(200, "", "GET", "/api/v1/admin/streams"+query, anna, "").Body.String(), `"slug":"`)[1:] {
			slug, _, _ := strings.Cut(one, `"`)
			found = append(found, slug)
		}
		return found
	}
	assert.Equal(t, []string{"idle-one", "halted", "quiet", "away-one", "hidden"}, slugs(""))
	assert.Equal(t, []string{"hidden"}, slugs("?state=live"))
	assert.Equal(t, []string{"away-one"}, slugs("?state=reconnecting"))
	assert.Equal(t, []string{"idle-one", "quiet"}, slugs("?state=idle"))
	assert.Equal(t, []string{"halted"}, slugs("?state=disabled"))
	c.want(422, "validation_failed", "GET", "/api/v1/admin/streams?state=x", anna, "")
	assert.Len(t, c.walk("/api/v1/admin/streams", anna, 2), 5)
	page := c.want(200, "", "GET", "/api/v1/admin/streams", anna, "").Body.String()
	assert.Contains(t, page, `"health":{"protocol":"rtmp"`)
	assert.NotContains(t, page[strings.Index(page, `"slug":"quiet"`):strings.Index(page, `"slug":"away-one"`)], `"health"`)
	assert.NotEmpty(t, s.audited(t, "stream.list"), "who looks at what is private is recorded")

	c.want(202, "", "POST", "/api/v1/admin/streams/hidden/kick", anna, "")
	assert.Equal(t, map[string]string{"hidden": "ended_by_admin"}, ended)
	c.want(409, "invalid_state", "POST", "/api/v1/admin/streams/quiet/kick", anna, "")
	c.want(404, "not_found", "POST", "/api/v1/admin/streams/nobody/kick", anna, "")
	c.want(403, "role_required", "POST", "/api/v1/admin/streams/hidden/kick", bert.Access, "")
	assert.Len(t, s.audited(t, "stream.kick"), 1)
}
