package rtsp

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"mediad/ingest"
	"mediad/live"
)

const (
	minAcceptDelay = 5 * time.Millisecond
	maxAcceptDelay = time.Second
)

// listener gives gortsplib connections that are counted and have deadlines, and no error but the last.
type listener struct {
	net.Listener
	s     *Server
	flood *ingest.Flood

	once   sync.Once
	closed chan struct{}

	mu   sync.Mutex // guards the following
	last error
}

// Accept is called from one goroutine.
func (l *listener) Accept() (net.Conn, error) {
	delay := minAcceptDelay
	for {
		nc, err := l.Listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			l.fail(err)
			return nil, err
		case err != nil:
			// Mostly no file descriptors: others must go before it gets better.
			l.s.o.Log.Error("rtsp: accept", "error", err, "retry_in", delay)
			select {
			case <-time.After(delay):
			case <-l.closed:
			}
			delay = min(2*delay, maxAcceptDelay)
			continue
		}
		delay = minAcceptDelay
		if _, ok := nc.RemoteAddr().(*net.TCPAddr); !ok { // gortsplib takes no other
			_ = nc.Close()
			continue
		}
		addr := prefixOf(nc.RemoteAddr())
		if !l.s.conns.enter(addr) {
			l.flood.Add(string(live.ReasonOverloaded))
			_ = nc.Close()
			continue
		}
		keepAlive(nc)
		return newConn(nc, l.s.o.IdleTimeout, func() { l.s.conns.leave(addr) }), nil
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

func (l *listener) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = err
}

func (l *listener) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// conn is a connection that gives up when it leads to nothing. gortsplib sets no deadline that could be relied on: it waits
// for a request for ever.
type conn struct {
	net.Conn
	idle  time.Duration
	leave func() // called once, when it closes
	once  sync.Once

	busy  atomic.Int32 // sessions that play or publish
	since atomic.Int64 // unix nanoseconds of the newest request, or of the end of what was busy

	// answer is called with the next response; set while a request is handled, and called when that is done.
	answer func(*base.Response)
	// foreign says that the request is for a session of another connection, or of none. It belongs to the connection's
	// goroutine.
	foreign bool
}

func newConn(nc net.Conn, idle time.Duration, leave func()) *conn {
	c := &conn{Conn: nc, idle: idle, leave: leave}
	c.touch()
	return c
}

func (c *conn) touch() { c.since.Store(time.Now().UnixNano()) }

// begin and end enclose what keeps a connection busy, for as long as which its silence is somebody else's to judge.
func (c *conn) begin() { c.busy.Add(1) }

func (c *conn) end() {
	c.touch()
	c.busy.Add(-1)
}

func (c *conn) Read(b []byte) (int, error) {
	var deadline time.Time
	if c.busy.Load() == 0 {
		deadline = time.Unix(0, c.since.Load()).Add(c.idle)
	}
	if err := c.Conn.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// SetReadDeadline does nothing: Read knows better.
func (c *conn) SetReadDeadline(time.Time) error { return nil }

func (c *conn) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}

// prefixOf is what one peer is counted by: an IPv4 address, or the /64 that an IPv6 host has at its disposal.
func prefixOf(a net.Addr) netip.Prefix {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{}
	}
	ip, bits := ap.Addr().Unmap().WithZone(""), 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits)
	return p
}

// keepAlive lets the kernel find peers that are gone without a word.
func keepAlive(nc net.Conn) {
	if t, ok := nc.(*net.TCPConn); ok {
		_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3})
	}
}
