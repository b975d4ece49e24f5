package live

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestManyAtOnce lets publishers, players, questions and ends meet in real goroutines, for the race detector.
func TestManyAtOnce(t *testing.T) {
	w := &witness{}
	var rec recorder
	h := newHub(t, Options{Run: rec.run, Observer: w, CleanStopWindow: 5 * time.Millisecond, ResumeWindow: 10 * time.Millisecond, IdleTimeout: time.Nanosecond})
	ctx, cancel := context.WithCancel(t.Context())
	stop := time.Now().Add(500 * time.Millisecond)
	var wg sync.WaitGroup
	each := func(n int, do func(r *rand.Rand, stream string)) {
		for i := range n {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), 3))
				for time.Now().Before(stop) {
					do(r, fmt.Sprint("s", r.IntN(3)))
				}
			})
		}
	}
	each(4, func(r *rand.Rand, stream string) {
		p, err := h.Publish(ctx, stream, Peer{Protocol: "rtmp", Remote: fmt.Sprintf("10.0.0.%d:1", r.IntN(200)), Encoder: "obs"})
		if err != nil {
			return
		}
		defer p.Close([]Reason{ReasonPublisherStopped, ReasonConnectionLost, ReasonPolicyLimit}[r.IntN(3)])
		for range r.IntN(3) {
			if p.StartEpoch(both(), 0, time.Now(), "test") != nil {
				return
			}
			for n := range r.IntN(100) {
				if p.Write(frame(0, n, n%10 == 0)) != nil || p.Write(sound(0, n)) != nil {
					return
				}
			}
			p.Repaired("nudged", 1)
			if s := p.Session(); s != nil {
				q := s.Subscribe(PlayerPolicy)
				wg.Go(func() {
					defer q.Close()
					for range 50 {
						if _, err := q.Next(ctx); err != nil {
							return
						}
					}
				})
			}
		}
	})
	each(1, func(r *rand.Rand, stream string) {
		h.Lookup(stream)
		h.Live()
		h.look()
	})
	each(1, func(r *rand.Rand, stream string) {
		if r.IntN(100) == 0 {
			_ = h.End(stream, ReasonEndedByAdmin)
		}
	})
	done := make(chan error, 1)
	time.AfterFunc(400*time.Millisecond, func() { done <- h.Shutdown(context.Background()) })
	require.NoError(t, <-done)
	cancel()
	wg.Wait()
	require.Empty(t, h.pipelines)
	require.Equal(t, w.count(PublisherConnected), w.count(PublisherClosed))
	require.Greater(t, w.count(PublisherConnected), 10)
	for _, id := range rec.order {
		if events := rec.of(id); len(events) > 0 { // none: stopped before it began to read
			require.Contains(t, []EventKind{EventAway, EventEnd}, events[len(events)-1].Kind, "nobody is left in the dark")
		}
	}
}
