package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"gorm.io/gorm"
)

// Queries has every statement as a method. It lives no longer than the Read or Tx that gave it out.
type Queries struct {
	g       *gorm.DB
	after   *[]func()     // nil outside of a transaction
	emitted chan struct{} // one token
}

// Read gives queries that see everything committed before each statement; each is on its own. They cannot write.
func (d *DB) Read(ctx context.Context) Queries { return Queries{g: d.read.WithContext(ctx)} }

// Write gives queries each of which is stored by itself, for single statements that need no view of anything else.
func (d *DB) Write(ctx context.Context) Queries {
	return Queries{g: d.write.WithContext(ctx), emitted: d.emitted}
}

// SQL is the transaction itself, for the job queue to write in. nil outside of one.
func (q Queries) SQL() *sql.Tx {
	tx, _ := q.g.Statement.ConnPool.(*sql.Tx)
	return tx
}

// Within gives queries in a transaction that somebody else has begun on JobPool and ends. AfterCommit does not wait for that end, so what
// it wakes may look too early, and has to look again by itself; and rows that are remembered (recall.go) cannot be changed in it.
func (d *DB) Within(ctx context.Context, tx *sql.Tx) Queries {
	g := d.write.WithContext(context.WithValue(ctx, changesKey{}, &changes{foreign: true}))
	g.Statement.ConnPool = tx
	return Queries{g: g, emitted: d.emitted}
}

// AfterCommit has fn called once what the transaction wrote is stored, in the goroutine of Tx and before it returns: to wake who waits
// for it. It must not block. Of a transaction that fails nothing is called; outside of one fn is called at once.
func (q Queries) AfterCommit(fn func()) {
	if q.after == nil {
		fn()
		return
	}
	*q.after = append(*q.after, fn)
}

const (
	// txLimit bounds a transaction whose caller set no nearer deadline, with all its attempts.
	txLimit = 30 * time.Second
	// txAttempts is how often a transaction is run that loses against others or its connection. The first freeAttempts run
	// beside all others; the rest take turns within this process, so that even a crowd that changes one row comes through: each round of
	// it has one winner, and 100 rounds of 100 would be 5 000 attempts.
	txAttempts, freeAttempts = 12, 2
	// firstPause is doubled with each attempt up to lastPause, and of it a random part is waited.
	firstPause, lastPause = 2 * time.Millisecond, 100 * time.Millisecond
)

// Tx runs fn in one transaction: what it wrote is stored when Tx returns nil, and nothing of it otherwise. Transactions
// run as if one after the other, so what fn reads through q stays true until the end of fn.
//
// SQLite has one writer and does just that. PostgreSQL runs them side by side as SERIALIZABLE and breaks off who would have
// seen otherwise; such a transaction runs again. So fn may run several times: what it leaves outside of itself it sets
// anew each time. And a statement that fails ends the transaction: fn returns its error, and does not go on.
func (d *DB) Tx(ctx context.Context, fn func(q Queries) error) error {
	var after []func()
	changed := &changes{}
	ctx = context.WithValue(ctx, changesKey{}, changed)
	once := func(g *gorm.DB) error {
		after = after[:0] // what an attempt that failed asked for
		return fn(Queries{g, &after, d.emitted})
	}
	var err error
	if d.engine == PostgreSQL {
		err = d.serializable(ctx, once)
	} else {
		err = d.write.WithContext(ctx).Transaction(once)
	}
	d.changed(ctx, changed.rows) // also of one that failed: it may be stored nevertheless
	if err == nil {
		for _, done := range after {
			done()
		}
	}
	if err != nil && ctx.Err() != nil {
		// A transaction cut short by its context often reports only that it was rolled back.
		err = errors.Join(ctx.Err(), err)
	}
	return err
}

func (d *DB) serializable(ctx context.Context, fn func(g *gorm.DB) error) error {
	ctx, cancel := context.WithTimeout(ctx, txLimit)
	defer cancel()
	for n := 1; ; n++ {
		if n == freeAttempts+1 {
			select {
			case d.turn <- struct{}{}:
				defer func() { <-d.turn }()
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		again, err := d.attempt(ctx, fn)
		if err == nil || !again || n == txAttempts || ctx.Err() != nil {
			return err
		}
		d.log.DebugContext(ctx, "transaction runs again", "attempt", n, "error", err)
		pause := time.NewTimer(rand.N(min(firstPause<<n, lastPause)))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
	}
}

// attempt runs fn in a transaction once. again says that nothing of it is stored and that it may succeed if it runs again.
func (d *DB) attempt(ctx context.Context, fn func(g *gorm.DB) error) (again bool, err error) {
	ran := false
	err = d.write.WithContext(ctx).Transaction(func(g *gorm.DB) error {
		err := fn(g)
		ran = err == nil
		return err
	}, &sql.TxOptions{Isolation: sql.LevelSerializable})
	switch {
	case err == nil:
		return false, nil
	case contended(err):
		return true, err
	case ran && gone(err):
		return false, fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	}
	// A connection that was lost under the transaction takes it along. One that cannot be made is not tried again: the caller
	// is to know soon.
	return lost(err), err
}
