package hlslint

import (
	"slices"
	"time"
)

func sortUint64(l []uint64) { slices.Sort(l) }

// checkParts holds the parts of a rendition that were fetched against the playlist and against their segments.
func (j *judge) checkParts(r *rendition) {
	if r.last == nil {
		return
	}
	for _, msn := range sortedMSNs(r.records) {
		rec := r.records[msn]
		if len(rec.parts) == 0 || rec.encrypted {
			continue
		}
		j.checkPartFiles(r, rec)
		j.checkJoined(r, rec)
	}
}

func (j *judge) checkPartFiles(r *rendition, rec *record) {
	var prev *trackFacts
	for i := range rec.parts {
		x := &rec.parts[i]
		find := func(rule, format string, args ...any) {
			j.found.add(rule, spot{url: r.url, line: x.line, at: j.last, subject: x.key()}, format, args...)
		}
		m := j.files[x.key()]
		if m == nil || m.format != formatMP4 || x.gap {
			prev = nil
			continue
		}
		t := m.timed()
		if t == nil {
			prev = nil
			continue
		}
		if d := t.duration(); abs(d-x.duration) > sumTolerance {
			find("part-duration-wrong", "part %d of segment %d: DURATION %s, the samples last %s", i, rec.msn, x.durationText, d.Round(time.Microsecond))
		}
		if prev != nil && prev.id == t.id {
			if gap := t.ticksToTime(int64(t.start) - int64(prev.end)); abs(gap) > timeTolerance {
				find("part-decode-time-gap", "part %d of segment %d starts %s from where the one before ended", i, rec.msn, round(gap))
			}
		}
		prev = t
		if t.handler != "vide" || t.first == pictureUnknown {
			continue
		}
		switch {
		case x.independent && t.any == pictureInter:
			find("part-independent-false", "part %d of segment %d", i, rec.msn)
		case x.independent && t.first == pictureInter:
			find("part-independent-late", "part %d of segment %d", i, rec.msn)
		case !x.independent && t.first == pictureIDR:
			find("part-independent-unsaid", "part %d of segment %d", i, rec.msn)
		}
	}
}

// checkJoined holds a complete segment against its parts, where all have been fetched.
func (j *judge) checkJoined(r *rendition, rec *record) {
	whole := j.files[rec.key()]
	if rec.uri == "" || whole == nil {
		return
	}
	joined := sum{power: 1}
	samples, total := 0, 0
	for i := range rec.parts {
		m := j.files[rec.parts[i].key()]
		if m == nil || rec.parts[i].gap {
			return
		}
		joined = joined.join(m.sum)
		for _, t := range m.tracks {
			samples += t.samples
		}
	}
	for _, t := range whole.tracks {
		total += t.samples
	}
	s := spot{url: r.url, line: rec.line, at: j.last, subject: rec.key()}
	switch {
	case samples != total:
		j.found.add("parts-samples-differ", s, "segment %d has %d samples, its parts have %d", rec.msn, total, samples)
	case joined != whole.sum:
		j.found.add("parts-bytes-differ", s, "segment %d has %d bytes, its parts have %d", rec.msn, whole.sum.size, joined.size)
	}
}

// checkHints judges what the preload hints gave, once it is known which parts were listed.
func (j *judge) checkHints() {
	for _, key := range sortedKeys(j.hinted) {
		h := j.hinted[key]
		r, _ := j.owner(key)
		if r == nil {
			continue // never published, which an origin may decide
		}
		s := spot{url: r.url, at: h.at, subject: key}
		if h.status != 200 && h.status != 206 {
			if h.status != 0 {
				j.found.add("preload-hint-refused", s, "%s: status %d after %s, and was listed later", clip(key), h.status, round(h.took))
			}
			continue
		}
		if m := j.files[key]; m != nil && m.sum != h.sum {
			j.found.add("preload-hint-bytes", s, "%s gave %d bytes, the part has %d", clip(key), h.sum.size, m.sum.size)
		}
	}
}

// checkClaims holds the rendition reports against what their playlists said before and after.
func (j *judge) checkClaims() {
	for _, c := range j.claims {
		r := j.renditions[c.target]
		if r == nil || r.last == nil || r.last.ended {
			continue
		}
		s := spot{url: c.from, line: c.line, at: c.done, subject: c.target}
		if rec := r.records[c.msn]; c.partless && rec != nil && len(rec.parts) > 0 {
			j.found.add("rendition-report-incomplete", s, "%s has no LAST-PART, segment %d has parts", clip(c.target), c.msn)
		}
		// The last answer that had arrived well before the report was asked for.
		i, _ := slices.BinarySearchFunc(r.edges, c.sent.Add(-c.slack), func(e edgeAt, t time.Time) int { return e.done.Compare(t) })
		if i > 0 && r.claimBefore(c.edge, r.edges[i-1].edge) {
			j.found.add("rendition-report-behind", s, "says that %s ends before %s, which was listed %s earlier",
				clip(c.target), r.edges[i-1].edge, round(c.sent.Sub(r.edges[i-1].done)))
		}
		// The first answer that was asked for after the report had arrived.
		i, _ = slices.BinarySearchFunc(r.edges, c.done.Add(c.slack), func(e edgeAt, t time.Time) int { return e.sent.Compare(t) })
		if i < len(r.edges) && r.claimBefore(r.edges[i].edge, c.edge) {
			j.found.add("rendition-report-ahead", s, "says that %s ends at %s, %s later it ended at %s",
				clip(c.target), c.edge, round(r.edges[i].sent.Sub(c.done)), r.edges[i].edge)
		}
	}
}

// claimBefore says whether a is before b, taking "after the last part of a segment" and "at the next segment"
// for the same.
func (r *rendition) claimBefore(a, b edge) bool {
	return r.settle(a).before(r.settle(b))
}

func (r *rendition) settle(e edge) edge {
	if rec := r.records[e.msn]; rec != nil && rec.uri != "" && e.part > 0 && (len(rec.parts) == 0 || e.part >= uint64(len(rec.parts))) {
		return edge{msn: e.msn + 1}
	}
	return e
}
