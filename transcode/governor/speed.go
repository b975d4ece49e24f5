package governor

import "time"

const (
	// over is over how long speed is measured, and atLeast over how little: a child that gets its time in slices makes nothing for
	// some hundred milliseconds.
	over    = 600 * time.Millisecond
	atLeast = 250 * time.Millisecond
	// waits is the lag from which on a child counts as busy without a pause: what it made before says nothing of how fast it can.
	waits = 60 * time.Millisecond
	// settleWithin bounds how long the speed of what the child held when rungs went is left out.
	settleWithin = time.Second
)

// speed measures the media time that a child makes a second while pictures wait for it.
type speed struct {
	seen []sample
	from time.Duration // what was made before this was made with other rungs
	by   time.Time     // until when from counts

	moved time.Time     // when something last came out
	made  time.Duration // and how much had by then
	asked time.Duration // how much had when a rung was shed of a child that stood; so one goes each time that it stands
}

type sample struct {
	at   time.Time
	made time.Duration
}

func (s *speed) reset() { s.seen = s.seen[:0] }

// restart leaves out what the child has in hand: other rungs are made of it than from now on.
func (s *speed) restart(now time.Time, r Report) {
	s.seen = append(s.seen[:0], sample{now, r.Made})
	s.from, s.by = r.Made+r.Inside, now.Add(settleWithin)
}

func (s *speed) note(now time.Time, r Report) {
	if r.Made != s.made || r.Lag < waits || r.Starting {
		if now.Sub(s.moved) > standing(r) {
			s.reset() // the machine slept for a moment
		}
		s.moved, s.made = now, r.Made
	}
	if r.Lag < waits || r.Starting || r.Made < s.from && now.Before(s.by) {
		s.reset()
	}
	for len(s.seen) > 1 && now.Sub(s.seen[1].at) >= over {
		s.seen = append(s.seen[:0], s.seen[1:]...)
	}
	s.seen = append(s.seen, sample{now, r.Made})
}

// standing is how long nothing must have come out for a child to have stood still meanwhile. It may get its time in slices.
func standing(r Report) time.Duration { return max(350*time.Millisecond, 4*r.Frame) }

// stood reports, once each time, that it does.
func (s *speed) stood() bool {
	first := s.asked != s.made
	s.asked = s.made
	return first
}

// value is the speed, false if it cannot be told yet.
func (s *speed) value() (v float64, known bool) {
	if len(s.seen) == 0 {
		return 0, false
	}
	first, last := s.seen[0], s.seen[len(s.seen)-1]
	d := last.at.Sub(first.at)
	if d < atLeast {
		return 0, false
	}
	return max(float64(last.made-first.made)/float64(d), 0), true
}
