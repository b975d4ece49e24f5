// Package ladder decides what is encoded of a source. It is pure: a source, a named ladder and a machine go in, a plan comes out.
//
//	rungs of the named ladder, heaviest first
//	  └─ below the source's size; for a source that browsers cannot play, or that a rung is to stand for, one of its own size before
//	     them, in the second case the largest that the machine can pay for
//	       └─ as many as the machine carries (Ladder.Fit)
//	            └─ each with the source's shape, even sides, the source's rate up to 60, a bitrate below the source's
package ladder

import (
	"fmt"
	"math"

	"mediad/configs/ladders"
	"mediad/media"
)

// Source is what there is to be encoded.
type Source struct {
	Track *media.Track
	// Bitrate of the source in bits a second; 0: not known.
	Bitrate int64
	// Lead asks for a plan whose first rung takes the place of the source.
	Lead bool
}

// Machine is what encodes.
type Machine struct {
	Cores int
}

// Plan is what is encoded and how.
type Plan struct {
	media.Plan
	// Keep is how many rungs are never shed: one where browsers cannot play the source itself, the lightest, or where a rung
	// leads, that one.
	Keep int
	// Preset is of the software encoder.
	Preset string
}

const (
	// maxRate is the highest rate of rungs; what a source has above, they leave out.
	maxRate = 60
	// usualRate is of rungs of a source with a variable rate.
	usualRate = 30
	// maxOwn bounds by how much a rung of the source's own size may outweigh the ladder's heaviest, minKbps is of the smallest.
	maxOwn  = 4.0
	minKbps = 50
	// leadPixels is how many pixels a second and core a rung may have that takes the place of the source: at ultrafast, which a core
	// makes 134 million of, that is a third of the cores.
	leadPixels = 45e6
	// highRate is from where on the bitrates for 60 pictures a second count.
	highRate = 31
)

// Playable reports whether browsers play the codec, at least most of them.
func Playable(c media.Codec) bool { return c == media.H264 || c == media.AV1 || c == media.VP9 }

// Make plans the rungs of a source. Without a picture there are none.
func Make(s Source, l ladders.Ladder, m Machine) Plan {
	t := s.Track
	if t == nil || t.Width < 2 || t.Height < 2 {
		return Plan{}
	}
	rate := Rate(t)
	high := rate.Float() > highRate
	var rungs []media.Rung
	add := func(r ladders.Rung, width, height int) {
		kbps := r.Kbps30
		if high {
			kbps = r.Kbps60
		}
		bits := kbps * 1000
		if s.Bitrate > 0 {
			bits = min(bits, s.Bitrate)
		}
		rungs = append(rungs, media.Rung{Name: r.Name, Width: width, Height: height, FrameRate: rate, Bitrate: bits})
	}
	lines := min(t.Width, t.Height)
	payable := func(width, height int) bool {
		return !s.Lead || float64(width*height)*rate.Float() <= leadPixels*float64(max(m.Cores, 1))
	}
	if (s.Lead || !Playable(t.Codec)) && payable(t.Width, t.Height) {
		add(own(l, lines), t.Width&^1, t.Height&^1)
		lines &^= 1
	}
	for i, r := range l.Rungs {
		if r.Lines < lines && (len(rungs) == 0 || r.Name != rungs[0].Name) {
			if w, h := fit(t.Width, t.Height, r.Lines); len(rungs) > 0 || i == len(l.Rungs)-1 || payable(w, h) {
				add(r, w, h)
			}
		}
	}
	if l.Fit == ladders.FitMachine {
		rungs = rungs[:min(len(rungs), max(3*m.Cores/2, 1))]
	}
	return For(media.Plan{Rungs: rungs, Leads: s.Lead && len(rungs) > 0}, t, m)
}

// For completes a plan that was made before a restart.
func For(p media.Plan, t *media.Track, m Machine) Plan {
	out := Plan{Plan: p, Preset: preset(p.Rungs, m)}
	if p.Leads || t != nil && !Playable(t.Codec) {
		out.Keep = min(1, len(p.Rungs))
	}
	return out
}

// own is the rung that has the source's own size: the ladder's with as many lines, or one in between its neighbours.
func own(l ladders.Ladder, lines int) ladders.Rung {
	near := l.Rungs[0]
	for _, r := range l.Rungs {
		if abs(r.Lines-lines) < abs(near.Lines-lines) {
			near = r
		}
	}
	if near.Lines == lines {
		return near
	}
	// Bits go with the area, a little less than in proportion.
	more := math.Pow(float64(lines)/float64(near.Lines), 1.5)
	kbps := func(n int64) int64 { return max(int64(float64(n)*min(more, maxOwn)), minKbps) }
	return ladders.Rung{Name: fmt.Sprintf("%dp", lines), Lines: lines, Kbps30: kbps(near.Kbps30), Kbps60: kbps(near.Kbps60)}
}

func abs(n int) int { return max(n, -n) }

// fit scales a picture so that its shorter side has the given lines; both sides become even, the longer one the even number
// that is nearest to the shape.
func fit(width, height, lines int) (w, h int) {
	long := func(a, b int) int { // lines·a/b to the nearest even number
		return max((lines*a+b)/(2*b)*2, 2)
	}
	if width >= height {
		return long(width, height), lines
	}
	return lines, long(height, width)
}

// Rate is the constant rate that rungs of a source have: its own up to 60, half of it above; 30 where it has none.
func Rate(t *media.Track) media.Rational {
	r := t.FrameRate
	if r.Num == 0 || r.Den == 0 {
		return media.Rational{Num: usualRate, Den: 1}
	}
	for r.Float() > maxRate+0.5 {
		if r.Num%2 == 0 {
			r.Num /= 2
		} else {
			r.Den *= 2
		}
	}
	return r
}

// preset is the best one for which the cores are enough beside a server and another stream, by pictures' area a second: on two
// cores of the usual kind 47 million pixels a second (1080p30 as 720p, 480p and 360p) took 0.57 cores at veryfast, 0.47 at superfast
// and 0.35 at ultrafast.
func preset(rungs []media.Rung, m Machine) string {
	area := 0.0
	for _, r := range rungs {
		area += float64(r.Width) * float64(r.Height) * r.FrameRate.Float()
	}
	switch perCore := area / float64(max(m.Cores, 1)); {
	case perCore <= 30e6:
		return "veryfast"
	case perCore <= 45e6:
		return "superfast"
	default:
		return "ultrafast"
	}
}
