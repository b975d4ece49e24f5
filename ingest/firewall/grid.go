package firewall

import "mediad/media"

// grid counts ticks of a rate that need not be whole: each step lasts num/den ticks, and what rounding leaves is carried
// on, so n steps are never more than half a tick from n·num/den.
type grid struct {
	num, den int64 // ticks a step; den 0: no rate
	carry    int64 // in 1/den ticks, 0 ≤ carry < den
}

// gridOf returns the grid of a frame rate in 90 kHz ticks.
func gridOf(fps media.Rational) grid {
	return grid{num: int64(media.VideoTimescale) * int64(fps.Den), den: int64(fps.Num), carry: int64(fps.Num) / 2}
}

// ticks is how long the next n steps last; it does not take them.
func (g *grid) ticks(n int64) media.Ticks { return media.Ticks((n*g.num + g.carry) / g.den) }

// take takes n steps and returns how long they last.
func (g *grid) take(n int64) media.Ticks {
	t := n*g.num + g.carry
	g.carry = t % g.den
	return media.Ticks(t / g.den)
}

// floor is the shortest that one step can last, at least 1.
func (g *grid) floor() media.Ticks { return max(media.Ticks(g.num/g.den), 1) }

// steps is t in steps, to the nearest.
func (g *grid) steps(t media.Ticks) int64 {
	n := int64(t)*g.den*2 + g.num
	d := 2 * g.num
	q := n / d
	if n%d < 0 {
		q--
	}
	return q
}
