package cut

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
)

// encoder stands for what makes a rung of the source's pictures: the same pictures in the order in which they are shown, each some
// time after the source's, with key frames where the source has them.
type encoder struct {
	lag func(i int) time.Duration
	// gone tells which pictures are not made; what follows begins with a key frame.
	gone func(at time.Duration) bool
}

type encodedUnit struct {
	u  media.AccessUnit
	at time.Duration // when it comes, on the clock of the source's decode times
}

func (e *encoder) encode(s scene) (out []encodedUnit) {
	var shown []media.AccessUnit
	for _, u := range s.units {
		if u.Kind == media.Video {
			shown = append(shown, u)
		}
	}
	came := make(map[media.Ticks]media.Ticks) // DTS by PTS
	for _, u := range shown {
		came[u.PTS] = u.DTS
	}
	slices.SortStableFunc(shown, func(x, y media.AccessUnit) int { return int(x.PTS - y.PTS) })
	first := slices.IndexFunc(shown, func(u media.AccessUnit) bool { return u.RandomAccess })
	if first < 0 {
		return nil
	}
	lost := true
	var newest time.Duration
	for i, u := range shown[first:] {
		at := media.VideoTimescale.Duration(u.PTS)
		if e.gone != nil && e.gone(at) || lost && !u.RandomAccess {
			lost = true
			continue
		}
		lost = false
		d := u.Duration
		u.DTS, u.Disposable, u.OpenGOP = u.PTS, false, false
		u.Duration = d
		newest = max(newest, media.VideoTimescale.Duration(came[u.PTS])+e.lag(i))
		out = append(out, encodedUnit{u, newest})
	}
	return out
}

// event is something that happens to the encoder at a time of the source.
type event struct {
	at time.Duration
	do func(c *Cutter)
}

// runRungs cuts one epoch with one rung an encoder.
func runRungs(t testing.TB, s scene, start time.Duration, c *Cutter, encoders []*encoder, events []event) {
	t.Helper()
	look := func() {}
	if h, ok := c.sink.(*hinted); ok {
		look = func() { h.look(c) }
	}
	c.Begin(start, tracksOf(s))
	queues := make([][]encodedUnit, len(encoders))
	for i, e := range encoders {
		c.Track(FirstRung+Line(i), s.video)
		queues[i] = e.encode(s)
	}
	var now time.Duration
	deliver := func() {
		for i := range queues {
			for len(queues[i]) > 0 && queues[i][0].at < now {
				c.Encoded(FirstRung+Line(i), queues[i][0].u)
				look()
				queues[i] = queues[i][1:]
			}
		}
		for len(events) > 0 && events[0].at < now {
			events[0].do(c)
			look()
			events = events[1:]
		}
	}
	for _, u := range s.units {
		scale := media.VideoTimescale
		if u.Kind == media.Audio {
			scale = s.audio.Timescale
		}
		now = max(now, scale.Duration(u.DTS))
		deliver()
		c.Push(u)
		look()
	}
	now += 200 * time.Millisecond // what the encoder has at the end, as far as that is waited for
	deliver()
	c.Close()
}

// side checks that rungs have the segments of the source.
func (j *judge) side(rungs int, tolerance time.Duration) {
	v := j.segments[media.Video]
	for l := FirstRung; l < FirstRung+Line(rungs); l++ {
		r := j.segments[l]
		require.NotEmpty(j.t, r, "line %d", l)
		require.Equal(j.t, v[len(v)-1].Seq, r[len(r)-1].Seq, "line %d", l)
		v := v[len(v)-len(r):]
		for i := range r {
			require.Equal(j.t, v[i].Seq, r[i].Seq)
			require.Equal(j.t, v[i].Discontinuity, r[i].Discontinuity, "line %d, segment %d", l, r[i].Seq)
			off := media.VideoTimescale.Duration(r[i].Start - v[i].Start)
			require.LessOrEqual(j.t, off.Abs(), tolerance, "line %d, segment %d of %d", l, r[i].Seq, v[len(v)-1].Seq)
		}
	}
}

func gaps(segs []Segment) (out []int64) {
	for _, s := range segs {
		if s.Gap {
			out = append(out, s.Seq)
		}
	}
	return out
}

func steadily(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }

func TestRungHasTheSegmentsAndPartsOfTheSource(t *testing.T) {
	for _, fps := range []media.Rational{{Num: 30, Den: 1}, {Num: 30000, Den: 1001}, {Num: 24000, Den: 1001}, {Num: 60, Den: 1}} {
		for _, gop := range []int{30, 48, 250} {
			t.Run(fmt.Sprint(fps, gop), func(t *testing.T) {
				s := simple(fps, 20, gop, 0)
				j := newJudge(t, s)
				c := New(Config{Rungs: 2}, j)
				runRungs(t, s, 0, c, []*encoder{{lag: steadily(60 * time.Millisecond)}, {lag: steadily(700 * time.Millisecond)}}, nil)
				j.together()
				j.side(2, time.Millisecond)
				for l := FirstRung; l < FirstRung+2; l++ {
					require.Empty(t, gaps(j.segments[l]))
					last := j.parts[media.Video][len(j.parts[media.Video])-1]
					for i, p := range j.parts[l] {
						if p.Seq == last.Seq {
							break // what had not come at the end is filled
						}
						v := j.parts[media.Video][i]
						require.Equal(t, [...]int64{v.Seq, int64(v.Index), int64(v.Start), int64(v.Duration)},
							[...]int64{p.Seq, int64(p.Index), int64(p.Start), int64(p.Duration)})
						require.Equal(t, v.Independent, p.Independent)
					}
				}
				require.Zero(t, c.Stats().Encoded.Late+c.Stats().Encoded.Useless)
			})
		}
	}
}

func TestRungWhoseEncoderWasStartedAnewIsFilled(t *testing.T) {
	s := simple(media.Rational{Num: 30, Den: 1}, 30, 30, 0)
	j := newJudge(t, s)
	c := New(Config{Rungs: 1}, j)
	gone := func(at time.Duration) bool { return at > 10300*time.Millisecond && at < 10600*time.Millisecond }
	runRungs(t, s, 0, c, []*encoder{{lag: steadily(100 * time.Millisecond), gone: gone}}, nil)
	j.side(1, time.Millisecond)
	require.Empty(t, gaps(j.segments[FirstRung]), "0.7 s are filled")
	require.Positive(t, c.Stats().Encoded.Filled)
	require.Zero(t, c.Stats().Encoded.Late)
}

func TestRungWhoseEncoderIsGoneBecomesAGapAndComesBack(t *testing.T) {
	s := simple(media.Rational{Num: 30, Den: 1}, 40, 60, 0)
	j := newJudge(t, s)
	c := New(Config{Rungs: 1}, j)
	gone := func(at time.Duration) bool { return at > 10300*time.Millisecond && at < 19*time.Second }
	runRungs(t, s, 0, c, []*encoder{{lag: steadily(100 * time.Millisecond), gone: gone}}, nil)
	j.side(1, time.Millisecond)
	require.Equal(t, []int64{7, 8, 9}, gaps(j.segments[FirstRung]), "3 s are filled to the end of a segment, then gaps, until the key frame at 20 s")
	for _, seg := range j.segments[FirstRung] {
		require.True(t, seg.Gap || seg.Independent || seg.Seq == 6, "segment %d", seg.Seq)
	}
}

func TestShedRungIsAGapFromTheNextKeyFrameOn(t *testing.T) {
	s := simple(media.Rational{Num: 30, Den: 1}, 40, 30, 0)
	j := newJudge(t, s)
	c := New(Config{Rungs: 2}, j)
	lag := steadily(300 * time.Millisecond)
	gone := func(at time.Duration) bool { return at > 10100*time.Millisecond && at < 20*time.Second }
	runRungs(t, s, 0, c, []*encoder{{lag: lag, gone: gone}, {lag: lag}}, []event{
		{10400 * time.Millisecond, func(c *Cutter) { c.Shed(FirstRung) }},
		{20200 * time.Millisecond, func(c *Cutter) { c.Restore(FirstRung) }},
	})
	j.side(2, time.Millisecond)
	require.Empty(t, gaps(j.segments[FirstRung+1]))
	g := gaps(j.segments[FirstRung])
	v := j.segments[media.Video]
	require.NotEmpty(t, g)
	first := v[g[0]]
	require.Equal(t, 11*time.Second, media.VideoTimescale.Duration(first.Start), "the open segment ends at the next key frame")
	require.Equal(t, time.Second, media.VideoTimescale.Duration(first.Duration), "and so does the first that is missing")
	last := v[g[len(g)-1]]
	require.LessOrEqual(t, media.VideoTimescale.Duration(last.Start+last.Duration), 22*time.Second, "back with the first key frame of a segment")
	for _, seg := range j.segments[FirstRung] {
		require.True(t, seg.Gap || seg.Independent, "segment %d", seg.Seq)
	}
	for l, segs := range j.segments[:FirstRung] {
		require.Empty(t, gaps(segs), "line %d", l)
	}
}

func TestAbandonedRungComesBackWithTheNextEpoch(t *testing.T) {
	s := simple(media.Rational{Num: 30, Den: 1}, 10, 60, 0)
	j := newJudge(t, s)
	c := New(Config{Rungs: 1}, j)
	e := []*encoder{{lag: steadily(100 * time.Millisecond)}}
	runRungs(t, s, 0, c, e, []event{{3 * time.Second, func(c *Cutter) { c.Abandon(FirstRung) }}})
	require.Equal(t, []int64{2, 3, 4}, gaps(j.segments[FirstRung]))
	for i := range s.units {
		scale := media.VideoTimescale
		if s.units[i].Kind == media.Audio {
			scale = s.audio.Timescale
		}
		s.units[i].DTS += scale.Ticks(20 * time.Second)
		s.units[i].PTS += scale.Ticks(20 * time.Second)
	}
	runRungs(t, s, 20*time.Second, c, e, nil)
	j.side(1, time.Millisecond)
	require.Equal(t, []int64{2, 3, 4}, gaps(j.segments[FirstRung]))
}

func TestShedRungIsBackWithTheTrackOfAnEpoch(t *testing.T) {
	s := simple(media.Rational{Num: 30, Den: 1}, 10, 60, 0)
	j := newJudge(t, s)
	c := New(Config{Rungs: 1}, j)
	e := []*encoder{{lag: steadily(100 * time.Millisecond)}}
	runRungs(t, s, 0, c, e, []event{{3 * time.Second, func(c *Cutter) { c.Shed(FirstRung) }}})
	had := gaps(j.segments[FirstRung])
	require.NotEmpty(t, had)
	for i := range s.units {
		scale := media.VideoTimescale
		if s.units[i].Kind == media.Audio {
			scale = s.audio.Timescale
		}
		s.units[i].DTS += scale.Ticks(20 * time.Second)
		s.units[i].PTS += scale.Ticks(20 * time.Second)
	}
	runRungs(t, s, 20*time.Second, c, e, nil)
	require.Equal(t, had, gaps(j.segments[FirstRung]))
}

func TestRungThatWasNeverThereHasNothing(t *testing.T) {
	s := simple(media.Rational{Num: 30, Den: 1}, 10, 30, 0)
	j := newJudge(t, s)
	c := New(Config{Rungs: 1}, j)
	c.Begin(0, tracksOf(s))
	for _, u := range s.units {
		c.Push(u)
	}
	c.Close()
	require.Empty(t, j.segments[FirstRung])
	require.Len(t, j.segments[media.Video], 5)
}

// Hints are promises (rfc8216bis 4.4.5.3): each that was given while nothing went wrong comes true.
func TestHintsOfRungsComeTrue(t *testing.T) {
	s := simple(media.Rational{Num: 30, Den: 1}, 20, 45, 0)
	j := newJudge(t, s)
	c := New(Config{Rungs: 1}, j)
	e := &encoder{lag: func(i int) time.Duration { return time.Duration(i*37%400) * time.Millisecond }}
	type name struct {
		seq  int64
		part int
	}
	hints := make(map[name]bool)
	c.Begin(0, tracksOf(s))
	c.Track(FirstRung, s.video)
	queue := e.encode(s)
	for _, u := range s.units {
		c.Push(u)
		for u.Kind == media.Video && len(queue) > 0 && queue[0].at < media.VideoTimescale.Duration(u.DTS) {
			c.Encoded(FirstRung, queue[0].u)
			queue = queue[1:]
			if seq, part, ok := c.Next(FirstRung); ok {
				hints[name{seq, part}] = true
			}
		}
	}
	c.Close()
	for _, p := range j.parts[FirstRung] {
		delete(hints, name{p.Seq, p.Index})
	}
	require.LessOrEqual(t, len(hints), 1, "that of the part that the end cut off: %v", hints)
}

func TestRungsOfEveryCadenceKeepTheRules(t *testing.T) {
	n := 150
	if testing.Short() {
		n = 50
	}
	right, wrong := 0, 0
	defer func() { // what breaks a rhythm can be foreseen by nobody
		require.LessOrEqual(t, wrong, right/1000, "what was told came otherwise")
	}()
	for seed := range uint64(n) {
		r := rand.New(rand.NewPCG(seed, 7))
		s := randomScene(r)
		if s.video == nil {
			continue
		}
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			j := newJudge(t, s)
			h := &hinted{judge: j}
			rungs := 1 + r.IntN(3)
			c := New(Config{Rungs: rungs}, h)
			defer func() { right, wrong = right+h.right, wrong+h.wrong }()
			var encoders []*encoder
			for range rungs {
				e := &encoder{}
				base, spread := time.Duration(r.IntN(1200))*time.Millisecond, 1+r.IntN(900)
				e.lag = func(i int) time.Duration { return base + time.Duration(i*7919%spread)*time.Millisecond }
				if r.IntN(3) == 0 {
					from := time.Duration(r.IntN(20_000)) * time.Millisecond
					to := from + time.Duration(r.IntN(9000))*time.Millisecond
					e.gone = func(at time.Duration) bool { return at > from && at < to }
				}
				encoders = append(encoders, e)
			}
			var events []event
			at := time.Duration(0)
			for range r.IntN(6) {
				at += time.Duration(r.IntN(6000)) * time.Millisecond
				l := FirstRung + Line(r.IntN(rungs))
				events = append(events, event{at, []func(*Cutter){
					func(c *Cutter) { c.Shed(l) }, func(c *Cutter) { c.Restore(l) }, func(c *Cutter) { c.Abandon(l) },
				}[r.IntN(3)]})
			}
			epochs, from := 1+r.IntN(3), 0
			for e := range epochs {
				to := len(s.units)
				if e < epochs-1 {
					to = from + (len(s.units)-from)/2
				}
				part := scene{video: s.video, audio: s.audio, units: s.units[from:to]}
				runRungs(t, part, beginning(s, part.units), c, encoders, events)
				from = to
			}
			j.together()
			if v := j.segments[media.Video]; len(v) > 0 {
				j.side(rungs, 1100*time.Millisecond/2)
			}
		})
		require.True(t, ok, "seed %d", seed)
	}
}

func FuzzRung(f *testing.F) {
	f.Add(uint64(1), []byte{0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, seed uint64, script []byte) {
		r := rand.New(rand.NewPCG(seed, 9))
		s := simple(media.Rational{Num: 30, Den: 1}, 6, 1+r.IntN(90), 0)
		j := newJudge(t, s)
		c := New(Config{Rungs: 1}, j)
		c.Begin(0, tracksOf(s))
		at := media.Ticks(0)
		for i, u := range s.units {
			c.Push(u)
			if len(script) == 0 {
				continue
			}
			switch b := script[i%len(script)]; b % 8 {
			case 0:
				c.Track(FirstRung, mediatest.H264Track(640, 360, 30, 1))
			case 1:
				c.Shed(FirstRung)
			case 2:
				c.Restore(FirstRung)
			case 3:
				c.Abandon(FirstRung)
			default:
				at += media.Ticks(b) * 64
				c.Encoded(FirstRung, media.AccessUnit{PTS: at, DTS: at, Duration: media.Ticks(b/16) * 1500, RandomAccess: b%3 == 0, Data: []byte{b}})
			}
		}
		c.Close()
	})
}
