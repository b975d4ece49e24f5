package api_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"mediad/api/account"
	"mediad/store/db"
)

// TestReadsOfPrivateDataAreRecorded, a page at a time, and nothing is shown that could not be.
func TestReadsOfPrivateDataAreRecorded(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.session(c.want(201, "", "POST", "/api/v1/auth/register", "", `{"username":"bert","password":"`+goodPassword+`","email":"bert@example.com"}`))
	carl := c.register("carl")
	admin, moderator := s.staff(t, c, "abel", account.Admin), s.staff(t, c, "mona", account.Moderator)
	c.want(200, "", "GET", "/api/v1/admin/users?q=bert@example.com&role=viewer", admin.Access, "")
	pages := len(c.walk("/api/v1/admin/users", admin.Access, 1))
	read := s.audited(t, "user.list")
	assert.Len(t, read, 1+pages)
	first := read[len(read)-1]
	assert.Equal(t, admin.User.ID, first.ActorID)
	assert.JSONEq(t, `{"users":["`+bert.User.ID+`"]}`, first.After)
	c.want(200, "", "GET", "/api/v1/admin/users?requested=true", admin.Access, "")
	assert.Len(t, s.audited(t, "user.list"), 2+pages)
	c.want(403, "role_required", "GET", "/api/v1/admin/users", moderator.Access, "")
	assert.Len(t, s.audited(t, "user.list"), 2+pages)

	c.want(200, "", "GET", "/api/v1/users/@carl/suspension", moderator.Access, "")
	looked := s.audited(t, "user.suspension.read")
	if assert.Len(t, looked, 1) {
		assert.Equal(t, carl.User.ID, looked[0].TargetID)
		assert.Equal(t, moderator.User.ID, looked[0].ActorID)
	}
}
