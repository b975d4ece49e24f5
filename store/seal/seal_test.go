package seal_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/seal"
)

func master(b byte) []byte { return bytes.Repeat([]byte{b}, seal.MinKey) }

func ring(t *testing.T, masters ...[]byte) *seal.Ring {
	t.Helper()
	r, err := seal.New(masters...)
	require.NoError(t, err)
	return r
}

func TestSealAndOpen(t *testing.T) {
	r := ring(t, master(1))
	for _, plain := range []string{"", "anna@example.com", strings.Repeat("ü", 1000)} {
		sealed := r.Seal("users.email 1", plain)
		got, err := r.Open("users.email 1", sealed)
		require.NoError(t, err)
		assert.Equal(t, plain, got)
		assert.NotEqual(t, sealed, r.Seal("users.email 1", plain), "each with a nonce of its own")
		if plain != "" {
			assert.NotContains(t, sealed, plain)
		}
	}
}

func TestAlteredOrMovedIsRefused(t *testing.T) {
	r := ring(t, master(1))
	sealed := r.Seal("users.email 1", "anna@example.com")
	_, err := r.Open("users.email 2", sealed)
	require.ErrorIs(t, err, seal.ErrSealed, "of another row")
	for i := range sealed {
		altered := []byte(sealed)
		altered[i] ^= 4
		_, err := r.Open("users.email 1", string(altered))
		require.Error(t, err, "byte %d", i)
	}
	for _, junk := range []string{"", "v1.", "v1.x", "plain@example.com", "v2" + sealed[2:], strings.Repeat("x", 100_000), sealed[:14]} {
		_, err := r.Open("users.email 1", junk)
		require.Error(t, err, junk)
	}
	_, err = ring(t, master(2)).Open("users.email 1", sealed)
	require.ErrorIs(t, err, seal.ErrKey)
}

func TestRotation(t *testing.T) {
	before, after := ring(t, master(1)), ring(t, master(2), master(1))
	old := before.Seal("p", "secret")
	got, err := after.Open("p", old)
	require.NoError(t, err)
	assert.Equal(t, "secret", got)
	assert.True(t, before.Newest(old))
	assert.False(t, after.Newest(old))
	assert.True(t, after.Newest(after.Seal("p", "secret")))
	_, err = before.Open("p", after.Seal("p", "secret"))
	require.ErrorIs(t, err, seal.ErrKey, "the newest seals")

	assert.Equal(t, []string{after.Index("p", "x"), before.Index("p", "x")}, after.Indexes("p", "x"))
	assert.False(t, after.Newest(before.Index("p", "x")))
	assert.Equal(t, before.Derive("p", "x")[0], after.Derive("p", "x")[1])
}

func TestIndexesTellNothingTogether(t *testing.T) {
	r := ring(t, master(1))
	assert.Equal(t, r.Index("p", "x"), r.Index("p", "x"))
	seen := map[string]bool{}
	for _, c := range [][2]string{{"p", "x"}, {"p", "y"}, {"q", "x"}, {"px", ""}, {"", "px"}} {
		seen[r.Index(c[0], c[1])] = true
		seen[string(r.Derive(c[0], c[1])[0])] = true
	}
	assert.Len(t, seen, 10)
}

func TestKeysAreLongEnough(t *testing.T) {
	_, err := seal.New()
	require.Error(t, err)
	_, err = seal.New(master(1), []byte("short"))
	require.Error(t, err)
	_, err = seal.Load("short", t.TempDir())
	require.Error(t, err)
}

func TestFileIsMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secrets")
	var wg sync.WaitGroup
	rings := make([]*seal.Ring, 8)
	for i := range rings {
		wg.Go(func() {
			r, err := seal.Load("", dir)
			assert.NoError(t, err)
			rings[i] = r
		})
	}
	wg.Wait()
	for _, r := range rings[1:] {
		assert.Equal(t, rings[0].Index("p", "x"), r.Index("p", "x"))
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	info, err := entries[0].Info()
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestKeysOfFileAndConfigurationTogether(t *testing.T) {
	dir := t.TempDir()
	first, err := seal.Load("", dir)
	require.NoError(t, err)
	old := first.Seal("p", "secret")

	// A line put in front rotates.
	path := filepath.Join(dir, seal.File)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	line := base64.StdEncoding.EncodeToString(master(7)) + "\n"
	require.NoError(t, os.WriteFile(path, append([]byte(line), text...), 0o600))
	second, err := seal.Load("", dir)
	require.NoError(t, err)
	assert.Equal(t, ring(t, master(7)).Index("p", "x"), second.Index("p", "x"))

	// A key of the configuration seals, and those of the file still open.
	third, err := seal.Load(strings.Repeat("n", 32)+", "+strings.Repeat("o", 40), dir)
	require.NoError(t, err)
	for _, r := range []*seal.Ring{second, third} {
		got, err := r.Open("p", old)
		require.NoError(t, err)
		assert.Equal(t, "secret", got)
	}
	assert.Len(t, third.Indexes("p", "x"), 4)

	require.NoError(t, os.WriteFile(path, []byte("\n"), 0o600))
	_, err = seal.Load("", dir)
	require.ErrorContains(t, err, "has no key")
	require.NoError(t, os.WriteFile(path, []byte("no base64!\n"), 0o600))
	_, err = seal.Load("", dir)
	require.ErrorContains(t, err, "line 1")
}

func TestKeysAreKnownByTheirIDs(t *testing.T) {
	r := ring(t, master(1), master(2))
	id := seal.KeyID(ring(t, master(2)).Seal("p", "x"))
	assert.True(t, r.Has(id))
	assert.False(t, ring(t, master(1)).Has(id))
	for _, text := range []string{"", "plain", "v1.", "v2.x.y"} {
		assert.Empty(t, seal.KeyID(text), text)
	}
}
