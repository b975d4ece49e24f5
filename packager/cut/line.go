package cut

import (
	"math"
	"time"

	"mediad/media"
)

// line is the decode line of one track: samples without a gap between them, grouped into parts and segments.
type line struct {
	bounds
	kind   media.Kind
	number Line
	scale  media.Timescale
	sink   Sink
	listed bool // parts are listed in this epoch

	seq           int64 // of the open segment
	discontinuity bool  // the open segment is the first after one
	reordered     bool  // pictures are not decoded in the order in which they are shown
	independent   bool  // the open segment begins with a sync sample
	segStart      media.Ticks

	index     int // of the open part
	partStart media.Ticks
	part      []Sample

	end media.Ticks // of all samples taken
	out bool        // the segment before is a gap
}

// begin places the line at the start of an epoch.
func (l *line) begin(start media.Ticks) {
	l.segStart, l.partStart, l.end = start, start, start
}

// at is the end of the line as session time.
func (l *line) at() time.Duration { return l.scale.Duration(l.end) }

// length is how long the open part is.
func (l *line) length() media.Ticks { return l.end - l.partStart }

// add appends a sample to the open part.
func (l *line) add(s Sample) {
	if l.end == l.segStart {
		l.independent = s.Sync
	}
	l.part = append(l.part, s)
	l.end += s.Duration
}

// stretch makes the newest sample longer by d, which may be negative.
func (l *line) stretch(d media.Ticks) {
	l.part[len(l.part)-1].Duration += d
	l.end += d
}

func (l *line) endPart() {
	if len(l.part) == 0 {
		return
	}
	l.sink.Part(Part{
		Kind: l.kind, Line: l.number, Seq: l.seq, Index: l.index,
		Start: l.partStart, Duration: l.end - l.partStart, Shown: l.shownFirst(),
		Independent: l.part[0].Sync, Listed: l.listed, Discontinuity: l.discontinuity,
		Samples: l.part,
	})
	clear(l.part) // the units' bytes are not held longer than needed
	l.part = l.part[:0]
	l.index++
	l.partStart = l.end
}

// shownFirst is the PTS of the sample that is presented first of those from the open part on. It is not where the part begins where a
// frame begins early in decode time. Where pictures are reordered they fill the time from there on, and others may come before those of
// the part; but what is shown earlier still, because a segment had to end before it, counts.
func (l *line) shownFirst() media.Ticks {
	at, first := l.partStart, media.Ticks(math.MaxInt64)
	for i := range l.part {
		first = min(first, at+l.part[i].CompOffset)
		at += l.part[i].Duration
	}
	if l.reordered {
		return min(max(first, l.partStart-l.scale.Ticks(longestApart)), l.partStart)
	}
	return first
}

// longestApart is how far dates may be from where the segments of other lines begin: hlslint allows 100 ms, and sound begins within a frame.
const longestApart = 75 * time.Millisecond

func (l *line) endSegment() {
	l.endPart()
	if l.end == l.segStart {
		return
	}
	l.emit(Segment{Independent: l.independent})
}

// emit completes the open segment, which ends where the line does.
func (l *line) emit(s Segment) {
	s.Kind, s.Line, s.Seq, s.Discontinuity = l.kind, l.number, l.seq, l.discontinuity
	s.Start, s.Duration = l.segStart, l.end-l.segStart
	l.sink.Segment(s)
	l.out = s.Gap
	l.seq++
	l.index = 0
	l.segStart, l.partStart = l.end, l.end
	l.discontinuity = false
}
