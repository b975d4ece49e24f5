package redis_test

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
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
	return runningWith(t, s, nil)
}

func runningWith(t testing.TB, s *redistest.Server, apply func(bus.Event)) *redis.Bus {
	t.Helper()
	b := redis.NewBus(open(t, s), apply)
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
			lost, on := "lost while "+name, "on after "+name
			outage.begin(t)
			began := time.Now()
			err := a.Publish(t.Context(), bus.Event{Topic: "stream", Key: lost})
			assert.ErrorIs(t, err, redis.ErrUnavailable)
			assert.Less(t, time.Since(began), 5*time.Second, "nobody waits for a server that is gone")
			assert.True(t, hears(t, own, lost), "its own process hears nevertheless")
			outage.end(t)
			bustest.AwaitResync(t, sub)
			// That Resync may be one of the outage before: who is told to drop all hears it twice, and events that come before b is back are lost.
			testx.WaitFor(t, "events to go on", func() bool {
				return a.Publish(t.Context(), bus.Event{Topic: "stream", Key: on}) == nil && hears(t, sub, on) && hears(t, own, on)
			})
		})
	}
}

// TestHeardIsWhatWasApplied: whoever asks after an event was published is told either that not everything was heard, or has its effects.
func TestHeardIsWhatWasApplied(t *testing.T) {
	s := redistest.Start(t)
	var last, resyncs atomic.Int64
	a, counts := running(t, s), redis.NewCounts(open(t, s))
	b := runningWith(t, s, func(e bus.Event) {
		if e.Resync {
			resyncs.Add(1)
			return
		}
		n, err := strconv.ParseInt(e.Key, 10, 64)
		if e.Topic == "row" && assert.NoError(t, err) {
			last.Store(n)
		}
	})
	ctx := t.Context()
	told := func() int64 {
		allowed, _, _, told, err := counts.Count(ctx, "user:reader", 1, 1e6, time.Minute)
		require.NoError(t, err)
		require.True(t, allowed)
		return told
	}
	both := func() bool { return a.Heard(ctx, 0) && b.Heard(ctx, told()) }
	testx.WaitFor(t, "both to hear", both)
	at := 0
	for n := range int64(300) {
		require.NoError(t, a.Publish(ctx, bus.Event{Topic: "row", Key: strconv.FormatInt(n, 10)}))
		know := told()
		require.Positive(t, know)
		if b.Heard(ctx, know) {
			at++
			require.Equal(t, n, last.Load())
		}
		testx.WaitFor(t, "the event to be heard", func() bool { return b.Heard(ctx, 0) })
		require.Equal(t, n, last.Load())
	}
	t.Logf("%d of 300 were heard before they were asked for", at)

	s.Stop(t)
	assert.False(t, b.Heard(ctx, 0), "nobody knows")
	testx.WaitFor(t, "the loss to be noticed", func() bool { return !b.Heard(ctx, 1) })
	before := resyncs.Load()
	s.Run(t)
	testx.WaitFor(t, "both to hear again", both)
	assert.Greater(t, resyncs.Load(), before, "what was missed is made up for before")
	require.NoError(t, a.Publish(ctx, bus.Event{Topic: "row", Key: "1000"}))
	testx.WaitFor(t, "events to be heard", func() bool { return b.Heard(ctx, told()) })
	assert.EqualValues(t, 1000, last.Load(), "a server that has forgotten its count goes on above it")
}

// TestSitesOfOneServerDoNotHearEachOther where each has a database number: the count of one says nothing of the other's.
func TestSitesOfOneServerDoNotHearEachOther(t *testing.T) {
	s := redistest.Start(t)
	other, err := redis.Open(strings.TrimSuffix(s.URL, "/0")+"/1", nil)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, other.Close()) })
	a, b := running(t, s), redis.NewBus(other, nil)
	sub := a.Subscribe("stream")
	for range 3 {
		require.NoError(t, b.Publish(t.Context(), bus.Event{Topic: "stream", Key: "theirs"}))
	}
	require.NoError(t, a.Publish(t.Context(), bus.Event{Topic: "stream", Key: "own"}))
	assert.Equal(t, "own", bustest.Next(t, sub).Key)
	testx.WaitFor(t, "its own to be heard", func() bool { return a.Heard(t.Context(), 0) })
}
