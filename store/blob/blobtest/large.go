package blobtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"mediad/store/blob"
)

// large is two of the smallest parts of an upload and a bit: stores that are tested cut at them.
const large = 2*blob.MinPart + 12345

// noise is n bytes that do not repeat, the same for the same seed.
func noise(seed byte, n int) []byte {
	out := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(out) // never fails
	return out
}

// stream hides that a reader can be measured and read twice.
func stream(p []byte) io.Reader { return iotest.HalfReader(bytes.NewReader(p)) }

func testMeta(t *testing.T, s blob.Store) {
	m := blob.Meta{ContentType: "video/iso.segment", CacheControl: "public, max-age=31536000, immutable"}
	require.NoError(t, s.Put(t.Context(), "k", strings.NewReader("x"), 1, m))
	info, err := s.Stat(t.Context(), "k")
	require.NoError(t, err)
	if info.Meta != (blob.Meta{}) {
		assert.Equal(t, m, info.Meta)
	}
	r, err := s.Open(t.Context(), "k", 0, -1)
	require.NoError(t, err)
	defer r.Close()
	if d, ok := r.(blob.Describer); ok && d.Info() != (blob.Info{}) {
		assert.Equal(t, "k", d.Info().Key)
		assert.Equal(t, int64(1), d.Info().Size)
		assert.Equal(t, info.Meta, d.Info().Meta)
	}
}

func testLarge(t *testing.T, s blob.Store) {
	want := noise(1, large)
	bodies := map[string]io.Reader{"measured": bytes.NewReader(want), "stream": stream(want),
		"from the middle": io.NewSectionReader(bytes.NewReader(slices.Concat([]byte("head"), want, []byte("tail"))), 4, large)}
	for name, body := range bodies {
		key := strings.ReplaceAll(name, " ", "-")
		require.NoError(t, s.Put(t.Context(), key, body, large, blob.Meta{ContentType: "video/mp4"}), name)
		info, err := s.Stat(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, int64(large), info.Size)
		r, err := s.Open(t.Context(), key, 0, -1)
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, errors.Join(err, r.Close()))
		require.True(t, bytes.Equal(want, got), name)
	}
	for _, c := range [][2]int64{{blob.MinPart - 10, 20}, {large - 7, -1}, {large - 7, 100}, {5, 6 << 20}} {
		end := int64(large)
		if c[1] >= 0 {
			end = min(end, c[0]+c[1])
		}
		require.True(t, string(want[c[0]:end]) == get(t, s, "stream", c[0], c[1]), "%v", c)
	}
}

func testLargeWrongSize(t *testing.T, s blob.Store) {
	body := noise(2, large)
	broken := errors.New("broken")
	for name, r := range map[string]io.Reader{
		"one byte short": stream(body[:large-1]), "half": stream(body[:large/2]), "one byte long": stream(append(body, 1)),
		"measured short": bytes.NewReader(body[:large-1]), "measured long": bytes.NewReader(append(body, 1)),
		"breaks":         io.MultiReader(stream(body[:large/2]), iotest.ErrReader(broken)),
		"breaks at last": io.MultiReader(stream(body), iotest.ErrReader(broken)),
	} {
		err := s.Put(t.Context(), "k", r, large, blob.Meta{})
		require.Error(t, err, name)
		if strings.HasPrefix(name, "breaks") {
			require.ErrorIs(t, err, broken)
		}
	}
	assert.Empty(t, keys(t, s, ""))
}

func testLargeReplaced(t *testing.T, s blob.Store) {
	first, second := noise(3, large), noise(4, large)
	require.NoError(t, s.Put(t.Context(), "k", bytes.NewReader(first), large, blob.Meta{}))
	r, err := s.Open(t.Context(), "k", 0, -1)
	require.NoError(t, err)
	head := make([]byte, 1000)
	_, err = io.ReadFull(r, head)
	require.NoError(t, err)
	// Some servers let a replacement wait for those who read.
	var g errgroup.Group
	g.Go(func() error { return s.Put(t.Context(), "k", bytes.NewReader(second), large, blob.Meta{}) })
	rest, err := io.ReadAll(r)
	got := slices.Concat(head, rest)
	require.True(t, bytes.Equal(first[:len(got)], got), "two objects were mixed")
	if !errors.Is(err, blob.ErrChanged) {
		require.NoError(t, err)
		require.Len(t, got, large)
	}
	require.NoError(t, r.Close())
	require.NoError(t, g.Wait())
	require.True(t, string(second) == get(t, s, "k", 0, -1))
}

func testListPages(t *testing.T, s blob.Store) {
	const objects = 1003 // a page of S3 has 1000
	var want []string
	var g errgroup.Group
	g.SetLimit(16)
	for i := range objects {
		key := fmt.Sprintf("live/%d/%04d", i%2, i)
		want = append(want, key)
		g.Go(func() error { return s.Put(t.Context(), key, strings.NewReader("x"), 1, blob.Meta{}) })
	}
	require.NoError(t, g.Wait())
	slices.Sort(want)
	require.Equal(t, want, keys(t, s, "live/"))
	require.Equal(t, want, keys(t, s, ""))
	require.NoError(t, blob.DeleteAll(t.Context(), s, want))
	require.Empty(t, keys(t, s, ""))
}

func testDeleteAll(t *testing.T, s blob.Store) {
	put(t, s, "a/b", "1")
	put(t, s, "a/c", "2")
	put(t, s, "d", "3")
	require.NoError(t, blob.DeleteAll(t.Context(), s, nil))
	require.NoError(t, blob.DeleteAll(t.Context(), s, []string{"a/b", "none", "a/none"}))
	assert.Equal(t, []string{"a/c", "d"}, keys(t, s, ""))

	err := blob.DeleteAll(t.Context(), s, []string{"../x", "d", "a//b"})
	var failed *blob.DeleteError
	require.ErrorAs(t, err, &failed)
	require.ErrorIs(t, err, blob.ErrKey)
	assert.Len(t, failed.Failed, 2)
	require.ErrorIs(t, failed.Failed["../x"], blob.ErrKey)
	assert.Equal(t, []string{"a/c"}, keys(t, s, ""), "what can be deleted is")
}

func testCreate(t *testing.T, s blob.Store) {
	body := func(text string) (io.Reader, int64) { return strings.NewReader(text), int64(len(text)) }
	r, size := body("first")
	err := blob.Create(t.Context(), s, "lock", r, size, blob.Meta{})
	if errors.Is(err, errors.ErrUnsupported) {
		assert.Empty(t, keys(t, s, ""), "what is not supported stores nothing")
		t.Skip("this store has no conditional put")
	}
	require.NoError(t, err)
	r, size = body("second")
	require.ErrorIs(t, blob.Create(t.Context(), s, "lock", r, size, blob.Meta{}), blob.ErrExist)
	assert.Equal(t, "first", get(t, s, "lock", 0, -1))
	require.Error(t, blob.Create(t.Context(), s, "short", strings.NewReader("x"), 2, blob.Meta{}))
	require.ErrorIs(t, blob.Create(t.Context(), s, "../x", strings.NewReader("x"), 1, blob.Meta{}), blob.ErrKey)
	assert.Equal(t, []string{"lock"}, keys(t, s, ""))
	require.NoError(t, s.Delete(t.Context(), "lock"))

	const racers = 8
	won := make(chan string, racers)
	var g errgroup.Group
	for i := range racers {
		g.Go(func() error {
			text := fmt.Sprint("racer ", i)
			err := blob.Create(t.Context(), s, "lock", strings.NewReader(text), int64(len(text)), blob.Meta{})
			if errors.Is(err, blob.ErrExist) {
				return nil
			}
			won <- text
			return err
		})
	}
	require.NoError(t, g.Wait())
	require.Len(t, won, 1, "exactly one creates")
	assert.Equal(t, <-won, get(t, s, "lock", 0, -1))
}
