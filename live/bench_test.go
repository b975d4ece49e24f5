package live

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
)

// source is a publisher on air without a bubble, and the unit it writes next.
func source(tb testing.TB) (*Hub, *Publisher, func() media.AccessUnit) {
	tb.Helper()
	h := NewHub(Options{Authorizer: keys{}})
	p, err := h.Publish(context.Background(), "a", obs)
	require.NoError(tb, err)
	require.NoError(tb, p.StartEpoch(videoOnly(), 0, time.Now(), "bench"))
	data := make([]byte, 10_000)
	n := -1
	return h, p, func() media.AccessUnit {
		n++
		return media.AccessUnit{Kind: media.Video, DTS: media.Ticks(n) * 3000, PTS: media.Ticks(n) * 3000, Duration: 3000, RandomAccess: n%30 == 0, Data: data}
	}
}

// follow starts n readers that read until the session ends, and returns a wait for them.
func follow(s *Session, n int) (wait func()) {
	done := make(chan struct{})
	for range n {
		q := s.Subscribe(PackagerPolicy)
		go func() {
			defer func() { done <- struct{}{} }()
			defer q.Close()
			for {
				if _, err := q.Next(context.Background()); err != nil {
					return
				}
			}
		}()
	}
	return func() {
		for range n {
			<-done
		}
	}
}

func TestWriteAllocatesNothing(t *testing.T) {
	h, p, next := source(t)
	wait := follow(p.Session(), 3)
	write := func() {
		if err := p.Write(next()); err != nil {
			t.Error(err)
		}
	}
	for range 5000 {
		write() // queues and the last GOP reach their size
	}
	require.Zero(t, testing.AllocsPerRun(2000, write))
	require.NoError(t, h.End("a", ReasonEndedByOwner))
	wait()
}

func TestStatusDoesNotDependOnHowMuchWasSent(t *testing.T) {
	h, p, next := source(t)
	for range 5000 {
		require.NoError(t, p.Write(next()))
	}
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { h.Lookup("a") }), 2.0)
	require.NoError(t, h.End("a", ReasonEndedByOwner))
}

func BenchmarkWrite(b *testing.B) {
	for _, n := range []int{0, 1, 10, 1000} {
		b.Run(fmt.Sprint("subscribers=", n), func(b *testing.B) {
			h, p, next := source(b)
			wait := follow(p.Session(), n)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if err := p.Write(next()); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			if n > 0 {
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/delivery")
			}
			require.NoError(b, h.End("a", ReasonEndedByOwner))
			wait()
		})
	}
}
