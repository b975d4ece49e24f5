package relay

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"

	"mediad/live"
)

// Target is one that a stream is forwarded to beside the routes.
type Target struct{ ID, URL string }

// following is a session that is followed. Relays.mu guards added and over.
type following struct {
	hard, soft context.Context //nolint:containedctx // of the session: who adds a target later has none of its own
	session    *live.Session
	running    *sync.WaitGroup
	added      map[string]*added // by id
	over       bool
}

// added is a target that is added.
type added struct {
	relay *relay
	url   string
	leave context.CancelFunc
}

// SetTargets says where a stream is forwarded to beside its routes, while it is on air: what is not among targets is told goodbye, what is new is
// called at once. A URL that cannot be read is left out.
func (r *Relays) SetTargets(stream string, targets []Target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.followed[stream]
	if f == nil || f.over {
		return
	}
	wanted := make(map[string]string, len(targets))
	for _, t := range targets {
		wanted[t.ID] = t.URL
	}
	for id, a := range f.added {
		if url, ok := wanted[id]; !ok || url != a.url {
			a.leave()
			delete(f.added, id)
		}
	}
	for _, t := range targets {
		if f.added[t.ID] != nil {
			continue
		}
		one, err := r.relay(stream, t.URL)
		if err != nil {
			r.o.Log.Warn("relay: a target is left out", "stream", stream, "id", t.ID, "error", err)
			continue
		}
		one.allow, one.status.ID = r.o.Allow, t.ID
		stay, leave := context.WithCancel(f.hard)
		soft, noMore := context.WithCancel(f.soft)
		context.AfterFunc(stay, noMore)
		f.added[t.ID] = &added{relay: one, url: t.URL, leave: leave}
		f.running.Go(func() {
			defer leave()
			one.run(f.hard, soft, stay, f.session)
		})
	}
}

// added tells about the targets of a stream that were added, by id.
func (r *Relays) added(stream string) (out []Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.followed[stream]
	if f == nil {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(f.added)) {
		out = append(out, f.added[id].relay.Status())
	}
	return out
}

// streams are those that have a target.
func (r *Relays) streams() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]bool)
	for stream := range r.byStream {
		all[stream] = true
	}
	for stream := range r.followed {
		all[stream] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// address is where the target is called. Where not every address may be, it is one that its name leads to now, so that nothing else is called than
// what was looked at.
func (r *relay) address(ctx context.Context) (string, error) {
	if r.allow == nil {
		return r.target.host, nil
	}
	host, text, err := net.SplitHostPort(r.target.host)
	if err != nil {
		return "", err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", err
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		r.log.DebugContext(ctx, "relay: a target's name is not found", "error", err)
		return "", errNowhere
	}
	// IPv4 first: of hosts that have both, many are reached by that alone.
	slices.SortStableFunc(found, func(a, b netip.Addr) int { return a.Unmap().BitLen() - b.Unmap().BitLen() })
	for _, addr := range found {
		to := netip.AddrPortFrom(addr.Unmap(), uint16(port))
		err := r.allow(to)
		if err == nil {
			return to.String(), nil
		}
		r.log.DebugContext(ctx, "relay: a target is not called", "address", to, "error", err)
	}
	return "", errNowhere
}

// errNowhere is one text for what is not found and what may not be called: owners of streams read it, and nobody learns from it which names there
// are inside.
var errNowhere = errors.New("the target's name leads to no server that may be called")
