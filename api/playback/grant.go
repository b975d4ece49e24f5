// Package playback decides who may watch what: it makes the tokens of what is not public, remembers the policies of streams and videos, and
// judges requests by them (api.md 4.5).
//
//	API ────► Issuer: row ─► token, for who may know of the row
//	media ──► Rights: name, token ─► Policies ─► yes, and a channel that is closed when that ends; or why not
//	                                   │
//	                                   └ database: once for what nobody asked for lately, then all that is watched together each 2 s
//
// Media asks the database for nothing that is known. A change by this process is known at once, one by another node when the bus tells, and
// whatever is missed within five seconds. Goroutines: Policies.Run, and one a first look-up, which belongs to no request. Locks: one in Policies,
// held for map accesses alone.
package playback

import (
	"net/http"
	"time"

	"mediad/api/playback/token"
	"mediad/store/db"
	"mediad/store/seal"
)

const (
	// VODLifetime is how long the token of a video is good at least; an hour more at most.
	VODLifetime = 6 * time.Hour
	// LiveLifetime is the same of a stream's, for who begins to watch.
	LiveLifetime = 12 * time.Hour
	// Cookie is the name of the cookie that a token may come by as well.
	Cookie = "mediad_pb"
)

// Keys makes the ring of a site. All nodes that share their secrets have the same.
func Keys(secrets *seal.Ring) (*token.Ring, error) {
	return token.NewRing(secrets.Derive("playback", "tokens")...)
}

// Issuer makes tokens. Whom for is the caller's to decide.
type Issuer struct {
	ring *token.Ring
	now  func() time.Time
}

// NewIssuer makes one. now is the clock; nil: time.Now.
func NewIssuer(ring *token.Ring, now func() time.Time) *Issuer {
	if now == nil {
		now = time.Now
	}
	return &Issuer{ring, now}
}

// Grant is what a cohort is given. The zero Grant is that of what needs none.
type Grant struct {
	Token     string
	ExpiresAt time.Time

	now time.Time
}

// Stream grants a stream.
func (i *Issuer) Stream(s db.Stream) Grant {
	return i.grant(token.Live, s.ID, s.Visibility, s.PolicyEpoch, LiveLifetime)
}

// Video grants a video.
func (i *Issuer) Video(v db.Video) Grant {
	return i.grant(token.VOD, v.ID, v.Visibility, v.PolicyEpoch, VODLifetime)
}

func (i *Issuer) grant(kind token.Kind, id, visibility string, epoch int64, lifetime time.Duration) Grant {
	cohort := cohortOf(visibility)
	if cohort == 0 {
		return Grant{}
	}
	now := i.now()
	g := Grant{ExpiresAt: token.Bucket(now, lifetime), now: now}
	g.Token = i.ring.Make(kind, id, cohort, uint32(epoch), g.ExpiresAt)
	return g
}

// cohortOf is who may watch; zero: everybody.
func cohortOf(visibility string) token.Cohort {
	switch visibility {
	case "public", "unlisted":
		return 0
	case "followers":
		return token.Followers
	default:
		return token.Private
	}
}

// Needed says whether the media needs the token.
func (g Grant) Needed() bool { return g.Token != "" }

// Prefix goes in front of the paths of media.
func (g Grant) Prefix() string {
	if g.Token == "" {
		return ""
	}
	return "/t/" + g.Token
}

// SetCookie is the header by which a browser sends the token with what is at a path below and nothing else; "" where none is needed. It is for
// the own pages alone: no other site's page makes a browser send it.
func (g Grant) SetCookie(path string, secure bool) string {
	if g.Token == "" {
		return ""
	}
	c := http.Cookie{
		Name: Cookie, Value: g.Token, Path: path, HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode,
		MaxAge: max(int(g.ExpiresAt.Sub(g.now)/time.Second), 1),
	}
	return c.String()
}

// Query is the token as a query of the addresses that take it so; "" where none is needed.
func (g Grant) Query() string {
	if g.Token == "" {
		return ""
	}
	return "?token=" + g.Token
}

// Stamp is the expiry as the API writes moments; "" where none is needed.
func (g Grant) Stamp() string {
	if g.Token == "" {
		return ""
	}
	return g.ExpiresAt.UTC().Format("2006-01-02T15:04:05.000Z")
}
