package cut

import (
	"time"

	"mediad/media"
)

const (
	// MaxRungs is how many renditions can be encoded beside the source.
	MaxRungs = 6
	// encodedLate is how far behind the source a rung's units may come before what is missing counts as a hole.
	encodedLate = 1500 * time.Millisecond
	// maxEncoded bounds the units of a rung that wait for the source to come there.
	maxEncoded = 1024
)

// rung is the line of an encoded rendition. It follows: its segments end where those of video did, within half a frame, and
// its parts have as many frames. Its units come later than the source's by what encoding takes, and are published as they
// come; where the encoder leaves one out the hole is filled like the source's, and where it is told or seen that
// nothing comes, segments are listed as gaps, until a segment begins with a random access unit again.
type rung struct {
	line
	filler
	count *Encoded
	want  media.Ticks // nominal part
	hold  media.Ticks // longestFill

	frame media.Ticks // how long frames last; 0: not known yet
	late  media.Ticks // how far behind the source a unit may come

	track  bool // there has been one: until then nothing can be published, and segments pass
	fresh  bool // nothing of the epoch was begun yet
	gap    bool // the open segment has nothing, and will have nothing unless it begins with a random access unit
	shed   bool // the encoder makes nothing of it
	dead   bool // nothing can be published before the next epoch
	broken bool // what comes next cannot be decoded unless it is a random access unit
	full   bool // the open part is complete, and kept back until it is known whether the segment goes on

	queue units
	marks marks
}

// open begins an epoch at start.
func (r *rung) open(start media.Ticks) {
	r.begin(start)
	r.fresh, r.gap, r.broken, r.full = true, true, true, false
	r.late = r.scale.Ticks(encodedLate)
	r.forget()
}

// close ends the epoch: what has come is published.
func (r *rung) close(v *video) {
	if v != nil {
		r.run(v, true)
	}
	r.queue.clear()
	r.marks.clear()
	r.dead = false
}

// follow tells how the rung is decoded from here on in this epoch.
func (r *rung) follow(t *media.Track) {
	r.track = true
	r.stiller = newStiller(t)
}

// push takes the next unit; too many are as good as lost.
func (r *rung) push(u media.AccessUnit) {
	if r.dead || r.shed {
		r.count.Late++
		return
	}
	if r.queue.len() >= maxEncoded {
		r.count.Late += uint64(r.queue.len())
		r.queue.clear()
		r.broken = true
	}
	r.queue.push(u)
}

// leave lists gaps from the next segment on. What is queued was encoded before and is still published.
func (r *rung) leave() { r.shed = true }

// back takes units again, from a random access unit on.
func (r *rung) back() { r.shed, r.broken = false, true }

// kill lists gaps from the next segment on until the epoch ends.
func (r *rung) kill() {
	r.dead = true
	r.queue.clear()
}

// run publishes what can be by now. v is where the source has come to; all says that nothing more comes of the epoch.
func (r *rung) run(v *video, all bool) {
	if r.fresh {
		if v.fresh {
			return
		}
		r.fresh = false
		r.begin(v.began)
	}
	by := v.end - r.late
	if all || r.shed || r.dead || v.end-v.real >= r.nominal && r.end >= v.real-r.frame*3/2 {
		by = v.end // the source had nothing either
	}
	for r.step(v, by) {
	}
}

// step does one thing and reports whether there may be another.
func (r *rung) step(v *video, by media.Ticks) bool {
	to, known := v.end, false
	if m, ok := r.marks.front(); ok {
		to, known = r.scale.Ticks(m.at), true
	}
	near := max(min(r.frame, r.most)/2, roundingTicks)
	if r.gap || !r.track {
		return r.stepGap(v, to, known, by, near)
	}
	if known && r.end >= to-near {
		r.endAt(to)
		return true
	}
	if r.full {
		if !known && v.unsure(r.end) {
			return false
		}
		r.endPart()
	}
	u, ok := r.queue.front()
	switch {
	case !ok || u.PTS >= v.end:
		return r.expectLate(v, by)
	case u.PTS < r.end-near:
		r.late = min(max(r.late, v.end-u.PTS+r.scale.Ticks(lateMargin)), r.scale.Ticks(lateAtMost))
		r.count.Late++
		r.drop()
	case r.broken && !u.RandomAccess:
		r.count.Useless++
		r.drop()
		if until := min(u.PTS+r.frame, to); until-r.end >= r.frame {
			r.fill(v, until-r.end) // nothing better comes up to there
		}
	case known && u.PTS >= to-near:
		r.fill(v, to-r.end)
	case r.frame > 0 && u.PTS-r.end >= r.frame-r.frame/2:
		r.fill(v, (u.PTS-r.end+r.frame/2)/r.frame*r.frame)
	default:
		r.queue.pop()
		r.take(v, u)
	}
	return true
}

// drop lets go of the next unit: what refers to it cannot be decoded.
func (r *rung) drop() {
	r.queue.pop()
	r.broken = true
}

// stepGap is step where the open segment is a gap unless it begins with a random access unit.
func (r *rung) stepGap(v *video, to media.Ticks, known bool, by, near media.Ticks) bool {
	u, ok := r.queue.front()
	near = max(near, v.frame/2)
	switch {
	case known && (ok && u.PTS >= to-near || !ok && to <= by):
		r.pass(to)
	case !ok || u.PTS >= v.end:
		return false
	case u.PTS < r.segStart-near:
		r.count.Late++
		r.drop()
	case r.track && u.RandomAccess && u.PTS <= r.segStart+near && !r.shed:
		r.gap = false
		r.queue.pop()
		r.take(v, u)
	default:
		r.count.Useless++
		r.drop()
	}
	return true
}

// pass lists the open segment as a gap that ends at the mark.
func (r *rung) pass(to media.Ticks) {
	r.marks.pop()
	r.end, r.broken = max(to, r.segStart+1), true
	if r.track {
		r.emit(Segment{Gap: true})
		return
	}
	r.seq++
	r.discontinuity = false
	r.begin(r.end)
}

// endAt ends the segment at a mark that the line has come to.
func (r *rung) endAt(to media.Ticks) {
	if r.end == r.segStart {
		s := r.filling()
		s.Duration = max(to-r.end, 1)
		r.add(s)
		r.count.Filled++
	}
	if off := to - r.end; off != 0 && len(r.part) > 0 && r.length()+off <= r.most && r.part[len(r.part)-1].Duration+off > 0 {
		r.stretch(off)
	}
	r.marks.pop()
	r.endPart()
	r.endSegment()
	if r.shed || r.dead {
		r.gap, r.broken = true, true
	}
}

// take adds the unit that begins at the end of the line, or less than half a frame off it.
func (r *rung) take(v *video, u media.AccessUnit) {
	r.remember(u, u.RandomAccess)
	r.broken = false
	d := r.keep(v, u)
	if off := u.PTS - r.end; off != 0 && len(r.part) > 0 &&
		r.length()+off <= r.most && r.part[len(r.part)-1].Duration+off > 0 {
		r.stretch(off)
	}
	a, done := r.complete(r.length()+max(u.PTS+d-r.end, 1), r.frame)
	r.add(Sample{
		Data: u.Data, Duration: max(a-r.length(), 1), CompOffset: u.PTS - r.end, Sync: u.RandomAccess, Disposable: u.Disposable,
	})
	if done {
		r.completed(v)
	}
}

// completed ends the open part, which is complete, unless it is open whether the segment goes on.
func (r *rung) completed(v *video) {
	if r.full = !r.marks.some() && v.unsure(r.end); !r.full {
		r.endPart()
	}
}

// endPart shadows that of the line.
func (r *rung) endPart() {
	r.full = false
	r.line.endPart()
}

// keep notes how long frames last, and returns how long u does. Where that is as long as the source's, parts have as many.
func (r *rung) keep(v *video, u media.AccessUnit) (d media.Ticks) {
	d = u.Duration
	if d <= 0 {
		d = v.frame
	}
	if d <= 0 {
		d = r.scale.Ticks(time.Second / 30)
	}
	if off := d - r.frame; off >= -2 && off <= 2 {
		return d
	}
	r.frame = d
	if off := d - v.frame; v.steady && v.listed == r.listed && off >= -2 && off <= 2 {
		r.nominal = v.nominal
		return d
	}
	if !r.fitFrames(d, r.want, 0) {
		r.nominal = (r.least + r.most + 1) / 2
		if !r.listed {
			r.most = max(r.most, d)
			r.nominal = r.most
		}
	}
	return d
}

// expectLate fills what can no longer come in time: the part that ends by the given time.
func (r *rung) expectLate(v *video, by media.Ticks) bool {
	to := r.partStart + r.nominal
	if m, ok := r.marks.front(); ok {
		to = min(to, r.scale.Ticks(m.at))
	}
	switch {
	case to > by:
		return false
	case to <= r.end:
		r.completed(v)
		return !r.full
	default:
		r.fill(v, to-r.end)
	}
	return true
}

// fill covers n ticks with the last picture, one sample a part. A hole that grows too long becomes a gap where a segment begins.
func (r *rung) fill(v *video, n media.Ticks) {
	if r.end == r.segStart && (r.filled >= r.hold || r.shed || r.dead) {
		r.gap, r.broken = true, true
		return
	}
	for to := r.end + n; r.end < to; {
		d := min(to-r.end, r.nominal-r.length())
		if d <= 0 {
			r.endPart()
			continue
		}
		s := r.filling()
		s.Duration = d
		r.add(s)
		r.filled += d
		r.count.Filled++
		if r.length() >= r.nominal {
			r.completed(v)
		}
	}
}

// due is how many further units it takes until a part can end.
func (r *rung) due() int {
	if r.gap || r.frame <= 0 {
		return 1
	}
	left := r.nominal - r.length()
	if m, ok := r.marks.front(); ok {
		left = min(left, r.scale.Ticks(m.at)-r.end)
	}
	return max(int((left+r.frame/2)/r.frame)-r.queue.len(), 1)
}
