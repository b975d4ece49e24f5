package hlslint

import (
	"net/url"
	"time"
)

// sumTolerance covers durations that are written with three decimals.
const sumTolerance = 5 * time.Millisecond

// checkLowLatency judges what a media playlist says about parts and delivery directives.
func (j *judge) checkLowLatency(p *playlist, r *rendition, x *Exchange) {
	find := func(rule string, line int, subject, format string, args ...any) {
		j.found.add(rule, spot{url: r.url, line: line, at: x.Done, subject: subject}, format, args...)
	}
	c := p.control
	if c.hasHoldBack && c.holdBack < 3*p.target {
		find("hold-back-small", c.line, "tag", "HOLD-BACK %s, target duration %s", c.holdBack, p.target)
	}
	if c.hasSkip && c.canSkipUntil < 6*p.target {
		find("can-skip-until-small", c.line, "tag", "CAN-SKIP-UNTIL %s, target duration %s", c.canSkipUntil, p.target)
	}
	if c.skipDateRanges && !c.hasSkip {
		find("can-skip-dateranges-alone", c.line, "tag", "no CAN-SKIP-UNTIL")
	}
	j.checkHintTags(p, find)
	if !p.lowLatency() {
		return
	}
	switch {
	case !p.hasPartInf:
		find("part-inf-missing", 0, "tag", "parts without EXT-X-PART-INF")
	case !c.hasPartHoldBack:
		find("part-hold-back-missing", c.line, "tag", "no PART-HOLD-BACK")
	case c.partHoldBack < 2*p.partTarget:
		find("part-hold-back-small", c.line, "tag", "PART-HOLD-BACK %s, PART-TARGET %s", c.partHoldBack, p.partTarget)
	}
	if p.iframesOnly && p.hasParts {
		find("parts-in-iframes", 0, "tag", "EXT-X-PART with EXT-X-I-FRAMES-ONLY")
	}
	j.checkPartTags(p, find)
	if !p.live() {
		return
	}
	if !c.canBlock {
		find("can-block-reload-missing", c.line, "tag", "no CAN-BLOCK-RELOAD=YES")
	}
	if !p.hasDates() && p.skipped() == 0 && len(p.segments) > 0 {
		find("pdt-missing-ll", 0, "tag", "no EXT-X-PROGRAM-DATE-TIME")
	}
	if p.hasParts && len(p.segments) == 0 && p.skipped() == 0 {
		find("parts-without-segment", 0, "tag", "only parts are listed")
	}
	if p.hasParts && !hasHint(p, "PART") {
		find("preload-hint-missing", 0, "tag", "no EXT-X-PRELOAD-HINT:TYPE=PART")
	}
	j.checkReports(p, r, x, find)
}

func hasHint(p *playlist, kind string) bool {
	for _, h := range p.hints {
		if h.kind == kind {
			return true
		}
	}
	return false
}

func (j *judge) checkHintTags(p *playlist, find func(string, int, string, string, ...any)) {
	seen := map[string]bool{}
	for _, h := range p.hints {
		if p.ended {
			find("preload-hint-after-end", h.line, "tag", "%s", clip(h.uri))
		}
		if seen[h.kind] {
			find("preload-hint-duplicate", h.line, h.url, "a second hint of type %s", clip(h.kind))
		}
		seen[h.kind] = true
		if h.kind == "PART" && listsPart(p, h) {
			find("preload-hint-listed", h.line, h.url, "%s is listed already", clip(h.uri))
		}
	}
}

// listsPart says whether a hinted part stands in the playlist; ranges of one resource are different parts.
func listsPart(p *playlist, h hint) bool {
	listed := func(s *segment) bool {
		for _, x := range s.parts {
			if x.url == h.url && (x.bytes == nil || x.bytes.offset == h.start) {
				return true
			}
		}
		return false
	}
	for i := range p.segments {
		if listed(&p.segments[i]) {
			return true
		}
	}
	return p.open != nil && listed(p.open)
}

func (j *judge) checkPartTags(p *playlist, find func(string, int, string, string, ...any)) {
	behind := p.duration() // from the segment's start to the end of the playlist
	check := func(s *segment, complete bool) {
		var total time.Duration
		for i, x := range s.parts {
			total += x.duration
			if p.partTarget == 0 {
				continue
			}
			if x.duration > p.partTarget {
				find("part-over-target", x.line, x.key(), "part %d of segment %d lasts %s, PART-TARGET is %s", i, s.msn, x.durationText, p.partTarget)
			}
			last := complete && i == len(s.parts)-1
			beforeGap := i+1 < len(s.parts) && s.parts[i+1].gap
			// The last part listed of the open segment may turn out to be its last.
			edge := !complete && i == len(s.parts)-1
			if x.duration*100 < p.partTarget*85 && !x.independent && !x.gap && !last && !beforeGap && !edge {
				find("part-under-target", x.line, x.key(), "part %d of segment %d lasts %s, PART-TARGET is %s", i, s.msn, x.durationText, p.partTarget)
			}
		}
		if !complete || len(s.parts) == 0 {
			behind -= total
			return
		}
		if abs(total-s.duration) > sumTolerance {
			find("parts-not-segment", s.line, s.key(), "the parts of segment %d sum to %s, EXTINF is %s", s.msn, total, s.durationText)
		}
		if end := behind - s.duration; end > 3*p.target+sumTolerance && p.live() {
			find("parts-too-old", s.parts[0].line, "tag", "parts of segment %d, which ends %s before the end", s.msn, end)
		}
	}
	for i := range p.segments {
		check(&p.segments[i], true)
		behind -= p.segments[i].duration
	}
	if p.open != nil {
		check(p.open, false)
	}
}

// checkReports judges the rendition reports of one playlist and keeps what they claim.
func (j *judge) checkReports(p *playlist, r *rendition, x *Exchange, find func(string, int, string, string, ...any)) {
	have := map[string]bool{}
	for _, rep := range p.reports {
		u, err := url.Parse(rep.uri)
		if err == nil && (u.Scheme != "" || u.Host != "") {
			find("rendition-report-absolute", rep.line, rep.uri, "%s", clip(rep.uri))
		}
		target, _ := splitDirectives(rep.url)
		have[target] = true
		other := j.renditions[target]
		if j.multi != nil && (other == nil || target == r.url) {
			find("rendition-report-unknown", rep.line, rep.uri, "%s", clip(rep.uri))
		}
		if !rep.hasMSN || !rep.hasPart && p.hasParts && (other == nil || other.last == nil) {
			find("rendition-report-incomplete", rep.line, rep.uri, "%s has no LAST-MSN or no LAST-PART", clip(rep.uri))
			continue
		}
		e := edge{msn: rep.msn + 1}
		if rep.hasPart {
			e = edge{rep.msn, rep.part + 1}
		}
		own := p.edge()
		if own.part == 0 && own.msn > 0 {
			own.msn--
		}
		if d := int64(rep.msn) - int64(own.msn); abs(d) > 1 {
			find("renditions-apart", rep.line, rep.uri, "%s is at segment %d, this playlist at %d", clip(rep.uri), rep.msn, own.msn)
		}
		if len(j.claims) < 4*maxRecords {
			j.claims = append(j.claims, claim{
				from: r.url, target: target, line: rep.line, edge: e, partless: !rep.hasPart && p.hasParts, msn: rep.msn,
				slack: max(2*p.partTarget, 200*time.Millisecond), sent: x.Sent, done: x.Done,
			})
		}
	}
	if j.multi == nil {
		return
	}
	for _, u := range j.order {
		if other := j.renditions[u]; u != r.url && other.role != roleIFrames && other.role != roleSubtitles && !have[u] {
			find("rendition-report-missing", 0, u, "no report on %s", clip(u))
		}
	}
}
