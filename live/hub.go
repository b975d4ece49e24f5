package live

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// Hub holds the streams of this process.
//
// It starts one goroutine a session, for Options.Run, and waits for all of them in Shutdown; resume windows and
// first-frame timeouts are timers, stopped when their stream is done with them.
type Hub struct {
	o       Options
	birth   time.Time
	notices notices

	mu        sync.Mutex // guards what follows; never held across anything slow
	streams   map[string]*stream
	pipelines map[*Session]struct{} // those whose pipeline runs
	closed    bool
}

// NewHub returns a Hub; it starts nothing.
func NewHub(o Options) *Hub {
	o = o.withDefaults()
	return &Hub{o: o, birth: o.Now(), streams: map[string]*stream{}, pipelines: map[*Session]struct{}{}}
}

// tick is how often Run looks after idle streams and alerts.
const tick = time.Second

// shutdownGrace is how long Run waits for the pipelines once its ctx has ended: drainLimit, and time to stop after it.
const shutdownGrace = drainLimit + 3*time.Second

// Run forgets idle streams and logs alerts until ctx ends; then it shuts the hub down, if Shutdown was not called
// before, and waits for the pipelines for a few seconds.
func (h *Hub) Run(ctx context.Context) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			h.look()
		case <-ctx.Done():
			grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
			defer cancel()
			return h.Shutdown(grace)
		}
	}
}

// Publish lets a peer in, or says why not by an *Error. It blocks as long as the Authorizer does.
func (h *Hub) Publish(ctx context.Context, key string, peer Peer) (*Publisher, error) {
	grant, err := h.authorize(ctx, key, peer)
	if err != nil {
		h.refused(grant, peer, ReasonOf(err))
		return nil, err
	}
	return h.Admit(grant, peer)
}

// Admit lets in a peer that needs no key, because it is ourselves who went to get what it sends. What Publish says holds.
func (h *Hub) Admit(grant Grant, peer Peer) (*Publisher, error) {
	for {
		st, err := h.stream(grant.Stream)
		if err != nil {
			h.refused(grant, peer, ReasonOf(err))
			return nil, err
		}
		p, retry, err := st.admit(grant, peer)
		if retry {
			continue
		}
		if err != nil {
			h.refused(grant, peer, ReasonOf(err))
		}
		return p, err
	}
}

func (h *Hub) authorize(ctx context.Context, key string, peer Peer) (Grant, error) {
	grant, err := h.o.Authorizer.AuthorizePublish(ctx, key, peer)
	var e *Error
	switch {
	case errors.As(err, &e):
		return grant, err
	case err != nil:
		return Grant{}, Refuse(ReasonAuthUnavailable, err)
	case grant.Stream == "":
		return Grant{}, Refuse(ReasonAuthUnavailable, errors.New("live: a grant without a stream"))
	}
	return grant, nil
}

func (h *Hub) refused(g Grant, peer Peer, r Reason) {
	h.queueNotice(Notice{Kind: PublishRefused, At: h.o.Now(), Stream: g.Stream, StreamID: g.StreamID, KeyID: g.KeyID, Peer: peer, Reason: r})
	h.deliver()
}

// stream finds or makes the stream of that name.
func (h *Hub) stream(name string) (*stream, error) {
	if st, err := h.find(name); st != nil || err != nil {
		return st, err
	}
	last := h.o.LastEpoch(name) // may be slow: no lock is held
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, Refuse(ReasonShuttingDown, nil)
	}
	st := h.streams[name]
	if st == nil {
		st = &stream{hub: h, name: name, lastEpoch: last, idleSince: h.o.Now()}
		h.streams[name] = st
	}
	return st, nil
}

func (h *Hub) find(name string) (*stream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, Refuse(ReasonShuttingDown, nil)
	}
	return h.streams[name], nil
}

// Restore takes up a session that was not over when the process ended, as if its publisher had just dropped: what is
// left of its resume window runs. It is called before listeners open. A session whose window has passed begins and ends
// at once, so that its pipeline can finish what is stored.
func (h *Hub) Restore(r Restored) (*Session, error) {
	if r.SessionID == "" || r.Grant.Stream == "" || r.Start.IsZero() {
		return nil, errors.New("live: a restored session needs its id, stream and start")
	}
	st, err := h.stream(r.Grant.Stream)
	if err != nil {
		return nil, err
	}
	return st.restore(r)
}

// End ends what is on air on a stream at once, by r; the publisher may come back unless its key is refused.
func (h *Hub) End(name string, r Reason) error { return h.Cut(name, r, "") }

// Cut is End with a sentence for the stream's owner that says more than r does.
func (h *Hub) Cut(name string, r Reason, detail string) error {
	h.mu.Lock()
	st := h.streams[name]
	h.mu.Unlock()
	if st == nil {
		return Refuse(ReasonNotLive, nil)
	}
	return st.kick(r, detail)
}

// Yield ends what is on air on a stream, as another node of the site has it from now on: the publisher is told that it was replaced, and its
// session has stopped.
func (h *Hub) Yield(name string) error {
	h.mu.Lock()
	st := h.streams[name]
	h.mu.Unlock()
	if st == nil {
		return Refuse(ReasonNotLive, nil)
	}
	return st.yield()
}

// Lookup returns the status of a stream, false if there is nothing to say about it.
func (h *Hub) Lookup(name string) (Status, bool) {
	h.mu.Lock()
	st := h.streams[name]
	h.mu.Unlock()
	if st == nil {
		return Status{}, false
	}
	return st.status(), true
}

// Session returns the session that is on air on a stream, or held for its publisher's return.
func (h *Hub) Session(stream string) (*Session, bool) {
	h.mu.Lock()
	st := h.streams[stream]
	h.mu.Unlock()
	if st == nil {
		return nil, false
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.session, st.session != nil
}

// Live returns the status of every stream that is not idle, by name.
func (h *Hub) Live() []Status {
	var out []Status
	for _, st := range h.all() {
		if s := st.status(); s.State != StateIdle {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b Status) int { return strings.Compare(a.Stream, b.Stream) })
	return out
}

func (h *Hub) all() []*stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*stream, 0, len(h.streams))
	for _, st := range h.streams {
		out = append(out, st)
	}
	return out
}

// look forgets streams that were idle for long and logs the alerts of the others.
func (h *Hub) look() {
	for _, st := range h.all() {
		if st.forget() {
			h.mu.Lock()
			delete(h.streams, st.name)
			h.mu.Unlock()
			continue
		}
		st.logAlerts()
	}
	h.deliver()
}

// clock is the time since the hub's birth plus one, so that 0 can mean never.
func (h *Hub) clock(t time.Time) time.Duration { return t.Sub(h.birth) + 1 }
