package edge

import (
	"container/list"
	"sync"
	"time"
)

// memory holds objects within a bound in bytes; who was not asked for longest goes first.
type memory struct {
	bound int64

	mu    sync.Mutex // guards the following
	size  int64
	order list.List // of *held, the newest first
	byKey map[string]*list.Element
}

type held struct {
	key    string
	object *object
}

func newMemory(bound int64) *memory { return &memory{bound: bound, byKey: map[string]*list.Element{}} }

// get returns what may be given out now, nil if there is nothing.
func (m *memory) get(key string, now time.Time) *object {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.byKey[key]
	if e == nil {
		return nil
	}
	h := heldBy(e)
	if !h.object.fresh(now) {
		m.drop(e)
		return nil
	}
	m.order.MoveToFront(e)
	return h.object
}

// put keeps an object, and tells whether it did: not one that would push out much of the rest.
func (m *memory) put(key string, o *object) bool {
	cost := o.cost()
	if cost > m.bound/4 {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.byKey[key]; e != nil {
		m.drop(e)
	}
	for m.size+cost > m.bound {
		m.drop(m.order.Back())
	}
	m.byKey[key] = m.order.PushFront(&held{key, o})
	m.size += cost
	return true
}

func (m *memory) drop(e *list.Element) {
	h := heldBy(e)
	m.order.Remove(e)
	delete(m.byKey, h.key)
	m.size -= h.object.cost()
}

func (m *memory) usage() (bytes int64, objects int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.size, len(m.byKey)
}

// heldBy is what an element of order holds: nothing else is ever put there.
func heldBy(e *list.Element) *held {
	h, _ := e.Value.(*held)
	return h
}
