package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"mediad/live"
	"mediad/media"
)

// Options configure Relays. The zero value of a field means its default.
type Options struct {
	// Routes are what is forwarded: STREAM=URL. A stream may stand in several.
	Routes []string
	// OwnPorts are the ports that this server takes publishers on. A target that is this machine and has one of them is refused, as a stream
	// that is forwarded to itself takes itself over, and two that are forwarded to each other never end.
	OwnPorts []int
	// Allow says why an address is not called for a target that SetTargets added; nil: every address is called. What the operator writes into Routes
	// may lead anywhere.
	Allow func(to netip.AddrPort) error
	// Convert gives a subscription in which Opus has become AAC, for targets that do not take it. Nil: it is left out there.
	Convert func(*live.Subscriber) Subscription

	// DialTimeout bounds everything until the target has accepted. Default 10 s.
	DialTimeout time.Duration
	// WriteTimeout is how long a target may take nothing. Default 5 s: by then its queue has been emptied twice.
	WriteTimeout time.Duration
	// RetryMin and RetryMax are what is waited between attempts at first and at most; it doubles in between, and what is waited really is a
	// random half to whole of it. Default 1 s and 1 min. Short: a server that is down is hammered. Long: one that is back is found late.
	RetryMin, RetryMax time.Duration

	// Log; nil: nothing is logged.
	Log *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	duration := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	duration(&o.DialTimeout, 10*time.Second)
	duration(&o.WriteTimeout, 5*time.Second)
	duration(&o.RetryMin, time.Second)
	duration(&o.RetryMax, time.Minute)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Subscription is what a relay reads; *live.Subscriber is one.
type Subscription interface {
	Next(ctx context.Context) (live.Event, error)
	Close()
}

// Relays forward streams.
type Relays struct {
	o        Options
	byStream map[string][]*relay
	calls    sync.WaitGroup // by SRT, those that are given up among them

	mu       sync.Mutex            // guards followed, and what is in it
	followed map[string]*following // by stream
}

// New reads the routes; it starts nothing. What it has to say against one has no secret in it.
func New(o Options) (*Relays, error) {
	r := &Relays{o: o.withDefaults(), byStream: map[string][]*relay{}, followed: map[string]*following{}}
	for _, route := range o.Routes {
		stream, address, ok := strings.Cut(route, "=")
		if !ok || stream == "" {
			return nil, errors.New("relay: a route is of the form STREAM=URL")
		}
		one, err := r.relay(stream, address)
		if err != nil {
			return nil, fmt.Errorf("relay: %s: %w", stream, err)
		}
		r.byStream[stream] = append(r.byStream[stream], one)
	}
	return r, nil
}

func (r *Relays) relay(stream, address string) (*relay, error) {
	t, err := parseTarget(address)
	if err != nil {
		return nil, err
	}
	one := &relay{o: &r.o, calls: &r.calls, target: t, log: r.o.Log.With("stream", stream, "target", t.shown)}
	one.status = Status{Stream: stream, Target: t.shown, State: StateIdle}
	return one, nil
}

// farewell is how long a target has to be told that the session is over.
const farewell = time.Second

// Follow forwards a session to the targets of its stream, until stop is called, which the caller does at the session's end. stop waits
// for everything that Follow began, about a second at most. A stream has one session at a time that is followed.
func (r *Relays) Follow(ctx context.Context, s *live.Session) (stop func()) {
	hard, cut := context.WithCancel(ctx)
	soft, leave := context.WithCancel(hard)
	var running sync.WaitGroup
	for _, one := range r.byStream[s.Stream()] {
		running.Go(func() { one.run(hard, soft, hard, s) })
	}
	f := &following{hard: hard, soft: soft, session: s, running: &running, added: map[string]*added{}}
	r.mu.Lock()
	r.followed[s.Stream()] = f
	r.mu.Unlock()
	return func() {
		r.mu.Lock()
		if r.followed[s.Stream()] == f {
			delete(r.followed, s.Stream())
		}
		f.over = true
		r.mu.Unlock()
		leave()
		late := time.AfterFunc(farewell, cut)
		running.Wait()
		late.Stop()
		cut()
	}
}

// Wait waits for calls by SRT that were given up, some four seconds at most, once everything that was followed is stopped.
func (r *Relays) Wait() { r.calls.Wait() }

// Status tells about every target of a stream, in the order of the routes, and behind them those that were added.
func (r *Relays) Status(stream string) []Status {
	var out []Status
	for _, one := range r.byStream[stream] {
		out = append(out, one.Status())
	}
	return append(out, r.added(stream)...)
}

// All tells about every target there is.
func (r *Relays) All() []Status {
	var out []Status
	for _, stream := range r.streams() {
		out = append(out, r.Status(stream)...)
	}
	return out
}

// relay is one target of one stream.
type relay struct {
	o      *Options
	calls  *sync.WaitGroup
	target target
	log    *slog.Logger
	// allow says why an address is not called; nil: each may be.
	allow func(to netip.AddrPort) error

	mu     sync.Mutex // guards what follows
	status Status
	before uint64 // Status.Drops of the subscriptions before
	sub    *live.Subscriber
}

// Status is how it stands now.
func (r *relay) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.status
	if r.sub != nil {
		s.Drops = r.before + r.sub.Drops().Total()
	}
	return s
}

func (r *relay) enter(state State, change func(*Status)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.State, r.status.Since, r.status.RetryAt = state, r.o.Now(), time.Time{}
	if change != nil {
		change(&r.status)
	}
}

func (r *relay) subscribe(s *live.Session) *live.Subscriber {
	sub := s.Subscribe(live.PlayerPolicy)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sub = sub
	return sub
}

func (r *relay) unsubscribe() {
	r.mu.Lock()
	sub := r.sub
	r.sub = nil
	if sub != nil {
		r.before += sub.Drops().Total()
		r.status.Drops = r.before
	}
	r.mu.Unlock()
	if sub != nil {
		sub.Close()
	}
}

func (r *relay) sent(n int) {
	r.mu.Lock()
	r.status.Bytes += uint64(n)
	r.mu.Unlock()
}

// refusedError is about an epoch that the target does not take; it is not asked again with this one.
type refusedError struct {
	why   string
	epoch int64
}

func (e *refusedError) Error() string { return e.why }

var (
	errSelf    = errors.New("the target is this server itself")
	errTooSlow = errors.New("the target takes less than the stream has")
	errStalled = errors.New("the target takes nothing any more")
)

// settled is how long a target must have taken media for the next attempt to follow soon.
const settled = 10 * time.Second

// run forwards one session. soft ends when the session is over, which what is connected hears from the session itself; hard when its time
// to say so is over too. stay ends when the target was taken away; it is told goodbye then.
func (r *relay) run(hard, soft, stay context.Context, s *live.Session) {
	r.mu.Lock()
	r.status = Status{ID: r.status.ID, Stream: r.status.Stream, Target: r.status.Target}
	r.before = 0
	r.mu.Unlock()
	defer r.enter(StateIdle, nil)
	wait, refused, said := r.o.RetryMin, int64(0), ""
	for {
		if !r.awaitEpoch(soft, s, refused) {
			return
		}
		r.enter(StateConnecting, func(st *Status) { st.Attempts++ })
		lasted, err := r.attempt(hard, soft, stay, s)
		if soft.Err() != nil || err == nil {
			return
		}
		why := r.target.redact(plainly(err))
		var no *refusedError
		if errors.As(err, &no) {
			refused = no.epoch
			r.log.Warn("relay: the target does not take the stream", "error", why)
			r.enter(StateWaiting, func(st *Status) { st.Error = why })
			continue
		}
		if lasted > settled {
			wait = r.o.RetryMin
		}
		level := slog.LevelWarn
		if lasted == 0 && why == said {
			level = slog.LevelDebug // a target that is gone for a night needs one line, and health has the rest
		}
		said = why
		pause := wait/2 + rand.N(wait/2+1)
		wait = min(2*wait, r.o.RetryMax)
		r.log.Log(hard, level, "relay: no connection", "error", why, "retry_in", pause.Round(time.Millisecond))
		r.enter(StateWaiting, func(st *Status) { st.Error, st.RetryAt = why, r.o.Now().Add(pause) })
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-soft.Done():
			t.Stop()
			return
		}
	}
}

// plainly is an error without our side's address, which is another one each time.
func plainly(err error) string {
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Source != nil {
		return strings.Replace(err.Error(), op.Error(), op.Err.Error(), 1)
	}
	return err.Error()
}

// awaitEpoch waits until the session has an epoch that is on air and was not refused; false if there will be none.
func (r *relay) awaitEpoch(ctx context.Context, s *live.Session, refused int64) bool {
	for {
		sub := s.Subscribe(live.PlayerPolicy)
		ok, err := next(ctx, sub, refused)
		sub.Close()
		if live.ReasonOf(err) != live.ReasonTooSlow {
			return ok
		}
	}
}

func next(ctx context.Context, sub *live.Subscriber, refused int64) (bool, error) {
	sub.Want([media.Kinds]int{1 << 10, 1 << 10}) // units are of no interest
	for {
		ev, err := sub.Next(ctx)
		if err != nil || ev.Kind == live.EventEnd {
			return false, err
		}
		if ev.Kind == live.EventEpoch && ev.Epoch.ID != refused {
			return true, nil
		}
	}
}

// link is a connection to a target. An error of begin or write ends it.
type link interface {
	// begin tells of an epoch; note is what of it the target does not get.
	begin(e *live.Epoch) (note string, err error)
	write(au *media.AccessUnit) error
	takesOpus() bool
	// close ends the connection; goodbye says that the target is told so.
	close(goodbye bool)
}

// attempt calls the target and forwards until one side ends it, which lasted so long. nil: the session is over, or the target was taken away.
func (r *relay) attempt(hard, soft, stay context.Context, s *live.Session) (lasted time.Duration, err error) {
	ctx, fail := context.WithCancelCause(hard)
	defer fail(nil)
	l, err := r.dial(ctx, soft, fail)
	if err != nil {
		return 0, err
	}
	began := r.o.Now()
	err = r.guard(func() error { return r.forward(ctx, stay, s, l) })
	if cause := context.Cause(ctx); cause != nil && err != nil {
		err = cause // what the target said tells more than that it cannot be written to
	}
	l.close(err == nil)
	return r.o.Now().Sub(began), err
}

// guard makes an error of a panic, which costs one connection then, and not the server.
func (r *relay) guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			r.log.Error("relay: panic", "panic", r.target.redact(fmt.Sprint(v)), "stack", string(debug.Stack()))
			err = errors.New("internal error")
		}
	}()
	return f()
}

// dial calls the target. fail is what tells that the target has left.
func (r *relay) dial(ctx, soft context.Context, fail context.CancelCauseFunc) (l link, err error) {
	dialing, cancel := context.WithTimeout(ctx, r.o.DialTimeout)
	defer cancel()
	defer context.AfterFunc(soft, cancel)()
	host, err := r.address(dialing)
	if err != nil {
		return nil, timedOut(dialing, err)
	}
	if Ourselves(dialing, host, r.o.OwnPorts) {
		return nil, errSelf
	}
	err = r.guard(func() (err error) {
		if r.target.scheme == "srt" {
			l, err = r.dialSRT(dialing, ctx, host, fail)
		} else {
			l, err = r.dialRTMP(dialing, ctx, host, fail)
		}
		return err
	})
	return l, err
}

// Ourselves reports whether addr, HOST:PORT, is this machine and one of ports, which this server listens on: then the way to it begins
// where it ends.
func Ourselves(ctx context.Context, addr string, ports []int) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	n, err := strconv.Atoi(port)
	if err != nil || !slices.Contains(ports, n) {
		return false
	}
	c, err := (&net.Dialer{}).DialContext(ctx, "udp", addr) // sends nothing
	if err != nil {
		return false
	}
	defer c.Close()
	here, okHere := c.LocalAddr().(*net.UDPAddr)
	there, okThere := c.RemoteAddr().(*net.UDPAddr)
	return okHere && okThere && (here.IP.Equal(there.IP) || there.IP.IsLoopback())
}

// forward sends what the session brings. nil: it is over, or the target was taken away.
func (r *relay) forward(ctx, stay context.Context, s *live.Session, l link) error {
	next, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(stay, cancel)()
	plain := r.subscribe(s)
	defer r.unsubscribe()
	var sub Subscription = plain
	if r.o.Convert != nil && !l.takesOpus() {
		sub = r.o.Convert(plain)
		defer sub.Close()
	}
	began := false
	for {
		ev, err := sub.Next(next)
		switch {
		case err != nil && stay.Err() != nil && ctx.Err() == nil:
			return nil
		case errors.Is(err, io.EOF), live.ReasonOf(err) == live.ReasonShuttingDown:
			return nil
		case live.ReasonOf(err) == live.ReasonTooSlow:
			return errTooSlow
		case err != nil:
			return err
		}
		switch ev.Kind {
		case live.EventEpoch:
			note, err := l.begin(ev.Epoch)
			if err != nil {
				return err
			}
			r.mu.Lock()
			r.status.Note = note
			r.mu.Unlock()
		case live.EventUnit:
			if err := l.write(&ev.Unit); err != nil {
				return err
			}
			if !began {
				began = true
				r.enter(StateLive, nil)
				r.log.Info("relay: forwarding")
			}
		default: // away: the next epoch is awaited; the end is told by Next
		}
	}
}
