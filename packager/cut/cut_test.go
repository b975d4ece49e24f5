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

// judge is a Sink that checks every rule which one track, or both together, can show.
type judge struct {
	t         testing.TB
	constants *Constants
	scale     [Lines]media.Timescale
	parts     [Lines][]Part
	segments  [Lines][]Segment
	open      [Lines][]Part
	slack     time.Duration // one audio frame
}

func (j *judge) Decided(c Constants) {
	require.Nil(j.t, j.constants, "constants are decided once")
	require.LessOrEqual(j.t, c.PartTarget, longestPart)
	j.constants = &c
}

func (j *judge) Part(p Part) {
	require.NotNil(j.t, j.constants)
	require.NotEmpty(j.t, p.Samples)
	var sum media.Ticks
	for _, s := range p.Samples {
		require.Positive(j.t, s.Duration)
		require.NotEmpty(j.t, s.Data)
		sum += s.Duration
	}
	require.Equal(j.t, p.Duration, sum)
	require.Equal(j.t, p.Independent, p.Samples[0].Sync)
	require.Len(j.t, j.open[p.Line], p.Index)
	if p.Index > 0 {
		last := j.open[p.Line][p.Index-1]
		require.Equal(j.t, last.Start+last.Duration, p.Start, "decode times go on")
		require.Equal(j.t, last.Seq, p.Seq)
		if p.Listed {
			j.regular(last)
		}
	}
	if p.Listed {
		require.LessOrEqual(j.t, j.scale[p.Line].Duration(p.Duration), j.constants.PartTarget, "line %v part %d.%d", p.Line, p.Seq, p.Index)
	}
	p.Samples = nil
	j.open[p.Line] = append(j.open[p.Line], p)
	j.parts[p.Line] = append(j.parts[p.Line], p)
}

// regular checks a part that was not the last of its segment.
func (j *judge) regular(p Part) {
	if !p.Independent || p.Kind == media.Audio {
		require.GreaterOrEqual(j.t, j.scale[p.Line].Duration(p.Duration)*leastDen, j.constants.PartTarget*leastNum,
			"line %v part %d.%d of %v", p.Line, p.Seq, p.Index, j.scale[p.Line].Duration(p.Duration))
	}
}

func (j *judge) Segment(s Segment) {
	require.Positive(j.t, s.Duration)
	limit := time.Duration(j.constants.Target)*time.Second + 500*time.Millisecond
	require.Less(j.t, j.scale[s.Line].Duration(s.Duration), limit)
	var sum media.Ticks
	for _, p := range j.open[s.Line] {
		sum += p.Duration
		require.Equal(j.t, s.Seq, p.Seq)
		require.Equal(j.t, s.Discontinuity, p.Discontinuity)
	}
	if s.Gap {
		require.Empty(j.t, j.open[s.Line])
	} else {
		require.Equal(j.t, s.Duration, sum, "parts make the segment")
		require.Equal(j.t, s.Start, j.open[s.Line][0].Start)
		require.Equal(j.t, s.Independent, j.open[s.Line][0].Independent)
	}
	j.open[s.Line] = nil
	if n := len(j.segments[s.Line]); n > 0 {
		last := j.segments[s.Line][n-1]
		require.Equal(j.t, last.Seq+1, s.Seq)
		if !s.Discontinuity {
			require.Equal(j.t, last.Start+last.Duration, s.Start)
		}
	}
	j.segments[s.Line] = append(j.segments[s.Line], s)
}

// together checks that both tracks have the same segments.
func (j *judge) together() {
	v, a := j.segments[media.Video], j.segments[media.Audio]
	if len(v) == 0 || len(a) == 0 {
		return
	}
	n := min(len(v), len(a))
	require.Equal(j.t, v[len(v)-1].Seq, a[len(a)-1].Seq)
	v, a = v[len(v)-n:], a[len(a)-n:]
	for i := range v {
		require.Equal(j.t, v[i].Seq, a[i].Seq)
		require.Equal(j.t, v[i].Discontinuity, a[i].Discontinuity, "segment %d", v[i].Seq)
		off := j.scale[media.Audio].Duration(a[i].Start) - j.scale[media.Video].Duration(v[i].Start)
		require.Less(j.t, off.Abs(), j.slack+time.Millisecond, "segment %d", v[i].Seq)
	}
}

type scene struct {
	video, audio *media.Track
	units        []media.AccessUnit
}

func newJudge(t testing.TB, s scene) *judge {
	j := &judge{t: t}
	for _, tr := range []*media.Track{s.video, s.audio} {
		if tr != nil {
			j.scale[tr.Kind] = tr.Timescale
		}
	}
	for l := FirstRung; l < Lines; l++ {
		j.scale[l] = media.VideoTimescale
	}
	if s.audio != nil {
		j.slack = audioFrame(s.audio)
	}
	return j
}

func tracksOf(s scene) (t [media.Kinds]*media.Track) {
	t[media.Video], t[media.Audio] = s.video, s.audio
	return t
}

// run cuts one epoch and returns what came of it.
func run(t testing.TB, cfg Config, s scene) (*judge, *Cutter) {
	j := newJudge(t, s)
	c := New(cfg, j)
	c.Begin(0, tracksOf(s))
	for _, u := range s.units {
		c.Push(u)
	}
	c.Close()
	j.together()
	return j, c
}

func lengths(segs []Segment, scale media.Timescale) []time.Duration {
	var out []time.Duration
	for _, s := range segs {
		out = append(out, scale.Duration(s.Duration).Round(time.Millisecond))
	}
	return out
}

func simple(fps media.Rational, seconds, gop, bframes int) scene {
	s := scene{video: mediatest.H264Track(1280, 720, fps.Num, fps.Den), audio: mediatest.AACTrack(48000, 2)}
	frames := seconds * int((fps.Num+fps.Den-1)/fps.Den)
	v := mediatest.Video(mediatest.VideoPattern{FPS: fps, Frames: frames, GOP: gop, BFrames: bframes, Size: 40, KeySize: 80})
	a := mediatest.Audio(mediatest.AudioPattern{Track: s.audio, Frames: seconds*48000/1024 + 20, Size: 20})
	s.units = mediatest.Interleave(s.video, s.audio, v, a)
	return s
}

func TestSegmentsFollowKeyFrames(t *testing.T) {
	ms := time.Millisecond
	for _, tc := range []struct {
		name   string
		fps    media.Rational
		gop    int
		target int
		part   time.Duration
		first  []time.Duration
	}{
		{"30 fps, GOP 1 s", media.Rational{Num: 30, Den: 1}, 30, 2, 213340 * time.Microsecond, []time.Duration{2000 * ms, 2000 * ms, 2000 * ms}},
		{"30 fps, GOP 1.5 s", media.Rational{Num: 30, Den: 1}, 45, 2, 213340 * time.Microsecond, []time.Duration{1500 * ms, 1500 * ms}},
		{"29.97 fps, GOP 2 s", media.Rational{Num: 30000, Den: 1001}, 60, 2, 213340 * time.Microsecond, []time.Duration{2002 * ms, 2002 * ms}},
		{"23.976 fps, GOP 2 s", media.Rational{Num: 24000, Den: 1001}, 48, 2, 213340 * time.Microsecond, []time.Duration{2002 * ms, 2002 * ms}},
		{"24 fps, GOP 3 s", media.Rational{Num: 24, Den: 1}, 72, 3, 213340 * time.Microsecond, []time.Duration{3000 * ms, 3000 * ms}},
		{"29.97 fps, GOP 3 s", media.Rational{Num: 30000, Den: 1001}, 90, 3, 213340 * time.Microsecond, []time.Duration{3003 * ms, 3003 * ms}},
		{"30 fps, GOP 8.3 s", media.Rational{Num: 30, Den: 1}, 250, 3, 213340 * time.Microsecond, []time.Duration{3467 * ms, 3000 * ms, 1867 * ms, 3000 * ms, 3000 * ms, 2333 * ms}},
		{"5 fps, GOP 2 s", media.Rational{Num: 5, Den: 1}, 10, 2, 213340 * time.Microsecond, []time.Duration{2000 * ms, 2000 * ms}},
		{"1 fps, GOP 2 s", media.Rational{Num: 1, Den: 1}, 2, 2, 0, []time.Duration{2000 * ms, 2000 * ms}},
	} {
		for _, b := range []int{0, 2} {
			if tc.fps.Num == 1 && b > 0 {
				continue // its reorder delay alone is what counts as late
			}
			t.Run(fmt.Sprint(tc.name, b), func(t *testing.T) {
				j, c := run(t, Config{}, simple(tc.fps, 30, tc.gop, b))
				require.Equal(t, tc.target, j.constants.Target)
				require.Equal(t, tc.part, j.constants.PartTarget)
				got := lengths(j.segments[media.Video], media.VideoTimescale)
				require.GreaterOrEqual(t, len(got), len(tc.first))
				if b == 0 || tc.gop < 250 {
					require.Equal(t, tc.first, got[:len(tc.first)])
				}
				require.Zero(t, c.Stats())
			})
		}
	}
}

func randomScene(r *rand.Rand) scene {
	rates := []media.Rational{{Num: 24000, Den: 1001}, {Num: 24, Den: 1}, {Num: 25, Den: 1}, {Num: 30000, Den: 1001}, {Num: 30, Den: 1},
		{Num: 50, Den: 1}, {Num: 60000, Den: 1001}, {Num: 60, Den: 1}, {Num: 5, Den: 1}, {Num: 10, Den: 1}, {Num: 12, Den: 1}, {Num: 15, Den: 1}, {Num: 1, Den: 1}, {Num: 120, Den: 1}}
	fps := rates[r.IntN(len(rates))]
	seconds := 5 + r.IntN(25)
	per := max(1, int(fps.Num/fps.Den))
	p := mediatest.VideoPattern{FPS: fps, Frames: seconds * per, GOP: 1 + r.IntN(per*9), BFrames: r.IntN(4), Size: 30, KeySize: 60, OpenGOP: r.IntN(6) == 0}
	if r.IntN(3) > 0 {
		p.GOP = max(1, per*(1+r.IntN(3)))
	}
	if r.IntN(4) == 0 {
		p.KeyAt = []int{r.IntN(p.Frames), r.IntN(p.Frames), r.IntN(p.Frames)}
	}
	switch r.IntN(5) {
	case 0: // single frames lost
		for range 1 + r.IntN(5) {
			p.Drop = append(p.Drop, 1+r.IntN(p.Frames))
		}
	case 1: // a hole of up to 10 s
		from := 1 + r.IntN(p.Frames)
		for i := from; i < from+1+r.IntN(10*per); i++ {
			p.Drop = append(p.Drop, i)
		}
	case 2:
		n := 1 + r.IntN(20)
		for range n {
			p.Intervals = append(p.Intervals, media.Ticks(500+r.IntN(4000)))
		}
		if r.IntN(3) == 0 {
			p.Intervals = append(p.Intervals, media.Ticks(r.IntN(300000)+1))
		}
	case 3:
		p.Milliseconds = r.IntN(2) == 0
	default:
	}
	s := scene{video: mediatest.H264Track(640, 360, fps.Num, fps.Den)}
	v := mediatest.Video(p)
	var a []media.AccessUnit
	if r.IntN(5) > 0 {
		sample := []int{48000, 44100, 32000, 22050}[r.IntN(4)]
		s.audio = mediatest.AACTrack(sample, 1+r.IntN(6))
		q := mediatest.AudioPattern{Track: s.audio, Frames: seconds * sample / s.audio.FrameSamples, Start: media.Ticks(r.IntN(3000)), Size: 20}
		if r.IntN(4) == 0 {
			from := r.IntN(q.Frames)
			for i := from; i < from+r.IntN(10*sample/1024); i++ {
				q.Drop = append(q.Drop, i)
			}
		}
		if r.IntN(6) == 0 {
			drift := media.Ticks(r.IntN(5))
			q.Jitter = func(i int) media.Ticks { return media.Ticks(i) * drift / 3 }
		}
		a = mediatest.Audio(q)
	}
	if r.IntN(10) == 0 && s.audio != nil {
		s.video, v = nil, nil
	}
	s.units = merge(s, v, a, media.Ticks(r.IntN(5)-2)*media.Ticks(r.IntN(2))*48000/2)
	return s
}

// merge interleaves with audio late by that many audio ticks (negative: video late).
func merge(s scene, v, a []media.AccessUnit, late media.Ticks) []media.AccessUnit {
	if s.video == nil || s.audio == nil {
		return append(v, a...)
	}
	type timed struct {
		u  media.AccessUnit
		at time.Duration
	}
	var all []timed
	for _, u := range v {
		all = append(all, timed{u, s.video.Timescale.Duration(u.DTS)})
	}
	for _, u := range a {
		all = append(all, timed{u, s.audio.Timescale.Duration(u.DTS + late)})
	}
	slices.SortStableFunc(all, func(x, y timed) int { return int(x.at - y.at) })
	out := make([]media.AccessUnit, len(all))
	for i, x := range all {
		out[i] = x.u
	}
	return out
}

func TestEveryCadenceKeepsTheRules(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 200
	}
	right, wrong := 0, 0
	defer func() { // what breaks a rhythm can be foreseen by nobody
		require.LessOrEqual(t, wrong, right/1000, "what was told came otherwise")
	}()
	for seed := range uint64(n) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := randomScene(r)
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			j := newJudge(t, s)
			h := &hinted{judge: j}
			c := New(Config{}, h)
			defer func() { right, wrong = right+h.right, wrong+h.wrong }()
			// Two or three epochs, the units spread over them; each begins with a key frame.
			epochs := 1 + r.IntN(3)
			at := 0
			for e := range epochs {
				to := len(s.units)
				if e < epochs-1 {
					to = at + (len(s.units)-at)/2
				}
				c.Begin(beginning(s, s.units[at:to]), tracksOf(s))
				for _, u := range s.units[at:to] {
					c.Push(u)
					h.look(c)
				}
				c.Close()
				at = to
			}
			j.together()
		})
		require.True(t, ok, "seed %d", seed)
	}
}

// beginning is the time of the first key frame, or of the first unit without one.
func beginning(s scene, units []media.AccessUnit) time.Duration {
	for _, u := range units {
		if u.Kind == media.Video && u.RandomAccess {
			return s.video.Timescale.Duration(u.PTS)
		}
	}
	if len(units) == 0 {
		return 0
	}
	u := units[0]
	if u.Kind == media.Video {
		return s.video.Timescale.Duration(u.PTS)
	}
	return s.audio.Timescale.Duration(u.PTS)
}
