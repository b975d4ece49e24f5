package disk

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"mediad/store/blob"
)

// Open implements blob.Store. An open file outlives its name, so the reader is not disturbed by a later Put or Delete.
func (s *Store) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := errors.Join(blob.ValidateKey(key), blob.ValidateRange(offset, length), ctx.Err()); err != nil {
		return nil, err
	}
	f, info, err := s.openObject(key)
	if err != nil {
		return nil, readError("open", err)
	}
	offset, length = blob.Cut(info.Size(), offset, length)
	return &reader{SectionReader: io.NewSectionReader(f, offset, length), Closer: f}, nil
}

type reader struct {
	*io.SectionReader
	io.Closer
}

// OpenFile implements blob.FileOpener with an *os.File, which the kernel can send without a copy.
func (s *Store) OpenFile(key string) (blob.File, error) {
	if err := blob.ValidateKey(key); err != nil {
		return nil, err
	}
	f, _, err := s.openObject(key)
	if err != nil {
		return nil, readError("open", err)
	}
	return f, nil
}

func (s *Store) openObject(key string) (*os.File, fs.FileInfo, error) {
	f, err := os.Open(s.path(key))
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist // a folder, or something nobody put here
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	if err := errors.Join(blob.ValidateKey(key), ctx.Err()); err != nil {
		return blob.Info{}, err
	}
	info, err := os.Lstat(s.path(key))
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return blob.Info{}, readError("stat", err)
	}
	return describe(key, info), nil
}

// readError is diskError for those who ask for what is there: a key below an object holds no object.
func readError(op string, err error) error {
	if missing(err) {
		err = fs.ErrNotExist
	}
	return diskError(op, err)
}

func describe(key string, info fs.FileInfo) blob.Info {
	return blob.Info{Key: key, Size: info.Size(), Modified: info.ModTime()}
}

// List implements blob.Store. One folder's names are in memory at a time, for each level.
func (s *Store) List(ctx context.Context, prefix string, fn func(blob.Info) error) error {
	i := strings.LastIndexByte(prefix, '/')
	if i < 0 {
		return s.walk(ctx, "", prefix, fn)
	}
	if blob.ValidateKey(prefix[:i]) == nil {
		return s.walk(ctx, prefix[:i+1], prefix, fn)
	}
	return nil // no object's key begins like that
}

// walk lists the folder whose keys begin with dir ("" or ending in a slash).
func (s *Store) walk(ctx context.Context, dir, prefix string, fn func(blob.Info) error) error {
	entries, err := os.ReadDir(s.path(dir))
	if missing(err) {
		return nil
	}
	if err != nil {
		return diskError("list", err)
	}
	// Key order is byte order of the whole key: "a-b" comes before "a/b" and that before "a0", so a folder is compared
	// with its slash.
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(slashed(a), slashed(b)) })
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		key := dir + slashed(e)
		switch {
		case dir == "" && ours(e.Name()):
			continue
		case e.IsDir():
			if strings.HasPrefix(key, prefix) || strings.HasPrefix(prefix, key) {
				err = s.walk(ctx, key, prefix, fn)
			}
		case e.Type().IsRegular() && strings.HasPrefix(key, prefix):
			err = s.visit(e, key, fn)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// visit skips an object that was deleted since its name was read.
func (s *Store) visit(e fs.DirEntry, key string, fn func(blob.Info) error) error {
	info, err := e.Info()
	if missing(err) {
		return nil
	}
	if err != nil {
		return diskError("list", err)
	}
	return fn(describe(key, info))
}

func slashed(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}
