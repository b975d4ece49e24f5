package api_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/apitest"
	"mediad/store/db"
)

// TestThrottleTellsNobodysName: neither another spelling of a name nor another name of an account shows whether anybody has it.
func TestThrottleTellsNobodysName(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	for _, name := range []string{"known", "both"} {
		c.want(200, "", "PATCH", "/api/v1/me", c.register(name).Access, fmt.Sprintf(`{"email":"%s@example.com","current_password":%q}`, name, goodPassword))
	}
	try := func(login, password string) int {
		return apitest.Do(t, c.h, apitest.Scenario{
			Method: "POST", Path: "/api/v1/auth/login", Body: fmt.Sprintf(`{"login":%q,"password":%q}`, login, password), Remote: "203.0.113.7:1",
		}).Code
	}
	const wrong = "a wrong password"
	for _, login := range []string{"known@example.com", "stranger@example.com", "known", "stranger"} {
		for i := range 5 {
			assert.Equal(t, 401, try(login, wrong), "%s %d", login, i)
		}
	}
	for _, login := range []string{" known@example.com", " stranger@example.com", "KNOWN ", "Stranger ", "known@EXAMPLE.com", "stranger@EXAMPLE.com"} {
		assert.Equal(t, 429, try(login, wrong), "%q", login)
	}
	assert.Equal(t, 429, try("known", goodPassword), "the right password waits as well")

	for range 5 {
		require.Equal(t, 401, try("both", wrong))
	}
	assert.Equal(t, 401, try("both@example.com", wrong), "nothing tells whose the address is")
}
