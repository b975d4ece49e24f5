package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/apitest"
	"mediad/store/db"
)

func TestIdempotencyKey(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert, carl := c.register("bert"), c.register("carl")
	const path, body = "/api/v1/me/api-tokens", `{"label":"bot","scopes":["profile"]}`
	post := func(want int, code, token, body, key string) *apitest.Answer {
		t.Helper()
		return c.want(want, code, "POST", path, token, body, "Idempotency-Key", key)
	}
	first := post(201, "", bert.Access, body, "key-1")
	assert.Empty(t, first.Header().Get("Idempotency-Replayed"))
	again := post(201, "", bert.Access, body, "key-1")
	assert.Equal(t, "true", again.Header().Get("Idempotency-Replayed"))
	assert.Equal(t, first.Body.String(), again.Body.String(), "with the token that is shown once")
	for _, name := range []string{"Location", "Content-Type", "Cache-Control"} {
		assert.Equal(t, first.Header().Get(name), again.Header().Get(name), name)
	}
	assert.NotEqual(t, first.Header().Get("X-Request-Id"), again.Header().Get("X-Request-Id"))
	post(422, "idempotency_key_reused", bert.Access, `{"label":"other","scopes":["profile"]}`, "key-1")
	assert.NotEqual(t, first.Body.String(), post(201, "", carl.Access, body, "key-1").Body.String(), "of another caller")
	assert.NotEqual(t, first.Body.String(), post(201, "", bert.Access, body, "key-2").Body.String())
	for _, key := range []string{"with space", strings.Repeat("x", 256), "ü"} {
		post(400, "invalid_parameter", bert.Access, body, key)
	}
	post(201, "", bert.Access, body, strings.Repeat("x", 255))

	// What failed may be tried again with its key, with another body too.
	post(422, "validation_failed", bert.Access, `{"label":"","scopes":["profile"]}`, "key-3")
	assert.Empty(t, post(201, "", bert.Access, body, "key-3").Header().Get("Idempotency-Replayed"))
	// Who may no more is refused, whatever was answered before.
	c.want(204, "", "POST", "/api/v1/auth/logout", carl.Access, "")
	post(401, "token_invalid", carl.Access, body, "key-1")

	s.clock.pass(24 * time.Hour)
	require.NoError(t, swept(s.deps.Once.Sweep(t.Context())))
	bert = c.login("bert", goodPassword)
	assert.Empty(t, post(201, "", bert.Access, body, "key-1").Header().Get("Idempotency-Replayed"), "a day later")
}

func TestIdempotencyKeyOfAnybody(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	const body = `{"username":"dora","password":"` + goodPassword + `","transport":"cookie"}`
	first := c.want(201, "", "POST", "/api/v1/auth/register", "", body, "Idempotency-Key", "k")
	again := c.want(201, "", "POST", "/api/v1/auth/register", "", body, "Idempotency-Key", "k")
	assert.Equal(t, first.Body.String(), again.Body.String())
	assert.Equal(t, first.Header().Get("Set-Cookie"), again.Header().Get("Set-Cookie"))
	a := apitest.Do(t, c.h, apitest.Scenario{
		Method: "POST", Path: "/api/v1/auth/register", Body: body, Remote: "203.0.113.9:1", Headers: map[string]string{"Idempotency-Key": "k"},
	})
	assert.Equal(t, 409, a.Code, "from elsewhere it is another caller")
}

func TestParallelCallsWithOneKeyHaveOneEffect(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	admin := c.login("anna", "correct horse").Access
	nodes := []http.Handler{c.h, s.handler(t)}
	var mu sync.Mutex
	bodies, codes, fresh := map[string]int{}, map[int]int{}, 0
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			a := apitest.Do(t, nodes[i%2], apitest.Scenario{
				Method: "POST", Path: "/api/v1/admin/server-keys", Token: admin, Body: `{"label":"x"}`, Headers: map[string]string{"Idempotency-Key": "one"},
			})
			mu.Lock()
			defer mu.Unlock()
			codes[a.Code]++
			switch a.Code {
			case 201:
				bodies[a.Body.String()]++
				if a.Header().Get("Idempotency-Replayed") == "" {
					fresh++
				}
			case 409:
				assert.Contains(t, a.Body.String(), `"code":"idempotency_in_progress"`)
				assert.Equal(t, "1", a.Header().Get("Retry-After"))
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 50, codes[201]+codes[409], fmt.Sprint(codes))
	assert.Len(t, bodies, 1)
	assert.Equal(t, 1, fresh)
	keys, err := s.db.Read(t.Context()).ListServerKeys("", 100)
	require.NoError(t, err)
	assert.Len(t, keys, 1)
	var k serverKey
	a := c.want(201, "", "POST", "/api/v1/admin/server-keys", admin, `{"label":"x"}`, "Idempotency-Key", "one")
	require.NoError(t, json.Unmarshal(a.Body.Bytes(), &k))
	assert.NotZero(t, bodies[a.Body.String()])
	c.want(200, "", "GET", "/api/v1/config", "", "", "Authorization", k.header(noon, "nonce-0123456789a", "GET", "/api/v1/config", ""))
}
