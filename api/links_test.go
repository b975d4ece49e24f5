package api_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
)

// TestALinkHasTheSitesAddress: the one of the configuration, or else the one that the site was called by.
func TestALinkHasTheSitesAddress(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	anna := c.login("anna", "correct horse").Access
	c.register("bert")
	const path = "/api/v1/admin/users/@bert/password-reset"
	assert.Regexp(t, `^https://tv\.example\.com/reset-password#token=mdc_`, field(t, c.want(200, "", "POST", path, anna, ""), "url"))

	var err error
	s.deps.Auth, err = s.newAuth("")
	require.NoError(t, err)
	c = s.client(t)
	anna = c.login("anna", "correct horse").Access
	assert.Regexp(t, `^http://example\.com/reset-password#token=mdc_`, field(t, c.want(200, "", "POST", path, anna, ""), "url"))
}
