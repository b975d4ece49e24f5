package playlist

import (
	"maps"
	"slices"
)

// checkSuccession checks a playlist against an earlier one of the same address: nothing that was published is changed,
// it is only removed from the front.
func (f *faults) checkSuccession(p, c *listed) {
	f.checkConstants(p, c)
	switch {
	case c.msn < p.msn:
		f.add("sequence-back", "MEDIA-SEQUENCE %d after %d", c.msn, p.msn)
		return
	case c.last() < p.last():
		f.add("edge-back", "segment %d after %d", c.last(), p.last())
		return
	case c.discontinuitySeq < p.discontinuitySeq:
		f.add("discontinuity-back", "%d after %d", c.discontinuitySeq, p.discontinuitySeq)
	}
	if c.msn > p.last()+1 || p.ended && c.msn > p.last() {
		f.checkFreshWindow(p, c)
		return
	}
	if p.ended && (!c.ended || c.last() != p.last()) {
		f.add("after-end", "the playlist went on behind ENDLIST")
	}
	if c.independent && !p.independent {
		f.add("independent-again", "EXT-X-INDEPENDENT-SEGMENTS came back")
	}
	if pm, pn := p.edge(); !c.ended {
		if cm, cn := c.edge(); cm == pm && cn < pn {
			f.add("edge-back", "segment %d has %d parts after %d", cm, cn, pn)
		}
	}
	f.checkRemoved(p, c)
	f.checkKept(p, c)
}

func (f *faults) checkConstants(p, c *listed) {
	if p.target != c.target {
		f.add("target-changes", "%d after %d", c.target, p.target)
	}
	if p.partTarget != c.partTarget {
		f.add("part-target-changes", "%d after %d", c.partTarget, p.partTarget)
	}
	if !maps.Equal(p.control, c.control) {
		f.add("control-changes", "%v after %v", c.control, p.control)
	}
	if p.version != c.version {
		f.add("version-changes", "%d after %d", c.version, p.version)
	}
}

// checkFreshWindow checks a window that has nothing in common with the one before: a new session's, or the first behind
// a jump. Clients go on only if its media is told apart from theirs.
func (f *faults) checkFreshWindow(p, c *listed) {
	if len(c.segments) == 0 || len(p.segments) == 0 {
		return // a fault of its own already
	}
	if first := &c.segments[0]; first.mapURI == p.segments[len(p.segments)-1].mapURI {
		f.add("fresh-window", "segment %d has the init segment of %d", first.msn, p.last())
	}
}

// checkRemoved checks that the discontinuities of removed segments are counted, and that enough media stays.
func (f *faults) checkRemoved(p, c *listed) {
	gone := uint64(0)
	for i := range p.segments {
		if s := &p.segments[i]; s.msn < c.msn && s.discontinuity {
			gone++
		}
	}
	if p.skipped == 0 && c.discontinuitySeq != p.discontinuitySeq+gone {
		f.add("discontinuity-count", "%d after %d, %d left the window", c.discontinuitySeq, p.discontinuitySeq, gone)
	}
	if c.msn > p.msn && c.skipped == 0 && c.total() < c.targets(3) {
		f.add("window-short", "%d ns are left after a removal", c.total())
	}
	if c.skipped > 0 && c.msn+uint64(c.skipped) > p.last()+1 {
		f.add("skip-unseen", "%d segments from %d are skipped, the client has them up to %d", c.skipped, c.msn, p.last())
	}
}

// checkKept checks that what both playlists list is the same.
func (f *faults) checkKept(p, c *listed) {
	before := p.segments
	if p.open != nil {
		before = append(before[:len(before):len(before)], *p.open)
	}
	after := c.segments
	if c.open != nil {
		after = append(after[:len(after):len(after)], *c.open)
	}
	for i := range before {
		old := &before[i]
		at := slices.IndexFunc(after, func(s listedSegment) bool { return s.msn == old.msn })
		if at < 0 {
			continue
		}
		f.checkSame(old, &after[at])
	}
}

func (f *faults) checkSame(old, now *listedSegment) {
	if old.uri != "" && (old.uri != now.uri || old.duration != now.duration || old.gap != now.gap) {
		f.add("segment-changes", "%d: %+v after %+v", old.msn, *now, *old)
	}
	if old.mapURI != now.mapURI || old.discontinuity != now.discontinuity || !old.date.Equal(now.date) {
		f.add("head-changes", "%d: %+v after %+v", old.msn, *now, *old)
	}
	if len(now.parts) == 0 && now.uri != "" {
		return // parts may go, all of a segment's at once
	}
	if old.uri != "" && len(old.parts) != len(now.parts) {
		f.add("parts-change", "%d: %d parts after %d", old.msn, len(now.parts), len(old.parts))
		return
	}
	if len(now.parts) < len(old.parts) || !slices.Equal(old.parts, now.parts[:len(old.parts)]) {
		f.add("parts-change", "%d: %+v after %+v", old.msn, now.parts, old.parts)
	}
}
