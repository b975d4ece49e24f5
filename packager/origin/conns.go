package origin

import (
	"net"
	"net/http"
	"sync"
)

// ConnLimit caps how many connections one address may have open, as the ConnState hook of an http.Server. It does not wrap
// connections, so files can still be sent by the kernel.
type ConnLimit struct {
	perIP  int
	exempt func(ip string) bool

	mu   sync.Mutex
	open map[string]int
	held map[net.Conn]string
}

// NewConnLimit makes a cap of perIP connections, at least 1. Addresses of which exempt, if given, says so are not
// counted: trusted proxies, which carry many viewers.
func NewConnLimit(perIP int, exempt func(ip string) bool) *ConnLimit {
	return &ConnLimit{perIP: max(perIP, 1), exempt: exempt, open: make(map[string]int), held: make(map[net.Conn]string)}
}

// ConnState is for http.Server.ConnState. A connection beyond the cap is closed before it is read.
func (l *ConnLimit) ConnState(c net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		if !l.admit(c) {
			_ = c.Close() // the server sees it closed and ends its goroutine
		}
	case http.StateHijacked, http.StateClosed:
		l.release(c)
	default: // a connection that goes on
	}
}

func (l *ConnLimit) admit(c net.Conn) bool {
	ip, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil || l.exempt != nil && l.exempt(ip) {
		return true
	}
	ip = addressPrefix(ip)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[ip] >= l.perIP {
		return false
	}
	l.open[ip]++
	l.held[c] = ip
	return true
}

func (l *ConnLimit) release(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ip, ok := l.held[c]
	if !ok {
		return
	}
	delete(l.held, c)
	if l.open[ip]--; l.open[ip] <= 0 {
		delete(l.open, ip)
	}
}
