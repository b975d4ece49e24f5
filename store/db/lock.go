package db

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// lockRetry is how often a held lock is tried again: the system call that waits cannot be told to stop.
const lockRetry = 20 * time.Millisecond

// lock keeps other processes from opening or migrating the database meanwhile. Two that switch a new file to WAL at the
// same moment fail as busy whatever the timeout, and two that migrate would make the same tables. The lock ends with its
// holder, so a crash leaves none behind.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(lockRetry):
		}
	}
}
