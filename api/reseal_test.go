package api_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/account"
	"mediad/api/audit"
	"mediad/api/auth"
	"mediad/api/reseal"
	"mediad/api/serverkey"
	"mediad/api/webhook"
	"mediad/store/db"
	"mediad/store/seal"
)

// TestAMasterKeyIsDropped puts a new master key in front of the one that sealed everything, has it sealed anew, and goes on without the old one:
// addresses, second factors, addresses of sessions, signing keys, server keys and the seals of the audit log are all still read.
func TestAMasterKeyIsDropped(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	anna := c.login("anna", "correct horse").Access
	key := c.serverKey(anna)
	bert := c.register("bert")
	c.want(200, "", "PATCH", "/api/v1/me", bert.Access, `{"email":"Bert@example.com","current_password":"`+goodPassword+`"}`)
	var factor struct{ Secret string }
	require.NoError(t, json.Unmarshal(c.want(200, "", "POST", "/api/v1/auth/totp", bert.Access, "").Body.Bytes(), &factor))
	code, err := totp.GenerateCode(factor.Secret, s.clock.Now())
	require.NoError(t, err)
	c.want(204, "", "POST", "/api/v1/auth/totp/confirm", bert.Access, `{"code":"`+code+`"}`)
	c.want(200, "", "POST", "/api/v1/me/streamer", bert.Access, "")
	hook := c.hook(bert.Access, "https://bot.example.com/", `"stream.online"`, "")
	sealedHook := func() string {
		row, err := s.db.Read(t.Context()).FindWebhook(hook.ID)
		require.NoError(t, err)
		return row.SecretEnc
	}
	sealedBefore := sealedHook()
	for range 7 { // more than two pages of sessions
		c.login("anna", "correct horse")
	}
	s.clock.pass(24 * time.Hour)
	require.NoError(t, s.audit.SealDays(t.Context()))

	fresh := []byte(strings.Repeat("n", 32))
	both, err := seal.New(fresh, []byte(strings.Repeat("m", 32)))
	require.NoError(t, err)
	only, err := seal.New(fresh)
	require.NoError(t, err)
	services := func(ring *seal.Ring) (*account.Service, *audit.Log) {
		records := audit.New(audit.Options{DB: s.db, Secrets: ring, Node: "test", Now: s.clock.Now})
		return account.New(account.Options{DB: s.db, Secrets: ring, Audit: records, HashMemory: 64, Now: s.clock.Now}), records
	}
	people, _ := services(both)
	seals := reseal.New(reseal.Options{
		Page: 3, DB: s.db, Secrets: both, Columns: slices.Concat(people.Sealed(), auth.Sealed(), serverkey.Sealed(), audit.Sealed(), webhook.Sealed()),
	})
	before, err := s.db.Read(t.Context()).FindUser(bert.User.ID)
	require.NoError(t, err)
	done, err := seals.Once(t.Context())
	require.NoError(t, err)
	assert.Greater(t, done.Sealed, 20)
	assert.Zero(t, done.Lost)
	again, err := seals.Once(t.Context())
	require.NoError(t, err)
	assert.Equal(t, reseal.Done{}, again, "once is enough")
	after, err := s.db.Read(t.Context()).FindUser(bert.User.ID)
	require.NoError(t, err)
	assert.NotEqual(t, before.EmailEnc, after.EmailEnc)
	assert.Equal(t, before.Version, after.Version, "for everybody else nothing has changed")

	assert.NotEqual(t, sealedBefore, sealedHook())
	_, err = only.Open("webhooks.secret "+hook.ID, sealedHook())
	require.NoError(t, err)

	people, records := services(only)
	logins, err := auth.New(t.Context(), auth.Options{
		DB: s.db, Accounts: people, Secrets: only, Audit: records, Standings: auth.NewStandings(s.clock.Now), Now: s.clock.Now,
	})
	require.NoError(t, err, "signing keys are read")
	email, err := people.EmailOf(after)
	require.NoError(t, err)
	assert.Equal(t, "Bert@example.com", email)
	code, err = totp.GenerateCode(factor.Secret, s.clock.Now())
	require.NoError(t, err)
	session, err := logins.Login(t.Context(), auth.Login{Login: "BERT@example.com", Password: goodPassword, TOTP: code})
	require.NoError(t, err, "found by address, and let in by the second factor")
	assert.Equal(t, bert.User.ID, session.User.ID)
	_, err = logins.Sessions(t.Context(), s.owner.ID, "", 100)
	require.NoError(t, err)
	keys := serverkey.New(serverkey.Options{DB: s.db, Secrets: only, Audit: records, Now: s.clock.Now})
	_, err = keys.Verify(t.Context(), key.header(s.clock.Now(), "nonce-0123456789z", "GET", "/api/v1/config", ""), serverkey.Request{Method: "GET", Target: "/api/v1/config"})
	require.NoError(t, err)
	n, err := records.Verify(t.Context(), "test", "2026-03-01")
	require.NoError(t, err)
	assert.Greater(t, n, 10)

	// What no key opens is counted and left as it is.
	others, err := seal.New([]byte(strings.Repeat("o", 32)), []byte(strings.Repeat("p", 32)))
	require.NoError(t, err)
	lost, err := reseal.New(reseal.Options{DB: s.db, Secrets: others, Columns: serverkey.Sealed()}).Once(t.Context())
	require.NoError(t, err)
	assert.Equal(t, reseal.Done{Lost: 1}, lost)
}
