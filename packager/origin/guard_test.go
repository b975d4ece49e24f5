package origin_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"mediad/packager/origin"
)

// fakeGuard lets everybody have what is called "open", and who has the token "good" what is called "main" or "film".
type fakeGuard struct {
	mu     sync.Mutex // guards the following
	public bool       // main is for everybody
	lost   chan struct{}
	asked  []origin.Ask
}

func newGuard() *fakeGuard { return &fakeGuard{lost: make(chan struct{})} }

func (g *fakeGuard) May(_ context.Context, a origin.Ask) (<-chan struct{}, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, a)
	switch a.Token {
	case "good", "expired", "":
	default:
		return nil, origin.ErrTokenInvalid
	}
	switch {
	case a.Name == "away":
		return nil, errors.New("the database is away")
	case a.Name == "open", g.public:
	case a.Token == "":
		return nil, origin.ErrHidden
	case a.Token == "expired":
		return nil, origin.ErrTokenExpired
	}
	return g.lost, nil
}

// close makes main one for nobody any more.
func (g *fakeGuard) close(t *testing.T) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.lost)
	g.lost, g.public = nil, false
}

func guarded(g origin.Guard) func(*origin.Options) {
	return func(o *origin.Options) { o.Guard, o.Thumbs = g, fakeThumbs{"main": "a picture"} }
}

// below lists a file of each kind that a stream has.
func below() []string {
	return []string{
		"index.m3u8", "dvr.m3u8", "thumb.jpg", "source/index.m3u8", "source/dvr.m3u8", "source/init_1700000000000.mp4", "source/seg_1700000000000_1001.m4s",
		"source/part_1700000000000_1002_1.m4s", "source/index.m3u8?_HLS_msn=1002",
	}
}

// TestEveryFileIsGuarded: without a token there is nothing, and what there is does not show.
func TestEveryFileIsGuarded(t *testing.T) {
	s, plain := newSite(t, guarded(newGuard())), newSite(t, func(o *origin.Options) { o.Thumbs = fakeThumbs{"main": "a picture"} })
	for _, file := range below() {
		idle := s.get("/live/idle/" + file)
		w := s.get("/live/main/" + file)
		problemOf(t, w, http.StatusNotFound, "not_found")
		require.Equal(t, idle.Header().Get("Cache-Control"), w.Header().Get("Cache-Control"), file)
		require.Equal(t, strings.Split(idle.Body.String(), `"instance"`)[0], strings.Split(w.Body.String(), `"instance"`)[0], file)
		for token, code := range map[string]string{"bad": "playback_token_invalid", "expired": "playback_token_expired"} {
			w := s.get("/t/" + token + "/live/main/" + file)
			problemOf(t, w, http.StatusForbidden, code)
			require.Equal(t, "public, max-age=1", w.Header().Get("Cache-Control"))
			require.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"))
		}
		w, want := s.get("/t/good/live/main/"+file), plain.get("/live/main/"+file)
		require.Equal(t, http.StatusOK, w.Code, file)
		require.Equal(t, want.Body.String(), w.Body.String())
		cache := want.Header().Get("Cache-Control")
		if strings.Contains(cache, "immutable") {
			cache = "public, max-age=60"
		}
		require.Equal(t, cache, w.Header().Get("Cache-Control"), file)
	}
	problemOf(t, s.get("/live/away/index.m3u8"), http.StatusNotFound, "not_found")
	problemOf(t, s.get("/t/good/live/away/index.m3u8"), http.StatusServiceUnavailable, "unavailable")
	problemOf(t, s.get("/t/good/live/idle/index.m3u8"), http.StatusNotFound, "not_found")
}

func TestVideosAreGuarded(t *testing.T) {
	s := newSite(t, guarded(newGuard()), func(o *origin.Options) { o.Library = &fakeLibrary{video: fakeVideo{title: "film", never: "no"}} })
	for _, file := range []string{"index.m3u8", "source/index.m3u8", "thumb.jpg", "storyboard.vtt", "storyboard_1.jpg", "download.mp4", "source/seg_1_1.m4s", "source/init_1.mp4"} {
		w := s.get("/vod/film/" + file)
		problemOf(t, w, http.StatusNotFound, "not_found")
		require.Equal(t, "public, max-age=1", w.Header().Get("Cache-Control"))
		problemOf(t, s.get("/t/expired/vod/film/"+file), http.StatusForbidden, "playback_token_expired")
		problemOf(t, s.get("/t/bad/vod/film/"+file), http.StatusForbidden, "playback_token_invalid")
		require.NotEqual(t, http.StatusForbidden, s.get("/t/good/vod/film/"+file).Code)
	}
	require.Equal(t, http.StatusOK, s.get("/t/good/vod/film/index.m3u8").Code)
	problemOf(t, s.get("/t/good/vod/away/index.m3u8"), http.StatusServiceUnavailable, "unavailable")
}

// TestWhatBeginsIsAskedSo: what a player loads once, in front of everything else.
func TestWhatBeginsIsAskedSo(t *testing.T) {
	g := newGuard()
	s := newSite(t, guarded(g))
	for _, file := range below() {
		s.get("/t/good/live/main/" + file)
	}
	for i, file := range below() {
		require.Equal(t, origin.Ask{Name: "main", Token: "good", Begins: file == "index.m3u8" || file == "dvr.m3u8"}, g.asked[i], file)
	}
	s.get("/live/idle/index.m3u8")
	require.Len(t, g.asked, len(below()), "names of nothing cost nothing")
}

// TestTokenIsNotShown: in a problem it is cut short.
func TestTokenIsNotShown(t *testing.T) {
	w := newSite(t, guarded(newGuard())).get("/t/a-long-bad-token/live/main/index.m3u8")
	require.Contains(t, w.Body.String(), `"instance":"/t/***oken/live/main/index.m3u8"`)
	require.NotContains(t, w.Body.String(), "a-long")
}

// TestInstanceStandsInAURL: the path comes back as it was written, or escaped where it was cut short.
func TestInstanceStandsInAURL(t *testing.T) {
	s := newSite(t, guarded(newGuard()))
	require.Contains(t, s.get("/live/no%20body/index.m3u8").Body.String(), `"instance":"/live/no%20body/index.m3u8"`)
	require.Contains(t, s.get("/t/a-long-bad-token/live/no%20body/index.m3u8").Body.String(), `"instance":"/t/***oken/live/no%20body/index.m3u8"`)
}

func TestPathsUnderTokens(t *testing.T) {
	for _, path := range []string{"/live/main/index.m3u8", "/vod/1/index.m3u8", "/t/x/live/main/index.m3u8", "/t/x/vod/1/download.mp4", "/live/", "/t/x/live/"} {
		require.True(t, origin.Serves(path), path)
	}
	for _, path := range []string{"/", "/live", "/t/", "/t/x", "/t//live/main/index.m3u8", "/t/x/", "/t/x/api/v1", "/t/x/t/y/live/main/index.m3u8", "/whep/main", "/t/x/whep/main", "t/x/live/"} {
		require.False(t, origin.Serves(path), path)
	}
	s := newSite(t, guarded(newGuard()))
	for _, path := range []string{"/t//live/main/index.m3u8", "/t/good//live/main/index.m3u8", "/t/good/live/main/x", "/t/good/t/good/live/main/index.m3u8", "/t/g%6Fod/live/main/index.m3u8", "/t/good%2Flive/main/index.m3u8"} {
		w := s.get(path)
		if w.Code != http.StatusForbidden { // a token that is spelled in another way is none
			problemOf(t, w, http.StatusNotFound, "not_found")
		}
	}
	problemOf(t, newSite(t).get("/t/good/live/main/index.m3u8"), http.StatusNotFound, "not_found")
}

// TestCookieIsForOurOwnPages: what it opens is for that browser alone, and another site's page makes no use of it.
func TestCookieIsForOurOwnPages(t *testing.T) {
	g := newGuard()
	s := newSite(t, guarded(g))
	for _, file := range below() {
		w := s.get("/live/main/"+file, "Cookie: a=b; mediad_pb=old; mediad_pb=good", "Sec-Fetch-Site: same-origin", "Origin: http://example.com")
		require.Equal(t, http.StatusOK, w.Code, file)
		require.Equal(t, "private, no-cache", w.Header().Get("Cache-Control"), file)
	}
	for name, headers := range map[string][]string{
		"another site's page":    {"Cookie: mediad_pb=good", "Sec-Fetch-Site: cross-site"},
		"a neighbour's page":     {"Cookie: mediad_pb=good", "Sec-Fetch-Site: same-site"},
		"an older browser":       {"Cookie: mediad_pb=good", "Origin: https://other.example"},
		"a page of no origin":    {"Cookie: mediad_pb=good", "Origin: null"},
		"one that is not ours":   {"Cookie: mediad_pb=bad"},
		"another cookie":         {"Cookie: mediad=good"},
		"behind too many others": {"Cookie: mediad_pb=1; mediad_pb=2; mediad_pb=3; mediad_pb=4; mediad_pb=good"},
	} {
		w := s.get("/live/main/index.m3u8", headers...)
		problemOf(t, w, http.StatusNotFound, "not_found")
		require.Equal(t, "public, max-age=1", w.Header().Get("Cache-Control"), name)
	}
	problemOf(t, s.get("/live/main/index.m3u8", "Cookie: mediad_pb=expired"), http.StatusForbidden, "playback_token_expired")
	g.public = true
	w := s.get("/live/main/source/seg_1700000000000_1001.m4s", "Cookie: mediad_pb=good")
	require.Contains(t, w.Header().Get("Cache-Control"), "immutable", "what everybody may watch is for every cache")
}

// TestParkedRequestsEndWithTheRight: at once, as if they came now.
func TestParkedRequestsEndWithTheRight(t *testing.T) {
	for _, c := range []struct {
		path, code string
		status     int
		public     bool
	}{
		{"/live/main/source/index.m3u8?_HLS_msn=1004", "not_found", http.StatusNotFound, true},
		{"/live/main/source/part_1700000000000_1003_2.m4s", "not_found", http.StatusNotFound, true},
		{"/t/expired/live/main/source/index.m3u8?_HLS_msn=1004", "playback_token_expired", http.StatusForbidden, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := newGuard()
			g.public = c.public
			s := newSite(t, guarded(g))
			done := make(chan *httptest.ResponseRecorder)
			go func() { done <- s.get(c.path) }()
			synctest.Wait()
			require.Equal(t, 1, s.Parked())
			g.close(t)
			problemOf(t, <-done, c.status, c.code)
			require.Zero(t, s.Parked())
		})
	}
}
