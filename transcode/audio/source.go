package audio

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"mediad/live"
	"mediad/media"
)

// Options configure what is made of sound. The zero value of a field means its default.
type Options struct {
	// FFmpeg is the program. Default ffmpeg, looked up in PATH.
	FFmpeg string
	// Bitrate of the AAC, in bits a second. Default 128000.
	Bitrate int
	// Log; nil: nothing is logged.
	Log *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time

	queue int // of packets before the child; default queued. Tests that go faster than the clock have more
}

func (o Options) withDefaults() *Options {
	if o.Bitrate == 0 {
		o.Bitrate = 128_000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.queue == 0 {
		o.queue = queued
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &o
}

// Subscription is what a Source reads; *live.Subscriber is one.
type Subscription interface {
	Next(ctx context.Context) (live.Event, error)
	Want(units [media.Kinds]int)
	Close()
}

// Source is a subscription in which Opus has become AAC. Next and Want are called from one goroutine, as those of a Subscriber.
type Source struct {
	o   *Options
	sub Subscription

	enc     *Encoder // of the epoch; nil: its sound is none or AAC
	epoch   *live.Epoch
	held    *told            // what comes once the encoder's rest has come
	rest    <-chan time.Time // how long it is awaited; nil: it is not
	pumping bool             // the subscription is read by pump
	asked   bool             // and was asked for the next event
	ask     chan struct{}
	events  chan told
	quit    context.CancelFunc
	pumps   sync.WaitGroup
}

type told struct {
	ev  live.Event
	err error
}

// restWithin is how long the end of an epoch waits for the encoder's last frames: twice what they usually take.
const restWithin = 300 * time.Millisecond

// Convert returns a Source that reads sub, which it closes.
func Convert(sub Subscription, o Options) *Source {
	return &Source{o: o.withDefaults(), sub: sub, ask: make(chan struct{}, 1), events: make(chan told)}
}

// Want tells how many units it takes until the reader can make something of them; see live.Subscriber. Sound on its way to the
// encoder is wanted at once.
func (s *Source) Want(units [media.Kinds]int) {
	if s.enc != nil {
		units[media.Audio] = 1
	}
	s.sub.Want(units)
}

// Close ends the subscription and the encoder, and waits.
func (s *Source) Close() {
	s.sub.Close()
	if s.quit != nil {
		s.quit()
	}
	s.pumps.Wait()
	s.drop()
}

func (s *Source) drop() {
	if s.enc != nil {
		s.enc.Close()
	}
	s.enc, s.rest = nil, nil
}

// Next returns the next event; see live.Subscriber.
func (s *Source) Next(ctx context.Context) (live.Event, error) {
	for {
		if s.held != nil && s.rest == nil {
			t := *s.held
			s.held = nil
			if ev, err, pass := s.take(t); pass {
				return ev, err
			}
			continue
		}
		t, au, kind := s.wait(ctx)
		switch kind {
		case waitSound:
			return live.Event{Kind: live.EventUnit, Epoch: s.epoch, Unit: au}, nil
		case waitRest:
			s.drop()
		case waitEvent:
			if s.enc != nil && (t.err != nil || t.ev.Kind != live.EventUnit && t.ev.Kind != live.EventNudge) && ctx.Err() == nil {
				s.enc.finish()
				timer := time.NewTimer(restWithin)
				s.rest, s.held = timer.C, &t
				continue
			}
			if ev, err, pass := s.take(t); pass {
				return ev, err
			}
		}
	}
}

type waited uint8

const (
	waitEvent waited = iota // the subscription told something
	waitSound               // the encoder made a frame
	waitRest                // nothing more comes of an encoder that was ended
)

// wait waits for whatever comes first.
func (s *Source) wait(ctx context.Context) (t told, au media.AccessUnit, kind waited) {
	if s.enc == nil && !s.asked {
		t.ev, t.err = s.sub.Next(ctx)
		return t, au, waitEvent
	}
	var sound <-chan media.AccessUnit
	if s.enc != nil {
		sound = s.enc.out
	}
	var events <-chan told
	if s.rest == nil {
		events = s.events
		s.pump()
		if !s.asked {
			s.asked = true
			s.ask <- struct{}{}
		}
	}
	select {
	case au, ok := <-sound:
		if !ok {
			return t, au, waitRest
		}
		return t, au, waitSound
	case t = <-events:
		s.asked = false
		return t, au, waitEvent
	case <-s.rest:
		return t, au, waitRest
	case <-ctx.Done():
		t.err = ctx.Err()
		return t, au, waitEvent
	}
}

// pump begins to read the subscription aside, one event each time that one is asked for: so it is as much behind as its reader.
func (s *Source) pump() {
	if s.pumping {
		return
	}
	s.pumping = true
	ctx, quit := context.WithCancel(context.Background())
	s.quit = quit
	s.pumps.Go(func() {
		for {
			select {
			case <-s.ask:
			case <-ctx.Done():
				return
			}
			var t told
			t.ev, t.err = s.sub.Next(ctx)
			select {
			case s.events <- t:
			case <-ctx.Done():
				return
			}
		}
	})
}

// take looks at what the subscription told; pass says whether the reader gets it.
func (s *Source) take(t told) (ev live.Event, err error, pass bool) {
	if t.err != nil {
		return t.ev, t.err, true
	}
	switch t.ev.Kind {
	case live.EventEpoch:
		return s.begin(t.ev), nil, true
	case live.EventUnit:
		if s.epoch == nil || t.ev.Epoch == nil || t.ev.Epoch.ID != s.epoch.ID {
			return t.ev, nil, true
		}
		if t.ev.Unit.Kind == media.Audio {
			if s.enc != nil {
				s.enc.Write(t.ev.Unit)
			}
			return live.Event{}, nil, false
		}
		t.ev.Epoch = s.epoch
	default:
	}
	return t.ev, nil, true
}

// begin starts an encoder for an epoch that needs one, and returns the epoch as it is with it.
func (s *Source) begin(ev live.Event) live.Event {
	s.drop()
	s.epoch = nil
	opus := ev.Epoch.Tracks[media.Audio]
	if opus == nil || opus.Codec != media.Opus {
		return ev
	}
	aac, err := newTrack()
	if err != nil {
		s.o.Log.Error("sound: no track for AAC", "error", err)
		return ev
	}
	e := *ev.Epoch
	e.Tracks[media.Audio] = aac
	s.epoch = &e
	s.enc = newEncoder(s.o, opusToAAC(opus, s.o.Bitrate), media.Timescale(rate).Ticks(e.Start)-1)
	ev.Epoch = s.epoch
	return ev
}
