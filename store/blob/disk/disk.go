// Package disk keeps objects as files below one folder.
//
//	Put:    root/~tmp/NNN  --write, fsync-->  rename  -->  root/KEY  --fsync of the folder
//	Append: root/KEY, grown in place by its one writer while others read
//
// The byte "~" is in no key, so what begins with it is ours: "~tmp" for objects that are being written and "~lock",
// whose shared lock every opener holds, so that only the first opener after a crash sweeps the stray files.
// No goroutine is started. dirs is held shared while a folder is made and filled, alone while empty ones are pruned.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"mediad/store/blob"
)

const (
	tempDir  = "~tmp"
	lockFile = "~lock"

	folderMode = 0o750
	fileMode   = 0o640

	// chunk is how much is copied between two looks at the context: big enough for the disk, small enough to stop soon.
	chunk = 256 << 10
)

// Store is a blob.Store, blob.Creator, blob.Appender and blob.FileOpener over a folder.
type Store struct {
	root string
	lock *os.File

	dirs sync.RWMutex

	mu      sync.Mutex // guards writers
	writers map[string]struct{}
}

var (
	_ blob.Store      = (*Store)(nil)
	_ blob.Creator    = (*Store)(nil)
	_ blob.Appender   = (*Store)(nil)
	_ blob.FileOpener = (*Store)(nil)
)

// Open makes the folder if need be and removes what an earlier process left half written.
func Open(root string) (*Store, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("blob/disk: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(root, tempDir), folderMode); err != nil {
		return nil, diskError("open", err)
	}
	lock, err := os.OpenFile(filepath.Join(root, lockFile), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, diskError("open", err)
	}
	if err := sweep(root, lock); err != nil {
		return nil, errors.Join(diskError("open", err), lock.Close())
	}
	return &Store{root: root, lock: lock, writers: map[string]struct{}{}}, nil
}

// sweep empties the temporary folder if no other process has the store open, and leaves lock held shared.
func sweep(root string, lock *os.File) error {
	fd := int(lock.Fd())
	alone := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB) == nil
	if alone {
		temp := filepath.Join(root, tempDir)
		stray, err := os.ReadDir(temp)
		if err != nil {
			return err
		}
		for _, e := range stray {
			if err := os.RemoveAll(filepath.Join(temp, e.Name())); err != nil {
				return err
			}
		}
	}
	return syscall.Flock(fd, syscall.LOCK_SH)
}

// Close gives the folder's lock back. Readers and writers that are still open go on working.
func (s *Store) Close() error { return s.lock.Close() }

// Root is the folder.
func (s *Store) Root() string { return s.root }

// Put implements blob.Store. The content type and cache header are not kept: whoever serves the file knows them.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, size int64, _ blob.Meta) error {
	return s.put(ctx, key, r, size, os.Rename)
}

// Create implements blob.Creator: a link, unlike a rename, is never made over what is there.
func (s *Store) Create(ctx context.Context, key string, r io.Reader, size int64, _ blob.Meta) error {
	return s.put(ctx, key, r, size, func(temp, path string) error {
		err := os.Link(temp, path)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%w: %s", blob.ErrExist, key)
		}
		if err != nil {
			return err
		}
		return os.Remove(temp)
	})
}

// put writes a temporary file that name then gives its place.
func (s *Store) put(ctx context.Context, key string, r io.Reader, size int64, name func(temp, path string) error) error {
	if err := blob.ValidateKey(key); err != nil {
		return err
	}
	if size < 0 {
		return fmt.Errorf("blob/disk: put: size %d", size)
	}
	temp, err := s.writeTemp(ctx, r, size)
	if err != nil {
		return diskError("put", err)
	}
	if err := s.moveIn(temp, key, name); err != nil {
		return diskError("put", errors.Join(err, removeIfThere(temp)))
	}
	return nil
}

// writeTemp stores exactly size bytes of r in a synced temporary file and returns its path.
func (s *Store) writeTemp(ctx context.Context, r io.Reader, size int64) (string, error) {
	f, err := os.CreateTemp(filepath.Join(s.root, tempDir), "put")
	if err != nil {
		return "", err
	}
	err = copyExactly(ctx, f, r, size)
	if err == nil {
		err = f.Chmod(fileMode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// copyExactly copies size bytes and fails if r holds more or fewer.
func copyExactly(ctx context.Context, w io.Writer, r io.Reader, size int64) error {
	buf := make([]byte, min(size+1, chunk))
	var copied int64
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buf)
		if copied += int64(n); copied > size {
			return fmt.Errorf("body longer than the %d bytes announced", size)
		}
		if _, werr := w.Write(buf[:n]); werr != nil {
			return werr
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if copied < size {
		return fmt.Errorf("body of %d bytes, %d announced: %w", copied, size, io.ErrUnexpectedEOF)
	}
	return nil
}

// moveIn gives the temporary file its place and makes the new name survive a crash of the machine.
func (s *Store) moveIn(temp, key string, name func(temp, path string) error) error {
	path := s.path(key)
	err := s.inFolder(path, func() error { return name(temp, path) })
	if err != nil {
		return err
	}
	return s.syncFolders(filepath.Dir(path))
}

// inFolder runs do while the folder of path exists and nobody prunes it.
func (s *Store) inFolder(path string, do func() error) error {
	s.dirs.RLock()
	defer s.dirs.RUnlock()
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return err
	}
	return do()
}

// syncFolders syncs dir and those above it up to the root: any of them may be new. A folder that was pruned meanwhile
// took the object with it, so there is nothing left to make durable.
func (s *Store) syncFolders(dir string) error {
	for ; len(dir) >= len(s.root); dir = filepath.Dir(dir) {
		d, err := os.Open(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(d.Sync(), d.Close()); err != nil {
			return err
		}
	}
	return nil
}

// Delete implements blob.Store. Folders that became empty go as well.
func (s *Store) Delete(_ context.Context, key string) error {
	if err := blob.ValidateKey(key); err != nil {
		return err
	}
	path := s.path(key)
	// Unlink, unlike os.Remove, never removes a folder.
	if err := syscall.Unlink(path); err != nil {
		if missing(err) || errors.Is(err, syscall.EISDIR) {
			return nil
		}
		return diskError("delete", err)
	}
	s.prune(filepath.Dir(path))
	return nil
}

// prune removes dir and the folders above it as long as they are empty. It stops at the first that is not.
func (s *Store) prune(dir string) {
	s.dirs.Lock()
	defer s.dirs.Unlock()
	for len(dir) > len(s.root) && syscall.Rmdir(dir) == nil {
		dir = filepath.Dir(dir)
	}
}

func (s *Store) path(key string) string { return filepath.Join(s.root, filepath.FromSlash(key)) }

// diskError adds the operation, and says ErrNotExist and ErrNoSpace in the words of the contract.
func diskError(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, blob.ErrExist):
		return fmt.Errorf("blob/disk: %s: %w", op, err)
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("blob/disk: %s: %w: %w", op, blob.ErrNoSpace, err)
	case errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.EEXIST):
		return fmt.Errorf("blob/disk: %s: %w: an object is the folder of another: %w", op, blob.ErrKey, err)
	case missing(err):
		return fmt.Errorf("blob/disk: %s: %w", op, blob.ErrNotExist)
	}
	return fmt.Errorf("blob/disk: %s: %w", op, err)
}

// missing also covers a key below an object: there is a file where its folder would be.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// ours says whether a name in the root folder belongs to the store itself.
func ours(name string) bool { return strings.HasPrefix(name, "~") }
