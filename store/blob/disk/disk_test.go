package disk

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"mediad/store/blob"
	"mediad/store/blob/blobtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, root string) *Store {
	t.Helper()
	s, err := Open(root)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func put(t *testing.T, s *Store, key, body string) error {
	t.Helper()
	return s.Put(t.Context(), key, strings.NewReader(body), int64(len(body)), blob.Meta{})
}

func TestConformance(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store {
		return open(t, filepath.Join(t.TempDir(), "not", "there", "yet"))
	})
}

func TestOpenSweepsStrayFiles(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, tempDir, "sub"), 0o750))
	require.NoError(t, os.WriteFile(filepath.Join(root, tempDir, "put123"), []byte("half"), 0o640))
	s := open(t, root)
	left, err := os.ReadDir(filepath.Join(root, tempDir))
	require.NoError(t, err)
	assert.Empty(t, left)
	require.NoError(t, put(t, s, "a", "x"))

	// A second process must not take away what the first is writing.
	require.NoError(t, os.WriteFile(filepath.Join(root, tempDir, "put456"), []byte("half"), 0o640))
	open(t, root)
	left, err = os.ReadDir(filepath.Join(root, tempDir))
	require.NoError(t, err)
	assert.Len(t, left, 1)
}

func TestEmptyFoldersArePruned(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	require.NoError(t, put(t, s, "a/b/c/d", "x"))
	require.NoError(t, put(t, s, "a/e", "x"))
	require.NoError(t, s.Delete(t.Context(), "a/b/c/d"))
	assert.NoDirExists(t, filepath.Join(root, "a", "b"))
	assert.DirExists(t, filepath.Join(root, "a"))
	require.NoError(t, s.Delete(t.Context(), "a/e"))
	assert.NoDirExists(t, filepath.Join(root, "a"))
	assert.DirExists(t, root)
	require.NoError(t, s.Delete(t.Context(), "a"))
}

func TestObjectIsNoFolder(t *testing.T) {
	s := open(t, t.TempDir())
	require.NoError(t, put(t, s, "a", "x"))
	require.ErrorIs(t, put(t, s, "a/b", "x"), blob.ErrKey)
	require.NoError(t, put(t, s, "d/e", "x"))
	require.ErrorIs(t, put(t, s, "d", "x"), blob.ErrKey)
	_, err := s.Append(t.Context(), "d", -1)
	require.ErrorIs(t, err, blob.ErrKey)
	require.NoError(t, s.Delete(t.Context(), "d"))
	_, err = s.Stat(t.Context(), "d/e")
	require.NoError(t, err, "deleting a folder's name deletes nothing")
	left, err := os.ReadDir(filepath.Join(s.Root(), tempDir))
	require.NoError(t, err)
	assert.Empty(t, left, "a refused put leaves no temporary file")
}

func TestForeignFilesAreNoObjects(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("s"), 0o600))
	require.NoError(t, os.Symlink(secret, filepath.Join(root, "link")))
	_, err := s.Stat(t.Context(), "link")
	require.ErrorIs(t, err, blob.ErrNotExist)
	require.NoError(t, s.List(t.Context(), "", func(i blob.Info) error {
		t.Errorf("listed %s", i.Key)
		return nil
	}))
}

func TestFullDiskIsNoSpace(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT} {
		err := diskError("put", &fs.PathError{Op: "write", Path: "/x", Err: errno})
		require.ErrorIs(t, err, blob.ErrNoSpace)
	}
	require.NotErrorIs(t, diskError("put", syscall.EIO), blob.ErrNoSpace)
	require.NoError(t, diskError("put", nil))

	// /dev/full answers every write as a full disk does.
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	require.NoError(t, err)
	s := open(t, t.TempDir())
	a := &appendFile{store: s, key: "k", file: full}
	_, err = a.Write([]byte("abc"))
	require.ErrorIs(t, err, blob.ErrNoSpace)
	assert.Zero(t, a.Size())
	require.NoError(t, a.Close())
	require.ErrorIs(t, diskError("put", copyExactly(t.Context(), fullWriter{}, strings.NewReader("abc"), 3)), blob.ErrNoSpace)
}

type fullWriter struct{}

func (fullWriter) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestWritesAreThereAfterTheProcess(t *testing.T) {
	root := t.TempDir()
	first, err := Open(root)
	require.NoError(t, err)
	f, err := first.Append(t.Context(), "live/k", -1)
	require.NoError(t, err)
	_, err = f.Write([]byte("kept"))
	require.NoError(t, err)
	// No Sync and no Close: as after kill -9.
	second := open(t, root)
	r, err := second.Open(t.Context(), "live/k", 0, -1)
	require.NoError(t, err)
	p := make([]byte, 10)
	n, err := r.Read(p)
	require.NoError(t, err)
	assert.Equal(t, "kept", string(p[:n]))
	require.NoError(t, r.Close())
	require.NoError(t, f.Close())
	require.NoError(t, first.Close())
}
