package hlslint

import (
	"time"
)

// dateTolerance is how far two dates may lie from the sum of the durations between them.
const dateTolerance = 50 * time.Millisecond

// checkMedia judges a media playlist alone.
func (j *judge) checkMedia(p *playlist, r *rendition, at time.Time) {
	find := func(rule string, line int, subject, format string, args ...any) {
		j.found.add(rule, spot{url: r.url, line: line, at: at, subject: subject}, format, args...)
	}
	live := p.live()
	if p.independent > 0 && j.multi != nil && j.multi.independent > 0 {
		find("independent-repeated", p.independent, "tag", "in both playlists")
	}
	if r.role == roleIFrames && !p.iframesOnly {
		find("iframe-without-tag", 0, "tag", "no EXT-X-I-FRAMES-ONLY")
	}
	if live && !p.lowLatency() && r.role != roleIFrames && len(p.segments) > 0 && !p.hasDates() && p.skipped() == 0 {
		find("pdt-missing", 0, "tag", "no EXT-X-PROGRAM-DATE-TIME")
	}
	if p.playlistType == "VOD" && !p.ended {
		find("vod-without-endlist", 0, "tag", "no EXT-X-ENDLIST")
	}
	if p.ended && p.playlistType == "" && r.last == nil {
		find("vod-type-missing", 0, "tag", "no EXT-X-PLAYLIST-TYPE")
	}
	j.checkStart(p, live, find)
	j.checkDates(p, find)
	j.checkRanges(p, find)
	var prev *segment
	for i := range p.segments {
		s := &p.segments[i]
		if s.discontinuity && live && !p.hasDiscSequence {
			find("discontinuity-sequence-missing", s.line, "tag", "the segment %d has EXT-X-DISCONTINUITY", s.msn)
		}
		if prev != nil && prev.initial != nil && s.initial != nil && prev.initial.key() != s.initial.key() && !s.discontinuity {
			find("map-change-unmarked", s.line, s.key(), "from %s to %s at segment %d", clip(prev.initial.uri), clip(s.initial.uri), s.msn)
		}
		prev = s
	}
}

func (j *judge) checkStart(p *playlist, live bool, find func(string, int, string, string, ...any)) {
	if p.start == nil || p.skipped() > 0 {
		return
	}
	total := p.duration()
	at := p.start.offset
	if at < 0 {
		at += total
	}
	switch {
	case at < 0 || at > total:
		find("start-too-late", p.start.line, "tag", "TIME-OFFSET %s in a playlist of %s", p.start.offset, total)
	case live && total-at < 3*p.target:
		find("start-too-late", p.start.line, "tag", "TIME-OFFSET %s is %s before the end", p.start.offset, total-at)
	}
}

// checkDates holds each date against the one before and the durations between.
func (j *judge) checkDates(p *playlist, find func(string, int, string, string, ...any)) {
	var date time.Time
	known := false
	check := func(s *segment) {
		if s.discontinuity {
			known = false
		}
		if s.hasDate {
			if off := s.date.Sub(date); known && abs(off) > dateTolerance {
				find("pdt-against-extinf", s.dateLine, s.key(), "segment %d is dated %s, %s from where the one before ends", s.msn, s.date.Format(time.RFC3339Nano), off)
			}
			date, known = s.date, true
		}
		date = date.Add(s.duration)
	}
	for i := range p.segments {
		check(&p.segments[i])
	}
	if p.open != nil {
		check(p.open)
	}
}

// checkRanges judges EXT-X-DATERANGE.
func (j *judge) checkRanges(p *playlist, find func(string, int, string, string, ...any)) {
	if len(p.ranges) > 0 && !p.hasDates() && p.skipped() == 0 {
		find("daterange-without-pdt", p.ranges[0].line, "tag", "no EXT-X-PROGRAM-DATE-TIME")
	}
	known := map[string]map[string]string{}
	for _, r := range p.ranges {
		a, id := r.attrs, r.attrs.str("ID")
		invalid := func(format string, args ...any) {
			find("daterange-invalid", r.line, id+format, "%q: "+format, append([]any{clip(id)}, args...)...)
		}
		before, again := known[id]
		if !again {
			before = map[string]string{}
			known[id] = before
			if !a.has("START-DATE") && p.skipped() == 0 {
				find("attribute-missing", r.line, id, "#EXT-X-DATERANGE %q has no START-DATE", clip(id))
			}
		}
		for _, x := range a {
			if v, ok := before[x.name]; ok && v != x.value {
				find("daterange-conflict", r.line, id+x.name, "%q: %s is %q and %q", clip(id), clip(x.name), clip(v), clip(x.value))
			}
			before[x.name] = x.value
		}
		start, _, okStart := parseDate(before["START-DATE"])
		end, _, okEnd := parseDate(before["END-DATE"])
		duration, okDuration := parseSeconds(before["DURATION"], true)
		if okStart && okEnd && end.Before(start) {
			invalid("END-DATE is before START-DATE")
		} else if okStart && okEnd && okDuration && abs(end.Sub(start)-duration) > time.Millisecond {
			invalid("END-DATE is not START-DATE and DURATION")
		}
		if okDuration && duration < 0 {
			invalid("DURATION is negative")
		}
		if a.yes("END-ON-NEXT") && (before["CLASS"] == "" || before["DURATION"] != "" || before["END-DATE"] != "") {
			invalid("END-ON-NEXT without CLASS, or with an end")
		}
		cues := splitCodecs(a.str("CUE"))
		pre, post := false, false
		for _, c := range cues {
			pre, post = pre || c == "PRE", post || c == "POST"
		}
		if pre && post {
			invalid("CUE has PRE and POST")
		}
	}
}
