package transcode

import (
	"context"
	"sync"
	"time"

	"mediad/media"
)

// Bounds of what waits in front of a child. When full everything is dropped and it goes on at the next key frame. A run that leads
// may begin with all that came since a key frame, and be given it at once.
const (
	maxQueued      = time.Second
	maxQueuedLead  = 5 * time.Second
	maxQueuedBytes = 16 << 20
)

// queue is what waits in front of a child.
type queue struct {
	wake chan struct{} // holds one token: something is there, or the end is
	most time.Duration // how long a picture may wait

	mu       sync.Mutex // guards what follows
	units    []queued
	bytes    int
	skipping bool // up to the next key frame
	closed   bool
}

type queued struct {
	au media.AccessUnit
	at time.Time
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1), most: maxQueued} }

// push offers a picture. It never waits, and returns how many pictures it dropped.
func (q *queue) push(au media.AccessUnit, now time.Time) (dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0
	}
	if len(q.units) > 0 && (now.Sub(q.units[0].at) > q.most || q.bytes+len(au.Data) > maxQueuedBytes) {
		dropped = len(q.units)
		clear(q.units)
		q.units, q.bytes, q.skipping = q.units[:0], 0, true
	}
	if q.skipping && !au.RandomAccess {
		return dropped + 1
	}
	q.skipping = false
	q.units = append(q.units, queued{au, now})
	q.bytes += len(au.Data)
	q.token()
	return dropped
}

func (q *queue) token() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// pop waits for the next picture. It returns false when there is none any more, or one of the two ends.
func (q *queue) pop(ctx context.Context, done <-chan struct{}) (au media.AccessUnit, ok bool) {
	for {
		q.mu.Lock()
		if len(q.units) > 0 {
			au = q.units[0].au
			q.units[0] = queued{}
			q.units = q.units[1:]
			q.bytes -= len(au.Data)
			q.mu.Unlock()
			return au, true
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return au, false
		}
		select {
		case <-q.wake:
		case <-done:
			return au, false
		case <-ctx.Done():
			return au, false
		}
	}
}

// close says that nothing follows: what is queued still goes.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.token()
}

// over reports whether close was called.
func (q *queue) over() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

// times measures how far a run's rungs are behind what it was given.
type times struct {
	mu     sync.Mutex // guards what follows
	step   media.Ticks
	in     []mark        // pictures that have not come out of all rungs, oldest first
	newest media.Ticks   // PTS of the newest picture in
	out    []media.Ticks // PTS of the newest picture out, of each rung
	alive  time.Time     // when anything last came out, or the run began
}

type mark struct {
	pts media.Ticks
	at  time.Time
}

// maxMarks bounds the pictures whose way is measured: more than a child and its queue hold.
const maxMarks = 1024

func newTimes(rungs int, before, step media.Ticks, now time.Time) *times {
	t := &times{step: step, newest: before, out: make([]media.Ticks, rungs), alive: now}
	for i := range t.out {
		t.out[i] = before
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

// came notes a picture that came out.
func (t *times) came(i int, pts media.Ticks, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out[i], t.alive = pts, now
	all := pts
	for _, o := range t.out {
		all = min(all, o)
	}
	n := 0
	// A constant rate has no picture at just this time.
	for n < len(t.in) && t.in[n].pts <= all+t.step/2 {
		n++
	}
	t.in = t.in[n:]
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
	return max(media.VideoTimescale.Duration(t.newest-t.out[i]), 0)
}

// silence is how long nothing has come out, and whether something should.
func (t *times) silence(now time.Time) (since time.Duration, waits bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return now.Sub(t.alive), len(t.in) > 0
}
