package packager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
	"mediad/packager/playlist"
	"mediad/store/blob/memory"
)

var thirty = media.Rational{Num: 30, Den: 1}

// leadOf is a plan with a rung in front that has the source's size.
func leadOf(p media.Plan) media.Plan {
	own := media.Rung{Name: "own", Width: 1280, Height: 720, FrameRate: thirty, Bitrate: 2_500_000}
	return media.Plan{Rungs: append([]media.Rung{own}, p.Rungs...), Leads: true}
}

// leading is an air whose session may be led by a rung, which is encoded with the given lag once it is to be, like the others.
func leading(t testing.TB, lag time.Duration, o Options) *air {
	plan, rungs := ladder(lag, lag)
	led := leadOf(plan)
	o.Plan = func(_ *live.Session, _ *media.Track, lead bool) media.Plan {
		if lead {
			return led
		}
		return plan
	}
	a := newAir(t, o)
	a.rungs = append([]*rung{{Rung: led.Rungs[0], lag: lag}}, rungs...)
	for _, r := range a.rungs {
		r.own, r.ready = true, func() bool { return a.session.leads() }
	}
	return a
}

func (a *air) led(t testing.TB) {
	t.Helper()
	require.Nil(t, a.seen[sourceName])
	v := a.seen["own"]
	require.NotNil(t, v)
	for _, other := range []string{audioName, "720p", "480p"} {
		require.NotNil(t, a.seen[other], other)
		a.sameSegments(v, a.seen[other])
	}
}

func TestLongOrOpenGOPsAreShownByRungsAlone(t *testing.T) {
	for name, pattern := range map[string]mediatest.VideoPattern{
		"8 s":       {GOP: 240, BFrames: 2},
		"endless":   {GOP: 100000},
		"open, 2 s": {GOP: 60, BFrames: 2, OpenGOP: true},
	} {
		for _, lag := range []time.Duration{60 * time.Millisecond, 900 * time.Millisecond} {
			t.Run(fmt.Sprint(name, lag), func(t *testing.T) {
				tr := tracks(thirty, 48000)
				a := leading(t, lag, Options{})
				base := a.session.base
				a.epoch(0, tr)
				shown := time.Duration(0)
				for _, u := range broadcast(tr, 14, pattern) {
					a.units(tr, []media.AccessUnit{u}, 0)
					if _, ok := a.streams.Stream("demo"); ok && shown == 0 {
						shown = tr[u.Kind].Timescale.Duration(u.DTS)
					}
				}
				require.Less(t, shown, 5*time.Second)
				doc, ok := a.stream.Multivariant(false)
				require.True(t, ok)
				text := string(doc.Plain)
				require.NotContains(t, text, sourceName)
				require.Equal(t, 3, strings.Count(text, "RESOLUTION="), text)
				require.Contains(t, text, "own/index.m3u8")
				var names []string
				for _, v := range a.stream.Variants() {
					names = append(names, v.Name)
					require.Positive(t, v.Average)
				}
				require.Equal(t, []string{"own", "720p", "480p", audioName}, names)
				a.led(t)
				for _, name := range []string{"own", "720p", "480p"} {
					spec := a.seen[name].window.Spec()
					require.True(t, spec.Independent)
					require.Equal(t, 2, spec.Config.Target)
					require.Equal(t, base, spec.Segments[0].MSN, "nobody saw what the source would have been")
					require.Equal(t, testStart, spec.Segments[0].ProgramDate)
					for _, s := range spec.Segments {
						require.True(t, s.Independent && !s.Gap)
						require.Equal(t, 2*time.Second, s.Duration)
						require.Greater(t, len(s.Parts), 8)
					}
				}
				require.Zero(t, a.session.stats.Filled)
				require.Zero(t, a.session.stats.Encoded)
				a.end()
				a.led(t)
				if pattern.GOP == 240 {
					require.Equal(t, 8*time.Second, a.stream.longestGOP)
				}
			})
		}
	}
}

// What a session knows of the source's GOPs, the stream's next one begins with.
func TestTheNextSessionIsLedAtOnce(t *testing.T) {
	tr := tracks(thirty, 48000)
	a := leading(t, 60*time.Millisecond, Options{})
	a.blind = true
	next := func(id string, gop int) {
		a.epoch(0, tr)
		a.units(tr, broadcast(tr, 20, mediatest.VideoPattern{GOP: gop}), 0)
		a.end()
		a.streams.closeFeed(a.id)
		a.id = id
		a.session = a.stream.newSession(a.id, live.Grant{StreamID: "1", Stream: "demo", KeyID: "k"}, a.start)
		a.session.ctx = context.Background()
		a.session.feed = a.streams.openFeed(a.id, func() {})
	}
	next("s2", 240)
	a.epoch(0, tr)
	require.True(t, a.session.leads(), "before anything has come")
	next("s3", 60)
	require.Equal(t, 2*time.Second, a.stream.longestGOP)
	a.epoch(0, tr)
	require.False(t, a.session.leads())
	a.end()
}

func TestSourceThatHLSDoesNotCarryIsShownByItsRungs(t *testing.T) {
	tr := tracks(thirty, 48000)
	tr[media.Video] = &media.Track{Kind: media.Video, Codec: media.VP8, Timescale: media.VideoTimescale, Width: 1280, Height: 720}
	tr[media.Video].FrameRate = thirty
	a := leading(t, 100*time.Millisecond, Options{Unshown: func(*live.Session, int64) { t.Error("a rung is shown") }})
	a.epoch(0, tr)
	require.True(t, a.session.leads())
	a.units(tr, broadcast(tr, 9, mediatest.VideoPattern{GOP: 30}), 0)
	a.led(t)
	doc, ok := a.stream.Multivariant(false)
	require.True(t, ok)
	require.NotContains(t, string(doc.Plain), sourceName)
	// The publisher comes back with what HLS carries; renditions are constants of the session.
	a.away()
	a.epoch(12*time.Second, tracks(thirty, 48000))
	a.units(tracks(thirty, 48000), broadcast(tr, 5, mediatest.VideoPattern{GOP: 30}), 12*time.Second)
	a.end()
	a.led(t)
	require.Zero(t, a.session.stats.Filled)
}

func TestSourceThatHLSDoesNotCarryHasSoundWithoutALadder(t *testing.T) {
	tr := tracks(thirty, 48000)
	tr[media.Video] = &media.Track{Kind: media.Video, Codec: media.VP8, Timescale: media.VideoTimescale, Width: 1280, Height: 720}
	tr[media.Video].FrameRate = thirty
	var unshown []int64
	a := newAir(t, Options{Unshown: func(_ *live.Session, epoch int64) { unshown = append(unshown, epoch) }})
	a.epoch(0, tr)
	a.units(tr, broadcast(tr, 9, mediatest.VideoPattern{GOP: 30}), 0)
	require.Nil(t, a.seen[sourceName])
	require.NotNil(t, a.seen[audioName])
	require.Equal(t, []int64{a.lastID}, unshown, "the streamer is told")
	a.end()
}

// Without a ladder the source stays, whatever its GOPs are; so it does where they become long while it is watched.
func TestLongGOPsStayTheSourceWhereTheyMust(t *testing.T) {
	tr := tracks(thirty, 48000)
	a := newAir(t, Options{})
	a.epoch(0, tr)
	a.units(tr, broadcast(tr, 9, mediatest.VideoPattern{GOP: 240}), 0)
	require.NotNil(t, a.seen[sourceName])
	require.False(t, a.seen[sourceName].window.Spec().Independent)
	a.end()

	a = leading(t, 60*time.Millisecond, Options{})
	for _, r := range a.rungs {
		r.ready = func() bool { return false }
	}
	a.epoch(0, tr)
	a.units(tr, broadcast(tr, 9, mediatest.VideoPattern{GOP: 30}), 0)
	require.NotNil(t, a.seen[sourceName])
	a.away()
	a.epoch(10*time.Second, tr)
	a.units(tr, broadcast(tr, 12, mediatest.VideoPattern{GOP: 240}), 10*time.Second)
	require.False(t, a.session.leads())
	a.end()
}

// A ladder changes nothing for a source that can be cut: the first playlist comes with the same unit.
func TestFirstPlaylistOfAGoodSourceDoesNotWaitForTheVerdict(t *testing.T) {
	tr := tracks(thirty, 48000)
	for _, gop := range []int{15, 30, 45, 60, 90} {
		var at [2]int
		for i := range at {
			a := leading(t, 0, Options{})
			if i == 0 {
				a = newAir(t, Options{})
			}
			a.rungs = nil
			a.epoch(0, tr)
			if i == 1 {
				p := media.Plan{} // only the verdict is of interest here, not what is encoded
				a.session.plan = &p
			}
			for n, u := range broadcast(tr, 9, mediatest.VideoPattern{GOP: gop}) {
				a.units(tr, []media.AccessUnit{u}, 0)
				if _, ok := a.streams.Stream("demo"); ok {
					at[i] = n
					break
				}
			}
			require.False(t, a.session.leads())
			a.end()
		}
		require.Positive(t, at[0])
		require.Equal(t, at[0], at[1], "GOP of %d pictures", gop)
	}
}

func TestSourceIsShownWhereNothingComesOfTheLead(t *testing.T) {
	tr := tracks(thirty, 48000)
	a := leading(t, time.Hour, Options{})
	base := a.session.base
	a.epoch(0, tr)
	a.units(tr, broadcast(tr, 30, mediatest.VideoPattern{GOP: 240}), 0)
	v := a.seen[sourceName]
	require.NotNil(t, v)
	require.Equal(t, base, v.window.Spec().Segments[0].MSN)
	require.Equal(t, testStart.Add(16*time.Second), v.window.Spec().Segments[0].ProgramDate, "from a key frame on")
	require.Nil(t, a.seen["own"])
	a.end()
	a.together()
}

func TestLeadOutlivesACrashAtAnyRecordOfTheJournal(t *testing.T) {
	tr := tracks(thirty, 48000)
	a := leading(t, 300*time.Millisecond, Options{})
	first := broadcast(tr, 9, mediatest.VideoPattern{GOP: 240, BFrames: 1})
	a.epoch(0, tr)
	a.units(tr, first, 0)
	a.away()
	a.epoch(12*time.Second, tr)
	a.units(tr, first[:250], 12*time.Second)
	require.True(t, a.session.leads())
	left := objects(t, a.store)
	key := journalKey("demo", a.stream.journal.n)
	journal := left[key]
	step := 2999
	if testing.Short() {
		step = 9973
	}
	led := 0
	for cut := 0; cut <= len(journal); cut += step {
		left[key] = journal[:cut]
		b := &air{t: t, now: a.now, start: a.start, seen: make(map[string]*viewer), streams: a.streams, id: a.id, lastID: a.lastID}
		for _, r := range a.rungs {
			b.rungs = append(b.rungs, &rung{Rung: r.Rung, lag: r.lag, own: true, ready: func() bool { return b.session.leads() }})
		}
		restored := b.restart(storeOf(t, left))
		b.look()
		if len(restored) == 1 && b.session.plan != nil {
			b.session.feed = b.streams.openFeed(b.id, func() {})
			b.session.feed.name(b.session.plan)
			at := max(restored[0].MediaEnd+3*time.Second, b.now.Sub(b.start))
			b.epoch(at, tr)
			b.units(tr, first, at)
			b.end()
			b.led(t)
			require.Equal(t, b.seen["own"].window.LastMSN(), b.seen["720p"].window.LastMSN())
			require.True(t, b.seen["own"].window.Spec().Independent)
			led++
		}
		b.streams.Close()
		require.False(t, t.Failed(), "journal cut at byte %d of %d", cut, len(journal))
	}
	require.Positive(t, led)
}

// A restart without anybody who encodes: sound goes on, and those who play are told of gaps.
func TestLeadThatNobodyEncodesAfterARestartIsAGap(t *testing.T) {
	tr := tracks(thirty, 48000)
	a := leading(t, 100*time.Millisecond, Options{})
	film := broadcast(tr, 12, mediatest.VideoPattern{GOP: 240})
	a.epoch(0, tr)
	a.units(tr, film, 0)
	b := &air{t: t, now: a.now, start: a.start, seen: make(map[string]*viewer), streams: a.streams, id: a.id, lastID: a.lastID}
	restored := b.restart(storeOf(t, objects(t, a.store)))
	require.Len(t, restored, 1)
	defer b.streams.Close()
	had := mustRendition(t, b.stream, "own").Window().LastMSN()
	at := restored[0].MediaEnd + 3*time.Second
	b.epoch(at, tr)
	b.units(tr, film, at)
	w := mustRendition(t, b.stream, "own").Window()
	require.Greater(t, w.LastMSN(), had+1)
	segs := w.Spec().Segments
	require.True(t, segs[len(segs)-1].Gap)
	sound := mustRendition(t, b.stream, audioName).Window().Spec().Segments
	require.False(t, sound[len(sound)-1].Gap)
	_ = w.Render(playlist.SkipNo, false)
	b.end()
}

// relabel is an encoder that hands the source's pictures on as those of all rungs, with key frames of its own.
type relabel struct {
	mu      sync.Mutex
	streams *Streams
	plans   []media.Plan
	running int
}

func (e *relabel) encode(ctx context.Context, s *live.Session, plan media.Plan) error {
	e.mu.Lock()
	e.plans = append(e.plans, plan)
	e.running++
	twice := e.running > 1
	e.mu.Unlock()
	sub := s.Subscribe(live.EncoderPolicy)
	defer sub.Close()
	err := e.pass(ctx, s.ID(), plan, sub)
	if !plan.Leads { // what the encoder that is given up still tells
		_ = e.streams.Encoded(context.Background(), s.ID(), media.Encoded{Kind: media.EncodedUnit, Rung: "480p", Epoch: -1})
	}
	e.mu.Lock()
	e.running--
	e.mu.Unlock()
	if twice {
		return errors.New("two encoders of one session")
	}
	return err
}

func (e *relabel) pass(ctx context.Context, session string, plan media.Plan, sub *live.Subscriber) error {
	n := 0
	for {
		ev, err := sub.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if ev.Kind != live.EventEpoch && ev.Kind != live.EventUnit {
			continue
		}
		for _, r := range plan.Rungs {
			m := media.Encoded{Rung: r.Name, Epoch: ev.Epoch.ID}
			switch {
			case ev.Kind == live.EventEpoch:
				m.Kind, m.Track = media.EncodedTrack, mediatest.H264Track(640, 360, 30, 1)
			case ev.Kind == live.EventUnit && ev.Unit.Kind == media.Video:
				m.Kind, m.Unit = media.EncodedUnit, ev.Unit
				m.Unit.RandomAccess = n%60 == 0
			default:
				continue
			}
			if err := e.streams.Encoded(ctx, session, m); err != nil {
				return err
			}
		}
		if ev.Kind == live.EventUnit && ev.Unit.Kind == media.Video {
			n++
		}
	}
}

// TestOneEncoderAfterTheOther: the one of the first plan is gone before the lead's begins, which has the source's last key frame.
func TestOneEncoderAfterTheOther(t *testing.T) {
	plan, _ := ladder(0)
	e := &relabel{}
	s := NewStreams(Options{
		Blobs: memory.New(memory.Options{MaxBytes: 1 << 30}), Encode: e.encode, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Plan: func(_ *live.Session, _ *media.Track, lead bool) media.Plan {
			if lead {
				return leadOf(plan)
			}
			return plan
		},
	})
	e.streams = s
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	h := live.NewHub(live.Options{Authorizer: anyone{}, Run: s.Run, LastEpoch: s.LastEpoch, Log: log})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = h.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	p, err := h.Publish(ctx, "demo", live.Peer{Protocol: "test"})
	require.NoError(t, err)
	tr := tracks(thirty, 48000)
	require.NoError(t, p.StartEpoch(tr, 0, time.Now(), "test"))
	units := broadcast(tr, 600, mediatest.VideoPattern{GOP: 100000})
	n := 0
	testx.WaitFor(t, "the stream", func() bool {
		if n < 300 { // 3.5 s of both are enough to know
			for range 10 {
				require.NoError(t, p.Write(units[n]))
				n++
			}
			return false
		}
		e.mu.Lock()
		led := len(e.plans) == 2
		e.mu.Unlock()
		if led {
			require.NoError(t, p.Write(units[n]))
			n++
		}
		_, ok := s.Stream("demo")
		return ok
	})
	st, _ := s.Stream("demo")
	doc, ok := st.Multivariant(false)
	require.True(t, ok)
	require.Contains(t, string(doc.Plain), "own/index.m3u8")
	require.NotContains(t, string(doc.Plain), sourceName)
	require.True(t, e.plans[1].Leads)
	own := mustRendition(t, st, "own").Window().Spec()
	require.True(t, own.Independent)
	require.NoError(t, h.End("demo", live.ReasonEndedByOwner))
	testx.WaitFor(t, "the end", func() bool { return mustRendition(t, st, "own").Window().Spec().Ended })
	require.Len(t, e.plans, 2)
}
