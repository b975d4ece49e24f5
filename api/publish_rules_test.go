package api_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/account"
	"mediad/api/problem"
	"mediad/api/stream"
	"mediad/store/db"
)

func TestPublishRulesOfAStream(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.streamer("bert")
	made := c.want(201, "", "POST", "/api/v1/streams", bert.Access,
		`{"slug":"blitz","title":"x","publish":{"protocols":["srt","rtmps"],"max_bitrate_bps":8000000}}`)
	assert.Contains(t, made.Body.String(), `"publish":{"protocols":["rtmps","srt"],"max_bitrate_bps":8000000}`)
	const path = "/api/v1/streams/blitz"
	for _, other := range []string{"", c.register("carl").Access, s.staff(t, c, "mod_1", account.Moderator).Access} {
		assert.NotContains(t, c.want(200, "", "GET", path, other, "").Body.String(), `"publish"`, "they are for its owner")
	}
	grant, err := s.streams.AuthorizePublish(t.Context(), c.own(made).StreamKey, "203.0.113.9:1")
	require.NoError(t, err)
	assert.Equal(t, int64(8_000_000), grant.Rules.MaxBitrateBPS)
	for _, step := range [][2]string{
		{`{"publish":{"max_bitrate_bps":null}}`, `"publish":{"protocols":["rtmps","srt"],"max_bitrate_bps":null}`},
		{`{"publish":{"protocols":["whip"]}}`, `"publish":{"protocols":["whip"],"max_bitrate_bps":null}`},
		{`{"publish":{}}`, `"publish":{"protocols":["whip"],"max_bitrate_bps":null}`},
		{`{"publish":{"max_bitrate_bps":200000000}}`, `"publish":{"protocols":["whip"],"max_bitrate_bps":200000000}`},
		{`{"title":"y"}`, `"publish":{"protocols":["whip"],"max_bitrate_bps":200000000}`},
	} {
		assert.Contains(t, c.want(200, "", "PATCH", path, bert.Access, step[0]).Body.String(), step[1], step[0])
	}
	for body, code := range map[string]string{
		`{"publish":{"protocols":["quic"]}}`:        "invalid_enum",
		`{"publish":{"max_bitrate_bps":99999}}`:     "out_of_range",
		`{"publish":{"max_bitrate_bps":200000001}}`: "out_of_range",
		`{"publish":{"max_bitrate_bps":"8M"}}`:      "invalid_format",
		`{"publish":{"encoder":"obs"}}`:             "unknown_field",
	} {
		assert.Contains(t, c.want(422, "validation_failed", "PATCH", path, bert.Access, body).Body.String(), `"code":"`+code+`"`, body)
	}
	// A form says in its own words, and in its own unit, what would be allowed.
	var said struct{ Errors []problem.Field }
	require.NoError(t, json.Unmarshal(c.want(422, "", "PATCH", path, bert.Access, `{"publish":{"max_bitrate_bps":1}}`).Body.Bytes(), &said))
	require.Len(t, said.Errors, 1)
	assert.Equal(t, []float64{100_000, 200_000_000}, []float64{*said.Errors[0].Min, *said.Errors[0].Max})
	for _, none := range []string{`{"publish":null}`, `{"publish":{"protocols":null,"max_bitrate_bps":null}}`} {
		assert.Contains(t, c.want(200, "", "PATCH", path, bert.Access, none).Body.String(), `"publish":{"protocols":[],"max_bitrate_bps":null}`)
	}
	changes := s.audited(t, "stream.update")
	require.NotEmpty(t, changes)
	assert.Contains(t, changes[0].Before, `"publish"`)
}

// TestSuspensionEndsPublishing: who is kept out does not go on by a key.
func TestSuspensionEndsPublishing(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	anna, bert := c.login("anna", "correct horse").Access, c.streamer("bert")
	key := c.own(c.want(201, "", "POST", "/api/v1/streams", bert.Access, `{"slug":"blitz","title":"x"}`)).StreamKey
	grant, err := s.streams.AuthorizePublish(t.Context(), key, "203.0.113.9:1")
	require.NoError(t, err)
	on := []stream.OnAir{{Grant: grant}}
	dead, err := s.streams.CheckOnAir(t.Context(), on)
	require.NoError(t, err)
	assert.Empty(t, dead)

	const suspension = "/api/v1/users/@bert/suspension"
	c.want(204, "", "PUT", suspension, anna, `{"reason":"spam","until":"2026-03-01T13:00:00.000Z"}`)
	dead, err = s.streams.CheckOnAir(t.Context(), on)
	require.NoError(t, err)
	require.Len(t, dead, 1, "it is cut")
	assert.True(t, dead[0].Refusal.Disabled())
	_, err = s.streams.AuthorizePublish(t.Context(), key, "203.0.113.9:1")
	var refused *stream.Refusal
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, "suspended", refused.Reason)

	c.want(204, "", "DELETE", suspension, anna, "")
	_, err = s.streams.AuthorizePublish(t.Context(), key, "203.0.113.9:1")
	require.NoError(t, err)
}
