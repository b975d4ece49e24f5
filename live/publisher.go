package live

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"mediad/media"
)

// Publisher is a peer that was let in. StartEpoch, Write and Repaired are called from one goroutine; the others from
// any. Whoever got it from Hub.Publish calls Close when the connection ends, whatever the reason.
type Publisher struct {
	hub       *Hub
	stream    *stream
	grant     Grant
	peer      Peer
	who       identity
	connected time.Time

	encoder   atomic.Pointer[string] // what SetEncoder said
	layers    []*media.Track         // what SetLayers said
	session   atomic.Pointer[Session]
	lastFrame atomic.Int64 // hub clock of the newest unit let through, 0 before the first
	timeout   *time.Timer  // of the first frame
	askedAt   atomic.Int64 // hub clock of the newest request for a key frame
	keyFrame  chan struct{}
	network   networkMeter

	once sync.Once
	done chan struct{}
	err  error // readable once done is closed
}

// Done is closed when the publisher has lost the stream: it was replaced, its key was revoked, the server shuts down,
// or it was closed by its front end. The front end then tells the peer Err and hangs up.
func (p *Publisher) Done() <-chan struct{} { return p.done }

// Err says why Done was closed, by an *Error; nil before.
func (p *Publisher) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// KeyFrameAsked receives when a key frame is wanted now. Front ends whose peers can be asked for one read it; others need not.
func (p *Publisher) KeyFrameAsked() <-chan struct{} { return p.keyFrame }

// keyFrameEvery is how often a publisher is asked: each key frame costs it bits that the pictures behind it lack.
const keyFrameEvery = 500 * time.Millisecond

func (p *Publisher) askKeyFrame() {
	now := int64(p.hub.clock(p.hub.o.Now()))
	last := p.askedAt.Load()
	if last != 0 && now-last < int64(keyFrameEvery) || !p.askedAt.CompareAndSwap(last, now) {
		return
	}
	select {
	case p.keyFrame <- struct{}{}:
	default: // it has not taken the last one yet
	}
}

// Stream is the name of the stream that is published to.
func (p *Publisher) Stream() string { return p.grant.Stream }

// Grant is what the key allows.
func (p *Publisher) Grant() Grant { return p.grant }

// SetEncoder tells the encoder's own name, where the peer says it only once it is let in. It changes what is shown, not whom
// the rule of two publishers takes the peer for: that goes by what every connection says first.
func (p *Publisher) SetEncoder(name string) { p.encoder.Store(&name) }

// encoderName is the best name there is for the peer's encoder.
func (p *Publisher) encoderName() string {
	if name := p.encoder.Load(); name != nil {
		return *name
	}
	return p.peer.Encoder
}

// Session is the session that is being published, or that will be gone on with; nil before the first epoch of a new one.
func (p *Publisher) Session() *Session { return p.session.Load() }

// StartEpoch begins an epoch, and with the first one the session. tracks holds at least one track. sourceStart is the
// PTS of the epoch's first sample (with video: of the key frame it begins with) on the line that both tracks of the
// source share; arrival is when that sample arrived; reason says for logs and statistics why an epoch begins. The
// caller follows up with Write at once.
func (p *Publisher) StartEpoch(tracks [media.Kinds]*media.Track, sourceStart time.Duration, arrival time.Time, reason string) error {
	if tracks[media.Video] == nil && tracks[media.Audio] == nil {
		return Refuse(ReasonMediaInvalid, errors.New("live: an epoch needs a track"))
	}
	for k, t := range tracks {
		if t != nil && (t.Kind != media.Kind(k) || t.Timescale == 0) {
			return Refuse(ReasonMediaInvalid, errors.New("live: a track of the wrong kind or without timescale"))
		}
	}
	return p.stream.startEpoch(p, tracks, sourceStart, arrival, reason)
}

// SetLayers tells the layers of the epochs that begin from now on; see Epoch.Layers. Those of an epoch never change. It is called from the
// goroutine of StartEpoch, and keeps the slice.
func (p *Publisher) SetLayers(layers []*media.Track) { p.layers = layers }

// Write publishes one unit with timestamps on the source line of the current epoch. A unit that breaks the epoch's rules
// (Event.Unit) is dropped and counted. The error, if any, is Err's: the publisher has lost the stream.
func (p *Publisher) Write(au media.AccessUnit) error {
	s := p.session.Load()
	if s == nil {
		return p.lost()
	}
	now := p.hub.o.Now()
	if au.Layer > 0 {
		if !s.writeLayer(p, au, now) {
			return p.lost()
		}
		return nil
	}
	var w written
	s.write(p, au, now, &w)
	if !w.mine {
		return p.lost()
	}
	if !w.ok {
		p.hub.o.Observer.Dropped(AtEntrance, w.why, 1)
		return nil
	}
	if p.lastFrame.Swap(int64(p.hub.clock(now))) == 0 {
		p.timeout.Stop()
		p.stream.firstFrame(p)
	}
	p.hub.o.Observer.Unit(au.Kind, len(au.Data))
	if w.lost {
		p.tellLoss(&w)
	}
	return nil
}

// Repaired counts what the front end mended in the source's timestamps or structure.
func (p *Publisher) Repaired(kind string, n int) {
	if s := p.session.Load(); s != nil && n > 0 {
		s.mu.Lock()
		s.repairs += uint64(n)
		s.mending.note(s.Now(), n)
		s.mu.Unlock()
	}
	p.hub.o.Observer.Repaired(kind, n)
}

// Close gives the stream up. After a clean reason the session is held for a few seconds, after any other for the whole
// resume window, and where somebody or a rule ended it (ClassEnd) not at all. A second call does nothing.
func (p *Publisher) Close(r Reason) { p.stream.close(p, r) }

// lost is why Write may not.
func (p *Publisher) lost() error {
	if err := p.Err(); err != nil {
		return err
	}
	return Refuse(ReasonMediaInvalid, errors.New("live: no epoch was started"))
}

// finish closes Done with the reason; only the first one counts. It reports whether this was it.
func (p *Publisher) finish(r Reason) (first bool) {
	p.once.Do(func() {
		first = true
		p.timeout.Stop()
		p.err = Refuse(r, nil)
		close(p.done)
	})
	return first
}

// sending reports whether a frame came within the last second.
func (p *Publisher) sending(now time.Time) bool {
	last := p.lastFrame.Load()
	return last != 0 && p.hub.clock(now)-time.Duration(last) <= sendingWithin
}

func (p *Publisher) tellLoss(w *written) {
	for i := range w.queues {
		o := &w.queues[i]
		if !o.any {
			continue
		}
		policy := Policy(i)
		for r, n := range o.dropped {
			if n > 0 {
				p.hub.o.Observer.Dropped(policy.String(), DropReason(r), n)
			}
		}
		if o.overflow && policy.bounds().keepQueued {
			p.hub.o.Log.Error("packager is too slow: a hole in the stream", slog.String("stream", p.grant.Stream), slog.String("session", p.session.Load().id))
		}
	}
}
