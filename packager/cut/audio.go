package cut

import (
	"time"

	"mediad/media"
)

const (
	// lateAfter is how far one track must be ahead before what is missing in the other counts as a hole.
	lateAfter = time.Second
	// lateAtMost bounds how far that grows where a source turns out to send its tracks far apart.
	lateAtMost = 5 * time.Second
	// lateMargin is added to the lateness that was seen.
	lateMargin = 500 * time.Millisecond
)

// audio is the line of the audio track. It is made of whole frames only, whatever the timestamps' small errors are: a
// decoder plays FrameSamples samples whatever the container says. So it is off by half a frame at most.
type audio struct {
	line
	stats   *Stats
	frame   media.Ticks
	silence []byte // one frame of it; nil if none can be made: then the last frame comes again
	newest  []byte // data of the newest frame, for that
	whole   media.Ticks
	tied    bool // parts end with those of video

	absent  bool // the epoch has no such track: silence
	lead    bool // the epoch has no video: segments end here
	aligned bool // the line's start was set by a frame that came
	late    time.Duration
	unsure  func(at time.Duration) bool // whether video may end the segment there, or a little before

	queue units
	marks marks
	cut   func() // lead: a segment ended
}

// open begins an epoch at start.
func (a *audio) open(start time.Duration, absent, lead bool) {
	a.begin(a.scale.Ticks(start))
	a.absent, a.lead = absent, lead
	a.aligned = absent
	a.late = lateAfter
	a.queue.clear()
	a.marks.clear()
}

// run takes frames from the queue as far as it is sure to which segment they belong: those that begin before pos, where
// video has come to. What is missing by pos − late is filled with silence.
func (a *audio) run(pos time.Duration) {
	for {
		a.passMarks()
		if a.absent {
			if a.at() >= pos {
				return
			}
			a.addSilence()
			continue
		}
		u, ok := a.queue.front()
		if !ok {
			if a.lead || a.at() >= pos-a.late {
				return
			}
			a.aligned = true
			a.addSilence()
			continue
		}
		if !a.aligned {
			a.align(u.DTS)
		}
		off := u.DTS - a.end
		if off < -a.frame/2 {
			a.late = min(max(a.late, pos-a.scale.Duration(u.DTS)+lateMargin), lateAtMost)
			a.stats.Late[media.Audio]++
			a.queue.pop()
			continue
		}
		if !a.lead && a.at() >= pos {
			return
		}
		if off > a.frame/2 {
			a.addSilence()
			continue
		}
		a.newest = u.Data
		a.addFrame(Sample{Data: u.Data})
		a.queue.pop()
	}
}

// align sets the line so that whole frames lead from the epoch's start to the first that came.
func (a *audio) align(first media.Ticks) {
	a.aligned = true
	if n := first - a.end; n >= 0 {
		a.begin(first - n/a.frame*a.frame)
	}
}

func (a *audio) addSilence() {
	data := a.silence
	if data == nil {
		data = a.newest
	}
	a.stats.Filled[media.Audio]++
	a.addFrame(Sample{Data: data, Fill: true})
}

func (a *audio) addFrame(s Sample) {
	s.Sync, s.Duration = true, a.frame
	a.add(s)
	if a.lead && a.end-a.segStart >= a.whole {
		a.endSegment()
		a.cut()
	}
}

// passMarks ends parts and segments where the line has come to the marks that video left, and parts that would grow
// too long.
func (a *audio) passMarks() {
	for {
		m, ok := a.marks.front()
		if !ok || a.at() < m.at {
			break
		}
		if !m.segment && a.tied && a.length() >= a.least && a.unsure(a.at()) {
			return
		}
		a.marks.pop()
		switch {
		case m.segment:
			if a.end == a.segStart {
				a.addSilence() // a segment of video shorter than a frame, at the end of an epoch
			}
			a.endSegment()
		case a.tied && a.length() >= a.least:
			a.endPart()
		}
	}
	n := a.length()
	if n >= a.least && (n+a.frame > a.most || !a.tied && n >= a.nominal-a.frame/2) && !a.unsure(a.at()) {
		a.endPart()
	}
}

// mark is where video ended a part or segment, session time.
type mark struct {
	at      time.Duration
	segment bool
}

// marks are those that audio has not come to. They are as many as video can be ahead: lateAtMost.
type marks struct {
	list []mark
	head int
}

func (m *marks) push(x mark) { m.list, m.head = append(compact(m.list, m.head), x), 0 }

func (m *marks) front() (mark, bool) {
	if m.head == len(m.list) {
		return mark{}, false
	}
	return m.list[m.head], true
}

func (m *marks) some() bool { return m.head < len(m.list) }

func (m *marks) pop() { m.head++ }

func (m *marks) clear() { m.list, m.head = m.list[:0], 0 }

// units are audio frames whose segment is not known yet. They are as many as audio can be ahead: lateAtMost.
type units struct {
	list []media.AccessUnit
	head int
}

func (q *units) push(u media.AccessUnit) { q.list, q.head = append(compact(q.list, q.head), u), 0 }

func (q *units) len() int { return len(q.list) - q.head }

func (q *units) front() (media.AccessUnit, bool) {
	if q.head == len(q.list) {
		return media.AccessUnit{}, false
	}
	return q.list[q.head], true
}

func (q *units) pop() {
	q.list[q.head] = media.AccessUnit{}
	q.head++
}

func (q *units) clear() {
	clear(q.list)
	q.list, q.head = q.list[:0], 0
}

// compact moves what is left of a queue to the front of its slice.
func compact[T any](list []T, head int) []T {
	if head == 0 {
		return list
	}
	n := copy(list, list[head:])
	clear(list[n:])
	return list[:n]
}
