// Package caller says who asks and from where. The edge finds it out once for each request and hands it down in the context; whoever decides
// or keeps records reads it there.
package caller

import (
	"context"
	"net/netip"
	"slices"
)

// Role is what a user may do; each includes those before it.
type Role string

// The four roles.
const (
	Viewer    Role = "viewer"
	Streamer  Role = "streamer"
	Moderator Role = "moderator"
	Admin     Role = "admin"
)

// Roles lists them, the least first.
func Roles() []Role { return []Role{Viewer, Streamer, Moderator, Admin} }

// AtLeast says whether r includes what other may do. Unknown roles include nothing.
func (r Role) AtLeast(other Role) bool {
	return slices.Contains(Roles(), r) && slices.Index(Roles(), r) >= slices.Index(Roles(), other)
}

// Via is by what a caller was recognised.
type Via string

// Ways to be recognised. System is what nobody asked for by HTTP: the command line, jobs.
const (
	Session Via = "session"
	Token   Via = "token"
	Key     Via = "key"
	System  Via = "system"
)

// Scope is what an API token may be used for.
type Scope string

// The scopes of API tokens.
const (
	Profile      Scope = "profile"
	VideosRead   Scope = "videos:read"
	VideosWrite  Scope = "videos:write"
	StreamsRead  Scope = "streams:read"
	StreamsWrite Scope = "streams:write"
	ChatRead     Scope = "chat:read"
	ChatWrite    Scope = "chat:write"
	Interactions Scope = "interactions"
	Gifts        Scope = "gifts"
	WalletRead   Scope = "wallet:read"
	Webhooks     Scope = "webhooks"
	Moderation   Scope = "moderation"
	AdminScope   Scope = "admin"
)

// Scopes lists them.
func Scopes() []Scope {
	return []Scope{
		Profile, VideosRead, VideosWrite, StreamsRead, StreamsWrite, ChatRead, ChatWrite, Interactions, Gifts, WalletRead, Webhooks, Moderation, AdminScope,
	}
}

// Caller is a user who asks. The zero Caller is anybody.
type Caller struct {
	UserID   string
	Username string
	Role     Role
	Via      Via
	// SessionID is the login's, where Via is Session.
	SessionID string
	// TokenID and Scopes are the API token's, where Via is Token.
	TokenID string
	Scopes  []Scope
	// KeyID is the server key's row, where Via is Key: another server asks, and no user.
	KeyID string
	// MustChangePassword: nothing else is allowed until then.
	MustChangePassword bool
}

// SignedIn says whether it is somebody.
func (c Caller) SignedIn() bool { return c.UserID != "" }

// Has says whether the caller's token, if it is one, may be used for a scope. A session may be used for everything.
func (c Caller) Has(s Scope) bool { return c.Via != Token || s != "" && slices.Contains(c.Scopes, s) }

// MayRead says whether the caller may see what belongs to the user and to nobody else; moderators see it too.
func (c Caller) MayRead(ownerID string) bool {
	return c.SignedIn() && (c.UserID == ownerID || c.Role.AtLeast(Moderator))
}

// Peer is where a request comes from.
type Peer struct {
	// Addr is the caller's, also behind a trusted proxy. It may be invalid.
	Addr netip.Addr
	// Secure: the caller came by TLS.
	Secure bool
	// Host is the one that was called, as the caller wrote it.
	Host string
	// Agent is what it calls itself.
	Agent string
}

// Site is the address of the site as the caller called it, "https://host"; "" where nobody called it by HTTP. It is good for what the caller
// alone is shown.
func (p Peer) Site() string {
	switch {
	case p.Host == "":
		return ""
	case p.Secure:
		return "https://" + p.Host
	}
	return "http://" + p.Host
}

// Masked is the address without what tells people apart: 203.0.113.x, 2001:db8:1::/48; "" if there is none.
func (p Peer) Masked() string { return Mask(p.Addr) }

// Mask hides the last number of an IPv4 address, and all but the first 48 bits of an IPv6 one.
func Mask(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return ""
	}
	if addr.Is4() {
		text := addr.String()
		for i := len(text) - 1; i >= 0; i-- {
			if text[i] == '.' {
				return text[:i] + ".x"
			}
		}
	}
	if addr.IsLoopback() {
		return addr.String() // it is everybody's
	}
	prefix, err := addr.Prefix(48)
	if err != nil {
		return ""
	}
	return prefix.String()
}

type (
	callerKey struct{}
	peerKey   struct{}
)

// With gives the caller to everything below.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// Of is the caller that With gave; the zero Caller without.
func Of(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// WithPeer gives the peer to everything below.
func WithPeer(ctx context.Context, p Peer) context.Context {
	return context.WithValue(ctx, peerKey{}, p)
}

// PeerOf is the peer that WithPeer gave; the zero Peer without.
func PeerOf(ctx context.Context) Peer {
	p, _ := ctx.Value(peerKey{}).(Peer)
	return p
}
