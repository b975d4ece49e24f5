package redis_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/store/bus"
	"mediad/store/bus/bustest"
	"mediad/store/redis"
	"mediad/store/redis/redistest"
)

func TestMain(m *testing.M) { testx.Main(m) }

func open(t testing.TB, s *redistest.Server) *redis.Client {
	t.Helper()
	c, err := redis.Open(s.URL, nil)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

// running is a node's bus that hears.
func running(t testing.TB, s *redistest.Server) *redis.Bus {
	t.Helper()
	b := redis.NewBus(open(t, s))
	ready := b.Subscribe("ready")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() { cancel(); assert.NoError(t, <-done) })
	bustest.AwaitResync(t, ready)
	ready.Close()
	return b
}

func TestBus(t *testing.T) {
	s := redistest.Start(t)
	bustest.Run(t, func(t *testing.T) (a, b bus.Bus) { return running(t, s), running(t, s) })
}

// hears says whether an event of a key comes soon.
func hears(t testing.TB, s *bus.Subscription, key string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for {
		e, err := s.Next(ctx)
		if err != nil || e.Key == key {
			return err == nil
		}
	}
}

// TestBusAfterTheServerWasGone: killed and hanging alike, what could not be told becomes a Resync, and events go on.
func TestBusAfterTheServerWasGone(t *testing.T) {
	s := redistest.Start(t)
	a, b := running(t, s), running(t, s)
	sub, own := b.Subscribe("stream"), a.Subscribe("stream")
	for name, outage := range map[string]struct{ begin, end func(testing.TB) }{
		"killed": {s.Stop, s.Run}, "hanging": {s.Pause, s.Resume},
	} {
		t.Run(name, func(t *testing.T) {
			outage.begin(t)
			began := time.Now()
			err := a.Publish(t.Context(), bus.Event{Topic: "stream", Key: "lost"})
			assert.ErrorIs(t, err, redis.ErrUnavailable)
			assert.Less(t, time.Since(began), 5*time.Second, "nobody waits for a server that is gone")
			assert.Equal(t, "lost", bustest.Next(t, own).Key, "its own process hears nevertheless")
			outage.end(t)
			bustest.AwaitResync(t, sub)
			// That Resync may be one of the outage before: who is told to drop all hears it twice, and events that come before b is back are lost.
			testx.WaitFor(t, "events to go on", func() bool {
				return a.Publish(t.Context(), bus.Event{Topic: "stream", Key: "on"}) == nil && hears(t, sub, "on") && hears(t, own, "on")
			})
		})
	}
}
