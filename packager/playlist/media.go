package playlist

import (
	"strconv"
	"time"
)

// noEpoch is the epoch in front of the first segment: it equals no other.
const noEpoch = int64(-1)

// version is EXT-X-VERSION of the live playlist: 9 is the first that has EXT-X-SKIP (section 8). It stands in every
// answer, delta or not, so that it never changes.
const version = 9

// sizeHint is a capacity that a full playlist does not exceed in practice.
func (w *Window) sizeHint() int {
	n := 640 + 96*len(w.spec.Reports) + 224*len(w.spec.Segments)
	for i := w.partsFrom(); i < len(w.spec.Segments); i++ {
		n += 104 * len(w.spec.Segments[i].Parts)
	}
	if w.spec.Open != nil {
		n += 256 + 104*len(w.spec.Open.Parts)
	}
	return n
}

// open is how long the listed part of the open segment is.
func (w *Window) open() time.Duration {
	var d time.Duration
	if w.spec.Open != nil {
		for i := range w.spec.Open.Parts {
			d += w.spec.Open.Parts[i].Duration
		}
	}
	return d
}

// within is the index of the first segment that begins no more than d before the end of the playlist.
func (w *Window) within(d time.Duration) int {
	left := d - w.open()
	segs := w.spec.Segments
	i := len(segs)
	for i > 0 && segs[i-1].Duration <= left {
		i--
		left -= segs[i].Duration
	}
	return i
}

// partsFrom is the index of the first segment whose parts are listed: all of a segment's or none, since clients
// count them from the segment's first.
func (w *Window) partsFrom() int {
	if w.spec.Config.PartTarget <= 0 {
		return len(w.spec.Segments)
	}
	from := w.within(partsTargets * w.spec.Config.TargetDuration())
	for from < len(w.spec.Segments) && w.spec.Segments[from].MSN < w.spec.PartsFrom {
		from++
	}
	if w.spec.PartsBehindGaps {
		for i := len(w.spec.Segments); i > from; i-- {
			if w.spec.Segments[i-1].Gap {
				return i
			}
		}
	}
	return from
}

// skippable is how many segments a delta update leaves out: those that end before the skip boundary, which
// is measured from the end of the last segment, also if that is partial (4.4.5.2, 6.2.5.1).
func (w *Window) skippable() int {
	c := w.spec.Config
	if !c.CanSkip() || w.spec.Ended {
		return 0
	}
	// The segment before the first that begins within the boundary contains it, or touches it and may go.
	boundary := skipTargets * c.TargetDuration()
	n := w.within(boundary)
	if n == 0 {
		return 0
	}
	var after time.Duration
	for _, s := range w.spec.Segments[n:] {
		after += s.Duration
	}
	if after+w.open() < boundary {
		n--
	}
	return n
}

// appendPlaylist renders the media playlist.
func (w *Window) appendPlaylist(b []byte, delta bool) []byte {
	s := &w.spec
	b = appendHead(b, s)
	first, epoch := 0, noEpoch
	if delta {
		first = w.skippable()
		b = append(b, "#EXT-X-SKIP:SKIPPED-SEGMENTS="...)
		b = strconv.AppendInt(b, int64(first), 10)
		b = append(b, '\n')
	}
	parts := w.partsFrom()
	for i := first; i < len(s.Segments); i++ {
		seg := s.Segments[i]
		b = appendSegmentHead(b, seg, &epoch)
		if i >= parts {
			b = appendParts(b, seg)
		}
		b = appendSegment(b, seg)
	}
	if o := s.Open; o != nil && len(o.Parts) > 0 && s.Config.PartTarget > 0 && !s.Ended {
		b = appendSegmentHead(b, o, &epoch)
		b = appendParts(b, o)
	}
	if s.Ended {
		return append(b, "#EXT-X-ENDLIST\n"...)
	}
	b = appendHint(b, s, epoch)
	return appendReports(b, s.Reports)
}

func appendHead(b []byte, s *Spec) []byte {
	c := s.Config
	b = append(b, "#EXTM3U\n#EXT-X-VERSION:"...)
	b = strconv.AppendInt(b, version, 10)
	b = append(b, "\n#EXT-X-TARGETDURATION:"...)
	b = strconv.AppendInt(b, int64(c.Target), 10)
	b = append(b, "\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK="...)
	b = appendSeconds(b, c.HoldBack().Microseconds())
	if c.PartTarget > 0 {
		b = append(b, ",PART-HOLD-BACK="...)
		b = appendSeconds(b, partHoldBackParts*ceilMicros(c.PartTarget))
	}
	if c.CanSkip() {
		b = append(b, ",CAN-SKIP-UNTIL="...)
		b = appendSeconds(b, int64(skipTargets*c.Target)*1e6)
	}
	if c.PartTarget > 0 {
		b = append(b, "\n#EXT-X-PART-INF:PART-TARGET="...)
		b = appendSeconds(b, ceilMicros(c.PartTarget))
	}
	return appendSequence(b, s.Segments, s.DiscontinuitySequence, s.Independent)
}

// appendSequence ends the line before it and appends the tags that number the segments.
func appendSequence(b []byte, segments []*Segment, discontinuities uint64, independent bool) []byte {
	b = append(b, "\n#EXT-X-MEDIA-SEQUENCE:"...)
	var msn uint64
	if len(segments) > 0 {
		msn = segments[0].MSN
	}
	b = strconv.AppendUint(b, msn, 10)
	// It stands there even if 0: some clients take its absence for "the same as before".
	b = append(b, "\n#EXT-X-DISCONTINUITY-SEQUENCE:"...)
	b = strconv.AppendUint(b, discontinuities, 10)
	if independent {
		b = append(b, "\n#EXT-X-INDEPENDENT-SEGMENTS"...)
	}
	return append(b, '\n')
}

// appendSegmentHead appends what stands in front of a segment and of its parts. epoch is that of the segment before,
// noEpoch in front of the first listed, and becomes this one's. The date stands at every segment, so that it survives a
// delta update and a window that moves on.
func appendSegmentHead(b []byte, seg *Segment, epoch *int64) []byte {
	if seg.Discontinuity {
		b = append(b, "#EXT-X-DISCONTINUITY\n"...)
	}
	if seg.Epoch != *epoch {
		*epoch = seg.Epoch
		b = append(b, `#EXT-X-MAP:URI="`...)
		b = AppendInitName(b, seg.Epoch)
		b = append(b, "\"\n"...)
	}
	b = append(b, "#EXT-X-PROGRAM-DATE-TIME:"...)
	b = appendDate(b, seg.ProgramDate)
	return append(b, '\n')
}

// appendParts appends the segment's parts. Each is printed as the difference of two sums, so that the parts of
// a segment add up to its EXTINF and none moves when others follow.
func appendParts(b []byte, seg *Segment) []byte {
	var sum time.Duration
	for i := range seg.Parts {
		p := &seg.Parts[i]
		from := stretched(sum)
		sum += p.Duration
		b = append(b, "#EXT-X-PART:DURATION="...)
		b = appendDuration(b, stretched(sum)-from)
		b = append(b, `,URI="`...)
		b = AppendPartName(b, seg.Epoch, seg.MSN, i)
		b = append(b, '"')
		if p.Independent {
			b = append(b, ",INDEPENDENT=YES"...)
		}
		if p.Gap {
			b = append(b, ",GAP=YES"...)
		}
		b = append(b, '\n')
	}
	return b
}

func appendSegment(b []byte, seg *Segment) []byte {
	if seg.Gap {
		b = append(b, "#EXT-X-GAP\n"...)
	}
	b = append(b, "#EXTINF:"...)
	b = appendDuration(b, stretched(seg.Duration))
	b = append(b, ",\n"...)
	b = AppendSegmentName(b, seg.Epoch, seg.MSN)
	return append(b, '\n')
}

// appendHint appends the preload hint of the next part, and of the init segment in front of it if that is a new one.
func appendHint(b []byte, s *Spec, epoch int64) []byte {
	h := s.Hint
	if h == nil || h.Part < 0 || s.Config.PartTarget <= 0 {
		return b
	}
	if h.Epoch != epoch {
		b = append(b, `#EXT-X-PRELOAD-HINT:TYPE=MAP,URI="`...)
		b = AppendInitName(b, h.Epoch)
		b = append(b, "\"\n"...)
	}
	b = append(b, `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="`...)
	b = AppendPartName(b, h.Epoch, h.MSN, h.Part)
	return append(b, "\"\n"...)
}

func appendReports(b []byte, reports []Report) []byte {
	for i := range reports {
		r := &reports[i]
		b = append(b, `#EXT-X-RENDITION-REPORT:URI="../`...)
		b = append(b, r.Rendition...)
		b = append(b, "/index.m3u8\",LAST-MSN="...)
		b = strconv.AppendUint(b, r.LastMSN, 10)
		if r.LastPart >= 0 {
			b = append(b, ",LAST-PART="...)
			b = strconv.AppendInt(b, int64(r.LastPart), 10)
		}
		b = append(b, '\n')
	}
	return b
}
