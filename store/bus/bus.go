// Package bus tells all nodes of a site what changed, so that they drop what they hold of it.
//
//	Publish ──► every Subscription of every node, its own as well ──► queue of 1024 ──► Next
//
// An event may be lost: its queue was full, or the connection between the nodes was. Then Resync comes in its place, before
// whatever is newer, and the subscriber does as if anything had changed.
package bus

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// QueueSize bounds what waits for one subscriber. A full queue loses the oldest and delivers Resync.
const QueueSize = 1024

// MaxKey bounds an event's key in bytes.
const MaxKey = 512

// ErrEvent is returned for an event that cannot be sent: without a topic, with a key over MaxKey, or one that says Resync.
var ErrEvent = errors.New("bus: no event")

// Event says that something changed.
type Event struct {
	Topic string `json:"t"`           // what kind of thing: "stream"
	Key   string `json:"k,omitempty"` // which one
	// Resync: events were lost, of whatever topic; the other fields are empty.
	Resync bool `json:"r,omitempty"`
}

// Check says whether the event can be published.
func (e Event) Check() error {
	if e.Topic == "" || len(e.Topic)+len(e.Key) > MaxKey || e.Resync {
		return ErrEvent
	}
	return nil
}

// Bus is the contract. Its methods may be called from any goroutine.
type Bus interface {
	// Publish tells every subscriber of the topic on every node, within a second; those of this process once it returns. It never waits for a
	// subscriber. An error other than ErrEvent says that other nodes could not be told: they get Resync once they can.
	Publish(ctx context.Context, e Event) error
	// Subscribe takes the events of these topics from now on, until the subscription is closed.
	Subscribe(topics ...string) *Subscription
}

// Local is a Bus within the process. The zero value is ready.
type Local struct {
	mu          sync.RWMutex // guards subscribers
	subscribers []*Subscription
}

var _ Bus = (*Local)(nil)

// Publish implements Bus.
func (l *Local) Publish(_ context.Context, e Event) error {
	if err := e.Check(); err != nil {
		return err
	}
	l.Deliver(e)
	return nil
}

// Deliver hands an event, or a Resync, to the subscribers of this process.
func (l *Local) Deliver(e Event) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, s := range l.subscribers {
		if e.Resync || slices.Contains(s.topics, e.Topic) {
			s.offer(e)
		}
	}
}

// Subscribe implements Bus.
func (l *Local) Subscribe(topics ...string) *Subscription {
	s := &Subscription{topics: topics, bus: l, more: make(chan struct{}, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.subscribers = append(l.subscribers, s)
	return s
}

// Subscription is one subscriber's queue. Next is called from one goroutine.
type Subscription struct {
	topics []string
	bus    *Local
	more   chan struct{} // holds one token while there is something

	mu     sync.Mutex // guards the following
	queue  []Event    // the oldest first
	resync bool       // comes before all of them
}

func (s *Subscription) offer(e Event) {
	s.mu.Lock()
	switch {
	case e.Resync: // covers what waits
		s.queue, s.resync = nil, true
	case len(s.queue) == QueueSize:
		s.queue, s.resync = append(s.queue[1:], e), true
	default:
		s.queue = append(s.queue, e)
	}
	s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// Next waits for an event. Its only error is that ctx ended.
func (s *Subscription) Next(ctx context.Context) (Event, error) {
	for {
		if e, ok := s.take(); ok {
			return e, nil
		}
		select {
		case <-s.more:
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
}

func (s *Subscription) take() (e Event, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.resync {
		s.resync = false
		return Event{Resync: true}, true
	}
	if len(s.queue) == 0 {
		return Event{}, false
	}
	e, s.queue = s.queue[0], s.queue[1:]
	return e, true
}

// Close ends the subscription; nothing is queued from then on.
func (s *Subscription) Close() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	s.bus.subscribers = slices.DeleteFunc(s.bus.subscribers, func(other *Subscription) bool { return other == s })
}
