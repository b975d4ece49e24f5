package live

import (
	"math"
	"time"

	"mediad/media"
)

// SubscribeLayers follows what the publisher sends of the picture beside the source (Epoch.Layers): epochs, EventAway and EventEnd as every
// subscriber has them, and of units those of layers alone. Its queue is its own, so that layers never cost the source anything. The first
// subscription with EncoderPolicy misses nothing since the first epoch with layers, as far as that bound reaches; any other begins with the
// next key frame of any layer. Where Drops has risen between two units, every layer goes on at its next key frame, as what is missing may be
// of any. The caller closes it.
func (s *Session) SubscribeLayers(p Policy) *Subscriber {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.layerHead; q != nil && p == EncoderPolicy {
		s.layerHead = nil
		return q
	}
	q := newSubscriber(s, p)
	q.layers = true
	now := s.Now()
	switch {
	case s.ended:
		q.control(&Event{Kind: EventEnd, Reason: s.reason, ArrivedAt: now})
		return q
	case s.away:
		q.control(&Event{Kind: EventAway, Reason: s.reason, ArrivedAt: now})
	case s.epoch != nil:
		q.start(s.epoch, nil, 0, now)
	}
	s.layersTaken = s.layersTaken || p == EncoderPolicy
	s.subs = append(s.subs, q)
	return q
}

// Layers are those of the epoch that is on air or was last; see Epoch.Layers.
func (s *Session) Layers() []*media.Track {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch == nil {
		return nil
	}
	return s.epoch.Layers
}

// SourceMarks is where the source's picture has come to in the epoch that goes on: where its newest picture ends, and where its newest key
// frame is shown, in session time and ticks of media.VideoTimescale. ok is false where there has been none.
func (s *Session) SourceMarks() (end, key media.Ticks, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.line.tracks[media.Video]
	return l.end, s.sourceKey, l.present && l.some
}

// startLayers prepares for the layers of the epoch that begins; mu is held.
func (s *Session) startLayers() {
	s.layerLast = s.layerLast[:0]
	for range s.epoch.Layers {
		s.layerLast = append(s.layerLast, math.MinInt64)
	}
	if s.pipeline != nil && len(s.epoch.Layers) > 0 && !s.layersTaken {
		s.layersTaken = true
		s.layerHead = newSubscriber(s, EncoderPolicy)
		s.layerHead.layers = true
		s.subs = append(s.subs, s.layerHead)
	}
}

// writeLayer publishes one unit of a layer of p, by the source's constant, and counts what is not fit for the epoch. It reports whether p
// still holds the session. Nothing of it is measured or kept for those who come late: the session is its source.
func (s *Session) writeLayer(p *Publisher, au media.AccessUnit, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writer != p {
		return false
	}
	n := int(au.Layer) - 1
	if n >= len(s.epoch.Layers) || s.epoch.Layers[n] == nil || au.Kind != media.Video {
		s.drops[DropNoTrack]++
		return true
	}
	last := &s.layerLast[n]
	if *last == math.MinInt64 && !au.RandomAccess {
		s.drops[DropNoKeyFrame]++
		return true
	}
	if why, ok := s.line.admitLayer(&au, s.epoch.Layers[n].Timescale, *last); !ok {
		s.drops[why]++
		return true
	}
	*last = au.DTS
	e := Event{Kind: EventUnit, Epoch: s.epoch, Unit: au, ArrivedAt: s.clock(at)}
	for _, q := range s.subs {
		if q.layers {
			var lost outcome // the subscriber's own Drops tell
			q.unit(&e, au.RandomAccess, &lost)
		}
	}
	return true
}

// admitLayer moves a layer's unit into session time as the source's are, or tells why it goes no further. It leaves no trace in the line: a
// layer says nothing about where the session ends.
func (t *timeline) admitLayer(au *media.AccessUnit, scale media.Timescale, last media.Ticks) (DropReason, bool) {
	l := &t.tracks[media.Video]
	if !l.present || l.scale != scale {
		return DropNoTrack, false
	}
	au.DTS += l.offset
	au.PTS += l.offset
	switch {
	case au.PTS < au.DTS || au.PTS >= l.limit || au.DTS <= last:
		return DropNotMonotone, false
	case au.PTS < l.start:
		return DropBeforeEpoch, false
	}
	return 0, true
}
