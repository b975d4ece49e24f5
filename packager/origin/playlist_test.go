package origin_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/packager/origin"
	"mediad/packager/playlist"
)

const sourceList = "/live/main/source/index.m3u8"

// get answers a request with the given headers ("Name: value").
func (s *site) get(path string, headers ...string) *httptest.ResponseRecorder {
	return s.do(context.Background(), http.MethodGet, path, headers...)
}

func (s *site) do(ctx context.Context, method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, method, path, nil)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// problemOf checks that the answer is a problem document of the given status and code.
func problemOf(t *testing.T, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	require.Equal(t, status, w.Code, w.Body.String())
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	var p struct {
		Type, Title, Code, Detail, Instance string
		Status                              int
		RequestID                           string `json:"request_id"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	require.Equal(t, code, p.Code)
	require.Equal(t, "urn:mediad:problem:"+code, p.Type)
	require.Equal(t, status, p.Status)
	require.NotEmpty(t, p.Title)
	require.NotEmpty(t, p.Detail)
	require.NotEmpty(t, p.Instance)
	require.Equal(t, w.Header().Get("X-Request-Id"), p.RequestID)
}

// The site's window: segments 1000 to 1002 complete, 1003 open with parts 0 and 1, part 2 hinted.
func TestDirectives(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		query  string
		status int
		cache  string
	}{
		{"", 200, "public, max-age=1"},
		{"?token=abc&_HLS_push=1&_HLS_unknown=%zz&x", 200, "public, max-age=1"},
		{"?_HLS_skip=YES", 200, "public, max-age=1"},
		{"?_HLS_skip=v2", 200, "public, max-age=1"},
		{"?_HLS_skip=v9", 200, "public, max-age=1"},
		{"?_HLS_msn=1002", 200, "public, max-age=6"},
		{"?_HLS_msn=1003&_HLS_part=1", 200, "public, max-age=6"},
		{"?_HLS_msn=1003&_HLS_part=0&_HLS_skip=YES", 200, "public, max-age=6"},
		{"?_HLS_msn=1002&_HLS_part=5", 200, "public, max-age=6"}, // part 0 of the next
		{"?_HLS_msn=0", 200, "public, max-age=6"},                // older than the window: the current one
		{"?_HLS_msn=3&_HLS_part=900000", 200, "public, max-age=6"},
		{"?_HLS_part=0", 400, "public, max-age=4"},
		{"?_HLS_msn=", 400, "public, max-age=4"},
		{"?_HLS_msn", 400, "public, max-age=4"},
		{"?_HLS_msn=-1", 400, "public, max-age=4"},
		{"?_HLS_msn=01003", 400, "public, max-age=4"},
		{"?_HLS_msn=1003.0", 400, "public, max-age=4"},
		{"?_HLS_msn=99999999999999999999", 400, "public, max-age=4"},
		{"?_HLS_msn=1003&_HLS_part=x", 400, "public, max-age=4"},
		{"?_HLS_msn=1003&_HLS_msn=1003", 400, "public, max-age=4"},
		{"?_HLS_msn=1005", 400, "no-store"},
		{"?_HLS_msn=1036", 400, "no-store"},
		{"?_HLS_msn=1037", 400, "public, max-age=4"}, // eight a second for four seconds would not get there
		{"?_HLS_msn=1003&_HLS_part=17", 400, "no-store"},
		{"?_HLS_msn=1004&_HLS_part=15", 400, "no-store"},
	} {
		t.Run(c.query, func(t *testing.T) {
			w := s.get(sourceList + c.query)
			require.Equal(t, c.cache, w.Header().Get("Cache-Control"))
			if c.status != 200 {
				problemOf(t, w, c.status, "invalid_parameter")
				return
			}
			require.Equal(t, c.status, w.Code, w.Body.String())
			require.Equal(t, "application/vnd.apple.mpegurl", w.Header().Get("Content-Type"))
			require.NoError(t, playlist.CheckInvariants(nil, w.Body.Bytes()))
		})
	}
}

func TestPlaylistIsHeldUntilItIsAsFar(t *testing.T) {
	for _, c := range []struct {
		query string
		steps int
	}{
		{"?_HLS_msn=1003&_HLS_part=2", 1},
		{"?_HLS_msn=1003&_HLS_part=4", 3},
		{"?_HLS_msn=1003", 3}, // the complete segment
		{"?_HLS_msn=1003&_HLS_part=5", 4},
		{"?_HLS_msn=1004&_HLS_part=0", 4},
		{"?_HLS_msn=1004", 8},
		{"?_HLS_msn=1003&_HLS_part=16", 4},
	} {
		t.Run(c.query, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				var w *httptest.ResponseRecorder
				go func() { w = s.get(sourceList + c.query) }()
				for range c.steps {
					synctest.Wait()
					require.Equal(t, 1, s.Parked(), "it is still held")
					require.Nil(t, w)
					time.Sleep(200 * time.Millisecond)
					s.source.step()
				}
				synctest.Wait()
				require.Equal(t, 0, s.Parked())
				require.Equal(t, 200, w.Code)
				require.Equal(t, "public, max-age=6", w.Header().Get("Cache-Control"))
				require.Equal(t, s.source.Window().Render(playlist.SkipNo, false), w.Body.Bytes())
				require.Equal(t, time.Duration(c.steps)*200*time.Millisecond, s.seen.last().Held)
				require.Equal(t, 0, s.seen.parked)
			})
		})
	}
}

func TestHeldPlaylistIsRefusedAtTheBound(t *testing.T) {
	for name, c := range map[string]struct {
		target int
		hold   time.Duration
		want   time.Duration
	}{
		"three target durations": {1, 0, 3 * time.Second},
		"eight seconds":          {4, 0, 8 * time.Second},
		"less by option":         {4, 5 * time.Second, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, func(o *origin.Options) { o.Limits.Hold = c.hold })
				s.source.config.Target = c.target
				began := time.Now()
				w := s.get(sourceList + "?_HLS_msn=1003&_HLS_part=2")
				require.Equal(t, c.want, time.Since(began))
				problemOf(t, w, 503, "unavailable")
				require.Equal(t, "public, max-age=1", w.Header().Get("Cache-Control"), "else a cache holds those who wait one after the other")
				require.Equal(t, "1", w.Header().Get("Retry-After"))
				require.Equal(t, 0, s.Parked())
			})
		})
	}
}

func TestWhileThePublisherIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.source.goAway()
		plain := s.get(sourceList)
		require.Equal(t, 200, plain.Code)
		require.NotContains(t, plain.Body.String(), "PRELOAD-HINT")

		began := time.Now()
		problemOf(t, s.get(sourceList+"?_HLS_msn=1004&_HLS_part=0"), 503, "unavailable")
		require.Equal(t, 3*time.Second, time.Since(began))
		require.Equal(t, plain.Body.Bytes(), s.get(sourceList).Body.Bytes(), "unchanged all the while")

		var held *httptest.ResponseRecorder
		go func() { held = s.get(sourceList + "?_HLS_msn=1004&_HLS_part=0") }()
		synctest.Wait()
		s.source.comeBack()
		synctest.Wait()
		require.Equal(t, 200, held.Code)
		require.Contains(t, held.Body.String(), "#EXT-X-DISCONTINUITY\n")
		require.NoError(t, playlist.CheckInvariants(plain.Body.Bytes(), held.Body.Bytes()))
	})
}

func TestPlainPlaylistLingersWhileThePublisherIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(o *origin.Options) { o.Limits.Parked = 1 })
		s.source.linger = 200 * time.Millisecond
		s.source.goAway()
		began := time.Now()
		plain := s.get(sourceList + "?_HLS_skip=YES")
		require.Equal(t, 200, plain.Code)
		require.Equal(t, 200*time.Millisecond, time.Since(began))
		require.Equal(t, 200, s.get(sourceList+"?_HLS_msn=1003").Code)
		require.Equal(t, 200*time.Millisecond, time.Since(began), "what is there is not waited for")

		var kept *httptest.ResponseRecorder
		go func() { kept = s.get(sourceList) }()
		synctest.Wait()
		require.Equal(t, 200, s.get(sourceList).Code, "no place to wait is no reason to refuse")
		s.source.comeBack()
		synctest.Wait()
		require.Contains(t, kept.Body.String(), "#EXT-X-DISCONTINUITY\n", "the return is told at once")
		require.Equal(t, 200*time.Millisecond, time.Since(began))
		require.Equal(t, 200, s.get(sourceList).Code)
		require.Equal(t, 200*time.Millisecond, time.Since(began), "nothing lingers while there is a publisher")
	})
}

func TestAfterTheEndDirectivesMeanNothing(t *testing.T) {
	s := newSite(t)
	held := make(chan *httptest.ResponseRecorder)
	go func() { held <- s.get(sourceList + "?_HLS_msn=1004") }()
	s.untilParked(t, 1)
	s.source.goAway()
	s.source.end()
	w := <-held
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Body.String(), "#EXT-X-ENDLIST")
	for _, query := range []string{"?_HLS_msn=999999", "?_HLS_part=1", "?_HLS_msn=x", "?_HLS_msn=1000&_HLS_skip=YES"} {
		w := s.get(sourceList + query)
		require.Equal(t, 200, w.Code, query)
		require.Contains(t, w.Body.String(), "#EXT-X-ENDLIST")
		require.Equal(t, "public, max-age=1", w.Header().Get("Cache-Control"), "the next session has the same address")
	}
}

func TestLeavingFreesThePlaceAtOnce(t *testing.T) {
	s := newSite(t)
	ctx, leave := context.WithCancel(context.Background())
	done := make(chan *httptest.ResponseRecorder)
	go func() { done <- s.do(ctx, http.MethodGet, sourceList+"?_HLS_msn=1004") }()
	s.untilParked(t, 1)
	leave()
	w := <-done
	require.Equal(t, 0, s.Parked())
	require.Equal(t, 503, w.Code, "should it be the server that is stopping: never an empty 200")
	require.Equal(t, origin.StatusLeft, s.seen.last().Status)
}

func TestPlaylistThatIsNoMore(t *testing.T) {
	s := newSite(t)
	done := make(chan *httptest.ResponseRecorder)
	go func() { done <- s.get(sourceList + "?_HLS_msn=1004") }()
	s.untilParked(t, 1)
	s.source.Window().Supersede(nil)
	problemOf(t, <-done, 404, "not_found")
}

func TestMoreThanMayWaitAreRefusedAtOnce(t *testing.T) {
	s := newSite(t, func(o *origin.Options) { o.Limits.Parked = 2 })
	ctx, leave := context.WithCancel(context.Background())
	done := make(chan struct{})
	for range 2 {
		go func() {
			s.do(ctx, http.MethodGet, sourceList+"?_HLS_msn=1004")
			done <- struct{}{}
		}()
	}
	s.untilParked(t, 2)
	w := s.get(sourceList + "?_HLS_msn=1004")
	problemOf(t, w, 503, "overloaded")
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	require.Equal(t, 2, s.Parked())
	leave()
	<-done
	<-done
}

func TestNotLive(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{
		"/live/nobody/index.m3u8", "/live/nobody/source/index.m3u8", "/live/main/1080p/index.m3u8",
		"/live/main/waiting/index.m3u8", "/live/main/waiting/dvr.m3u8", "/live/main/waiting/seg_1_1.m4s",
		"/live/nobody/source/seg_1_1.m4s",
	} {
		w := s.get(path)
		problemOf(t, w, 404, "not_found")
		require.Equal(t, "public, max-age=1", w.Header().Get("Cache-Control"), path)
	}
}

func TestPlaylistsAreCompressedWhenAsked(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{sourceList, "/live/main/index.m3u8", "/live/main/source/dvr.m3u8"} {
		plain, packed := s.get(path), s.get(path, "Accept-Encoding: br, gzip;q=0.5")
		require.Equal(t, "gzip", packed.Header().Get("Content-Encoding"))
		require.Empty(t, plain.Header().Get("Content-Encoding"))
		for _, w := range []*httptest.ResponseRecorder{plain, packed} {
			require.Equal(t, "Accept-Encoding", w.Header().Get("Vary"))
		}
		require.NotEqual(t, plain.Header().Get("ETag"), packed.Header().Get("ETag"))
		z, err := gzip.NewReader(packed.Body)
		require.NoError(t, err)
		unpacked, err := io.ReadAll(z)
		require.NoError(t, err)
		require.Equal(t, plain.Body.Bytes(), unpacked)

		for accept, want := range map[string]string{
			"gzip": "gzip", "*": "gzip", "GZIP": "gzip", "deflate, gzip;q=1.0": "gzip",
			"gzip;q=0": "", "gzip; q=0.000": "", "identity": "", "": "", "xgzip": "",
		} {
			require.Equal(t, want, s.get(path, "Accept-Encoding: "+accept).Header().Get("Content-Encoding"), accept)
		}
	}
}

func TestUnchangedPlaylist(t *testing.T) {
	s := newSite(t)
	etag := s.get(sourceList).Header().Get("ETag")
	for _, asked := range []string{etag, "W/" + etag, `"other", ` + etag, "*"} {
		w := s.get(sourceList, "If-None-Match: "+asked)
		require.Equal(t, 304, w.Code)
		require.Zero(t, w.Body.Len())
		require.Equal(t, etag, w.Header().Get("ETag"))
		require.NotEmpty(t, w.Header().Get("Cache-Control"))
	}
	s.source.step()
	require.Equal(t, 200, s.get(sourceList, "If-None-Match: "+etag).Code)
}

func TestHeadHasTheHeadersAlone(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{sourceList, "/live/main/index.m3u8", "/live/main/source/seg_1700000000000_1000.m4s"} {
		get, head := s.get(path), s.do(context.Background(), http.MethodHead, path)
		require.Equal(t, 200, head.Code)
		require.Zero(t, head.Body.Len())
		require.Equal(t, get.Header(), head.Header())
	}
}

func TestViewersAreCountedByAddressAndAgent(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var ip string
	s := newSite(t, func(o *origin.Options) {
		o.Now = func() time.Time { return now }
		o.ClientIP = func(*http.Request) string { return ip }
	})
	watch := func(from, agent string) {
		ip = from
		s.get(sourceList, "User-Agent: "+agent)
		s.get("/live/main/audio/index.m3u8", "User-Agent: "+agent)
	}
	require.Zero(t, viewers(s, "main"))
	watch("192.0.2.1", "a")
	watch("192.0.2.1", "b")
	watch("192.0.2.2", "a")
	require.Equal(t, 3, viewers(s, "main"))
	watch("2001:db8::1", "a")
	watch("2001:db8::2", "a") // the same /64
	require.Equal(t, 4, viewers(s, "main"))
	now = now.Add(40 * time.Second)
	watch("192.0.2.1", "a")
	now = now.Add(10 * time.Second)
	require.Equal(t, 1, viewers(s, "main"))
	now = now.Add(50 * time.Second)
	require.Zero(t, viewers(s, "main"))
	require.Zero(t, viewers(s, "nobody"))
}

func TestEveryAnswerIsOpenToAll(t *testing.T) {
	s := newSite(t)
	for _, w := range []*httptest.ResponseRecorder{
		s.get(sourceList), s.get("/live/nobody/index.m3u8"), s.get("/live/main/source/part_1_1_1.m4s"),
		s.do(context.Background(), http.MethodOptions, sourceList), s.do(context.Background(), http.MethodPost, sourceList),
	} {
		require.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"))
		require.Equal(t, "*", w.Header().Get("Timing-Allow-Origin"))
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		for _, name := range []string{"Age", "Date", "ETag"} {
			require.Contains(t, w.Header().Get("Access-Control-Expose-Headers"), name)
		}
	}
	preflight := s.do(context.Background(), http.MethodOptions, sourceList)
	require.Equal(t, 204, preflight.Code)
	require.Equal(t, "GET, HEAD, OPTIONS", preflight.Header().Get("Access-Control-Allow-Methods"))
	require.NotEmpty(t, preflight.Header().Get("Access-Control-Allow-Headers"))
	post := s.do(context.Background(), http.MethodPost, sourceList)
	problemOf(t, post, 405, "method_not_allowed")
	require.Equal(t, "GET, HEAD, OPTIONS", post.Header().Get("Allow"))
}
