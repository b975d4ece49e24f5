package rtsp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"mediad/ingest"
	"mediad/live"
	"mediad/media"
)

// Publisher is the hub's side of a publication; *live.Publisher is one. Close may be called after Done.
type Publisher interface {
	Done() <-chan struct{}
	Err() error
	Close(live.Reason)
	Stream() string
	Session() *live.Session
}

// Feed takes what is published; *ingest.Feed is one. An error of Track or Write ends the publication for its reason.
type Feed interface {
	Track(kind media.Kind, t *media.Track) error
	NoTrack(kind media.Kind)
	Write(au media.AccessUnit) error
	Flush()
}

// Request is a publisher who asks to be let in.
type Request struct {
	Key    string     // never to be logged
	Params url.Values // what the encoder appended to the URL behind a question mark
	Peer   live.Peer
}

// PlayRequest is a player who asks for a stream.
type PlayRequest struct {
	Stream string
	Token  string // never to be logged; empty if there is none
	Peer   live.Peer
}

// Player answers those who ask to play.
type Player interface {
	// Open gives a player its hold on a stream, made for sessions of srv. An error carries the reason to be told, or
	// ReasonNotLive. It waits for nothing but the right to play, and not longer than ctx.
	Open(ctx context.Context, srv *gortsplib.Server, r PlayRequest) (Play, error)
}

// Play is one player's hold on a stream. Its methods are called in order.
type Play interface {
	// Stream is what the player is described and set up with.
	Stream() *gortsplib.ServerStream
	// Begin is called when the player's PLAY is about to be granted. What is written to ss reaches it first.
	Begin(ss *gortsplib.ServerSession)
	// Answered is called after that, before the response is sent: from now on everything that is written to Stream
	// reaches the player. It may change the response.
	Answered(res *base.Response)
	// Close lets go. It may be called without any of the others.
	Close()
}

// Options configures a Server. The zero value of a field means its default.
type Options struct {
	// Admit asks whether a publisher may come in, and gives where its media goes. Required. It may take a while,
	// but not longer than ctx.
	Admit func(ctx context.Context, r Request) (Publisher, Feed, error)
	// Player answers those who ask to play; nil: nobody may.
	Player Player
	// Transcoder takes sound that is carried no further as it is, such as G.711; nil: such sound is left out.
	Transcoder Transcoder

	// UDPAddr is the address of the UDP port for RTP, which must be even; RTCP has the port behind it. Empty: all
	// media goes through the connections.
	UDPAddr string

	// IdleTimeout is how long a connection may do nothing that leads to play or publish. Default 10 s. Long: idle sockets
	// gather.
	IdleTimeout time.Duration
	// FirstFrameTimeout is how long a publisher may send no picture and no sound. Default 10 s.
	FirstFrameTimeout time.Duration
	// ReadTimeout is the silence that counts as gone. Default 5 s. Short: an encoder on a bad line is lost for a
	// hiccup. Long: viewers wait for somebody who will not come back.
	ReadTimeout time.Duration
	// WriteTimeout is how long one write may block. Default 5 s: a player that takes nothing for so long is gone.
	WriteTimeout time.Duration

	// MaxFrame is the largest picture or frame of sound, in bytes. Default and most: 8 MiB, all that is put together of
	// RTP packets.
	MaxFrame int
	// MaxSDP is the longest description that is read, in bytes. Default 32 KiB; the request's own limit is 128 KiB.
	MaxSDP int
	// WriteQueue is how many packets wait for one player at most, a power of two; one that is further behind is dropped.
	// Default 2048, 3 s of 8 Mbit/s and some 3 MiB.
	WriteQueue int
	// MaxConns is how many connections there may be at once, and how many sessions, which by UDP can outlive theirs.
	// Default 1000.
	MaxConns int
	// MaxConnsPerAddr is the same for one IPv4 address or IPv6 /64. Default 100: studios sit behind one address.
	MaxConnsPerAddr int

	// Log; nil: nothing is logged.
	Log *slog.Logger
	// Now is the clock, monotonic as time.Now is, which is the default.
	Now func() time.Time
}

const (
	maxFrame = 8 << 20
	maxSDP   = 128 << 10
)

func (o Options) withDefaults() Options {
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
	duration(&o.IdleTimeout, 10*time.Second)
	duration(&o.FirstFrameTimeout, 10*time.Second)
	duration(&o.ReadTimeout, 5*time.Second)
	duration(&o.WriteTimeout, 5*time.Second)
	number(&o.MaxFrame, maxFrame)
	o.MaxFrame = min(o.MaxFrame, maxFrame)
	number(&o.MaxSDP, 32<<10)
	o.MaxSDP = min(o.MaxSDP, maxSDP)
	number(&o.WriteQueue, 2048)
	number(&o.MaxConns, 1000)
	number(&o.MaxConnsPerAddr, 100)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Server takes publishers in and lets players play by RTSP.
type Server struct {
	o        Options
	conns    tally
	sessions tally
}

// New returns a Server; it starts nothing.
func New(o Options) (*Server, error) {
	if o.Admit == nil {
		return nil, errors.New("rtsp: Options.Admit is missing")
	}
	o = o.withDefaults()
	if o.WriteQueue&(o.WriteQueue-1) != 0 {
		return nil, fmt.Errorf("rtsp: Options.WriteQueue is %d, not a power of two", o.WriteQueue)
	}
	if o.UDPAddr != "" {
		if _, err := rtcpAddr(o.UDPAddr); err != nil {
			return nil, err
		}
	}
	t := func() tally {
		return tally{max: o.MaxConns, maxPerAddr: o.MaxConnsPerAddr, byAddr: make(map[netip.Prefix]int)}
	}
	return &Server{o: o, conns: t(), sessions: t()}, nil
}

// rtcpAddr is the address behind that of RTP.
func rtcpAddr(rtp string) (string, error) {
	host, port, err := net.SplitHostPort(rtp)
	if err != nil {
		return "", fmt.Errorf("rtsp: UDP address: %w", err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || n%2 != 0 {
		return "", fmt.Errorf("rtsp: UDP port %q is not an even number up to 65534", port)
	}
	return net.JoinHostPort(host, strconv.FormatUint(n+1, 10)), nil
}

// Serve takes connections from l until ctx ends, which is no error, or l fails. It then closes l, drops the publishers
// who came by it because the server is shutting down, and returns when everything has ended. UDP serves one listener at
// a time.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h := &handler{s: s, ctx: func() context.Context { return ctx }, publications: make(map[*publication]struct{})}
	guarded := &listener{Listener: l, s: s, closed: make(chan struct{}),
		flood: ingest.NewFlood(s.o.Log, s.o.Now, "rtsp: connections refused")}
	h.lib = &gortsplib.Server{
		Handler:        h,
		RTSPAddress:    l.Addr().String(),
		Listen:         func(string, string) (net.Listener, error) { return guarded, nil },
		UDPRTPAddress:  s.o.UDPAddr,
		ReadTimeout:    s.o.ReadTimeout + time.Second, // ours comes first, and knows the reason
		WriteTimeout:   s.o.WriteTimeout,
		WriteQueueSize: s.o.WriteQueue,
	}
	if s.o.UDPAddr != "" {
		h.lib.UDPRTCPAddress, _ = rtcpAddr(s.o.UDPAddr) // checked by New
	}
	if err := h.lib.Start(); err != nil {
		_ = l.Close()
		return fmt.Errorf("rtsp: %w", err)
	}
	failed := make(chan struct{})
	go func() {
		defer close(failed)
		_ = h.lib.Wait() // what it returns is guarded.err
	}()
	select {
	case <-ctx.Done():
	case <-failed:
	}
	stopped := ctx.Err() != nil
	cancel()
	h.dismiss()
	h.lib.Close()
	<-failed
	if err := guarded.err(); !stopped && err != nil {
		return fmt.Errorf("rtsp: %w", err)
	}
	return nil
}

// Connections is how many there are now.
func (s *Server) Connections() int { return s.conns.count() }

// tally counts what there is, in all and by address.
type tally struct {
	max, maxPerAddr int

	mu     sync.Mutex // guards the following
	total  int
	byAddr map[netip.Prefix]int
}

func (t *tally) enter(addr netip.Prefix) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.total >= t.max || t.byAddr[addr] >= t.maxPerAddr {
		return false
	}
	t.total++
	t.byAddr[addr]++
	return true
}

func (t *tally) leave(addr netip.Prefix) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total--
	if t.byAddr[addr]--; t.byAddr[addr] == 0 {
		delete(t.byAddr, addr)
	}
}

func (t *tally) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total
}
