package live

import (
	"time"

	"mediad/media"
)

// ring is a queue of events that grows as needed and is used again; its owner bounds it.
type ring struct {
	items []item // length is a power of two
	head  int
	n     int
	units int // of the n events, those that are units
	bytes int
	kinds [media.Kinds]int // units by kind
}

type item struct {
	event Event
	size  int
	at    time.Duration // session clock when it was queued
}

// idleItems is the most that an empty ring keeps of its memory.
const idleItems = 1024

func (r *ring) push(e *Event, size int) { r.pushAt(e, size, e.ArrivedAt) }

func (r *ring) pushAt(e *Event, size int, at time.Duration) {
	if r.n == len(r.items) {
		r.grow()
	}
	r.items[(r.head+r.n)&(len(r.items)-1)] = item{event: *e, size: size, at: at}
	r.n++
	r.bytes += size
	if e.Kind == EventUnit {
		r.units++
		r.kinds[e.Unit.Kind]++
	}
}

func (r *ring) grow() {
	items := make([]item, max(16, 2*len(r.items)))
	for i := range r.n {
		items[i] = r.items[(r.head+i)&(len(r.items)-1)]
	}
	r.items, r.head = items, 0
}

func (r *ring) pop() (Event, bool) {
	if r.n == 0 {
		return Event{}, false
	}
	it := &r.items[r.head]
	e := it.event
	r.bytes -= it.size
	if e.Kind == EventUnit {
		r.units--
		r.kinds[e.Unit.Kind]--
	}
	*it = item{} // let go of the payload
	r.head = (r.head + 1) & (len(r.items) - 1)
	r.n--
	if r.n == 0 && len(r.items) > idleItems {
		*r = ring{}
	}
	return e, true
}

// oldest is when the first of a queue that is not empty was queued.
func (r *ring) oldest() time.Duration { return r.items[r.head].at }

func (r *ring) tail() *item { return &r.items[(r.head+r.n-1)&(len(r.items)-1)] }

func (r *ring) last() (EventKind, bool) {
	if r.n == 0 {
		return 0, false
	}
	return r.tail().event.Kind, true
}

// dropLast takes back an event that is not a unit.
func (r *ring) dropLast() {
	it := r.tail()
	r.bytes -= it.size
	*it = item{}
	r.n--
}

// empty drops everything and tells how many units that were and whether an epoch's begin was among it.
func (r *ring) empty() (units int, epoch bool) {
	for i := range r.n {
		epoch = epoch || r.items[(r.head+i)&(len(r.items)-1)].event.Kind == EventEpoch
	}
	units = r.units
	clear(r.items)
	r.head, r.n, r.units, r.bytes, r.kinds = 0, 0, 0, 0, [media.Kinds]int{}
	return units, epoch
}
