package live

import (
	"time"

	"mediad/media"
)

// written is what became of a unit, for those who are told outside the session's lock.
type written struct {
	mine   bool // the publisher still holds the session
	ok     bool // the unit was admitted
	why    DropReason
	lost   bool // some subscriber lost something
	queues [EncoderPolicy + 1]outcome
}

// write publishes one unit of p: it moves it into session time, keeps it for late subscribers, measures it and offers
// it to every subscriber. It allocates nothing in steady state and waits for nobody.
func (s *Session) write(p *Publisher, au media.AccessUnit, at time.Time, w *written) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writer != p {
		return
	}
	w.mine = true
	if w.why, w.ok = s.line.admit(&au); !w.ok {
		s.drops[w.why]++
		return
	}
	now := s.clock(at)
	e := Event{Kind: EventUnit, Epoch: s.epoch, Unit: au, ArrivedAt: now}
	start := isStart(s.epoch, &au)
	s.meters[au.Kind].add(&au, s.epoch.Tracks[au.Kind].Timescale, now)
	if au.Kind == media.Video {
		s.pictures.add(&au, now)
		if au.RandomAccess {
			s.sourceKey = au.PTS
		}
	}
	s.gop.add(&e, start)
	for _, q := range s.subs {
		if q.layers {
			continue
		}
		o := &w.queues[q.policy]
		q.unit(&e, start, o)
		w.lost = w.lost || o.any
	}
}
