package live

import (
	"slices"
	"sync"
	"time"

	"mediad/media"
)

// Session is one broadcast, from its first frame until the resume window has passed.
//
//	            StartEpoch                  publisher gone
//	(none) ──► starting ── first frame ──► live ◄─────────────► reconnecting ◄── Restore
//	              │                         │   StartEpoch of       │
//	              │ publisher gone          │   whoever comes       │ window over, End,
//	              │ without a frame         │ End, pipeline failed  │ pipeline failed
//	              └────────► ended ◄────────┴───────────────────────┘
//
// The stream (stream.go) decides on every arrow under its own lock; the session tells its subscribers and measures.
// Shutdown takes no arrow: it leaves the session reconnecting, for Restore after the restart.
type Session struct {
	id        string
	grant     Grant
	start     time.Time // wall clock of session time 0, whole milliseconds
	origin    time.Time // the same instant on the monotonic clock
	restored  *Restored
	now       func() time.Time
	target    time.Duration // Options.SegmentTarget
	converted bool          // Options.SoundConverted
	head      *Subscriber   // the pipeline's first subscription, waiting to be taken; nil once it is
	layerHead *Subscriber   // the same for SubscribeLayers, from the first epoch with layers on
	idle      chan struct{} // holds one token: a reader has taken everything
	pipeline  *pipeline

	mu         sync.Mutex // guards what follows and head; held for a few memory writes, never across a wait
	writer     *Publisher // whose epoch it is; nil while away
	epoch      *Epoch
	epochClock time.Duration // session clock when the epoch began to come in
	index      int           // of the newest epoch; -1 before the first
	away       bool
	ended      bool
	reason     Reason // of the newest away, or of the end
	subs       []*Subscriber
	gop        lastGOP
	line       timeline
	layerLast  []media.Ticks // DTS of the newest unit of each layer of the epoch
	sourceKey  media.Ticks   // PTS of the epoch's newest key frame
	// layersTaken says that no layerHead is made any more.
	layersTaken bool
	had         [media.Kinds]bool // the session has or had such a track
	meters      [media.Kinds]meter
	pictures    pictures
	drops       Drops
	repairs     uint64
	mending     mending
	ladder      ladder
	usual       int64                  // the bit rate of the pictures before it fell
	unshown     int64                  // ID of the newest epoch whose pictures HLS does not carry
	raised      map[AlertCode]standing // of alerts whose condition holds, or lately did
}

// ID is a UUIDv7.
func (s *Session) ID() string { return s.id }

// Grant is what the key that opened the session allows.
func (s *Session) Grant() Grant { return s.grant }

// Stream is the stream's name.
func (s *Session) Stream() string { return s.grant.Stream }

// Start is the wall clock of session time 0, the first frame's arrival, in whole milliseconds.
func (s *Session) Start() time.Time { return s.start }

// Restored is what the session was restored from; nil if it began in this process.
func (s *Session) Restored() *Restored { return s.restored }

// Now is the session clock: monotonic, 0 at the session's start. Media time is near it but not tied to it.
func (s *Session) Now() time.Duration { return s.clock(s.now()) }

func (s *Session) clock(t time.Time) time.Duration { return t.Sub(s.origin) }

// Subscribe begins to follow the session. The first subscription with PackagerPolicy misses nothing since the session's
// start, as far as its bound reaches. Every other begins with the current epoch and the units since its newest key
// frame, or with the next key frame where those would not fit; while the publisher is away, with EventAway; at the end,
// with EventEnd. The caller closes it.
func (s *Session) Subscribe(p Policy) *Subscriber {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.head; q != nil && p == PackagerPolicy {
		s.head = nil
		return q
	}
	q := newSubscriber(s, p)
	now := s.Now()
	switch {
	case s.ended:
		q.control(&Event{Kind: EventEnd, Reason: s.reason, ArrivedAt: now})
		return q
	case s.away:
		q.control(&Event{Kind: EventAway, Reason: s.reason, ArrivedAt: now})
	case s.epoch != nil:
		q.start(s.epoch, s.gop.events, s.gop.bytes, now)
	}
	s.subs = append(s.subs, q)
	return q
}

// AskKeyFrame asks the publisher for a key frame, if it can be asked, at most twice a second for all who ask.
func (s *Session) AskKeyFrame() {
	s.mu.Lock()
	p := s.writer
	s.mu.Unlock()
	if p != nil {
		p.askKeyFrame()
	}
}

func (s *Session) unsubscribe(q *Subscriber) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.subs, q); i >= 0 {
		s.subs = slices.Delete(s.subs, i, i+1)
	}
}

// quiet tells a shutdown that waits for it that a reader has taken everything.
func (s *Session) quiet() {
	select {
	case s.idle <- struct{}{}:
	default:
	}
}

// drained reports whether every reader that must not lose anything has taken all there is. A pipeline that has not
// begun to read is not waited for.
func (s *Session) drained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.subs {
		if q.b.keepQueued && q != s.head && !q.drained() {
			return false
		}
	}
	return true
}

// startEpoch makes p the writer and tells everyone. It returns the epoch.
func (s *Session) startEpoch(p *Publisher, id int64, tracks [media.Kinds]*media.Track, sourceStart time.Duration, arrival time.Time, reason string) *Epoch {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.writer != p {
		for k := range s.meters { // rates of another connection say nothing about this one
			s.meters[k].rate = rate{}
		}
	}
	if s.writer != p && s.index >= 0 {
		reason = EpochReconnected
		if s.reason == ReasonReplaced {
			reason = EpochReplaced
		}
	}
	s.index++
	s.writer, s.away = p, false
	s.epochClock = s.clock(now)
	s.epoch = &Epoch{
		ID: id, Index: s.index, Tracks: tracks,
		Start:    s.line.startEpoch(tracks, sourceStart, s.clock(arrival)),
		Protocol: p.peer.Protocol, Encoder: p.encoderName(),
		StartedAt: arrival.Round(0), Reason: reason, Layers: p.layers,
	}
	s.startLayers()
	s.gop.reset()
	s.pictures = pictures{}
	clear(s.raised)
	for k, t := range tracks {
		s.meters[k].some, s.meters[k].jitter = false, 0
		s.had[k] = s.had[k] || t != nil
	}
	if t := tracks[media.Video]; t != nil {
		s.pictures = newPictures(t, s.target)
	}
	s.tell(&Event{Kind: EventEpoch, Epoch: s.epoch, ArrivedAt: s.epochClock})
	return s.epoch
}

// leave takes the session from p, if it is p's. It reports whether it was.
func (s *Session) leave(p *Publisher, r Reason) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writer != p {
		return false
	}
	s.goAway(r)
	return true
}

// goAway tells everyone that the publisher is gone; s.mu is held.
func (s *Session) goAway(r Reason) {
	s.writer, s.away, s.reason = nil, true, r
	s.gop.reset()
	s.tell(&Event{Kind: EventAway, Reason: r, ArrivedAt: s.Now()})
}

// end tells everyone that the session is over and forgets them.
func (s *Session) end(r Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.writer, s.ended, s.reason = nil, true, r
	s.gop = lastGOP{}
	s.tell(&Event{Kind: EventEnd, Reason: r, ArrivedAt: s.Now()})
	s.subs = nil
}

// abandon ends every subscription where it stands, with err.
func (s *Session) abandon(err error) {
	s.mu.Lock()
	subs := s.subs
	s.subs = nil
	s.mu.Unlock()
	for _, q := range subs {
		q.fail(err)
	}
}

// releaseHead drops the first subscription if the pipeline returned without having taken it.
func (s *Session) releaseHead() {
	s.mu.Lock()
	heads := [...]*Subscriber{s.head, s.layerHead}
	s.head, s.layerHead, s.layersTaken = nil, nil, true
	s.mu.Unlock()
	for _, q := range heads {
		if q != nil {
			q.Close()
		}
	}
}

func (s *Session) tell(e *Event) {
	for _, q := range s.subs {
		q.control(e)
	}
}
