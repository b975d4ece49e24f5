package ingesttest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"mediad/live"
	"mediad/media"
)

// patience is how long an await waits. It is far beyond what any step takes, as machines that test are busy.
const patience = 20 * time.Second

// Hub stands for live.Hub: it knows keys, lets a later publisher take over, and keeps everything that was published.
type Hub struct {
	mu      sync.Mutex // guards the following
	changed chan struct{}
	keys    map[string]string
	all     []*Publication
	refused int
}

// NewHub returns a Hub that takes each key for the stream of the same name.
func NewHub(keys ...string) *Hub {
	h := &Hub{changed: make(chan struct{}), keys: make(map[string]string)}
	for _, k := range keys {
		h.keys[k] = "stream-of-" + k
	}
	return h
}

// Admit lets a publisher in, or refuses the key.
func (h *Hub) Admit(ctx context.Context, key string, peer live.Peer) (*Publication, error) {
	if err := ctx.Err(); err != nil {
		return nil, live.Refuse(live.ReasonAuthUnavailable, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.notify()
	stream, ok := h.keys[key]
	if !ok {
		h.refused++
		return nil, live.Refuse(live.ReasonStreamKeyInvalid, nil)
	}
	for _, p := range h.all {
		if p.stream == stream {
			p.end(live.Refuse(live.ReasonReplaced, nil))
		}
	}
	p := &Publication{hub: h, stream: stream, Peer: peer, done: make(chan struct{})}
	h.all = append(h.all, p)
	return p, nil
}

// notify wakes who awaits; mu is held.
func (h *Hub) notify() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// Await waits until cond holds; it is called with the lock of everything that the hub and its publications know.
func (h *Hub) Await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		h.mu.Lock()
		ok, changed := cond(), h.changed
		h.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			t.Fatalf("waited %v in vain until %s", patience, what)
		}
	}
}

// Next waits for the n-th publication, from 0.
func (h *Hub) Next(t testing.TB, n int) *Publication {
	t.Helper()
	h.Await(t, "a publisher is let in", func() bool { return len(h.all) > n })
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all[n]
}

// Refused is how many publishers were not let in.
func (h *Hub) Refused() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refused
}

// Publication is one publisher as the hub sees it. It stands for live.Publisher and for ingest.Feed.
type Publication struct {
	hub    *Hub
	stream string
	Peer   live.Peer
	done   chan struct{}

	// guarded by hub.mu
	err     error
	closed  live.Reason
	flushed bool
	tracks  [media.Kinds][]*media.Track
	none    [media.Kinds]bool
	hint    media.Rational
	units   []media.AccessUnit
	network live.Network
}

// end closes p from the hub's side; hub.mu is held.
func (p *Publication) end(err error) {
	if p.err == nil {
		p.err = err
		close(p.done)
	}
}

// End closes p from the hub's side.
func (p *Publication) End(err error) {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	p.end(err)
}

// Done is closed when p is over.
func (p *Publication) Done() <-chan struct{} { return p.done }

// Err is why p is over.
func (p *Publication) Err() error {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	return p.err
}

// Stream is the name published under.
func (p *Publication) Stream() string { return p.stream }

// Session is nil: there is none behind this hub.
func (p *Publication) Session() *live.Session { return nil }

// Close ends p from the publisher's side.
func (p *Publication) Close(r live.Reason) {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	defer p.hub.notify()
	if p.closed == "" {
		p.closed = r
	}
	p.end(live.Refuse(r, nil))
}

// Track takes a decoder configuration.
func (p *Publication) Track(kind media.Kind, t *media.Track) error {
	return p.do(func() { p.tracks[kind] = append(p.tracks[kind], t) })
}

// NoTrack notes that there is no such track.
func (p *Publication) NoTrack(kind media.Kind) { _ = p.do(func() { p.none[kind] = true }) }

// Hint notes a frame rate.
func (p *Publication) Hint(fps media.Rational) { _ = p.do(func() { p.hint = fps }) }

// Network notes what is told of the way that packets come.
func (p *Publication) Network(n live.Network) { _ = p.do(func() { p.network = n }) }

// AwaitNetwork waits until what is told of the way that packets come is as ok wants it.
func (p *Publication) AwaitNetwork(t testing.TB, ok func(live.Network) bool) {
	t.Helper()
	p.hub.Await(t, "the network is told of", func() bool { return ok(p.network) })
}

// Write takes an access unit.
func (p *Publication) Write(au media.AccessUnit) error {
	return p.do(func() { p.units = append(p.units, au) })
}

// Flush notes the end of input.
func (p *Publication) Flush() { _ = p.do(func() { p.flushed = true }) }

func (p *Publication) do(f func()) error {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	f()
	p.hub.notify()
	return p.err
}

// Tracks are the configurations of a kind, in the order they came.
func (p *Publication) Tracks(kind media.Kind) []*media.Track {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	return slices.Clone(p.tracks[kind])
}

// Hinted is the frame rate that was told.
func (p *Publication) Hinted() media.Rational {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	return p.hint
}

// Without reports whether it was told that there is no track of a kind.
func (p *Publication) Without(kind media.Kind) bool {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	return p.none[kind]
}

// Units are the access units of a kind so far.
func (p *Publication) Units(kind media.Kind) []media.AccessUnit {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	return p.unitsOf(kind)
}

func (p *Publication) unitsOf(kind media.Kind) (out []media.AccessUnit) {
	for _, au := range p.units {
		if au.Kind == kind {
			out = append(out, au)
		}
	}
	return out
}

// AwaitUnits waits for n access units of a kind.
func (p *Publication) AwaitUnits(t testing.TB, kind media.Kind, n int) {
	t.Helper()
	p.hub.Await(t, "media arrives", func() bool { return len(p.unitsOf(kind)) >= n })
}

// AwaitTracks waits for the n-th configuration of a kind.
func (p *Publication) AwaitTracks(t testing.TB, kind media.Kind, n int) {
	t.Helper()
	p.hub.Await(t, "a track arrives", func() bool { return len(p.tracks[kind]) >= n })
}

// AwaitClosed waits until the front end has closed p after a flush, and returns its reason.
func (p *Publication) AwaitClosed(t testing.TB) live.Reason {
	t.Helper()
	r := p.AwaitEnd(t)
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	if !p.flushed {
		t.Error("closed without a flush")
	}
	return r
}

// AwaitEnd waits until the front end has closed p, and returns its reason.
func (p *Publication) AwaitEnd(t testing.TB) live.Reason {
	t.Helper()
	p.hub.Await(t, "the publication is closed", func() bool { return p.closed != "" })
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	return p.closed
}
