// Package memory keeps objects in this process, up to a bound: for tests, and as the place of last resort when a disk
// is full.
//
// An object's bytes are never changed once written, only added to or replaced by others, so readers hold slices of them
// and need no lock. mu guards the map and the count.
package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"mediad/store/blob"
)

// DefaultMaxBytes holds a few streams for some ten seconds.
const DefaultMaxBytes = 64 << 20

// Options of New; the zero value is usable.
type Options struct {
	// MaxBytes bounds the sum of all objects; beyond it writes fail with blob.ErrNoSpace. 0: DefaultMaxBytes.
	MaxBytes int64
	// Now dates the objects. nil: time.Now.
	Now func() time.Time
}

// Store is a blob.Store, blob.Creator, blob.Appender and blob.FileOpener in memory.
type Store struct {
	maxBytes int64
	now      func() time.Time

	mu      sync.RWMutex // guards the following
	objects map[string]*object
	bytes   int64
}

// object is reached by its key until it is replaced or deleted; its writer may outlive that.
type object struct {
	data     []byte
	modified time.Time
	writing  bool
	gone     bool
}

var (
	_ blob.Store      = (*Store)(nil)
	_ blob.Creator    = (*Store)(nil)
	_ blob.Appender   = (*Store)(nil)
	_ blob.FileOpener = (*Store)(nil)
)

// New makes an empty store.
func New(o Options) *Store {
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Store{maxBytes: o.MaxBytes, now: o.Now, objects: map[string]*object{}}
}

// Put implements blob.Store; Meta is not kept.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, size int64, _ blob.Meta) error {
	return s.put(ctx, key, r, size, true)
}

// Create implements blob.Creator.
func (s *Store) Create(ctx context.Context, key string, r io.Reader, size int64, _ blob.Meta) error {
	return s.put(ctx, key, r, size, false)
}

func (s *Store) put(ctx context.Context, key string, r io.Reader, size int64, replace bool) error {
	if err := errors.Join(blob.ValidateKey(key), ctx.Err()); err != nil {
		return err
	}
	if size < 0 {
		return fmt.Errorf("blob/memory: put: size %d", size)
	}
	if size > s.maxBytes {
		return fmt.Errorf("blob/memory: put of %d bytes: %w", size, blob.ErrNoSpace)
	}
	// One byte more than announced shows a body that is too long. The buffer grows with what comes, not with what was
	// said.
	data, err := io.ReadAll(io.LimitReader(r, size+1))
	if err != nil {
		return fmt.Errorf("blob/memory: put: %w", err)
	}
	if int64(len(data)) != size {
		return fmt.Errorf("blob/memory: put: body of %d bytes or more, %d announced: %w", len(data), size, io.ErrUnexpectedEOF)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.store(key, data, replace)
}

func (s *Store) store(key string, data []byte, replace bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var replaced int64
	if old := s.objects[key]; old != nil {
		if !replace {
			return fmt.Errorf("blob/memory: create: %s: %w", key, blob.ErrExist)
		}
		replaced = int64(len(old.data))
	}
	if s.bytes-replaced+int64(len(data)) > s.maxBytes {
		return fmt.Errorf("blob/memory: put of %d bytes: %w", len(data), blob.ErrNoSpace)
	}
	s.remove(key)
	s.objects[key] = &object{data: data, modified: s.now()}
	s.bytes += int64(len(data))
	return nil
}

// remove takes the object out of the map; mu is held.
func (s *Store) remove(key string) {
	o := s.objects[key]
	if o == nil {
		return
	}
	o.gone = true
	s.bytes -= int64(len(o.data))
	delete(s.objects, key)
}

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := errors.Join(blob.ValidateKey(key), blob.ValidateRange(offset, length), ctx.Err()); err != nil {
		return nil, err
	}
	data, _, err := s.find(key)
	if err != nil {
		return nil, err
	}
	offset, length = blob.Cut(int64(len(data)), offset, length)
	return file{bytes.NewReader(data[offset : offset+length])}, nil
}

// OpenFile implements blob.FileOpener; the file is the object as it was at this moment.
func (s *Store) OpenFile(key string) (blob.File, error) {
	if err := blob.ValidateKey(key); err != nil {
		return nil, err
	}
	data, _, err := s.find(key)
	if err != nil {
		return nil, err
	}
	return file{bytes.NewReader(data)}, nil
}

type file struct{ *bytes.Reader }

func (file) Close() error { return nil }

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	if err := errors.Join(blob.ValidateKey(key), ctx.Err()); err != nil {
		return blob.Info{}, err
	}
	data, modified, err := s.find(key)
	if err != nil {
		return blob.Info{}, err
	}
	return blob.Info{Key: key, Size: int64(len(data)), Modified: modified}, nil
}

func (s *Store) find(key string) ([]byte, time.Time, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	o := s.objects[key]
	if o == nil {
		return nil, time.Time{}, fmt.Errorf("blob/memory: %s: %w", key, blob.ErrNotExist)
	}
	return o.data, o.modified, nil
}

// List implements blob.Store over the objects that are there when it is called; fn may call the store.
func (s *Store) List(ctx context.Context, prefix string, fn func(blob.Info) error) error {
	for _, info := range s.match(prefix) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(info); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) match(prefix string) []blob.Info {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []blob.Info
	for key, o := range s.objects {
		if strings.HasPrefix(key, prefix) {
			found = append(found, blob.Info{Key: key, Size: int64(len(o.data)), Modified: o.modified})
		}
	}
	slices.SortFunc(found, func(a, b blob.Info) int { return strings.Compare(a.Key, b.Key) })
	return found
}

// Delete implements blob.Store.
func (s *Store) Delete(_ context.Context, key string) error {
	if err := blob.ValidateKey(key); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(key)
	return nil
}

// Bytes is the sum of all objects.
func (s *Store) Bytes() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.bytes
}
