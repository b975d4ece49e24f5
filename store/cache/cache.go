// Package cache keeps rows that are read again and again in the process.
//
//	ByID, ByName ─► known and young enough ──► that row
//	                 └─ no ─► load, once for all who ask at the same time ──► kept, unless something was dropped since it was begun
//	                           └─ fails ─► what was known last, for a time
//	Drop, DropAll ◄─ whoever hears that rows changed
//
// A question that begins after Drop has returned is never answered by what was loaded before it. There are no goroutines.
package cache

import (
	"container/list"
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// loadLimit bounds a load of somebody without a nearer deadline.
	loadLimit = 10 * time.Second
	// maxAbsent bounds what is remembered as absent; whoever asks for random names does not push out what there is.
	maxAbsent = 1024
)

// Options of New.
type Options[T any] struct {
	// ID is what a row is dropped by. Name is another name that is unique as well; "": it has none.
	ID, Name func(T) string
	// TTL is how long a row is known, AbsentTTL how long that there is none; each is made up to a tenth shorter or longer, so that what was loaded
	// together is not asked for together again.
	TTL, AbsentTTL time.Duration
	// Bear is how long after its TTL a row is still given where it cannot be loaded.
	Bear time.Duration
	// NotFound is the error of load that says that there is no such row.
	NotFound error
	// Max rows are known; the one that was not asked for for the longest time makes room.
	Max int
	// Asked is told of each question, and whether the answer was known. nil: nobody.
	Asked func(hit bool)
	// Now is the clock. nil: time.Now.
	Now func() time.Time
}

// Rows are rows of one kind. Its methods may be called from any goroutine. What it gives out is shared and must not be changed.
type Rows[T any] struct {
	o       Options[T]
	flights singleflight.Group

	mu     sync.Mutex               // guards the following
	known  map[string]*list.Element // by id
	names  map[string]string        // ids by name
	recent *list.List               // of *row[T], the one asked for last in front
	absent map[string]absence       // by key
	drops  uint64                   // counts them: what was begun to be loaded before must not be kept after
}

type row[T any] struct {
	value T
	until time.Time
}

type absence struct {
	err   error
	until time.Time
}

// New makes one that knows nothing.
func New[T any](o Options[T]) *Rows[T] {
	if o.Asked == nil {
		o.Asked = func(bool) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Rows[T]{o: o, known: map[string]*list.Element{}, names: map[string]string{}, recent: list.New(), absent: map[string]absence{}}
}

// Load asks for a row.
type Load[T any] func(ctx context.Context) (T, error)

// ByID is the row with an id.
func (c *Rows[T]) ByID(ctx context.Context, id string, load Load[T]) (T, error) {
	return c.find(ctx, "id "+id, c.withID(id), load)
}

// ByName is the row with a name.
func (c *Rows[T]) ByName(ctx context.Context, name string, load Load[T]) (T, error) {
	return c.find(ctx, "name "+name, c.withName(name), load)
}

// FreshByID is ByID for who may not have heard of every change: it loads, and what is known answers only where that fails.
func (c *Rows[T]) FreshByID(ctx context.Context, id string, load Load[T]) (T, error) {
	return c.fresh(ctx, c.withID(id), load)
}

// FreshByName is the same by a name.
func (c *Rows[T]) FreshByName(ctx context.Context, name string, load Load[T]) (T, error) {
	return c.fresh(ctx, c.withName(name), load)
}

// withID and withName say where a row is; what they return is called with mu held.
func (c *Rows[T]) withID(id string) func() (*list.Element, bool) {
	return func() (*list.Element, bool) { e, ok := c.known[id]; return e, ok }
}

func (c *Rows[T]) withName(name string) func() (*list.Element, bool) {
	return func() (*list.Element, bool) { e, ok := c.known[c.names[name]]; return e, ok }
}

func (c *Rows[T]) fresh(ctx context.Context, element func() (*list.Element, bool), load Load[T]) (T, error) {
	begun := c.Begun()
	value, err := load(ctx)
	if err == nil {
		c.Keep(begun, value)
		return value, nil
	}
	return c.bear(element, value, err)
}

// Begun is to be called before rows are loaded that Keep is given afterwards.
func (c *Rows[T]) Begun() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drops
}

// bear gives what is known where it could not be loaded.
func (c *Rows[T]) bear(element func() (*list.Element, bool), value T, err error) (T, error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return value, err
	}
	now := c.o.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := element()
	switch {
	case !ok:
	case errors.Is(err, c.o.NotFound): // not any more
		c.remove(e)
	default:
		if r := e.Value.(*row[T]); now.Before(r.until.Add(c.o.Bear)) {
			return r.value, nil
		}
	}
	return value, err
}

// Borne is what is known of ids that could not be loaded, where all of them are.
func (c *Rows[T]) Borne(ids []string, err error) ([]T, error) {
	found := make([]T, len(ids))
	for i, id := range ids {
		var zero T
		one, failed := c.bear(c.withID(id), zero, err)
		if failed != nil {
			return nil, failed
		}
		found[i] = one
	}
	return found, nil
}

// find looks first; element is called with mu held.
func (c *Rows[T]) find(ctx context.Context, key string, element func() (*list.Element, bool), load Load[T]) (T, error) {
	for first := true; ; first = false {
		value, begun, known, err := c.look(key, element)
		if first {
			c.o.Asked(known)
		}
		if known {
			return value, err
		}
		own := false
		// Who asks after a drop does not wait for what was begun before it.
		got, err, _ := c.flights.Do(strconv.FormatUint(begun, 36)+" "+key, func() (any, error) {
			own = true
			return c.load(ctx, key, begun, load)
		})
		if !own && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			continue // it was another's time that was over
		}
		value, _ = got.(T)
		return c.bear(element, value, err)
	}
}

// look tells what is known, a row or that there is none, and how many drops there were when it was looked.
func (c *Rows[T]) look(key string, element func() (*list.Element, bool)) (value T, begun uint64, known bool, absent error) {
	now := c.o.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := element(); ok {
		if value, ok = c.take(e, now); ok {
			return value, c.drops, true, nil
		}
	}
	none, ok := c.absent[key]
	return value, c.drops, ok && now.Before(none.until), none.err
}

// load asks for a row that others may wait for, and so it is not given up when the one who asked leaves.
func (c *Rows[T]) load(ctx context.Context, key string, begun uint64, load Load[T]) (T, error) {
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(loadLimit)
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), end)
	defer cancel()
	value, err := load(ctx)
	switch {
	case err == nil:
		c.Keep(begun, value)
	case errors.Is(err, c.o.NotFound):
		c.keepAbsent(begun, key, err)
	}
	return value, err
}

// Many are those of ids that are known, and the ids that are not. What is loaded of these is kept by Keep, with begun.
func (c *Rows[T]) Many(ids []string) (found []T, missing []string, begun uint64) {
	return c.many(ids, func(id string) string { return id })
}

// ManyByName is Many for names.
func (c *Rows[T]) ManyByName(names []string) (found []T, missing []string, begun uint64) {
	return c.many(names, func(name string) string { return c.names[name] })
}

func (c *Rows[T]) many(keys []string, id func(key string) string) (found []T, missing []string, begun uint64) {
	now := c.o.Now()
	c.mu.Lock()
	for _, key := range keys {
		if e, ok := c.known[id(key)]; ok {
			if value, ok := c.take(e, now); ok {
				found = append(found, value)
				continue
			}
		}
		missing = append(missing, key)
	}
	begun = c.drops
	c.mu.Unlock()
	for range found {
		c.o.Asked(true)
	}
	for range missing {
		c.o.Asked(false)
	}
	return found, missing, begun
}

// take is the value of a row that is young enough; mu is held. One that is not stays for bear, until others need its place.
func (c *Rows[T]) take(e *list.Element, now time.Time) (T, bool) {
	r := e.Value.(*row[T])
	if !now.Before(r.until) {
		var zero T
		return zero, false
	}
	c.recent.MoveToFront(e)
	return r.value, true
}

// Keep keeps rows that were loaded, unless something was dropped since that was begun.
func (c *Rows[T]) Keep(begun uint64, values ...T) {
	until := c.o.Now().Add(spread(c.o.TTL))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drops != begun {
		return
	}
	for _, value := range values {
		id := c.o.ID(value)
		if e, ok := c.known[id]; ok {
			c.remove(e)
		}
		if len(c.known) >= c.o.Max {
			c.remove(c.recent.Back())
		}
		c.known[id] = c.recent.PushFront(&row[T]{value, until})
		if name := c.o.Name(value); name != "" {
			c.names[name] = id
		}
	}
}

func (c *Rows[T]) keepAbsent(begun uint64, key string, err error) {
	until := c.o.Now().Add(spread(c.o.AbsentTTL))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drops != begun {
		return
	}
	if len(c.absent) >= maxAbsent {
		clear(c.absent)
	}
	c.absent[key] = absence{err, until}
}

// remove drops a row; mu is held.
func (c *Rows[T]) remove(e *list.Element) {
	value := c.recent.Remove(e).(*row[T]).value
	id, name := c.o.ID(value), c.o.Name(value)
	delete(c.known, id)
	if c.names[name] == id {
		delete(c.names, name)
	}
}

// Drop forgets the row with an id, which was made, changed or deleted. As it may have any name, nothing is absent for sure any more.
func (c *Rows[T]) Drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	clear(c.absent)
	if e, ok := c.known[id]; ok {
		c.remove(e)
	}
}

// DropAll forgets everything.
func (c *Rows[T]) DropAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	clear(c.absent)
	clear(c.known)
	clear(c.names)
	c.recent.Init()
}

// Len is how many rows are known.
func (c *Rows[T]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.known)
}

// spread makes a time up to a tenth shorter or longer.
func spread(d time.Duration) time.Duration { return d + rand.N(d/5+1) - d/10 }
