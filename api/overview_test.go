package api_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"mediad/api/account"
	"mediad/store/db"
)

func TestOverviewIsForAdmins(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	a := c.want(200, "", "GET", "/api/v1/admin/overview", c.login("anna", "correct horse").Access, "")
	assert.Equal(t, "no-store", a.Header().Get("Cache-Control"))
	for _, want := range []string{`"latency_ms":null`, `"replica_lag_ms":null`, `"cache":{"hit_ratio":null,"entries":0}`, `"stream_alerts":[{"code":"gop_too_long","streams":1}]`, `"alerts":[]`, `"active_users":{"5m":0,"1d":0,"30d":0}`} {
		assert.Contains(t, a.Body.String(), want)
	}
	c.want(403, "role_required", "GET", "/api/v1/admin/overview", s.staff(t, c, "mod_1", account.Moderator).Access, "")
}
