// Package object keeps what is too large for rows: pictures that users show, exports of their data.
//
//	Add:   doomed in an hour (row) ─► Put ─► spared, and named by a row (one transaction)
//	Drop:  doomed in a minute (row, in the transaction that names it no more) ─► Sweep deletes it
//
// So whatever is cut short leaves nothing behind: an object is named by a row, or doomed. Keys are never given twice. Run is the one
// goroutine.
package object

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"mediad/store/db"
	"mediad/store/sweep"
)

// ErrNotExist is returned, wrapped or not, by a Store for what it does not have.
var ErrNotExist = errors.New("object: it is not there")

// ErrStorage is returned, wrapped, where the store cannot be asked.
var ErrStorage = errors.New("object: the store does not answer")

// Store keeps objects. Its methods may be called from any goroutine.
type Store interface {
	// Put stores size bytes from r.
	Put(ctx context.Context, key string, r io.Reader, size int64, contentType string) error
	// Open reads an object, whose size it tells; ErrNotExist where there is none. The caller closes it.
	Open(ctx context.Context, key string) (body io.ReadCloser, size int64, err error)
	// Delete deletes an object. It is no error where there is none.
	Delete(ctx context.Context, key string) error
}

const (
	// making is longer than any object takes to be stored and named.
	making = time.Hour
	// grace is how long an object may still be fetched that nobody names any more: answers that name it are as old as that.
	grace         = time.Minute
	sweepInterval = 30 * time.Second
	sweepBatch    = 100
	// retryAfter is when one that the store did not delete is tried again: the others come first.
	retryAfter = time.Minute
)

// Options of New.
type Options struct {
	DB    *db.DB
	Store Store
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Log; nil: none.
	Log *slog.Logger
}

// Keeper stores objects and deletes those that nobody needs. Its methods may be called from any goroutine.
type Keeper struct{ o Options }

// New makes one.
func New(o Options) *Keeper {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Keeper{o}
}

// Store is where the objects are.
func (k *Keeper) Store() Store { return k.o.Store }

// Add stores an object under a new key. name is run in the transaction from which on it stays; where that fails it goes.
func (k *Keeper) Add(ctx context.Context, key string, r io.Reader, size int64, contentType string, name func(q db.Queries) error) error {
	err := k.o.DB.Tx(ctx, func(q db.Queries) error { return q.DoomObject(key, db.At(k.o.Now().Add(making))) })
	if err != nil {
		return err
	}
	if err := k.o.Store.Put(ctx, key, r, size, contentType); err != nil {
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		return errors.Join(ErrStorage, err)
	}
	return k.o.DB.Tx(ctx, func(q db.Queries) error {
		if err := q.SpareObject(key); err != nil {
			return err
		}
		return name(q)
	})
}

// Drop lets an object go in the transaction that names it no more.
func (k *Keeper) Drop(q db.Queries, key string) error { return k.DropAt(q, key, k.o.Now().Add(grace)) }

// DropAt is Drop, at a moment.
func (k *Keeper) DropAt(q db.Queries, key string, at time.Time) error {
	return q.DoomObject(key, db.At(at))
}

// Sweep deletes what is due, and tells how many objects. What the store does not delete keeps nothing else from it; where it deletes nothing, the rest waits for the next
// sweep.
func (k *Keeper) Sweep(ctx context.Context) (deleted int64, err error) {
	var failed error
	for {
		due, err := k.o.DB.Read(ctx).DueObjects(db.At(k.o.Now()), sweepBatch)
		if err != nil || len(due) == 0 {
			return deleted, errors.Join(failed, err)
		}
		var gone, stuck []string
		for _, one := range due {
			if err := k.o.Store.Delete(ctx, one.Key); err != nil {
				failed, stuck = err, append(stuck, one.Key)
				continue
			}
			gone = append(gone, one.Key)
		}
		deleted += int64(len(gone))
		err = k.o.DB.Tx(ctx, func(q db.Queries) error {
			return errors.Join(q.ForgetObjects(gone), q.PostponeObjects(stuck, db.At(k.o.Now().Add(retryAfter))))
		})
		if err != nil || len(gone) == 0 || len(due) < sweepBatch {
			return deleted, errors.Join(failed, err)
		}
	}
}

// Run sweeps until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	return sweep.Each(ctx, sweepInterval, k.o.Log, "objects that nobody needs were not deleted", k.Sweep)
}
