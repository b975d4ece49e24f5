package origin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/packager/origin"
	"mediad/packager/playlist"
	"mediad/store/blob"
	"mediad/store/blob/disk"
)

// fakeLibrary has one video, "film".
type fakeLibrary struct {
	video fakeVideo
	err   error // of Download
}

func (l *fakeLibrary) Watchable(_ context.Context, id string) error {
	switch id {
	case "film":
		return nil
	case "broken":
		return errors.New("the database is away")
	default:
		return fmt.Errorf("%w: %s", origin.ErrNoVideo, id)
	}
}

func (l *fakeLibrary) Video(ctx context.Context, id string) (origin.Video, error) {
	if err := l.Watchable(ctx, id); err != nil {
		return nil, err
	}
	return l.video, l.err
}

// fakeVideo is a file whose content is three objects, one behind the other.
type fakeVideo struct {
	title string
	keys  []string
	size  int64
	never string
}

func (v fakeVideo) Multivariant() playlist.Document { return playlist.NewDocument([]byte("#EXTM3U\n")) }

func (v fakeVideo) Rendition(string) (origin.VideoRendition, bool) { return nil, false }

func (v fakeVideo) Download(context.Context) (origin.VideoFile, error) {
	if v.never != "" {
		return origin.VideoFile{}, &origin.NoDownloadError{Reason: v.never}
	}
	return origin.VideoFile{Title: v.title, Size: v.size, ETag: `"film"`, Copy: v.copy}, nil
}

func (v fakeVideo) copy(dst io.Writer, from, length int64, open func(playlist.Media) (io.ReadCloser, error)) error {
	each := v.size / int64(len(v.keys))
	for _, key := range v.keys {
		if from >= each {
			from -= each
			continue
		}
		n := min(each-from, length)
		if n == 0 {
			return nil
		}
		r, err := open(playlist.Media{Key: key, Size: each})
		if err != nil {
			return err
		}
		if _, err = io.CopyN(io.Discard, r, from); err == nil {
			_, err = io.CopyN(dst, r, n)
		}
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
		from, length = 0, length-n
	}
	return nil
}

// newFilm is a site with the video "film" on a disk, and what its file has.
func newFilm(t *testing.T, each int) (*site, *fakeLibrary, blob.Store, []byte) {
	t.Helper()
	store, err := disk.Open(t.TempDir())
	require.NoError(t, err)
	var whole []byte
	library := &fakeLibrary{video: fakeVideo{title: "Schach: Fr/Sa “live” 100 %", keys: []string{"a", "b", "c"}, size: int64(3 * each)}}
	rng := rand.NewChaCha8([32]byte{1})
	for _, key := range library.video.keys {
		b := make([]byte, each)
		_, _ = rng.Read(b)
		whole = append(whole, b...)
		require.NoError(t, store.Put(t.Context(), key, bytes.NewReader(b), int64(each), blob.Meta{}))
	}
	return newSite(t, func(o *origin.Options) { o.Library, o.Blobs = library, store }), library, store, whole
}

func TestDownload(t *testing.T) {
	s, library, store, whole := newFilm(t, 700_000)
	const path = "/vod/film/download.mp4"
	w := s.get(path)
	require.Equal(t, http.StatusOK, w.Code)
	require.True(t, bytes.Equal(whole, w.Body.Bytes()))
	h := w.Header()
	require.Equal(t, "video/mp4", h.Get("Content-Type"))
	require.Equal(t, "2100000", h.Get("Content-Length"))
	require.Equal(t, "bytes", h.Get("Accept-Ranges"))
	require.Equal(t, "public, max-age=60", h.Get("Cache-Control"))
	require.Equal(t, `attachment; filename="Schach_ Fr_Sa _live_ 100 _.mp4"; filename*=UTF-8''Schach_%20Fr_Sa%20%E2%80%9Clive%E2%80%9D%20100%20%25.mp4`,
		h.Get("Content-Disposition"))
	require.Equal(t, origin.Served{Kind: origin.Download, Stream: "film", Status: 200, Bytes: 2_100_000}, s.seen.last())

	w = s.get(path, "Range: bytes=699990-1400009")
	require.Equal(t, http.StatusPartialContent, w.Code)
	require.Equal(t, "bytes 699990-1400009/2100000", w.Header().Get("Content-Range"))
	require.True(t, bytes.Equal(whole[699_990:1_400_010], w.Body.Bytes()))
	require.Equal(t, whole[2_099_995:], s.get(path, "Range: bytes=-5").Body.Bytes())
	require.Equal(t, http.StatusOK, s.get(path, "Range: bytes=-5", `If-Range: "else"`).Code)
	require.Equal(t, http.StatusNotModified, s.get(path, `If-None-Match: "film"`).Code)
	problemOf(t, s.get(path, "Range: bytes=2100000-"), http.StatusRequestedRangeNotSatisfiable, "range_not_satisfiable")

	head := httptest.NewRecorder()
	s.ServeHTTP(head, httptest.NewRequest(http.MethodHead, path, nil))
	require.Equal(t, "2100000", head.Header().Get("Content-Length"))
	require.Zero(t, head.Body.Len())

	require.NoError(t, store.Delete(t.Context(), "b"))
	w = s.get(path, "Range: bytes=700000-700001")
	problemOf(t, w, http.StatusNotFound, "not_found")
	require.Empty(t, w.Header().Get("Content-Disposition"))

	library.video.never = "The picture changes."
	w = s.get(path)
	problemOf(t, w, http.StatusConflict, "invalid_state")
	require.Contains(t, w.Body.String(), "The picture changes.")
	problemOf(t, s.get("/vod/other/download.mp4"), http.StatusNotFound, "not_found")
	problemOf(t, s.get("/vod/broken/download.mp4"), http.StatusBadGateway, "storage_unavailable")
}

// Over a real connection, where files go by the kernel; one that ends early is not taken for the whole.
func TestDownloadOverAConnection(t *testing.T) {
	s, _, store, whole := newFilm(t, 1_500_000)
	server := httptest.NewServer(s)
	defer server.Close()
	get := func() ([]byte, error) {
		r, err := server.Client().Get(server.URL + "/vod/film/download.mp4")
		require.NoError(t, err)
		defer r.Body.Close()
		return io.ReadAll(r.Body)
	}
	b, err := get()
	require.NoError(t, err)
	require.True(t, bytes.Equal(whole, b))
	require.NoError(t, store.Put(t.Context(), "c", strings.NewReader("short"), 5, blob.Meta{}))
	b, err = get()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, 3_000_005, len(b))
}

func TestVideoPictures(t *testing.T) {
	s, _, store, _ := newFilm(t, 10)
	put := func(name, body string) {
		require.NoError(t, store.Put(t.Context(), "vod/film/"+name, strings.NewReader(body), int64(len(body)), blob.Meta{}))
	}
	for name, want := range map[string]struct{ kind, cache string }{
		"thumb.jpg":        {"image/jpeg", "public, max-age=60"},
		"storyboard.vtt":   {"text/vtt; charset=utf-8", "public, max-age=60"},
		"storyboard_1.jpg": {"image/jpeg", "public, max-age=60"}, // it may be made anew
	} {
		path := "/vod/film/" + name
		w := s.get(path)
		problemOf(t, w, http.StatusNotFound, "not_found")
		require.Equal(t, "public, max-age=1", w.Header().Get("Cache-Control"), "it may come in a moment")

		put(name, "a "+name)
		w = s.get(path)
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, "a "+name, w.Body.String())
		require.Equal(t, want.kind, w.Header().Get("Content-Type"))
		require.Equal(t, want.cache, w.Header().Get("Cache-Control"))
		require.Equal(t, http.StatusNotModified, s.get(path, "If-None-Match: "+w.Header().Get("ETag")).Code)
		put(name, "another "+name)
		require.Equal(t, http.StatusOK, s.get(path, "If-None-Match: "+w.Header().Get("ETag")).Code)
		problemOf(t, s.get("/vod/other/"+name), http.StatusNotFound, "not_found")
		problemOf(t, s.get("/vod/broken/"+name), http.StatusBadGateway, "storage_unavailable")
		problemOf(t, newSite(t).get(path), http.StatusNotFound, "not_found")
	}
}

func TestNamesOfDownloads(t *testing.T) {
	s, library, _, _ := newFilm(t, 10)
	for title, want := range map[string]string{
		"Friday blitz":                 `filename="Friday blitz.mp4"; filename*=UTF-8''Friday%20blitz.mp4`,
		"  ..  ":                       `filename="video.mp4"; filename*=UTF-8''video.mp4`,
		"":                             `filename="video.mp4"; filename*=UTF-8''video.mp4`,
		"a\r\nSet-Cookie: b\x00\u202e": `filename="aSet-Cookie_ b.mp4"; filename*=UTF-8''aSet-Cookie_%20b.mp4`,
		"../../etc/passwd":             `filename="_.._etc_passwd.mp4"; filename*=UTF-8''_.._etc_passwd.mp4`,
		`C:\x"y';z`:                    `filename="C__x_y';z.mp4"; filename*=UTF-8''C__x_y%27%3Bz.mp4`,
		"直播\xff":                       `filename="__.mp4"; filename*=UTF-8''%E7%9B%B4%E6%92%AD.mp4`,
		strings.Repeat("ö", 500):       `filename="` + strings.Repeat("_", 100) + `.mp4"; filename*=UTF-8''` + strings.Repeat("%C3%B6", 100) + ".mp4",
	} {
		library.video.title = title
		require.Equal(t, "attachment; "+want, s.get("/vod/film/download.mp4").Header().Get("Content-Disposition"), "%q", title)
	}
}
