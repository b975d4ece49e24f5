package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/apitest"
	"mediad/api/serverkey"
	"mediad/store/db"
)

// counted counts security events.
type counted struct {
	mu    sync.Mutex // guards kinds
	kinds map[string]int
}

func (c *counted) add(kind string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kinds == nil {
		c.kinds = map[string]int{}
	}
	c.kinds[kind]++
}

func (c *counted) of(kind string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kinds[kind]
}

// serverKey is a key as another server has it.
type serverKey struct {
	ID     string
	KeyID  string `json:"key_id"`
	Secret string
	Hint   string
}

func (c client) serverKey(admin string) serverKey {
	c.t.Helper()
	var k serverKey
	a := c.want(201, "", "POST", "/api/v1/admin/server-keys", admin, `{"label":"payments"}`)
	require.NoError(c.t, json.Unmarshal(a.Body.Bytes(), &k))
	require.Equal(c.t, "/api/v1/admin/server-keys/"+k.ID, a.Header().Get("Location"))
	return k
}

func (k serverKey) header(at time.Time, nonce, method, target, body string) string {
	sig, _ := serverkey.Sign(k.Secret, at.Unix(), nonce, method, target, []byte(body))
	return fmt.Sprintf("%s key=%s,ts=%d,nonce=%s,sig=%s", serverkey.Scheme, k.KeyID, at.Unix(), nonce, sig)
}

func TestServerKeys(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	admin := c.login("anna", "correct horse").Access
	k := c.serverKey(admin)
	assert.Regexp(t, `^mdk_[0-9a-f]{32}$`, k.KeyID)
	assert.Regexp(t, `^mdh_[A-Za-z0-9_-]{43}$`, k.Secret)
	assert.True(t, strings.HasSuffix(k.Secret, k.Hint))
	other := c.serverKey(admin)
	page := c.want(200, "", "GET", "/api/v1/admin/server-keys?limit=1", admin, "")
	assert.NotContains(t, page.Body.String(), "mdh_")
	assert.Contains(t, page.Body.String(), other.KeyID)
	var next struct {
		Cursor string `json:"next_cursor"`
	}
	require.NoError(t, json.Unmarshal(page.Body.Bytes(), &next))
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/admin/server-keys?limit=1&cursor="+next.Cursor, admin, "").Body.String(), k.KeyID)
	c.want(400, "invalid_cursor", "GET", "/api/v1/admin/server-keys?cursor=x", admin, "")
	for _, label := range []string{"", " ", strings.Repeat("x", 61)} {
		c.want(422, "validation_failed", "POST", "/api/v1/admin/server-keys", admin, fmt.Sprintf(`{"label":%q}`, label))
	}
	c.want(200, "", "GET", "/api/v1/config", "", "", "Authorization", k.header(noon, "nonce-0123456789a", "GET", "/api/v1/config", ""))
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/admin/server-keys", admin, "").Body.String(), `"last_used_at":"2026-03-01T12:00:00.000Z"`)
	c.want(204, "", "DELETE", "/api/v1/admin/server-keys/"+k.ID, admin, "")
	c.want(404, "not_found", "DELETE", "/api/v1/admin/server-keys/"+k.ID, admin, "")
	c.want(401, "signature_invalid", "GET", "/api/v1/config", "", "", "Authorization", k.header(noon, "nonce-0123456789b", "GET", "/api/v1/config", ""))
	// No user asks, so what needs one is not open to a key.
	c.want(401, "unauthenticated", "GET", "/api/v1/me", "", "", "Authorization", other.header(noon, "nonce-0123456789c", "GET", "/api/v1/me", ""))
	for _, action := range []string{"server_key.create", "server_key.delete"} {
		rows, err := s.db.Read(t.Context()).ListAudit(db.AuditFilter{Action: action}, 5)
		require.NoError(t, err)
		assert.NotEmpty(t, rows, action)
	}
}

// TestReplayWhenTheNonceIsForgotten: no signature is good for longer than its nonce is known.
func TestReplayWhenTheNonceIsForgotten(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	k := c.serverKey(c.login("anna", "correct horse").Access)
	const target = "/api/v1/streams?limit=5"
	early := k.header(noon.Add(300*time.Second), "nonce-0123456789a", "GET", target, "")
	s.clock.pass(500 * time.Millisecond)
	c.want(200, "", "GET", target, "", "", "Authorization", early)
	s.clock.pass(600*time.Second + 200*time.Millisecond)
	c.want(401, "signature_expired", "GET", target, "", "", "Authorization", early)
}

func TestReplayedSignature(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	k := c.serverKey(c.login("anna", "correct horse").Access)
	const target = "/api/v1/streams?limit=5"
	call := func(want int, code, nonce string, at time.Time) {
		t.Helper()
		c.want(want, code, "GET", target, "", "", "Authorization", k.header(at, nonce, "GET", target, ""))
	}
	first := k.header(noon, "nonce-0123456789a", "GET", target, "")
	c.want(200, "", "GET", target, "", "", "Authorization", first)
	c.want(401, "nonce_reused", "GET", target, "", "", "Authorization", first)
	assert.Equal(t, 1, s.security.of("nonce_reused"))
	call(401, "nonce_reused", "nonce-0123456789a", noon.Add(time.Second))
	call(200, "", "nonce-0123456789b", noon.Add(-300*time.Second))
	call(200, "", "nonce-0123456789c", noon.Add(300*time.Second))
	call(401, "signature_expired", "nonce-0123456789d", noon.Add(-301*time.Second))
	call(401, "signature_expired", "nonce-0123456789d", noon.Add(301*time.Second))
	s.clock.pass(300 * time.Second)
	c.want(401, "nonce_reused", "GET", target, "", "", "Authorization", first)
	s.clock.pass(299 * time.Second)
	call(401, "nonce_reused", "nonce-0123456789a", s.clock.Now())
	s.clock.pass(time.Second)
	call(200, "", "nonce-0123456789a", s.clock.Now())
	s.clock.pass(601 * time.Second)
	require.NoError(t, swept(s.deps.ServerKeys.Sweep(t.Context())))

	// Another node shares the database, so of many at the same time one is let in.
	other := s.handler(t)
	at := s.clock.Now()
	header := k.header(at, "nonce-of-many-0001", "GET", target, "")
	var let, reused atomic.Int64
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			h := []http.Handler{c.h, other}[i%2]
			a := apitest.Do(t, h, apitest.Scenario{Path: target, Headers: map[string]string{"Authorization": header}})
			switch {
			case a.Code == 200:
				let.Add(1)
			case strings.Contains(a.Body.String(), `"code":"nonce_reused"`):
				reused.Add(1)
			}
		})
	}
	wg.Wait()
	assert.Equal(t, int64(1), let.Load())
	assert.Equal(t, int64(19), reused.Load())
}

func TestASignedBodyIsBounded(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	big := strings.Repeat("x", 1<<20+1)
	k := c.serverKey(c.login("anna", "correct horse").Access)
	c.want(413, "payload_too_large", "POST", "/api/v1/me/streamer", "", big, "Authorization", k.header(noon, "nonce-0123456789a", "POST", "/api/v1/me/streamer", big))
}

func TestTamperedRequests(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	admin := c.login("anna", "correct horse").Access
	k, foreign := c.serverKey(admin), c.serverKey(admin)
	good := k.header(noon, "nonce-0123456789a", "GET", "/api/v1/config", "")
	send := func(method, target, body, header string) *apitest.Answer {
		return c.do(method, target, "", body, "Authorization", header)
	}
	for name, r := range map[string][4]string{
		"another body":         {"POST", "/api/v1/me/streamer", `{"note":"2"}`, k.header(noon, "nonce-0123456789b", "POST", "/api/v1/me/streamer", `{"note":"1"}`)},
		"no body":              {"GET", "/api/v1/config", "", k.header(noon, "nonce-0123456789c", "GET", "/api/v1/config", "x")},
		"another method":       {"GET", "/api/v1/config", "", k.header(noon, "nonce-0123456789d", "HEAD", "/api/v1/config", "")},
		"another path":         {"GET", "/api/v1/config", "", k.header(noon, "nonce-0123456789e", "GET", "/api/v1/streams", "")},
		"another spelling":     {"GET", "/api/v1/confi%67", "", k.header(noon, "nonce-0123456789e", "GET", "/api/v1/config", "")},
		"a parameter more":     {"GET", "/api/v1/streams?limit=5&sort=x", "", k.header(noon, "nonce-0123456789f", "GET", "/api/v1/streams?limit=5", "")},
		"a parameter less":     {"GET", "/api/v1/streams", "", k.header(noon, "nonce-0123456789g", "GET", "/api/v1/streams?limit=5", "")},
		"another value":        {"GET", "/api/v1/streams?limit=6", "", k.header(noon, "nonce-0123456789h", "GET", "/api/v1/streams?limit=5", "")},
		"plus for space":       {"GET", "/api/v1/streams?category=a+b", "", k.header(noon, "nonce-0123456789i", "GET", "/api/v1/streams?category=a%2Bb", "")},
		"another key":          {"GET", "/api/v1/config", "", strings.Replace(k.header(noon, "nonce-0123456789j", "GET", "/api/v1/config", ""), k.KeyID, foreign.KeyID, 1)},
		"unknown key":          {"GET", "/api/v1/config", "", strings.Replace(good, k.KeyID, "mdk_"+strings.Repeat("0", 32), 1)},
		"another time":         {"GET", "/api/v1/config", "", strings.Replace(k.header(noon, "nonce-0123456789k", "GET", "/api/v1/config", ""), fmt.Sprint(noon.Unix()), fmt.Sprint(noon.Unix()+1), 1)},
		"another nonce":        {"GET", "/api/v1/config", "", strings.Replace(k.header(noon, "nonce-0123456789l", "GET", "/api/v1/config", ""), "789l", "789m", 1)},
		"capitals in sig":      {"GET", "/api/v1/config", "", strings.Replace(good, "sig=", "sig=A", 1)},
		"short nonce":          {"GET", "/api/v1/config", "", k.header(noon, "short", "GET", "/api/v1/config", "")},
		"a field twice":        {"GET", "/api/v1/config", "", good + ",ts=1"},
		"nothing but a scheme": {"GET", "/api/v1/config", "", serverkey.Scheme},
	} {
		a := send(r[0], r[1], r[2], r[3])
		assert.Equal(t, 401, a.Code, "%s: %s", name, a.Body)
		assert.Contains(t, a.Body.String(), `"code":"signature_invalid"`, name)
	}
	// Order and spelling of what means the same do not matter.
	c.want(200, "", "GET", "/api/v1/streams?category=a+b&limit=5", "", "", "Authorization",
		k.header(noon, "nonce-0123456789z", "GET", "/api/v1/streams?limit=5&category=a%20b", ""))
}
