// Package limit counts calls a caller and window, and tells in the RateLimit headers how many are left. Where the nodes of a site
// share their counts those decide, and each node's own only while the shared ones are gone.
package limit

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// DefaultMaxCallers bounds the memory: some 10 MB.
const DefaultMaxCallers = 100_000

// Policy is how often a caller may call: Quota times in Window, counted from the first call.
type Policy struct {
	Name   string
	Quota  int
	Window time.Duration
}

// Scale multiplies the quota; at least one call is left.
func (p Policy) Scale(factor float64) Policy {
	p.Quota = max(1, int(math.Min(float64(p.Quota)*factor, math.MaxInt32)))
	return p
}

// Limiter counts for one policy. Its methods may be called from any goroutine.
type Limiter struct {
	policy     Policy
	name       string
	maxCallers int
	now        func() time.Time
	shared     Shared

	mu      sync.Mutex // guards the following
	callers map[string]window
	sweepAt time.Time // not before
}

type window struct {
	ends time.Time
	used int
}

// Shared counts for all nodes together.
type Shared interface {
	// Count counts calls of key, which may be 0, in a window that began with the first of them, if that is within the quota; fewer than 0 are
	// given back, of those there are. used is what was counted in this window, ends when it does; told is how many changes the nodes have told
	// each other of by now. An error: each node decides alone.
	Count(ctx context.Context, key string, calls, quota int, window time.Duration) (allowed bool, used int, ends time.Duration, told int64, err error)
}

// Options of New.
type Options struct {
	Policy Policy
	// Shared has the counts of all nodes. nil: this process is alone.
	Shared Shared
	// Name tells the policy's counts from those of others at Shared. "": the policy's name.
	Name string
	// MaxCallers that are remembered at the same time. More: windows that ended are dropped, then the call is let
	// through uncounted, since refusing strangers for others' sake would make the limit itself the attack.
	// 0: DefaultMaxCallers.
	MaxCallers int
	// Now is the clock. nil: time.Now.
	Now func() time.Time
}

// New makes a limiter.
func New(o Options) *Limiter {
	if o.MaxCallers == 0 {
		o.MaxCallers = DefaultMaxCallers
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Name == "" {
		o.Name = o.Policy.Name
	}
	return &Limiter{policy: o.Policy, name: o.Name, shared: o.Shared, maxCallers: o.MaxCallers, now: o.Now, callers: map[string]window{}}
}

// State is what is left to a caller.
type State struct {
	Policy  Policy
	Left    int
	Reset   time.Duration // until the quota is whole again
	Allowed bool
	// Told is how many changes the nodes have told each other of; 0: not known.
	Told int64
}

// Take counts a call. ctx bounds how long shared counts are waited for.
func (l *Limiter) Take(ctx context.Context, caller string) State { return l.count(ctx, caller, 1) }

// Look tells the state without counting.
func (l *Limiter) Look(ctx context.Context, caller string) State { return l.count(ctx, caller, 0) }

// GiveBack takes back a call that was counted and is not to count, if its window is still there.
func (l *Limiter) GiveBack(ctx context.Context, caller string) State { return l.count(ctx, caller, -1) }

func (l *Limiter) count(ctx context.Context, caller string, calls int) State {
	if l.shared == nil {
		return l.alone(caller, calls)
	}
	allowed, used, ends, told, err := l.shared.Count(ctx, l.name+":"+caller, calls, l.policy.Quota, l.policy.Window)
	if err != nil {
		return l.alone(caller, calls)
	}
	if allowed && calls != 0 {
		l.alone(caller, calls) // so that nobody begins anew when the shared counts go
	}
	return State{Policy: l.policy, Left: max(0, l.policy.Quota-used), Reset: ends, Allowed: allowed, Told: told}
}

// alone decides by what this process counted.
func (l *Limiter) alone(caller string, calls int) State {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	w, known := l.callers[caller]
	if !known || !now.Before(w.ends) {
		w = window{ends: now.Add(l.policy.Window)}
	}
	allowed := w.used+calls <= l.policy.Quota
	if allowed {
		w.used = max(0, w.used+calls)
	}
	if calls < 0 && known || calls > 0 && (known || l.room(now)) {
		l.callers[caller] = w
	}
	return State{Policy: l.policy, Left: l.policy.Quota - w.used, Reset: w.ends.Sub(now), Allowed: allowed}
}

// room makes place for one more caller; mu is held. A full map is looked through ten times a window at most, or a
// flood of strangers would pay for each other.
func (l *Limiter) room(now time.Time) bool {
	if len(l.callers) >= l.maxCallers && !now.Before(l.sweepAt) {
		l.sweepAt = now.Add(l.policy.Window / 10)
		for caller, w := range l.callers {
			if !now.Before(w.ends) {
				delete(l.callers, caller)
			}
		}
	}
	return len(l.callers) < l.maxCallers
}

// SetHeaders tells the caller.
func (s State) SetHeaders(h http.Header) { s.EachHeader(h.Set) }

// EachHeader gives the headers out one by one.
func (s State) EachHeader(set func(name, value string)) {
	set("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", s.Policy.Name, s.Policy.Quota, int(s.Policy.Window/time.Second)))
	set("RateLimit", strconv.Quote(s.Policy.Name)+";r="+strconv.Itoa(s.Left)+";t="+strconv.Itoa(s.seconds()))
}

func (s State) seconds() int { return int((s.Reset + time.Second - 1) / time.Second) }

// Caller is the key of an address: the whole IPv4 address, and the /64 of an IPv6 one, which is one household.
func Caller(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return "unknown"
	}
	if addr.Is6() {
		prefix, err := addr.Prefix(64)
		if err != nil {
			return "unknown"
		}
		return prefix.String()
	}
	return addr.String()
}
