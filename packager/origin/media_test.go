package origin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/packager/origin"
	"mediad/packager/playlist"
	"mediad/store/blob"
)

func partPath(rendition string, msn, part int) string {
	return fmt.Sprintf("/live/main/%s/part_%d_%d_%d.m4s", rendition, int64(fakeEpoch), msn, part)
}

func segPath(msn int) string {
	return fmt.Sprintf("/live/main/source/seg_%d_%d.m4s", int64(fakeEpoch), msn)
}

func wholeSegment(msn uint64) []byte {
	var b []byte
	for i := range partsEach {
		b = append(b, partBytes(msn, i)...)
	}
	return b
}

func TestMediaIsServedAndImmutable(t *testing.T) {
	s := newSite(t)
	for path, want := range map[string]struct {
		body []byte
		kind string
	}{
		partPath("source", 1003, 1):                {partBytes(1003, 1), "video/mp4"},
		partPath("audio", 1000, 4):                 {partBytes(1000, 4), "audio/mp4"},
		segPath(1002):                              {wholeSegment(1002), "video/mp4"},
		"/live/main/source/init_1700000000000.mp4": {[]byte("init"), "video/mp4"},
	} {
		w := s.get(path)
		require.Equal(t, 200, w.Code, path)
		require.Equal(t, want.body, w.Body.Bytes())
		require.Equal(t, want.kind, w.Header().Get("Content-Type"))
		require.Equal(t, "public, max-age=31536000, immutable", w.Header().Get("Cache-Control"))
		require.Equal(t, fmt.Sprint(len(want.body)), w.Header().Get("Content-Length"))
		require.Equal(t, "bytes", w.Header().Get("Accept-Ranges"))
		again := s.get(path, "If-None-Match: "+w.Header().Get("ETag"))
		require.Equal(t, 304, again.Code)
		require.Zero(t, again.Body.Len())
	}
}

func TestRangesOfMedia(t *testing.T) {
	s := newSite(t)
	whole := wholeSegment(1002)
	size := len(whole)
	etag := s.get(segPath(1002)).Header().Get("ETag")

	w := s.get(segPath(1002), "Range: bytes=10-19")
	require.Equal(t, 206, w.Code)
	require.Equal(t, whole[10:20], w.Body.Bytes())
	require.Equal(t, fmt.Sprintf("bytes 10-19/%d", size), w.Header().Get("Content-Range"))
	require.Equal(t, "10", w.Header().Get("Content-Length"))

	require.Equal(t, whole[size-5:], s.get(segPath(1002), "Range: bytes=-5").Body.Bytes())
	require.Equal(t, 206, s.get(segPath(1002), "Range: bytes=5-", "If-Range: "+etag).Code)
	require.Equal(t, 200, s.get(segPath(1002), "Range: bytes=5-", `If-Range: "other"`).Code)
	require.Equal(t, 200, s.get(segPath(1002), "Range: bytes=0-1,4-5").Code)

	w = s.get(segPath(1002), fmt.Sprintf("Range: bytes=%d-", size))
	problemOf(t, w, 416, "range_not_satisfiable")
	require.Equal(t, fmt.Sprintf("bytes */%d", size), w.Header().Get("Content-Range"))
}

func TestHintedPartIsHeldAndThenServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		var w *httptest.ResponseRecorder
		go func() { w = s.get(partPath("source", 1003, 2)) }()
		synctest.Wait()
		require.Equal(t, 1, s.Parked())
		time.Sleep(150 * time.Millisecond)
		s.source.step()
		synctest.Wait()
		require.Equal(t, 200, w.Code)
		require.Equal(t, partBytes(1003, 2), w.Body.Bytes())
		require.Equal(t, 150*time.Millisecond, s.seen.last().Held)
		require.Equal(t, origin.Part, s.seen.last().Kind)
	})
}

func TestHintedPartThatWillNeverCome(t *testing.T) {
	s := newSite(t)
	done := make(chan *httptest.ResponseRecorder)
	go func() { done <- s.get(partPath("source", 1003, 2)) }()
	s.untilParked(t, 1)
	s.source.goAway()
	w := <-done
	problemOf(t, w, 404, "not_found")
}

func TestHintedPartIsRefusedAtTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		began := time.Now()
		w := s.get(partPath("source", 1003, 2))
		problemOf(t, w, 503, "unavailable")
		require.Equal(t, 3*time.Second, time.Since(began))
		require.Equal(t, "public, max-age=1", w.Header().Get("Cache-Control"))
	})
}

func TestHintedWholeSegmentIsHeld(t *testing.T) {
	s := newSite(t)
	spec := *s.source.Window().Spec()
	spec.Hint = &playlist.Hint{Epoch: fakeEpoch, MSN: 1003, Part: -1}
	w := playlist.NewWindow(spec)
	s.source.window.Swap(w).Supersede(w)
	done := make(chan *httptest.ResponseRecorder)
	go func() { done <- s.get(segPath(1003)) }()
	s.untilParked(t, 1)
	s.source.steps(3) // at once: a playlist between would hint at a part
	require.Equal(t, wholeSegment(1003), (<-done).Body.Bytes())
}

// What is not there is refused at once, and for as long as it will not be.
func TestMissingMedia(t *testing.T) {
	s := newSite(t)
	for path, cache := range map[string]string{
		segPath(1003):                         "public, max-age=1", // still open
		segPath(1004):                         "no-store",
		partPath("source", 1003, 3):           "no-store", // not hinted yet
		partPath("source", 1004, 0):           "no-store",
		partPath("source", 1002, 5):           "public, max-age=1", // that segment has ended: one target duration
		segPath(7):                            "public, max-age=1",
		"/live/main/source/part_5_1003_2.m4s": "public, max-age=1", // of another epoch
		"/live/main/source/init_5.mp4":        "public, max-age=1",
		"/live/main/source/seg_01_1.m4s":      "public, max-age=1",
		"/live/main/source/thumb.jpg":         "public, max-age=1",
		"/live/main/source/%69ndex.m3u8":      "public, max-age=1", // one spelling only
	} {
		w := s.get(path)
		problemOf(t, w, 404, "not_found")
		require.Equal(t, cache, w.Header().Get("Cache-Control"), path)
		require.Zero(t, s.Parked())
	}
	s.source.config.Target = 4
	require.Equal(t, "public, max-age=4", s.get(segPath(7)).Header().Get("Cache-Control"))
	require.Equal(t, "public, max-age=4", s.get("/live/main/source/init_5.mp4").Header().Get("Cache-Control"))
}

func TestTheSamePartAgainAndAgain(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s := newSite(t, func(o *origin.Options) {
		o.Now = func() time.Time { return now }
		o.Limits.SamePart = 3
	})
	path := partPath("source", 1003, 1)
	for range 3 {
		require.Equal(t, 200, s.get(path).Code)
	}
	w := s.get(path)
	problemOf(t, w, 429, "rate_limited")
	require.Contains(t, w.Body.String(), `"retry_after_ms":1000`)
	require.Equal(t, 200, s.get(partPath("source", 1003, 0)).Code, "another part")
	require.Equal(t, 200, s.get(path, "X-Forwarded-For: 192.0.2.1").Code, "a proxy's connection carries many viewers")
	now = now.Add(time.Second)
	require.Equal(t, 200, s.get(path).Code)
}

// brokenStore fails in the given way.
type brokenStore struct {
	blob.Store
	err  error
	body string
}

func (b brokenStore) Open(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader([]byte(b.body))), b.err
}

func TestMediaThatCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"gone":   {fmt.Errorf("open: %w", blob.ErrNotExist), 404, "not_found"},
		"broken": {errors.New("input/output error"), 502, "storage_unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(o *origin.Options) {
				o.Blobs = brokenStore{err: c.err}
				o.Log = slog.New(slog.DiscardHandler)
			})
			s.source.media[mediaKey(fakeEpoch, 1000, -1)] = playlist.Media{Key: "k", Size: 10}
			w := s.get(segPath(1000))
			problemOf(t, w, c.status, c.code)
			require.Empty(t, w.Header().Get("ETag"))
			require.NotContains(t, w.Body.String(), "input/output")
		})
	}
	t.Run("no store", func(t *testing.T) {
		s := newSite(t, func(o *origin.Options) { o.Log = slog.New(slog.DiscardHandler) })
		s.source.media[mediaKey(fakeEpoch, 1000, -1)] = playlist.Media{Key: "k", Size: 10}
		problemOf(t, s.get(segPath(1000)), 404, "not_found")
	})
}

// A segment that turns out shorter than listed must not look whole.
func TestMediaThatIsCutShortBreaksTheConnection(t *testing.T) {
	var log bytes.Buffer
	s := newSite(t, func(o *origin.Options) {
		o.Blobs = brokenStore{body: "1234"}
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	s.source.media[mediaKey(fakeEpoch, 1000, -1)] = playlist.Media{Key: "k", Size: 10}
	server := httptest.NewServer(s)
	defer server.Close()
	r, err := server.Client().Get(server.URL + segPath(1000))
	require.NoError(t, err)
	_, err = io.ReadAll(r.Body)
	require.NoError(t, r.Body.Close())
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	server.Close()
	require.Contains(t, log.String(), "cut short")
}

func TestObserverSeesEveryAnswer(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		path string
		want origin.Served
	}{
		{sourceList, origin.Served{Kind: origin.Playlist, Stream: "main", Status: 200, Bytes: int64(s.get(sourceList).Body.Len())}},
		{"/live/main/index.m3u8", origin.Served{Kind: origin.Multivariant, Stream: "main", Status: 200, Bytes: 8}},
		{"/live/main/source/dvr.m3u8", origin.Served{Kind: origin.DVR, Stream: "main", Status: 200, Bytes: int64(s.get("/live/main/source/dvr.m3u8").Body.Len())}},
		{"/live/main/source/init_1700000000000.mp4", origin.Served{Kind: origin.Init, Stream: "main", Status: 200, Bytes: 4}},
		{partPath("source", 1000, 0), origin.Served{Kind: origin.Part, Stream: "main", Status: 200, Bytes: int64(len(partBytes(1000, 0)))}},
		{segPath(1000), origin.Served{Kind: origin.Segment, Stream: "main", Status: 200, Bytes: int64(len(wholeSegment(1000)))}},
		{"/live/x", origin.Served{Kind: origin.Other, Status: 404, Bytes: int64(s.get("/live/x", "X-Request-Id: r").Body.Len())}},
	} {
		s.get(c.path, "X-Request-Id: r")
		require.Equal(t, c.want, s.seen.last(), c.path)
	}
	names := map[string]bool{}
	for _, k := range origin.Kinds() {
		names[k.String()] = true
	}
	require.Len(t, names, len(origin.Kinds()))
}

func TestRequestIDs(t *testing.T) {
	s := newSite(t)
	require.Equal(t, "abc-1", s.get("/live/x", "X-Request-Id: abc-1").Header().Get("X-Request-Id"))
	made := s.get("/live/x", "X-Request-Id: not valid").Header().Get("X-Request-Id")
	require.Regexp(t, `^[0-9a-f]{24}$`, made)

	w := httptest.NewRecorder()
	w.Header().Set("X-Request-Id", "from-in-front")
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/live/x", nil))
	require.Equal(t, "from-in-front", w.Header().Get("X-Request-Id"))
}
