package blob

import (
	"context"
	"errors"
	"io"
	"sync"
)

// Limit bounds how many requests s has at once; more wait for their turn or for the end of their context. An opened
// reader counts until it is closed or read to its end. List does not count: it stands still while its callback works
// with the store. n is at least 1.
func Limit(s Store, n int) Store { return &limited{Store: s, slots: make(chan struct{}, max(n, 1))} }

// limited holds one token in slots (its capacity is the bound) for every request under way.
type limited struct {
	Store
	slots chan struct{}
}

var (
	_ Store       = (*limited)(nil)
	_ Unwrapper   = (*limited)(nil)
	_ Creator     = (*limited)(nil)
	_ BulkDeleter = (*limited)(nil)
)

func (l *limited) Unwrap() Store { return l.Store }

func (l *limited) take(ctx context.Context) error {
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *limited) give() { <-l.slots }

// do runs one request in a slot.
func (l *limited) do(ctx context.Context, request func() error) error {
	if err := l.take(ctx); err != nil {
		return err
	}
	defer l.give()
	return request()
}

func (l *limited) Put(ctx context.Context, key string, r io.Reader, size int64, m Meta) error {
	return l.do(ctx, func() error { return l.Store.Put(ctx, key, r, size, m) })
}

func (l *limited) Create(ctx context.Context, key string, r io.Reader, size int64, m Meta) error {
	return l.do(ctx, func() error { return Create(ctx, l.Store, key, r, size, m) })
}

func (l *limited) Stat(ctx context.Context, key string) (info Info, err error) {
	err = l.do(ctx, func() error {
		info, err = l.Store.Stat(ctx, key)
		return err
	})
	return info, err
}

func (l *limited) Delete(ctx context.Context, key string) error {
	return l.do(ctx, func() error { return l.Store.Delete(ctx, key) })
}

func (l *limited) DeleteAll(ctx context.Context, keys []string) error {
	return l.do(ctx, func() error { return DeleteAll(ctx, l.Store, keys) })
}

func (l *limited) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	r, err := l.Store.Open(ctx, key, offset, length)
	if err != nil {
		l.give()
		return nil, err
	}
	return &watchedReader{ReadCloser: r, ended: sync.OnceFunc(l.give)}, nil
}

// watchedReader calls ended, which may be called twice, when the reader is at its end or closed.
type watchedReader struct {
	io.ReadCloser
	read  int64
	err   error // what ended it, nil at the end of the object
	ended func()
}

func (w *watchedReader) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.read += int64(n)
	if err != nil {
		if !errors.Is(err, io.EOF) {
			w.err = err
		}
		w.ended()
	}
	return n, err
}

func (w *watchedReader) Close() error {
	defer w.ended()
	return w.ReadCloser.Close()
}

// Info implements Describer where the reader within does.
func (w *watchedReader) Info() Info {
	if d, ok := w.ReadCloser.(Describer); ok {
		return d.Info()
	}
	return Info{}
}
