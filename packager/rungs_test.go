package packager

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
	"mediad/packager/playlist"
)

// rung stands for what an encoder makes of the source's pictures: the same, each some time later.
type rung struct {
	media.Rung
	lag   time.Duration
	gone  func(at time.Duration) bool // tells which pictures are not made
	epoch int64
	queue []media.AccessUnit
	lost  bool
	own   bool        // its key frames come each 2 s, wherever the source's are
	made  int         // pictures since the last of them
	ready func() bool // it is started when that holds; nil: with the epoch
	video *media.Track
}

func ladder(lags ...time.Duration) (plan media.Plan, rungs []*rung) {
	for i, lag := range lags {
		r := &rung{Rung: media.Rung{Name: fmt.Sprint(720-i*240, "p"), Width: 640, Height: 360, Bitrate: 900_000}, lag: lag}
		plan.Rungs = append(plan.Rungs, r.Rung)
		rungs = append(rungs, r)
	}
	return plan, rungs
}

func (r *rung) tell(a *air, e media.Encoded) {
	e.Rung, e.Epoch = r.Name, r.epoch
	require.NoError(a.t, a.streams.Encoded(context.Background(), a.id, e))
}

func (r *rung) begin(a *air, video *media.Track) {
	r.queue, r.epoch, r.lost, r.made, r.video = nil, a.lastID, true, 0, video
	if video != nil && r.ready == nil {
		r.tell(a, media.Encoded{Kind: media.EncodedTrack, Track: mediatest.H264Track(640, 360, video.FrameRate.Num, video.FrameRate.Den)})
	}
}

func (r *rung) take(u media.AccessUnit) {
	r.queue = append(r.queue, u)
	slices.SortStableFunc(r.queue, func(x, y media.AccessUnit) int { return int(x.PTS - y.PTS) })
}

func (r *rung) deliver(a *air) {
	if r.ready != nil && r.video != nil {
		if !r.ready() {
			return
		}
		r.tell(a, media.Encoded{Kind: media.EncodedTrack, Track: mediatest.H264Track(640, 360, 30, 1)})
		r.video = nil
	}
	for len(r.queue) > 0 {
		u := r.queue[0]
		at := media.VideoTimescale.Duration(u.PTS)
		if a.start.Add(at + r.lag).After(a.now) {
			return
		}
		r.queue = r.queue[1:]
		if r.own {
			u.RandomAccess = r.made%60 == 0 || r.lost
			if r.made++; u.RandomAccess {
				r.made = 1
			}
		}
		if r.gone != nil && r.gone(at) || r.lost && !u.RandomAccess {
			r.lost = true
			continue
		}
		r.lost = false
		u.DTS, u.Disposable, u.OpenGOP = u.PTS, false, false
		r.tell(a, media.Encoded{Kind: media.EncodedUnit, Unit: u})
	}
}

func TestLadderIsShownWithTheFirstPlaylist(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	plan, rungs := ladder(150*time.Millisecond, 300*time.Millisecond)
	a := newAir(t, Options{Plan: func(*live.Session, *media.Track, bool) media.Plan { return plan }})
	a.rungs = rungs
	a.epoch(0, tr)
	a.units(tr, broadcast(tr, 9, mediatest.VideoPattern{GOP: 30, BFrames: 2}), 0)
	doc, ok := a.stream.Multivariant(false)
	require.True(t, ok)
	text := string(doc.Plain)
	require.Equal(t, 3, strings.Count(text, "#EXT-X-STREAM-INF:"), "source and two rungs:\n%s", text)
	var names []string
	for _, v := range a.stream.Variants() {
		names = append(names, v.Name)
	}
	require.Equal(t, []string{sourceName, "720p", "480p", audioName}, names)
	for _, want := range []string{"720p/index.m3u8", "480p/index.m3u8", "RESOLUTION=640x360"} {
		require.Contains(t, text, want)
	}
	for _, name := range []string{sourceName, "720p", "480p"} {
		var reported []string
		for _, r := range a.seen[name].window.Spec().Reports {
			reported = append(reported, r.Rendition)
		}
		require.Len(t, reported, 3, "%s reports on all others", name)
	}
	require.Equal(t, a.seen[sourceName].window.Spec().Segments[0].MSN, a.seen["720p"].window.Spec().Segments[0].MSN)
	a.end()
	a.together()
}

func TestStreamIsShownWithoutARungThatDoesNotCome(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	plan, rungs := ladder(150*time.Millisecond, time.Hour)
	a := newAir(t, Options{Plan: func(*live.Session, *media.Track, bool) media.Plan { return plan }})
	a.rungs = rungs
	a.epoch(0, tr)
	a.units(tr, broadcast(tr, 9, mediatest.VideoPattern{GOP: 30}), 0)
	doc, ok := a.stream.Multivariant(false)
	require.True(t, ok)
	require.Contains(t, string(doc.Plain), "720p/index.m3u8")
	require.NotContains(t, string(doc.Plain), "480p/index.m3u8")
	a.end()
}

func TestShedRungLeavesTheMultivariantAndComesBack(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	plan, rungs := ladder(150*time.Millisecond, 150*time.Millisecond)
	a := newAir(t, Options{Plan: func(*live.Session, *media.Track, bool) media.Plan { return plan }})
	a.rungs = rungs
	listed := func() bool {
		doc, ok := a.stream.Multivariant(false)
		require.True(t, ok)
		return strings.Contains(string(doc.Plain), "720p/index.m3u8")
	}
	units := broadcast(tr, 30, mediatest.VideoPattern{GOP: 30})
	a.epoch(0, tr)
	third := len(units) / 3
	a.units(tr, units[:third], 0)
	require.True(t, listed())
	rungs[0].gone = func(time.Duration) bool { return true }
	rungs[0].tell(a, media.Encoded{Kind: media.EncodedShed})
	a.units(tr, units[third:2*third], 0)
	require.False(t, listed())
	_, ok := a.stream.Rendition("720p")
	require.True(t, ok, "those who play it are told of gaps")
	shed := string(a.seen["720p"].window.Render(playlist.SkipNo, false))
	require.Contains(t, shed, "#EXT-X-GAP")
	require.NotContains(t, shed, "#EXT-X-PART:", "hls.js does not look beyond the last part")
	rungs[0].gone = nil
	rungs[0].tell(a, media.Encoded{Kind: media.EncodedRestore})
	a.units(tr, units[2*third:2*third+third/3], 0)
	require.False(t, listed(), "Video.js begins further back, and never again takes a rung in which it met a gap")
	a.units(tr, units[2*third+third/3:], 0)
	require.True(t, listed())
	a.end()
	a.together()
	some := false
	for _, s := range a.seen["720p"].window.Spec().Segments {
		some = some || s.Gap
		require.False(t, s.Discontinuity)
	}
	require.True(t, some)
	for _, s := range a.seen[sourceName].window.Spec().Segments {
		require.False(t, s.Gap)
	}
}

func TestUnitsOfAnEpochThatIsToComeWait(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	plan, rungs := ladder(0)
	a := newAir(t, Options{Plan: func(*live.Session, *media.Track, bool) media.Plan { return plan }})
	units := broadcast(tr, 5, mediatest.VideoPattern{GOP: 30})
	rungs[0].epoch = max(a.lastID+1, a.now.UnixMilli())
	rungs[0].tell(a, media.Encoded{Kind: media.EncodedTrack, Track: mediatest.H264Track(640, 360, 30, 1)})
	for _, u := range units {
		if u.Kind == media.Video {
			rungs[0].tell(a, media.Encoded{Kind: media.EncodedUnit, Unit: u})
		}
	}
	a.epoch(0, tr)
	a.rungs = rungs
	a.units(tr, units, 0)
	require.Positive(t, len(a.seen["720p"].window.Spec().Segments[0].Parts))
	a.end()
}

func TestEncoderThatIsTooFarAheadWaits(t *testing.T) {
	a := newAir(t, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	for ; n < maxFed; n++ {
		require.NoError(t, a.streams.Encoded(ctx, a.id, media.Encoded{Kind: media.EncodedUnit, Epoch: 1}))
	}
	stopped := make(chan error)
	go func() {
		stopped <- a.streams.Encoded(context.Background(), a.id, media.Encoded{Kind: media.EncodedUnit, Epoch: 1})
	}()
	cancel()
	require.ErrorIs(t, a.streams.Encoded(ctx, a.id, media.Encoded{Kind: media.EncodedUnit, Epoch: 1}), context.Canceled)
	a.streams.closeFeed(a.id)
	require.ErrorIs(t, <-stopped, ErrNotRunning)
	require.ErrorIs(t, a.streams.Encoded(context.Background(), a.id, media.Encoded{}), ErrNotRunning)
}

func TestEveryReloadOfRungsKeepsTheRules(t *testing.T) {
	n := 25
	if testing.Short() {
		n = 10
	}
	for seed := range uint64(n) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 8))
			plan, rungs := ladder(time.Duration(r.IntN(1500))*time.Millisecond, time.Duration(r.IntN(500))*time.Millisecond)
			a := newAir(t, Options{
				Window: time.Duration(10+r.IntN(40)) * time.Second, DVR: time.Duration(60+r.IntN(60)) * time.Second,
				Plan: func(*live.Session, *media.Track, bool) media.Plan { return plan },
			})
			a.rungs = rungs
			at := time.Duration(0)
			for range 1 + r.IntN(4) {
				from := at + time.Duration(r.IntN(15_000))*time.Millisecond
				to := from + time.Duration(r.IntN(9000))*time.Millisecond
				rungs[0].gone = func(at time.Duration) bool { return at > from && at < to }
				if r.IntN(3) == 0 {
					rungs[1].tell(a, media.Encoded{Kind: []media.EncodedKind{media.EncodedShed, media.EncodedRestore}[r.IntN(2)]})
				}
				at = randomEpoch(r, a, at)
				if r.IntN(2) == 0 {
					a.away()
					at += time.Duration(r.IntN(40000)) * time.Millisecond
				}
			}
			a.end()
			a.together()
		})
	}
}

func TestRungsOutliveACrashAtAnyRecordOfTheJournal(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	plan, rungs := ladder(400*time.Millisecond, 900*time.Millisecond)
	asked := 0
	o := Options{Plan: func(_ *live.Session, _ *media.Track, lead bool) media.Plan {
		if !lead {
			asked++
		}
		return plan
	}}
	a := newAir(t, o)
	a.rungs = rungs
	first := broadcast(tr, 8, mediatest.VideoPattern{GOP: 30, BFrames: 1})
	a.epoch(0, tr)
	a.units(tr, first, 0)
	a.away()
	a.epoch(12*time.Second, tr)
	a.units(tr, first[:150], 12*time.Second)
	left := objects(t, a.store)
	key := journalKey("demo", a.stream.journal.n)
	journal := left[key]

	step := 2999
	if testing.Short() {
		step = 9973
	}
	for cut := 0; cut <= len(journal); cut += step {
		left[key] = journal[:cut]
		b := &air{t: t, now: a.now, start: a.start, seen: make(map[string]*viewer), streams: a.streams, id: a.id, lastID: a.lastID}
		_, again := ladder(0, 0)
		b.rungs = again
		restored := b.restart(storeOf(t, left))
		b.look()
		b.together()
		if len(restored) == 1 && b.session.plan != nil {
			require.Equal(t, plan, *b.session.plan)
			b.session.feed = b.streams.openFeed(b.id, func() {})
			b.session.feed.name(&plan)
			at := restored[0].MediaEnd + 3*time.Second
			b.epoch(at, tr)
			b.units(tr, first, at)
			b.end()
			b.together()
			if v := b.seen["720p"]; v != nil && b.seen[sourceName] != nil {
				require.Equal(t, b.seen[sourceName].window.LastMSN(), v.window.LastMSN())
			}
		}
		b.streams.Close()
		require.False(t, t.Failed(), "journal cut at byte %d of %d", cut, len(journal))
	}
	require.Equal(t, 1, asked, "a plan is made once")
}

func TestPlansAreChecked(t *testing.T) {
	for _, name := range []string{"source", "audio", "", "a/b", "..", "A"} {
		require.NotEmpty(t, checkPlan(media.Plan{Rungs: []media.Rung{{Name: name}}}), name)
	}
	require.NotEmpty(t, checkPlan(media.Plan{Rungs: []media.Rung{{Name: "a"}, {Name: "a"}}}))
	require.NotEmpty(t, checkPlan(media.Plan{Rungs: make([]media.Rung, 7)}))
	require.Empty(t, checkPlan(media.Plan{Rungs: []media.Rung{{Name: "720p"}, {Name: "480p"}}}))
}

// After a restart nothing may be encoded any more: whoever plays a rung is told of gaps and leaves it.
func TestRungThatNobodyEncodesAfterARestartIsAGap(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	plan, rungs := ladder(100 * time.Millisecond)
	a := newAir(t, Options{Plan: func(*live.Session, *media.Track, bool) media.Plan { return plan }})
	a.rungs = rungs
	film := broadcast(tr, 8, mediatest.VideoPattern{GOP: 30})
	a.epoch(0, tr)
	a.units(tr, film, 0)
	b := &air{t: t, now: a.now, start: a.start, seen: make(map[string]*viewer), streams: a.streams, id: a.id, lastID: a.lastID}
	restored := b.restart(storeOf(t, objects(t, a.store)))
	require.Len(t, restored, 1)
	defer b.streams.Close()
	had := mustRendition(t, b.stream, "720p").Window().LastMSN()
	at := restored[0].MediaEnd + 3*time.Second
	b.epoch(at, tr)
	b.units(tr, film, at)
	w := mustRendition(t, b.stream, "720p").Window()
	require.Greater(t, w.LastMSN(), had+1)
	segs := w.Spec().Segments
	require.True(t, segs[len(segs)-1].Gap)
	doc, ok := b.stream.Multivariant(false)
	require.True(t, ok)
	require.NotContains(t, string(doc.Plain), "720p")
	b.end()
}
