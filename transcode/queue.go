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
	off      int  // how many of the run's rungs, the first ones, are made no more of what comes
	skipping bool // up to the next key frame
	closed   bool
}

type queued struct {
	au  media.AccessUnit
	off int
	at  time.Time
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1), most: maxQueued} }

// push offers a picture. It never waits, and returns how many pictures it dropped; full: because there was no room any more.
func (q *queue) push(au media.AccessUnit, now time.Time) (dropped int, full bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0, false
	}
	if len(q.units) > 0 && (now.Sub(q.units[0].at) > q.most || q.bytes+len(au.Data) > maxQueuedBytes) {
		dropped = q.drop(len(q.units))
		q.skipping, full = true, true
	}
	if q.skipping && !au.RandomAccess {
		return dropped + 1, full
	}
	q.skipping = false
	q.units = append(q.units, queued{au, q.off, now})
	q.bytes += len(au.Data)
	q.token()
	return dropped, full
}

// drop takes the oldest pictures away; mu is held.
func (q *queue) drop(n int) (dropped int) {
	for i := range n {
		q.bytes -= len(q.units[i].au.Data)
	}
	clear(q.units[:n])
	q.units = q.units[n:]
	return n
}

// skip takes away what waits, up to the newest key frame, or the next one. It returns how many pictures that were, and up to which PTS.
func (q *queue) skip() (dropped int, newest media.Ticks) {
	q.mu.Lock()
	defer q.mu.Unlock()
	key := len(q.units)
	for key > 0 && (key == len(q.units) || !q.units[key].au.RandomAccess) {
		key--
	}
	if key == 0 { // there is none, or the very oldest: no way forward
		key, q.skipping = len(q.units), true
	}
	for i := range key {
		newest = max(newest, q.units[i].au.PTS)
	}
	return q.drop(key), newest
}

// shed says that the first rungs are not made of what comes from now on; atOnce: nor of what waits.
func (q *queue) shed(off int, atOnce bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.off = off
	if atOnce {
		for i := range q.units {
			q.units[i].off = off
		}
	}
}

func (q *queue) token() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// pop waits for the next picture. It returns false when there is none any more, or one of the two ends.
func (q *queue) pop(ctx context.Context, done <-chan struct{}) (next queued, ok bool) {
	for {
		q.mu.Lock()
		if len(q.units) > 0 {
			next = q.units[0]
			q.drop(1)
			q.mu.Unlock()
			return next, true
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return next, false
		}
		select {
		case <-q.wake:
		case <-done:
			return next, false
		case <-ctx.Done():
			return next, false
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
