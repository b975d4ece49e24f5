package hlslint

import (
	"path"
	"time"
)

// boundaryTolerance is how far segments of one number may start from each other over the renditions.
const boundaryTolerance = 100 * time.Millisecond

// checkTogether compares the media playlists of a presentation with the first of them.
func (j *judge) checkTogether() {
	var list []*rendition
	for _, u := range j.order {
		if r := j.renditions[u]; r.last != nil && r.last.kind == kindMedia {
			list = append(list, r)
		}
	}
	j.checkHoldBack(list)
	if len(list) < 2 {
		return
	}
	first := list[0]
	for _, r := range list[1:] {
		if r.role == roleIFrames || first.role == roleIFrames {
			continue
		}
		find := func(rule, format string, args ...any) {
			j.found.add(rule, spot{url: r.url, at: r.lastDone}, format+" ("+clip(path.Base(path.Dir(first.url)))+"/"+clip(path.Base(first.url))+")", args...)
		}
		a, b := first.last, r.last
		textOnDemand := r.role == roleSubtitles && b.ended // may have longer segments
		if a.hasTarget && b.hasTarget && a.target != b.target && !textOnDemand {
			find("targetduration-differs", "%s against %s", b.target, a.target)
		}
		if a.live() && b.live() && a.control.text != b.control.text && r.role != roleSubtitles {
			find("server-control-differs", "%s against %s", clip(b.control.text), clip(a.control.text))
		}
		// The polls of two live playlists do not meet at the moment of their end.
		if a.ended != b.ended && abs(r.lastDone.Sub(first.lastDone)) < 2*time.Second && abs(r.lastSent.Sub(first.lastSent)) < 2*time.Second {
			find("endlist-differs", "ended is %v against %v", b.ended, a.ended)
		}
		if a.hasDates() != b.hasDates() && len(a.segments) > 0 && len(b.segments) > 0 {
			find("pdt-not-everywhere", "has dates is %v against %v", b.hasDates(), a.hasDates())
		}
		if d := b.duration() - a.duration(); a.ended && b.ended && a.sequence == b.sequence && abs(d) > max(a.target/2, time.Second/2) {
			find("duration-differs", "%s against %s", round(b.duration()), round(a.duration()))
		}
		j.compareTimelines(first, r, find)
	}
	j.checkMappings(list)
}

// compareTimelines compares the segments that two playlists list under one number.
func (j *judge) compareTimelines(a, b *rendition, find func(rule, format string, args ...any)) {
	dated := a.last.hasDates() && b.last.hasDates()
	for i := range b.last.segments {
		s := &b.last.segments[i]
		rec := a.records[s.msn]
		if rec == nil || rec.uri == "" {
			continue
		}
		if !dated {
			if a.last.ended && b.last.ended && len(a.last.segments) == len(b.last.segments) && rec.discSeq != s.discSeq {
				find("discontinuity-differs", "segment %d has the discontinuity sequence %d against %d", s.msn, s.discSeq, rec.discSeq)
				return
			}
			continue
		}
		if !s.hasDate || !rec.hasDate {
			continue
		}
		off := s.date.Sub(rec.date)
		if abs(off) > boundaryTolerance {
			find("boundaries-differ", "segment %d is dated %s from the other's", s.msn, round(off))
			return
		}
		if rec.discSeq != s.discSeq {
			find("discontinuity-differs", "segment %d has the discontinuity sequence %d against %d", s.msn, s.discSeq, rec.discSeq)
			return
		}
	}
}

// checkMappings compares date minus media time over the renditions, in each discontinuity by itself.
func (j *judge) checkMappings(list []*rendition) {
	type known struct {
		mapping time.Duration
		url     string
	}
	first := map[uint64]known{}
	for _, r := range list {
		if r.last.iframesOnly || r.role == roleSubtitles {
			continue
		}
		done := map[uint64]bool{}
		for _, msn := range sortedMSNs(r.records) {
			rec := r.records[msn]
			m := j.files[rec.key()]
			if m == nil || !rec.hasDate || done[rec.discSeq] {
				continue
			}
			t := m.timed()
			if t == nil {
				continue
			}
			done[rec.discSeq] = true
			now := time.Duration(rec.date.UnixNano()) - t.presentation()
			k, ok := first[rec.discSeq]
			if !ok {
				first[rec.discSeq] = known{now, r.url}
			} else if off := now - k.mapping; abs(off) > mappingTolerance {
				j.found.add("pdt-mapping-differs", spot{url: r.url, at: r.lastDone, line: rec.dateLine},
					"date minus media time is off by %s from that of %s, at segment %d", round(off), clip(k.url), msn)
			}
		}
	}
}

// checkHoldBack holds PART-HOLD-BACK against the largest PART-TARGET of all.
func (j *judge) checkHoldBack(list []*rendition) {
	var largest time.Duration
	for _, r := range list {
		largest = max(largest, r.last.partTarget)
	}
	for _, r := range list {
		c := r.last.control
		if r.last.hasPartInf && c.hasPartHoldBack && c.partHoldBack >= 2*r.last.partTarget && c.partHoldBack < 3*largest {
			j.found.add("part-hold-back-tight", spot{url: r.url, line: c.line, at: r.lastDone},
				"PART-HOLD-BACK %s, the largest PART-TARGET is %s", c.partHoldBack, largest)
		}
	}
}
