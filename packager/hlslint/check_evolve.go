package hlslint

import (
	"fmt"
	"time"
)

// pace is the tolerance for the network and for a busy machine when times are judged.
const pace = 250 * time.Millisecond

// satisfied says whether a playlist has what its directives asked for.
func satisfied(p *playlist, d directives) bool {
	if p.ended || !d.hasMSN {
		return true
	}
	e := p.edge()
	if !d.hasPart {
		return e.msn > d.msn
	}
	return e.msn > d.msn || e.msn == d.msn && e.part > d.part
}

func (d directives) String() string {
	if d.hasPart {
		return fmt.Sprintf("segment %d part %d", d.msn, d.part)
	}
	return fmt.Sprintf("segment %d", d.msn)
}

func (e edge) String() string { return fmt.Sprintf("segment %d part %d", e.msn, e.part) }

// evolve judges a media playlist against the one before and all that was listed ever.
func (j *judge) evolve(r *rendition, p *playlist, x *Exchange) {
	prev := r.last
	if prev == nil {
		r.advanced, r.partSeen = x.Done, x.Done
		return
	}
	find := func(rule string, line int, subject, format string, args ...any) {
		j.found.add(rule, spot{url: r.url, line: line, at: x.Done, subject: subject}, format, args...)
	}
	if prev.hasTarget && p.hasTarget && prev.target != p.target {
		find("targetduration-changed", 0, "", "from %s to %s", prev.target, p.target)
	}
	if prev.hasPartInf && p.hasPartInf && prev.partTarget != p.partTarget {
		find("part-target-changed", 0, "", "from %s to %s", prev.partTarget, p.partTarget)
	}
	if prev.control.present && p.control.present && prev.control.text != p.control.text {
		find("server-control-changed", p.control.line, "", "from %s to %s", clip(prev.control.text), clip(p.control.text))
	}
	// A line of numbers that begins anew has nothing in common with the one before.
	if p.sequence < prev.sequence && !x.Sent.Before(r.lastDone) && p.edge().msn <= prev.sequence {
		find("sequence-backwards", 0, "", "from %d to %d", prev.sequence, p.sequence)
		r.records, r.newest, r.edges, r.paceLost = map[uint64]*record{}, 0, nil, true
		return
	}
	j.compareListed(r, p, find)
	// An answer that left before the one before had come may rightly be older.
	if x.Sent.Before(r.lastDone) {
		return
	}
	if prev.delta != p.delta && prev.edge() == p.edge() && (prev.sequence != p.sequence || prev.discontinuity != p.discontinuity) {
		find("delta-mismatch", 0, "", "in full the playlist begins at %d, by the delta at %d", p.sequence, prev.sequence)
		return
	}
	if p.sequence < prev.sequence {
		find("sequence-backwards", 0, "", "from %d to %d", prev.sequence, p.sequence)
		return
	}
	if p.edge().before(prev.edge()) {
		find("tail-removed", 0, "", "the end was %s and is %s", prev.edge(), p.edge())
		return
	}
	if (prev.ended || prev.playlistType == "VOD") && (prev.edge() != p.edge() || prev.ended != p.ended) {
		find("changed-after-end", 0, "tag", "the end was %s and is %s", prev.edge(), p.edge())
	}
	if p.sequence > prev.sequence {
		j.compareFront(prev, p, find)
	}
	j.compareHint(prev, p, find)
	j.comparePace(r, p, x, find)
}

// compareListed holds each listed segment and part against what was listed under its number before.
func (j *judge) compareListed(r *rendition, p *playlist, find func(string, int, string, string, ...any)) {
	discSeq := false
	compare := func(s *segment, complete bool) {
		rec := r.records[s.msn]
		if rec == nil {
			return
		}
		if !discSeq && rec.discSeq != s.discSeq && rec.discontinuity == s.discontinuity {
			discSeq = true
			find("discontinuity-sequence-wrong", 0, s.key(), "segment %d had the discontinuity sequence %d and has %d", s.msn, rec.discSeq, s.discSeq)
		}
		if complete && rec.uri != "" {
			if what := s.difference(&rec.segment); what != "" {
				find("segment-changed", s.line, s.key()+what, "segment %d: %s", s.msn, what)
			}
		}
		known := map[string]*part{}
		for i := range rec.parts {
			known[rec.parts[i].key()] = &rec.parts[i]
		}
		for i := range s.parts {
			x := &s.parts[i]
			k, ok := known[x.key()]
			switch {
			case ok && (k.duration != x.duration || k.independent != x.independent || k.gap != x.gap):
				find("part-changed", x.line, x.key(), "part %d of segment %d was %s and is %s", i, s.msn, k, x)
			case !ok && i < len(rec.parts):
				find("part-changed", x.line, x.key(), "part %d of segment %d was %s and is %s", i, s.msn, &rec.parts[i], x)
			}
		}
	}
	for i := range p.segments {
		compare(&p.segments[i], true)
	}
	if p.open != nil {
		compare(p.open, false)
	}
}

func (x *part) String() string {
	s := clip(x.uri) + " of " + x.durationText
	if x.independent {
		s += ", independent"
	}
	if x.gap {
		s += ", gap"
	}
	return s
}

// difference names what changed of a complete segment; "" if nothing.
func (s *segment) difference(o *segment) string {
	from := func(what string, was, is any) string { return fmt.Sprintf("%s was %v and is %v", what, was, is) }
	switch {
	case s.key() != o.key():
		return from("the URI", clip(o.uri), clip(s.uri))
	case s.duration != o.duration:
		return from("EXTINF", o.durationText, s.durationText)
	case s.discontinuity != o.discontinuity:
		return from("EXT-X-DISCONTINUITY", o.discontinuity, s.discontinuity)
	case s.gap != o.gap:
		return from("EXT-X-GAP", o.gap, s.gap)
	case s.hasDate && o.hasDate && !s.date.Equal(o.date):
		return from("the date", o.date, s.date)
	case (s.initial == nil) != (o.initial == nil) || s.initial != nil && s.initial.key() != o.initial.key():
		return "EXT-X-MAP changed"
	}
	return ""
}

// compareFront judges what was removed.
func (j *judge) compareFront(prev, p *playlist, find func(string, int, string, string, ...any)) {
	if prev.playlistType == "EVENT" {
		find("event-removed", 0, "tag", "the media sequence went from %d to %d", prev.sequence, p.sequence)
	}
	if !p.live() {
		return
	}
	var total time.Duration
	for i := range p.segments {
		total += p.segments[i].duration
	}
	if total < 3*p.target {
		find("window-too-short", 0, "tag", "%s are left, the target duration is %s", total, p.target)
	} else if n := len(p.segments); n < 6 {
		find("window-under-six", 0, "tag", "%d are left", n)
	}
}

// compareHint holds the part that followed against the one that was hinted.
func (j *judge) compareHint(prev, p *playlist, find func(string, int, string, string, ...any)) {
	e := prev.edge()
	if !e.before(p.edge()) {
		return
	}
	for _, h := range prev.hints {
		if h.kind != "PART" {
			continue
		}
		// Before a discontinuity an origin may have planned otherwise: then the hint is withdrawn, not broken.
		if s, x := p.partAt(e); x != nil && !s.discontinuity && x.url != h.url && !listsPart(p, h) {
			find("preload-hint-wrong", x.line, x.key(), "hinted was %s, then came %s", clip(h.uri), clip(x.uri))
		}
		return
	}
}

// partAt returns the part at a position, with its segment; beyond the end of its segment it is the first of the
// next.
func (p *playlist) partAt(e edge) (*segment, *part) {
	for i := range p.segments {
		s := &p.segments[i]
		if s.msn != e.msn {
			continue
		}
		if e.part < uint64(len(s.parts)) {
			return s, &s.parts[e.part]
		}
		if len(s.parts) == 0 {
			return nil, nil
		}
		e = edge{msn: e.msn + 1}
	}
	if s := p.open; s != nil && s.msn == e.msn && e.part < uint64(len(s.parts)) {
		return s, &s.parts[e.part]
	}
	return nil, nil
}

// comparePace judges how long new segments and parts were awaited. Only what is certain counts: between the
// arrival of one and the last request that was answered without the next.
func (j *judge) comparePace(r *rendition, p *playlist, x *Exchange, find func(string, int, string, string, ...any)) {
	if !p.live() || !r.last.live() {
		return
	}
	prev, e := r.last.edge(), p.edge()
	_, d := splitDirectives(x.URL)
	until := r.lastSent
	if d.hasMSN && x.took() > pace { // held until there was something new
		until = x.Done.Add(-pace)
	}
	if r.paceLost {
		r.paceLost, r.advanced, r.partSeen = false, x.Done, x.Done
		return
	}
	if e.msn > prev.msn {
		if wait := until.Sub(r.advanced); wait > p.target*3/2+pace {
			find("update-late", 0, "", "segment %d came %s after the one before", e.msn-1, round(wait))
		}
		r.advanced = x.Done
	}
	if prev.before(e) {
		if wait := until.Sub(r.partSeen); p.hasParts && d.hasPart && wait > 2*p.partTarget {
			find("part-late", 0, "", "the end moved from %s to %s after %s", prev, e, round(wait+pace))
		}
		r.partSeen = x.Done
		return
	}
	if wait := x.Sent.Sub(r.advanced); wait > p.target*3/2+pace {
		find("update-late", 0, fmt.Sprint(e), "no segment after %d for %s", e.msn-1, round(wait))
	}
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
