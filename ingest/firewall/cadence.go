package firewall

import (
	"mediad/media"
)

const (
	// tolerance is how far from the grid rounding to whole milliseconds can put a timestamp: one for DTS, and half of one
	// for where the grid was laid.
	tolerance = 135

	// maxSpread is how far apart the largest and smallest error of one rate may lie for it to be that rate.
	maxSpread = 200

	// deadband is the mean error below which nothing is done: a muxer that truncates is wrong by as much all the time.
	deadband = 50

	// minGap is the least between two DTS where the rate varies: a millisecond.
	minGap = 90

	// Units that must agree with a rate before it is believed: one that was promised, and any.
	needPromised, needAny, needMost = 4, 8, 128

	// trust is the number of good units after which an earlier loss of the cadence is forgiven.
	trust = 512
)

// cadence finds out whether video has a constant rate and lays it on that rate's grid.
type cadence struct {
	hints   [2]media.Rational // of the bitstream, of the publisher
	learned media.Rational    // the last rate that held
	refuted media.Rational    // a hint that was found wrong

	samples samples
	backoff int // 2^backoff times as many units must agree

	any     bool
	next    media.Ticks // least DTS of the next unit; where locked, exactly the promised one
	longest media.Ticks // longest interval lately
	high    media.Ticks // latest timestamp so far

	locked     bool
	rate       media.Rational
	grid       grid
	slot       int64       // slots since samples began
	mean16     media.Ticks // 16 times the smoothed error: timestamp − grid
	misfit     int         // leaky count of units off the grid
	good       int         // units since the lock
	sinceCheck int         // units since the rate was last checked
	at         media.Ticks // DTS of the newest unit
}

// placed is where a unit was put.
type placed struct {
	dts, duration media.Ticks
	missing       int64  // slots left empty in front
	fell          bool   // its timestamp had not risen over all before it
	event         Repair // CadenceLocked, CadenceLost, CadenceChanged or noRepair
}

func (c *cadence) setHints(bitstream, publisher media.Rational) {
	hints := [2]media.Rational{usual(bitstream), usual(publisher)}
	if hints == c.hints {
		return
	}
	c.hints = hints
	c.refuted = media.Rational{}
	c.samples.reset()
	c.backoff = 0
}

// restart forgets the line, but keeps the rate as one to try first.
func (c *cadence) restart() {
	if c.locked {
		c.learned = c.rate
	}
	*c = cadence{hints: c.hints, learned: c.learned, refuted: c.refuted}
}

// normal reports whether a unit at src, d after the one before, comes when the next may be expected.
func (c *cadence) normal(src, d media.Ticks) bool {
	if c.locked {
		return src < c.next+c.grid.floor()/2
	}
	const first, least = 500 * minGap, 100 * minGap
	if c.longest == 0 {
		return d <= first
	}
	return d <= max(2*c.longest, least)
}

// place puts the unit with timestamp src on the line.
func (c *cadence) place(src media.Ticks) placed {
	fell := c.any && src <= c.high
	p := c.put(src)
	c.high, p.fell = max(c.high, src), fell
	return p
}

func (c *cadence) put(src media.Ticks) placed {
	if !c.any {
		c.any, c.next, c.high = true, src, src
	} else if d := src - c.samples.newest(); d > c.longest {
		c.longest = min(d, media.Ticks(media.VideoTimescale))
	} else {
		c.longest -= c.longest / 64
	}
	if c.locked {
		return c.placeLocked(src)
	}
	c.samples.add(src, 0)
	if rate, at, ok := c.findRate(); ok && at >= c.next-tolerance {
		return c.lock(rate, max(at, c.next))
	}
	p := placed{dts: max(src, c.next)}
	c.next = p.dts + minGap
	return p
}

// placeLocked puts a unit into the nearest slot that is free.
func (c *cadence) placeLocked(src media.Ticks) placed {
	n := max(1+c.grid.steps(src-c.next), 1)
	dts := c.next + c.grid.take(n-1)
	c.slot += n
	off := src - dts
	if off <= 2*tolerance && off >= -2*tolerance {
		c.samples.add(src, c.slot) // an insane one would spoil the measured rate
	}
	p := placed{dts: dts, missing: n - 1}

	if off > tolerance || off < -tolerance {
		if c.misfit += 4; c.misfit > 12 {
			c.unlock(src)
			p = placed{dts: max(src, dts), event: CadenceLost}
			c.next = p.dts + minGap
			return p
		}
	} else {
		c.misfit = max(c.misfit-1, 0)
		c.mean16 += off - c.mean16/16
		if c.good++; c.good == trust {
			c.backoff, c.learned = 0, c.rate
		}
		p.event = c.checkRate()
	}
	p.duration = max(c.grid.take(1)+c.slew(), minGap/2)
	c.at, c.next = dts, dts+p.duration
	return p
}

// lock begins the grid of a rate with the unit being placed, at dts.
func (c *cadence) lock(rate media.Rational, dts media.Ticks) placed {
	c.locked, c.rate, c.grid = true, rate, gridOf(rate)
	c.slot, c.mean16, c.misfit, c.good, c.sinceCheck = 0, 0, 0, 0, 0
	c.samples.keepNewest()
	p := placed{dts: dts, duration: c.grid.take(1), event: CadenceLocked}
	c.at, c.next = dts, dts+p.duration
	return p
}

// unlock leaves the grid with the unit at src. It takes longer each time to go back to one.
func (c *cadence) unlock(src media.Ticks) {
	c.locked = false
	c.backoff = min(c.backoff+1, 5)
	c.samples.reset()
	c.samples.add(src, 0)
}

// slew is what to add to one step so that a slow drift of the source's clock is followed, at most 500 ppm.
func (c *cadence) slew() media.Ticks {
	mean := c.mean16 / 16
	most := max(c.grid.floor()/2000, 1)
	var s media.Ticks
	switch {
	case mean > deadband:
		s = min(most, mean/16)
	case mean < -deadband:
		s = -min(most, -mean/16)
	}
	c.mean16 -= 16 * s
	return s
}

// snapOffset is PTS − DTS of the unit just placed: on the grid where it is a whole number of steps but for rounding.
func (c *cadence) snapOffset(cts media.Ticks) media.Ticks {
	n := c.grid.steps(cts)
	snapped := media.Ticks(0)
	if n > 0 {
		snapped = c.next - c.at + c.grid.ticks(n-1) // the first step was taken already
	}
	if d := snapped - cts; d > 2*minGap || d < -2*minGap {
		return cts
	}
	return snapped
}
