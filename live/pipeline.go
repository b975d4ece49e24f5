package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// pipeline is the goroutine that Options.Run has.
type pipeline struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when it has returned
}

func (h *Hub) newSession(id string, g Grant, arrival time.Time) *Session {
	origin := arrival.Add(-time.Duration(arrival.Nanosecond()) % time.Millisecond) // keeps the monotonic reading
	s := &Session{
		id: id, grant: g, start: origin.Round(0), origin: origin,
		now: h.o.Now, target: h.o.SegmentTarget, converted: h.o.SoundConverted, index: -1,
		idle: make(chan struct{}, 1), pipeline: &pipeline{done: make(chan struct{})}, raised: map[AlertCode]standing{},
	}
	if h.o.Run != nil {
		s.head = newSubscriber(s, PackagerPolicy)
		s.subs = append(s.subs, s.head)
	}
	return s
}

// startPipeline runs Options.Run for s in a goroutine, after the pipeline of the stream's session before has returned:
// two never write to one stream. st.mu is held by the caller.
func (h *Hub) startPipeline(st *stream, s *Session, previous *pipeline) {
	ctx, cancel := context.WithCancel(context.Background()) // a pipeline outlives the connection that began it
	s.pipeline.cancel = cancel
	if h.o.Run == nil {
		cancel()
		close(s.pipeline.done)
		return
	}
	h.mu.Lock()
	h.pipelines[s] = struct{}{}
	h.mu.Unlock()
	go func() {
		defer func() {
			cancel()
			s.releaseHead()
			h.mu.Lock()
			delete(h.pipelines, s)
			h.mu.Unlock()
			close(s.pipeline.done)
		}()
		if previous != nil {
			h.await(ctx, previous)
		}
		err := h.runPipeline(ctx, s)
		switch {
		case ctx.Err() != nil: // told to stop: whatever it says, stopping is not failing
		case err != nil:
			h.o.Log.Error("pipeline failed", slog.String("stream", st.name), slog.String("session", s.id), slog.Any("error", err))
			st.failed(s)
		case !s.over():
			h.o.Log.Warn("pipeline returned before the session's end", slog.String("stream", st.name), slog.String("session", s.id))
		}
	}()
}

// await waits for the pipeline of an ended session; after DrainTimeout it is stopped hard.
func (h *Hub) await(ctx context.Context, p *pipeline) {
	t := time.NewTimer(h.o.DrainTimeout)
	defer t.Stop()
	select {
	case <-p.done:
		return
	case <-t.C:
		p.cancel()
	case <-ctx.Done():
		return
	}
	select {
	case <-p.done:
	case <-ctx.Done():
	}
}

// runPipeline turns a panic into an error: nobody else is harmed by one session.
func (h *Hub) runPipeline(ctx context.Context, s *Session) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return h.o.Run(ctx, s)
}

func (s *Session) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

var errNotEmpty = errors.New("live: the stream has a session already")

// restore: see Hub.Restore.
func (st *stream) restore(r Restored) (*Session, error) {
	defer st.hub.deliver()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed || st.session != nil || st.holder != nil {
		return nil, errNotEmpty
	}
	now := st.hub.o.Now()
	s := st.hub.newSession(r.SessionID, r.Grant, r.Start)
	s.restored = &r
	s.origin = now.Add(-max(now.Sub(r.Start), r.MediaEnd, 0))
	s.index = r.EpochIndex
	s.had = r.HadTracks
	s.line = resumeAt(r.MediaEnd)
	st.id = r.Grant.StreamID
	st.lastEpoch = max(st.lastEpoch, r.LastEpoch)
	st.session, st.begun = s, true
	s.mu.Lock()
	s.goAway(ReasonConnectionLost)
	s.mu.Unlock()

	window := r.Grant.ResumeWindow
	if window <= 0 {
		window = st.hub.o.ResumeWindow
	}
	st.away, st.endWith = now, ReasonResumeTimeout
	left := window
	if !r.AwaySince.IsZero() {
		left -= max(now.Sub(r.AwaySince), 0)
	}
	st.hub.startPipeline(st, s, nil)
	if left <= 0 {
		st.endSession(ReasonResumeTimeout)
		return s, nil
	}
	st.armWindow(left)
	return s, nil
}
