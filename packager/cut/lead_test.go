package cut

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
)

const leads = Line(media.Video)

// encodeLead is what an encoder makes that places its own key frames, one each 2 s.
func (e *encoder) encodeLead(s scene, fps media.Rational) []encodedUnit {
	out := e.encode(s)
	every := media.Ticks(2 * 90000)
	step := media.Ticks(90000 * int64(fps.Den) / int64(fps.Num))
	var newest, key media.Ticks
	for i := range out {
		u := &out[i].u
		u.Duration = step
		u.RandomAccess = i == 0 || u.PTS-newest > step+step/2 || u.PTS-key >= every-step/2
		if newest = u.PTS; u.RandomAccess {
			key = u.PTS
		}
	}
	return out
}

// runLead cuts one epoch whose first encoder leads; the others follow.
func runLead(t testing.TB, s scene, fps media.Rational, start time.Duration, c *Cutter, encoders []*encoder, each func(c *Cutter, now time.Duration)) {
	t.Helper()
	c.Begin(start, tracksOf(s))
	queues := make([][]encodedUnit, len(encoders))
	told := make([]bool, len(encoders))
	for i, e := range encoders {
		queues[i] = e.encodeLead(s, fps)
	}
	var now time.Duration
	deliver := func() {
		for i := range queues {
			line := leads
			if i > 0 {
				line = FirstRung + Line(i-1)
			}
			for len(queues[i]) > 0 && queues[i][0].at < now {
				if !told[i] {
					told[i] = true
					c.Track(line, s.video)
				}
				c.Encoded(line, queues[i][0].u)
				queues[i] = queues[i][1:]
			}
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
		if each != nil {
			each(c, now)
		}
	}
	now += time.Second
	deliver()
	c.Close()
}

func TestLeadMakesSegmentsOfItsOwnKeyFrames(t *testing.T) {
	for _, fps := range []media.Rational{{Num: 30, Den: 1}, {Num: 30000, Den: 1001}, {Num: 24000, Den: 1001}, {Num: 60, Den: 1}} {
		for _, lag := range []time.Duration{30, 100, 400, 900} {
			for _, bframes := range []int{0, 2} {
				t.Run(fmt.Sprint(fps, lag, bframes), func(t *testing.T) {
					s := simple(fps, 20, 250, bframes)
					j := newJudge(t, s)
					c := New(Config{Rungs: 1, Leads: true}, j)
					runLead(t, s, fps, 0, c, []*encoder{{lag: steadily(lag * time.Millisecond)}, {lag: steadily(lag * time.Millisecond / 2)}}, nil)
					j.together()
					j.side(1, time.Millisecond)
					require.Equal(t, Constants{Target: 2, PartTarget: 213340 * time.Microsecond}, *j.constants)
					v := j.segments[media.Video]
					require.GreaterOrEqual(t, len(v), 9)
					for i, g := range v {
						require.True(t, g.Independent && !g.Gap, "segment %d", g.Seq)
						if i < len(v)-1 {
							require.InDelta(t, 2, media.VideoTimescale.Duration(g.Duration).Seconds(), 0.01)
						}
					}
					require.Equal(t, Stats{}, c.Stats(), "late is not lost")
					require.InDelta(t, 250*float64(fps.Den)/float64(fps.Num), c.LongestGOP().Seconds(), 1e-4, "the source's, for its next session")
				})
			}
		}
	}
}

// An encoder that is started when the source has run for a while makes up for it faster than time passes.
func TestLeadThatBeginsLateLosesNothing(t *testing.T) {
	fps := media.Rational{Num: 30, Den: 1}
	s := simple(fps, 20, 250, 0)
	j := newJudge(t, s)
	c := New(Config{Rungs: 1, Leads: true}, j)
	lag := func(i int) time.Duration {
		return max(3900*time.Millisecond-time.Duration(i)*25*time.Millisecond, 60*time.Millisecond)
	}
	runLead(t, s, fps, 0, c, []*encoder{{lag: lag}, {lag: lag}}, nil)
	j.together()
	j.side(1, time.Millisecond)
	require.Equal(t, Stats{}, c.Stats())
	require.Zero(t, j.segments[media.Video][0].Start)
	require.Len(t, j.parts[media.Audio][0].Samples, 0)
	require.Zero(t, j.parts[media.Audio][0].Start, "sound waited for the picture")
}

func TestLeadWhoseEncoderIsStartedAnewInTimeHasNoHole(t *testing.T) {
	fps := media.Rational{Num: 30, Den: 1}
	s := simple(fps, 20, 250, 0)
	j := newJudge(t, s)
	c := New(Config{Rungs: 1, Leads: true}, j)
	lag := func(i int) time.Duration {
		if i >= 200 && i < 240 {
			return 1300*time.Millisecond - time.Duration(i-200)*33*time.Millisecond
		}
		return 60 * time.Millisecond
	}
	runLead(t, s, fps, 0, c, []*encoder{{lag: lag}, {lag: lag}}, nil)
	j.together()
	require.Equal(t, Stats{}, c.Stats())
}

// What comes too late for what was published takes along what refers to it, up to the next key frame: that is never far.
func TestLeadThatWasGoneForLongGoesOnWithAKeyFrame(t *testing.T) {
	fps := media.Rational{Num: 30, Den: 1}
	s := simple(fps, 30, 250, 0)
	j := newJudge(t, s)
	c := New(Config{Leads: true}, j)
	lag := func(i int) time.Duration {
		if i >= 200 && i < 300 {
			return 2500 * time.Millisecond
		}
		return 60 * time.Millisecond
	}
	runLead(t, s, fps, 0, c, []*encoder{{lag: lag}}, nil)
	j.together()
	n := c.Stats()
	require.Positive(t, n.Filled[media.Video])
	require.Positive(t, n.Late[media.Video])
	require.Positive(t, n.Useless[media.Video])
	require.Less(t, n.Late[media.Video]+n.Useless[media.Video], uint64(100))
	require.Empty(t, gaps(j.segments[media.Video]))
}

func TestLaterEpochBeginsWithoutALeadThatDoesNotCome(t *testing.T) {
	fps := media.Rational{Num: 30, Den: 1}
	s := simple(fps, 10, 250, 0)
	j := newJudge(t, s)
	c := New(Config{Leads: true}, j)
	never := &encoder{lag: steadily(time.Hour)}
	overdue := false
	runLead(t, s, fps, 0, c, []*encoder{never}, func(c *Cutter, _ time.Duration) { overdue = overdue || c.Overdue() })
	require.Empty(t, j.segments[media.Audio], "nobody has seen anything: it waits")
	require.False(t, overdue)
	at := 12 * time.Second
	s = moved(s, at)
	runLead(t, s, fps, at, c, []*encoder{{lag: steadily(60 * time.Millisecond)}}, nil)
	had := len(j.segments[media.Video])
	require.Positive(t, had)
	s = moved(s, at)
	var waited time.Duration
	runLead(t, s, fps, 2*at, c, []*encoder{never}, func(_ *Cutter, now time.Duration) {
		if waited == 0 && len(j.segments[media.Audio]) > had {
			waited = now - 2*at
		}
	})
	j.together()
	require.Less(t, waited, 8*time.Second)
	require.Greater(t, len(j.segments[media.Video]), had)
	for _, g := range j.segments[media.Video][had:] {
		require.True(t, g.Gap)
	}
	require.True(t, j.segments[media.Video][had].Discontinuity)
}

// A session that began with sound alone goes on with it if nothing comes of its first pictures.
func TestSoundGoesOnWithoutALeadThatNeverWas(t *testing.T) {
	fps := media.Rational{Num: 30, Den: 1}
	s := simple(fps, 10, 250, 0)
	j := newJudge(t, s)
	c := New(Config{}, j)
	alone := scene{audio: s.audio}
	for _, u := range s.units {
		if u.Kind == media.Audio {
			alone.units = append(alone.units, u)
		}
	}
	c.Begin(0, tracksOf(alone))
	for _, u := range alone.units {
		c.Push(u)
	}
	c.Close()
	had := len(j.segments[media.Audio])
	require.Positive(t, had)
	c.Lead()
	at := 12 * time.Second
	runLead(t, moved(s, at), fps, at, c, []*encoder{{lag: steadily(6 * time.Second)}}, nil)
	require.Greater(t, len(j.segments[media.Audio]), had)
	require.Empty(t, j.segments[media.Video])
	runLead(t, moved(s, 2*at), fps, 2*at, c, []*encoder{{lag: steadily(60 * time.Millisecond)}}, nil)
	require.NotEmpty(t, j.segments[media.Video])
	j.together()
}

func moved(s scene, by time.Duration) scene {
	units := make([]media.AccessUnit, len(s.units))
	for i, u := range s.units {
		scale := media.VideoTimescale
		if u.Kind == media.Audio {
			scale = s.audio.Timescale
		}
		u.DTS += scale.Ticks(by)
		u.PTS += scale.Ticks(by)
		units[i] = u
	}
	s.units = units
	return s
}

func TestSessionWhoseLeadNeverComesIsOverdue(t *testing.T) {
	fps := media.Rational{Num: 30, Den: 1}
	s := simple(fps, 20, 250, 0)
	j := newJudge(t, s)
	c := New(Config{Leads: true}, j)
	var at time.Duration
	runLead(t, s, fps, 0, c, []*encoder{{lag: steadily(time.Hour)}}, func(c *Cutter, now time.Duration) {
		if at == 0 && c.Overdue() {
			at = now
		}
		require.LessOrEqual(t, len(c.lead.sound), 15*48000/1024+2)
	})
	require.InDelta(t, 15, at.Seconds(), 0.1)
}

func TestAbandonedLeadIsAGapUntilTheNextEpoch(t *testing.T) {
	fps := media.Rational{Num: 30, Den: 1}
	s := simple(fps, 20, 250, 0)
	j := newJudge(t, s)
	c := New(Config{Leads: true, Rungs: 1}, j)
	e := []*encoder{{lag: steadily(60 * time.Millisecond)}, {lag: steadily(60 * time.Millisecond)}}
	runLead(t, s, fps, 0, c, e, func(c *Cutter, now time.Duration) {
		if now > 9*time.Second {
			c.Abandon(leads)
		}
	})
	j.together()
	v := j.segments[media.Video]
	require.NotEmpty(t, gaps(v))
	require.False(t, v[0].Gap)
	require.True(t, v[len(v)-1].Gap)
	at := 22 * time.Second
	had := len(v)
	runLead(t, moved(s, at), fps, at, c, e, nil)
	j.together()
	require.Empty(t, gaps(j.segments[media.Video][had:]))
}

func TestHintsOfTheLeadComeTrue(t *testing.T) {
	for _, fps := range []media.Rational{{Num: 30, Den: 1}, {Num: 24000, Den: 1001}} {
		s := simple(fps, 20, 250, 0)
		j := newJudge(t, s)
		c := New(Config{Rungs: 1, Leads: true}, j)
		type name struct {
			line Line
			seq  int64
			part int
		}
		hints := make(map[name]bool)
		lag := func(i int) time.Duration { return time.Duration(60+i*37%300) * time.Millisecond }
		none, all := 0, 0
		runLead(t, s, fps, 0, c, []*encoder{{lag: lag}, {lag: lag}}, func(c *Cutter, now time.Duration) {
			for _, l := range []Line{leads, Line(media.Audio), FirstRung} {
				seq, part, ok := c.Next(l)
				if ok {
					hints[name{l, seq, part}] = true
				}
				if all++; !ok && now > 5*time.Second {
					none++
				}
			}
		})
		require.Less(t, none, all/20, "the next key frame is no secret")
		for l := range j.parts {
			for _, p := range j.parts[l] {
				delete(hints, name{Line(l), p.Seq, p.Index})
			}
		}
		require.LessOrEqual(t, len(hints), 3, "those that the end cut off: %v", hints)
	}
}

func TestLeadsOfEveryCadenceKeepTheRules(t *testing.T) {
	n := 150
	if testing.Short() {
		n = 50
	}
	for seed := range uint64(n) {
		r := rand.New(rand.NewPCG(seed, 11))
		s := randomScene(r)
		if s.video == nil {
			continue
		}
		fps := s.video.FrameRate
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			j := newJudge(t, s)
			rungs := r.IntN(3)
			c := New(Config{Rungs: rungs, Leads: true}, j)
			var encoders []*encoder
			for range rungs + 1 {
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
			epochs, from := 1+r.IntN(3), 0
			for e := range epochs {
				to := len(s.units)
				if e < epochs-1 {
					to = from + (len(s.units)-from)/2
				}
				part := scene{video: s.video, audio: s.audio, units: s.units[from:to]}
				runLead(t, part, fps, beginning(s, part.units), c, encoders, func(c *Cutter, _ time.Duration) {
					if rungs > 0 && r.IntN(400) == 0 {
						l := FirstRung + Line(r.IntN(rungs))
						[]func(Line){c.Shed, c.Restore, c.Abandon}[r.IntN(3)](l)
					}
					if r.IntN(3000) == 0 {
						c.Abandon(leads)
					}
				})
				from = to
			}
			j.together()
			if v := j.segments[media.Video]; len(v) > 0 && rungs > 0 && len(j.segments[FirstRung]) > 0 {
				j.side(1, 1100*time.Millisecond/2)
			}
		})
		require.True(t, ok, "seed %d", seed)
	}
}

// TestWhoLeads is the table by which it is decided whether the source is cut or an encoder's pictures are.
func TestWhoLeads(t *testing.T) {
	for _, tc := range []struct {
		name      string
		gop       int // in pictures, at 30 a second
		keys      []int
		open      bool
		last      time.Duration // longest GOP of the last session
		none      bool          // there is no ladder
		unfit     bool
		by        time.Duration // when it is known at the latest
		target    int
		unstarted bool // it is known before a unit has come
	}{
		{name: "1 s", gop: 30, by: 2 * time.Second, target: 2},
		{name: "1.5 s", gop: 45, by: 1500 * time.Millisecond, target: 2},
		{name: "2 s", gop: 60, by: 2 * time.Second, target: 2},
		{name: "2.4 s", gop: 71, by: 2400 * time.Millisecond, target: 2},
		{name: "3 s", gop: 90, by: 3 * time.Second, target: 3},
		{name: "3.3 s", gop: 100, by: 3400 * time.Millisecond, target: 3},
		{name: "3.5 s", gop: 105, unfit: true, by: 3500 * time.Millisecond},
		{name: "8 s", gop: 240, unfit: true, by: 3500 * time.Millisecond},
		{name: "one key frame", gop: 100000, unfit: true, by: 3500 * time.Millisecond},
		{name: "8 s, no ladder", gop: 240, none: true, by: 2600 * time.Millisecond, target: 3},
		{name: "a scene cut early, then 8 s", gop: 240, keys: []int{17}, unfit: true, by: 3500 * time.Millisecond},
		{name: "a scene cut early, then 2 s", gop: 60, keys: []int{17}, by: 2 * time.Second, target: 2},
		{name: "open, 1 s", gop: 30, open: true, unfit: true, by: 1100 * time.Millisecond},
		{name: "open, 2 s", gop: 60, open: true, unfit: true, by: 2100 * time.Millisecond},
		{name: "open, no ladder", gop: 60, open: true, none: true, by: 2100 * time.Millisecond, target: 2},
		{name: "1 s, the last session had 3 s", gop: 30, last: 3 * time.Second, by: 2 * time.Second, target: 3},
		{name: "1 s, the last session had 8 s", gop: 30, last: 8 * time.Second, unfit: true, unstarted: true},
		{name: "1 s, the last session had 8 s, no ladder", gop: 30, last: 8 * time.Second, none: true, by: time.Second, target: 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := simple(media.Rational{Num: 30, Den: 1}, 10, tc.gop, 0)
			v := mediatest.Video(mediatest.VideoPattern{Frames: 300, GOP: tc.gop, KeyAt: tc.keys, OpenGOP: tc.open, BFrames: 2, Size: 40, KeySize: 80})
			a := mediatest.Audio(mediatest.AudioPattern{Track: s.audio, Frames: 400, Size: 20})
			s.units = mediatest.Interleave(s.video, s.audio, v, a)
			j := newJudge(t, s)
			c := New(Config{MayLead: !tc.none, LongestGOP: tc.last}, j)
			c.Begin(0, tracksOf(s))
			require.Equal(t, tc.unstarted, c.Unfit())
			var known time.Duration
			for _, u := range s.units {
				if c.Push(u); known == 0 && (c.Unfit() || j.constants != nil) {
					known = media.VideoTimescale.Duration(u.DTS)
				}
			}
			require.Equal(t, tc.unfit, c.Unfit())
			c.Close()
			if tc.unfit {
				require.Nil(t, j.constants)
				require.Empty(t, j.parts[media.Video])
				require.Empty(t, j.parts[media.Audio])
			} else {
				require.Equal(t, tc.target, j.constants.Target)
			}
			require.LessOrEqual(t, known, tc.by+100*time.Millisecond)
		})
	}
}

// Where a source of variable rate would make parts long, those of constant rate are not made so.
func TestSourceOfVariableRateHasNoPartsBesideRungs(t *testing.T) {
	for _, tc := range []struct {
		longest media.Ticks
		rungs   int
		part    time.Duration
		whole   bool
	}{
		{longest: 4500, rungs: 1, part: 333340 * time.Microsecond},
		{longest: 9000, rungs: 1, part: 213340 * time.Microsecond, whole: true},
		{longest: 9000, rungs: 0, part: 666670 * time.Microsecond},
		{longest: 18000, rungs: 1, part: 213340 * time.Microsecond, whole: true},
		{longest: 18000, rungs: 0, part: 0},
	} {
		t.Run(fmt.Sprint(tc.longest, tc.rungs), func(t *testing.T) {
			s := simple(media.Rational{Num: 30, Den: 1}, 10, 30, 0)
			v := mediatest.Video(mediatest.VideoPattern{Frames: 200, Intervals: []media.Ticks{3000, tc.longest, 3000}, GOP: 15, Size: 40, KeySize: 80})
			a := mediatest.Audio(mediatest.AudioPattern{Track: s.audio, Frames: 800, Size: 20})
			s.units = mediatest.Interleave(s.video, s.audio, v, a)
			j := newJudge(t, s)
			c := New(Config{Rungs: tc.rungs}, j)
			c.Begin(0, tracksOf(s))
			// The encoder makes thirty pictures a second of it.
			encoded := mediatest.Video(mediatest.VideoPattern{Frames: 400, GOP: 1000, Size: 40, KeySize: 80})
			keys := map[media.Ticks]bool{}
			for _, u := range v {
				if u.RandomAccess {
					keys[(u.PTS+1500)/3000] = true
				}
			}
			if tc.rungs > 0 {
				c.Track(FirstRung, s.video)
			}
			for _, u := range s.units {
				for tc.rungs > 0 && u.Kind == media.Video && len(encoded) > 0 && encoded[0].PTS+6000 < u.DTS {
					e := encoded[0]
					e.RandomAccess = keys[e.PTS/3000]
					c.Encoded(FirstRung, e)
					encoded = encoded[1:]
				}
				c.Push(u)
			}
			c.Close()
			j.together()
			require.Equal(t, tc.part, j.constants.PartTarget)
			require.Equal(t, tc.whole, j.constants.SourceWhole)
			listed := func(l Line) (n int) {
				for _, p := range j.parts[l] {
					if p.Listed {
						n++
					}
				}
				return n
			}
			require.Equal(t, tc.part > 0 && !tc.whole, listed(Line(media.Video)) > 0)
			require.Equal(t, tc.part > 0, listed(Line(media.Audio)) > 0)
			if tc.rungs > 0 {
				require.Positive(t, listed(FirstRung))
				j.side(1, 34*time.Millisecond)
			}
		})
	}
}
