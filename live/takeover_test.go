package live

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		w := &witness{}
		h := running(t, Options{Run: rec.run, Observer: w})
		old := onAir(t, h, "a", obs)
		id := old.p.Session().ID()
		e := connect(t, h, "a", ffmpeg)
		select {
		case <-old.p.Done():
		default:
			t.Fatal("the old one was not told")
		}
		require.Equal(t, ReasonReplaced, ReasonOf(old.p.Err()))
		require.Equal(t, ReasonReplaced, ReasonOf(old.p.Write(frame(old.from, old.n, true))))
		require.Equal(t, ReasonReplaced, ReasonOf(old.p.StartEpoch(videoOnly(), 0, time.Now(), "late")))
		old.p.Close(ReasonConnectionLost) // its front end hangs up: of no consequence
		require.Equal(t, StateReconnecting, state(h, "a"))
		e.start(videoOnly()).mustSend(time.Second)
		require.Equal(t, StateLive, state(h, "a"))
		require.Equal(t, id, e.p.Session().ID())
		status, _ := h.Lookup("a")
		require.EqualValues(t, 1, status.Takeovers)
		require.Equal(t, EpochReplaced, status.Epoch.Reason)
		require.Equal(t, "Lavf59", status.Encoder)
		require.Equal(t, 1, w.count(TakenOver))
		synctest.Wait()
		got := rec.of(id)
		require.Equal(t, []EventKind{EventEpoch, EventUnit, EventAway, EventEpoch, EventUnit}, kindsOf(got))
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}

func TestTwoEncodersThatReconnectByThemselvesDoNotFlip(t *testing.T) {
	for name, second := range map[string]Peer{"apart": ffmpeg, "behind one address": obs} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := running(t, Options{})
				auto := func(peer Peer, stop <-chan time.Time) (refused int) {
					for {
						select {
						case <-stop:
							return refused
						default:
						}
						p, err := h.Publish(t.Context(), "a", peer)
						if err != nil {
							require.Equal(t, ReasonTwoPublishers, ReasonOf(err))
							refused++
							time.Sleep(2 * time.Second)
							continue
						}
						e := &encoder{t: t, p: p}
						if p.StartEpoch(videoOnly(), 0, time.Now(), "test") == nil {
							_ = e.send(5*time.Minute + time.Second) // returns when replaced, or when the test is over
						}
						p.Close(ReasonConnectionLost)
						time.Sleep(2 * time.Second)
					}
				}
				stop := make(chan time.Time)
				time.AfterFunc(5*time.Minute, func() { close(stop) })
				done := make(chan int, 2)
				go func() { done <- auto(obs, stop) }()
				time.Sleep(500 * time.Millisecond)
				go func() { done <- auto(second, stop) }()
				time.Sleep(4*time.Minute + 30*time.Second)
				status, _ := h.Lookup("a")
				require.EqualValues(t, 1, status.Takeovers, "the first replacement is the last")
				require.Len(t, status.Alerts, 1)
				require.Equal(t, AlertTwoPublishers, status.Alerts[0].Code)
				require.Greater(t, <-done+<-done, 100)
			})
		})
	}
}

func TestReplacedEncoderMayReturn(t *testing.T) {
	for _, c := range []struct {
		name   string
		after  time.Duration
		holder func(*encoder)
		peer   Peer
		ok     bool
	}{
		{"at once", 5 * time.Second, func(e *encoder) { e.mustSend(5 * time.Second) }, obs, false},
		{"from another port", 5 * time.Second, func(e *encoder) { e.mustSend(5 * time.Second) }, Peer{"rtmp", "203.0.113.5:7777", "obs"}, false},
		{"after 30 s", 31 * time.Second, func(e *encoder) { e.mustSend(31 * time.Second) }, obs, true},
		{"while the holder is silent", 5 * time.Second, func(e *encoder) { e.mustSend(3 * time.Second); time.Sleep(2 * time.Second) }, obs, true},
		{"while nobody holds", 5 * time.Second, func(e *encoder) { e.mustSend(5 * time.Second); e.p.Close(ReasonConnectionLost) }, obs, true},
		{"another encoder there", 5 * time.Second, func(e *encoder) { e.mustSend(5 * time.Second) }, Peer{"rtmp", "203.0.113.5:7777", "vmix"}, true},
		{"the same elsewhere", 5 * time.Second, func(e *encoder) { e.mustSend(5 * time.Second) }, Peer{"rtmp", "203.0.113.6:1", "obs"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := running(t, Options{})
				onAir(t, h, "a", obs)
				c.holder(connect(t, h, "a", ffmpeg).start(videoOnly()))
				_, err := h.Publish(t.Context(), "a", c.peer)
				if c.ok {
					require.NoError(t, err)
					return
				}
				require.Equal(t, ReasonTwoPublishers, ReasonOf(err))
			})
		})
	}
}

func TestAfterThreeTakeoversTheHolderWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		peer := func(n int) Peer { return Peer{"rtmp", "198.51.100." + string(rune('1'+n)) + ":1", "obs"} }
		onAir(t, h, "a", peer(0))
		for n := 1; n <= 3; n++ {
			onAir(t, h, "a", peer(n))
		}
		_, err := h.Publish(t.Context(), "a", peer(4))
		require.Equal(t, ReasonTwoPublishers, ReasonOf(err))
		require.Len(t, statusOf(h).Alerts, 1)

		time.Sleep(2 * time.Second) // the holder is silent
		onAir(t, h, "a", peer(5)).mustSend(time.Minute)
		require.Empty(t, statusOf(h).Alerts, "the quarrel is over")
		onAir(t, h, "a", peer(6))
	})
}

func statusOf(h *Hub) Status {
	s, _ := h.Lookup("a")
	return s
}

func TestContestForgets(t *testing.T) {
	var c contest
	now := time.Now()
	for range 100 {
		now = now.Add(time.Second)
		c.tookOver(identity{now.String(), "obs"}, true, now)
	}
	require.LessOrEqual(t, len(c.replaced), maxReplaced)
	require.LessOrEqual(t, len(c.takeovers), 61)
	c.forget(now.Add(time.Hour))
	require.Empty(t, c.replaced)
	require.Empty(t, c.takeovers)
}

func TestReasons(t *testing.T) {
	seen := map[Reason]bool{}
	texts := map[string]bool{}
	for _, r := range Reasons() {
		require.False(t, seen[r], r)
		require.Regexp(t, `^[a-z]+(_[a-z]+)*$`, string(r))
		require.Regexp(t, `^[A-Z].*\.$`, r.Text())
		require.False(t, texts[r.Text()] && r != ReasonUnspecified, r)
		seen[r], texts[r.Text()] = true, true
	}
	for _, r := range []Reason{"publisher_stopped", "resume_timeout", "ended_by_owner", "ended_by_admin", "key_revoked", "stream_disabled", "policy_limit", "ingest_error", "server_shutdown"} {
		require.True(t, seen[r], "end_reason %s of the API", r)
	}
	require.True(t, ReasonPublisherStopped.Clean())
	require.False(t, ReasonConnectionLost.Clean())
	require.Equal(t, ClassError, Reason("made_up").Class())

	cause := errors.New("cause")
	err := Refuse(ReasonFrameTooLarge, cause)
	require.ErrorIs(t, err, cause)
	require.ErrorIs(t, err, Refuse(ReasonFrameTooLarge, nil))
	require.NotErrorIs(t, err, Refuse(ReasonReplaced, nil))
	require.Equal(t, "frame_too_large: cause", err.Error())
	require.Equal(t, ReasonUnspecified, ReasonOf(cause))
	require.Empty(t, ReasonOf(nil))

	require.Equal(t, "cause", Detail(err))
	require.Equal(t, "cause", Detail(cause))
	require.Empty(t, Detail(nil))
	require.Equal(t, []any{"reason", ReasonFrameTooLarge, "error", "cause"}, LogArgs(err), "what is the reason is not told twice")
	require.Equal(t, []any{"reason", ReasonReplaced}, LogArgs(Refuse(ReasonReplaced, nil)))
}

// TestAStreamThatAnotherNodeHasIsYielded: its publisher is told that it was replaced, and its session is over at once, without a resume window.
func TestAStreamThatAnotherNodeHasIsYielded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		w := &witness{}
		h := running(t, Options{Run: rec.run, Observer: w})
		require.Equal(t, ReasonNotLive, ReasonOf(h.Yield("a")))
		e := onAir(t, h, "a", obs)
		require.NoError(t, h.Yield("a"))
		require.Equal(t, ReasonReplaced, ReasonOf(e.p.Err()))
		require.Equal(t, StateIdle, state(h, "a"))
		require.Equal(t, 1, w.count(SessionEnded))
		require.Equal(t, ReasonNotLive, ReasonOf(h.Yield("a")))

		waiting := onAir(t, h, "a", ffmpeg) // and one whose publisher is away
		waiting.p.Close(ReasonConnectionLost)
		require.Equal(t, StateReconnecting, state(h, "a"))
		require.NoError(t, h.Yield("a"))
		require.Equal(t, StateIdle, state(h, "a"))

		connect(t, h, "a", ffmpeg) // and one that has sent nothing yet
		require.NoError(t, h.Yield("a"))
		require.Equal(t, StateIdle, state(h, "a"))
	})
}

// TestACutSaysWhy: the notice of the publisher that was cut has the sentence, whether it was on air yet or not.
func TestACutSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &witness{}
		h := running(t, Options{Observer: w})
		onAir(t, h, "a", obs)
		connect(t, h, "b", obs)
		for _, name := range []string{"a", "b"} {
			require.NoError(t, h.Cut(name, ReasonKeyRevoked, "of "+name))
		}
		var told []string
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, n := range w.notices {
			if n.Kind == PublisherClosed {
				told = append(told, string(n.Reason)+" "+n.Detail)
			}
		}
		require.Equal(t, []string{"key_revoked of a", "key_revoked of b"}, told)
	})
}

// TestEpochsAfterTheFirstOfAPublisherKeepTheirReason: why they began it knows best.
func TestEpochsAfterTheFirstOfAPublisherKeepTheirReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		onAir(t, h, "a", obs).p.Close(ReasonConnectionLost)
		e := onAir(t, h, "a", obs)
		require.Equal(t, EpochReconnected, statusOf(h).Epoch.Reason)
		e.start(videoOnly())
		require.Equal(t, "test", statusOf(h).Epoch.Reason)
	})
}
