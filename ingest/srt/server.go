package srt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	gosrt "github.com/datarhei/gosrt"

	"mediad/live"
)

// protocol is what peers are known by.
const protocol = "srt"

// Options configures a Server. The zero value of a field means its default.
type Options struct {
	// Admit asks whether a publisher may come in, and gives where its media goes. Required. It may take a while,
	// but not longer than ctx.
	Admit func(ctx context.Context, r Request) (Publisher, Feed, error)
	// Player answers those who ask to play; nil: nobody may.
	Player Player
	// Passphrase is what every caller encrypts with, 10 to 79 characters. Empty: nobody does.
	Passphrase string

	// FirstFrameTimeout is how long a publisher may send no picture and no sound. Default 10 s.
	FirstFrameTimeout time.Duration
	// ReadTimeout is the silence that counts as gone. Default 5 s. Short: an encoder on a bad line is lost for a
	// hiccup. Long: viewers wait for somebody who will not come back.
	ReadTimeout time.Duration
	// MaxFrame is the largest picture or frame of sound, in bytes. Default 16 MiB.
	MaxFrame int
	// MaxConns is how many callers there may be at once. Default 1000: each costs some 100 KiB and its latency of media.
	MaxConns int
	// MaxConnsPerAddr is the same for one IPv4 address or IPv6 /64. Default 100: studios sit behind one address.
	MaxConnsPerAddr int

	// Log; nil: nothing is logged.
	Log *slog.Logger
	// Now is the clock, monotonic as time.Now is, which is the default.
	Now func() time.Time
}

func (o *Options) withDefaults() {
	duration := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	number := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	duration(&o.FirstFrameTimeout, 10*time.Second)
	duration(&o.ReadTimeout, 5*time.Second)
	number(&o.MaxFrame, 16<<20)
	number(&o.MaxConns, 1000)
	number(&o.MaxConnsPerAddr, 100)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// ListenOptions are those of the socket. The zero value of a field means its default.
type ListenOptions struct {
	// Latency is how long lost packets may be asked for again; it is added to the delay. Default 120 ms; the caller may ask for
	// more. Four round trips bear most losses.
	Latency time.Duration
	// ReadTimeout is the silence of a peer that counts as gone. Default 5 s.
	ReadTimeout time.Duration
}

// Listen opens the UDP port. Nobody is answered before Serve.
func Listen(addr string, o ListenOptions) (gosrt.Listener, error) {
	c := gosrt.DefaultConfig()
	c.Latency, c.ReceiverLatency = 0, 120*time.Millisecond
	if o.Latency > 0 {
		c.ReceiverLatency = o.Latency
	}
	c.PeerLatency = c.ReceiverLatency
	c.PeerIdleTimeout = 5 * time.Second
	if o.ReadTimeout > 0 {
		c.PeerIdleTimeout = o.ReadTimeout
	}
	c.ListenerControl = roomy
	l, err := gosrt.Listen("srt", addr, c)
	if err != nil {
		return nil, fmt.Errorf("srt: %w", err)
	}
	return l, nil
}

// socketBuffer is what the socket is asked to hold each way, in bytes. All callers share it, and an encoder sends a key frame in one go: with
// Linux's default of 208 KiB a machine that is busy for the moment loses hundreds of packets of a single 4 Mbit/s stream, and what is lost
// again when it is asked for is lost for good. The system may give less (net.core.rmem_max), which is no error.
const socketBuffer = 4 << 20

// roomy is a net.ListenConfig's Control.
func roomy(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		for _, option := range []int{syscall.SO_RCVBUF, syscall.SO_SNDBUF} {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, socketBuffer) // it works with less
		}
	})
}

// Server takes callers in.
type Server struct {
	o Options

	mu     sync.Mutex // guards the following
	total  int
	byAddr map[netip.Prefix]int
	calls  sync.WaitGroup
}

// New returns a Server; it starts nothing.
func New(o Options) (*Server, error) {
	if o.Admit == nil {
		return nil, errors.New("srt: Options.Admit is required")
	}
	const shortest, longest = 10, 79
	if n := len(o.Passphrase); n > 0 && (n < shortest || n > longest) {
		return nil, fmt.Errorf("srt: a passphrase has %d to %d characters, not %d", shortest, longest, n)
	}
	o.withDefaults()
	return &Server{o: o, byAddr: map[netip.Prefix]int{}}, nil
}

// Connections is how many callers there are now.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// admitTimeout bounds what is asked before a caller has its answer: it gives up after three seconds.
const admitTimeout = 3 * time.Second

// Serve takes callers from l until ctx ends, which is no error, or l fails. It then closes l, drops the publishers who came
// by it because the server is shutting down, and returns when everything has ended.
func (s *Server) Serve(ctx context.Context, l gosrt.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.calls.Wait()
	defer l.Close()
	defer cancel()
	stop := context.AfterFunc(ctx, l.Close)
	defer stop()
	for {
		call, err := l.Accept2()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, gosrt.ErrListenerClosed) {
				return nil
			}
			return fmt.Errorf("srt: %w", err)
		}
		addr := prefixOf(call.RemoteAddr())
		if !s.enter(addr) {
			s.o.Log.Warn("srt: too many connections", "protocol", protocol, "peer", call.RemoteAddr().String())
			call.Reject(gosrt.REJX_OVERLOAD)
			continue
		}
		s.calls.Go(func() {
			defer s.leave(addr)
			s.answer(ctx, call)
		})
	}
}

func (s *Server) enter(addr netip.Prefix) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total >= s.o.MaxConns || s.byAddr[addr] >= s.o.MaxConnsPerAddr {
		return false
	}
	s.total++
	s.byAddr[addr]++
	return true
}

func (s *Server) leave(addr netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.byAddr[addr]--; s.byAddr[addr] == 0 {
		delete(s.byAddr, addr)
	}
}

func prefixOf(a net.Addr) netip.Prefix {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{}
	}
	addr, bits := ap.Addr().Unmap().WithZone(""), 64
	if addr.Is4() {
		bits = 32
	}
	p, _ := addr.Prefix(bits) // the lengths are those of the families
	return p
}

// answer carries one caller from its handshake to its end.
func (s *Server) answer(ctx context.Context, call gosrt.ConnRequest) {
	log := s.o.Log.With("protocol", protocol, "peer", call.RemoteAddr().String())
	defer func() {
		if r := recover(); r != nil {
			log.Error("srt: panic", "panic", r, "stack", string(debug.Stack()))
			call.Reject(gosrt.REJX_ISE) // does nothing where it was accepted
		}
	}()
	w, err := parseStreamID(call.StreamId())
	if err != nil {
		log.Warn("srt: refused", "reason", live.ReasonProtocolError, "error", err)
		call.Reject(gosrt.REJX_BAD_REQUEST)
		return
	}
	if code, why := s.decrypt(call); why != "" {
		log.Warn("srt: refused", "reason", why)
		call.Reject(code)
		return
	}
	peer := live.Peer{Protocol: protocol, Remote: call.RemoteAddr().String()}
	if w.publish {
		s.publish(ctx, call, Request{Key: w.name, Params: w.params, Peer: peer}, log)
		return
	}
	s.play(ctx, call, PlayRequest{Stream: w.name, Token: w.token, Peer: peer}, log)
}

// decrypt judges a caller by whether and with what it encrypts.
func (s *Server) decrypt(call gosrt.ConnRequest) (code gosrt.RejectionReason, why string) {
	switch {
	case s.o.Passphrase == "" && call.IsEncrypted():
		return gosrt.REJ_UNSECURE, "encrypted, and no passphrase is configured"
	case s.o.Passphrase != "" && !call.IsEncrypted():
		return gosrt.REJ_UNSECURE, "not encrypted"
	case s.o.Passphrase != "" && call.SetPassphrase(s.o.Passphrase) != nil:
		return gosrt.REJ_BADSECRET, "wrong passphrase"
	}
	return 0, ""
}

func refuse(call gosrt.ConnRequest, err error, log *slog.Logger) {
	log.Warn("srt: refused", live.LogArgs(err)...)
	call.Reject(rejection(live.ReasonOf(err)))
}

func (s *Server) play(ctx context.Context, call gosrt.ConnRequest, r PlayRequest, log *slog.Logger) {
	log = log.With("stream", r.Stream)
	if s.o.Player == nil {
		refuse(call, live.Refuse(live.ReasonNotLive, errors.New("srt: nobody may play")), log)
		return
	}
	asking, cancel := context.WithTimeout(ctx, admitTimeout)
	p, err := s.o.Player.Open(asking, r)
	cancel()
	if err != nil {
		refuse(call, err, log)
		return
	}
	defer p.Close()
	conn, err := call.Accept()
	if err != nil {
		log.Warn("srt: not accepted", "error", err)
		return
	}
	defer func() { _ = conn.Close() }() // it never fails
	playing, stop := context.WithCancel(ctx)
	defer stop()
	// A player says nothing but that it is there: reading tells when it no longer is.
	var gone sync.WaitGroup
	gone.Go(func() {
		defer stop()
		var b [64]byte
		for {
			if _, err := conn.Read(b[:]); err != nil {
				return
			}
		}
	})
	defer gone.Wait()
	defer func() { _ = conn.Close() }()
	log.Info("srt: playing")
	began := s.o.Now()
	err = p.Run(playing, conn)
	if playing.Err() != nil {
		err = nil // it left, or we do
	}
	log.Info("srt: player ended", withError(err, "duration", s.o.Now().Sub(began).Round(time.Millisecond).String())...)
}

// withError is what a line of log has, and the error if there is one.
func withError(err error, attrs ...any) []any {
	if err == nil {
		return attrs
	}
	return append(attrs, "error", err)
}
