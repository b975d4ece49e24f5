//go:build e2e

package e2e

import (
	"image"
	"image/jpeg"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestThumbnail: a stream on air has a small picture, which shows something and is replaced by the next.
func TestThumbnail(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.publish(t, "harbour", source{gop: 30, size: "1280x720"})
	s.waitLive("harbour")
	get := func() (status int, tag string, m image.Image) {
		r, err := http.Get(s.url("/live/harbour/thumb.jpg"))
		require.NoError(t, err)
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return r.StatusCode, "", nil
		}
		require.Equal(t, "image/jpeg", r.Header.Get("Content-Type"))
		m, err = jpeg.Decode(r.Body)
		require.NoError(t, err)
		return r.StatusCode, r.Header.Get("ETag"), m
	}
	var first string
	waitFor(t, 30*time.Second, "a thumbnail", func() bool {
		_, tag, m := get()
		if m == nil {
			return false
		}
		first = tag
		require.Equal(t, image.Pt(640, 360), m.Bounds().Size())
		r, g, b, _ := m.At(320, 180).RGBA()
		r2, g2, b2, _ := m.At(40, 40).RGBA()
		require.Positive(t, r+g+b+r2+g2+b2, "black")
		return true
	})
	waitFor(t, 5*time.Second, "the API to say so", func() bool {
		return s.json("/api/v1/streams/harbour")["thumbnail_url"] == "/live/harbour/thumb.jpg"
	})
	waitFor(t, 30*time.Second, "the next one", func() bool { _, tag, m := get(); return m != nil && tag != first })
}
