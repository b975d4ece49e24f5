package retention_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/store/retention"
)

// TestSweepsTakeTurns: those of the server's rounds, and those that an admin asks for.
func TestSweepsTakeTurns(t *testing.T) {
	s := newShelf(t)
	inside, goOn := make(chan struct{}), make(chan struct{})
	s.o.MinFree = 0.1
	s.o.Space = func() (free, total uint64, err error) {
		inside <- struct{}{}
		<-goOn
		return 100, 100, nil
	}
	r := retention.New(s.o)
	sweep := func(ctx context.Context) chan error {
		ended := make(chan error, 1)
		go func() {
			_, err := r.Sweep(ctx)
			ended <- err
		}()
		return ended
	}
	first := sweep(t.Context())
	<-inside
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	second := sweep(short)
	select {
	case <-inside:
		t.Fatal("two at a time")
	case err := <-second:
		require.ErrorIs(t, err, context.DeadlineExceeded, "it waits no longer than it may")
	}
	third := sweep(t.Context())
	close(goOn)
	require.NoError(t, <-first)
	<-inside
	require.NoError(t, <-third)
}
