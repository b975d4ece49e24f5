package firewall

import "mediad/media"

// placeVideo writes a believed picture out.
func (f *Firewall) placeVideo(t *track, u pending) {
	cts, repaired, is := t.pts.fix(u.cts)
	if is {
		f.repair(repaired)
	}
	p := t.cadence.place(u.src)
	au := u.au
	au.DTS, au.Duration = p.dts, p.duration
	if t.cadence.locked {
		au.PTS = p.dts + t.cadence.snapOffset(cts)
	} else {
		au.PTS = max(u.src+cts, p.dts)
	}
	if off := p.dts - u.src; off > tolerance {
		if p.fell {
			f.repair(Nudged)
		} else {
			f.repair(Retimed)
		}
	}
	if p.missing > 0 {
		f.repair(Hole)
	}
	if p.event != noRepair {
		f.repair(p.event)
	}
	f.out = append(f.out, au)
}

// placeAudio counts a believed frame and writes it out, unless the clock has gained a frame.
func (f *Firewall) placeAudio(t *track, u pending) Verdict {
	n := t.samples(u)
	dts, what, is := t.counter.place(u.src, n)
	if is {
		f.repair(what)
		if what == AudioDropped {
			return Dropped
		}
	}
	au := u.au
	au.DTS, au.PTS, au.Duration, au.RandomAccess = dts, dts, n, true
	f.out = append(f.out, au)
	return Pass
}

// maxStood is how many frames may come without a new timestamp before they count as too many: about a second of AAC.
const maxStood = 48

// counter lays audio frames end to end and watches how far that is from their timestamps. What is missing or too much
// is put right in whole frames, so that it can be filled with silent ones.
type counter struct {
	next    media.Ticks // where the next frame goes
	last    media.Ticks // timestamp of the one before
	stood   int         // how many in a row had that same timestamp
	started bool

	// Smoothed over 32 frames and 32 times as large: timestamp − count, and its mean deviation.
	drift32, jitter32 media.Ticks
}

// bound is the error at which frames of n samples are taken to be missing: three quarters of one, or more where the
// timestamps jitter, but at most a seventh of a second.
func (c *counter) bound(n media.Ticks) media.Ticks {
	return max(n*3/4, min(4*c.jitter32/32, 7*n))
}

// place returns where a frame of n samples goes, and what had to be repaired for it.
func (c *counter) place(src, n media.Ticks) (dts media.Ticks, what Repair, repaired bool) {
	if !c.started {
		// How much the timestamps jitter is not known: half a frame until shown.
		*c = counter{next: src, jitter32: 16 * n, started: true}
	} else if src == c.last && c.stood < maxStood {
		// The source's clock stands: this is no timestamp.
		c.stood++
		dts = c.next
		c.next += n
		return dts, noRepair, false
	}
	c.last, c.stood = src, 0
	off := src - c.next
	if off >= c.bound(n) {
		missing := (off + n/2) / n
		c.next += missing * n
		off -= missing * n
		what, repaired = Hole, true
	}
	// One insane timestamp must not move the mean by much.
	clipped := max(min(off, 4*n), -4*n)
	deviation := clipped - c.drift32/32
	c.drift32 += deviation
	if deviation < 0 {
		deviation = -deviation
	}
	c.jitter32 += min(deviation, n) - c.jitter32/32

	drift := c.drift32 / 32
	switch {
	case drift > n*3/4:
		c.next += n
		c.drift32 -= 32 * n
		what, repaired = AudioSkipped, true
	case off < -4*n && drift < -n*3/8:
		return 0, AudioDropped, true
	case off < -n/2 && drift < -n*3/4:
		c.drift32 += 32 * n
		return 0, AudioDropped, true
	}
	dts = c.next
	c.next += n
	return dts, what, repaired
}
