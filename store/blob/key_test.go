package blob_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/blob"
)

func TestValidateKey(t *testing.T) {
	good := []string{
		"a", "A-Z_0.9", "live/main/source/seg_1_2.m4s", "...", ".hidden", "a/...", "..a",
		strings.Repeat("a", 255), strings.Repeat("a/", 255) + "ab",
	}
	for _, key := range good {
		assert.NoError(t, blob.ValidateKey(key), key)
	}
	bad := []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/..", "./a", "a b", "a\x00", "a\\b", "~tmp", "ä",
		"a\n", "a:b", "%2e%2e", strings.Repeat("a", 256), strings.Repeat("a/", 256) + "a",
	}
	for _, key := range bad {
		assert.ErrorIs(t, blob.ValidateKey(key), blob.ErrKey, "%q", key)
	}
}

func FuzzValidateKey(f *testing.F) {
	for _, seed := range []string{"a/b", "../a", "a/../../b", "/etc/passwd", "a\x00b", "...", "a/./b"} {
		f.Add(seed)
	}
	root := string(filepath.Separator) + filepath.Join("srv", "blobs")
	f.Fuzz(func(t *testing.T, key string) {
		if blob.ValidateKey(key) != nil {
			return
		}
		path := filepath.Join(root, filepath.FromSlash(key))
		require.True(t, strings.HasPrefix(path, root+string(filepath.Separator)), "%q leaves the folder as %q", key, path)
		require.Equal(t, key, filepath.ToSlash(path[len(root)+1:]), "the path names another key")
	})
}

func TestCut(t *testing.T) {
	cases := []struct{ size, offset, length, wantOffset, wantLength int64 }{
		{10, 0, -1, 0, 10}, {10, 4, -1, 4, 6}, {10, 4, 3, 4, 3}, {10, 4, 100, 4, 6}, {10, 10, -1, 10, 0},
		{10, 11, 5, 10, 0}, {0, 0, -1, 0, 0}, {10, 0, 0, 0, 0}, {10, 1 << 62, 1 << 62, 10, 0}, {10, 5, 1<<63 - 1, 5, 5},
	}
	for _, c := range cases {
		offset, length := blob.Cut(c.size, c.offset, c.length)
		assert.Equal(t, c.wantOffset, offset, "%+v", c)
		assert.Equal(t, c.wantLength, length, "%+v", c)
	}
}
