package live

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"mediad/media"
)

// stream is what a viewer names. It has one slot for a publisher and at most one session that is not over.
// Lock order: stream, then hub or session, then subscriber; nothing slow is done and no foreign code is called under
// any of them.
type stream struct {
	hub  *Hub
	name string

	mu        sync.Mutex // guards what follows
	id        string
	holder    *Publisher
	session   *Session
	contest   contest
	takeovers uint64
	lastEpoch int64     // newest epoch ID ever given or heard of
	begun     bool      // the session had a frame
	previous  *pipeline // of the session before; it may still be finishing
	idleSince time.Time
	closed    bool               // shut down, or forgotten by the hub
	told      map[AlertCode]bool // alerts that were logged

	// The resume window.
	timer   *time.Timer
	armed   int       // counts timers, so that one that fires late is known
	away    time.Time // when it began
	until   time.Time // when it ends; zero while there is none
	endWith Reason    // the session's end_reason if nobody comes
	expired bool      // it is over, but somebody is connected and about to send
}

// admit gives the slot to a new publisher or says why not. retry: the stream has left the hub meanwhile.
func (st *stream) admit(grant Grant, peer Peer) (p *Publisher, retry bool, err error) {
	defer st.hub.deliver()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed {
		return nil, true, nil
	}
	now := st.hub.o.Now()
	st.id = grant.StreamID
	p = &Publisher{hub: st.hub, stream: st, grant: grant, peer: peer, who: identify(peer), connected: now, done: make(chan struct{}), keyFrame: make(chan struct{}, 1)}
	if old := st.holder; old != nil {
		sending := old.sending(now)
		if !st.contest.allow(p.who, sending, now) {
			return nil, false, Refuse(ReasonTwoPublishers, nil)
		}
		st.contest.tookOver(old.who, sending, now)
		st.takeovers++
		st.notice(Notice{Kind: TakenOver, Reason: ReasonReplaced}, p)
		st.drop(old, ReasonReplaced)
	}
	st.holder = p
	p.session.Store(st.session)
	p.timeout = time.AfterFunc(st.hub.o.FirstFrameTimeout, func() { st.close(p, ReasonNoMedia) })
	st.notice(Notice{Kind: PublisherConnected}, p)
	return p, false, nil
}

// close takes the slot from p, if p has it, and finishes p.
func (st *stream) close(p *Publisher, r Reason) {
	defer st.hub.deliver()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.holder == p {
		st.drop(p, r)
	}
}

// drop takes the slot from its holder; st.mu is held.
func (st *stream) drop(p *Publisher, r Reason) {
	st.finish(p, r)
	s := st.session
	switch {
	case s == nil:
	case s.leave(p, r):
		switch {
		case !st.begun && r != ReasonReplaced:
			st.endSession(r)
		case r.Class() == ClassEnd && r != ReasonReplaced:
			st.endSession(r)
		default:
			st.openWindow(p.grant, r)
		}
	case r.Class() == ClassEnd && r != ReasonReplaced:
		st.endSession(r)
	case st.expired && r != ReasonReplaced:
		st.endSession(st.endWith)
	}
}

// finish empties the slot, which p holds unless it is nil; st.mu is held.
func (st *stream) finish(p *Publisher, r Reason) { st.cut(p, r, "") }

// cut is finish with a sentence that says more than r does.
func (st *stream) cut(p *Publisher, r Reason, detail string) {
	st.holder = nil
	st.idleSince = st.hub.o.Now()
	if p != nil && p.finish(r) {
		st.notice(Notice{Kind: PublisherClosed, Reason: r, Detail: detail}, p)
	}
}

// openWindow begins the resume window; st.mu is held.
func (st *stream) openWindow(g Grant, r Reason) {
	window := g.ResumeWindow
	if window <= 0 {
		window = st.hub.o.ResumeWindow
	}
	st.endWith = ReasonResumeTimeout
	if r.Clean() {
		window = min(window, st.hub.o.CleanStopWindow)
		st.endWith = ReasonPublisherStopped
	}
	st.away = st.hub.o.Now()
	st.notice(Notice{Kind: SessionAway, Reason: r}, nil)
	st.armWindow(window)
}

func (st *stream) armWindow(window time.Duration) {
	st.stopTimer()
	st.until, st.expired = st.hub.o.Now().Add(window), false
	armed := st.armed
	st.timer = time.AfterFunc(window, func() { st.windowOver(armed) })
}

func (st *stream) stopTimer() {
	st.armed++
	if st.timer != nil {
		st.timer.Stop()
		st.timer = nil
	}
}

// closeWindow ends the resume window, since somebody came or the session is over; st.mu is held.
func (st *stream) closeWindow() (wasOpen bool) {
	wasOpen = !st.until.IsZero()
	st.stopTimer()
	st.away, st.until, st.expired = time.Time{}, time.Time{}, false
	return wasOpen
}

// windowOver ends the session if nobody came.
func (st *stream) windowOver(armed int) {
	defer st.hub.deliver()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.armed != armed {
		return
	}
	if st.holder != nil {
		st.expired = true
		return
	}
	st.endSession(st.endWith)
}

// endSession ends the session, and its publisher if there is one; st.mu is held.
func (st *stream) endSession(r Reason) { st.cutSession(r, "") }

// cutSession is endSession with a sentence that says more than r does.
func (st *stream) cutSession(r Reason, detail string) {
	s := st.session
	st.closeWindow()
	p := st.holder
	st.cut(p, r, detail)
	if st.begun {
		st.notice(Notice{Kind: SessionEnded, Reason: r}, p)
	}
	st.session, st.previous, st.begun = nil, s.pipeline, false
	s.end(r)
}

// startEpoch: see Publisher.StartEpoch.
func (st *stream) startEpoch(p *Publisher, tracks [media.Kinds]*media.Track, sourceStart time.Duration, arrival time.Time, reason string) error {
	defer st.hub.deliver()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.holder != p {
		return p.lost()
	}
	now := st.hub.o.Now()
	if arrival.After(now) {
		arrival = now
	}
	fresh := st.session == nil
	if fresh {
		id, err := uuid.NewV7()
		if err != nil {
			return Refuse(ReasonIngestError, err)
		}
		st.session = st.hub.newSession(id.String(), p.grant, arrival)
		p.session.Store(st.session)
	}
	resumed := st.closeWindow()
	st.lastEpoch = max(now.UnixMilli(), st.lastEpoch+1)
	e := st.session.startEpoch(p, st.lastEpoch, tracks, sourceStart, arrival, reason)
	st.notice(Notice{Kind: EpochStarted, Epoch: e}, p)
	if resumed { // after the epoch that it is told with
		st.notice(Notice{Kind: SessionResumed}, p)
	}
	if fresh {
		st.hub.startPipeline(st, st.session, st.previous)
		st.previous = nil
	}
	return nil
}

// firstFrame: p's first unit was let through.
func (st *stream) firstFrame(p *Publisher) {
	defer st.hub.deliver()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.begun || st.holder != p || st.session == nil {
		return
	}
	st.begun = true
	st.notice(Notice{Kind: SessionStarted}, p)
}

// kick ends whatever goes on, by r; see Hub.Cut.
func (st *stream) kick(r Reason, detail string) error {
	defer st.hub.deliver()
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.session != nil:
		st.cutSession(r, detail)
	case st.holder != nil:
		st.cut(st.holder, r, detail)
	default:
		return Refuse(ReasonNotLive, nil)
	}
	return nil
}

// yield: see Hub.Yield.
func (st *stream) yield() error {
	defer st.hub.deliver()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.holder == nil && st.session == nil {
		return Refuse(ReasonNotLive, nil)
	}
	if p := st.holder; p != nil {
		st.drop(p, ReasonReplaced)
	}
	if st.session != nil {
		st.endSession(ReasonPublisherStopped)
	}
	return nil
}

// failed: the pipeline of session s gave up.
func (st *stream) failed(s *Session) {
	defer st.hub.deliver()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.session == s && !st.closed {
		st.endSession(ReasonIngestError)
	}
}

// notice queues n with the stream's words; st.mu is held.
func (st *stream) notice(n Notice, p *Publisher) {
	n.At, n.Stream, n.StreamID = st.hub.o.Now(), st.name, st.id
	if st.session != nil {
		n.Session = st.session.id
	}
	if p != nil {
		n.Peer, n.KeyID = p.peer, p.grant.KeyID
	}
	st.hub.queueNotice(n)
}
