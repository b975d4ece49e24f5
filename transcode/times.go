package transcode

import (
	"context"
	"math"
	"sync"
	"time"

	"mediad/media"
)

// times measures how far a run's rungs are behind what it was given, and holds back what the child need not have yet: of that, rungs can
// still be left out.
type times struct {
	step media.Ticks
	news chan struct{} // holds one token: something came out

	mu     sync.Mutex    // guards what follows
	in     []mark        // pictures that have not come out of all rungs, oldest first
	inside []media.Ticks // PTS of those that the child has
	start  media.Ticks   // a picture before the first
	newest media.Ticks   // PTS of the newest picture in
	given  media.Ticks   // and of the newest that the child was given
	all    media.Ticks   // PTS up to which all rungs are out that are not shed
	rungs  []progress
	alive  time.Time // when anything last came out, or the run began
	least  int       // the fewest pictures that the child held when something came out
	more   int       // how many it turned out to need besides
}

type mark struct {
	pts media.Ticks
	at  time.Time
}

// progress is how far a rung is.
type progress struct {
	newest media.Ticks // PTS of the newest picture out
	shed   bool
	last   media.Ticks // where it is shed: of the newest picture that is made; never until that is known
	end    func()      // ends the waiting for its pictures
}

const never media.Ticks = math.MaxInt64

const (
	// maxMarks bounds the pictures whose way is measured: more than a child and its queue hold.
	maxMarks = 1024
	// ahead is how many pictures a child is given beyond those that it holds back by itself: one to work at, one to find when it is done.
	ahead = 2
	// maxInside is how many one gets that has made nothing yet: no decoder holds more back.
	maxInside = 17
	// moreAfter is for how long a child may make nothing of what it has until it is given a picture more.
	moreAfter = 200 * time.Millisecond
	// passed is how far the others must be ahead of a shed rung's last picture for it not to be waited for any more.
	passed = 200 * time.Millisecond
)

func newTimes(rungs int, before, step media.Ticks, now time.Time) *times {
	t := &times{
		step: step, news: make(chan struct{}, 1), start: before, newest: before, given: before, all: before,
		rungs: make([]progress, rungs), alive: now, least: maxInside,
	}
	for i := range t.rungs {
		t.rungs[i] = progress{newest: before, last: never, end: func() {}}
	}
	return t
}

// fed notes a picture that goes in. Behind one that is presented later nothing is measured: it waits for it by itself.
func (t *times) fed(pts media.Ticks, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.in) == 0 {
		t.alive = now // it had nothing to do until now
	}
	if pts <= t.newest || len(t.in) == maxMarks {
		return
	}
	t.newest = pts
	t.in = append(t.in, mark{pts, now})
}

// skipped notes that what the child was not given, up to a time, goes nowhere.
func (t *times) skipped(upTo media.Ticks) {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := t.in[:0]
	for _, m := range t.in {
		if m.pts <= t.given || m.pts > upTo {
			left = append(left, m)
		}
	}
	t.in = left
}

// wait waits until the child may have a picture more.
func (t *times) wait(ctx context.Context, done <-chan struct{}) {
	if t.room() {
		return
	}
	patience := time.NewTimer(moreAfter)
	defer patience.Stop()
	for !t.room() {
		select {
		case <-t.news:
			patience.Reset(moreAfter)
		case <-patience.C:
			t.mu.Lock()
			t.more = min(t.more+1, maxInside)
			t.mu.Unlock()
			return
		case <-done:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (t *times) room() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.inside) < t.least+ahead+t.more
}

// gave notes what the child is given next, and how many rungs, the first ones, it makes nothing of it.
func (t *times) gave(pts media.Ticks, off int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range min(off, len(t.rungs)) {
		if t.rungs[i].last == never {
			t.rungs[i].last = t.given
		}
	}
	t.given = max(t.given, pts)
	if len(t.inside) < maxMarks {
		t.inside = append(t.inside, pts)
	}
}

// leave looks no more at the first rungs: they are shed.
func (t *times) leave(off int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range min(off, len(t.rungs)) {
		t.rungs[i].shed = true
	}
	t.settle()
}

// over reports whether nothing follows behind a rung's picture, and whether that itself comes behind its last.
func (t *times) over(i int, pts media.Ticks) (last, behind bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rungs[i].last == never {
		return false, false
	}
	return pts >= t.rungs[i].last-t.step/2, pts > t.rungs[i].last+t.step/2
}

// onEnd has end called, once, when a shed rung's last picture is not waited for any more. end must not wait.
func (t *times) onEnd(i int, end func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rungs[i].end = end
}

// came notes a picture that came out.
func (t *times) came(i int, pts media.Ticks, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rungs[i].newest, t.alive = pts, now
	t.settle()
	if t.all > t.start {
		t.least = min(t.least, len(t.inside))
	}
	for i := range t.rungs {
		if r := &t.rungs[i]; r.shed && r.last != never && t.all >= r.last+media.VideoTimescale.Ticks(passed) {
			r.end()
			r.end = func() {}
		}
	}
	select {
	case t.news <- struct{}{}:
	default:
	}
}

// settle lets go of what is out of all rungs; mu is held.
func (t *times) settle() {
	all := never
	for i := range t.rungs {
		if !t.rungs[i].shed {
			all = min(all, t.rungs[i].newest)
		}
	}
	if all == never {
		all = t.newest
	}
	t.all = max(t.all, all)
	// A constant rate has no picture at just this time.
	out := t.all + t.step/2
	n := 0
	for n < len(t.in) && t.in[n].pts <= out {
		n++
	}
	t.in = t.in[n:]
	left := t.inside[:0]
	for _, pts := range t.inside {
		if pts > out {
			left = append(left, pts)
		}
	}
	t.inside = left
}

// lag is how long the oldest picture has waited that is not out of all rungs.
func (t *times) lag(now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.in) == 0 {
		return 0
	}
	return max(now.Sub(t.in[0].at), 0)
}

// made is the media time that is out of all rungs, and held what the child has of it in hand. starting: it has made nothing yet.
func (t *times) made() (made, held time.Duration, starting bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	made = media.VideoTimescale.Duration(t.all - t.start)
	return made, media.VideoTimescale.Duration(t.step * media.Ticks(len(t.inside))), t.all == t.start
}

// newestIn is the PTS of the newest picture that went in.
func (t *times) newestIn() media.Ticks {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.newest
}

// behind is newest media time in minus media time out of one rung.
func (t *times) behind(i int) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(media.VideoTimescale.Duration(t.newest-t.rungs[i].newest), 0)
}

// silence is how long nothing has come out, and whether something should.
func (t *times) silence(now time.Time) (since time.Duration, waits bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return now.Sub(t.alive), len(t.in) > 0
}
