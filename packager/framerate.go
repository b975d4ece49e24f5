package packager

import (
	"math"

	"mediad/media"
	"mediad/packager/cut"
)

// cadence is what a segment's samples, but those that fill holes, tell of its frame rate.
type cadence struct {
	samples           int
	ticks             media.Ticks
	shortest, longest media.Ticks
}

func (c *cadence) add(samples []cut.Sample) {
	for i := range samples {
		d := samples[i].Duration
		if samples[i].Fill {
			continue
		}
		if c.samples == 0 {
			c.shortest = d
		}
		c.samples++
		c.ticks += d
		c.shortest, c.longest = min(c.shortest, d), max(c.longest, d)
	}
}

// rate is in frames a second; 0 if too little is known.
func (c *cadence) rate(scale media.Timescale) float64 {
	if c.samples < 2 || c.ticks <= 0 {
		return 0
	}
	return float64(c.samples) * float64(scale) / float64(c.ticks)
}

// steady tells whether frames last equally long, to a tenth.
func (c *cadence) steady() bool { return (c.longest-c.shortest)*10 <= c.longest }

// notSaid is a FrameRate that is left out.
const notSaid = -1

// frameRate is FRAME-RATE: the largest of the segments that are listed, in frames a second. What the bitstream promises is said while
// nothing is against it, as it is exact. Where frames do not last equally long it is what the source means to send, which is a little more
// than what comes. told is what was said last.
func (r *Rendition) frameRate(told float64) float64 {
	most, steady := 0.0, true
	for _, s := range r.list[r.index(r.segsFrom()):] {
		if s.rate > 0 {
			most, steady = max(most, s.rate), steady && !s.varies
		}
	}
	promised := r.track.FrameRate.Float()
	switch {
	case promised > 0 && (most == 0 || near(most, promised) || !steady && most < promised):
		return promised
	case most == 0:
		return notSaid
	case !steady:
		return meant(most, told)
	case near(most, told):
		return told
	default:
		return math.Round(most*1000) / 1000
	}
}

// commonRates are those that sources mean to send.
var commonRates = [...]float64{5, 10, 12, 15, 20, 24, 25, 30, 50, 60, 120}

// meant is the rate of a source of which so much comes in the best of segments.
func meant(most, told float64) float64 {
	const less = 1.2 // so much of what is meant may be missing in all of them
	if told >= most && told <= most*less {
		return told
	}
	for _, r := range commonRates {
		if r >= most*0.99 && r <= most*less {
			return r
		}
	}
	return math.Ceil(most)
}

// near tells whether two rates are the same but for what measuring costs.
func near(a, b float64) bool { return math.Abs(a-b) <= b/100 }

// segsFrom is the number of the oldest segment that the live playlist lists.
func (r *Rendition) segsFrom() uint64 {
	if len(r.segs) == 0 {
		return 0
	}
	return r.segs[0].MSN
}
