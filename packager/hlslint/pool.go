package hlslint

import (
	"context"
	"fmt"
	"net/http"
	"sync"
)

// Bounds of what is fetched.
const (
	liveBacklog = 3       // complete segments of a live playlist that are fetched when it is first seen
	maxQueued   = 100_000 // jobs; on overflow the newest are left out and the report says so
)

// job is one file to fetch.
type job struct {
	purpose Purpose
	resource
	rank int // of its playlist's segments: the renditions advance together
}

// pool fetches media with a bounded number of workers. Its queue is bounded by maxQueued: on overflow new jobs
// are dropped and counted.
type pool struct {
	w       *watch
	mu      sync.Mutex
	queue   []job
	wake    chan struct{} // closed and renewed when the queue or closed changes
	closed  bool
	seen    map[string]bool
	dropped int
	skipped int                      // for want of bytes
	inits   map[string]chan struct{} // closed when the initialization section has been judged
	starts  map[string]uint64        // first MSN of a playlist that is fetched
}

func newPool(w *watch) *pool {
	return &pool{w: w, wake: make(chan struct{}), seen: map[string]bool{}, inits: map[string]chan struct{}{}, starts: map[string]uint64{}}
}

func (p *pool) add(j job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := string(j.purpose) + j.key()
	if p.seen[key] {
		return
	}
	p.seen[key] = true
	if len(p.queue) >= maxQueued {
		p.dropped++
		return
	}
	p.queue = append(p.queue, j)
	p.signal()
}

func (p *pool) signal() {
	close(p.wake)
	p.wake = make(chan struct{})
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.signal()
}

// take waits for a job; false when there will be none.
func (p *pool) take(ctx context.Context) (job, bool) {
	for {
		p.mu.Lock()
		if len(p.queue) > 0 {
			best := 0
			for i := range p.queue[:min(len(p.queue), 1000)] {
				if p.queue[i].rank < p.queue[best].rank {
					best = i
				}
			}
			j := p.queue[best]
			p.queue = append(p.queue[:best], p.queue[best+1:]...)
			p.mu.Unlock()
			return j, true
		}
		closed, wake := p.closed, p.wake
		p.mu.Unlock()
		if closed {
			return job{}, false
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return job{}, false
		}
	}
}

// work fetches until the pool is closed and empty, or ctx ends.
func (p *pool) work(ctx context.Context) {
	for {
		j, ok := p.take(ctx)
		if !ok {
			return
		}
		if p.w.left.Load() <= 0 {
			p.skip()
			continue
		}
		h := http.Header{}
		if b := j.bytes; b != nil && b.length > 0 {
			h.Set("Range", fmt.Sprintf("bytes=%d-%d", b.offset, b.offset+b.length-1))
		}
		x, ok := p.w.get(ctx, j.purpose, j.url, request{header: h, timeout: p.w.Timeout})
		if !ok {
			return
		}
		p.w.observe(x)
	}
}

// skip counts a file that was left out for want of bytes.
func (p *pool) skip() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.skipped++
}

// limited tells in words what was left out.
func (p *pool) limited(left int64) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch n := p.dropped + p.skipped + len(p.queue); {
	case n > 0 && left <= 0:
		return fmt.Sprintf("%d files, because the limit of bytes was reached", n)
	case n > 0:
		return fmt.Sprintf("%d files, because they came too slowly", n)
	}
	return ""
}

// fetchNew queues what a playlist lists and was not asked for yet. Initialization sections come first, in the
// caller's goroutine: nothing can be judged without them.
func (w *watch) fetchNew(ctx context.Context, u string) {
	p := w.judge.state(u)
	if p == nil || p.iframesOnly {
		return
	}
	w.pool.mu.Lock()
	start, known := w.pool.starts[u]
	if !known {
		if n := len(p.segments); p.live() && n > liveBacklog {
			start = p.segments[n-liveBacklog].msn
		}
		w.pool.starts[u] = start
	}
	w.pool.mu.Unlock()
	queue := func(s *segment) {
		if s.msn < start || s.encrypted {
			return
		}
		if s.initial != nil && !w.fetchInit(ctx, *s.initial) {
			return
		}
		rank := int(s.msn - start)
		for _, x := range s.parts {
			if !x.gap {
				w.pool.add(job{PurposePart, x.resource, rank})
			}
		}
		if s.uri != "" && !s.gap {
			w.pool.add(job{PurposeSegment, s.resource, rank})
		}
	}
	for i := range p.segments {
		queue(&p.segments[i])
	}
	if p.open != nil {
		queue(p.open)
	}
}

// fetchInit fetches an initialization section once; who comes second waits for the first.
func (w *watch) fetchInit(ctx context.Context, r resource) bool {
	w.pool.mu.Lock()
	done, ok := w.pool.inits[r.key()]
	if !ok {
		done = make(chan struct{})
		w.pool.inits[r.key()] = done
	}
	w.pool.mu.Unlock()
	if ok {
		select {
		case <-done:
			return true
		case <-ctx.Done():
			return false
		}
	}
	defer close(done)
	h := http.Header{}
	if b := r.bytes; b != nil && b.length > 0 {
		h.Set("Range", fmt.Sprintf("bytes=%d-%d", b.offset, b.offset+b.length-1))
	}
	x, ok := w.get(ctx, PurposeInit, r.url, request{header: h, timeout: w.Timeout})
	if ok {
		w.observe(x)
	}
	return ok
}
