package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"mediad/api/outbound"
	"mediad/api/stream"
	"mediad/configs"
	"mediad/egress/relay"
	"mediad/live"
)

// forwarding tells the platform of the servers that streams can be forwarded to. It implements stream.Forwarding.
type forwarding struct{ outbound.Guard }

// outboundGuard is where the server calls others to for its users: as with webhooks, to this machine only where one develops.
func outboundGuard(c *configs.Config) outbound.Guard {
	return outbound.Guard{Loopback: c.Ingest.Open, Barred: []uint16{uint16(portNumber(c.Admin.Addr))}}
}

// Shown implements stream.Forwarding.
func (forwarding) Shown(address string) (string, error) { return relay.Shown(address) }

// allowedBut is for relay.Options.Allow: what the guard allows, but not this site itself, which behind NAT or in a container it cannot tell by its
// machine's addresses.
func (f forwarding) allowedBut(own *ownPlaces) func(netip.AddrPort) error {
	return func(to netip.AddrPort) error {
		if own.has(to) {
			return errOwnPlace
		}
		return f.Check(to)
	}
}

var errOwnPlace = errors.New("that is this site itself")

// ownPlaces are the addresses that the site's names lead to, with the ports that take media.
type ownPlaces struct {
	names []string
	ports []int

	mu    sync.Mutex // guards the following
	at    time.Time
	addrs []netip.Addr
}

// ownPlacesFor is how long the look-up of a name holds, and lookUpIn how long it may take.
const (
	ownPlacesFor = time.Minute
	lookUpIn     = 2 * time.Second
)

func newOwnPlaces(c *configs.Config, ports []int) *ownPlaces {
	own := &ownPlaces{ports: ports}
	if host := c.Site.IngestHost; host != "" {
		if bare, _, err := net.SplitHostPort(host); err == nil {
			host = bare
		}
		own.names = append(own.names, host)
	}
	if u, err := url.Parse(c.Site.PublicURL); err == nil && u.Hostname() != "" {
		own.names = append(own.names, u.Hostname())
	}
	return own
}

func (o *ownPlaces) has(to netip.AddrPort) bool {
	if !slices.Contains(o.ports, int(to.Port())) {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.at) > ownPlacesFor {
		ctx, cancel := context.WithTimeout(context.Background(), lookUpIn)
		defer cancel()
		o.at, o.addrs = time.Now(), nil
		for _, name := range o.names {
			found, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", name) // a name that leads nowhere is nobody's way here
			o.addrs = append(o.addrs, found...)
		}
	}
	return slices.ContainsFunc(o.addrs, func(a netip.Addr) bool { return a.Unmap() == to.Addr() })
}

// forwardWatch has what is on air forwarded where its owner wants it, within a second or two, whichever node was told: the rows are asked.
type forwardWatch struct {
	hub     *live.Hub
	streams *stream.Service
	relays  *relay.Relays
	log     *slog.Logger
}

const forwardWatchInterval = time.Second

// Run looks until ctx ends. While the database is away everything stays as it is.
func (f forwardWatch) Run(ctx context.Context) error {
	tick := time.NewTicker(forwardWatchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.look(ctx)
		}
	}
}

func (f forwardWatch) look(ctx context.Context) {
	on := f.hub.Live()
	if len(on) == 0 {
		return
	}
	ids := make([]string, len(on))
	for i, s := range on {
		ids[i] = s.StreamID
	}
	ctx, cancel := context.WithTimeout(ctx, rowsTimeout)
	defer cancel()
	targets, err := f.streams.ForwardTargets(ctx, ids)
	if err != nil {
		f.log.Debug("forwards of what is on air not read", "error", err)
		return
	}
	for _, s := range on {
		var wanted []relay.Target
		for _, t := range targets[s.StreamID] {
			wanted = append(wanted, relay.Target{ID: t.ID, URL: t.URL})
		}
		f.relays.SetTargets(s.Stream, wanted)
	}
}
