package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/account"
	"mediad/api/audit"
	"mediad/store/db"
)

// staff makes an account of a role and signs it in.
func (s *site) staff(t *testing.T, c client, name string, role account.Role) session {
	t.Helper()
	_, err := s.accounts.Create(t.Context(), account.Create{Username: name, Password: goodPassword, Role: role})
	require.NoError(t, err)
	return c.login(name, goodPassword)
}

func (s *site) audited(t *testing.T, action string) []db.Audit {
	t.Helper()
	rows, err := s.db.Read(t.Context()).ListAudit(db.AuditFilter{Action: action}, 100)
	require.NoError(t, err)
	return rows
}

func TestAdminListsUsers(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	anna := c.login("anna", "correct horse").Access
	c.want(201, "", "POST", "/api/v1/auth/register", "", `{"username":"bert","password":"correct horse battery","email":"bert@example.com"}`)
	var all []string
	for i := range 4 {
		all = append(all, c.register(fmt.Sprintf("user_%d", i)).User.ID)
	}
	const users = "/api/v1/admin/users"
	assert.Len(t, c.walk(users, anna, 2), 6)
	list := func(query string) string { return c.want(200, "", "GET", users+query, anna, "").Body.String() }
	bert := list("?q=BERT@example.com")
	for _, want := range []string{`"username":"bert"`, `"email":"b***t@e***.com"`, `"last_seen_at":"2026-03-01T12:00:00.000Z"`, `"state":"active"`, `"me":{`} {
		assert.Contains(t, bert, want)
	}
	assert.NotContains(t, bert, "bert@example.com")
	assert.Contains(t, list("?q="+all[2]), `"username":"user_2"`)
	assert.Contains(t, list("?role=admin"), `"username":"anna"`)
	assert.NotContains(t, list("?role=admin"), `"username":"bert"`)
	for _, none := range []string{"?q=nobody", "?q=%25", "?q=' OR 1=1 --", "?state=suspended", "?q=user_1&role=admin", "?q=a@b.cd"} {
		assert.Contains(t, list(strings.ReplaceAll(none, " ", "%20")), `"items":[]`, none)
	}
	first := list("?q=user&limit=2")
	assert.Contains(t, first, "user_0")
	assert.NotContains(t, first, "user_2")
	_, cursor, _ := strings.Cut(first, `"next_cursor":"`)
	cursor, _, _ = strings.Cut(cursor, `"`)
	assert.Contains(t, list("?q=user&limit=2&cursor="+cursor), "user_3")
	c.want(400, "invalid_cursor", "GET", users+"?q=us&cursor="+cursor, anna, "")
	assert.Equal(t, "no-store", c.want(200, "", "GET", users, anna, "").Header().Get("Cache-Control"))
}

// TestAdminsFindWhoWantsToStream where they decide: in the order of asking, until one is made a streamer or told no.
func TestAdminsFindWhoWantsToStream(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	anna := c.login("anna", "correct horse").Access
	for i, name := range []string{"zoe", "bert", "carl"} {
		id := c.register(name).User.ID
		require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error { return q.RequestStreamer(id, "I am "+name, db.Millis(10+i)) }))
	}
	c.register("dora")
	const path = "/api/v1/admin/users?requested=true"
	names := func(query string) (names []string) {
		var page struct{ Items []struct{ Username string } }
		require.NoError(t, json.Unmarshal(c.want(200, "", "GET", path+query, anna, "").Body.Bytes(), &page))
		for _, u := range page.Items {
			names = append(names, u.Username)
		}
		return names
	}
	assert.Equal(t, []string{"zoe", "bert", "carl"}, names(""))
	assert.Len(t, c.walk("/api/v1/admin/users", anna, 2), 5)
	assert.Equal(t, []string{"zoe", "bert"}, names("&limit=2"))
	_, cursor, _ := strings.Cut(c.want(200, "", "GET", path+"&limit=2", anna, "").Body.String(), `"next_cursor":"`)
	cursor, _, _ = strings.Cut(cursor, `"`)
	assert.Equal(t, []string{"carl"}, names("&limit=2&cursor="+cursor))
	c.want(200, "", "PATCH", "/api/v1/admin/users/@zoe", anna, `{"role":"streamer"}`)
	declined := c.want(200, "", "PATCH", "/api/v1/admin/users/@bert", anna, `{"role":"viewer"}`)
	assert.Equal(t, []string{"carl"}, names(""))
	require.Len(t, s.audited(t, "streamer.decline"), 1)
	assert.JSONEq(t, `{"streamer_requested":true}`, s.audited(t, "streamer.decline")[0].Before)
	again := c.want(200, "", "PATCH", "/api/v1/admin/users/@bert", anna, `{"role":"viewer"}`)
	assert.Equal(t, declined.Header().Get("ETag"), again.Header().Get("ETag"), "nothing happened")
	assert.Len(t, s.audited(t, "streamer.decline"), 1)
	require.Len(t, s.audited(t, "role.change"), 1, "of @zoe alone")
	for _, wrong := range []string{"&q=carl", "&role=viewer", "&state=active"} {
		c.want(422, "validation_failed", "GET", path+wrong, anna, "")
	}
	c.want(400, "invalid_cursor", "GET", "/api/v1/admin/users?cursor="+cursor, anna, "")
}

func TestAdminChangesAccounts(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	anna := c.login("anna", "correct horse").Access
	bert := c.register("bert")
	const path = "/api/v1/admin/users/@bert"
	a := c.want(200, "", "PATCH", path, anna, `{"role":"streamer","verified":true}`)
	assert.Contains(t, a.Body.String(), `"role":"streamer"`)
	assert.Contains(t, a.Body.String(), `"verified":true`)
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/me", bert.Access, "").Body.String(), `"role":"streamer"`, "at once")
	c.want(412, "version_mismatch", "PATCH", path, anna, `{"verified":false}`, "If-Match", `"v1-x"`)
	c.want(200, "", "PATCH", path, anna, `{"verified":false}`, "If-Match", a.Header().Get("ETag"))
	c.want(200, "", "PATCH", path, anna, `{"must_change_password":true}`)
	c.want(403, "password_change_required", "GET", "/api/v1/auth/sessions", bert.Access, "")
	c.want(200, "", "PATCH", path, anna, `{"must_change_password":false}`)
	c.want(422, "validation_failed", "PATCH", path, anna, `{"role":"king"}`)
	c.want(422, "validation_failed", "PATCH", path, anna, `{"username":"x"}`)
	c.want(404, "not_found", "PATCH", "/api/v1/admin/users/@nobody", anna, `{}`)
	c.want(409, "last_admin", "PATCH", "/api/v1/admin/users/@anna", anna, `{"role":"viewer"}`)
	assert.Len(t, s.audited(t, "user.change"), 4)
	require.Len(t, s.audited(t, "role.change"), 1)
	assert.Equal(t, `{"role":"viewer"}`, s.audited(t, "role.change")[0].Before)

	c.want(204, "", "POST", path+"/logout", anna, "")
	c.want(401, "token_invalid", "GET", "/api/v1/me", bert.Access, "")
	var link struct{ URL string }
	require.NoError(t, json.Unmarshal(c.want(200, "", "POST", path+"/password-reset", anna, "").Body.Bytes(), &link))
	_, code, found := strings.Cut(link.URL, "#token=")
	require.True(t, found)
	c.want(204, "", "POST", "/api/v1/auth/password-reset/confirm", "", `{"token":"`+code+`","new_password":"staple of the battery"}`)
	c.login("bert", "staple of the battery")
	assert.Len(t, s.audited(t, "password.reset_link"), 1)

	made := c.want(201, "", "POST", "/api/v1/admin/users", anna, `{"username":"dora","role":"moderator"}`)
	var dora struct {
		OneTimePassword string `json:"one_time_password"`
	}
	require.NoError(t, json.Unmarshal(made.Body.Bytes(), &dora))
	c.want(403, "password_change_required", "GET", "/api/v1/auth/sessions", c.login("dora", dora.OneTimePassword).Access, "")
	c.want(409, "username_taken", "POST", "/api/v1/admin/users", anna, `{"username":"dora"}`)
	c.want(422, "validation_failed", "POST", "/api/v1/admin/users", anna, `{"username":"eve","role":"king"}`)
}

func TestSuspension(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	anna := c.login("anna", "correct horse").Access
	mod, other := s.staff(t, c, "mod_1", account.Moderator), s.staff(t, c, "mod_2", account.Moderator)
	bert := c.register("bert")
	const path = "/api/v1/users/@bert/suspension"
	state := func() string { return c.want(200, "", "GET", path, mod.Access, "").Body.String() }
	const free = `{"suspended":false,"until":null,"reason":""}`
	assert.JSONEq(t, free, state())
	c.want(404, "not_found", "GET", "/api/v1/users/@nobody_1/suspension", mod.Access, "")
	c.want(422, "validation_failed", "PUT", path, mod.Access, `{"reason":" "}`)
	c.want(422, "validation_failed", "PUT", path, mod.Access, `{"reason":"spam","until":"2026-03-01T11:00:00.000Z"}`)
	for range 2 {
		c.want(204, "", "PUT", path, mod.Access, `{"reason":"spam","until":"2026-03-01T13:00:00.000Z"}`)
	}
	assert.JSONEq(t, `{"suspended":true,"until":"2026-03-01T13:00:00.000Z","reason":"spam"}`, state())
	assert.Contains(t, []int{401, 403}, c.do("GET", "/api/v1/me", bert.Access, "").Code)
	assert.Contains(t, c.want(403, "account_suspended", "POST", "/api/v1/auth/login", "", `{"login":"bert","password":"`+goodPassword+`"}`).Body.String(), `"reason":"spam"`)
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/admin/users?state=suspended", anna, "").Body.String(), `"suspended_until":"2026-03-01T13:00:00.000Z"`)
	for range 2 {
		c.want(204, "", "DELETE", path, mod.Access, "")
	}
	assert.JSONEq(t, free, state())
	c.login("bert", goodPassword)

	for _, higher := range []string{"@anna", "@mod_2", "@mod_1"} {
		c.want(403, "role_required", "PUT", "/api/v1/users/"+higher+"/suspension", mod.Access, `{"reason":"coup"}`)
		c.want(403, "role_required", "DELETE", "/api/v1/users/"+higher+"/suspension", mod.Access, "")
	}
	c.want(204, "", "PUT", "/api/v1/users/@mod_2/suspension", anna, `{"reason":"spam"}`)
	assert.NotEqual(t, 200, c.do("GET", "/api/v1/me", other.Access, "").Code)
	c.want(409, "last_admin", "PUT", "/api/v1/users/@anna/suspension", anna, `{"reason":"tired"}`)

	second := s.staff(t, c, "boss", account.Admin)
	c.want(204, "", "PUT", "/api/v1/users/@anna/suspension", second.Access, `{"reason":"tired"}`)
	c.want(409, "last_admin", "PATCH", "/api/v1/admin/users/@boss", second.Access, `{"role":"viewer"}`)
	assert.Len(t, s.audited(t, "user.suspend"), 4)
}

func TestRevealAndAudit(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	anna := c.login("anna", "correct horse").Access
	bert := c.session(c.want(201, "", "POST", "/api/v1/auth/register", "", `{"username":"bert","password":"correct horse battery","email":"bert@example.com"}`))
	const path = "/api/v1/admin/users/@bert/reveal"
	c.want(422, "validation_failed", "GET", path+"?field=email", anna, "")
	c.want(422, "validation_failed", "GET", path+"?field=password&reason=x", anna, "")
	assert.JSONEq(t, `{"value":"bert@example.com"}`, c.want(200, "", "GET", path+"?field=email&reason=report%2017", anna, "").Body.String())
	assert.JSONEq(t, `{"value":"192.0.2.1"}`, c.want(200, "", "GET", path+"?field=ip&reason=report%2017", anna, "").Body.String())
	assert.JSONEq(t, `{"value":null}`, c.want(200, "", "GET", "/api/v1/admin/users/@anna/reveal?field=email&reason=x", anna, "").Body.String())
	c.want(403, "role_required", "GET", path+"?field=email&reason=x", bert.Access, "")

	list := func(query string) string {
		return c.want(200, "", "GET", "/api/v1/admin/audit"+query, anna, "").Body.String()
	}
	revealed := list("?action=user.reveal.email&target=user:" + bert.User.ID)
	for _, want := range []string{`"reason":"report 17"`, `"ip":"192.0.2.x"`, `"role":"admin"`, `"via":"session"`, `"outcome":"ok"`} {
		assert.Contains(t, revealed, want)
	}
	assert.NotContains(t, revealed, "bert@example.com")
	var bot struct{ Token string }
	made := c.want(201, "", "POST", "/api/v1/me/api-tokens", anna, `{"label":"bot","scopes":["profile"]}`)
	require.NoError(t, json.Unmarshal(made.Body.Bytes(), &bot))
	c.want(403, "scope_missing", "GET", "/api/v1/admin/audit", bot.Token, "")
	denied := list("?action=denied")
	assert.Contains(t, denied, `"id":"listAudit"`, "a token that is tried where it may not is told too")
	assert.Contains(t, denied, `"id":"revealUser"`)
	assert.Contains(t, denied, `"outcome":"denied"`)
	assert.Contains(t, denied, bert.User.ID)
	assert.Contains(t, list("?actor="+bert.User.ID), `"action":"denied"`)
	assert.Contains(t, list("?to=2026-03-01T12:00:00.000Z"), `"items":[]`)
	assert.NotContains(t, list("?from=2026-03-01T12:00:00.000Z"), `"items":[]`)
	c.want(422, "validation_failed", "GET", "/api/v1/admin/audit?target=x", anna, "")
	c.want(422, "validation_failed", "GET", "/api/v1/admin/audit?from=yesterday", anna, "")
	assert.Greater(t, len(c.walk("/api/v1/admin/audit", anna, 2)), 4)
}

// TestRevealAfterASuspension: the address is asked for just then, and every session has ended.
func TestRevealAfterASuspension(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	anna := c.login("anna", "correct horse").Access
	bert := c.register("bert")
	c.want(204, "", "POST", "/api/v1/auth/logout", bert.Access, "")
	c.login("bert", goodPassword)
	reveal := func() string {
		return c.want(200, "", "GET", "/api/v1/admin/users/@bert/reveal?field=ip&reason=abuse", anna, "").Body.String()
	}
	c.want(204, "", "PUT", "/api/v1/users/@bert/suspension", anna, `{"reason":"spam"}`)
	assert.JSONEq(t, `{"value":"192.0.2.1"}`, reveal())
	s.clock.pass(29 * 24 * time.Hour)
	require.NoError(t, swept(s.auth.Sweep(t.Context())))
	anna = c.login("anna", "correct horse").Access
	assert.JSONEq(t, `{"value":"192.0.2.1"}`, reveal(), "until it is erased")
	s.clock.pass(2 * 24 * time.Hour)
	require.NoError(t, swept(s.auth.Sweep(t.Context())))
	anna = c.login("anna", "correct horse").Access
	assert.JSONEq(t, `{"value":null}`, reveal())
}

func TestAuditNamesWhoItIsAbout(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	anna := c.login("anna", "correct horse").Access
	bert := c.register("bert")
	c.want(401, "bad_credentials", "POST", "/api/v1/auth/login", "", `{"login":"bert","password":"a wrong password"}`)
	c.want(200, "", "PATCH", "/api/v1/admin/users/@bert", anna, `{"role":"streamer"}`)
	type named struct {
		Action, Outcome string
		Actor, Target   struct {
			ID, Type string
			Username *string
		}
	}
	list := func(query string) []named {
		t.Helper()
		return decode[struct{ Items []named }](t, c.want(200, "", "GET", "/api/v1/admin/audit"+query, anna, "").Body.Bytes()).Items
	}
	change := list("?action=role.change")
	require.Len(t, change, 1)
	assert.Equal(t, "anna", *change[0].Actor.Username)
	assert.Equal(t, "bert", *change[0].Target.Username)
	assert.Equal(t, list("?target=user:"+bert.User.ID), list("?target=user:@BERT"), "by name as by id")
	assert.Equal(t, change, list("?actor=@anna&target=user:@bert"))
	for _, none := range []string{"?actor=@nobody", "?target=user:@nobody", "?actor=@bert&outcome=denied"} {
		assert.Empty(t, list(none), none)
	}
	denied := list("?outcome=denied")
	require.Len(t, denied, 1)
	assert.Equal(t, "login", denied[0].Action)
	assert.Nil(t, denied[0].Actor.Username, "nobody was signed in")
	assert.Equal(t, "bert", *denied[0].Target.Username)
	for _, one := range list("?outcome=ok&limit=100") {
		assert.Equal(t, "ok", one.Outcome)
	}
	c.want(422, "validation_failed", "GET", "/api/v1/admin/audit?outcome=maybe", anna, "")
	c.want(400, "invalid_cursor", "GET", "/api/v1/admin/audit?outcome=ok&cursor="+*decode[struct {
		Next *string `json:"next_cursor"`
	}](t, c.want(200, "", "GET", "/api/v1/admin/audit?limit=1", anna, "").Body.Bytes()).Next, anna, "")
}

func TestAuditExport(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	anna := c.login("anna", "correct horse").Access
	const more = 600 // over two pages
	for i := range more {
		require.NoError(t, s.audit.Write(t.Context(), audit.Entry{Action: "test.act", TargetType: "thing", TargetID: fmt.Sprint(i)}))
	}
	const path = "/api/v1/admin/audit.ndjson"
	a := c.want(200, "", "GET", path+"?action=test.act", anna, "")
	assert.Equal(t, "application/x-ndjson", a.Header().Get("Content-Type"))
	assert.Equal(t, "no-store", a.Header().Get("Cache-Control"))
	assert.Contains(t, a.Header().Get("Content-Disposition"), `attachment; filename="audit-`)
	lines := strings.Split(strings.TrimSuffix(a.Body.String(), "\n"), "\n")
	require.Len(t, lines, more)
	for i, line := range lines {
		e := decode[struct{ Target struct{ ID string } }](t, []byte(line))
		assert.Equal(t, fmt.Sprint(more-1-i), e.Target.ID, "the newest first, each once")
	}
	page := decode[struct{ Items []json.RawMessage }](t, c.want(200, "", "GET", "/api/v1/admin/audit?action=test.act&limit=1", anna, "").Body.Bytes())
	assert.JSONEq(t, string(page.Items[0]), lines[0], "as in the list")

	rows := s.audited(t, "audit.export")
	require.Len(t, rows, 1)
	assert.JSONEq(t, `{"action":"test.act"}`, rows[0].After)
	assert.Empty(t, c.want(200, "", "GET", path+"?actor=@nobody", anna, "").Body.String())
	c.want(200, "", "HEAD", path, anna, "")
	c.want(422, "validation_failed", "GET", path+"?target=x", anna, "")
	c.want(403, "role_required", "GET", path, c.register("bert").Access, "")
	for range 3 { // none of those before holds a place
		c.want(200, "", "GET", path+"?outcome=denied", anna, "")
	}
}

// TestAuditExportBreaksOff: what could not be read whole must not look whole, and only so many are read at the same time.
func TestAuditExportBreaksOff(t *testing.T) {
	s := newSite(t, db.Options{})
	s.deps.Config.LimitScale = 0
	server := httptest.NewServer(s.handler(t))
	defer server.Close()
	c := s.client(t)
	anna := c.login("anna", "correct horse").Access
	for i := range 3 {
		require.NoError(t, s.audit.Write(t.Context(), audit.Entry{Action: "test.act", TargetType: "thing", TargetID: fmt.Sprint(i)}))
	}
	broken := "{broken"
	row := db.Audit{ID: "0198f2a0-0000-7000-8000-000000000001", At: db.At(noon), Node: "x", Via: "system", Action: "test.act", Outcome: "ok", After: broken}
	require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error { return q.AppendAudit(row) }))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/api/v1/admin/audit.ndjson", http.NoBody)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+anna)
	answer, err := server.Client().Do(r)
	if err == nil {
		defer answer.Body.Close()
		_, err = io.ReadAll(answer.Body)
	}
	require.Error(t, err, "the connection is broken off")
}

// meddler is a ResponseWriter behind whose first piece something happens.
type meddler struct {
	*httptest.ResponseRecorder
	then func()
}

func (m *meddler) Write(b []byte) (int, error) {
	n, err := m.ResponseRecorder.Write(b)
	if then := m.then; then != nil {
		m.then = nil
		then()
	}
	return n, err
}

// TestAuditExportEndsWithThePermission: whoever is an admin no more gets nothing more of it. That the token expires ends nothing.
func TestAuditExportEndsWithThePermission(t *testing.T) {
	s := newSite(t, db.Options{})
	s.deps.Config.LimitScale = 0
	h := s.handler(t)
	c := s.client(t)
	anna := c.login("anna", "correct horse").Access
	for i := range 600 { // over two pages
		require.NoError(t, s.audit.Write(t.Context(), audit.Entry{Action: "test.act", TargetType: "thing", TargetID: fmt.Sprint(i)}))
	}
	export := func(token string, then func()) (lines int) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/admin/audit.ndjson?action=test.act", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+token)
		w := &meddler{httptest.NewRecorder(), then}
		func() {
			defer func() {
				if p := recover(); p != nil {
					require.Equal(t, http.ErrAbortHandler, p)
				}
			}()
			h.ServeHTTP(w, r)
		}()
		require.Equal(t, 200, w.Code)
		return strings.Count(w.Body.String(), "\n")
	}
	demoted := s.staff(t, c, "demoted", account.Admin).Access
	assert.Equal(t, 250, export(demoted, func() { c.want(200, "", "PATCH", "/api/v1/admin/users/@demoted", anna, `{"role":"viewer"}`) }))
	suspended := s.staff(t, c, "suspended", account.Admin).Access
	assert.Equal(t, 250, export(suspended, func() { c.want(204, "", "PUT", "/api/v1/users/@suspended/suspension", anna, `{"reason":"x"}`) }))
	late := s.staff(t, c, "late", account.Admin).Access
	assert.Equal(t, 600, export(late, func() { s.clock.pass(20 * time.Minute) }))
}

func TestInvitesOverTheAPI(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	anna := c.login("anna", "correct horse").Access
	const path = "/api/v1/admin/invites"
	var made struct{ ID, Code, Hint string }
	a := c.want(201, "", "POST", path, anna, `{"uses":2,"expires_at":"`+noon.Add(time.Hour).Format("2006-01-02T15:04:05.000Z")+`"}`)
	require.NoError(t, json.Unmarshal(a.Body.Bytes(), &made))
	assert.True(t, strings.HasSuffix(made.Code, made.Hint))
	assert.Contains(t, c.want(201, "", "POST", path, anna, `{}`).Body.String(), `"uses_left":1`)
	list := c.want(200, "", "GET", path, anna, "").Body.String()
	assert.NotContains(t, list, "mdi_")
	assert.Contains(t, list, `"uses_left":2`)
	assert.Len(t, c.walk(path, anna, 1), 2)
	c.want(422, "validation_failed", "POST", path, anna, `{"uses":0}`)
	c.want(204, "", "DELETE", path+"/"+made.ID, anna, "")
	c.want(404, "not_found", "DELETE", path+"/"+made.ID, anna, "")
	assert.Len(t, s.audited(t, "invite.delete"), 1)
}
