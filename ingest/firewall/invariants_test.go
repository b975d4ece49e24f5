package firewall_test

import (
	"fmt"
	"time"

	"mediad/ingest/firewall"
	"mediad/media"
)

// checker holds what the package documentation promises against every Result.
type checker struct {
	scale [media.Kinds]media.Timescale
	frame media.Ticks // audio; 0: frames vary
	skew  time.Duration

	last   [media.Kinds]media.AccessUnit
	some   [media.Kinds]bool
	epochs int
	units  [media.Kinds][]media.AccessUnit // of the epoch
	total  int
}

func newChecker(tracks ...*media.Track) *checker {
	c := &checker{skew: 3 * time.Second}
	for _, t := range tracks {
		c.scale[t.Kind] = t.Timescale
		if t.Kind == media.Audio && t.Codec != media.Opus {
			c.frame = media.Ticks(t.FrameSamples)
		}
	}
	return c
}

func (c *checker) check(r firewall.Result) error {
	if (r.Verdict == firewall.NewEpoch) != (r.NewEpochAt >= 0) || r.NewEpochAt >= max(len(r.Units), 1) {
		return fmt.Errorf("verdict %v with a new epoch at %d of %d", r.Verdict, r.NewEpochAt, len(r.Units))
	}
	for i, au := range r.Units {
		if i == r.NewEpochAt {
			c.newEpoch()
		}
		if err := c.unit(au); err != nil {
			return fmt.Errorf("unit %d of %d, %v dts %d pts %d duration %d after dts %d duration %d: %w", i, len(r.Units), au.Kind,
				au.DTS, au.PTS, au.Duration, c.last[au.Kind].DTS, c.last[au.Kind].Duration, err)
		}
	}
	return nil
}

func (c *checker) newEpoch() {
	c.epochs++
	c.some = [media.Kinds]bool{}
	for k := range c.units {
		c.units[k] = nil
	}
}

func (c *checker) unit(au media.AccessUnit) error {
	k := au.Kind
	last, some, other := c.last[k], c.some[k], 1-k
	at := c.scale[k].Duration(au.DTS)
	switch {
	case au.PTS < au.DTS:
		return fmt.Errorf("PTS before DTS")
	case c.scale[k].Duration(au.PTS-au.DTS) > 2*time.Second+100*time.Millisecond:
		return fmt.Errorf("PTS far behind DTS")
	case k == media.Audio && (au.PTS != au.DTS || au.Duration <= 0):
		return fmt.Errorf("audio is not counted")
	case k == media.Audio && c.frame > 0 && au.Duration != c.frame:
		return fmt.Errorf("audio frame of other length")
	case au.Duration < 0:
		return fmt.Errorf("negative duration")
	case some && au.DTS <= last.DTS:
		return fmt.Errorf("DTS does not rise")
	case some && au.DTS < last.DTS+last.Duration:
		return fmt.Errorf("earlier than promised")
	case some && k == media.Audio && (au.DTS-last.DTS-last.Duration)%au.Duration != 0 && c.frame > 0:
		return fmt.Errorf("hole of less than frames")
	}
	if some && c.scale[k].Duration(au.DTS-last.DTS) > time.Second+200*time.Millisecond {
		if !c.some[other] || c.now(other) < at-c.skew-1500*time.Millisecond {
			return fmt.Errorf("all tracks jumped without a new epoch: other at %v, this %v to %v", c.now(other), c.scale[k].Duration(last.DTS), at)
		}
	}
	c.last[k], c.some[k] = au, true
	c.units[k] = append(c.units[k], au)
	c.total++
	return nil
}

func (c *checker) now(k media.Kind) time.Duration { return c.scale[k].Duration(c.last[k].DTS) }
