package api_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api"
	"mediad/api/apitest"
	"mediad/api/stream"
	"mediad/store/db"
)

// TestTagsAreAsTheyWereWritten, and found in any spelling.
func TestTagsAreAsTheyWereWritten(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.streamer("bert")
	made := c.want(201, "", "POST", "/api/v1/streams", bert.Access, `{"slug":"blitz","title":"x","tags":["Zürich","Chess"," CHESS ","go","chess","É"]}`)
	assert.Contains(t, made.Body.String(), `"tags":["Zürich","Chess","go","É"]`)
	for _, path := range []string{
		"/api/v1/streams/blitz", "/api/v1/streams", "/api/v1/streams?tag=chess", "/api/v1/streams?tag=CHESS", "/api/v1/streams?tag=z%C3%BCRICH", "/api/v1/streams?tag=e%CC%81",
	} {
		assert.Contains(t, c.want(200, "", "GET", path, "", "").Body.String(), `"tags":["Zürich","Chess","go","É"]`, path)
	}
	for _, path := range []string{"/api/v1/streams?tag=other", "/api/v1/streams?tag=%E2%80%AE"} {
		assert.NotContains(t, c.want(200, "", "GET", path, "", "").Body.String(), "blitz", path)
	}
	a := c.want(200, "", "PATCH", "/api/v1/streams/blitz", bert.Access, `{"tags":["go","CHESS"]}`)
	assert.Contains(t, a.Body.String(), `"tags":["go","CHESS"]`)
	assert.NotContains(t, c.want(200, "", "GET", "/api/v1/streams?tag=%C3%BC", "", "").Body.String(), "blitz")
}

// TestAnEmptyPatchChangesNothing: no version, no event and no entry of the record.
func TestAnEmptyPatchChangesNothing(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.streamer("bert")
	of := c.stream(bert.Access, `{"slug":"blitz","title":"One","tags":["Go"],"publish":{"protocols":["srt"]}}`)
	v := s.broadcast(t, db.Stream{ID: of.ID, OwnerID: bert.User.ID}, 1)
	c.want(200, "", "PATCH", "/api/v1/me", bert.Access, `{"bio":"x","settings":{"locale":"en"}}`)
	for path, bodies := range map[string][]string{
		"/api/v1/streams/blitz":  {`{}`, `{"title":" One ","tags":["Go","go"]}`, `{"publish":{}}`, `{"max_viewers":null}`},
		"/api/v1/me":             {`{}`, `{"bio":"x ","settings":{"locale":"en"},"links":null}`, `{"links":[]}`},
		"/api/v1/videos/" + v.ID: {`{}`, `{"mature":false}`},
	} {
		before := c.want(200, "", "GET", path, bert.Access, "")
		events, err := s.db.Read(t.Context()).ListUnsent(0, 1000)
		require.NoError(t, err)
		records, err := s.db.Read(t.Context()).ListAudit(db.AuditFilter{}, 1000)
		require.NoError(t, err)
		for _, body := range bodies {
			a := c.want(200, "", "PATCH", path, bert.Access, body)
			assert.JSONEq(t, before.Body.String(), a.Body.String(), "%s %s", path, body)
		}
		after := c.want(200, "", "GET", path, bert.Access, "")
		assert.Equal(t, before.Header().Get("ETag"), after.Header().Get("ETag"), path)
		now, err := s.db.Read(t.Context()).ListUnsent(0, 1000)
		require.NoError(t, err)
		assert.Len(t, now, len(events), path)
		recorded, err := s.db.Read(t.Context()).ListAudit(db.AuditFilter{}, 1000)
		require.NoError(t, err)
		assert.Len(t, recorded, len(records), path)
		c.want(412, "version_mismatch", "PATCH", path, bert.Access, `{}`, "If-Match", `"v99-0"`)
	}
}

// TestWhatAnAdminDisabledStaysSo, whatever its owner says, who is told why.
func TestWhatAnAdminDisabledStaysSo(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert, admin := c.streamer("bert"), c.login("anna", "correct horse")
	c.stream(bert.Access, `{"slug":"blitz","title":"x"}`)
	const one, path = "/api/v1/streams/blitz", "/api/v1/streams/blitz/disabled"
	seen := func(token string) string { return c.want(200, "", "GET", one, token, "").Body.String() }
	c.want(204, "", "PUT", path, bert.Access, `{"reason":"holiday"}`)
	assert.Contains(t, seen(bert.Access), `"disabled_reason":"holiday","disabled_by":"owner"`)
	for range 2 {
		c.want(204, "", "PUT", path, admin.Access, `{"reason":"spam"}`)
	}
	for _, call := range [][2]string{{"DELETE", ""}, {"PUT", `{"reason":"holiday"}`}, {"PUT", ""}} {
		assert.Contains(t, c.want(403, "forbidden", call[0], path, bert.Access, call[1]).Body.String(), "administrator")
	}
	assert.Contains(t, seen(bert.Access), `"disabled_reason":"spam","disabled_by":"admin"`)
	for _, token := range []string{"", c.register("viewer1").Access} {
		assert.NotContains(t, seen(token), "disabled_")
	}
	for range 2 {
		c.want(204, "", "DELETE", path, admin.Access, "")
	}
	assert.NotContains(t, seen(bert.Access), "disabled")
	c.want(204, "", "PUT", path, bert.Access, "")
	c.want(204, "", "DELETE", path, bert.Access, "")
}

// TestShortListsHavePages: what there are few of keeps to the convention of lists all the same.
func TestShortListsHavePages(t *testing.T) {
	s, _ := clipSite(t, "all")
	info := liveInfo("veras")
	s.streams = stream.New(stream.Options{DB: s.db, Owner: s.accounts.FirstAdmin, Audit: s.audit, Forwarding: forwarding{}, Secrets: s.secrets, Now: s.clock.Now})
	s.deps.Streams, s.deps.Live = s.streams, onAir{infos: []api.LiveInfo{info}}
	c := s.client(t)
	vera := c.streamer("vera")
	of := c.stream(vera.Access, `{"slug":"veras","title":"x"}`)
	require.NoError(t, s.streams.SaveSession(t.Context(), db.Session{ID: info.SessionID, StreamID: of.ID, StartedAt: db.At(noon)}))
	for i := range 5 {
		require.NoError(t, s.streams.NoteDisconnect(t.Context(), stream.Disconnect{StreamID: of.ID, At: noon, Code: "replaced", Detail: fmt.Sprint(i)}))
		c.want(201, "", "POST", "/api/v1/streams/veras/forwards", vera.Access, fmt.Sprintf(`{"url":"rtmp://b%d.example.com/live/x"}`, i))
		c.want(201, "", "POST", "/api/v1/streams/veras/markers", vera.Access, fmt.Sprintf(`{"label":"%d"}`, i))
	}
	for _, path := range []string{"/api/v1/streams/veras/disconnects", "/api/v1/streams/veras/forwards", "/api/v1/streams/veras/markers?session_id=" + info.SessionID} {
		all := c.walk(path, vera.Access, 100)
		require.Len(t, all, 5, path)
		assert.Equal(t, all, c.walk(path, vera.Access, 2), path)
		assert.Equal(t, all, c.walk(path, vera.Access, 5), path)
		more := "?"
		if strings.Contains(path, "?") {
			more = "&"
		}
		assert.Contains(t, c.want(200, "", "GET", path, vera.Access, "").Body.String(), `"next_cursor":null`)
		for _, limit := range []string{"0", "101", "-1"} {
			c.want(422, "validation_failed", "GET", path+more+"limit="+limit, vera.Access, "")
		}
		c.want(400, "invalid_cursor", "GET", path+more+"cursor=x", vera.Access, "")
	}

	// What a page ended with may be gone before the next one is asked for.
	page := decode[struct {
		Items      []struct{ ID string }
		NextCursor string `json:"next_cursor"`
	}](t, c.want(200, "", "GET", "/api/v1/streams/veras/forwards?limit=2", vera.Access, "").Body.Bytes())
	c.want(204, "", "DELETE", "/api/v1/streams/veras/forwards/"+page.Items[1].ID, vera.Access, "")
	rest := c.want(200, "", "GET", "/api/v1/streams/veras/forwards?cursor="+page.NextCursor, vera.Access, "").Body.String()
	assert.Equal(t, 3, strings.Count(rest, `"id"`))
	c.want(400, "invalid_cursor", "GET", "/api/v1/streams/veras/disconnects?cursor="+page.NextCursor, vera.Access, "")
}

// TestAddressesToPublishToAreWhole where the site does not know its own: they are where the caller is.
func TestAddressesToPublishToAreWhole(t *testing.T) {
	for public, want := range map[string]string{"": "http://tv.local:8080/whip", "https://tv.example.com/": "https://tv.example.com/whip"} {
		s := newSite(t, db.Options{})
		s.deps.Config.PublicURL = public
		c := s.client(t)
		bert := c.streamer("bert")
		c.stream(bert.Access, `{"slug":"blitz","title":"x"}`)
		r := httptest.NewRequestWithContext(t.Context(), "GET", "http://tv.local:8080/api/v1/streams/blitz", nil)
		r.Header.Set("Authorization", "Bearer "+bert.Access)
		assert.Contains(t, apitest.Serve(t, c.h, r).Body.String(), `"whip_url":"`+want+`"`)
		if public != "" {
			continue
		}
		r = httptest.NewRequestWithContext(t.Context(), "GET", "https://tv.local/api/v1/me/streams", nil)
		r.Header.Set("Authorization", "Bearer "+bert.Access)
		assert.Contains(t, apitest.Serve(t, c.h, r).Body.String(), `"whip_url":"https://tv.local/whip"`)
	}
}

// TestChannelModeratorsSeeWhatFollowersSee, and of nobody else; until they are none any more, or are blocked.
func TestChannelModeratorsSeeWhatFollowersSee(t *testing.T) {
	th := newTheatre(t)
	const mod = "/api/v1/channels/@anna/moderators/@stranger"
	paths := []string{"streams/followers-1", "videos/" + th.videos["followers"].ID}
	hidden := []string{"streams/private-1", "videos/" + th.videos["private"].ID}
	seen := func(status int, code string, paths ...string) {
		t.Helper()
		for _, path := range paths {
			th.want(status, code, "GET", "/api/v1/"+path, th.tokens["stranger"], "")
			th.want(status, code, "GET", "/api/v1/"+path+"/playback", th.tokens["stranger"], "")
		}
	}
	seen(404, "not_found", slices.Concat(paths, hidden)...)
	th.want(204, "", "PUT", mod, th.tokens["owner"], "")
	seen(200, "", paths...)
	seen(404, "not_found", hidden...)
	require.NoError(t, th.plays(th.playback(paths[0], "stranger")["hls_url"].(string)))
	th.want(409, "invalid_state", "GET", "/api/v1/streams/followers-1/health", th.tokens["stranger"], "")
	th.want(409, "invalid_state", "POST", "/api/v1/streams/followers-1/markers", th.tokens["stranger"], `{"label":"x"}`)
	th.want(404, "not_found", "GET", "/api/v1/streams/private-1/health", th.tokens["stranger"], "")
	th.want(204, "", "DELETE", mod, th.tokens["owner"], "")
	seen(404, "not_found", paths...)
	th.want(204, "", "PUT", mod, th.tokens["owner"], "")
	th.want(204, "", "PUT", "/api/v1/users/@stranger/block", th.tokens["owner"], "")
	seen(404, "not_found", paths...)
	th.want(403, "forbidden", "GET", "/api/v1/channels/@anna/moderators", th.tokens["stranger"], "")
}
