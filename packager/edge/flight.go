package edge

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

// flights are the requests of the origin that are under way: one a key, however many wait for it.
type flights struct {
	mu     sync.Mutex // guards the following
	open   map[string]*flight
	closed bool
	wg     sync.WaitGroup
}

// flight is one of them. It belongs to no viewer and ends by its own time-out.
type flight struct {
	cancel context.CancelFunc
	done   chan struct{} // closed once the following are set
	object *object
	err    error
}

// viewer is what the origin is told of who asked first.
type viewer struct{ ip, via string }

// join returns the flight that brings what q asks for, and whether it was begun for that; or the object, if it has come meanwhile.
func (h *Handler) join(q request, v viewer) (f *flight, o *object, began bool, err error) {
	h.flights.mu.Lock()
	defer h.flights.mu.Unlock()
	if f := h.flights.open[q.key]; f != nil {
		return f, nil, false, nil
	}
	// It may have landed between the look into the memory and now.
	if o := h.memory.get(q.key, h.now()); o != nil {
		return nil, o, false, nil
	}
	if h.flights.closed {
		return nil, nil, false, errStopping
	}
	if len(h.flights.open) >= h.limits.Flights {
		return nil, nil, false, errBusy
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.limits.flightTime(q))
	f = &flight{cancel: cancel, done: make(chan struct{})}
	h.flights.open[q.key] = f
	h.flights.wg.Add(1)
	go h.fly(ctx, f, q, v)
	return f, nil, true, nil
}

// fly brings an object and keeps it as long as it may be kept.
func (h *Handler) fly(ctx context.Context, f *flight, q request, v viewer) {
	defer h.flights.wg.Done()
	defer f.cancel()
	o, err := h.guardedFetch(ctx, q, v)
	keep := err == nil && !o.private && o.fresh(h.now())
	lasting := keep && o.status == http.StatusOK && q.kind != Playlist && o.immutable && o.lifetime >= forever
	if keep && !h.memory.put(q.key, o) && lasting {
		h.store(q.key, o) // nowhere else would it be found
		lasting = false
	}
	h.flights.mu.Lock()
	delete(h.flights.open, q.key)
	h.flights.mu.Unlock()
	f.object, f.err = o, err
	close(f.done)
	if lasting {
		h.store(q.key, o)
	}
}

// guardedFetch is fetch, but a fault of ours costs those who wait for this object alone.
func (h *Handler) guardedFetch(ctx context.Context, q request, v viewer) (o *object, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
			h.log.Error("fetching", slog.Any("error", err), slog.String("stack", string(debug.Stack())))
		}
	}()
	return h.fetch(ctx, q, v)
}

// store puts an object on disk. Without it the edge goes on from memory.
func (h *Handler) store(key string, o *object) {
	err := h.disk.put(key, o)
	if err == nil {
		return
	}
	// A full disk would fill the log as well.
	if now, last := time.Now().UnixNano(), h.complained.Load(); now-last > int64(time.Minute) && h.complained.CompareAndSwap(last, now) {
		h.log.Error("the cache cannot be written; viewers are served from memory and the origin", slog.Any("error", err))
	}
}

// close ends all flights and waits for them.
func (f *flights) close() {
	f.mu.Lock()
	f.closed = true
	for _, one := range f.open {
		one.cancel()
	}
	f.mu.Unlock()
	f.wg.Wait()
}
