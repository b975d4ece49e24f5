package api

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/caller"
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
