package api_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/account"
	"mediad/api/stream"
	"mediad/internal/testx"
	"mediad/store/db"
	"mediad/store/event"
	"mediad/store/outbox"
	"mediad/store/river"
)

// jobQueue is handed to services before the queue is made of their kinds.
type jobQueue struct{ *river.Queue }

// works runs the jobs and hands on the events of a site until the test ends.
func (s *site) works(t *testing.T) {
	t.Helper()
	relay := outbox.New(outbox.Options{DB: s.db, Poll: 100 * time.Millisecond, Consumers: []outbox.Consumer{{Name: "webhooks", Take: s.hooks.Take}}})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{s.queue.Run, relay.Run} {
		wg.Go(func() { assert.NoError(t, run(ctx)) })
	}
	t.Cleanup(func() { cancel(); wg.Wait() })
}

// receiver is somebody else's server.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex // guards the following
	got    []received
	answer func(n int) (status int, body string) // to the n-th call, from 1
}

type received struct {
	header http.Header
	body   string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		r.got = append(r.got, received{q.Header, string(body)})
		status, text := 204, ""
		if r.answer != nil {
			status, text = r.answer(len(r.got))
		}
		r.mu.Unlock()
		if status/100 == 3 {
			w.Header().Set("Location", r.URL+"/elsewhere")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received{}, r.got...)
}

func (r *receiver) await(t *testing.T, n int) []received {
	t.Helper()
	testx.WaitFor(t, fmt.Sprintf("%d deliveries", n), func() bool { return len(r.all()) >= n })
	return r.all()
}

// signedWith says whether one of a delivery's signatures is by the secret, as a receiver finds out.
func (d received) signedWith(secret string) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return false
	}
	h := hmac.New(sha256.New, key)
	h.Write([]byte(d.header.Get("webhook-id") + "." + d.header.Get("webhook-timestamp") + "." + d.body))
	for _, one := range strings.Fields(d.header.Get("webhook-signature")) {
		if one == "v1,"+base64.StdEncoding.EncodeToString(h.Sum(nil)) {
			return true
		}
	}
	return false
}

type hookBody struct {
	ID, Secret, Scope, Hint string
	Active                  bool
	DisabledAt              *string `json:"disabled_at"`
	FailingSince            *string `json:"failing_since"`
	OldSecretUntil          *string `json:"old_secret_until"`
}

type deliveryBody struct {
	ID, Type, State string
	EventID         string `json:"event_id"`
	Attempt         int
	Status          *int
	Error           *string
	ResponseHead    *string `json:"response_head"`
	NextAt          *string `json:"next_at"`
}

func decode[T any](t testing.TB, text []byte) (v T) {
	t.Helper()
	require.NoError(t, json.Unmarshal(text, &v))
	return v
}

const hooksPath = "/api/v1/me/webhooks"

func (c client) hook(token, url, events, more string) hookBody {
	c.t.Helper()
	a := c.want(201, "", "POST", hooksPath, token, `{"url":"`+url+`","events":[`+events+`]`+more+`}`)
	h := decode[hookBody](c.t, a.Body.Bytes())
	assert.Equal(c.t, hooksPath+"/"+h.ID, a.Header().Get("Location"))
	return h
}

func (s *site) streamer(t *testing.T, c client, name string, role account.Role) (id, token string) {
	t.Helper()
	u, err := s.accounts.Create(t.Context(), account.Create{Username: name, Password: goodPassword, Role: role})
	require.NoError(t, err)
	return u.User.ID, c.login(name, goodPassword).Access
}

func (s *site) emit(t *testing.T, kind, key, owner string, n int) {
	t.Helper()
	require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error {
		return event.Emit(q, event.Event{Type: kind, Key: key, OwnerID: owner, Data: map[string]int{"n": n}}, noon)
	}))
}

func TestWebhooksAreToldWhatHappens(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	s.works(t)
	id, token := s.streamer(t, c, "bert_1", account.Streamer)
	_, admin := s.streamer(t, c, "carla_1", account.Admin)
	mine, all := newReceiver(t), newReceiver(t)
	testx.WaitFor(t, "the events of before", func() bool {
		rows, err := s.db.Read(t.Context()).ListUnsent(0, 1)
		return err == nil && len(rows) == 0
	})
	h := c.hook(token, mine.URL, `"stream.online","stream.offline","follow.created"`, "")
	require.True(t, strings.HasPrefix(h.Secret, "whsec_"))
	assert.Equal(t, "own", h.Scope)
	c.hook(admin, all.URL, `"stream.online","user.registered"`, `,"scope":"site"`)

	s.emit(t, event.StreamOnline, "stream:a", id, 1)
	s.emit(t, event.StreamOnline, "stream:b", "0198f2a0-0000-7000-8000-0000000000ff", 2)
	s.emit(t, event.VideoReady, "video:v", id, 3)
	s.emit(t, event.StreamOffline, "stream:a", id, 4)
	got := mine.await(t, 2)
	for _, d := range got {
		assert.True(t, d.signedWith(h.Secret))
		assert.Equal(t, "application/json; charset=utf-8", d.header.Get("Content-Type"))
		at, err := strconv.ParseInt(d.header.Get("webhook-timestamp"), 10, 64)
		require.NoError(t, err)
		assert.Equal(t, noon.Unix(), at)
	}
	body := decode[struct {
		ID, Type  string
		CreatedAt string `json:"created_at"`
		Data      struct{ N int }
	}](t, []byte(got[0].body))
	assert.Equal(t, []any{"stream.online", 1, "2026-03-01T12:00:00.000Z", got[0].header.Get("webhook-id")}, []any{body.Type, body.Data.N, body.CreatedAt, body.ID})
	assert.Contains(t, got[1].body, `"n":4`, "what is about the same thing keeps its order, and what the webhook is not for is left out")
	assert.Len(t, all.await(t, 2), 2, "an admin hears of everybody's")

	list := decode[struct{ Items []deliveryBody }](t, c.want(200, "", "GET", hooksPath+"/"+h.ID+"/deliveries", token, "").Body.Bytes())
	require.Len(t, list.Items, 2)
	assert.Equal(t, []any{"delivered", 1, 204}, []any{list.Items[1].State, list.Items[1].Attempt, *list.Items[1].Status})
	c.want(404, "not_found", "GET", hooksPath+"/"+h.ID+"/deliveries", admin, "")
	assert.NotContains(t, c.want(200, "", "GET", hooksPath, token, "").Body.String(), "secret\"")

	// Who is a streamer no more hears nothing more, and what an event is for is decided when it happens.
	require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error { return q.SetRole(id, "viewer", 1) }))
	s.emit(t, event.StreamOnline, "stream:a", id, 5)
	all.await(t, 3)
	assert.Len(t, mine.all(), 2)
}

func TestADeliveryIsTriedAgainAndSeen(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	s.works(t)
	id, token := s.streamer(t, c, "bert_2", account.Streamer)
	r := newReceiver(t)
	r.answer = func(n int) (int, string) {
		switch n {
		case 1:
			return 500, "oh" + strings.Repeat("x", 5000)
		case 2:
			return 302, "" // not followed
		}
		return 200, "ok\x00\xff"
	}
	h := c.hook(token, r.URL, `"stream.online"`, "")
	path := hooksPath + "/" + h.ID
	s.emit(t, event.StreamOnline, "stream:a", id, 1)
	got := r.await(t, 3)
	assert.Equal(t, got[0].header.Get("webhook-id"), got[2].header.Get("webhook-id"))
	deliveries := func() []deliveryBody {
		return decode[struct{ Items []deliveryBody }](t, c.want(200, "", "GET", path+"/deliveries", token, "").Body.Bytes()).Items
	}
	testx.WaitFor(t, "it to be noted", func() bool { return deliveries()[0].State == "delivered" })
	d := deliveries()[0]
	assert.Equal(t, []any{3, 200, "ok\ufffd"}, []any{d.Attempt, *d.Status, *d.ResponseHead})
	// It can be had again, with the same id.
	c.want(202, "", "POST", path+"/deliveries/"+d.ID+"/retry", token, "")
	assert.Equal(t, got[0].header.Get("webhook-id"), r.await(t, 4)[3].header.Get("webhook-id"))
	c.want(404, "not_found", "POST", path+"/deliveries/0198f2a0-0000-7000-8000-000000000092/retry", token, "")

	// Three attempts in vain are the end here; the answer's head is kept, and no more of it.
	r.mu.Lock()
	r.answer = func(int) (int, string) { return 503, strings.Repeat("y", 5000) }
	r.mu.Unlock()
	s.emit(t, event.StreamOnline, "stream:a", id, 2)
	testx.WaitFor(t, "it to fail", func() bool { return deliveries()[0].State == "failed" })
	d = deliveries()[0]
	assert.Equal(t, []any{3, 503, 1024}, []any{d.Attempt, *d.Status, len(*d.ResponseHead)})
	list := decode[struct{ Items []hookBody }](t, c.want(200, "", "GET", hooksPath, token, "").Body.Bytes())
	require.NotNil(t, list.Items[0].FailingSince)
	assert.Nil(t, list.Items[0].DisabledAt)

	// Nothing taken for three days: it is disabled, its owner is told, and nothing more is made for it.
	s.clock.pass(73 * time.Hour)
	token = c.login("bert_2", goodPassword).Access
	s.emit(t, event.StreamOnline, "stream:a", id, 3)
	testx.WaitFor(t, "it to be disabled", func() bool {
		w, err := s.db.Read(t.Context()).FindWebhook(h.ID)
		return err == nil && w.DisabledAt != nil
	})
	var told int
	require.NoError(t, s.db.JobPool().QueryRowContext(t.Context(), "SELECT count(*) FROM outbox WHERE type = 'webhook.disabled' AND owner_id = '"+id+"'").Scan(&told))
	assert.Equal(t, 1, told)
	before := len(r.all())
	s.emit(t, event.StreamOnline, "stream:a", id, 4)
	c.want(202, "", "POST", path+"/test", token, "")
	got = r.await(t, before+1)
	assert.Contains(t, got[len(got)-1].body, "webhook.test", "a test is sent all the same")
	// Its owner makes it active again.
	c.want(200, "", "PATCH", path, token, `{"active":true}`)
	w, err := s.db.Read(t.Context()).FindWebhook(h.ID)
	require.NoError(t, err)
	assert.True(t, w.Active && w.DisabledAt == nil && w.FailingSince == nil)
}

func TestASecretIsRotated(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	s.works(t)
	_, token := s.streamer(t, c, "bert_3", account.Streamer)
	r := newReceiver(t)
	h := c.hook(token, r.URL, `"stream.online"`, "")
	path := hooksPath + "/" + h.ID
	next := decode[hookBody](t, c.want(200, "", "POST", path+"/rotate-secret", token, "").Body.Bytes())
	require.NotEqual(t, h.Secret, next.Secret)
	require.NotNil(t, next.OldSecretUntil)
	c.want(202, "", "POST", path+"/test", token, "")
	d := r.await(t, 1)[0]
	assert.True(t, d.signedWith(h.Secret) && d.signedWith(next.Secret), "both are good for a day")
	s.clock.pass(25 * time.Hour)
	token = c.login("bert_3", goodPassword).Access
	c.want(202, "", "POST", path+"/test", token, "")
	d = r.await(t, 2)[1]
	assert.False(t, d.signedWith(h.Secret))
	assert.True(t, d.signedWith(next.Secret))
	c.want(204, "", "DELETE", path, token, "")
	c.want(404, "not_found", "DELETE", path, token, "")
}

// TestASuspensionThatIsOverKeepsNothingBack: the account's state stays that of one that was suspended.
func TestASuspensionThatIsOverKeepsNothingBack(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	s.works(t)
	id, token := s.streamer(t, c, "bert_6", account.Streamer)
	r := newReceiver(t)
	c.hook(token, r.URL, `"stream.online"`, "")
	require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error {
		return q.SuspendUser(id, db.AtPtr(noon.Add(time.Hour)), "spam", db.At(noon))
	}))
	s.clock.pass(2 * time.Hour)
	s.emit(t, event.StreamOnline, "stream:a", id, 1)
	assert.Contains(t, r.await(t, 1)[0].body, "stream.online")
}

// TestWhatWaitsWhileItsOwnerIsSuspended is sent when that is over. Where that is far away it fails, says why, and can be retried.
func TestWhatWaitsWhileItsOwnerIsSuspended(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	s.works(t)
	id, token := s.streamer(t, c, "bert_7", account.Streamer)
	r := newReceiver(t)
	h := c.hook(token, r.URL, `"stream.online"`, "")
	suspend := func(until *db.Millis) {
		assert.NoError(t, s.db.Tx(context.Background(), func(q db.Queries) error { return q.SuspendUser(id, until, "spam", db.At(s.clock.Now())) }))
	}
	var until *db.Millis
	r.answer = func(n int) (int, string) {
		if n%2 == 1 { // and it is to be tried again while they are
			suspend(until)
			return 503, ""
		}
		return 204, ""
	}
	newest := func() db.Delivery {
		all, err := s.db.Read(t.Context()).ListDeliveries(h.ID, "", 1)
		require.NoError(t, err)
		require.Len(t, all, 1)
		return all[0]
	}
	until = db.AtPtr(noon.Add(time.Second)) // jobs wait by the clock on the wall
	s.emit(t, event.StreamOnline, "stream:a", id, 1)
	r.await(t, 1)
	testx.WaitFor(t, "it to wait", func() bool { return newest().Error == "suspended" })
	d := newest()
	assert.Equal(t, db.DeliveryWaiting, d.State)
	assert.Equal(t, until, d.NextAt)
	s.clock.pass(2 * time.Hour)
	r.await(t, 2)
	testx.WaitFor(t, "it to be noted", func() bool { return newest().State == db.DeliveryDelivered })

	until = nil // for good
	s.emit(t, event.StreamOnline, "stream:a", id, 2)
	r.await(t, 3)
	testx.WaitFor(t, "it to fail", func() bool { return newest().State == db.DeliveryFailed })
	d = newest()
	assert.Equal(t, "suspended", d.Error)
	w, err := s.db.Read(t.Context()).FindWebhook(h.ID)
	require.NoError(t, err)
	require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error { return q.ReleaseUser(id, db.At(s.clock.Now())) }))
	assert.Nil(t, w.DisabledAt)
	token = c.login("bert_7", goodPassword).Access
	c.want(202, "", "POST", hooksPath+"/"+h.ID+"/deliveries/"+d.ID+"/retry", token, "")
	r.await(t, 4)
	testx.WaitFor(t, "it to be noted", func() bool { return newest().State == db.DeliveryDelivered })
}

func TestWhatAWebhookMayBe(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	_, token := s.streamer(t, c, "bert_4", account.Streamer)
	_, admin := s.streamer(t, c, "carla_4", account.Admin)
	body := func(url, events, more string) string {
		return `{"url":"` + url + `","events":[` + events + `]` + more + `}`
	}
	for _, bad := range []string{
		"", "nowhere", "ftp://bot.example.com/", "http://bot.example.com/", "https://", "https://user:pass@bot.example.com/", "https://bot.example.com/#x",
		"https://10.0.0.1/", "https://[fd00::1]/", "https://169.254.169.254/latest", "https://[::ffff:192.168.0.1]/", "https://bot.example.com/" + strings.Repeat("x", 2048),
	} {
		c.want(422, "validation_failed", "POST", hooksPath, token, body(bad, `"stream.online"`, ""))
	}
	for _, events := range []string{"", `"stream.exploded"`, `"user.registered"`, `"webhook.test"`} {
		c.want(422, "validation_failed", "POST", hooksPath, token, body("https://bot.example.com/", events, ""))
	}
	c.want(422, "validation_failed", "POST", hooksPath, token, body("https://bot.example.com/", `"stream.online"`, `,"scope":"all"`))
	c.want(403, "role_required", "POST", hooksPath, token, body("https://bot.example.com/", `"stream.online"`, `,"scope":"site"`))
	site := c.hook(admin, "https://bot.example.com/", `"job.failed"`, `,"scope":"site"`)
	c.want(404, "not_found", "PATCH", hooksPath+"/"+site.ID, token, `{"active":false}`)
	c.want(422, "validation_failed", "PATCH", hooksPath+"/"+site.ID, admin, `{"events":null}`)
	c.want(422, "validation_failed", "PATCH", hooksPath+"/"+site.ID, admin, `{"url":"https://127.0.0.1.nip.io:1/#x"}`)
	// A token that may keep webhooks may not keep those of an admin.
	var made struct{ Token string }
	require.NoError(t, json.Unmarshal(c.want(201, "", "POST", "/api/v1/me/api-tokens", admin, `{"label":"x","scopes":["webhooks"]}`).Body.Bytes(), &made))
	c.want(403, "scope_missing", "POST", hooksPath, made.Token, body("https://bot.example.com/", `"job.failed"`, `,"scope":"site"`))
	c.want(201, "", "POST", hooksPath, made.Token, body("https://bot.example.com/", `"stream.online"`, ""))
	for range 5 {
		c.hook(token, "https://bot.example.com/", `"stream.online"`, "")
	}
	a := c.want(409, "limit_reached", "POST", hooksPath, token, body("https://bot.example.com/", `"stream.online"`, ""))
	assert.Contains(t, a.Body.String(), `"max":5`)
	// Pages.
	first := decode[struct {
		Items []hookBody
		Next  string `json:"next_cursor"`
	}](t, c.want(200, "", "GET", hooksPath+"?limit=3", token, "").Body.Bytes())
	require.Len(t, first.Items, 3)
	rest := decode[struct{ Items []hookBody }](t, c.want(200, "", "GET", hooksPath+"?limit=3&cursor="+first.Next, token, "").Body.Bytes())
	assert.Len(t, rest.Items, 2)
	c.want(400, "invalid_cursor", "GET", hooksPath+"?cursor=x", token, "")
}

func TestJobsAreAdministrated(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	_, token := s.streamer(t, c, "bert_5", account.Streamer)
	_, admin := s.streamer(t, c, "carla_5", account.Admin)
	r := newReceiver(t)
	h := c.hook(token, r.URL, `"stream.online"`, "")
	for range 3 { // nobody works on them
		c.want(202, "", "POST", hooksPath+"/"+h.ID+"/test", token, "")
	}
	type jobBody struct {
		ID, Kind, State, Subject string
		Priority                 int
		Payload                  map[string]string
	}
	list := func(query string) []jobBody {
		return decode[struct{ Items []jobBody }](t, c.want(200, "", "GET", "/api/v1/admin/jobs"+query, admin, "").Body.Bytes()).Items
	}
	all := list("?state=waiting&kind=webhook_delivery")
	require.Len(t, all, 3)
	assert.Equal(t, "webhook:"+h.ID, all[0].Subject)
	assert.NotEmpty(t, all[0].Payload["delivery_id"])
	assert.Empty(t, list("?state=failed"))
	assert.Empty(t, list("?video=0198f2a0-0000-7000-8000-000000000041"))
	page := decode[struct {
		Items []jobBody
		Next  string `json:"next_cursor"`
	}](t, c.want(200, "", "GET", "/api/v1/admin/jobs?limit=2", admin, "").Body.Bytes())
	require.Len(t, page.Items, 2)
	assert.Len(t, list("?limit=2&cursor="+page.Next), 1)
	c.want(400, "invalid_cursor", "GET", "/api/v1/admin/jobs?limit=2&state=done&cursor="+page.Next, admin, "")

	one := "/api/v1/admin/jobs/" + all[0].ID
	moved := decode[jobBody](t, c.want(200, "", "PATCH", one, admin, `{"priority":1}`).Body.Bytes())
	assert.Equal(t, 1, moved.Priority)
	c.want(422, "validation_failed", "PATCH", one, admin, `{"priority":5}`)
	canceled := decode[jobBody](t, c.want(200, "", "POST", one+"/cancel", admin, "").Body.Bytes())
	assert.Equal(t, "canceled", canceled.State)
	assert.Contains(t, c.want(409, "invalid_state", "POST", one+"/cancel", admin, "").Body.String(), `"state":"canceled"`)
	c.want(409, "invalid_state", "PATCH", one, admin, `{"priority":1}`)
	for action, times := range map[string]int{"job.priority": 1, "job.cancel": 1, "job.retry": 0} {
		assert.Len(t, s.audited(t, action), times, "what was refused did not happen")
	}
	assert.Equal(t, "waiting", decode[jobBody](t, c.want(200, "", "POST", one+"/retry", admin, "").Body.Bytes()).State)
	c.want(404, "not_found", "GET", "/api/v1/admin/jobs/999999999", admin, "")
	c.want(404, "not_found", "GET", "/api/v1/admin/jobs/x", admin, "")
	c.want(403, "role_required", "GET", "/api/v1/admin/jobs", token, "")
	log := c.want(200, "", "GET", "/api/v1/admin/audit?target=job:"+all[0].ID, admin, "").Body.String()
	for _, action := range []string{"job.priority", "job.cancel", "job.retry"} {
		assert.Contains(t, log, action)
	}
	s.works(t)
	r.await(t, 3)
	testx.WaitFor(t, "the jobs to be done", func() bool { return len(list("?state=done&kind=webhook_delivery")) == 3 })
}

// TestActsAreEvents: what the record of the site's safety notes, others are told.
func TestActsAreEvents(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	id, token := s.streamer(t, c, "bert_6", account.Viewer)
	other, _ := s.streamer(t, c, "carla_6", account.Viewer)
	c.do("POST", "/api/v1/auth/login", "", `{"login":"bert_6","password":"some wrong password"}`)
	c.want(201, "", "POST", "/api/v1/me/api-tokens", token, `{"label":"x","scopes":["profile"]}`)
	c.want(200, "", "PATCH", "/api/v1/me", token, `{"bio":"hello"}`)
	c.want(200, "", "PUT", "/api/v1/users/"+other+"/follow", token, `{}`)
	c.want(200, "", "PUT", "/api/v1/users/"+other+"/follow", token, `{}`)
	c.want(204, "", "PUT", "/api/v1/users/"+other+"/block", token, "")
	c.want(204, "", "PUT", "/api/v1/users/"+other+"/block", token, "")
	rows, err := s.db.Read(t.Context()).ListUnsent(0, 100)
	require.NoError(t, err)
	var got []string
	for _, e := range rows {
		if e.ActorID == id || e.OwnerID == id {
			got = append(got, e.Type)
		}
	}
	assert.Equal(t, []string{
		"user.registered", "security.login_failed", "security.token_created", "user.updated", "follow.created", "follow.deleted", "block.created",
	}, got)
	for _, e := range rows {
		assert.NotContains(t, e.Data, goodPassword)
		assert.True(t, json.Valid([]byte(e.Data)))
	}
}

// TestBroadcastsAreEvents: what the media path notes of a session is told, once each, in its order.
func TestBroadcastsAreEvents(t *testing.T) {
	s := newSite(t, db.Options{})
	row := s.create(t, stream.Create{Slug: "live"})
	session := db.Session{ID: "0198f2a0-0000-7000-8000-0000000000e1", StreamID: row.ID, StartedAt: db.At(noon), Epochs: []db.Epoch{{ID: 3, Protocol: "rtmp"}}}
	for range 2 { // at the start and at each epoch
		require.NoError(t, s.streams.SaveSession(t.Context(), session))
	}
	require.NoError(t, s.streams.NoteAway(t.Context(), session.ID, true, noon))
	require.NoError(t, s.streams.NoteAway(t.Context(), session.ID, false, noon))
	require.ErrorIs(t, s.streams.NoteAway(t.Context(), "0198f2a0-0000-7000-8000-0000000000e9", true, noon), stream.ErrNotFound)
	for range 2 {
		require.NoError(t, s.streams.EndSession(t.Context(), session.ID, noon.Add(time.Minute), "publisher_left"))
	}
	require.NoError(t, s.streams.NoteAway(t.Context(), session.ID, true, noon), "it is over, and nothing more is told")
	require.NoError(t, s.streams.NoteDisconnect(t.Context(), stream.Disconnect{StreamID: row.ID, At: noon, Protocol: "srt", Remote: "203.0.113.7:1", Code: "gone"}))
	require.NoError(t, s.streams.NoteDisconnect(t.Context(), stream.Disconnect{StreamID: row.ID, At: noon, Protocol: "srt", Remote: "203.0.113.7:1", Code: "busy", Refused: true}))
	rows, err := s.db.Read(t.Context()).ListUnsent(0, 100)
	require.NoError(t, err)
	var got []string
	for _, e := range rows {
		if e.Key == event.Stream(row.ID) {
			assert.Equal(t, s.owner.ID, e.OwnerID)
			got = append(got, e.Type)
		}
	}
	assert.Equal(t, []string{"stream.online", "stream.reconnecting", "stream.resumed", "stream.offline", "publish.refused"}, got)
	last := rows[len(rows)-1]
	assert.Contains(t, last.Data, `"remote":"203.0.113.x"`)
	assert.Contains(t, rows[len(rows)-2].Data, `"reason":"publisher_left"`)
}
