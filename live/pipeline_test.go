package live

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAPipelineThatFailsHarmsNobodyElse(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("disk on fire") },
		"panic": func() error { panic("disk on fire") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &witness{}
				h := running(t, Options{Observer: w, Run: func(ctx context.Context, s *Session) error {
					q := s.Subscribe(PackagerPolicy)
					defer q.Close()
					for {
						e, err := q.Next(ctx)
						if err != nil {
							return err
						}
						if s.Stream() == "bad" && e.ArrivedAt > 500*time.Millisecond {
							return fail()
						}
					}
				}})
				good := onAir(t, h, "good", obs)
				bad := connect(t, h, "bad", obs).start(videoOnly())
				q := bad.p.Session().Subscribe(PlayerPolicy)
				defer q.Close()
				require.Equal(t, ReasonIngestError, ReasonOf(bad.send(time.Second)))
				events, _ := drain(t.Context(), q)
				require.Equal(t, ReasonIngestError, events[len(events)-1].Reason)
				require.Equal(t, StateIdle, state(h, "bad"))
				good.mustSend(time.Second)
				require.Equal(t, StateLive, state(h, "good"))
				require.Equal(t, 1, w.count(SessionEnded))

				connect(t, h, "bad", ffmpeg).start(videoOnly()).mustSend(100 * time.Millisecond) // and may try again
			})
		})
	}
}

func TestAPipelineThatReturnsEarlyIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{Run: func(context.Context, *Session) error { return nil }})
		onAir(t, h, "a", obs).mustSend(10 * time.Second)
		require.Equal(t, StateLive, state(h, "a"))
	})
}

func TestPipelinesOfOneStreamNeverOverlap(t *testing.T) {
	for name, takes := range map[string]time.Duration{"one that drains": time.Second, "one that hangs": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var going, most, taken int
				h := running(t, Options{Run: func(ctx context.Context, s *Session) error {
					going++
					most = max(most, going)
					defer func() { going-- }()
					q := s.Subscribe(PackagerPolicy)
					defer q.Close()
					events, _ := drain(ctx, q)
					taken += len(units(events))
					select {
					case <-time.After(takes): // in the bubble: finishing takes its time
					case <-ctx.Done():
					}
					return nil
				}})
				sent := 0
				for range 5 {
					e := onAir(t, h, "a", obs).mustSend(2 * time.Second)
					sent += e.n
					require.NoError(t, h.End("a", ReasonEndedByOwner))
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				require.Equal(t, 1, most)
				require.Equal(t, sent, taken, "the next session's beginning waited in its queue")
			})
		})
	}
}

func TestShutdownLetsPipelinesFinishAndEndsNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []Event
		var end error
		w := &witness{}
		h := newHub(t, Options{Observer: w, Run: func(ctx context.Context, s *Session) error {
			q := s.Subscribe(PackagerPolicy)
			defer q.Close()
			for {
				e, err := q.Next(ctx)
				if err != nil {
					end = err
					return err
				}
				got = append(got, e)
				time.Sleep(40 * time.Millisecond) // slower than real time: something is always queued
			}
		}})
		e := onAir(t, h, "a", obs)
		player := e.p.Session().Subscribe(PlayerPolicy)
		require.NoError(t, h.Shutdown(t.Context()))
		require.Equal(t, ReasonShuttingDown, ReasonOf(e.p.Err()))
		require.Equal(t, ReasonShuttingDown, ReasonOf(e.p.Write(frame(e.from, e.n, true))))
		require.Equal(t, []EventKind{EventEpoch, EventUnit, EventAway}, kindsOf(got))
		require.Equal(t, e.n, len(units(got)))
		require.ErrorIs(t, end, context.Canceled)
		require.Zero(t, w.count(SessionEnded))
		_, err := drain(t.Context(), player)
		require.Equal(t, ReasonShuttingDown, ReasonOf(err))
		e.p.Close(ReasonConnectionLost)
		require.NoError(t, h.Shutdown(t.Context()), "twice is once")
		time.Sleep(time.Hour)
		require.Zero(t, w.count(SessionEnded), "and no timer is left")
	})
}

func TestShutdownDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := newHub(t, Options{Run: func(_ context.Context, s *Session) error {
			s.Subscribe(PackagerPolicy)
			<-release
			return nil
		}})
		onAir(t, h, "a", obs)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		from := time.Now()
		require.ErrorIs(t, h.Shutdown(ctx), context.DeadlineExceeded)
		require.Equal(t, 10*time.Second, time.Since(from))
		close(release)
	})
}

func restorable(e *encoder) Restored {
	s := e.p.Session()
	return Restored{
		SessionID: s.ID(), Grant: s.Grant(), Start: s.Start(), MediaEnd: s.line.mediaEnd(),
		LastEpoch: s.epoch.ID, EpochIndex: s.epoch.Index, AwaySince: time.Now().Round(0), HadTracks: [2]bool{true, true},
	}
}

func TestARestartGoesOnWithTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		e := onAir(t, h, "a", obs).mustSend(9 * time.Second)
		r := restorable(e)
		require.NoError(t, h.Shutdown(t.Context()))
		time.Sleep(20 * time.Second)

		var rec recorder
		w := &witness{}
		h = running(t, Options{Run: rec.run, Observer: w})
		s, err := h.Restore(r)
		require.NoError(t, err)
		require.Equal(t, r.SessionID, s.Restored().SessionID)
		require.Equal(t, 30*time.Second, s.Now().Round(time.Second))
		require.Equal(t, StateReconnecting, state(h, "a"))
		require.Equal(t, 40*time.Second, time.Until(statusOf(h).ResumeUntil), "what was left of the window")
		_, err = h.Restore(r)
		require.Error(t, err)

		time.Sleep(10 * time.Second)
		e = onAir(t, h, "a", obs)
		require.Equal(t, r.SessionID, e.p.Session().ID())
		epoch := statusOf(h).Epoch
		require.Greater(t, epoch.ID, r.LastEpoch)
		require.Equal(t, 1, epoch.Index)
		require.Equal(t, 40*time.Second, epoch.Start.Round(time.Second))
		synctest.Wait()
		require.Equal(t, []EventKind{EventAway, EventEpoch, EventUnit}, kindsOf(rec.of(r.SessionID)))
		require.Equal(t, 1, w.count(SessionResumed))
		require.Zero(t, w.count(SessionStarted))
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}

func TestRestoreAfterTheWindowEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		r := restorable(onAir(t, h, "a", obs))
		require.NoError(t, h.Shutdown(t.Context()))
		time.Sleep(2 * time.Minute)
		var rec recorder
		h = running(t, Options{Run: rec.run})
		_, err := h.Restore(r)
		require.NoError(t, err)
		synctest.Wait()
		got := rec.of(r.SessionID)
		require.Equal(t, []EventKind{EventAway, EventEnd}, kindsOf(got))
		require.Equal(t, ReasonResumeTimeout, got[1].Reason)
		require.Equal(t, StateIdle, state(h, "a"))
		require.NotEqual(t, r.SessionID, onAir(t, h, "a", obs).p.Session().ID())
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}

func TestRestoreBehindAClockThatWentBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		end, last := 90*time.Second, time.Now().Add(2*time.Hour).UnixMilli()
		s, err := h.Restore(Restored{
			SessionID: "id", Grant: Grant{Stream: "a"}, Start: time.Now().Add(time.Hour), MediaEnd: end,
			LastEpoch: last, AwaySince: time.Now().Add(time.Hour),
		})
		require.NoError(t, err)
		require.Equal(t, end, s.Now(), "time does not go back")
		onAir(t, h, "a", obs)
		require.Greater(t, statusOf(h).Epoch.Start, end)
		require.Equal(t, last+1, statusOf(h).Epoch.ID, "last known + 1")
		require.NoError(t, h.End("a", ReasonEndedByOwner))
		for _, r := range []Restored{{}, {SessionID: "x"}, {SessionID: "x", Grant: Grant{Stream: "b"}}} {
			_, err := h.Restore(r)
			require.Error(t, err)
		}
	})
}
