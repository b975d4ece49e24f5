package caller_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"

	"mediad/api/caller"
)

func TestRolesIncludeThoseBelow(t *testing.T) {
	for i, r := range caller.Roles() {
		for j, other := range caller.Roles() {
			assert.Equal(t, i >= j, r.AtLeast(other), "%s %s", r, other)
		}
	}
	assert.False(t, caller.Role("").AtLeast(caller.Viewer))
	assert.False(t, caller.Role("king").AtLeast(caller.Viewer))
}

func TestTokensHaveTheirScopesAlone(t *testing.T) {
	session := caller.Caller{UserID: "u", Via: caller.Session}
	token := caller.Caller{UserID: "u", Via: caller.Token, Scopes: []caller.Scope{caller.Profile}}
	assert.True(t, session.Has(caller.Gifts))
	assert.True(t, session.Has(""))
	assert.True(t, token.Has(caller.Profile))
	assert.False(t, token.Has(caller.Gifts))
	assert.False(t, token.Has(""), "what names no scope is not for tokens")
}

func TestMayRead(t *testing.T) {
	assert.False(t, caller.Caller{}.MayRead(""))
	assert.False(t, caller.Caller{UserID: "a", Role: caller.Streamer}.MayRead("b"))
	assert.True(t, caller.Caller{UserID: "a", Role: caller.Viewer}.MayRead("a"))
	assert.True(t, caller.Caller{UserID: "a", Role: caller.Moderator}.MayRead("b"))
}

func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		"203.0.113.77": "203.0.113.x", "::ffff:203.0.113.77": "203.0.113.x", "2001:db8:1:2:3::4": "2001:db8:1::/48", "fe80::1%eth0": "fe80::/48", "::1": "::1",
	} {
		assert.Equal(t, want, caller.Mask(netip.MustParseAddr(in)), in)
	}
	assert.Empty(t, caller.Mask(netip.Addr{}))
}
