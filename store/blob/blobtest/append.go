package blobtest

import (
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/blob"
)

func runAppender(t *testing.T, open func(*testing.T) blob.Store) {
	tests := []struct {
		name string
		run  func(*testing.T, blob.Store)
	}{
		{"append grows and is read at once", testAppendGrows},
		{"append goes on where it ended", testAppendAgain},
		{"append cuts first", testAppendTruncates},
		{"append has one writer a key", testAppendOneWriter},
		{"append of invalid keys", testAppendInvalid},
		{"append while others read", testAppendReaders},
		{"append outlives its name", testAppendDeleted},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func appendTo(t *testing.T, s blob.Store, key string, truncate int64) blob.AppendFile {
	t.Helper()
	f, err := s.(blob.Appender).Append(t.Context(), key, truncate)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, f.Close()) })
	return f
}

func write(t *testing.T, f io.Writer, body string) {
	t.Helper()
	n, err := f.Write([]byte(body))
	require.NoError(t, err)
	require.Equal(t, len(body), n)
}

func testAppendGrows(t *testing.T, s blob.Store) {
	f := appendTo(t, s, "live/main/source", -1)
	assert.Zero(t, f.Size())
	write(t, f, "first")
	assert.Equal(t, "first", get(t, s, "live/main/source", 0, -1))
	early, err := s.Open(t.Context(), "live/main/source", 0, -1)
	require.NoError(t, err)
	write(t, f, " second")
	assert.Equal(t, int64(12), f.Size())
	assert.Equal(t, "second", get(t, s, "live/main/source", 6, -1))
	info, err := s.Stat(t.Context(), "live/main/source")
	require.NoError(t, err)
	assert.Equal(t, int64(12), info.Size)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Sync())

	p := make([]byte, 6)
	n, err := f.ReadAt(p, 6)
	require.NoError(t, err)
	assert.Equal(t, "second", string(p[:n]))
	n, err = f.ReadAt(p, 10)
	require.ErrorIs(t, err, io.EOF)
	assert.Equal(t, 2, n)

	body, err := io.ReadAll(early)
	require.NoError(t, err)
	require.NoError(t, early.Close())
	assert.Equal(t, "first", string(body), "a reader keeps the length it was opened with")
}

func testAppendAgain(t *testing.T, s blob.Store) {
	f := appendTo(t, s, "k", -1)
	write(t, f, "one")
	require.NoError(t, f.Close())
	require.NoError(t, f.Close())
	again := appendTo(t, s, "k", -1)
	assert.Equal(t, int64(3), again.Size())
	write(t, again, "two")
	assert.Equal(t, "onetwo", get(t, s, "k", 0, -1))
	assert.Equal(t, []string{"k"}, keys(t, s, ""))
}

func testAppendTruncates(t *testing.T, s blob.Store) {
	f := appendTo(t, s, "k", 0)
	write(t, f, "0123456789")
	require.NoError(t, f.Close())
	held, err := s.Open(t.Context(), "k", 0, 3)
	require.NoError(t, err)
	for _, c := range []struct{ truncate, size int64 }{{100, 10}, {10, 10}, {4, 4}} {
		cut := appendTo(t, s, "k", c.truncate)
		assert.Equal(t, c.size, cut.Size())
		require.NoError(t, cut.Close())
	}
	last := appendTo(t, s, "k", -1)
	write(t, last, "xy")
	assert.Equal(t, "0123xy", get(t, s, "k", 0, -1))
	body, err := io.ReadAll(held)
	require.NoError(t, err)
	require.NoError(t, held.Close())
	assert.Equal(t, "012", string(body))
	require.NoError(t, last.Close())
	emptied := appendTo(t, s, "k", 0)
	assert.Zero(t, emptied.Size())
}

func testAppendOneWriter(t *testing.T, s blob.Store) {
	f := appendTo(t, s, "k", -1)
	_, err := s.(blob.Appender).Append(t.Context(), "k", -1)
	require.Error(t, err)
	appendTo(t, s, "other", -1)
	require.NoError(t, f.Close())
	appendTo(t, s, "k", -1)
}

func testAppendInvalid(t *testing.T, s blob.Store) {
	a := s.(blob.Appender)
	for _, key := range []string{"", "../a", "/a", "a//b", "~lock"} {
		_, err := a.Append(t.Context(), key, -1)
		require.ErrorIs(t, err, blob.ErrKey, "%q", key)
	}
	_, err := a.Append(t.Context(), "k", -2)
	require.Error(t, err)
}

func testAppendReaders(t *testing.T, s blob.Store) {
	const rounds = 200
	line := strings.Repeat("x", 99) + "\n"
	f := appendTo(t, s, "k", -1)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for running := true; running; {
				select {
				case <-done:
					running = false
				default:
				}
				size := f.Size()
				r, err := s.Open(t.Context(), "k", 0, size)
				if !assert.NoError(t, err) {
					return
				}
				body, err := io.ReadAll(r)
				assert.NoError(t, err)
				assert.NoError(t, r.Close())
				assert.Equal(t, int(size), len(body), "what Size has told is there")
				assert.Equal(t, strings.Repeat(line, len(body)/len(line)), string(body))
			}
		})
	}
	for range rounds {
		write(t, f, line)
	}
	close(done)
	wg.Wait()
	assert.Equal(t, int64(rounds*len(line)), f.Size())
}

func testAppendDeleted(t *testing.T, s blob.Store) {
	f := appendTo(t, s, "k", -1)
	write(t, f, "abc")
	require.NoError(t, s.Delete(t.Context(), "k"))
	write(t, f, "def")
	p := make([]byte, 6)
	_, err := f.ReadAt(p, 0)
	require.NoError(t, err)
	assert.Equal(t, "abcdef", string(p))
	_, err = s.Stat(t.Context(), "k")
	require.ErrorIs(t, err, blob.ErrNotExist)
}
