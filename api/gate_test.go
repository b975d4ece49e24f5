package api

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/caller"
	"mediad/api/limit"
	"mediad/api/problem"
)

// TestRoutesForKeysTakeNobodyElse: no such route is mounted yet, so the rule is asked itself.
func TestRoutesForKeysTakeNobodyElse(t *testing.T) {
	r := rule{key: true, noStore: true}
	for _, who := range []caller.Caller{
		{}, {UserID: "u", Role: caller.Admin, Via: caller.Session}, {UserID: "u", Role: caller.Admin, Via: caller.Token, Scopes: caller.Scopes()},
	} {
		p := refuse(caller.With(t.Context(), who), r, &routeNote{})
		require.NotNil(t, p)
		assert.Equal(t, string(problem.Unauthenticated), p.Code)
	}
	assert.Nil(t, refuse(caller.With(t.Context(), caller.Caller{Via: caller.Key, KeyID: "k"}), r, &routeNote{}))
	wrong := problem.New(problem.NonceReused, "x")
	assert.Equal(t, wrong, refuse(t.Context(), r, &routeNote{refusal: wrong}))
}

// counted is what was counted by.
type counted []string

func (c *counted) Count(_ context.Context, key string, _, _ int, _ time.Duration) (allowed bool, used int, ends time.Duration, told int64, err error) {
	*c = append(*c, key)
	return true, 1, time.Minute, 0, nil
}

// TestWhatIsCountedByIsBounded: the path is whatever somebody invents.
func TestWhatIsCountedByIsBounded(t *testing.T) {
	var keys counted
	g := gate{limits: map[string]*limit.Limiter{
		"play": limit.New(limit.Options{Policy: limit.Policy{Name: "play", Quota: 12, Window: time.Minute}, Shared: &keys}),
	}}
	const id = "0198f2a0-0000-7000-8000-000000000091"
	for _, of := range []string{id, strings.Repeat("x", 1<<14)} {
		require.Nil(t, g.limited(t.Context(), "play", rules()["beatPlay"], of, func(string, string) {}))
	}
	require.Len(t, keys, 2)
	assert.Equal(t, "play:"+id, keys[0])
	assert.LessOrEqual(t, len(keys[1]), 100)
}
