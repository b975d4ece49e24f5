package api_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/account"
	"mediad/api/alert"
	"mediad/store/db"
)

type alertBody struct {
	ID, Rule, Severity, Summary, Node, State string
	Labels                                   map[string]string
	Resolution                               *string
	Value                                    *float64
	FiredAt                                  string  `json:"fired_at"`
	ResolvedAt                               *string `json:"resolved_at"`
	AckedAt                                  *string `json:"acked_at"`
	AckedBy                                  *string `json:"acked_by"`
}

type alertsBody struct {
	Items      []alertBody
	NextCursor *string `json:"next_cursor"`
}

func firing(rule, of string) alert.Firing {
	return alert.Firing{Rule: rule, Severity: "critical", Summary: rule + " of " + of + ".", Labels: map[string]string{"dir": of, "severity": "critical"}, Value: 0.07, Since: noon}
}

// node is an alert service as another node, or another run of this one, has it.
func (s *site) node(host, id string) *alert.Service {
	return alert.New(alert.Options{DB: s.db, Audit: s.audit, Host: host, Node: func() string { return id }, Now: s.clock.Now})
}

func (s *site) beats(t *testing.T, nodes ...string) {
	t.Helper()
	require.NoError(t, s.db.Write(t.Context()).ForgetNodes())
	for _, one := range nodes {
		require.NoError(t, s.db.Write(t.Context()).Beat(one))
	}
}

func (c client) alerts(token, query string) alertsBody {
	c.t.Helper()
	return decode[alertsBody](c.t, c.want(200, "", "GET", "/api/v1/admin/alerts"+query, token, "").Body.Bytes())
}

func TestAlertsAreListedAckedToldAndResolved(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	s.works(t)
	admin := c.login("anna", "correct horse").Access
	hook := newReceiver(t)
	c.hook(admin, hook.URL, `"alert.fired","alert.resolved"`, `,"scope":"site"`)
	assert.Empty(t, c.alerts(admin, "").Items)

	disk, slow := firing("Disk", "data"), firing("Slow", "db")
	require.NoError(t, s.alerts.Sync(t.Context(), []alert.Firing{disk}))
	require.NoError(t, s.alerts.Sync(t.Context(), []alert.Firing{disk}), "it is told once")
	list := c.alerts(admin, "").Items
	require.Len(t, list, 1)
	one := list[0]
	assert.Equal(t, alertBody{
		ID: one.ID, Rule: "Disk", Severity: "critical", Summary: "Disk of data.", Node: s.queue.Node(), State: "firing", Labels: disk.Labels, Value: &disk.Value,
		FiredAt: "2026-03-01T12:00:00.000Z",
	}, one)
	got := hook.await(t, 1)
	var event struct {
		Type string
		Data alert.Told
	}
	require.NoError(t, json.Unmarshal([]byte(got[0].body), &event))
	assert.Equal(t, "alert.fired", event.Type)
	assert.Equal(t, alert.Told{
		ID: one.ID, Rule: "Disk", Severity: "critical", Summary: "Disk of data.", Labels: disk.Labels, Node: s.queue.Node(), Value: &disk.Value, FiredAt: "2026-03-01T12:00:00.000Z",
	}, event.Data)
	overview := c.want(200, "", "GET", "/api/v1/admin/overview", admin, "").Body.String()
	assert.Contains(t, overview, `"rule":"Disk"`)

	ack := "/api/v1/admin/alerts/" + one.ID + "/ack"
	s.clock.pass(time.Minute)
	first := c.want(200, "", "POST", ack, admin, "").Body.String()
	acked := decode[alertBody](t, []byte(first))
	assert.Equal(t, "2026-03-01T12:01:00.000Z", *acked.AckedAt)
	assert.Equal(t, s.owner.ID, *acked.AckedBy)
	s.clock.pass(time.Minute)
	_, other := s.streamer(t, c, "carla_1", account.Admin)
	assert.Equal(t, first, c.want(200, "", "POST", ack, other, "").Body.String(), "who was first stays")
	c.want(404, "not_found", "POST", "/api/v1/admin/alerts/0198f2a0-0000-7000-8000-0000000000ff/ack", admin, "")
	c.want(404, "not_found", "POST", "/api/v1/admin/alerts/nobody/ack", admin, "")
	audit := c.want(200, "", "GET", "/api/v1/admin/audit?action=alert.ack", admin, "").Body.String()
	assert.Contains(t, audit, `"target":{"type":"alert","id":"`+one.ID+`"`)
	assert.NotContains(t, audit, `"next_cursor":"`)
	assert.Equal(t, 1, len(decode[struct{ Items []any }](t, []byte(audit)).Items), "the second changed nothing")

	require.NoError(t, s.alerts.Sync(t.Context(), []alert.Firing{slow}))
	got = hook.await(t, 3)
	kinds := map[string]int{}
	for _, d := range got {
		require.NoError(t, json.Unmarshal([]byte(d.body), &event))
		kinds[event.Type+" "+event.Data.Rule]++
		if event.Type == "alert.resolved" {
			assert.Equal(t, "cleared", event.Data.Resolution)
			assert.Equal(t, "2026-03-01T12:02:00.000Z", event.Data.ResolvedAt)
		}
	}
	assert.Equal(t, map[string]int{"alert.fired Disk": 1, "alert.resolved Disk": 1, "alert.fired Slow": 1}, kinds)
	require.Len(t, c.alerts(admin, "?state=firing").Items, 1)
	over := c.alerts(admin, "?state=resolved").Items
	require.Len(t, over, 1)
	assert.Equal(t, "cleared", *over[0].Resolution)
	assert.Equal(t, "2026-03-01T12:02:00.000Z", *over[0].ResolvedAt)
	assert.Equal(t, s.owner.ID, *over[0].AckedBy)
	again := c.want(200, "", "POST", "/api/v1/admin/alerts/"+c.alerts(admin, "?state=firing").Items[0].ID+"/ack", admin, "")
	assert.Contains(t, again.Body.String(), `"acked_by":"`+s.owner.ID)
	c.want(200, "", "POST", ack, admin, "") // what is over may be seen, too

	page := c.alerts(admin, "?limit=1")
	assert.Equal(t, "Slow", page.Items[0].Rule, "the newest first")
	require.NotNil(t, page.NextCursor)
	page = c.alerts(admin, "?limit=1&cursor="+*page.NextCursor)
	assert.Equal(t, "Disk", page.Items[0].Rule)
	assert.Nil(t, page.NextCursor)
	c.want(422, "validation_failed", "GET", "/api/v1/admin/alerts?state=open", admin, "")
	c.want(403, "role_required", "GET", "/api/v1/admin/alerts", s.staff(t, c, "mod_1", account.Moderator).Access, "")
}

func TestAnAlertSurvivesARestart(t *testing.T) {
	s := newSite(t, db.Options{})
	rows := func(state string) []db.Alert {
		found, err := s.alerts.List(t.Context(), state, "", 10)
		require.NoError(t, err)
		return found
	}
	s.beats(t, "host-1")
	require.NoError(t, s.node("host", "host-1").Sync(t.Context(), []alert.Firing{firing("Disk", "data"), firing("Gone", "data"), firing("Full", "data")}))
	s.beats(t, "host-2")
	second := s.node("host", "host-2")
	var restored []string
	require.NoError(t, second.Load(t.Context(), func(a db.Alert) (known, taken bool) {
		restored = append(restored, a.Rule)
		return a.Rule != "Gone", a.Rule == "Disk"
	}))
	assert.ElementsMatch(t, []string{"Disk", "Gone", "Full"}, restored)
	of := func(rule string) db.Alert {
		found := rows(db.AlertFiring)
		i := slices.IndexFunc(found, func(a db.Alert) bool { return a.Rule == rule })
		require.GreaterOrEqual(t, i, 0, rule)
		return found[i]
	}
	require.Len(t, rows(db.AlertFiring), 2)
	assert.Equal(t, "host-2", of("Disk").Node)
	assert.Equal(t, "host-1", of("Full").Node, "there was no room for it")
	require.Len(t, rows(db.AlertResolved), 1)
	assert.Equal(t, db.AlertRuleGone, rows(db.AlertResolved)[0].Resolution)
	before := of("Disk").ID
	require.NoError(t, second.Sync(t.Context(), []alert.Firing{firing("Disk", "data")}))
	assert.Equal(t, before, of("Disk").ID, "it is the same one, told once")
	require.NoError(t, second.Sync(t.Context(), nil))
	require.Len(t, rows(db.AlertFiring), 1)
	s.clock.pass(61 * time.Second)
	require.NoError(t, second.Sync(t.Context(), nil))
	s.clock.pass(121 * time.Second)
	require.NoError(t, second.Sync(t.Context(), nil))
	assert.Empty(t, rows(db.AlertFiring), "its node is gone")

	events, err := s.db.Read(t.Context()).ListUnsent(0, 100)
	require.NoError(t, err)
	told := map[string]int{}
	for _, e := range events {
		told[e.Type]++
	}
	assert.Equal(t, 3, told["alert.fired"])
	assert.Equal(t, 3, told["alert.resolved"])
}

// TestNodesTellForThemselvesAndForTheSite is of what a site of several nodes does, and so of PostgreSQL.
func TestNodesTellForThemselvesAndForTheSite(t *testing.T) {
	s := newSite(t, db.Options{})
	if s.db.Engine() != db.PostgreSQL {
		t.Skip("SQLite has one node: run with MEDIAD_TEST_DATABASE=postgres")
	}
	rows := func(state string) map[string]string {
		found, err := s.alerts.List(t.Context(), state, "", 10)
		require.NoError(t, err)
		all := map[string]string{}
		for _, a := range found {
			all[a.Rule+" of "+a.Node] = a.Resolution
		}
		return all
	}
	jobs := firing("Jobs", "all")
	jobs.Labels["scope"] = "site"
	s.beats(t, "a-1", "b-1")
	a, b := s.node("a", "a-1"), s.node("b", "b-1")
	both := []alert.Firing{jobs, firing("Disk", "data")}
	require.NoError(t, a.Sync(t.Context(), both))
	require.NoError(t, b.Sync(t.Context(), both))
	assert.Equal(t, map[string]string{"Jobs of a-1": "", "Disk of a-1": "", "Disk of b-1": ""}, rows(db.AlertFiring), "one tells for all")

	s.beats(t, "b-1") // a is gone
	s.clock.pass(61 * time.Second)
	require.NoError(t, b.Sync(t.Context(), both))
	assert.Equal(t, map[string]string{"Jobs of b-1": "", "Disk of a-1": "", "Disk of b-1": ""}, rows(db.AlertFiring), "another goes on telling for all")
	s.clock.pass(121 * time.Second)
	require.NoError(t, b.Sync(t.Context(), both))
	assert.Equal(t, map[string]string{"Jobs of b-1": "", "Disk of b-1": ""}, rows(db.AlertFiring))
	assert.Equal(t, map[string]string{"Disk of a-1": db.AlertNodeGone}, rows(db.AlertResolved))
	require.NoError(t, b.Load(t.Context(), func(db.Alert) (known, taken bool) { t.Error("they are its own"); return false, false }))
}

func TestAlertsAreBoundedAndTidied(t *testing.T) {
	s := newSite(t, db.Options{})
	var many []alert.Firing
	for i := range 50 {
		many = append(many, firing("Many", fmt.Sprint(i)))
	}
	count := func(state string) int {
		found, err := s.alerts.List(t.Context(), state, "", 1000)
		require.NoError(t, err)
		return len(found)
	}
	for _, want := range []int{20, 40, 50} {
		require.NoError(t, s.alerts.Sync(t.Context(), many))
		assert.Equal(t, want, count(db.AlertFiring))
	}
	for range 3 {
		require.NoError(t, s.alerts.Sync(t.Context(), many[:1]))
	}
	assert.Equal(t, 1, count(db.AlertFiring))
	require.NoError(t, swept(s.alerts.Tidy(t.Context())))
	assert.Equal(t, 49, count(db.AlertResolved))
	s.clock.pass(30*24*time.Hour + time.Second)
	require.NoError(t, swept(s.alerts.Tidy(t.Context())))
	assert.Zero(t, count(db.AlertResolved))
	assert.Equal(t, 1, count(db.AlertFiring), "what fires stays")
}
