package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/account"
	"mediad/api/apitest"
	"mediad/api/auth"
	"mediad/api/openapi"
	"mediad/store/db"
)

// TestTimingOfLogin: whoever has no account, has a wrong password or is kept out costs the same work, one hash, and gets the same answer. The
// work is counted, as a clock would tell little on a busy machine.
func TestTimingOfLogin(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	c.register("bert")
	c.want(204, "", "PUT", "/api/v1/users/@"+c.register("kept_out").User.Username+"/suspension", c.login("anna", "correct horse").Access, `{"reason":"spam"}`)
	c.want(200, "", "PATCH", "/api/v1/me", c.register("mailed").Access, fmt.Sprintf(`{"email":"mailed@example.com","current_password":%q}`, goodPassword))
	var bodies []string
	for _, login := range []string{"bert", "kept_out", "mailed@example.com", "anna", "nobody", "nobody@example.com", "' OR 1=1 --", strings.Repeat("x", 100_000), "a\\u0000b"} {
		before := s.hashed.Load()
		a := c.want(401, "bad_credentials", "POST", "/api/v1/auth/login", "", fmt.Sprintf(`{"login":"%s","password":"a wrong password"}`, login))
		assert.Equal(t, before+1, s.hashed.Load(), "one hash is computed whatever the name: %.20s", login)
		bodies = append(bodies, regexp.MustCompile(`"request_id":"[^"]*"`).ReplaceAllString(a.Body.String(), ""))
	}
	for _, body := range bodies {
		assert.Equal(t, bodies[0], body)
	}
}

func TestLoginThrottle(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	c.register("bert")
	try := func(password, remote string) *apitest.Answer {
		return apitest.Do(t, c.h, apitest.Scenario{
			Method: "POST", Path: "/api/v1/auth/login", Body: fmt.Sprintf(`{"login":"bert","password":%q}`, password), Remote: remote,
		})
	}
	const attacker, owner = "203.0.113.7:1", "198.51.100.9:1"
	for i := range 5 {
		assert.Equal(t, 401, try("a wrong password", attacker).Code, "try %d", i)
	}
	for wait := 2 * time.Second; wait <= 16*time.Second; wait *= 2 {
		a := try(goodPassword, attacker)
		assert.Equal(t, 429, a.Code, "even with the right password")
		assert.Contains(t, a.Body.String(), `"code":"login_throttled"`)
		assert.Equal(t, fmt.Sprint(int(wait.Seconds())), a.Header().Get("Retry-After"))
		s.clock.pass(wait)
		assert.Equal(t, 401, try("a wrong password", attacker).Code)
	}
	assert.Equal(t, 429, try(goodPassword, "203.0.113.99:1").Code, "the network is one")
	assert.Equal(t, 200, try(goodPassword, owner).Code, "the owner is not locked out")
	s.clock.pass(31 * time.Minute)
	assert.Equal(t, 401, try("a wrong password", attacker).Code)
	assert.Equal(t, 200, try(goodPassword, attacker).Code, "after a while it starts anew")

	for i := range 49 { // and the one above
		assert.Equal(t, 401, try("a wrong password", fmt.Sprintf("10.0.%d.1:1", i)).Code)
	}
	assert.Equal(t, 429, try(goodPassword, "192.0.2.1:1").Code, "from everywhere")
}

func TestLimitsOfEntries(t *testing.T) {
	s := newSite(t, db.Options{})
	s.deps.Config.LimitScale = 1
	h := s.handler(t)
	try := func(path, remote string) *apitest.Answer {
		body := `{"login":"x","password":"y"}`
		if path == "/api/v1/auth/register" {
			body = `{"username":"anna","password":"` + goodPassword + `"}` // there is one
		}
		return apitest.Do(t, h, apitest.Scenario{Method: "POST", Path: path, Body: body, Remote: remote})
	}
	for path, quota := range map[string]int{"/api/v1/auth/login": 30, "/api/v1/auth/register": 5} {
		name := path[strings.LastIndexByte(path, '/')+1:]
		for i := range quota {
			a := try(path, "203.0.113.7:1")
			require.NotContains(t, a.Body.String(), "rate_limited", "%s %d", path, i)
			require.True(t, strings.HasPrefix(a.Header().Get("RateLimit-Policy"), `"`+name+`";q=`), a.Header().Get("RateLimit-Policy"))
		}
		assert.Contains(t, try(path, "203.0.113.7:1").Body.String(), `"code":"rate_limited"`)
		assert.NotContains(t, try(path, "203.0.113.8:1").Body.String(), "rate_limited")
	}
}

func TestWhatEndsASession(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	dead := func(one session, why string) {
		t.Helper()
		assert.Equal(t, 401, c.do("GET", "/api/v1/me", one.Access, "").Code, why)
		assert.Contains(t, c.refresh(one.Refresh).Body.String(), "refresh_invalid", why)
	}
	bert := c.register("bert")
	c.want(204, "", "POST", "/api/v1/auth/logout", bert.Access, "")
	dead(bert, "logout")

	first, second := c.login("bert", goodPassword), c.login("bert", goodPassword)
	list := c.want(200, "", "GET", "/api/v1/auth/sessions", first.Access, "").Body.String()
	assert.Equal(t, 2, strings.Count(list, `"device_name"`))
	assert.Equal(t, 1, strings.Count(list, `"current":true`))
	assert.Contains(t, list, `"ip":"192.0.2.x"`)
	c.want(404, "not_found", "DELETE", "/api/v1/auth/sessions/"+bert.ID, first.Access, "")
	c.want(204, "", "DELETE", "/api/v1/auth/sessions/"+second.ID, first.Access, "")
	dead(second, "revoked")
	second = c.login("bert", goodPassword)
	c.want(204, "", "DELETE", "/api/v1/auth/sessions", first.Access, "")
	dead(second, "revoked with the others")
	c.want(200, "", "GET", "/api/v1/me", first.Access, "")

	carl := c.register("carl")
	c.want(404, "not_found", "DELETE", "/api/v1/auth/sessions/"+first.ID, carl.Access, "")
	page := c.want(200, "", "GET", "/api/v1/auth/sessions?limit=1", carl.Access, "").Body.String()
	assert.Contains(t, page, `"next_cursor":null`)

	second = c.login("bert", goodPassword)
	c.want(401, "bad_credentials", "POST", "/api/v1/auth/password", first.Access, `{"current_password":"wrong","new_password":"staple of the battery"}`)
	c.want(422, "weak_password", "POST", "/api/v1/auth/password", first.Access, `{"current_password":"`+goodPassword+`","new_password":"short"}`)
	c.want(422, "weak_password", "POST", "/api/v1/auth/password", first.Access, `{"current_password":"`+goodPassword+`","new_password":"`+goodPassword+`"}`)
	c.want(204, "", "POST", "/api/v1/auth/password", first.Access, `{"current_password":"`+goodPassword+`","new_password":"staple of the battery"}`)
	dead(second, "password change")
	c.want(200, "", "GET", "/api/v1/me", first.Access, "")
	assert.Equal(t, 200, c.refresh(first.Refresh).Code, "the one that changed it lives")
	c.want(401, "bad_credentials", "POST", "/api/v1/auth/login", "", `{"login":"bert","password":"`+goodPassword+`"}`)

	// Another process, as the command line is one, knows no cache: it takes effect within 5 s.
	other := account.New(account.Options{DB: s.db, Now: s.clock.Now})
	_, err := other.SetPassword(t.Context(), "carl", "quite another one")
	require.NoError(t, err)
	s.clock.pass(5 * time.Second)
	dead(carl, "password set by the command line")
}

func TestSuspensionAndRoleTakeEffectInSeconds(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.register("bert")
	c.want(200, "", "GET", "/api/v1/me", bert.Access, "")
	until := db.At(noon.Add(time.Hour))
	require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error { return q.SuspendUser(bert.User.ID, &until, "spam", db.At(noon)) }))
	s.clock.pass(5 * time.Second)
	a := c.want(403, "account_suspended", "GET", "/api/v1/me", bert.Access, "")
	assert.Contains(t, a.Body.String(), `"until":"2026-03-01T13:00:00.000Z"`)
	assert.Contains(t, a.Body.String(), `"reason":"spam"`)
	assert.Contains(t, c.refresh(bert.Refresh).Body.String(), "account_suspended")
	c.want(403, "account_suspended", "POST", "/api/v1/auth/login", "", `{"login":"bert","password":"`+goodPassword+`"}`)
	c.want(401, "bad_credentials", "POST", "/api/v1/auth/login", "", `{"login":"bert","password":"a wrong password"}`)
	s.clock.pass(time.Hour)
	bert = c.login("bert", goodPassword)

	other := account.New(account.Options{DB: s.db, Now: s.clock.Now})
	require.NoError(t, other.SetRole(t.Context(), "bert", account.Moderator))
	s.clock.pass(5 * time.Second)
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/me", bert.Access, "").Body.String(), `"role":"moderator"`)
}

func TestOneTimePasswordHasToBeChangedFirst(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	made, err := s.accounts.Create(t.Context(), account.Create{Username: "dora", Role: account.Streamer})
	require.NoError(t, err)
	dora := c.login("dora", made.OneTimePassword)
	c.want(200, "", "GET", "/api/v1/me", dora.Access, "")
	c.want(403, "password_change_required", "PATCH", "/api/v1/me", dora.Access, `{"bio":"x"}`)
	c.want(403, "password_change_required", "GET", "/api/v1/auth/sessions", dora.Access, "")
	c.want(403, "password_change_required", "GET", "/api/v1/streams", dora.Access, "")
	c.want(204, "", "POST", "/api/v1/auth/password", dora.Access, `{"current_password":"`+made.OneTimePassword+`","new_password":"staple of the battery"}`)
	c.want(200, "", "PATCH", "/api/v1/me", dora.Access, `{"bio":"x"}`)
	c.want(204, "", "POST", "/api/v1/auth/logout", dora.Access, "")
}

func TestCookieMode(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	c.register("bert")
	login := func(url string) (*apitest.Answer, session) {
		a := apitest.Do(t, c.h, apitest.Scenario{Method: "POST", Path: url, Body: `{"login":"bert","password":"` + goodPassword + `","transport":"cookie"}`})
		require.Equal(t, 200, a.Code, a.Body.String())
		return a, c.session(a)
	}
	a, bert := login("/api/v1/auth/login")
	assert.Empty(t, bert.Refresh, "never in the body")
	set := a.Header().Get("Set-Cookie")
	for _, want := range []string{"mediad_rt=mdr_", "Path=/api/v1/auth", "HttpOnly", "SameSite=Strict", "Max-Age=2592000"} {
		assert.Contains(t, set, want)
	}
	assert.NotContains(t, set, "Secure")
	secure, _ := login("https://tv.example.com/api/v1/auth/login")
	assert.True(t, strings.HasPrefix(secure.Header().Get("Set-Cookie"), "__Secure-mediad_rt=mdr_"))
	assert.Contains(t, secure.Header().Get("Set-Cookie"), "; Secure")

	c.want(403, "csrf", "POST", "/api/v1/auth/refresh", "", "", "Cookie", bert.Cookie)
	c.want(403, "csrf", "POST", "/api/v1/auth/refresh", "", "", "Cookie", bert.Cookie, "X-Mediad-Csrf", "0")
	next := c.session(c.want(200, "", "POST", "/api/v1/auth/refresh", "", "", "Cookie", bert.Cookie, "X-Mediad-Csrf", "1"))
	assert.NotEmpty(t, next.Cookie)
	assert.NotEqual(t, bert.Cookie, next.Cookie)
	token := strings.TrimPrefix(next.Cookie, "mediad_rt=")
	assert.Contains(t, c.refresh(token).Body.String(), "refresh_invalid", "a cookie's token is none of a body")
	c.want(401, "refresh_invalid", "POST", "/api/v1/auth/refresh", "", "")
	out := c.want(204, "", "POST", "/api/v1/auth/logout", next.Access, "", "Cookie", next.Cookie)
	assert.Contains(t, out.Header().Get("Set-Cookie"), "Max-Age=0")
}

func TestTwoFactor(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.register("bert")
	c.want(409, "invalid_state", "POST", "/api/v1/auth/totp/confirm", bert.Access, `{"code":"123456"}`)
	var made struct {
		Secret        string
		URI           string   `json:"otpauth_uri"`
		RecoveryCodes []string `json:"recovery_codes"`
	}
	require.NoError(t, json.Unmarshal(c.want(200, "", "POST", "/api/v1/auth/totp", bert.Access, "").Body.Bytes(), &made))
	assert.Len(t, made.RecoveryCodes, 10)
	assert.True(t, strings.HasPrefix(made.URI, "otpauth://totp/mediad:bert?"), made.URI)
	c.login("bert", goodPassword) // not asked for yet
	code := func() string {
		text, err := totp.GenerateCode(made.Secret, s.clock.Now())
		require.NoError(t, err)
		return text
	}
	c.want(401, "two_factor_invalid", "POST", "/api/v1/auth/totp/confirm", bert.Access, `{"code":"12345"}`)
	c.want(204, "", "POST", "/api/v1/auth/totp/confirm", bert.Access, `{"code":"`+code()+`"}`)
	c.want(409, "invalid_state", "POST", "/api/v1/auth/totp", bert.Access, "")
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/me", bert.Access, "").Body.String(), `"two_factor":true`)

	with := func(status int, problem, totp string) {
		t.Helper()
		c.want(status, problem, "POST", "/api/v1/auth/login", "", fmt.Sprintf(`{"login":"bert","password":%q,"totp":%q}`, goodPassword, totp))
	}
	with(401, "two_factor_required", "")
	with(401, "two_factor_invalid", code()) // none is good twice
	s.clock.pass(30 * time.Second)
	with(200, "", code())
	with(401, "two_factor_invalid", code())
	s.clock.pass(30 * time.Second)
	with(200, "", strings.ToUpper(strings.ReplaceAll(made.RecoveryCodes[3], "-", " ")))
	with(401, "two_factor_invalid", made.RecoveryCodes[3])
	c.want(401, "bad_credentials", "POST", "/api/v1/auth/login", "", fmt.Sprintf(`{"login":"bert","password":"a wrong one","totp":%q}`, code()))
	c.want(204, "", "DELETE", "/api/v1/auth/totp", bert.Access, "")
	c.want(404, "not_found", "DELETE", "/api/v1/auth/totp", bert.Access, "")
	with(200, "", "")

	// A device that is lost: the command line takes the factor off, and ends the sessions.
	require.NoError(t, json.Unmarshal(c.want(200, "", "POST", "/api/v1/auth/totp", bert.Access, "").Body.Bytes(), &made))
	s.clock.pass(30 * time.Second)
	c.want(204, "", "POST", "/api/v1/auth/totp/confirm", bert.Access, `{"code":"`+code()+`"}`)
	with(401, "two_factor_required", "")
	require.NoError(t, s.auth.ResetTOTP(t.Context(), "bert"))
	c.want(401, "token_invalid", "GET", "/api/v1/me", bert.Access, "")
	with(200, "", "")
	require.Len(t, s.audited(t, "totp.reset"), 1)
	require.ErrorIs(t, s.auth.ResetTOTP(t.Context(), "bert"), auth.ErrNoSecondFactor)
}

func TestAPITokens(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.register("bert")
	create := func(body string) (id, token string) {
		t.Helper()
		var got struct{ ID, Token, Hint string }
		require.NoError(t, json.Unmarshal(c.want(201, "", "POST", "/api/v1/me/api-tokens", bert.Access, body).Body.Bytes(), &got))
		assert.Regexp(t, `^mdt_[0-9A-Za-z]{46}$`, got.Token)
		assert.True(t, strings.HasSuffix(got.Token, got.Hint))
		return got.ID, got.Token
	}
	id, token := create(`{"label":"bot","scopes":["profile"]}`)
	_, blind := create(`{"label":"blind","scopes":["gifts"],"expires_at":"2026-03-01T12:01:00.000Z"}`)
	c.want(200, "", "GET", "/api/v1/me", token, "")
	c.want(200, "", "PATCH", "/api/v1/me", token, `{"bio":"by a bot"}`)
	c.want(403, "scope_missing", "PATCH", "/api/v1/me", token, `{"email":"x@example.com","current_password":"`+goodPassword+`"}`)
	c.want(403, "scope_missing", "GET", "/api/v1/me", blind, "")
	for _, call := range [][3]string{
		{"POST", "/api/v1/me/api-tokens", `{"label":"more","scopes":["admin"]}`}, {"GET", "/api/v1/me/api-tokens", ""},
		{"POST", "/api/v1/auth/password", `{"current_password":"` + goodPassword + `","new_password":"staple of the battery"}`},
		{"POST", "/api/v1/auth/totp", ""}, {"DELETE", "/api/v1/auth/totp", ""}, {"DELETE", "/api/v1/auth/sessions", ""}, {"POST", "/api/v1/auth/logout", ""},
	} {
		c.want(403, "scope_missing", call[0], call[1], token, call[2])
	}
	wrong := []byte(token)
	wrong[10] ^= 1
	c.want(401, "token_invalid", "GET", "/api/v1/me", string(wrong), "")
	list := c.want(200, "", "GET", "/api/v1/me/api-tokens", bert.Access, "").Body.String()
	assert.NotContains(t, list, "mdt_")
	assert.Contains(t, list, `"last_used_at":"2026-03-01T12:00:00.000Z"`)
	s.clock.pass(time.Minute)
	c.want(401, "token_expired", "GET", "/api/v1/me", blind, "")
	carl := c.register("carl")
	c.want(404, "not_found", "DELETE", "/api/v1/me/api-tokens/"+id, carl.Access, "")
	c.want(204, "", "DELETE", "/api/v1/me/api-tokens/"+id, bert.Access, "")
	c.want(401, "token_invalid", "GET", "/api/v1/me", token, "")
	for _, body := range []string{`{"label":"","scopes":["profile"]}`, `{"label":"x","scopes":[]}`, `{"label":"x","scopes":["all"]}`, `{"label":"x","scopes":["profile"],"expires_at":"2020-01-01T00:00:00.000Z"}`} {
		c.want(422, "validation_failed", "POST", "/api/v1/me/api-tokens", bert.Access, body)
	}
	for range 19 {
		create(`{"label":"many","scopes":["profile"]}`)
	}
	assert.Contains(t, c.want(409, "limit_reached", "POST", "/api/v1/me/api-tokens", bert.Access, `{"label":"one more","scopes":["profile"]}`).Body.String(), `"max":20`)
}

// who says who may call each operation, by api.md: P anyone, U signed in, S streamers and higher, M moderators, A admins.
func who() map[string]string {
	return map[string]string{
		"listStreams": "P", "getStream": "P", "getStreamPlayback": "P", "listStreamSessions": "P", "getStreamSession": "P", "listVideos": "P", "getVideo": "P",
		"getVideoPlayback": "P", "updateVideo": "U", "deleteVideo": "U", "createClip": "U", "listClips": "U", "getConfig": "P", "listCategories": "P", "getJWKS": "P", "getUser": "P", "getOBSConfig": "P", "getOpenAPI": "P", "getDocs": "P",
		"createForward": "U", "listForwards": "U", "getForward": "U", "getMarker": "U", "getStreamKey": "U", "deleteForward": "U",
		"getOBSConfigFile": "U",
		"register":         "P", "login": "P", "refresh": "P", "requestPasswordReset": "P", "confirmPasswordReset": "P",
		"createMarker": "U", "listMarkers": "U", "deleteMarker": "U",
		"logout": "U", "changePassword": "U", "listSessions": "U", "endSession": "U", "endOtherSessions": "U", "verifyEmail": "U", "createTOTP": "U",
		"confirmTOTP": "U", "deleteTOTP": "U", "listAPITokens": "U", "getAPIToken": "U", "createAPIToken": "U", "deleteAPIToken": "U", "getMe": "U", "updateMe": "U",
		"deleteMe": "U", "restoreMe": "P", "createExport": "U", "listExports": "U", "getExport": "U", "setAvatar": "U", "setBanner": "U", "deleteAvatar": "U", "deleteBanner": "U",
		"becomeStreamer": "U", "listServerKeys": "A", "getServerKey": "A", "createServerKey": "A", "deleteServerKey": "A",
		"createStream": "S", "listMyStreams": "S", "updateStream": "U", "deleteStream": "U", "createStreamKey": "U", "rotateStreamKeys": "U",
		"deleteStreamKey": "U", "endStream": "U", "disableStream": "U", "enableStream": "U", "listStreamDisconnects": "U", "getStreamHealth": "U",
		"followUser": "U", "unfollowUser": "U", "blockUser": "U", "unblockUser": "U", "listBlocks": "U", "listFollowers": "P", "listFollowing": "P",
		"listUserStreams": "P", "listUserVideos": "P", "startPlay": "P", "beatPlay": "P",
		"listHistory": "U", "clearHistory": "U", "deleteHistory": "U", "listWatchLater": "U", "getWatchLater": "U", "addWatchLater": "U", "removeWatchLater": "U",
		"listJobs": "A", "getJob": "A", "retryJob": "A", "cancelJob": "A", "updateJob": "A",
		"sweepSite": "A", "backUpSite": "A",
		"listWebhooks": "S", "getWebhook": "S", "createWebhook": "S", "updateWebhook": "S", "deleteWebhook": "S", "rotateWebhookSecret": "S", "testWebhook": "S",
		"listWebhookDeliveries": "S", "retryWebhookDelivery": "S",
		"suspendUser": "M", "releaseUser": "M", "getSuspension": "M", "listUsers": "A", "createUser": "A", "moderateUser": "A", "createPasswordReset": "A", "signOutUser": "A",
		"revealUser": "A", "listAudit": "A", "exportAudit": "A", "listAdminCategories": "A", "getAdminCategory": "A", "createCategory": "A", "deleteCategory": "A", "listInvites": "A", "getInvite": "A", "createInvite": "A", "deleteInvite": "A",
		"listAlerts": "A", "ackAlert": "A",
		"getOverview": "A", "getSettings": "A", "updateSettings": "A", "listAllStreams": "A", "kickStream": "A",
		"listChannelModerators": "U", "addChannelModerator": "U", "removeChannelModerator": "U",
	}
}

// TestEveryRouteForEveryRole walks the document.
func TestEveryRouteForEveryRole(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		}
	}
	require.NoError(t, json.Unmarshal(openapi.Document, &doc))
	s := newSite(t, db.Options{})
	c := s.client(t)
	roles := map[string]account.Role{"viewer": account.Viewer, "streamer": account.Streamer, "moderator": account.Moderator, "adminer": account.Admin}
	for name, role := range roles {
		_, err := s.accounts.Create(t.Context(), account.Create{Username: name + "_1", Password: goodPassword, Role: role})
		require.NoError(t, err)
	}
	tokens := map[string]string{}
	for name := range roles {
		tokens[name] = c.login(name+"_1", goodPassword).Access
	}
	walked := 0
	for path, methods := range doc.Paths {
		for method, op := range methods {
			want, known := who()[op.OperationID]
			require.True(t, known, "who may call %s?", op.OperationID)
			walked++
			url := regexp.MustCompile(`\{[a-z_]+\}`).ReplaceAllString(path, "nobody")
			call := func(token string) *apitest.Answer {
				sc := apitest.Scenario{Method: strings.ToUpper(method), Path: url, Token: token}
				if sc.Method != http.MethodGet {
					sc.Body = `{"unknown":1}`
				}
				return apitest.Do(t, c.h, sc)
			}
			anonymous := call("")
			assert.Equal(t, want != "P", strings.Contains(anonymous.Body.String(), `"code":"unauthenticated"`), "%s %s: %s", method, path, anonymous.Body)
			for name := range roles {
				a := call(tokens[name])
				if op.OperationID == "logout" {
					tokens[name] = c.login(name+"_1", goodPassword).Access
				}
				assert.NotContains(t, a.Body.String(), `"code":"unauthenticated"`, "%s %s as %s", method, path, name)
				least := map[string]account.Role{"P": account.Viewer, "U": account.Viewer, "S": account.Streamer, "M": account.Moderator, "A": account.Admin}[want]
				refused := !roles[name].AtLeast(least)
				assert.Equal(t, refused, a.Code == 403, "%s %s as %s: %s", method, path, name, a.Body)
				if refused {
					assert.Contains(t, a.Body.String(), `"code":"role_required"`)
					assert.Contains(t, a.Body.String(), `"role":"`+string(least)+`"`)
				}
				assert.Less(t, a.Code, 500, "%s %s as %s", method, path, name)
			}
		}
	}
	assert.Len(t, who(), walked)
}

// TestSecretsAreInNoLogAndNoFile looks for every secret of a life in the logs and in the database's files.
func TestSecretsAreInNoLogAndNoFile(t *testing.T) {
	s := newSite(t, db.Options{Path: filepath.Join(t.TempDir(), "mediad.db")})
	c := s.client(t)
	a := c.want(201, "", "POST", "/api/v1/auth/register", "", `{"username":"bert","password":"`+goodPassword+`","email":"secret.name@example.com"}`)
	bert := c.session(a)
	var made struct {
		Secret        string
		RecoveryCodes []string `json:"recovery_codes"`
	}
	require.NoError(t, json.Unmarshal(c.want(200, "", "POST", "/api/v1/auth/totp", bert.Access, "").Body.Bytes(), &made))
	var token struct{ Token string }
	require.NoError(t, json.Unmarshal(c.want(201, "", "POST", "/api/v1/me/api-tokens", bert.Access, `{"label":"x","scopes":["profile"]}`).Body.Bytes(), &token))
	c.want(200, "", "GET", "/api/v1/me", token.Token, "")
	next := c.session(c.refresh(bert.Refresh))
	link, _, err := s.auth.ResetLink(t.Context(), "bert")
	require.NoError(t, err)
	_, code, found := strings.Cut(link, "token=")
	require.True(t, found)
	c.want(204, "", "POST", "/api/v1/auth/password-reset/confirm", "", `{"token":"`+code+`","new_password":"staple of the battery"}`)
	c.do("POST", "/api/v1/auth/login", "", `{"login":"secret.name@example.com","password":"some wrong password"}`)

	kept := s.logs.String()
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(s.db.Where() + suffix)
		require.NoError(t, err)
		kept += string(text)
	}
	require.Contains(t, kept, bert.User.ID, "the search finds what is there")
	for _, secret := range append(made.RecoveryCodes, goodPassword, "staple of the battery", "some wrong password", "secret.name", bert.Access, bert.Refresh,
		next.Access, next.Refresh, made.Secret, token.Token, code, "192.0.2.1") {
		assert.NotContains(t, kept, secret)
	}
}
