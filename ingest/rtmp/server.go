package rtmp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"mediad/ingest"
	"mediad/live"
	"mediad/media"
	"mediad/media/chunk"
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
	Hint(fps media.Rational)
	Write(au media.AccessUnit) error
	Flush()
}

// Request is a publisher who asks to be let in.
type Request struct {
	Key    string     // never to be logged
	Params url.Values // what the encoder appended to key or URL behind a question mark
	Peer   live.Peer
}

// Options configures a Server. The zero value of a field means its default.
type Options struct {
	// Admit asks whether a publisher may come in, and gives where its media goes. Required. It may take a while,
	// but not longer than ctx.
	Admit func(ctx context.Context, r Request) (Publisher, Feed, error)

	// HandshakeTimeout bounds everything before publish. Default 10 s. Long: idle sockets gather.
	HandshakeTimeout time.Duration
	// FirstFrameTimeout is how long a publisher may send no picture and no sound. Default 10 s.
	FirstFrameTimeout time.Duration
	// ReadTimeout is the silence that counts as gone. Default 5 s. Short: an encoder on a bad line is lost for a
	// hiccup. Long: viewers wait for somebody who will not come back.
	ReadTimeout time.Duration
	// WriteTimeout is how long one write may block. Default 5 s. We write little; a peer that does not take it
	// is broken.
	WriteTimeout time.Duration

	// MaxFrame is the largest audio or video message, in bytes. Default and most: 16 MiB − 1, all that a message may
	// have.
	MaxFrame int
	// MaxConns is how many connections there may be at once. Default 1000. Each costs some 130 KiB before it
	// sends a picture.
	MaxConns int
	// MaxConnsPerAddr is the same for one IPv4 address or IPv6 /64. Default 100: studios sit behind one address.
	MaxConnsPerAddr int

	// Log; nil: nothing is logged.
	Log *slog.Logger
	// Now is the clock, monotonic as time.Now is, which is the default.
	Now func() time.Time
}

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
	duration(&o.HandshakeTimeout, 10*time.Second)
	duration(&o.FirstFrameTimeout, 10*time.Second)
	duration(&o.ReadTimeout, 5*time.Second)
	duration(&o.WriteTimeout, 5*time.Second)
	number(&o.MaxFrame, chunk.MaxSize)
	o.MaxFrame = min(o.MaxFrame, chunk.MaxSize)
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

// Server takes publishers in by RTMP, from any number of listeners; over TLS where the listener is one of crypto/tls.
type Server struct {
	o Options

	mu     sync.Mutex // guards the following
	total  int
	byAddr map[netip.Prefix]int
}

// New returns a Server; it starts nothing.
func New(o Options) (*Server, error) {
	if o.Admit == nil {
		return nil, errors.New("rtmp: Options.Admit is missing")
	}
	return &Server{o: o.withDefaults(), byAddr: make(map[netip.Prefix]int)}, nil
}

const (
	minAcceptDelay = 5 * time.Millisecond
	maxAcceptDelay = time.Second
)

// Serve takes connections from l until ctx ends, which is no error, or l fails. It then closes l, tells the publishers
// who came by it that the server is shutting down, and returns when the last of them is gone, about a second later.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var conns sync.WaitGroup
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer func() {
		cancel()
		stop()
		_ = l.Close()
		conns.Wait()
	}()
	flood := ingest.NewFlood(s.o.Log, s.o.Now, "rtmp: connections refused")
	delay := minAcceptDelay
	for {
		nc, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = nc.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("rtmp: %w", err)
		case err != nil:
			// Mostly no file descriptors: others must go before it gets better.
			s.o.Log.Error("rtmp: accept", "error", err, "retry_in", delay)
			if !sleep(ctx, delay) {
				return nil
			}
			delay = min(2*delay, maxAcceptDelay)
			continue
		}
		delay = minAcceptDelay
		addr := prefixOf(nc.RemoteAddr())
		if !s.enter(addr) {
			flood.Add(string(live.ReasonOverloaded))
			_ = nc.Close()
			continue
		}
		keepAlive(nc)
		c := newConn(&s.o, nc)
		conns.Go(func() {
			defer s.leave(addr)
			c.run(ctx)
		})
	}
}

// Connections is how many there are now.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
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

// sleep waits for d; false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
