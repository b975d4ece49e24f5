package cut

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
)

// hinted is a judge of what players are told of the part that comes next, as they see it: between the calls, not within one.
type hinted struct {
	*judge
	told    [Lines]hint
	pending [Lines]bool // nothing has come of the line since told
	right   int
	wrong   int
}

type hint struct {
	seq  int64
	part int
	ok   bool
}

func (h *hinted) Part(p Part) {
	was, n := h.told[p.Line], len(h.segments[p.Line])
	back := !was.ok && p.Index == 0 && n > 0 && h.segments[p.Line][n-1].Gap // after a gap nothing is foreseen
	if h.pending[p.Line] && p.Listed && !p.Discontinuity && !back {
		require.True(h.t, was.ok, "line %d: nobody was told of part %d.%d", p.Line, p.Seq, p.Index)
		if was != (hint{p.Seq, p.Index, true}) {
			h.wrong++
			h.right--
			h.t.Logf("line %d: told was %v, then came %d.%d", p.Line, was, p.Seq, p.Index)
		}
	}
	h.pending[p.Line] = false
	h.right++
	h.judge.Part(p)
}

func (h *hinted) Segment(s Segment) {
	h.pending[s.Line] = h.pending[s.Line] && !s.Gap
	h.judge.Segment(s)
}

// look is what a playlist says that is made now.
func (h *hinted) look(c *Cutter) {
	for l := range Line(Lines) {
		var n hint
		n.seq, n.part, n.ok = c.Next(l)
		h.told[l], h.pending[l] = n, c.inEpoch && c.decided
		if len(h.open[l]) > 0 && h.open[l][0].Listed && c.inEpoch {
			require.True(h.t, n.ok, "line %d: segment %d goes on, and nothing is told of it", l, h.open[l][0].Seq)
		}
	}
}

// A part of a rung that is shed in the middle of a segment is told of as long as one follows: up to the segment's end.
func TestShedRungIsToldOfToTheEndOfItsSegment(t *testing.T) {
	for _, leave := range []func(*Cutter){func(c *Cutter) { c.Shed(FirstRung) }, func(c *Cutter) { c.Abandon(FirstRung) }} {
		for at := 10 * time.Second; at < 12*time.Second; at += 230 * time.Millisecond {
			s := simple(media.Rational{Num: 30, Den: 1}, 16, 60, 0)
			h := &hinted{judge: newJudge(t, s)}
			c := New(Config{Rungs: 1}, h)
			gone := func(x time.Duration) bool { return x > at-200*time.Millisecond }
			runRungs(t, s, 0, c, []*encoder{{lag: steadily(200 * time.Millisecond), gone: gone}}, []event{{at, leave}})
			h.side(1, time.Millisecond)
			require.NotEmpty(t, gaps(h.segments[FirstRung]))
			require.Zero(t, h.wrong)
			require.False(t, h.told[FirstRung].ok, "nothing is told behind a gap")
		}
	}
}

// browser is a source as browsers are: thirty pictures a second nominally, a third of the time fifteen, and key frames where somebody
// asked for one.
func browser(r *rand.Rand, seconds int) scene {
	s := scene{video: mediatest.H264Track(1280, 720, 0, 0), audio: mediatest.AACTrack(48000, 2)}
	p := mediatest.VideoPattern{GOP: 100_000, Size: 40, KeySize: 80}
	for at := media.Ticks(0); at < media.Ticks(seconds)*90000; {
		d := media.Ticks(2900 + r.IntN(200))
		if at/90000%6 > 3 {
			d *= 2
		}
		if r.IntN(90) == 0 {
			p.KeyAt = append(p.KeyAt, p.Frames)
		}
		p.Intervals = append(p.Intervals, d)
		p.Frames++
		at += d
	}
	a := mediatest.Audio(mediatest.AudioPattern{Track: s.audio, Frames: seconds * 48000 / 1024, Size: 20})
	s.units = mediatest.Interleave(s.video, s.audio, mediatest.Video(p), a)
	return s
}

// Where nothing is foreseen of key frames nothing wrong is told, and something always.
func TestHintsOfVariableRateComeTrue(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 3))
		s := browser(r, 60)
		h := &hinted{judge: newJudge(t, s)}
		rungs := r.IntN(2)
		c := New(Config{Rungs: rungs}, h)
		runRungs(t, s, 0, c, []*encoder{{lag: steadily(200 * time.Millisecond)}}[:rungs], nil)
		h.together()
		require.Positive(t, h.right)
		require.Zero(t, h.wrong)
	}
}

// Dates are of presentation: at variable rate a frame may begin early in decode time, also one that begins a segment.
func TestSegmentsAreDatedByWhatIsShownFirst(t *testing.T) {
	for _, codec := range []media.Codec{media.H264, media.H265} {
		t.Run(codec.String(), func(t *testing.T) {
			v := mediatest.H264Track(1280, 720, 0, 0)
			v.Codec = codec
			early := 0
			for seed := range uint64(8) {
				s := browser(rand.New(rand.NewPCG(seed, 4)), 60)
				s.video = v
				shown := make(map[media.Ticks]bool)
				for _, u := range s.units {
					shown[u.PTS] = shown[u.PTS] || u.Kind == media.Video
				}
				j, _ := run(t, Config{}, s)
				for _, p := range j.parts[media.Video] {
					if p.Index > 0 {
						continue
					}
					if !shown[p.Shown] { // it begins with what fills a hole
						require.Equal(t, p.Start, p.Shown, "segment %d", p.Seq)
					}
					off := media.VideoTimescale.Duration(p.Shown - p.Start)
					require.LessOrEqual(t, off, earliestBare)
					if newStiller(v) != nil {
						require.LessOrEqual(t, off, earliest, "dates and durations agree")
					} else if off > earliest {
						early++
					}
				}
			}
			require.Equal(t, newStiller(v) == nil, early > 0)
		})
	}
}
