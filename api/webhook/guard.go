package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

// ErrTarget is returned, wrapped, for an address that nothing is delivered to.
var ErrTarget = errors.New("webhook: an address that is not public")

func prefixes(list ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(list))
	for i, text := range list {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

// reserved are the IPv4 addresses that are not anybody's on the Internet (RFC 6890 and the registry that followed), and one that is: the host
// of virtual machines at Azure answers their guests there.
var reserved = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24",
	"192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",
	"240.0.0.0/4", "168.63.129.16/32",
)

// global is what IPv6 has of public addresses; notGlobal is within it and is not, or carries an IPv4 address that a translator would go on to
// (6to4, Teredo). NAT64's 64:ff9b::/96 and 64:ff9b:1::/48, and all that is local, lie outside.
var (
	global    = netip.MustParsePrefix("2000::/3")
	notGlobal = prefixes("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)

// public says whether an address is one on the Internet.
func public(addr netip.Addr) bool {
	addr = addr.Unmap()
	in := func(p netip.Prefix) bool { return p.Contains(addr) }
	switch {
	case !addr.IsValid() || addr.Zone() != "":
		return false
	case addr.Is4():
		return !slices.ContainsFunc(reserved, in)
	}
	return global.Contains(addr) && !slices.ContainsFunc(notGlobal, in)
}

// allowed says whether something may be delivered to an address. On a machine where one develops that is loopback, too.
func allowed(addr netip.Addr, loopback bool) bool {
	return public(addr) || loopback && addr.Unmap().WithZone("").IsLoopback()
}

// guarded makes a client that connects to nothing but what is allowed, whatever a name is resolved to at that moment, and that follows no
// redirects, which could lead elsewhere. barred are ports of this machine that are closed though it is open.
func guarded(loopback bool, barred []uint16, timeout time.Duration) *http.Client {
	dialer := &net.Dialer{
		Timeout: timeout, KeepAlive: -1,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrTarget, err)
			}
			if !allowed(to.Addr(), loopback) || slices.Contains(barred, to.Port()) && to.Addr().Unmap().IsLoopback() {
				return ErrTarget
			}
			return nil
		},
	}
	return &http.Client{
		Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
		Transport: &http.Transport{
			DialContext: dialer.DialContext, // and no proxy, which would connect for us
			// A connection for each: what is allowed is looked at each time, and nothing is left open.
			DisableKeepAlives: true, DisableCompression: true, ForceAttemptHTTP2: false,
			TLSHandshakeTimeout: timeout, ResponseHeaderTimeout: timeout, MaxResponseHeaderBytes: 16 << 10,
		},
	}
}

// why says in one word why there was no answer.
func why(err error) string {
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, ErrTarget):
		return "blocked"
	case errors.As(err, &dns):
		return "dns"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "x509: "): // which have many types
		return "tls"
	}
	return "connection"
}
