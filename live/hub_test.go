package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLifeOfASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		w := &witness{}
		h := running(t, Options{Run: rec.run, Observer: w})
		require.Equal(t, StateIdle, state(h, "a"))

		e := connect(t, h, "a", obs)
		require.Nil(t, e.p.Session())
		require.Equal(t, StateStarting, state(h, "a"))
		e.start(both())
		require.Equal(t, StateStarting, state(h, "a"), "no frame, no session")
		require.Zero(t, w.count(SessionStarted))
		e.mustSend(time.Second)
		require.Equal(t, StateLive, state(h, "a"))
		id := e.p.Session().ID()

		e.p.Close(ReasonConnectionLost)
		require.ErrorIs(t, e.p.Err(), Refuse(ReasonConnectionLost, nil))
		require.Equal(t, StateReconnecting, state(h, "a"))
		time.Sleep(59 * time.Second)
		e = onAir(t, h, "a", obs)
		require.Equal(t, id, e.p.Session().ID(), "the same session goes on")
		require.Equal(t, StateLive, state(h, "a"))

		e.p.Close(ReasonPublisherStopped)
		time.Sleep(9 * time.Second)
		require.Equal(t, StateReconnecting, state(h, "a"))
		time.Sleep(2 * time.Second)
		require.Equal(t, StateIdle, state(h, "a"))
		synctest.Wait()

		got := rec.of(id)
		require.Equal(t, []EventKind{EventEpoch, EventUnit, EventAway, EventEpoch, EventUnit, EventAway, EventEnd}, kindsOf(got))
		require.Equal(t, ReasonPublisherStopped, got[len(got)-1].Reason)
		var why []string
		for _, event := range got {
			if event.Kind == EventEpoch {
				why = append(why, event.Epoch.Reason)
			}
		}
		require.Equal(t, []string{"test", EpochReconnected}, why)
		require.Equal(t, []NoticeKind{
			PublisherConnected, EpochStarted, SessionStarted, PublisherClosed, SessionAway,
			PublisherConnected, EpochStarted, SessionResumed, PublisherClosed, SessionAway, SessionEnded,
		}, w.kinds())
	})
}

func TestHowLongASessionIsHeld(t *testing.T) {
	for _, c := range []struct {
		reason Reason
		grant  time.Duration
		held   time.Duration
		end    Reason
	}{
		{ReasonConnectionLost, 0, 60 * time.Second, ReasonResumeTimeout},
		{ReasonReadTimeout, 5 * time.Minute, 5 * time.Minute, ReasonResumeTimeout},
		{ReasonProtocolError, 0, 60 * time.Second, ReasonResumeTimeout},
		{ReasonCodecUnsupported, 0, 60 * time.Second, ReasonResumeTimeout},
		{ReasonPublisherStopped, 0, 10 * time.Second, ReasonPublisherStopped},
		{ReasonPublisherStopped, 4 * time.Second, 4 * time.Second, ReasonPublisherStopped},
		{ReasonPublisherStopped, 5 * time.Minute, 10 * time.Second, ReasonPublisherStopped},
		{ReasonKeyRevoked, 0, 0, ReasonKeyRevoked},
		{ReasonPolicyLimit, 0, 0, ReasonPolicyLimit},
	} {
		t.Run(fmt.Sprintf("%s/%s", c.reason, c.grant), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := running(t, Options{Authorizer: keys{Grant{ResumeWindow: c.grant}}})
				e := onAir(t, h, "a", obs)
				q := e.p.Session().Subscribe(PlayerPolicy)
				defer q.Close()
				e.p.Close(c.reason)
				from := time.Now()
				events, err := drain(t.Context(), q)
				require.ErrorIs(t, err, io.EOF)
				require.Equal(t, c.held, time.Since(from))
				require.Equal(t, c.end, events[len(events)-1].Reason)
			})
		})
	}
}

// siteSaysNo refuses whoever has a good key.
type siteSaysNo struct{ keys }

func (s siteSaysNo) AuthorizePublish(ctx context.Context, key string, peer Peer) (Grant, error) {
	g, err := s.keys.AuthorizePublish(ctx, key, peer)
	if err != nil {
		return g, err
	}
	return g, Refuse(ReasonRefusedBySite, nil)
}

// TestARefusalKnowsItsStream: a good key that is refused by others is told to the stream's owner.
func TestARefusalKnowsItsStream(t *testing.T) {
	w := &witness{}
	h := NewHub(Options{Authorizer: siteSaysNo{keys{}}, Observer: w})
	_, err := h.Publish(t.Context(), "a", obs)
	require.Equal(t, ReasonRefusedBySite, ReasonOf(err))
	require.Len(t, w.notices, 1)
	require.Equal(t, PublishRefused, w.notices[0].Kind)
	require.Equal(t, "a", w.notices[0].Stream)
}

func TestEndOverTheAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &witness{}
		h := running(t, Options{Observer: w})
		require.ErrorIs(t, h.End("a", ReasonEndedByAdmin), Refuse(ReasonNotLive, nil))
		e := onAir(t, h, "a", obs)
		first := e.p.Session().ID()
		require.NoError(t, h.End("a", ReasonEndedByOwner))
		<-e.p.Done()
		require.ErrorIs(t, e.p.Write(frame(e.from, e.n, true)), Refuse(ReasonEndedByOwner, nil))
		require.Equal(t, StateIdle, state(h, "a"))
		require.ErrorIs(t, h.End("a", ReasonEndedByAdmin), Refuse(ReasonNotLive, nil))

		e = onAir(t, h, "a", obs)
		require.NotEqual(t, first, e.p.Session().ID(), "the publisher may come back, to a new session")
		e.p.Close(ReasonConnectionLost)
		require.NoError(t, h.End("a", ReasonEndedByOwner), "also while nobody is connected")
		require.Equal(t, 2, w.count(SessionEnded))

		e = connect(t, h, "a", obs)
		require.NoError(t, h.End("a", ReasonStreamDisabled), "also before the first frame")
		require.ErrorIs(t, e.p.Err(), Refuse(ReasonStreamDisabled, nil))
		require.Equal(t, 2, w.count(SessionEnded))
	})
}

func TestASessionWithoutAFrameIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		w := &witness{}
		h := running(t, Options{Run: rec.run, Observer: w})
		e := connect(t, h, "a", obs).start(videoOnly())
		e.p.Close(ReasonConnectionLost)
		require.Equal(t, StateIdle, state(h, "a"))
		synctest.Wait()
		require.Equal(t, []NoticeKind{PublisherConnected, EpochStarted, PublisherClosed}, w.kinds())
		require.Len(t, rec.order, 1)
		require.Equal(t, []EventKind{EventAway, EventEnd}, kindsOf(rec.of(rec.order[0])))
	})
}

func TestSilentPublisherIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := connect(t, h, "a", obs)
		time.Sleep(10*time.Second - time.Millisecond)
		require.NoError(t, e.p.Err())
		<-e.p.Done()
		require.ErrorIs(t, e.p.Err(), Refuse(ReasonNoMedia, nil))
		require.Equal(t, StateIdle, state(h, "a"))

		e = onAir(t, h, "a", obs)
		time.Sleep(time.Minute)
		require.NoError(t, e.p.Err(), "after the first frame silence is the front end's matter")
	})
}

func TestWindowThatEndsUnderAPublisherAboutToSend(t *testing.T) {
	for _, sends := range []bool{true, false} {
		t.Run(fmt.Sprint("sends=", sends), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := running(t, Options{})
				e := onAir(t, h, "a", obs)
				id := e.p.Session().ID()
				e.p.Close(ReasonConnectionLost)
				time.Sleep(55 * time.Second)
				e = connect(t, h, "a", obs)
				require.Equal(t, id, e.p.Session().ID())
				time.Sleep(8 * time.Second)
				require.Equal(t, StateReconnecting, state(h, "a"))
				if sends {
					e.start(videoOnly()).mustSend(time.Second)
					require.Equal(t, id, e.p.Session().ID())
					require.Equal(t, StateLive, state(h, "a"))
					return
				}
				<-e.p.Done()
				require.Equal(t, StateIdle, state(h, "a"))
			})
		})
	}
}

func TestRefusals(t *testing.T) {
	w := &witness{}
	h := newHub(t, Options{Observer: w})
	for key, want := range map[string]Reason{"wrong": ReasonStreamKeyInvalid, "broken": ReasonAuthUnavailable, "": ReasonAuthUnavailable} {
		_, err := h.Publish(t.Context(), key, obs)
		require.Equal(t, want, ReasonOf(err), key)
	}
	require.Equal(t, 3, w.count(PublishRefused))
	_, err := NewHub(Options{}).Publish(t.Context(), "a", obs)
	require.Equal(t, ReasonStreamKeyInvalid, ReasonOf(err), "without an authorizer nobody gets in")
	require.NoError(t, h.Shutdown(t.Context()))
	_, err = h.Publish(t.Context(), "a", obs)
	require.Equal(t, ReasonShuttingDown, ReasonOf(err))
}

func TestEpochsRise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		known := time.Now().Add(time.Hour).UnixMilli() // a clock that was wrong
		h := running(t, Options{LastEpoch: func(string) int64 { asked++; return known }})
		e := onAir(t, h, "a", obs)
		status, _ := h.Lookup("a")
		require.Equal(t, known+1, status.Epoch.ID)
		e.start(videoOnly())
		status, _ = h.Lookup("a")
		require.Equal(t, known+2, status.Epoch.ID)
		require.Equal(t, 1, status.Epoch.Index)
		require.NoError(t, h.End("a", ReasonEndedByOwner))
		onAir(t, h, "a", obs)
		status, _ = h.Lookup("a")
		require.Equal(t, known+3, status.Epoch.ID)
		require.Zero(t, status.Epoch.Index)
		require.Equal(t, 1, asked)

		e = onAir(t, newHub(t, Options{}), "a", obs)
		require.Equal(t, e.p.Session().Start().UnixMilli(), e.p.Session().epoch.ID)
		e.p.Close(ReasonKeyRevoked)
	})
}

func TestIdleStreamsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &witness{}
		h := running(t, Options{Observer: w})
		onAir(t, h, "a", obs).p.Close(ReasonPublisherStopped)
		time.Sleep(10 * time.Minute)
		_, known := h.Lookup("a")
		require.True(t, known)
		time.Sleep(12 * time.Second)
		_, known = h.Lookup("a")
		require.False(t, known)
		require.Equal(t, 1, w.count(StreamForgotten))
	})
}

func TestTenThousandCyclesLeaveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forgetful := func(ctx context.Context, s *Session) error {
			q := s.Subscribe(PackagerPolicy)
			defer q.Close()
			_, err := drain(ctx, q)
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		h := running(t, Options{Run: forgetful})
		cycle := func(i int) {
			e := connect(t, h, fmt.Sprintf("s%d", i%100), obs).start(both())
			require.NoError(t, e.p.Write(frame(e.from, 0, true)))
			if i%2 == 0 {
				e.p.Close(ReasonPublisherStopped)
				return
			}
			e.p.Close(ReasonConnectionLost)
			require.NoError(t, h.End(e.p.Stream(), ReasonEndedByOwner))
		}
		cycle(0)
		time.Sleep(time.Hour)
		synctest.Wait()
		before, goroutines := heap(), runtime.NumGoroutine()
		for i := range 10_000 {
			cycle(i)
		}
		time.Sleep(time.Hour) // every window, every idle time
		synctest.Wait()
		require.Empty(t, h.streams)
		require.Empty(t, h.pipelines)
		require.LessOrEqual(t, runtime.NumGoroutine(), goroutines)
		require.Less(t, heap()-before, int64(1<<20), "bytes left")
	})
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
