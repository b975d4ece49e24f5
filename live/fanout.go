package live

import (
	"context"
	"io"
	"sync"
	"time"

	"mediad/media"
)

// Subscriber follows a session. It has one reader, which calls Next until an error; Close may be called from anywhere.
type Subscriber struct {
	session *Session
	policy  Policy
	layers  bool // it gets layers instead of the source; see Session.SubscribeLayers
	b       bounds
	wake    chan struct{} // holds one token: something is there for a reader that waited

	mu       sync.Mutex // guards what follows
	queue    ring
	waiting  bool             // the reader has taken everything and waits in Next
	want     [media.Kinds]int // units that a reader who waits can make something of
	nudged   bool             // Nudge was called
	skipping bool             // units are dropped up to the next key frame
	joining  bool             // the same, but nothing was ever delivered: not a loss
	skips    []time.Duration
	drops    Drops
	err      error // what Next returns once the queue is empty
}

func newSubscriber(s *Session, p Policy) *Subscriber {
	if p != PackagerPolicy && p != EncoderPolicy {
		p = PlayerPolicy
	}
	return &Subscriber{session: s, policy: p, b: p.bounds(), wake: make(chan struct{}, 1)}
}

// Stream is the name of the stream that is followed.
func (q *Subscriber) Stream() string { return q.session.Stream() }

// Next returns the next event. It waits until there is one, ctx ends, or nothing can follow: io.EOF after EventEnd, an
// *Error with ReasonTooSlow if the policy gave the subscriber up, or with ReasonShuttingDown.
func (q *Subscriber) Next(ctx context.Context) (Event, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Event{}, err
		}
		q.mu.Lock()
		if q.nudged {
			q.nudged = false
			q.mu.Unlock()
			return Event{Kind: EventNudge}, nil
		}
		if e, ok := q.queue.pop(); ok {
			if e.Kind == EventEnd && q.err == nil {
				q.err = io.EOF
			}
			q.mu.Unlock()
			return e, nil
		}
		if q.err != nil {
			err := q.err
			q.mu.Unlock()
			return Event{}, err
		}
		q.waiting = true
		q.mu.Unlock()
		q.session.quiet()
		select {
		case <-q.wake:
		case <-ctx.Done():
			q.mu.Lock()
			q.waiting = false
			q.mu.Unlock()
		}
	}
}

// Want tells how many queued units of one kind or the other it takes until the reader can make something of them; 0 and 1 mean
// each. A Next that has to wait is woken then, by any other event, or when a unit has waited for longestNap: waking a reader for
// each unit costs more than all the rest of handing it over. It is called by the reader.
func (q *Subscriber) Want(units [media.Kinds]int) {
	q.mu.Lock()
	q.want = units
	q.mu.Unlock()
}

// longestNap is how long a unit may wait for those that its reader wants with it, measured when the next one comes. It is
// over any part.
const longestNap = 300 * time.Millisecond

// wakeForUnit wakes the reader if what is queued is worth it.
func (q *Subscriber) wakeForUnit(now time.Duration) {
	for k, n := range q.queue.kinds {
		if n > 0 && n >= q.want[k] {
			q.wakeReader()
			return
		}
	}
	if q.queue.n > 0 && now-q.queue.oldest() >= longestNap {
		q.wakeReader()
	}
}

// Nudge lets Next return EventNudge, now or when it is called next: a reader that has something else to look after is told so.
func (q *Subscriber) Nudge() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.nudged = q.err == nil
	if q.nudged {
		q.wakeReader()
	}
}

// Close ends the subscription and lets go of what is queued. It may be called more than once.
func (q *Subscriber) Close() {
	q.session.unsubscribe(q)
	q.fail(io.EOF)
}

// Drops tells what this subscriber did not get.
func (q *Subscriber) Drops() Drops {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.drops
}

// fail empties the queue and ends the subscription with err, unless it has ended already.
func (q *Subscriber) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
	}
	q.queue = ring{}
	q.wakeReader()
}

// drained reports whether the reader has taken everything and come back for more, or will never come.
func (q *Subscriber) drained() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err != nil || q.waiting && q.queue.n == 0
}

func (q *Subscriber) wakeReader() {
	if !q.waiting {
		return
	}
	q.waiting = false
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// outcome is what became of an offered unit.
type outcome struct {
	dropped  [dropReasons]int
	any      bool // something was dropped
	overflow bool // the queue has just become full
	tooSlow  bool // and the policy gave the subscriber up
}

func (o *outcome) drop(q *Subscriber, r DropReason, n int) {
	if n > 0 {
		q.drops[r] += uint64(n)
		o.dropped[r] += n
		o.any = true
	}
}

// control queues an event that must not be lost. Epochs that nobody saw a unit of are merged away, so that a queue
// whose reader sleeps stays bounded however often publishers come and go.
func (q *Subscriber) control(e *Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return
	}
	if k, ok := q.queue.last(); ok && k == EventEpoch {
		q.queue.dropLast()
	}
	if k, ok := q.queue.last(); ok && k == EventAway && e.Kind == EventAway {
		q.queue.dropLast()
	}
	q.queue.push(e, eventOverhead)
	q.wakeReader()
}

// unit offers one access unit; start says that decoding of everything may start there. It never waits.
func (q *Subscriber) unit(e *Event, start bool, o *outcome) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return
	}
	size := len(e.Unit.Data) + eventOverhead
	if q.skipping {
		if !start || !q.room(size, e.ArrivedAt) {
			if !q.joining {
				o.drop(q, DropSkipping, 1)
			}
			return
		}
		q.skipping, q.joining = false, false
	}
	if q.full(size, e.ArrivedAt) {
		o.overflow = true
		if !q.overflow(e, start, o) {
			return
		}
	}
	q.queue.push(e, size)
	q.wakeForUnit(e.ArrivedAt)
}

// full reports whether a unit of that size may not be queued now. One unit always may, however large.
func (q *Subscriber) full(size int, now time.Duration) bool {
	return q.queue.units > 0 && (q.queue.bytes+size > q.b.maxBytes || now-q.queue.oldest() > q.b.maxDelay)
}

// room reports whether a queue that was full has come down to half, so that it does not flap.
func (q *Subscriber) room(size int, now time.Duration) bool {
	return q.queue.units == 0 || q.queue.bytes+size <= q.b.maxBytes/2 && now-q.queue.oldest() <= q.b.maxDelay/2
}

// overflow makes the policy's choice for a unit that found the queue full and reports whether it may be queued.
func (q *Subscriber) overflow(e *Event, start bool, o *outcome) bool {
	if q.b.keepQueued {
		q.skipping = true
		o.drop(q, DropQueueFull, 1)
		return false
	}
	units, epoch := q.queue.empty()
	o.drop(q, DropQueueFull, units)
	if q.tooSlow(e.ArrivedAt) {
		o.tooSlow = true
		o.drop(q, DropQueueFull, 1)
		q.err = Refuse(ReasonTooSlow, nil)
		q.wakeReader()
		return false
	}
	if epoch {
		q.queue.push(&Event{Kind: EventEpoch, Epoch: e.Epoch, ArrivedAt: e.ArrivedAt}, eventOverhead)
	}
	if !start {
		q.skipping = true
		o.drop(q, DropSkipping, 1)
		q.wakeReader()
		return false
	}
	return true
}

// tooSlow notes one more time that the queue was emptied and reports whether that was once too often.
func (q *Subscriber) tooSlow(now time.Duration) bool {
	if q.b.maxSkips == 0 {
		return false
	}
	for len(q.skips) > 0 && now-q.skips[0] > q.b.skipWindow {
		q.skips = q.skips[1:]
	}
	q.skips = append(q.skips, now)
	return len(q.skips) >= q.b.maxSkips
}

// start begins a subscription that comes late with what it needs to have a picture at once.
func (q *Subscriber) start(epoch *Epoch, gop []Event, bytes int, now time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue.push(&Event{Kind: EventEpoch, Epoch: epoch, ArrivedAt: now}, eventOverhead)
	if bytes > q.b.maxBytes/2 || len(gop) == 0 {
		q.skipping, q.joining = true, true
		return
	}
	for i := range gop {
		q.queue.pushAt(&gop[i], len(gop[i].Unit.Data)+eventOverhead, now)
	}
}

// isStart reports whether decoding of everything may start at u.
func isStart(e *Epoch, u *media.AccessUnit) bool {
	if e.Tracks[media.Video] != nil {
		return u.Kind == media.Video && u.RandomAccess
	}
	return true
}
