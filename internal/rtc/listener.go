package rtc

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	minAcceptDelay = 5 * time.Millisecond
	maxAcceptDelay = time.Second

	// tcpWrite is how long a TCP peer may leave a packet with us.
	tcpWrite = 5 * time.Second
)

// listener limits how many TCP connections there are, goes on accepting after a fault that passes, and knows the connections,
// so that they can be ended in a phase in which pion would wait for them.
type listener struct {
	net.Listener
	log          *slog.Logger
	max, perAddr int
	stop         chan struct{}
	stopOnce     sync.Once

	mu     sync.Mutex // guards the following
	conns  map[*conn]struct{}
	byAddr map[netip.Prefix]int
	closed bool
}

func newListener(l net.Listener, o *Options) *listener {
	number := func(n, v int) int {
		if n <= 0 {
			return v
		}
		return n
	}
	return &listener{
		Listener: l, log: o.Log, max: number(o.MaxTCP, 2000), perAddr: number(o.MaxTCPPerAddr, 200),
		stop: make(chan struct{}), conns: make(map[*conn]struct{}), byAddr: make(map[netip.Prefix]int),
	}
}

// Accept returns the next connection that is within the limits. Others are closed.
func (l *listener) Accept() (net.Conn, error) {
	delay := minAcceptDelay
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil, err
			}
			// Mostly no file descriptors. An error would end pion's loop for good.
			l.log.Error("rtc: accept", "error", err, "retry_in", delay)
			select {
			case <-time.After(delay):
			case <-l.stop:
				return nil, net.ErrClosed
			}
			delay = min(2*delay, maxAcceptDelay)
			continue
		}
		delay = minAcceptDelay
		c := &conn{Conn: nc, l: l, addr: prefixOf(nc.RemoteAddr())}
		if !l.enter(c) {
			_ = nc.Close()
			continue
		}
		return c, nil
	}
}

// hangUp ends every connection. The listener itself is closed by pion.
func (l *listener) hangUp() {
	l.stopOnce.Do(func() { close(l.stop) })
	l.mu.Lock()
	l.closed = true
	open := make([]*conn, 0, len(l.conns))
	for c := range l.conns {
		open = append(open, c)
	}
	l.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
}

func (l *listener) enter(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.conns) >= l.max || l.byAddr[c.addr] >= l.perAddr {
		return false
	}
	l.conns[c] = struct{}{}
	l.byAddr[c.addr]++
	return true
}

func (l *listener) leave(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.conns[c]; !ok {
		return
	}
	delete(l.conns, c)
	if l.byAddr[c.addr]--; l.byAddr[c.addr] == 0 {
		delete(l.byAddr, c.addr)
	}
}

// conn is a TCP connection that gives its place back and blocks no writer for long.
type conn struct {
	net.Conn
	l    *listener
	addr netip.Prefix
}

func (c *conn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(tcpWrite)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(b)
	if err != nil {
		// Half a packet may be out: nothing that follows would be understood.
		_ = c.Close()
	}
	return n, err
}

func (c *conn) Close() error {
	c.l.leave(c)
	return c.Conn.Close()
}

func prefixOf(a net.Addr) netip.Prefix {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	return Prefix(t.AddrPort().Addr())
}

// Prefix is what counts as one peer: an IPv4 address, or an IPv6 /64, which is what one household has.
func Prefix(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap()
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits)
	return p
}
