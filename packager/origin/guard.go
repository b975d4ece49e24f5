package origin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// Guard says who may have what. It is asked at each request, from many goroutines; what it has been asked before it answers without waiting.
type Guard interface {
	// May is nil where it may be given out, ErrHidden, ErrTokenInvalid or ErrTokenExpired where not, and any other error where that cannot be
	// told. lost is closed when it no longer may.
	May(ctx context.Context, a Ask) (lost <-chan struct{}, err error)
}

// Ask is what somebody wants to have.
type Ask struct {
	VOD   bool
	Name  string // of a stream, or the id of a video
	Token string // "": there is none
	// Begins: it is what a player loads first, once.
	Begins bool
}

// What a Guard answers, wrapped or not.
var (
	ErrHidden       = errors.New("origin: not to be known of")
	ErrTokenInvalid = errors.New("origin: the token is none for this")
	ErrTokenExpired = errors.New("origin: the token is good no more")
)

const (
	// tokenPrefix stands in front of the path of what needs a token.
	tokenPrefix = "/t/"
	// tokenCookie is the cookie that it may come by instead, for pages of this site.
	tokenCookie = "mediad_pb"
	// maxCookies is how many of that name are looked at.
	maxCookies = 4
	// tokenAge is how long media under a token may be kept, in seconds: who may watch can change.
	tokenAge = 60
)

// Serves tells whether a path is for a Handler: media, under a token or not.
func Serves(path string) bool {
	_, path, ok := splitToken(path)
	return ok && (strings.HasPrefix(path, prefix) || strings.HasPrefix(path, vodPrefix))
}

// splitToken takes the token off a path; "" where there is none. Not ok: it is empty.
func splitToken(path string) (token, rest string, ok bool) {
	below, under := strings.CutPrefix(path, tokenPrefix)
	if !under {
		return "", path, true
	}
	end := strings.IndexByte(below, '/')
	if end <= 0 {
		return "", "", false
	}
	return below[:end], below[end:], true
}

// may tells whether what was asked for may be given out. If not, the request is answered.
func (a *answer) may() bool {
	if a.h.guard == nil {
		return true
	}
	ask := Ask{VOD: a.route.vod, Name: a.route.stream, Token: a.token, Begins: a.route.kind == Multivariant}
	lost, err := a.h.guard.May(a.r.Context(), ask)
	if err != nil && a.token == "" && errors.Is(err, ErrHidden) {
		lost, err = a.byCookie(ask, err)
	}
	a.lost = lost
	f := &a.h.fixed
	switch {
	case err == nil:
		return true
	case errors.Is(err, ErrHidden) && a.route.vod:
		a.problem(notFound, f.forSecond)
	case errors.Is(err, ErrHidden): // as if there were nothing
		a.problem(notLive, f.forSecond)
	case errors.Is(err, ErrTokenInvalid):
		a.problem(tokenInvalid, f.forSecond)
	case errors.Is(err, ErrTokenExpired):
		a.problem(tokenExpired, f.forSecond)
	default:
		a.problem(undecided, f.noStore)
	}
	return false
}

// byCookie looks for a token among the cookies of a request for what is hidden without one.
func (a *answer) byCookie(ask Ask, hidden error) (lost <-chan struct{}, err error) {
	if a.r.Header["Cookie"] == nil || !sameOrigin(a.r) {
		return nil, hidden
	}
	err = hidden
	for i, c := range a.r.CookiesNamed(tokenCookie) {
		if i == maxCookies {
			break
		}
		ask.Token = c.Value
		lost, now := a.h.guard.May(a.r.Context(), ask)
		if now == nil {
			a.byOne = true
			return lost, nil
		}
		if !errors.Is(now, ErrTokenInvalid) { // one that was never good says nothing
			err = now
		}
	}
	return nil, err
}

// sameOrigin tells whether a request comes from a page of this site, as far as the browser says; else SameSite is all there is.
func sameOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

// cached is what caches are told: what came by a cookie is for that browser alone, as caches do not know of cookies.
func (a *answer) cached(cache []string) []string {
	if a.byOne {
		return a.h.fixed.private
	}
	return cache
}

// ended tells whether what is being sent may no longer be.
func (a *answer) ended() bool {
	select {
	case <-a.lost: // nil where there is no guard
		return true
	default:
		return false
	}
}

// instance is the path for a problem, as it stands in a URL: what is secret in it becomes its last four characters.
func (a *answer) instance() string {
	token, rest, ok := splitToken(a.r.URL.Path)
	if !ok || token == "" {
		return a.r.URL.EscapedPath()
	}
	shown := url.URL{Path: token[max(len(token)-4, 0):] + rest}
	return tokenPrefix + "***" + shown.EscapedPath()
}
