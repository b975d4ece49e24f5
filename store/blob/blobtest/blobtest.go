// Package blobtest is the conformance suite of blob.Store: three lines in the test of a backend run all of it. What a
// store offers beyond (blob.Appender, blob.FileOpener, blob.Creator, blob.BulkDeleter, blob.Presigner, blob.Uploader) is
// tested when it is there.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/blob"
)

// Run runs every test on a store of its own, which open makes empty and cleans up after the test.
func Run(t *testing.T, open func(*testing.T) blob.Store) {
	tests := []struct {
		name string
		run  func(*testing.T, blob.Store)
	}{
		{"put then read back", testPutOpen},
		{"put replaces", testReplace},
		{"put refuses a body that is not as announced", testWrongSize},
		{"put of a failing reader stores nothing", testFailingReader},
		{"put stops when the context is done", testCancelled},
		{"empty object", testEmpty},
		{"ranges are cut at the end", testRanges},
		{"stat", testStat},
		{"missing objects", testMissing},
		{"delete", testDelete},
		{"an open reader survives replace and delete", testOpenReaderSurvives},
		{"list is in key order", testList},
		{"list stops at an error", testListStops},
		{"list may call the store", testListReentrant},
		{"invalid keys", testInvalidKeys},
		{"many at once", testConcurrent},
		{"delete and put side by side keep the folder", testDeletePutRace},
		{"meta is kept or left out", testMeta},
		{"a large object", testLarge},
		{"a large body that is not as announced", testLargeWrongSize},
		{"a reader of a large object never mixes two", testLargeReplaced},
		{"list goes on over pages", testListPages},
		{"delete all", testDeleteAll},
		{"create only where nothing is", testCreate},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
	if _, ok := blob.As[blob.Presigner](open(t)); ok {
		runSigned(t, open)
	}
	if _, ok := open(t).(blob.Appender); ok {
		runAppender(t, open)
	}
	if _, ok := open(t).(blob.FileOpener); ok {
		t.Run("open as a file", func(t *testing.T) { testOpenFile(t, open(t)) })
	}
}

func put(t *testing.T, s blob.Store, key, body string) {
	t.Helper()
	require.NoError(t, s.Put(t.Context(), key, strings.NewReader(body), int64(len(body)), blob.Meta{}))
}

func get(t *testing.T, s blob.Store, key string, offset, length int64) string {
	t.Helper()
	r, err := s.Open(t.Context(), key, offset, length)
	require.NoError(t, err)
	body, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return string(body)
}

func keys(t *testing.T, s blob.Store, prefix string) []string {
	t.Helper()
	var found []string
	require.NoError(t, s.List(t.Context(), prefix, func(i blob.Info) error {
		found = append(found, i.Key)
		return nil
	}))
	return found
}

func testPutOpen(t *testing.T, s blob.Store) {
	put(t, s, "live/main/seg_1_1.m4s", "hello")
	put(t, s, "live/main/seg_1_2.m4s", "world")
	assert.Equal(t, "hello", get(t, s, "live/main/seg_1_1.m4s", 0, -1))
	assert.Equal(t, "world", get(t, s, "live/main/seg_1_2.m4s", 0, -1))

	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	require.NoError(t, s.Put(t.Context(), "big", iotest.OneByteReader(bytes.NewReader(big[:1000])), 1000, blob.Meta{}))
	assert.Equal(t, string(big[:1000]), get(t, s, "big", 0, -1))
	require.NoError(t, s.Put(t.Context(), "big", bytes.NewReader(big), int64(len(big)), blob.Meta{ContentType: "video/mp4"}))
	assert.True(t, string(big) == get(t, s, "big", 0, -1))
}

func testReplace(t *testing.T, s blob.Store) {
	put(t, s, "k", "a long first body")
	put(t, s, "k", "short")
	assert.Equal(t, "short", get(t, s, "k", 0, -1))
	assert.Equal(t, []string{"k"}, keys(t, s, ""))
}

func testWrongSize(t *testing.T, s blob.Store) {
	put(t, s, "kept", "as it was")
	for _, size := range []int64{0, 3, 5, 1 << 20} {
		err := s.Put(t.Context(), "kept", strings.NewReader("four"), size, blob.Meta{})
		require.Error(t, err, "announced %d", size)
		require.Error(t, s.Put(t.Context(), "new/one", strings.NewReader("four"), size, blob.Meta{}))
	}
	require.Error(t, s.Put(t.Context(), "new/one", strings.NewReader("four"), -1, blob.Meta{}))
	assert.Equal(t, "as it was", get(t, s, "kept", 0, -1))
	assert.Equal(t, []string{"kept"}, keys(t, s, ""))
}

func testFailingReader(t *testing.T, s blob.Store) {
	broken := errors.New("broken")
	body := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken))
	require.ErrorIs(t, s.Put(t.Context(), "k", body, 8, blob.Meta{}), broken)
	assert.Empty(t, keys(t, s, ""))
}

func testCancelled(t *testing.T, s blob.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	body := io.MultiReader(strings.NewReader("half"), readerFunc(func([]byte) (int, error) {
		cancel()
		return 0, nil
	}), strings.NewReader("half"))
	require.Error(t, s.Put(ctx, "k", body, 8, blob.Meta{}))
	assert.Empty(t, keys(t, s, ""))
	_, err := s.Open(ctx, "k", 0, -1)
	require.Error(t, err)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) {
	if n, err := f(p); n > 0 || err != nil {
		return n, err
	}
	return 0, io.EOF
}

func testEmpty(t *testing.T, s blob.Store) {
	put(t, s, "empty", "")
	assert.Empty(t, get(t, s, "empty", 0, -1))
	info, err := s.Stat(t.Context(), "empty")
	require.NoError(t, err)
	assert.Zero(t, info.Size)
}

func testRanges(t *testing.T, s blob.Store) {
	put(t, s, "k", "0123456789")
	cases := []struct {
		offset, length int64
		want           string
	}{
		{0, -1, "0123456789"}, {0, 10, "0123456789"}, {3, 4, "3456"}, {3, -1, "3456789"}, {8, 100, "89"},
		{0, 0, ""}, {10, -1, ""}, {11, 5, ""}, {1 << 40, -1, ""}, {5, 1<<63 - 1, "56789"},
	}
	for _, c := range cases {
		assert.Equal(t, c.want, get(t, s, "k", c.offset, c.length), "%d+%d", c.offset, c.length)
	}
	for _, c := range [][2]int64{{-1, -1}, {0, -2}} {
		_, err := s.Open(t.Context(), "k", c[0], c[1])
		require.Error(t, err, "%v", c)
	}
}

func testStat(t *testing.T, s blob.Store) {
	put(t, s, "a/b", "12345")
	info, err := s.Stat(t.Context(), "a/b")
	require.NoError(t, err)
	assert.Equal(t, "a/b", info.Key)
	assert.Equal(t, int64(5), info.Size)
	assert.False(t, info.Modified.IsZero())
}

func testMissing(t *testing.T, s blob.Store) {
	put(t, s, "a/b", "x")
	for _, key := range []string{"none", "a/c", "a", "a/b/c", "b/a"} {
		_, err := s.Open(t.Context(), key, 0, -1)
		require.ErrorIs(t, err, blob.ErrNotExist, key)
		_, err = s.Stat(t.Context(), key)
		require.ErrorIs(t, err, blob.ErrNotExist, key)
		require.NoError(t, s.Delete(t.Context(), key), key)
	}
	assert.Equal(t, []string{"a/b"}, keys(t, s, ""), "deleting what is not there removes nothing")
}

func testDelete(t *testing.T, s blob.Store) {
	put(t, s, "a/b/c/d", "1")
	put(t, s, "a/e", "2")
	require.NoError(t, s.Delete(t.Context(), "a/b/c/d"))
	require.NoError(t, s.Delete(t.Context(), "a/b/c/d"))
	_, err := s.Open(t.Context(), "a/b/c/d", 0, -1)
	require.ErrorIs(t, err, blob.ErrNotExist)
	assert.Equal(t, []string{"a/e"}, keys(t, s, ""))
	put(t, s, "a/b", "what was a folder may become an object once it is empty")
	assert.Equal(t, []string{"a/b", "a/e"}, keys(t, s, "a/"))
}

func testOpenReaderSurvives(t *testing.T, s blob.Store) {
	put(t, s, "k", "the first body")
	replaced, err := s.Open(t.Context(), "k", 4, -1)
	require.NoError(t, err)
	put(t, s, "k", "another, longer second body")
	deleted, err := s.Open(t.Context(), "k", 0, -1)
	require.NoError(t, err)
	require.NoError(t, s.Delete(t.Context(), "k"))
	for want, r := range map[string]io.ReadCloser{"first body": replaced, "another, longer second body": deleted} {
		body, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		assert.Equal(t, want, string(body))
	}
}

func testList(t *testing.T, s blob.Store) {
	all := []string{"a-b", "a.b", "a/0", "a/b-c", "a/b/c", "a/b/d/e", "a/bc", "a0", "b", "live/x"}
	for _, key := range slices.Backward(all) {
		put(t, s, key, key)
	}
	slices.Sort(all)
	cases := map[string][]string{
		"":         all,
		"a":        {"a-b", "a.b", "a/0", "a/b-c", "a/b/c", "a/b/d/e", "a/bc", "a0"},
		"a/":       {"a/0", "a/b-c", "a/b/c", "a/b/d/e", "a/bc"},
		"a/b":      {"a/b-c", "a/b/c", "a/b/d/e", "a/bc"},
		"a/b/":     {"a/b/c", "a/b/d/e"},
		"a/b/d/e":  {"a/b/d/e"},
		"a/b/d/ef": nil,
		"b/":       nil,
		"c":        nil,
		"../":      nil,
		"/":        nil,
		"a//":      nil,
		"~tmp":     nil,
	}
	for prefix, want := range cases {
		assert.Equal(t, want, keys(t, s, prefix), "prefix %q", prefix)
	}
	require.NoError(t, s.List(t.Context(), "live/", func(i blob.Info) error {
		assert.Equal(t, int64(len("live/x")), i.Size)
		assert.False(t, i.Modified.IsZero())
		return nil
	}))
}

func testListStops(t *testing.T, s blob.Store) {
	for i := range 5 {
		put(t, s, fmt.Sprintf("d/%d", i), "x")
	}
	stop := errors.New("enough")
	seen := 0
	err := s.List(t.Context(), "d/", func(blob.Info) error {
		if seen++; seen == 2 {
			return stop
		}
		return nil
	})
	require.ErrorIs(t, err, stop)
	assert.Equal(t, 2, seen)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.List(ctx, "d/", func(blob.Info) error { return nil }), context.Canceled)
}

func testListReentrant(t *testing.T, s blob.Store) {
	for i := range 5 {
		put(t, s, fmt.Sprintf("d/%d", i), "x")
	}
	require.NoError(t, s.List(t.Context(), "d/", func(i blob.Info) error { return s.Delete(t.Context(), i.Key) }))
	assert.Empty(t, keys(t, s, ""))
}

func testInvalidKeys(t *testing.T, s blob.Store) {
	for _, key := range []string{"", "/a", "a/", "../a", "a/../../b", "a//b", ".", "a\x00", "~tmp/x", strings.Repeat("k", 513)} {
		_, err := s.Open(t.Context(), key, 0, -1)
		require.ErrorIs(t, err, blob.ErrKey, "%q", key)
		_, err = s.Stat(t.Context(), key)
		require.ErrorIs(t, err, blob.ErrKey, "%q", key)
		require.ErrorIs(t, s.Put(t.Context(), key, strings.NewReader(""), 0, blob.Meta{}), blob.ErrKey, "%q", key)
		require.ErrorIs(t, s.Delete(t.Context(), key), blob.ErrKey, "%q", key)
	}
}

func testConcurrent(t *testing.T, s blob.Store) {
	const writers, objects = 8, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range objects {
				body := strings.Repeat(fmt.Sprint(w), 1000)
				assert.NoError(t, s.Put(t.Context(), fmt.Sprintf("shared/%d", i), strings.NewReader(body), 1000, blob.Meta{}))
				r, err := s.Open(t.Context(), fmt.Sprintf("shared/%d", i), 0, -1)
				if !assert.NoError(t, err) {
					return
				}
				got, err := io.ReadAll(r)
				assert.NoError(t, errors.Join(err, r.Close()))
				assert.Len(t, got, 1000)
				assert.Equal(t, 1000, strings.Count(string(got), string(got[:1])), "an object appears whole")
			}
		})
	}
	wg.Wait()
	assert.Len(t, keys(t, s, "shared/"), objects)
}

func testDeletePutRace(t *testing.T, s blob.Store) {
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			key := fmt.Sprintf("a/b/c/%d", w)
			for range 50 {
				assert.NoError(t, s.Put(t.Context(), key, strings.NewReader("x"), 1, blob.Meta{}))
				_, err := s.Stat(t.Context(), key)
				assert.NoError(t, err)
				assert.NoError(t, s.Delete(t.Context(), key))
			}
		})
	}
	wg.Wait()
	assert.Empty(t, keys(t, s, ""))
}

func testOpenFile(t *testing.T, s blob.Store) {
	put(t, s, "d/k", "0123456789")
	o := s.(blob.FileOpener)
	f, err := o.OpenFile("d/k")
	require.NoError(t, err)
	_, err = f.Seek(4, io.SeekStart)
	require.NoError(t, err)
	put(t, s, "d/k", "replaced")
	body, err := io.ReadAll(f)
	require.NoError(t, err)
	assert.Equal(t, "456789", string(body))
	p := make([]byte, 3)
	n, err := f.ReadAt(p, 7)
	assert.Equal(t, 3, n)
	assert.True(t, err == nil || errors.Is(err, io.EOF))
	assert.Equal(t, "789", string(p))
	require.NoError(t, f.Close())

	for _, key := range []string{"d", "none", "d/k/x"} {
		_, err = o.OpenFile(key)
		require.ErrorIs(t, err, blob.ErrNotExist, key)
	}
	_, err = o.OpenFile("../x")
	require.ErrorIs(t, err, blob.ErrKey)
}
