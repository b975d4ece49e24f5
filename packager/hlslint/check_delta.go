package hlslint

// expand turns a delta update into the playlist that it stands for, judging it on the way; it reports whether p
// can be judged further. A full playlist is left alone.
func (j *judge) expand(p *playlist, r *rendition, x *Exchange, d directives) bool {
	find := func(rule string, line int, format string, args ...any) {
		j.found.add(rule, spot{url: r.url, line: line, at: x.Done}, format, args...)
	}
	if len(p.skips) > 1 {
		find("skip-unasked", p.skips[1].line, "EXT-X-SKIP stands %d times", len(p.skips))
	}
	if len(p.skips) == 0 {
		if d.skip && p.control.hasSkip && !p.ended && len(p.segments) > 0 {
			if behind := p.duration() - p.segments[0].duration; behind > p.control.canSkipUntil {
				find("delta-refused", 0, "the answer to _HLS_skip is in full, though the first segment ends %s before the end", behind)
			}
		}
		return true
	}
	if !d.skip {
		find("skip-unasked", p.skips[0].line, "the request had no _HLS_skip")
		return false
	}
	line := p.skips[0].line
	if left := p.duration(); p.control.hasSkip && left < p.control.canSkipUntil {
		find("delta-skips-too-much", line, "%s are left, CAN-SKIP-UNTIL is %s", left, p.control.canSkipUntil)
	}
	if r.last == nil {
		return false
	}
	n := p.skipped()
	if p.sequence < r.last.sequence || n > uint64(len(r.records)) {
		find("delta-mismatch", line, "%d segments from %d on are skipped, the playlist before began at %d", n, p.sequence, r.last.sequence)
		return false
	}
	whole := make([]segment, 0, int(n)+len(p.segments))
	for msn := p.sequence; msn < p.sequence+n; msn++ {
		rec := r.records[msn]
		if rec == nil || rec.uri == "" {
			find("delta-mismatch", line, "the skipped segment %d was never listed", msn)
			return false
		}
		s := rec.segment
		s.parts = nil
		whole = append(whole, s)
	}
	if len(p.segments) > 0 {
		first := &p.segments[0]
		// What a delta has before its first segment is not repeated behind the skip.
		if rec := r.records[first.msn]; rec != nil && rec.uri != "" && first.key() != rec.key() {
			find("delta-mismatch", line, "behind %d skipped segments stands %s as segment %d, which was %s", n, clip(first.uri), first.msn, clip(rec.uri))
			return false
		}
	}
	j.inherit(p, whole)
	p.segments = append(whole, p.segments...)
	p.skips, p.delta = nil, true
	p.renumber()
	return true
}

// inherit carries the EXT-X-MAP of the skipped segments on to those behind the skip.
func (j *judge) inherit(p *playlist, whole []segment) {
	if len(whole) == 0 {
		return
	}
	initial := whole[len(whole)-1].initial
	carry := func(s *segment) bool {
		if s.initial != nil {
			return false
		}
		s.initial = initial
		return true
	}
	for i := range p.segments {
		if !carry(&p.segments[i]) {
			return
		}
	}
	if p.open != nil {
		carry(p.open)
	}
}

// renumber counts segments and discontinuities from the front again.
func (p *playlist) renumber() {
	msn, disc := p.sequence, p.discontinuity
	count := func(s *segment) {
		if s.discontinuity {
			disc++
		}
		s.msn, s.discSeq = msn, disc
		msn++
	}
	for i := range p.segments {
		count(&p.segments[i])
	}
	if p.open != nil {
		count(p.open)
	}
}
