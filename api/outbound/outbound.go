// Package outbound says where the server may call others to on behalf of people who are not its operator: to what is on the Internet, and not into
// the network that the server stands in.
package outbound

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// ErrAddress is returned, wrapped, for an address that is not called.
var ErrAddress = errors.New("an address that is not public")

// Guard judges addresses, as they are when they are called: whatever a name led to before.
type Guard struct {
	// Loopback lets this machine be called, too: where one develops. Elsewhere that would let people reach what listens there.
	Loopback bool
	// Barred are ports of this machine that are never called: those at which it believes whoever reaches them.
	Barred []uint16
}

// Allowed says whether an address may be called at any port but those that are barred.
func (g Guard) Allowed(addr netip.Addr) bool {
	return public(addr) || g.Loopback && addr.Unmap().WithZone("").IsLoopback()
}

// Check says why an address is not called; nil: it may be.
func (g Guard) Check(to netip.AddrPort) error {
	if !g.Allowed(to.Addr()) || slices.Contains(g.Barred, to.Port()) && to.Addr().Unmap().IsLoopback() {
		return ErrAddress
	}
	return nil
}

// Control is for net.Dialer.ControlContext: it is asked for each address that is connected to.
func (g Guard) Control(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAddress, err)
	}
	return g.Check(to)
}

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
