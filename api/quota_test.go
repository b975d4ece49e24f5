package api_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"mediad/api/account"
	"mediad/api/stream"
	"mediad/store/db"
)

func TestQuota(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.register("bert")
	c.want(200, "", "POST", "/api/v1/me/streamer", bert.Access, "")
	own := c.want(200, "", "GET", "/api/v1/me", bert.Access, "").Body.String()
	assert.Contains(t, own, `"quota":{"storage_bytes":0,"uploads_today":0,"streams":0,"api_tokens":0,"storage_max_bytes":53687091200,"uploads_max":20,`+
		`"file_max_bytes":17179869184,"duration_max_s":43200,"streams_max":3,"stream_keys_max":5,"webhooks_max":5,"api_tokens_max":20}`)

	admin := c.login("anna", "correct horse")
	path := "/api/v1/admin/users/" + bert.User.ID
	c.want(403, "role_required", "PATCH", path, bert.Access, `{"quota":{"streams_max":100}}`)
	c.want(422, "out_of_range", "PATCH", path, admin.Access, `{"quota":{"streams_max":-1}}`)
	c.want(422, "out_of_range", "PATCH", path, admin.Access, `{"quota":{"storage_max_bytes":10000000000000000}}`)
	c.want(422, "unknown_field", "PATCH", path, admin.Access, `{"quota":{"coins":1}}`)
	a := c.want(200, "", "PATCH", path, admin.Access, `{"quota":{"streams_max":1,"stream_keys_max":2,"api_tokens_max":0,"storage_max_bytes":1000}}`)
	assert.Contains(t, a.Body.String(), `"quota":{"storage_max_bytes":1000,"uploads_max":20,`)
	c.want(201, "", "POST", "/api/v1/streams", bert.Access, `{"title":"x","slug":"one"}`)
	assert.Contains(t, c.want(409, "limit_reached", "POST", "/api/v1/streams", bert.Access, `{"title":"x"}`).Body.String(), `"max":1`)
	c.want(201, "", "POST", "/api/v1/streams/one/keys", bert.Access, "")
	assert.Contains(t, c.want(409, "limit_reached", "POST", "/api/v1/streams/one/keys", bert.Access, "").Body.String(), `"max":2`)
	c.want(409, "limit_reached", "POST", "/api/v1/me/api-tokens", bert.Access, `{"label":"x","scopes":["profile"]}`)
	c.want(200, "", "PATCH", path, admin.Access, `{"quota":{"streams_max":null,"api_tokens_max":1,"webhooks_max":1}}`)
	c.hook(bert.Access, "https://bot.example.com/", `"stream.online"`, "")
	c.want(409, "limit_reached", "POST", hooksPath, bert.Access, `{"url":"https://bot.example.com/","events":["stream.online"]}`)
	c.want(201, "", "POST", "/api/v1/streams", bert.Access, `{"title":"x","slug":"two"}`)
	c.want(201, "", "POST", "/api/v1/me/api-tokens", bert.Access, `{"label":"x","scopes":["profile"]}`)
	row, err := s.streams.Find(t.Context(), "one")
	assert.NoError(t, err)
	s.replay(t, row, "0198f2a0-0000-7000-8000-000000000303")
	own = c.want(200, "", "GET", "/api/v1/me", bert.Access, "").Body.String()
	assert.Contains(t, own, `"quota":{"storage_bytes":5000,"uploads_today":0,"streams":2,"api_tokens":1,"storage_max_bytes":1000,`, "what is stored of a replay, not what is shown")
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/admin/audit?action=user.quota", admin.Access, "").Body.String(), "streams")
}

func TestLimitsOfTheSite(t *testing.T) {
	s := newSite(t, db.Options{})
	limits := account.DefaultLimits()
	limits.Streams, limits.APITokens = 7, 9
	accounts := account.New(account.Options{DB: s.db, Limits: limits})
	most := int64(2)
	u := db.User{Limits: db.Limits{Streams: &most}}
	assert.Equal(t, int64(2), accounts.LimitsOf(u).Streams)
	assert.Equal(t, int64(9), accounts.LimitsOf(u).APITokens)
	streams := stream.New(stream.Options{DB: s.db, MaxStreams: 1, Now: s.clock.Now})
	_, err := streams.Create(t.Context(), stream.Create{OwnerID: s.owner.ID, Slug: "one", Limited: true})
	assert.NoError(t, err)
	_, err = streams.Create(t.Context(), stream.Create{OwnerID: s.owner.ID, Slug: "two", Limited: true})
	var full *stream.LimitError
	assert.ErrorAs(t, err, &full)
}
