package cut

import (
	"time"

	"mediad/media"
)

const (
	// longestFill is how much of a hole is filled with the last picture; what is beyond is listed as gap segments.
	longestFill = 3 * time.Second
	// unlistedPart is how long a fragment may be in an epoch that lists no parts.
	unlistedPart = 3 * time.Second
	// shortest is how long a segment lasts at least: several audio frames, so that the other track has something to put
	// into it.
	shortest = 100 * time.Millisecond
	// earliest is by how much a frame that begins a segment may begin in decode time before it is shown, at most, so that the part before
	// it is not too long. By so much what dates and durations say of the segment before differs. earliestBare is that where no picture
	// can be made that shows the last one again.
	earliest     = time.Millisecond
	earliestBare = 40 * time.Millisecond
)

// video is the line of the video track. It leads: it says where segments end.
type video struct {
	line
	mark  func(at time.Duration, segment bool) // tells the follower where a part or segment ended
	paced func(fits bool)                      // is told of a new constant rate
	stats *Stats

	// The session's rules in ticks.
	whole  media.Ticks // T: a key frame ends a segment that has reached it
	target media.Ticks // TARGETDURATION: without key frames a segment ends there
	limit  media.Ticks // no segment reaches it
	short  media.Ticks // no segment is shorter, but the last of an epoch
	hold   media.Ticks // longestFill
	want   media.Ticks // nominal part

	fresh  bool        // nothing was taken in this epoch yet
	shift  media.Ticks // decode time − DTS: the reorder delay
	frame  media.Ticks // newest duration of a frame: exact at constant rate
	steady bool        // the rate is constant
	gop    gops

	held    Sample // at variable rate the newest frame, until the next one tells how long it lasts
	holding bool
	keyNext bool // it lasts until a key frame that has come

	shown     media.Ticks // greatest PTS taken
	clean     media.Ticks // newest position where all pictures before precede all after
	cleanStep media.Ticks // longest distance of such positions
	ahead     media.Ticks // by how much key frames are decoded before they are shown, as the newest was: those of open GOPs
	filler
	encoded bool // the units are ours: a key frame is never far, so that nothing need be shown that lacks what it refers to
	broken  bool // such a unit came too late, and what refers to it is of no use
	full    bool // the open part is complete, and kept back until it is known whether the segment goes on: see unsure
	gap     bool // segments are listed as gaps until a key frame comes; end is how far time has gone

	began media.Ticks // where the epoch begins
	real  media.Ticks // end of the newest sample that came
	// hurry is how many segments are to end at the next key frame from hurryAt on.
	hurry   int
	hurryAt media.Ticks
}

// open begins an epoch at start, session time. absent: it has no video, so gaps are listed from there on.
func (v *video) open(start media.Ticks, absent bool) {
	v.begin(start)
	v.began, v.real = start, start
	v.fresh, v.gap = !absent, absent
	v.holding, v.steady, v.broken, v.full = false, false, false, false
	v.frame, v.cleanStep = 0, 0
	v.held = Sample{}
	v.forget()
	v.gop.epoch()
}

// push takes the next unit.
func (v *video) push(u media.AccessUnit) {
	key := u.RandomAccess && !u.OpenGOP
	if v.fresh && !v.first(u) {
		return
	}
	at := u.DTS + v.shift
	if !v.gap && !v.holding && at < v.end-v.frame/2 {
		v.stats.Late[media.Video]++
		v.broken = v.encoded
		return
	}
	if v.broken && !key {
		v.stats.Useless[media.Video]++
		return
	}
	v.broken = false
	if key && !v.gap {
		at = v.realign(u, at)
	}
	v.keyNext = u.RandomAccess
	v.reach(at)
	v.keyNext = false
	if v.gap {
		if !key || u.PTS < v.end-v.frame/2 {
			v.countUseless(key)
			return
		}
		v.shiftBy(u.PTS - u.DTS)
		at = max(u.PTS, v.end)
		v.leaveGap(at)
	}
	v.cutBefore(u)
	if v.full {
		v.endPart()
	}
	v.take(u, at, key)
}

func (v *video) first(u media.AccessUnit) bool {
	if !u.RandomAccess {
		v.stats.Useless[media.Video]++
		return false
	}
	v.fresh = false
	v.shiftBy(u.PTS - u.DTS)
	v.begin(u.PTS)
	v.began = u.PTS
	v.shown, v.clean = u.PTS, u.PTS
	return true
}

func (v *video) countUseless(key bool) {
	if key {
		v.stats.Late[media.Video]++
	} else {
		v.stats.Useless[media.Video]++
	}
}

// realign lets a key frame set the reorder delay anew where nothing published stands against it, so that its decode
// time is its PTS also where the delay changes from GOP to GOP, as it does at variable rate.
func (v *video) realign(u media.AccessUnit, at media.Ticks) media.Ticks {
	if u.PTS == at || u.PTS < v.end-v.frame/2 || v.holding && u.PTS <= v.end {
		return at
	}
	v.shiftBy(u.PTS - u.DTS)
	return u.PTS
}

// reach brings the line to at, where the next unit begins: the frame held lasts until then, what is missing is filled.
func (v *video) reach(at media.Ticks) {
	if v.gap {
		return
	}
	if v.holding {
		v.release(at)
		return
	}
	off := at - v.end
	if v.frame > 0 && off >= v.frame-v.frame/2 {
		v.fill((off + v.frame/2) / v.frame * v.frame)
		if v.gap {
			return
		}
		off = at - v.end
	}
	// What is less than half a frame goes into the sample before, if that is not published; else the next one begins
	// that much off, which its composition offset makes good.
	if n := len(v.part); n > 0 && off != 0 {
		if v.length()+off <= v.most && v.part[n-1].Duration+off > 0 {
			v.stretch(off)
		}
	}
}

// release ends the frame that is held at the given time.
func (v *video) release(at media.Ticks) {
	promised := len(v.part) == 0 && v.index > 0 // players were told of the part that it begins
	if at-v.segStart >= v.limit && v.end-v.segStart >= v.short && !promised {
		v.endSegment()
	}
	s := v.held
	v.holding, v.held = false, Sample{}
	if at <= v.end {
		at = v.end + 1
	}
	span, room := at-v.end, v.most-v.length()
	early := v.most - v.least
	if v.keyNext && v.cutAtAny(at) || at-v.segStart >= v.target-v.frame/2 {
		early = v.earliest()
	}
	if span < v.frame || v.frame == 0 || span < v.most-v.least {
		v.frame = span
	}
	switch {
	case span <= room && at-v.segStart < v.limit:
		v.addReal(s, span)
		if v.length() >= v.least {
			v.endPart()
		}
	case span-room > 0 && span-room < early && at-v.segStart < v.limit:
		// The next frame begins early by what does not fit; its composition offset makes that good.
		v.addReal(s, room)
		v.endPart()
	default:
		left := v.segStart + v.target - v.end
		if left <= 0 && promised {
			left = v.segStart + v.limit - 1 - v.end
		}
		v.addReal(s, max(min(v.nominal-v.length(), left, span), 1))
		v.endPart()
		if at > v.end {
			v.fill(at - v.end)
		}
	}
}

func (v *video) earliest() media.Ticks {
	if v.stiller == nil {
		return min(v.most-v.least, v.scale.Ticks(earliestBare))
	}
	return v.scale.Ticks(earliest)
}

// shiftBy sets the reorder delay.
func (v *video) shiftBy(d media.Ticks) { v.shift, v.reordered = d, d > 0 }

// addReal adds a unit that came, at the end of the line. Its composition offset holds its PTS until then.
func (v *video) addReal(s Sample, d media.Ticks) {
	s.CompOffset -= v.end
	s.Duration = d
	v.add(s)
	v.real = v.end
}

// take adds the unit that begins at the end of the line, or a little off it.
func (v *video) take(u media.AccessUnit, at media.Ticks, key bool) {
	s := Sample{Data: u.Data, CompOffset: u.PTS, Sync: key, Disposable: u.Disposable}
	v.shown = max(v.shown, u.PTS)
	v.remember(u, key)
	if u.Duration == 0 {
		v.vary()
		v.held, v.holding = s, true
		return
	}
	v.keep(u.Duration)
	a := v.length() + max(at+u.Duration-v.end, 1)
	a, done := v.complete(a, v.frame)
	v.addReal(s, max(a-v.length(), 1))
	v.full = done
	v.cutAfter()
	if v.full && !v.unsure(v.end) {
		v.endPart()
	}
}

// keep notes that frames last d from now on.
func (v *video) keep(d media.Ticks) {
	if off := d - v.frame; v.steady && off >= -2 && off <= 2 {
		return
	}
	v.steady, v.frame = true, d
	gop := 0
	if n := v.gop.expect(); n > 0 {
		gop = int((n + d/2) / d)
	}
	fits := v.fitFrames(d, v.want, gop)
	if !fits {
		v.nominal = (v.least + v.most + 1) / 2
		if !v.listed {
			v.most = max(v.most, d)
			v.nominal = v.most
		}
	}
	v.paced(fits)
}

// vary notes that the rate is variable.
func (v *video) vary() {
	if v.steady {
		v.steady = false
		v.nominal = (v.least + v.most + 1) / 2
	}
}

// fill covers n ticks with the last picture, one sample a part, and lists gaps where a hole grows too long.
func (v *video) fill(n media.Ticks) {
	to := v.end + n
	for v.end < to {
		if length := v.end - v.segStart; v.filled >= v.hold && (length == 0 || length >= v.short) {
			v.endSegment()
			v.gap = true
			v.pass(to)
			return
		}
		if v.end-v.segStart >= v.target {
			v.endSegment()
		}
		d := min(to-v.end, v.nominal-v.length(), v.segStart+v.target-v.end)
		if v.filled < v.hold {
			d = min(d, v.hold-v.filled)
		}
		if d <= 0 {
			v.endPart()
			continue
		}
		if rest := to - v.end - d; rest > 0 && rest < (v.most-v.least)/2 && v.length()+d+rest <= v.most {
			d += rest
		}
		s := v.filling()
		s.Duration = d
		v.add(s)
		v.filled += d
		v.stats.Filled[media.Video]++
		if v.full = v.length() >= v.nominal; v.full && v.end-v.segStart < v.target && !v.unsure(v.end) {
			v.endPart()
		}
	}
}

// expectLate publishes what can no longer come in time: the parts that end by the given time. The other track
// is far enough ahead of that to say so.
func (v *video) expectLate(by media.Ticks) {
	if v.fresh && by > v.end {
		v.fresh, v.gap = false, true // the epoch began without a picture
	}
	if v.fresh {
		return
	}
	for !v.gap {
		partEnd := v.partStart + v.nominal
		if v.full && v.end+v.nominal > by {
			return // it is still to be seen what follows
		}
		if partEnd <= v.end {
			v.endPart()
			continue
		}
		if partEnd > by {
			return
		}
		if v.holding {
			v.release(partEnd)
			continue
		}
		v.fill(partEnd - v.end)
	}
	v.pass(by)
}

// pass lets time go by in a gap.
func (v *video) pass(to media.Ticks) {
	for to-v.segStart >= v.whole {
		v.emitGap(v.segStart + v.whole)
	}
	v.end = max(v.end, to)
}

func (v *video) emitGap(to media.Ticks) {
	v.end = to
	v.emit(Segment{Gap: true})
	v.mark(v.at(), true)
}

// leaveGap begins a segment at the key frame with which the track returns.
func (v *video) leaveGap(at media.Ticks) {
	v.pass(at)
	if at-v.segStart >= v.short {
		v.emitGap(at)
	}
	v.begin(v.segStart)
	v.gap, v.filled = false, 0
	v.steady, v.frame = false, 0
	v.shown, v.clean = at, at
	v.gop.epoch()
}

// close ends the epoch: what is there is published.
func (v *video) close() {
	if v.gap {
		if v.end > v.segStart {
			v.emitGap(v.end)
		}
		return
	}
	if v.holding {
		last := v.frame
		if last == 0 {
			last = v.nominal / 2
		}
		v.release(v.end + max(min(last, v.most-v.length()), 1))
	}
	v.endSegment()
}

// endPart shadows that of the line: the follower is told.
func (v *video) endPart() {
	v.full = false
	if len(v.part) > 0 {
		v.line.endPart()
		v.mark(v.at(), false)
	}
}

// endSegment shadows that of the line: the follower is told.
func (v *video) endSegment() {
	v.endPart()
	if v.end > v.segStart {
		v.line.endSegment()
		v.hurry = max(v.hurry-1, 0)
		v.mark(v.at(), true)
	}
}
