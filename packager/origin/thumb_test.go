package origin_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/packager/origin"
)

type fakeThumbs map[string]string

func (f fakeThumbs) Thumb(stream string) (jpeg []byte, etag string, ok bool) {
	jpg, ok := f[stream]
	return []byte(jpg), `"tag of ` + jpg + `"`, ok
}

func TestThumb(t *testing.T) {
	pictures := fakeThumbs{}
	s := newSite(t, func(o *origin.Options) { o.Thumbs = pictures })

	w := s.get("/live/main/thumb.jpg")
	problemOf(t, w, http.StatusNotFound, "not_found")
	require.Equal(t, "public, max-age=1", w.Header().Get("Cache-Control"), "it may come in a moment")

	pictures["main"], pictures["other"] = "a picture", "of a stream that is not served"
	w = s.get("/live/main/thumb.jpg")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "a picture", w.Body.String())
	h := w.Header()
	require.Equal(t, "image/jpeg", h.Get("Content-Type"))
	require.Equal(t, "9", h.Get("Content-Length"))
	require.Equal(t, "public, max-age=2", h.Get("Cache-Control"))
	require.Equal(t, "*", h.Get("Access-Control-Allow-Origin"))
	require.Equal(t, origin.Thumbnail, s.seen.last().Kind)

	w = s.get("/live/main/thumb.jpg", "If-None-Match: "+h.Get("ETag"))
	require.Equal(t, http.StatusNotModified, w.Code)
	require.Empty(t, w.Body.String())
	problemOf(t, s.get("/live/other/thumb.jpg"), http.StatusNotFound, "not_found")
	problemOf(t, newSite(t).get("/live/main/thumb.jpg"), http.StatusNotFound, "not_found")
}
