package blob

import (
	"context"
	"io"
	"sync"
	"time"
)

// Observer is told of every request. Its methods are called from any goroutine and must not wait.
type Observer interface {
	// BlobDone tells that a request of the kind op, one of Ops, has ended: the bytes that were stored or read, how long it
	// took, and how it ended (Reason has a word for that). A put that failed counts no bytes. "open" lasts until the first
	// bytes are there, "read" from there to the close of the reader and thus as long as its consumer takes.
	BlobDone(op string, bytes int64, took time.Duration, err error)
}

// Ops are all kinds of requests that an Observer is told of.
var Ops = []string{"put", "create", "open", "read", "stat", "list", "delete", "delete_all"}

// Observe tells o what is asked of s.
func Observe(s Store, o Observer) Store { return &observed{Store: s, observer: o} }

type observed struct {
	Store
	observer Observer
}

var (
	_ Store       = (*observed)(nil)
	_ Unwrapper   = (*observed)(nil)
	_ Creator     = (*observed)(nil)
	_ BulkDeleter = (*observed)(nil)
)

func (o *observed) Unwrap() Store { return o.Store }

// do runs and tells one request of size bytes.
func (o *observed) do(op string, size int64, request func() error) error {
	start := time.Now()
	err := request()
	if err != nil {
		size = 0
	}
	o.observer.BlobDone(op, size, time.Since(start), err)
	return err
}

func (o *observed) Put(ctx context.Context, key string, r io.Reader, size int64, m Meta) error {
	return o.do("put", size, func() error { return o.Store.Put(ctx, key, r, size, m) })
}

func (o *observed) Create(ctx context.Context, key string, r io.Reader, size int64, m Meta) error {
	return o.do("create", size, func() error { return Create(ctx, o.Store, key, r, size, m) })
}

func (o *observed) Open(ctx context.Context, key string, offset, length int64) (r io.ReadCloser, err error) {
	err = o.do("open", 0, func() error {
		r, err = o.Store.Open(ctx, key, offset, length)
		return err
	})
	if err != nil {
		return nil, err
	}
	start, w := time.Now(), &watchedReader{ReadCloser: r}
	w.ended = sync.OnceFunc(func() { o.observer.BlobDone("read", w.read, time.Since(start), w.err) })
	return w, nil
}

func (o *observed) Stat(ctx context.Context, key string) (info Info, err error) {
	err = o.do("stat", 0, func() error {
		info, err = o.Store.Stat(ctx, key)
		return err
	})
	return info, err
}

func (o *observed) List(ctx context.Context, prefix string, fn func(Info) error) error {
	return o.do("list", 0, func() error { return o.Store.List(ctx, prefix, fn) })
}

func (o *observed) Delete(ctx context.Context, key string) error {
	return o.do("delete", 0, func() error { return o.Store.Delete(ctx, key) })
}

func (o *observed) DeleteAll(ctx context.Context, keys []string) error {
	return o.do("delete_all", 0, func() error { return DeleteAll(ctx, o.Store, keys) })
}
