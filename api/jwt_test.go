package api_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
)

// forge makes a token like the given one, with other claims, and signs it with the key under the kid.
func forge(t *testing.T, like string, key ed25519.PrivateKey, kid string, change func(jwt.MapClaims)) string {
	t.Helper()
	claims := jwt.MapClaims{}
	parsed, _, err := jwt.NewParser().ParseUnverified(like, claims)
	require.NoError(t, err)
	change(claims)
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
	if token.Header["kid"] = kid; kid == "" {
		token.Header["kid"] = parsed.Header["kid"]
	}
	text, err := token.SignedString(key)
	require.NoError(t, err)
	return text
}

// TestJWTConfusion hands in tokens that libraries were once talked into: unsigned, signed by what is public, by keys that are not ours or that the
// token brings along.
func TestJWTConfusion(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.register("bert")
	c.want(200, "", "GET", "/api/v1/me", bert.Access, "")
	parts := strings.Split(bert.Access, ".")
	require.Len(t, parts, 3)
	encode := func(v any) string {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	var header map[string]any
	raw, err := base64.RawURLEncoding.DecodeString(parts[0])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &header))
	kid := header["kid"].(string)
	assert.Equal(t, "EdDSA", header["alg"])

	var jwks struct{ Keys []struct{ Kid, X string } }
	require.NoError(t, json.Unmarshal(c.want(200, "", "GET", "/.well-known/jwks.json", "", "").Body.Bytes(), &jwks))
	require.Len(t, jwks.Keys, 1)
	require.Equal(t, kid, jwks.Keys[0].Kid)
	public, err := base64.RawURLEncoding.DecodeString(jwks.Keys[0].X)
	require.NoError(t, err)
	hs256 := func(secret []byte) string {
		text := encode(map[string]any{"alg": "HS256", "typ": "JWT", "kid": kid}) + "." + parts[1]
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(text))
		return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	_, foreign, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	admin := s.owner.ID
	headed := func(header map[string]any) string { // signed by the foreign key, which the header brings along
		text := encode(header) + "." + parts[1]
		return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(foreign, []byte(text)))
	}
	jwk := map[string]any{"kty": "OKP", "crv": "Ed25519", "kid": "mine", "x": base64.RawURLEncoding.EncodeToString(foreign.Public().(ed25519.PublicKey))}
	none := encode(map[string]any{"alg": "none", "typ": "JWT", "kid": kid}) + "." + parts[1] + "."
	for name, token := range map[string]string{
		"alg none":                        none,
		"alg none in capitals":            strings.Replace(none, parts[0], encode(map[string]any{"alg": "NONE", "kid": kid}), 1),
		"HMAC with the public key":        hs256(public),
		"HMAC with the public key's text": hs256([]byte(jwks.Keys[0].X)),
		"foreign key, our kid":            forge(t, bert.Access, foreign, kid, func(jwt.MapClaims) {}),
		"foreign key, its kid":            forge(t, bert.Access, foreign, "0198f2a0-0000-7000-8000-000000000099", func(jwt.MapClaims) {}),
		"other subject":                   parts[0] + "." + encode(map[string]any{"sub": admin, "aud": "mediad", "iss": "mediad", "exp": 4e9, "sid": bert.ID}) + "." + parts[2],
		"signature of zeros":              parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"no signature":                    parts[0] + "." + parts[1] + ".",
		"two parts":                       parts[0] + "." + parts[1],
		"refresh token as access token":   bert.Refresh,
		"nothing":                         "x",
		"its own key in the header":       headed(map[string]any{"alg": "EdDSA", "jwk": jwk}),
		"its own key under our kid":       headed(map[string]any{"alg": "EdDSA", "kid": kid, "jwk": jwk}),
		"a key elsewhere":                 headed(map[string]any{"alg": "EdDSA", "kid": "mine", "jku": "https://evil.example/jwks.json"}),
		"a file as kid":                   headed(map[string]any{"alg": "EdDSA", "kid": "../../../dev/null"}),
		"an injection as kid":             headed(map[string]any{"alg": "EdDSA", "kid": "x' UNION SELECT 'AAAA' --"}),
		"no kid":                          headed(map[string]any{"alg": "EdDSA"}),
		"a number as kid":                 headed(map[string]any{"alg": "EdDSA", "kid": 7}),
		"ES256 by name":                   headed(map[string]any{"alg": "ES256", "kid": kid}),
		"HS512 by name":                   headed(map[string]any{"alg": "HS512", "kid": kid}),
		"five parts":                      bert.Access + ".x.y",
		"padding":                         bert.Access + "==",
		"a space within":                  parts[0] + " ." + parts[1] + "." + parts[2],
	} {
		a := c.do("GET", "/api/v1/me", token, "")
		assert.Equal(t, 401, a.Code, name)
		assert.Contains(t, a.Body.String(), `"code":"token_invalid"`, name)
		assert.Equal(t, "Bearer", a.Header().Get("WWW-Authenticate"), name)
	}
	c.want(401, "unauthenticated", "GET", "/api/v1/me", "", "")
	c.want(401, "token_invalid", "GET", "/api/v1/me", "", "", "Authorization", "Basic YW5uYTpwYXNz")
	c.want(401, "token_invalid", "GET", "/api/v1/config", "x", "")
}

// TestJWTConfusionOfClaims signs with the site's own key, so that nothing but the claim is wrong.
func TestJWTConfusionOfClaims(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.register("bert")
	rows, err := s.db.Read(t.Context()).ListSigningKeys(db.At(noon))
	require.NoError(t, err)
	seed, err := s.secrets.Open("signing_keys.private "+rows[0].ID, rows[0].PrivateEnc)
	require.NoError(t, err)
	key := ed25519.NewKeyFromSeed([]byte(seed))
	claims := jwt.MapClaims{}
	_, _, err = jwt.NewParser().ParseUnverified(bert.Access, claims)
	require.NoError(t, err)
	assert.Equal(t, "mediad", claims["aud"], "one text")
	for name, aud := range map[string]any{"a list, as it was": []string{"mediad"}, "ours among others": []string{"other", "mediad"}} {
		token := forge(t, bert.Access, key, "", func(m jwt.MapClaims) { m["aud"] = aud })
		assert.Equal(t, 200, c.do("GET", "/api/v1/me", token, "").Code, name)
	}
	for name, change := range map[string]func(jwt.MapClaims){
		"a list of others": func(m jwt.MapClaims) { m["aud"] = []string{"other"} },
		"wrong audience":   func(m jwt.MapClaims) { m["aud"] = "another" },
		"no audience":      func(m jwt.MapClaims) { delete(m, "aud") },
		"wrong issuer":     func(m jwt.MapClaims) { m["iss"] = "https://evil.example" },
		"no expiry":        func(m jwt.MapClaims) { delete(m, "exp") },
		"from the future":  func(m jwt.MapClaims) { m["iat"] = noon.Add(time.Hour).Unix() },
		"other subject":    func(m jwt.MapClaims) { m["sub"] = s.owner.ID },
		"no session":       func(m jwt.MapClaims) { m["sid"] = "0198f2a0-0000-7000-8000-000000000099" },
		"not yet good":     func(m jwt.MapClaims) { m["nbf"] = noon.Add(time.Hour).Unix() },
		"nbf as text":      func(m jwt.MapClaims) { m["nbf"] = "yesterday" },
		"expiry as text":   func(m jwt.MapClaims) { m["exp"] = "tomorrow" },
		"expiry as list":   func(m jwt.MapClaims) { m["exp"] = []int64{4e9} },
		"iat as text":      func(m jwt.MapClaims) { m["iat"] = "now" },
		"audiences":        func(m jwt.MapClaims) { m["aud"] = []string{"another", "mediads"} },
		"audience of all":  func(m jwt.MapClaims) { m["aud"] = "*" },
		"subject of none":  func(m jwt.MapClaims) { delete(m, "sub") },
		"number as sid":    func(m jwt.MapClaims) { m["sid"] = 7 },
		"injection":        func(m jwt.MapClaims) { m["sid"] = "x' OR 1=1 --" },
	} {
		a := c.do("GET", "/api/v1/me", forge(t, bert.Access, key, "", change), "")
		assert.Equal(t, 401, a.Code, name)
		assert.Contains(t, a.Body.String(), "token_invalid", name)
	}
	// The role in the token is the client's to read; the row's counts.
	c.want(200, "", "GET", "/api/v1/me", forge(t, bert.Access, key, "", func(m jwt.MapClaims) { m["role"] = "admin" }), "")
	assert.Contains(t, c.do("GET", "/api/v1/me", forge(t, bert.Access, key, "", func(m jwt.MapClaims) { m["exp"] = -1 }), "").Body.String(), "token_expired")
	s.clock.pass(15*time.Minute + time.Second)
	c.want(401, "token_expired", "GET", "/api/v1/me", bert.Access, "")
}

// TestJWTConfusionOfKeys: a token is held to the very key that it names, also where another one of ours would take it.
func TestJWTConfusionOfKeys(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.register("bert")
	require.NoError(t, s.auth.RotateKey(t.Context()))
	rows, err := s.db.Read(t.Context()).ListSigningKeys(db.At(noon))
	require.NoError(t, err)
	require.Len(t, rows, 2)
	for i, signs := range rows {
		seed, err := s.secrets.Open("signing_keys.private "+signs.ID, signs.PrivateEnc)
		require.NoError(t, err)
		key := ed25519.NewKeyFromSeed([]byte(seed))
		for j, named := range rows {
			a := c.do("GET", "/api/v1/me", forge(t, bert.Access, key, named.ID, func(jwt.MapClaims) {}), "")
			if i == j {
				assert.Equal(t, 200, a.Code, a.Body)
				continue
			}
			assert.Contains(t, a.Body.String(), `"code":"token_invalid"`)
		}
	}
}

// TestATokenThatWasGoodIsNotForGood: what is remembered of it ends with its time and with its key, and is nothing to a token that is like it.
func TestATokenThatWasGoodIsNotForGood(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.register("bert")
	for range 2 {
		c.want(200, "", "GET", "/api/v1/me", bert.Access, "")
	}
	parts := strings.Split(bert.Access, ".")
	c.want(401, "token_invalid", "GET", "/api/v1/me", parts[0]+"."+parts[1]+"."+base64.RawURLEncoding.EncodeToString(make([]byte, 64)), "")
	s.clock.pass(15 * time.Minute)
	c.want(401, "token_expired", "GET", "/api/v1/me", bert.Access, "")

	bert = c.login("bert", goodPassword)
	c.want(200, "", "GET", "/api/v1/me", bert.Access, "")
	require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error { return q.RetireSigningKeys(1) }))
	require.NoError(t, swept(s.auth.Sweep(t.Context())))
	c.want(401, "token_invalid", "GET", "/api/v1/me", bert.Access, "")
}

func TestSigningKeysAreTurned(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.register("bert")
	count := func() int {
		return strings.Count(c.want(200, "", "GET", "/.well-known/jwks.json", "", "").Body.String(), `"kid"`)
	}
	require.NoError(t, s.auth.RotateKey(t.Context()))
	assert.Equal(t, 2, count())
	kid := func(token string) string {
		parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
		require.NoError(t, err)
		return parsed.Header["kid"].(string)
	}
	assert.Equal(t, kid(bert.Access), kid(c.login("bert", goodPassword).Access), "it is shown before it signs")
	s.clock.pass(10 * time.Minute)
	later := c.login("bert", goodPassword)
	assert.NotEqual(t, kid(bert.Access), kid(later.Access))
	for _, token := range []string{bert.Access, later.Access} {
		c.want(200, "", "GET", "/api/v1/me", token, "")
	}
	s.clock.pass(17 * time.Minute)
	require.NoError(t, swept(s.auth.Sweep(t.Context())))
	assert.Equal(t, 1, count(), "the old one is gone with its last token")
}
