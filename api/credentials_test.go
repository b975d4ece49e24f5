package api_test

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/apitest"
	"mediad/store/db"
)

// madeUpToken is an API token of nobody's, with the right checksum.
func madeUpToken(n int) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	body := fmt.Sprintf("mdt_%040d", n)
	sum := crc32.ChecksumIEEE([]byte(body))
	check := make([]byte, 6)
	for i := range check {
		check[5-i] = digits[sum%62]
		sum /= 62
	}
	return body + string(check)
}

// TestMadeUpCredentialsCostAFewLookUps: nobody need have an account to make up tokens and keys, so what they cost is bounded by address.
func TestMadeUpCredentialsCostAFewLookUps(t *testing.T) {
	var asked, written atomic.Int64
	s := newSite(t, db.Options{Measure: func(op, table string, _ time.Duration) {
		switch {
		case table == "api_tokens" || table == "server_keys":
			asked.Add(1)
		case op != "select":
			written.Add(1)
		}
	}})
	c := s.client(t)
	anna := c.login("anna", "correct horse").Access
	var made struct{ Token string }
	require.NoError(t, json.Unmarshal(c.want(201, "", "POST", "/api/v1/me/api-tokens", anna, `{"label":"bot","scopes":["profile"]}`).Body.Bytes(), &made))
	key := c.serverKey(anna)
	s.deps.Config.LimitScale = 1
	s.deps.Config.Quota.Name, s.deps.Config.Quota.Quota, s.deps.Config.Quota.Window = "default", 100_000, time.Minute
	h := s.handler(t)
	call := func(header, from string) *apitest.Answer {
		return apitest.Do(t, h, apitest.Scenario{Path: "/api/v1/me", Remote: from, Headers: map[string]string{"Authorization": header}})
	}
	signed := func(keyID string, n int) string {
		k := key
		k.KeyID = keyID
		return k.header(noon, fmt.Sprintf("nonce-%012d", n), http.MethodGet, "/api/v1/me", "")
	}
	const bad, good = "203.0.113.7:1", "198.51.100.1:1"
	require.Equal(t, 200, call("Bearer "+made.Token, bad).Code)
	require.Contains(t, call(signed(key.KeyID, 1), bad).Body.String(), `"code":"unauthenticated"`, "it is a key, and no user")

	for _, one := range []struct {
		name   string
		header func(n int) string
	}{
		{"tokens", func(n int) string { return "Bearer " + madeUpToken(n) }},
		{"keys", func(n int) string { return signed("mdk_"+fmt.Sprintf("%032x", n), n) }},
	} {
		s.clock.pass(2 * time.Minute)
		asked.Store(0)
		written.Store(0)
		codes := map[int]int{}
		for n := range 500 {
			codes[call(one.header(n), bad).Code]++
		}
		assert.Equal(t, map[int]int{401: 30, 429: 470}, codes, one.name)
		assert.LessOrEqual(t, asked.Load(), int64(30), one.name)
		assert.Zero(t, written.Load(), one.name)
		refused := call(one.header(1000), bad)
		assert.Contains(t, refused.Body.String(), `"code":"rate_limited"`)
		assert.NotEmpty(t, refused.Header().Get("Retry-After"))
		assert.Equal(t, 401, call(one.header(1001), good).Code, "others are looked up")
		assert.Equal(t, 200, call("Bearer "+made.Token, bad).Code, "and who was somebody from there is so still")
		assert.Equal(t, 200, call("Bearer "+anna, bad).Code)
		assert.Contains(t, call(signed(key.KeyID, 2+len(one.name)), bad).Body.String(), `"code":"unauthenticated"`)
	}
	asked.Store(0)
	wrong := strings.Repeat("0a", 32)
	for n := range 100 {
		a := call(fmt.Sprintf("MEDIAD-HMAC-SHA256-V1 key=%s,ts=%d,nonce=nonce-%012d,sig=%s", key.KeyID, s.clock.Now().Unix(), n, wrong), good)
		require.Contains(t, a.Body.String(), `"code":"signature_invalid"`)
	}
	assert.LessOrEqual(t, asked.Load(), int64(1), "a key that there is was looked up a moment ago")
	c.want(204, "", "DELETE", "/api/v1/admin/server-keys/"+key.ID, anna, "")
	assert.Contains(t, call(signed(key.KeyID, 99), good).Body.String(), `"code":"signature_invalid"`, "but it has ended when it has")
}

// TestWhoIsRefusedAgainAndAgainFillsNoLog: the audit log is kept for more than a year.
func TestWhoIsRefusedAgainAndAgainFillsNoLog(t *testing.T) {
	s := newSite(t, db.Options{})
	bert := s.client(t).register("bert").Access
	s.deps.Config.LimitScale = 1
	h := s.handler(t)
	for range 40 {
		for _, path := range []string{"/api/v1/admin/users", "/api/v1/admin/audit"} {
			assert.Equal(t, 403, apitest.Do(t, h, apitest.Scenario{Path: path, Token: bert}).Code)
		}
	}
	count := func() (n int) {
		rows, err := s.db.Read(t.Context()).ListAudit(db.AuditFilter{Action: "denied"}, 100)
		require.NoError(t, err)
		return len(rows)
	}
	assert.Equal(t, 10, count(), "five of each")
	s.clock.pass(time.Minute)
	apitest.Do(t, h, apitest.Scenario{Path: "/api/v1/admin/users", Token: bert})
	assert.Equal(t, 11, count())
}
