package db

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"syscall"
	"time"
)

// lockRetry is how often a held lock is tried again: the calls that wait cannot be told to stop.
const lockRetry = 20 * time.Millisecond

// lock keeps other processes from opening or migrating the file meanwhile. Two that switch a new file to WAL at the
// same moment fail as busy whatever the timeout, and two that migrate would make the same tables. The lock ends with its
// holder, so a crash leaves none behind.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = tryUntil(ctx, func() (bool, error) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// advisoryLock is the number of the lock of migrations, the same in every version: "mediad" in ASCII.
const advisoryLock = 0x6d6564696164

// lockDatabase keeps other nodes from migrating the database meanwhile. The lock belongs to a connection and ends with it.
func lockDatabase(ctx context.Context, pool *sql.DB) (unlock func(), err error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	err = tryUntil(ctx, func() (locked bool, err error) {
		err = conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", int64(advisoryLock)).Scan(&locked)
		return locked, err
	})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return func() {
		// Whoever held the lock may have been told to stop: it is given back all the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectLimit)
		defer cancel()
		_, _ = conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", int64(advisoryLock))
		_ = conn.Close()
	}, nil
}

// tryUntil tries until it succeeds, fails, or ctx ends.
func tryUntil(ctx context.Context, try func() (bool, error)) error {
	for {
		done, err := try()
		if done || err != nil {
			return err
		}
		pause := time.NewTimer(lockRetry)
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
	}
}
