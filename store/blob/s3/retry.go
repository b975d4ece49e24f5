package s3

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"mediad/store/blob"
)

const (
	// minRate, in bytes a second, is how slow a body may move before its attempt is given up. A connection that stands still
	// ends much sooner, by Options.Timeout.
	minRate = 16 << 10

	firstPause = 100 * time.Millisecond
	maxPause   = 2 * time.Second
)

// limit is how long one attempt with a body of size bytes may take.
func (s *Store) limit(size int64) time.Duration {
	return s.options.Timeout + time.Duration(size/minRate)*time.Second
}

// once runs one attempt under its own deadline and maps its error.
func (s *Store) once(ctx context.Context, size int64, attempt func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, s.limit(size))
	defer cancel()
	err := attempt(limited)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return mapError(err)
}

// repeat runs what may be repeated until it succeeds, fails for good, or has been tried Options.Attempts times.
func (s *Store) repeat(ctx context.Context, size int64, attempt func(context.Context) error) error {
	return s.repeatIf(ctx, size, passing, attempt)
}

func (s *Store) repeatIf(ctx context.Context, size int64, again func(error) bool, attempt func(context.Context) error) error {
	for i := 1; ; i++ {
		err := s.once(ctx, size, attempt)
		if err == nil || i >= s.options.Attempts || !again(err) {
			return err
		}
		if pause(ctx, i) != nil {
			return ctx.Err()
		}
	}
}

// passing says whether a failure may be over the next time. Bytes that changed on the way may come whole.
func passing(err error) bool {
	return errors.Is(err, blob.ErrTemporary) || errors.Is(err, blob.ErrChecksum)
}

// passingPut also takes what servers that keep objects in folders answer to a put into a folder that is removed at the moment,
// because its last object was deleted: MinIO "access denied", versitygw that the object is a folder.
func passingPut(err error) bool {
	if passing(err) {
		return true
	}
	switch Code(err) {
	case "AccessDenied", "ExistingObjectIsDirectory", "ObjectParentIsFile":
		return true
	}
	return false
}

// pause waits after the i-th failure, longer each time and never twice the same.
func pause(ctx context.Context, i int) error {
	longest := min(firstPause<<min(i, 10), maxPause)
	t := time.NewTimer(longest/4 + rand.N(longest))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
