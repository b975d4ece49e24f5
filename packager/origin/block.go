package origin

import (
	"context"
	"sync/atomic"
	"time"

	"mediad/packager/playlist"
)

// parking bounds how many requests wait at once. When it is full the next is refused at once: a player tries again, and
// nobody who already waits is worse off.
type parking struct {
	limit    int64 // negative: none
	n        atomic.Int64
	observer Observer
}

func (p *parking) enter() bool {
	if n := p.n.Add(1); p.limit >= 0 && n > p.limit {
		p.n.Add(-1)
		return false
	}
	p.observer.Parked(1)
	return true
}

func (p *parking) leave() {
	p.n.Add(-1)
	p.observer.Parked(-1)
}

// outcome is how a wait ended.
type outcome uint8

const (
	there   outcome = iota // what was waited for
	expired                // the longest hold
	full                   // it did not begin: too many wait
	left                   // the client, or the server is stopping
	removed                // the playlist is no more
	barred                 // it may no longer be given out
)

// wait parks the request until done says of a successor of w that the wait is over, and returns that window. It costs the
// request's own goroutine and a timer.
func (a *answer) wait(w *playlist.Window, done func(*playlist.Window) bool) (*playlist.Window, outcome) {
	return a.waitAtMost(w, a.h.hold(w.Spec().Config), done)
}

func (a *answer) waitAtMost(w *playlist.Window, longest time.Duration, done func(*playlist.Window) bool) (*playlist.Window, outcome) {
	h := a.h
	if !h.parked.enter() {
		return w, full
	}
	defer h.parked.leave()
	// The waiting itself is on the real clock: Options.Now is for what becomes data.
	began := time.Now()
	timer := time.NewTimer(longest)
	defer timer.Stop()
	w, out := waitFor(a.r.Context(), w, timer.C, a.lost, done)
	a.held = max(time.Since(began), 1)
	return w, out
}

func waitFor(ctx context.Context, w *playlist.Window, late <-chan time.Time, lost <-chan struct{}, done func(*playlist.Window) bool) (*playlist.Window, outcome) {
	for {
		select {
		case <-w.Next():
			if w = w.Successor(); w == nil {
				return nil, removed
			}
			if done(w) {
				return w, there
			}
		case <-late:
			return w, expired
		case <-lost:
			return w, barred
		case <-ctx.Done():
			return w, left
		}
	}
}

// hold is how long a request may wait: 3 target durations, and no longer than Limits.Hold.
func (h *Handler) hold(c *playlist.Config) time.Duration {
	return min(3*c.TargetDuration(), h.limits.Hold)
}

// unmet answers a request whose wait did not end well.
func (a *answer) unmet(out outcome) {
	switch out {
	case barred:
		if a.may() { // it is for others now, and so for this one
			a.problem(heldTooLong, a.h.fixed.forSecond)
		}
	case removed:
		a.problem(notLive, a.h.fixed.forSecond)
	case full:
		a.problem(overloaded, a.h.fixed.noStore)
	default: // also where the client left: should it be the server that is stopping, it must not read an empty 200
		a.gone = out == left
		// A cache hands this to all who waited with it. What it may not keep it would ask for again, for one after the other,
		// and each would be held as long as the one before.
		a.problem(heldTooLong, a.h.fixed.forSecond)
	}
}
