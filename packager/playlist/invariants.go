package playlist

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// CheckInvariants returns what is wrong with a media playlist that this package rendered, live, delta or DVR, and
// with its coming after prev, an earlier state of the same address (nil: none). Every rule of the protocol that one
// rendition can show is here, under the name that leads its message; the packager's tests run it on every playlist.
func CheckInvariants(prev, cur []byte) error {
	c, err := read(cur)
	if err != nil {
		return fmt.Errorf("syntax: %w", err)
	}
	var f faults
	f.checkHead(c)
	f.checkControl(c)
	f.checkSegments(c)
	f.checkParts(c)
	f.checkDates(c)
	f.checkSkip(c)
	f.checkTail(c)
	if prev != nil {
		p, err := read(prev)
		if err != nil {
			return fmt.Errorf("syntax of the one before: %w", err)
		}
		f.checkSuccession(p, c)
	}
	return f.join()
}

// CheckWindow is CheckInvariants for windows, whose delta update it checks too: filled up with what it skips, it must say
// the same as the whole playlist. prev may be nil.
func CheckWindow(prev, cur *Window) error {
	full := cur.Render(SkipNo, false)
	var before []byte
	if prev != nil {
		before = prev.Render(SkipNo, false)
	}
	err := CheckInvariants(before, full)
	delta := cur.Render(SkipYes, false)
	if bytes.Equal(full, delta) {
		return err
	}
	return errors.Join(err, CheckInvariants(nil, delta), checkDelta(full, delta))
}

// checkDelta compares a delta update with the whole playlist of the same moment, both of which are well formed.
func checkDelta(full, delta []byte) error {
	whole, err := read(full)
	if err != nil {
		return err
	}
	d, err := read(delta)
	if err != nil {
		return err
	}
	var f faults
	if d.skipped < 1 || d.skipped > len(whole.segments) {
		f.add("delta-count", "%d of %d segments", d.skipped, len(whole.segments))
		return f.join()
	}
	if d.msn != whole.msn || d.discontinuitySeq != whole.discontinuitySeq {
		f.add("delta-sequence", "%d and %d, whole %d and %d", d.msn, d.discontinuitySeq, whole.msn, whole.discontinuitySeq)
	}
	_, tail, _ := bytes.Cut(full, []byte(whole.segments[d.skipped-1].uri+"\n"))
	if !bytes.HasSuffix(delta, withoutMap(tail)) {
		f.add("delta-tail", "what follows the skipped segments differs from the whole playlist")
	}
	return f.join()
}

// withoutMap is b from the first line on that is not the segment head's: a delta names the init segment and the whole playlist
// may have done so earlier.
func withoutMap(b []byte) []byte {
	if i := bytes.Index(b, []byte("#EXT-X-PROGRAM-DATE-TIME")); i >= 0 {
		return b[i:]
	}
	return b
}

// faults collects broken rules.
type faults []error

func (f *faults) add(rule, format string, args ...any) {
	*f = append(*f, fmt.Errorf(rule+": "+format, args...))
}

func (f faults) join() error { return errors.Join(f...) }

// targets is how long n target durations are, in nanoseconds.
func (l *listed) targets(n int64) int64 { return n * int64(l.target) * 1e9 }

func (f *faults) checkHead(l *listed) {
	for _, tag := range [...]string{"#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE"} {
		if l.head[tag] == 0 {
			f.add("head", "%s is missing", tag)
		}
	}
	if l.version < 6 || l.skipped > 0 && l.version < 9 {
		f.add("version", "%d", l.version)
	}
	if l.target < 1 {
		f.add("target", "TARGETDURATION %d", l.target)
	}
}

func (f *faults) checkControl(l *listed) {
	parts := l.open != nil
	for i := range l.segments {
		parts = parts || len(l.segments[i].parts) > 0
	}
	if parts && (l.control["CAN-BLOCK-RELOAD"] != "YES" || l.partTarget == 0) {
		f.add("control-parts", "parts without CAN-BLOCK-RELOAD or PART-TARGET")
	}
	least := func(name string, limit int64, required bool) {
		s, ok := l.control[name]
		if !ok {
			if required {
				f.add("control-"+strings.ToLower(name), "missing")
			}
			return
		}
		if v, err := nanos(s, headDecimals); err != nil || v < limit {
			f.add("control-"+strings.ToLower(name), "%s, at least %d ns", s, limit)
		}
	}
	least("PART-HOLD-BACK", 3*l.partTarget, l.partTarget > 0)
	least("HOLD-BACK", l.targets(3), false)
	least("CAN-SKIP-UNTIL", l.targets(6), false)
}

func (f *faults) checkSegments(l *listed) {
	if len(l.segments) == 0 {
		f.add("no-segment", "no complete segment")
		return
	}
	all := l.segments
	if l.open != nil {
		all = append(all[:len(all):len(all)], *l.open)
	}
	for i := range all {
		s := &all[i]
		if length := s.length(); (length+500_000_000)/1_000_000_000 > int64(l.target) {
			f.add("too-long", "segment %d lasts %d ns, TARGETDURATION is %d", s.msn, length, l.target)
		}
		if s.uri != "" && s.duration == 0 {
			f.add("empty", "segment %d", s.msn)
		}
		epoch, ok := s.epoch()
		if !ok {
			f.add("map", "segment %d has %q", s.msn, s.mapURI)
			continue
		}
		if want := string(AppendSegmentName(nil, epoch, s.msn)); s.uri != "" && s.uri != want {
			f.add("name", "segment %d is %s, want %s", s.msn, s.uri, want)
		}
		for j := range s.parts {
			if want := string(AppendPartName(nil, epoch, s.msn, j)); s.parts[j].uri != want {
				f.add("part-name", "part %d of %d is %s, want %s", j, s.msn, s.parts[j].uri, want)
			}
		}
		if i > 0 && s.mapURI != all[i-1].mapURI && !s.discontinuity {
			f.add("map-changes", "at segment %d, without a discontinuity", s.msn)
		}
	}
}

// epoch reads the epoch from the segment's init segment.
func (s *listedSegment) epoch() (int64, bool) {
	var e int64
	n, err := fmt.Sscanf(s.mapURI, "init_%d.mp4", &e)
	return e, n == 1 && err == nil && s.mapURI == string(AppendInitName(nil, e))
}

// sumTolerance is by how many nanoseconds parts may miss their segment: its length and theirs may come from
// different roundings of ticks to nanoseconds.
const sumTolerance = 10_000

func (f *faults) checkParts(l *listed) {
	left := l.total()
	for i := range l.segments {
		s := &l.segments[i]
		f.checkPartsOf(l, s)
		var sum int64
		for _, p := range s.parts {
			sum += p.duration
		}
		if len(s.parts) > 0 && max(sum-s.duration, s.duration-sum) > sumTolerance {
			f.add("parts-sum", "segment %d lasts %d ns, its parts %d", s.msn, s.duration, sum)
		}
		if len(s.parts) > 0 && left > l.targets(partsTargets)+sumTolerance {
			f.add("old-parts", "segment %d begins %d ns before the end", s.msn, left)
		}
		left -= s.duration
	}
	if l.open != nil {
		f.checkPartsOf(l, l.open)
	}
}

// checkPartsOf checks each part by itself. The last of a segment may be short; so may the newest, which may be that.
func (f *faults) checkPartsOf(l *listed, s *listedSegment) {
	gaps := 0
	for j, p := range s.parts {
		if p.gap {
			gaps++
		}
		if p.duration == 0 {
			f.add("part-empty", "part %d of %d", j, s.msn)
		}
		if p.duration > l.partTarget {
			f.add("part-long", "part %d of %d lasts %d ns, PART-TARGET is %d", j, s.msn, p.duration, l.partTarget)
		}
		last := j == len(s.parts)-1
		mayBeShort := p.independent || p.gap || last || s.parts[j+1].gap
		if !mayBeShort && p.duration*100 < l.partTarget*85 {
			f.add("part-short", "part %d of %d lasts %d ns, PART-TARGET is %d", j, s.msn, p.duration, l.partTarget)
		}
		if p.gap && p.independent {
			f.add("part-gap-independent", "part %d of %d", j, s.msn)
		}
	}
	if gaps > 0 && gaps < len(s.parts) {
		f.add("part-gap-mixed", "segment %d has %d parts, %d of them gaps", s.msn, len(s.parts), gaps)
	}
	if gaps > 0 && s.uri != "" && !s.gap {
		f.add("part-gap-segment", "segment %d has gap parts and is none", s.msn)
	}
	if l.independent && len(s.parts) > 0 && !s.parts[0].independent && !s.parts[0].gap {
		f.add("independent", "segment %d does not begin with an independent part", s.msn)
	}
}

// dateTolerance is by how many nanoseconds a date may miss the end of the segment before: both are whole milliseconds.
const dateTolerance = 1_500_000

func (f *faults) checkDates(l *listed) {
	all := l.segments
	if l.open != nil {
		all = append(all[:len(all):len(all)], *l.open)
	}
	for i := range all {
		s := &all[i]
		if s.date.IsZero() {
			f.add("date", "segment %d has none", s.msn)
			continue
		}
		if i == 0 || all[i-1].date.IsZero() {
			continue
		}
		before := &all[i-1]
		off := int64(s.date.Sub(before.date)) - before.duration
		if off < -dateTolerance || !s.discontinuity && off > dateTolerance {
			f.add("date-drifts", "segment %d begins %d ns after the end of the one before", s.msn, off)
		}
	}
}

func (f *faults) checkSkip(l *listed) {
	if l.head["#EXT-X-SKIP"] == 0 {
		return
	}
	until, err := nanos(l.control["CAN-SKIP-UNTIL"], headDecimals)
	if err != nil {
		f.add("skip-not-offered", "EXT-X-SKIP without CAN-SKIP-UNTIL")
	}
	if l.skipped < 1 {
		f.add("skip-count", "%d", l.skipped)
	}
	if l.total() < until {
		f.add("skip-too-much", "%d ns are left, the boundary is %d", l.total(), until)
	}
}

// checkTail checks what stands behind the segments.
func (f *faults) checkTail(l *listed) {
	if l.ended && (l.open != nil || len(l.hints) > 0) {
		f.add("ended", "parts or hints in a playlist that has ended")
	}
	f.checkHints(l)
	seen := make(map[string]bool)
	for _, r := range l.reports {
		uri, err := quoted(r["URI"])
		if err != nil || seen[uri] || r["LAST-MSN"] == "" {
			f.add("report", "%v", r)
		}
		seen[uri] = true
	}
}

func (f *faults) checkHints(l *listed) {
	var part, init string
	for _, h := range l.hints {
		uri, err := quoted(h["URI"])
		switch {
		case err != nil:
			f.add("hint", "%v", h)
		case h["TYPE"] == "PART" && part == "":
			part = uri
		case h["TYPE"] == "MAP" && init == "" && part == "":
			init = uri
		default:
			f.add("hint", "%v is one too many", h)
		}
	}
	if len(l.segments) == 0 || part == "" {
		if init != "" {
			f.add("hint", "a map without a part")
		}
		return
	}
	current := &l.segments[len(l.segments)-1]
	if l.open != nil {
		current = l.open
	}
	epoch, _ := current.epoch()
	if init != "" {
		s := listedSegment{mapURI: init}
		next, ok := s.epoch()
		if !ok || next <= epoch {
			f.add("hint-map", "%s after %s", init, current.mapURI)
		}
		epoch = next
	}
	msn, n := l.edge()
	if l.open != nil && part == string(AppendPartName(nil, epoch, msn+1, 0)) {
		return // the open segment is foreseen to end here
	}
	if want := string(AppendPartName(nil, epoch, msn, n)); part != want {
		f.add("hint-part", "%s, the next part is %s", part, want)
	}
}
