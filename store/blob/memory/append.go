package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"mediad/store/blob"
)

// Append implements blob.Appender.
func (s *Store) Append(ctx context.Context, key string, truncate int64) (blob.AppendFile, error) {
	if err := errors.Join(blob.ValidateKey(key), ctx.Err()); err != nil {
		return nil, err
	}
	if truncate < -1 {
		return nil, fmt.Errorf("blob/memory: append: truncate to %d", truncate)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[key]
	if o == nil {
		o = &object{modified: s.now()}
		s.objects[key] = o
	}
	if o.writing {
		return nil, fmt.Errorf("blob/memory: append: %s has a writer already", key)
	}
	o.writing = true
	if truncate >= 0 && truncate < int64(len(o.data)) {
		s.bytes -= int64(len(o.data)) - truncate
		// A copy: what is cut off may still be read by someone, and the next Write must not change it.
		o.data = bytes.Clone(o.data[:truncate])
	}
	return &appendFile{store: s, object: o}, nil
}

type appendFile struct {
	store  *Store
	object *object
	closed bool // guarded by store.mu
}

func (a *appendFile) Write(p []byte) (int, error) {
	s := a.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.closed {
		return 0, fmt.Errorf("blob/memory: append: %w", fs.ErrClosed)
	}
	// An object that was replaced or deleted is still written to, as a file without a name is, but no longer counted.
	if !a.object.gone {
		if s.bytes+int64(len(p)) > s.maxBytes {
			return 0, fmt.Errorf("blob/memory: append of %d bytes: %w", len(p), blob.ErrNoSpace)
		}
		s.bytes += int64(len(p))
	}
	a.object.data = append(a.object.data, p...)
	a.object.modified = s.now()
	return len(p), nil
}

func (a *appendFile) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(a.bytes()).ReadAt(p, off)
}

func (a *appendFile) Size() int64 { return int64(len(a.bytes())) }

func (a *appendFile) bytes() []byte {
	a.store.mu.RLock()
	defer a.store.mu.RUnlock()
	return a.object.data
}

// Sync does nothing: memory does not survive.
func (a *appendFile) Sync() error { return nil }

// Close may be called twice.
func (a *appendFile) Close() error {
	a.store.mu.Lock()
	defer a.store.mu.Unlock()
	if !a.closed {
		a.closed = true
		a.object.writing = false
	}
	return nil
}
