package live

import (
	"context"
	"sync"
	"time"
)

// drainLimit is how long a pipeline may take over what is queued for it when the hub shuts down.
const drainLimit = 5 * time.Second

// Shutdown lets nobody in any more, tells every publisher ReasonShuttingDown and every session EventAway, lets the
// pipelines take what is queued, then ends their ctx and waits until they have returned or ctx ends. No session is
// ended by it: a restart within the resume window goes on with it (Restore).
func (h *Hub) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	for _, st := range h.all() {
		st.shutdown()
	}
	h.deliver()
	h.mu.Lock()
	running := make([]*Session, 0, len(h.pipelines))
	for s := range h.pipelines {
		running = append(running, s)
	}
	h.mu.Unlock()
	drain, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range running {
		wg.Go(func() { s.stopPipeline(drain) })
	}
	wg.Wait()
	for _, st := range h.all() {
		st.abandon()
	}
	for _, s := range running {
		select {
		case <-s.pipeline.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (st *stream) shutdown() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed {
		return
	}
	st.closed = true
	st.stopTimer()
	st.finish(st.holder, ReasonShuttingDown)
	if s := st.session; s != nil {
		s.mu.Lock()
		if !s.away {
			s.goAway(ReasonShuttingDown)
		}
		s.mu.Unlock()
	}
}

// stopPipeline ends the pipeline's ctx once it has taken everything, or with drain.
func (s *Session) stopPipeline(drain context.Context) {
	defer s.pipeline.cancel()
	for s.over() || !s.drained() {
		select {
		case <-s.idle:
		case <-s.pipeline.done:
			return
		case <-drain.Done():
			return
		}
	}
}

// abandon ends the subscriptions of whoever does not stop by itself.
func (st *stream) abandon() {
	st.mu.Lock()
	s := st.session
	st.mu.Unlock()
	if s != nil {
		s.abandon(Refuse(ReasonShuttingDown, nil))
	}
}
