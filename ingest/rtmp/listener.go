package rtmp

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// oneListener gives out one connection, and then waits to be closed.
type oneListener struct {
	conn   chan net.Conn
	addr   net.Addr
	closed chan struct{}
	once   sync.Once
}

func newOneListener(nc net.Conn) *oneListener {
	l := &oneListener{conn: make(chan net.Conn, 1), addr: nc.LocalAddr(), closed: make(chan struct{})}
	l.conn <- nc // the one there is
	return l
}

func (l *oneListener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conn:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *oneListener) Addr() net.Addr { return l.addr }

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

// keepAlive lets the kernel find peers that are gone without a word while we wait for a write.
func keepAlive(nc net.Conn) {
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = t.NetConn()
	}
	if t, ok := nc.(*net.TCPConn); ok {
		_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3})
	}
}
