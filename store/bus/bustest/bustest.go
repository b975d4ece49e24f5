// Package bustest is what every bus.Bus has to keep.
package bustest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/store/bus"
)

// patience is how long an event may take on a busy machine.
const patience = 10 * time.Second

// Next is the next event that is no Resync: those of a start are no loss.
func Next(t testing.TB, s *bus.Subscription) bus.Event {
	t.Helper()
	for {
		if e := next(t, s); !e.Resync {
			return e
		}
	}
}

// AwaitResync skips what comes before a Resync.
func AwaitResync(t testing.TB, s *bus.Subscription) {
	t.Helper()
	for !next(t, s).Resync {
	}
}

func next(t testing.TB, s *bus.Subscription) bus.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	e, err := s.Next(ctx)
	require.NoError(t, err, "no event came")
	return e
}

// Run runs the suite. connect makes two nodes' buses that hear each other; a bus within a process is both.
func Run(t *testing.T, connect func(t *testing.T) (a, b bus.Bus)) {
	t.Run("each subscriber of the topic hears in order", func(t *testing.T) {
		a, b := connect(t)
		here, there, other := a.Subscribe("stream", "user"), b.Subscribe("stream"), b.Subscribe("else")
		for i := range 20 {
			require.NoError(t, a.Publish(t.Context(), bus.Event{Topic: "stream", Key: fmt.Sprint(i)}))
		}
		require.NoError(t, a.Publish(t.Context(), bus.Event{Topic: "else", Key: "x"}))
		for i := range 20 {
			want := bus.Event{Topic: "stream", Key: fmt.Sprint(i)}
			assert.Equal(t, want, Next(t, here))
			assert.Equal(t, want, Next(t, there))
		}
		assert.Equal(t, bus.Event{Topic: "else", Key: "x"}, Next(t, other))
	})
	t.Run("who publishes has told its own process", func(t *testing.T) {
		a, _ := connect(t)
		s := a.Subscribe("stream")
		require.NoError(t, a.Publish(t.Context(), bus.Event{Topic: "stream", Key: "1"}))
		for {
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			e, err := s.Next(ended)
			require.NoError(t, err)
			if !e.Resync {
				break
			}
		}
	})
	t.Run("a slow subscriber loses the oldest, is told, and holds nobody", func(t *testing.T) {
		a, _ := connect(t)
		slow, quick := a.Subscribe("stream"), a.Subscribe("stream")
		for i := range bus.QueueSize + 10 {
			require.NoError(t, a.Publish(t.Context(), bus.Event{Topic: "stream", Key: fmt.Sprint(i)}))
			require.Equal(t, fmt.Sprint(i), Next(t, quick).Key)
		}
		AwaitResync(t, slow)
		assert.Equal(t, "10", Next(t, slow).Key)
	})
	t.Run("a closed subscription hears no more", func(t *testing.T) {
		a, _ := connect(t)
		s := a.Subscribe("stream")
		s.Close()
		s.Close()
		require.NoError(t, a.Publish(t.Context(), bus.Event{Topic: "stream", Key: "1"}))
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		e, err := s.Next(ended)
		if !e.Resync {
			assert.ErrorIs(t, err, context.Canceled)
		}
	})
	t.Run("what is no event is refused", func(t *testing.T) {
		a, _ := connect(t)
		for _, e := range []bus.Event{{}, {Key: "k"}, {Resync: true}, {Topic: "t", Resync: true}, {Topic: "t", Key: strings.Repeat("k", bus.MaxKey)}} {
			assert.ErrorIs(t, a.Publish(t.Context(), e), bus.ErrEvent)
		}
	})
	t.Run("from many goroutines", func(t *testing.T) {
		a, b := connect(t)
		s := b.Subscribe("stream")
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 20 {
					assert.NoError(t, a.Publish(t.Context(), bus.Event{Topic: "stream", Key: fmt.Sprint(i*100 + j)}))
				}
			})
		}
		wg.Wait()
		seen := map[string]bool{}
		for len(seen) < 160 {
			seen[Next(t, s).Key] = true
		}
	})
	t.Run("no goroutine is left", func(t *testing.T) {
		testx.NoLeaks(t)
		a, _ := connect(t)
		a.Subscribe("stream").Close()
	})
}
