package main

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// clientIP is whose request it is: the peer, or behind a trusted proxy the last address in X-Forwarded-For that is not a trusted
// proxy's own. What an untrusted peer claims is ignored.
func (n *node) clientIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if len(n.config.HTTP.TrustedProxies) == 0 || !n.trusted(host) {
		return host
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.TrimSpace(hops[i])
		if _, err := netip.ParseAddr(hop); err != nil {
			break
		}
		host = hop
		if !n.trusted(hop) {
			break
		}
	}
	return host
}

func (n *node) trusted(host string) bool {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	addr = addr.Unmap()
	for _, p := range n.config.HTTP.TrustedProxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
