package cut

import "mediad/media"

// gopMemory is how many GOPs are remembered: encoders that place key frames at scene changes have short ones
// between the long ones.
const gopMemory = 8

// gops knows the distances of key frames.
type gops struct {
	lengths [gopMemory]media.Ticks
	count   int         // of all GOPs so far
	last    media.Ticks // PTS of the newest key frame
	some    bool        // there is one in this epoch
	// longest of the session, and what is known from before it.
	longest, before media.Ticks
}

func (g *gops) key(pts media.Ticks) {
	if g.some && pts > g.last {
		n := pts - g.last
		g.lengths[g.count%gopMemory] = n
		g.count++
		g.longest = max(g.longest, n)
	}
	g.last, g.some = pts, true
}

// epoch forgets the newest key frame, not the lengths: mostly the same encoder comes back.
func (g *gops) epoch() { g.some = false }

// expect is the length that a GOP may be expected to have at most: the longest of the last ones; 0 if not known.
func (g *gops) expect() media.Ticks {
	n := g.before
	if g.count > 0 {
		n = 0
	}
	for i := range min(g.count, gopMemory) {
		n = max(n, g.lengths[i])
	}
	return n
}

// next is where the next key frame comes if the last two GOPs, equal to tolerance, have a third; a first one is taken for
// the length of all.
func (g *gops) next(tolerance media.Ticks) (media.Ticks, bool) {
	if g.count == 0 || !g.some {
		return 0, false
	}
	a := g.lengths[(g.count-1)%gopMemory]
	if g.count > 1 {
		if d := a - g.lengths[(g.count-2)%gopMemory]; d > tolerance || d < -tolerance {
			return 0, false
		}
	}
	return g.last + a, true
}
