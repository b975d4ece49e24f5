package transcode

import (
	"sync"
	"time"

	"mediad/media"
)

// State is how a rung is.
type State string

// The states.
const (
	StateRunning    State = "running"
	StateShed       State = "shed"
	StateRestarting State = "restarting" // or not begun yet: it goes on at the source's next key frame
)

// Health is how the rungs of a session are.
type Health struct {
	Rungs []RungHealth // heaviest first, but one that leads last
	// Restarts counts the children that ended without having been asked to.
	Restarts int
}

// RungHealth is how one rung is.
type RungHealth struct {
	Name  string
	State State
	// Lag is newest media time in minus media time out; of a rung that runs.
	Lag time.Duration
	// FPS is how many pictures came out a second, in the last seconds.
	FPS float64
}

// fpsOver is over how long the rate of pictures is measured.
const fpsOver = 4 * time.Second

type health struct {
	mu       sync.Mutex // guards what follows
	rungs    []rungHealth
	restarts int
}

type rungHealth struct {
	RungHealth
	from, newest time.Time // of the pictures that are counted
	pictures     int
	rate         float64 // before from
}

func newHealth(rungs []media.Rung) *health {
	h := &health{rungs: make([]rungHealth, len(rungs))}
	for i, r := range rungs {
		h.rungs[i].Name, h.rungs[i].State = r.Name, StateRestarting
	}
	return h
}

func (h *health) restart() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.restarts++
}

func (h *health) rung(i int, s State, lag time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rungs[i].State, h.rungs[i].Lag = s, lag
}

// picture counts one that came out.
func (h *health) picture(i int, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := &h.rungs[i]
	if d := now.Sub(r.from); d >= fpsOver {
		r.rate = 0
		if !r.from.IsZero() {
			r.rate = float64(r.pictures) / d.Seconds()
		}
		r.from, r.pictures = now, 0
	}
	r.pictures++
	r.newest = now
}

func (h *health) tell(now time.Time) Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := Health{Restarts: h.restarts}
	for _, r := range h.rungs {
		one := r.RungHealth
		switch d := now.Sub(r.from); {
		case now.Sub(r.newest) >= fpsOver:
		case r.rate > 0:
			one.FPS = r.rate
		case d > 0:
			one.FPS = float64(r.pictures) / d.Seconds()
		}
		out.Rungs = append(out.Rungs, one)
	}
	return out
}
