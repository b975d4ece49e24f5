package blobtest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/blob"
)

func runSigned(t *testing.T, open func(*testing.T) blob.Store) {
	t.Run("signed get", func(t *testing.T) { testSignedGet(t, open(t)) })
	t.Run("signed put", func(t *testing.T) { testSignedPut(t, open(t)) })
	if _, ok := blob.As[blob.Uploader](open(t)); ok {
		t.Run("signed upload in parts", func(t *testing.T) { testUpload(t, open(t)) })
	}
}

// send sends a signed request as a browser would, without credentials.
func send(t *testing.T, r blob.Signed, body []byte) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), r.Method, r.URL, bytes.NewReader(body))
	require.NoError(t, err)
	for name, value := range r.Header {
		if name != "Content-Length" { // which the client sets by itself
			request.Header.Set(name, value)
		}
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	got, err := client.Do(request)
	require.NoError(t, err)
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	return answer{got.StatusCode, got.Header, string(text)}
}

type answer struct {
	status int
	header http.Header
	body   string
}

func testSignedGet(t *testing.T, s blob.Store) {
	p, _ := blob.As[blob.Presigner](s)
	m := blob.Meta{ContentType: "video/mp4"}
	require.NoError(t, s.Put(t.Context(), "vod/1/file.mp4", strings.NewReader("0123456789"), 10, m))
	r, err := p.PresignGet(t.Context(), "vod/1/file.mp4", blob.GetOptions{})
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now().Add(15*time.Minute), r.Expires, time.Minute)
	got := send(t, r, nil)
	assert.Equal(t, http.StatusOK, got.status)
	assert.Equal(t, "0123456789", got.body)
	assert.Equal(t, "video/mp4", got.header.Get("Content-Type"))

	r, err = p.PresignGet(t.Context(), "vod/1/file.mp4", blob.GetOptions{Expires: time.Minute, ContentType: "application/x-test",
		Disposition: `attachment; filename="My video.mp4"`})
	require.NoError(t, err)
	got = send(t, r, nil)
	assert.Equal(t, "application/x-test", got.header.Get("Content-Type"))
	assert.Equal(t, `attachment; filename="My video.mp4"`, got.header.Get("Content-Disposition"))

	r.URL = strings.Replace(r.URL, "file.mp4", "other.mp4", 1)
	got = send(t, r, nil)
	assert.Equal(t, http.StatusForbidden, got.status, "what was signed is signed for one object")

	for _, expires := range []time.Duration{-time.Second, time.Millisecond, 8 * 24 * time.Hour} {
		_, err = p.PresignGet(t.Context(), "k", blob.GetOptions{Expires: expires})
		require.Error(t, err, expires)
	}
	_, err = p.PresignGet(t.Context(), "../k", blob.GetOptions{})
	require.ErrorIs(t, err, blob.ErrKey)
}

func testSignedPut(t *testing.T, s blob.Store) {
	p, _ := blob.As[blob.Presigner](s)
	m := blob.Meta{ContentType: "video/mp4", CacheControl: "private"}
	r, err := p.PresignPut(t.Context(), "upload/1", 4, m, time.Minute)
	require.NoError(t, err)
	got := send(t, r, []byte("longer"))
	assert.NotEqual(t, http.StatusOK, got.status, "the length is signed: %s", got.body)
	assert.Empty(t, keys(t, s, ""))
	got = send(t, r, []byte("four"))
	require.Equal(t, http.StatusOK, got.status, got.body)
	info, err := s.Stat(t.Context(), "upload/1")
	require.NoError(t, err)
	assert.Equal(t, int64(4), info.Size)
	assert.Equal(t, m, info.Meta)
	_, err = p.PresignPut(t.Context(), "upload/1", -1, m, time.Minute)
	require.Error(t, err)
}

func testUpload(t *testing.T, s blob.Store) {
	u, _ := blob.As[blob.Uploader](s)
	body := noise(7, 2*blob.MinPart+100)
	pieces := slices.Collect(slices.Chunk(body, blob.MinPart))
	m := blob.Meta{ContentType: "video/quicktime"}
	id, err := u.StartUpload(t.Context(), "upload/2", m)
	require.NoError(t, err)
	require.NotEmpty(t, id)
	for i, piece := range slices.Backward(pieces) { // any order
		r, err := u.PresignPart(t.Context(), "upload/2", id, i+1, int64(len(piece)), time.Minute)
		require.NoError(t, err)
		got := send(t, r, piece)
		require.Equal(t, http.StatusOK, got.status, got.body)
		require.NotEmpty(t, got.header.Get("ETag"))
	}
	parts, err := u.UploadedParts(t.Context(), "upload/2", id)
	require.NoError(t, err)
	require.Len(t, parts, len(pieces))
	for i, p := range parts {
		assert.Equal(t, i+1, p.Number)
		assert.Equal(t, int64(len(pieces[i])), p.Size)
	}
	assert.Empty(t, keys(t, s, ""), "nothing is there before the end")
	slices.Reverse(parts)
	require.NoError(t, u.FinishUpload(t.Context(), "upload/2", id, parts))
	assert.True(t, string(body) == get(t, s, "upload/2", 0, -1))
	info, err := s.Stat(t.Context(), "upload/2")
	require.NoError(t, err)
	assert.Equal(t, m, info.Meta)

	id, err = u.StartUpload(t.Context(), "upload/3", m)
	require.NoError(t, err)
	require.NoError(t, u.AbortUpload(t.Context(), "upload/3", id))
	require.NoError(t, u.AbortUpload(t.Context(), "upload/3", id))
	_, err = u.UploadedParts(t.Context(), "upload/3", id)
	require.ErrorIs(t, err, blob.ErrNotExist)
	require.ErrorIs(t, u.FinishUpload(t.Context(), "upload/3", id, parts), blob.ErrNotExist)
	assert.Equal(t, []string{"upload/2"}, keys(t, s, ""))

	_, err = u.StartUpload(t.Context(), "../k", m)
	require.ErrorIs(t, err, blob.ErrKey)
	for _, bad := range []struct {
		part int
		size int64
	}{{0, 1}, {blob.MaxParts + 1, 1}, {1, 0}, {1, -1}, {1, 6 << 30}} {
		_, err := u.PresignPart(t.Context(), "k", "id", bad.part, bad.size, time.Minute)
		require.Error(t, err, bad)
	}
	_, err = u.PresignPart(t.Context(), "k", "", 1, 1, time.Minute)
	require.True(t, err != nil && !errors.Is(err, blob.ErrKey))
}
