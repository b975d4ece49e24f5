package whep

import "time"

const (
	// firstTry is how long a viewer stays on a layer before the next heavier one is tried; each try that fails doubles it,
	// up to lastTry. A try that lasted for goodFor has not failed.
	firstTry = 5 * time.Second
	lastTry  = 80 * time.Second
	goodFor  = 15 * time.Second
	// settle is how long after a change the estimate is not believed to be too low: it has not heard of it yet.
	settle = time.Second
)

// chooser chooses a viewer's layer by the estimate of its bandwidth. An estimate says little about what is not sent, so a
// heavier layer is tried rather than waited for. It is pure.
type chooser struct {
	since time.Duration // when the layer was chosen
	wait  time.Duration // until the next try
	tried bool          // the layer was a try
}

// start returns which of the layers to begin with, or to go on with where the one before is gone: the heaviest that fits. See pick.
func (c *chooser) start(rates []int, estimate int, now time.Duration) int {
	c.tried, c.since = false, now
	return fitting(rates, 0, estimate)
}

// fitting is the heaviest layer from that one on which leaves some room, else the lightest.
func fitting(rates []int, from, estimate int) int {
	to := from
	for estimate > 0 && to < len(rates)-1 && rates[to] > estimate*85/100 {
		to++
	}
	return to
}

// pick returns which of the layers to show: rates are in bits a second, heaviest first, 0 where not known; estimate 0: not known.
func (c *chooser) pick(rates []int, current, estimate int, now time.Duration) int {
	if c.wait == 0 {
		c.wait = firstTry
	}
	held := now - c.since
	if c.tried && held >= goodFor {
		c.tried, c.wait = false, firstTry
	}
	if current >= len(rates) || estimate == 0 || held < settle {
		return min(current, len(rates)-1)
	}
	if estimate < rates[current]*9/10 {
		to := fitting(rates, min(current+1, len(rates)-1), estimate)
		if to != current {
			if c.tried {
				c.wait = min(2*c.wait, lastTry)
			}
			c.tried, c.since = false, now
		}
		return to
	}
	if current > 0 && held >= c.wait && estimate >= rates[current]*11/10 {
		c.tried, c.since = true, now
		return current - 1
	}
	return current
}
