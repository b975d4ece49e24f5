package firewall

import (
	"math"

	"mediad/media"
)

// usualRates are the frame rates that equipment has, in the order in which they are believed where the timestamps so far
// cannot tell two apart. The array is never written.
var usualRates = [...]media.Rational{
	{Num: 30, Den: 1}, {Num: 60, Den: 1}, {Num: 25, Den: 1}, {Num: 50, Den: 1}, {Num: 24, Den: 1},
	{Num: 30000, Den: 1001}, {Num: 60000, Den: 1001}, {Num: 24000, Den: 1001},
	{Num: 15, Den: 1}, {Num: 20, Den: 1}, {Num: 10, Den: 1}, {Num: 12, Den: 1}, {Num: 25, Den: 2}, {Num: 5, Den: 1},
	{Num: 48, Den: 1}, {Num: 90, Den: 1}, {Num: 100, Den: 1}, {Num: 120, Den: 1}, {Num: 120000, Den: 1001},
}

// usual is the usual rate that r stands for, such as 30000/1001 for 29.97, or r itself.
func usual(r media.Rational) media.Rational {
	for _, u := range usualRates {
		if math.Abs(r.Float()-u.Float()) < 3e-4*u.Float() {
			return u
		}
	}
	if f := r.Float(); f < 1 || f > 240 {
		return media.Rational{} // a timescale, not a rate
	}
	return r
}

// samples are the newest timestamps, with the slot of the grid that each took.
type samples struct {
	src  [needMost]media.Ticks
	slot [needMost]int64
	n    int // how many are there
	end  int // where the next goes
}

func (s *samples) reset() { s.n = 0 }

func (s *samples) add(src media.Ticks, slot int64) {
	s.src[s.end], s.slot[s.end] = src, slot
	s.end = (s.end + 1) % needMost
	s.n = min(s.n+1, needMost)
}

// back is the index of the sample i before the newest.
func (s *samples) back(i int) int { return (s.end - 1 - i + 2*needMost) % needMost }

func (s *samples) newest() media.Ticks { return s.src[s.back(0)] }

// keepNewest forgets all but the newest, which becomes slot 0.
func (s *samples) keepNewest() {
	s.slot[s.back(0)] = 0
	s.n = min(s.n, 1)
}

// fit lays the newest n samples on the grid of a rate and returns where the newest lies on it. It does not fit where the
// errors are more than rounding, or every other slot is empty: then it is another rate's grid.
func (s *samples) fit(rate media.Rational, n int) (at media.Ticks, ok bool) {
	g := gridOf(rate)
	var slot, singles int64
	var low, high, off media.Ticks
	oldest := s.src[s.back(n-1)]
	for i := n - 2; i >= 0; i-- {
		src := s.src[s.back(i)]
		k := g.steps(src - s.src[s.back(i+1)])
		if k < 1 {
			return 0, false
		}
		if k == 1 {
			singles++
		}
		slot += k
		off = src - oldest - g.ticks(slot)
		low, high = min(low, off), max(high, off)
		if high-low > maxSpread {
			return 0, false
		}
	}
	if 3*singles < 2*int64(n-1) {
		return 0, false
	}
	return s.newest() - off + (low+high)/2, true
}

// slope is the step that fits the newest n samples best (least squares over their slots) and three times its standard error
// where timestamps are rounded to milliseconds. It is an estimate of a rate, not a time: floats do no harm.
func (s *samples) slope(n int) (step, uncertain float64) {
	o := s.back(n - 1)
	var sx, sy, sxx, sxy float64
	for i := range n {
		b := s.back(i)
		x, y := float64(s.slot[b]-s.slot[o]), float64(s.src[b]-s.src[o])
		sx, sy, sxx, sxy = sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	m := float64(n)
	d := m*sxx - sx*sx
	if d <= 0 {
		return 0, 0
	}
	return (m*sxy - sx*sy) / d, 3 * minGap / math.Pow(m, 1.5)
}

// count gives the newest n samples slots by their median interval.
func (s *samples) count(n int) bool {
	var d [needMost]media.Ticks
	for i := range n - 1 {
		d[i] = s.src[s.back(i)] - s.src[s.back(i+1)]
	}
	median := medianOf(d[:n-1])
	if median < minGap {
		return false
	}
	g := grid{num: int64(median), den: 1}
	slot := int64(0)
	s.slot[s.back(n-1)] = 0
	for i := n - 2; i >= 0; i-- {
		slot += g.steps(d[i])
		s.slot[s.back(i)] = slot
	}
	return true
}

// medianOf sorts d, of which there are at most needMost.
func medianOf(d []media.Ticks) media.Ticks {
	for i := 1; i < len(d); i++ {
		for k := i; k > 0 && d[k] < d[k-1]; k-- {
			d[k], d[k-1] = d[k-1], d[k]
		}
	}
	return d[len(d)/2]
}

// rateOf is the rate with a step of about the given ticks: the first usual one that is near enough, else the nearest in
// halves, else what was measured. known is false for the last.
func rateOf(step, uncertain float64) (rate media.Rational, known bool) {
	const second = float64(media.VideoTimescale)
	for _, u := range usualRates {
		if math.Abs(second/u.Float()-step) <= uncertain {
			return u, true
		}
	}
	if halves := math.Round(2 * second / step); halves >= 2 && halves <= 480 && math.Abs(2*second/halves-step) <= uncertain {
		return media.Rational{Num: uint32(halves), Den: 2}, true
	}
	thousandths := math.Round(1000 * second / step)
	if !(thousandths >= 1000 && thousandths <= 240_000) {
		return media.Rational{}, false
	}
	return media.Rational{Num: uint32(thousandths), Den: 1000}, false
}

// findRate looks for a rate that the newest samples hold, and where the newest lies on its grid.
func (c *cadence) findRate() (rate media.Rational, at media.Ticks, ok bool) {
	if n := min(needPromised<<c.backoff, needMost); c.samples.n >= n {
		for _, r := range [...]media.Rational{c.hints[0], c.hints[1], c.learned} {
			if r.Num == 0 || r == c.refuted {
				continue
			}
			if at, ok := c.samples.fit(r, n); ok {
				return r, at, true
			}
		}
	}
	n := min(needAny<<c.backoff, needMost)
	if c.samples.n < n || !c.samples.count(n) {
		return media.Rational{}, 0, false
	}
	step, uncertain := c.samples.slope(n)
	if rate, _ = rateOf(step, uncertain); rate.Num == 0 {
		return media.Rational{}, 0, false
	}
	at, ok = c.samples.fit(rate, n)
	return rate, at, ok
}

// checkRate corrects a rate that turns out to be another, such as 30 for 29.97: with few timestamps in milliseconds they
// look alike. A clock that is merely fast or slow is followed by slew instead.
func (c *cadence) checkRate() Repair {
	const least, every = 24, 16
	mean := c.mean16 / 16
	c.sinceCheck++
	settled := c.good >= trust && mean <= deadband && mean >= -deadband
	if settled || c.samples.n < least || c.sinceCheck < every {
		return noRepair
	}
	c.sinceCheck = 0
	step, uncertain := c.samples.slope(c.samples.n)
	now := float64(c.grid.num) / float64(c.grid.den)
	if math.Abs(step-now) <= uncertain {
		return noRepair
	}
	rate, known := rateOf(step, uncertain)
	if rate.Num == 0 || rate == c.rate || !known && (c.samples.n < needMost || math.Abs(step-now) < now*5e-4) {
		return noRepair
	}
	c.refuted, c.rate, c.grid = c.rate, rate, gridOf(rate)
	return CadenceChanged
}
