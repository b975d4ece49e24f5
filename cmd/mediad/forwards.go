package main

import (
	"context"
	"log/slog"
	"net/netip"
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

// allowed is for relay.Options.Allow.
func (f forwarding) allowed(to netip.AddrPort) error { return f.Check(to) }

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
