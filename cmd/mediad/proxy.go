package main

import (
	"math"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"mediad/packager/origin"
)

// clientIP is whose request it is: the peer, or behind a trusted proxy the last address in X-Forwarded-For that is not a trusted
// proxy's own. What an untrusted peer claims is ignored.
func (n *node) clientIP(r *http.Request) string {
	client := address(r.RemoteAddr)
	if !client.IsValid() || !n.trusted(client) {
		return client.String()
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		addr := address(strings.TrimSpace(hop))
		if !addr.IsValid() {
			break
		}
		client = addr
		if !n.trusted(addr) {
			break
		}
	}
	return client.String()
}

// address reads an address with or without a port; the zero Addr if it is none.
func address(s string) netip.Addr {
	if withPort, err := netip.ParseAddrPort(s); err == nil {
		return withPort.Addr().Unmap().WithZone("")
	}
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

func (n *node) trusted(addr netip.Addr) bool {
	return slices.ContainsFunc(n.config.HTTP.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// connLimit bounds the connections of one address over all HTTP listeners; nil where it is turned off. This machine and the proxies
// are not counted: they bring many viewers.
func (n *node) connLimit() func(net.Conn, http.ConnState) {
	perIP := float64(n.config.Limits.Connections) * n.config.Limits.Scale
	if perIP == 0 {
		return nil
	}
	return origin.NewConnLimit(int(min(max(perIP, 1), math.MaxInt32)), func(ip string) bool {
		addr := address(ip)
		return addr.IsLoopback() || n.trusted(addr)
	}).ConnState
}
