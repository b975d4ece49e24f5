// Package move brings a site's media to where another configuration of it has it.
//
//	Objects   store ─► store of the same shape: local to local, bucket to bucket, object by object
//	ToBucket  files of segments ─► one object a segment, as docs/formats/bucket.md has it; rows say that they are there
//	ToDisk    objects that only a bucket had ─► files; rows say where
//
// What was done is found again by looking, so a call that was stopped is made again and goes on. Goroutines end with the call.
package move

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"mediad/store/blob"
)

// ErrDiffers is returned, wrapped, where an object has not the same bytes on both sides.
var ErrDiffers = errors.New("move: source and target differ")

// Amount is how much was done, or is there.
type Amount struct{ Objects, Bytes int64 }

// Counts of a call.
type Counts struct {
	Copied Amount
	// Same were there already, with the same bytes.
	Same Amount
	// Gone are named by rows and are nowhere.
	Gone int64
}

type counters struct{ copied, copiedBytes, same, sameBytes, gone atomic.Int64 }

func (c *counters) counts() Counts {
	return Counts{
		Copied: Amount{c.copied.Load(), c.copiedBytes.Load()}, Same: Amount{c.same.Load(), c.sameBytes.Load()}, Gone: c.gone.Load(),
	}
}

// Options of all calls.
type Options struct {
	// AtOnce is how many objects are under way at a time. 0: 4. What is put into a bucket is held in memory in parts: 24 MiB each, at most.
	AtOnce int
	// Prefix of the keys of Objects; empty: all.
	Prefix string
	// Skip says which keys Objects leaves out; nil: none.
	Skip func(key string) bool
	// Progress is told of each object that was copied or found. nil: nobody.
	Progress func(Counts)
}

func (o Options) withDefaults() Options {
	if o.AtOnce == 0 {
		o.AtOnce = 4
	}
	if o.Skip == nil {
		o.Skip = func(string) bool { return false }
	}
	if o.Progress == nil {
		o.Progress = func(Counts) {}
	}
	return o
}

// Objects copies every object that the target does not have with the same bytes, and reads back what it has written.
func Objects(ctx context.Context, from, to blob.Store, o Options) (Counts, error) {
	o = o.withDefaults()
	var n counters
	err := each(ctx, from, o, func(ctx context.Context, i blob.Info) error { return copyObject(ctx, from, to, i, &n) }, func() { o.Progress(n.counts()) })
	return n.counts(), err
}

// Verify fails with ErrDiffers unless the target has every object of the source with the same bytes.
func Verify(ctx context.Context, from, to blob.Store, o Options) (Counts, error) {
	o = o.withDefaults()
	var n counters
	err := each(ctx, from, o, func(ctx context.Context, i blob.Info) error {
		sum, err := sumOf(ctx, from, i.Key)
		if err != nil {
			return err
		}
		there, err := sumOf(ctx, to, i.Key)
		if errors.Is(err, blob.ErrNotExist) || err == nil && there != sum {
			return fmt.Errorf("%w: %s", ErrDiffers, i.Key)
		}
		n.same.Add(1)
		n.sameBytes.Add(i.Size)
		return err
	}, func() { o.Progress(n.counts()) })
	return n.counts(), err
}

// each calls fn for every object of a store, some side by side.
func each(ctx context.Context, from blob.Store, o Options, fn func(context.Context, blob.Info) error, done func()) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(o.AtOnce)
	err := from.List(ctx, o.Prefix, func(i blob.Info) error {
		if o.Skip(i.Key) {
			return nil
		}
		g.Go(func() error {
			if err := fn(ctx, i); err != nil {
				return fmt.Errorf("%s: %w", i.Key, err)
			}
			done()
			return nil
		})
		return ctx.Err()
	})
	if of := g.Wait(); of != nil { // the cause: the listing then ends with the context
		err = of
	}
	if err != nil {
		return fmt.Errorf("move: %w", err)
	}
	return nil
}

func copyObject(ctx context.Context, from, to blob.Store, i blob.Info, n *counters) error {
	info, err := from.Stat(ctx, i.Key)
	if err != nil {
		return err
	}
	there, err := to.Stat(ctx, i.Key)
	if err != nil && !errors.Is(err, blob.ErrNotExist) {
		return err
	}
	if err == nil && there.Size == info.Size {
		a, err := sumOf(ctx, from, i.Key)
		if err != nil {
			return err
		}
		b, err := sumOf(ctx, to, i.Key)
		if err != nil {
			return err
		}
		if a == b {
			n.same.Add(1)
			n.sameBytes.Add(info.Size)
			return nil
		}
	}
	r, err := from.Open(ctx, i.Key, 0, info.Size)
	if err != nil {
		return err
	}
	if err := errors.Join(put(ctx, to, i.Key, r, info.Size, info.Meta), r.Close()); err != nil {
		return err
	}
	n.copied.Add(1)
	n.copiedBytes.Add(info.Size)
	return nil
}

// put stores an object and reads it back.
func put(ctx context.Context, to blob.Store, key string, r io.Reader, size int64, m blob.Meta) error {
	h := sha256.New()
	if err := to.Put(ctx, key, io.TeeReader(r, h), size, m); err != nil {
		return err
	}
	there, err := sumOf(ctx, to, key)
	if err == nil && !bytes.Equal(there[:], h.Sum(nil)) {
		err = fmt.Errorf("%w: it was read back with other bytes", ErrDiffers)
	}
	return err
}

func sumOf(ctx context.Context, s blob.Store, key string) (sum [sha256.Size]byte, err error) {
	r, err := s.Open(ctx, key, 0, -1)
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	_, err = io.Copy(h, r)
	copy(sum[:], h.Sum(nil))
	return sum, errors.Join(err, r.Close())
}
