package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"mediad/store/blob"
)

// Append implements blob.Appender. A second writer of the same key in this process is refused until the first closed.
func (s *Store) Append(ctx context.Context, key string, truncate int64) (blob.AppendFile, error) {
	if err := errors.Join(blob.ValidateKey(key), ctx.Err()); err != nil {
		return nil, err
	}
	if truncate < -1 {
		return nil, fmt.Errorf("blob/disk: append: truncate to %d", truncate)
	}
	if !s.claim(key) {
		return nil, fmt.Errorf("blob/disk: append: %s has a writer already", key)
	}
	a, err := s.openAppend(key, truncate)
	if err != nil {
		s.release(key)
		return nil, diskError("append", err)
	}
	return a, nil
}

func (s *Store) openAppend(key string, truncate int64) (*appendFile, error) {
	path := s.path(key)
	var f *os.File
	err := s.inFolder(path, func() (err error) {
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode)
		return err
	})
	if err != nil {
		return nil, err
	}
	a := &appendFile{store: s, key: key, file: f}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: not a file", blob.ErrKey)
	}
	if err == nil {
		size := info.Size()
		if truncate >= 0 && truncate < size {
			size = truncate
			err = f.Truncate(size)
		}
		a.size.Store(size)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return a, nil
}

func (s *Store) claim(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.writers[key]; taken {
		return false
	}
	s.writers[key] = struct{}{}
	return true
}

func (s *Store) release(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.writers, key)
}

// appendFile has one goroutine that writes and any number that read.
type appendFile struct {
	store  *Store
	key    string
	file   *os.File
	size   atomic.Int64
	named  atomic.Bool // the name is known to survive a crash of the machine
	closed atomic.Bool
}

// Write adds all of p or nothing: after a failure the object is cut back to what it was.
func (a *appendFile) Write(p []byte) (int, error) {
	size := a.size.Load()
	n, err := a.file.WriteAt(p, size)
	if err != nil {
		// Should the cut fail too, the rest lies beyond Size and the next Write covers it.
		return 0, diskError("append", errors.Join(err, a.cut(n, size)))
	}
	a.size.Store(size + int64(n))
	return n, nil
}

func (a *appendFile) cut(written int, size int64) error {
	if written == 0 {
		return nil
	}
	return a.file.Truncate(size)
}

// ReadAt reads what has been written; an end of file is io.EOF as usual.
func (a *appendFile) ReadAt(p []byte, off int64) (int, error) { return a.file.ReadAt(p, off) }

func (a *appendFile) Size() int64 { return a.size.Load() }

// Sync also syncs the folders the first time, since the file itself may be new.
func (a *appendFile) Sync() error {
	if err := a.file.Sync(); err != nil {
		return diskError("sync", err)
	}
	if a.named.Load() {
		return nil
	}
	if err := a.store.syncFolders(filepath.Dir(a.file.Name())); err != nil {
		return diskError("sync", err)
	}
	a.named.Store(true)
	return nil
}

// Close may be called twice.
func (a *appendFile) Close() error {
	if a.closed.Swap(true) {
		return nil
	}
	defer a.store.release(a.key)
	return diskError("close", a.file.Close())
}
