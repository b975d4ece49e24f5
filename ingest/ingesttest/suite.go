// Package ingesttest is what every front end must do alike, whatever its protocol: one suite, driven through a small
// interface that each protocol's test implements for each of its clients.
//
//	Run ── Harness.Start ──► front end ──► Hub (stands for live and ingest.Feed, keeps everything)
//	    └─ Harness.Publisher ──► a client, scripted or a real program
package ingesttest

import (
	"context"
	"strings"
	"testing"
	"time"

	"mediad/live"
	"mediad/media"
)

// Publisher is one encoder.
type Publisher interface {
	// Publish connects and asks to publish with key. It returns nil once let in, or once media flows, whichever the
	// client can see; else an error with what the server said, as far as the protocol lets it say something.
	Publish(ctx context.Context, key string) error
	// Send sends some media, at least five pictures of video and one frame of sound, or sees that it is being sent.
	Send(ctx context.Context) error
	// Stop ends the broadcast as the protocol asks.
	Stop() error
	// Drop cuts the connection without a word.
	Drop()
	// Told waits until the server has ended the connection, and returns what it said.
	Told(ctx context.Context) string
	// Close frees everything, whatever happened before.
	Close()
}

// Staller is a Publisher that can stay connected and send nothing.
type Staller interface{ Stall() }

// Oversizer is a Publisher that can send a frame of n bytes.
type Oversizer interface{ SendFrame(n int) error }

// Changer is a Publisher that can go on with another decoder configuration.
type Changer interface {
	ChangeCodec(ctx context.Context) error
}

// Limits are what a front end is started with.
type Limits struct {
	MaxFrame          int
	ReadTimeout       time.Duration
	FirstFrameTimeout time.Duration
}

// Harness is one protocol with one kind of client.
type Harness struct {
	// Start starts a front end on a free port of loopback that asks hub. It ends when ctx does, and wait returns
	// when everything of it has ended.
	Start func(ctx context.Context, t testing.TB, hub *Hub, l Limits) (address string, wait func())
	// Publisher makes a client.
	Publisher func(t testing.TB, address string) Publisher
	// Tells reports whether the protocol can say why a publisher is closed.
	Tells bool
	// ReadTimeout is the silence that counts as gone. Default 1.5 s; real programs on a busy machine need more.
	ReadTimeout time.Duration
}

const (
	goodKey  = "good-key_1.0"
	maxFrame = 1 << 20
)

// Run runs the suite. Each case has a front end and a hub of its own.
func Run(t *testing.T, h Harness) {
	if h.ReadTimeout == 0 {
		h.ReadTimeout = 1500 * time.Millisecond
	}
	probe := h.Publisher(t, "")
	probe.Close()
	_, stalls := probe.(Staller)
	_, oversizes := probe.(Oversizer)
	_, changes := probe.(Changer)
	for _, c := range []struct {
		name string
		can  bool
		run  func(*env)
	}{
		{"Publish", true, (*env).publish},
		{"RefuseWrongKey", true, (*env).refuseWrongKey},
		{"TakeOver", true, (*env).takeOver},
		{"Drop", true, (*env).drop},
		{"CleanStop", true, (*env).cleanStop},
		{"ClosedByHub", true, (*env).closedByHub},
		{"CloseOnShutdown", true, (*env).closeOnShutdown},
		{"Stall", stalls, (*env).stall},
		{"StallBeforeMedia", stalls, (*env).stallBeforeMedia},
		{"Oversize", oversizes, (*env).oversize},
		{"CodecChange", changes, (*env).codecChange},
	} {
		if c.can {
			t.Run(c.name, func(t *testing.T) { c.run(newEnv(t, h)) })
		}
	}
}

// env is what one case runs in.
type env struct {
	testing.TB
	h       Harness
	hub     *Hub
	address string
	stop    func() // ends the front end, and waits for it
}

func newEnv(t *testing.T, h Harness) *env {
	ctx, cancel := context.WithCancel(context.Background())
	e := &env{TB: t, h: h, hub: NewHub(goodKey)}
	address, wait := h.Start(ctx, t, e.hub, Limits{MaxFrame: maxFrame, ReadTimeout: h.ReadTimeout, FirstFrameTimeout: h.ReadTimeout})
	e.address = address
	e.stop = func() { cancel(); wait() }
	t.Cleanup(e.stop)
	return e
}

// within is a context for one step.
func (e *env) within() context.Context {
	ctx, cancel := context.WithTimeout(e.Context(), 3*patience)
	e.Cleanup(cancel)
	return ctx
}

func (e *env) dial() Publisher {
	p := e.h.Publisher(e.TB, e.address)
	e.Cleanup(p.Close)
	return p
}

// onAir has a publisher that sends.
func (e *env) onAir(n int) (Publisher, *Publication) {
	e.Helper()
	p := e.dial()
	e.must(p.Publish(e.within(), goodKey))
	pub := e.hub.Next(e, n)
	e.must(p.Send(e.within()))
	pub.AwaitUnits(e, media.Video, 5)
	pub.AwaitUnits(e, media.Audio, 1)
	return p, pub
}

func (e *env) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

func (e *env) closedFor(p *Publication, want ...live.Reason) {
	e.Helper()
	got := p.AwaitClosed(e)
	for _, w := range want {
		if got == w {
			return
		}
	}
	e.Errorf("closed for %q, want %q", got, want)
}

func (e *env) toldOf(p Publisher, r live.Reason) {
	e.Helper()
	said := p.Told(e.within())
	if e.h.Tells && !strings.Contains(said, r.Text()) {
		e.Errorf("told %q, want %q in it", said, r.Text())
	}
}
