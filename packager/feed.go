package packager

import (
	"context"
	"errors"
	"sync"

	"mediad/media"
	"mediad/packager/cut"
)

// ErrNotRunning says that a session is not packaged, or no longer.
var ErrNotRunning = errors.New("packager: the session is not running")

const (
	// maxFed and maxFedBytes bound what was encoded and waits for its session. An encoder that is ahead of that waits: 8 s of three
	// rungs at 60 fps, as a session may keep its first seconds back until its constants are decided.
	maxFed      = 1500
	maxFedBytes = 24 << 20
)

// feed hands what is encoded of a session to the session's goroutine. It is nil where nothing can be handed over.
type feed struct {
	nudge func()        // wakes the session's goroutine
	room  chan struct{} // holds one token: something was taken
	done  chan struct{} // closed: nothing is taken any more

	mu     sync.Mutex // guards what follows
	list   []media.Encoded
	bytes  int
	names  map[string]cut.Line
	queued lines[int] // units of each rung
	due    lines[int] // units of each rung that something can be made of
	nudged bool       // and nothing was taken since
	deaf   bool       // what comes is of an encoder that is given up
}

func (s *Streams) openFeed(session string, nudge func()) *feed {
	f := &feed{nudge: nudge, room: make(chan struct{}, 1), done: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.feeds[session] = f
	return f
}

func (s *Streams) closeFeed(session string) {
	s.mu.Lock()
	f := s.feeds[session]
	delete(s.feeds, session)
	s.mu.Unlock()
	close(f.done)
}

// Encoded takes what an encoder made of a running session. Where much waits already it waits too, until ctx ends.
// ErrNotRunning says that nothing more is taken.
func (s *Streams) Encoded(ctx context.Context, session string, e media.Encoded) error {
	s.mu.Lock()
	f := s.feeds[session]
	s.mu.Unlock()
	if f == nil {
		return ErrNotRunning
	}
	for !f.put(&e) {
		select {
		case <-f.room:
		case <-f.done:
			return ErrNotRunning
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// put queues e, unless there is no room.
func (f *feed) put(e *media.Encoded) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deaf {
		return true
	}
	if len(f.list) >= maxFed || f.bytes >= maxFedBytes {
		return false
	}
	f.list = append(f.list, *e)
	f.bytes += len(e.Unit.Data)
	wake := true
	if line, ok := f.names[e.Rung]; ok && e.Kind == media.EncodedUnit {
		f.queued[line]++
		wake = f.queued[line] >= f.due[line]
	}
	if wake && !f.nudged {
		f.nudged = true
		f.nudge()
	}
	f.signal() // for the next who waits
	return true
}

// signal wakes one who waits for room, if there may be some.
func (f *feed) signal() {
	if len(f.list) < maxFed && f.bytes < maxFedBytes {
		select {
		case f.room <- struct{}{}:
		default:
		}
	}
}

// name says which rendition a rung is.
func (f *feed) name(p *media.Plan) {
	if f == nil {
		return
	}
	names := make(map[string]cut.Line, len(p.Rungs))
	for i := range p.Rungs {
		names[p.Rungs[i].Name] = lineOf(p, i)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names = names
}

// listen says whether what comes is wanted. If not, what is there is not either.
func (f *feed) listen(wanted bool) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deaf = !wanted
	if f.deaf {
		clear(f.list)
		f.list, f.bytes, f.queued = f.list[:0], 0, lines[int]{}
		f.signal()
	}
}

// expect says how many units of each rung it takes to wake the session.
func (f *feed) expect(due lines[int]) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.due = due
}

// take returns what there is of an epoch, in the order in which it came. Of an older epoch nothing is wanted any more; a newer one
// is still to begin.
func (f *feed) take(epoch int64) (out []media.Encoded) {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nudged, f.queued, f.bytes = false, lines[int]{}, 0
	var newer []media.Encoded
	for i := range f.list {
		switch e := &f.list[i]; {
		case e.Epoch == epoch:
			out = append(out, *e)
		case e.Epoch > epoch:
			newer = append(newer, *e)
			f.bytes += len(e.Unit.Data)
		default:
		}
	}
	clear(f.list)
	f.list = append(f.list[:0], newer...)
	f.signal()
	return out
}
