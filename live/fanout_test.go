package live

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
)

func units(events []Event) (out []media.AccessUnit) {
	for _, e := range events {
		if e.Kind == EventUnit {
			out = append(out, e.Unit)
		}
	}
	return out
}

// size compares counts: the events themselves are too much to print.
func size(t *testing.T, want, got int) {
	t.Helper()
	require.Equal(t, want, got, "events")
}

// taken is what is queued for q now.
func taken(q *Subscriber) (out []Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		e, ok := q.queue.pop()
		if !ok {
			return out
		}
		out = append(out, e)
	}
}

func TestLateSubscriberBeginsWithTheLastGOP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := onAir(t, h, "a", obs).mustSend(1500 * time.Millisecond) // the newest key frame is number 60
		q := e.p.Session().Subscribe(PlayerPolicy)
		defer q.Close()
		got := taken(q)
		require.Equal(t, EventEpoch, got[0].Kind)
		require.Equal(t, media.Ticks(60*3000), got[1].Unit.PTS)
		require.True(t, got[1].Unit.RandomAccess)
		size(t, 1+e.n-60, len(got))
		e.mustSend(time.Second)
		size(t, 30, len(taken(q)))
		require.Zero(t, q.Drops().Total())
	})
}

func TestLateSubscriberWaitsWhereTheGOPIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := connect(t, h, "a", obs).start(both())
		write := func(n int, key bool) { require.NoError(t, e.p.Write(frame(e.from, n, key))) }
		write(0, true)
		time.Sleep(maxGOPTime + time.Second)
		write(300, false)
		q := e.p.Session().Subscribe(PlayerPolicy)
		defer q.Close()
		require.NoError(t, e.p.Write(sound(e.from, 0)))
		write(301, false)
		require.Equal(t, []EventKind{EventEpoch}, kindsOf(taken(q)))
		write(302, true)
		write(303, false)
		size(t, 2, len(taken(q)))
		require.Zero(t, q.Drops().Total(), "nothing was taken from anyone")
	})
}

func TestGOPLargerThanAPlayerIsGivenIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := connect(t, h, "a", obs).start(videoOnly())
		for n := range 50 {
			u := frame(e.from, n, n == 0)
			u.Data = make([]byte, 100<<10)
			require.NoError(t, e.p.Write(u))
		}
		s := e.p.Session()
		s.mu.Lock()
		defer s.mu.Unlock()
		require.Zero(t, s.gop.bytes, "5 MB would never be handed to anyone")
		require.Empty(t, s.gop.events)
	})
}

func TestSubscribersOfASessionThatIsAwayOrOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := onAir(t, h, "a", obs)
		s := e.p.Session()
		e.p.Close(ReasonReadTimeout)
		q := s.Subscribe(PlayerPolicy)
		got := taken(q)
		require.Len(t, got, 1)
		require.Equal(t, EventAway, got[0].Kind)
		require.Equal(t, ReasonReadTimeout, got[0].Reason)
		onAir(t, h, "a", obs)
		size(t, 31, len(taken(q)))
		require.NoError(t, h.End("a", ReasonEndedByAdmin))

		late := s.Subscribe(PlayerPolicy)
		got, err := drain(t.Context(), late)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, []EventKind{EventEnd}, kindsOf(got))
		require.Equal(t, ReasonEndedByAdmin, got[0].Reason)
		q.Close()
		q.Close()
		_, err = q.Next(t.Context())
		require.ErrorIs(t, err, io.EOF)
	})
}

func TestThePipelinesFirstSubscriptionMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		got := make(chan []Event, 1)
		h := running(t, Options{Run: func(ctx context.Context, s *Session) error {
			<-release
			q := s.Subscribe(PackagerPolicy)
			defer q.Close()
			events, _ := drain(ctx, q)
			got <- events
			return nil
		}})
		e := onAir(t, h, "a", obs).mustSend(2500 * time.Millisecond)
		close(release)
		e.mustSend(time.Second)
		require.NoError(t, h.End("a", ReasonEndedByOwner))
		events := <-got
		require.Equal(t, []EventKind{EventEpoch, EventUnit, EventEnd}, kindsOf(events))
		size(t, e.n, len(units(events)))
	})
}

func TestSlowPackagerGetsAHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &witness{}
		h := running(t, Options{Observer: w})
		e := connect(t, h, "a", obs).start(videoOnly())
		q := e.p.Session().Subscribe(PackagerPolicy)
		defer q.Close()
		e.mustSend(10 * time.Second)
		queued := units(taken(q))
		require.InDelta(t, 121, len(queued), 2, "what was queued stays: 4 s")
		e.mustSend(time.Second)
		after := units(taken(q))
		require.True(t, after[0].RandomAccess)
		require.Equal(t, uint64(e.n), uint64(len(queued)+len(after))+q.Drops().Total())
		require.EqualValues(t, 1, q.Drops()[DropQueueFull], "one overflow, the rest on the way")
		require.Equal(t, 1, w.dropped["packager:queue_full"])
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}

func TestSlowPlayerSkipsAndIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := connect(t, h, "a", obs).start(videoOnly())
		q := e.p.Session().Subscribe(PlayerPolicy)
		healthy := e.p.Session().Subscribe(PlayerPolicy)
		defer q.Close()
		defer healthy.Close()
		seen := 0
		send := func(d time.Duration) {
			for range int(d / (100 * time.Millisecond)) {
				e.mustSend(100 * time.Millisecond)
				seen += len(units(taken(healthy)))
			}
		}
		send(2500 * time.Millisecond)
		got := taken(q)
		require.LessOrEqual(t, len(got), 31, "emptied once")
		require.Positive(t, q.Drops()[DropQueueFull])
		if len(got) > 0 {
			require.Equal(t, EventEpoch, got[0].Kind, "the epoch it had not taken is told again")
		}
		send(40 * time.Second)
		_, err := q.Next(t.Context())
		require.Equal(t, ReasonTooSlow, ReasonOf(err))
		require.Equal(t, e.n, seen, "nobody else saw it")
		require.Zero(t, healthy.Drops().Total())
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}

func TestOneUnitIsAlwaysQueuedHoweverLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := connect(t, h, "a", obs).start(videoOnly())
		q := e.p.Session().Subscribe(PlayerPolicy)
		defer q.Close()
		au := frame(e.from, 0, true)
		au.Data = make([]byte, 12<<20)
		require.NoError(t, e.p.Write(au))
		size(t, 1, len(units(taken(q))))
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}

func TestASleepingReaderCostsItsBoundHoweverOftenPublishersCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := onAir(t, h, "a", obs)
		q := e.p.Session().Subscribe(PackagerPolicy)
		defer q.Close()
		e.mustSend(5 * time.Second)
		e.p.Close(ReasonConnectionLost)
		for range 500 {
			e := connect(t, h, "a", obs).start(both())
			require.NoError(t, e.p.Write(frame(e.from, 0, true)))
			e.p.Close(ReasonConnectionLost)
		}
		require.Less(t, q.queue.n, 200)
		got := taken(q)
		require.Equal(t, EventAway, got[len(got)-1].Kind)
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}

func TestNextSeesItsContextEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := onAir(t, h, "a", obs)
		q := e.p.Session().Subscribe(PlayerPolicy)
		defer q.Close()
		taken(q)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := q.Next(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		e.mustSend(time.Second / 30)
		_, err = q.Next(t.Context())
		require.NoError(t, err, "and can be called again")
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}

func TestRingKeepsOrderThroughGrowth(t *testing.T) {
	var r ring
	in, out := 0, 0
	for round := range 200 {
		for range round%37 + 1 {
			r.push(&Event{ArrivedAt: time.Duration(in)}, 10)
			in++
		}
		for range round % 35 {
			if e, ok := r.pop(); ok {
				require.EqualValues(t, out, e.ArrivedAt)
				out++
			}
		}
		require.Equal(t, in-out, r.n)
		require.Equal(t, 10*(in-out), r.bytes)
	}
	for range 5000 {
		r.push(&Event{}, 1)
	}
	r.empty()
	require.Zero(t, r.n)
	for range 5000 {
		r.push(&Event{}, 1)
	}
	for r.n > 0 {
		r.pop()
	}
	require.Empty(t, r.items, "a flood's memory is given back")
}

// TestReaderSleepsUntilItCanMakeSomething: Want spares wake-ups without delaying anything that matters.
func TestReaderSleepsUntilItCanMakeSomething(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := connect(t, h, "a", obs).start(both())
		q := e.p.Session().Subscribe(PackagerPolicy)
		defer q.Close()
		got := make(chan Event, 64) // never full here
		next := make(chan int)      // the number of units that the reader wants
		go func() {
			defer close(got)
			for {
				ev, err := q.Next(t.Context())
				if err != nil {
					return
				}
				got <- ev
				if ev.Kind == EventUnit && q.queued() == 0 {
					q.Want([media.Kinds]int{<-next, 1 << 30})
				}
			}
		}()
		write := func(n int, key bool) { require.NoError(t, e.p.Write(frame(e.from, n, key))); synctest.Wait() }
		drain := func() (n int) {
			synctest.Wait()
			for len(got) > 0 {
				if ev := <-got; ev.Kind != EventEpoch {
					n++
				}
			}
			return n
		}
		write(0, true)
		require.Equal(t, 1, drain(), "the first picture")
		next <- 3
		synctest.Wait()
		write(1, false)
		write(2, false)
		require.Zero(t, drain(), "two of three")
		write(3, false)
		require.Equal(t, 3, drain())
		next <- 3
		synctest.Wait()
		write(4, false)
		require.Zero(t, drain())
		time.Sleep(longestNap)
		write(5, false)
		require.Equal(t, 2, drain(), "the first has waited long enough")
		next <- 3
		synctest.Wait()
		write(6, false)
		require.Zero(t, drain())
		e.p.Close(ReasonConnectionLost)
		require.Equal(t, 2, drain(), "any other event comes at once, with what is before it")
		close(next)
	})
}

func (q *Subscriber) queued() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.queue.n
}

func TestNudgeIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		q := onAir(t, h, "a", obs).p.Session().Subscribe(PlayerPolicy)
		defer q.Close()
		taken(q)
		done := make(chan EventKind, 1)
		go func() {
			ev, err := q.Next(t.Context())
			if err == nil {
				done <- ev.Kind
			}
		}()
		synctest.Wait()
		q.Nudge()
		require.Equal(t, EventNudge, <-done)
		q.Nudge()
		q.Nudge()
		ev, err := q.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, EventNudge, ev.Kind)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = q.Next(ctx)
		require.ErrorIs(t, err, context.Canceled)
	})
}
