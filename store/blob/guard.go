package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"
)

// GuardOptions of NewGuard; the zero value is usable.
type GuardOptions struct {
	// Failures in a row open the breaker. 0: 5. Fewer: one hiccup of the bucket stops all; more: more requests that wait
	// for their deadlines in vain.
	Failures int
	// Cooldown is how long nothing is sent once the breaker is open; it doubles with every probe that fails, up to
	// MaxCooldown, and varies by a fifth so that nodes do not come back together. 0: 1 s, 30 s.
	Cooldown, MaxCooldown time.Duration
}

// GuardState is what a Guard lets through.
type GuardState string

// The states: all requests pass; none do; one probes whether the store is back and the others are refused.
const (
	GuardClosed   GuardState = "closed"
	GuardOpen     GuardState = "open"
	GuardHalfOpen GuardState = "half_open"
)

// GuardStatus is a Guard at a moment.
type GuardStatus struct {
	State GuardState
	// Since is when the store was first found away; zero while closed.
	Since time.Time
	// RetryAt is when the next probe is let through; zero while closed.
	RetryAt time.Time
	// Err is the last failure that counted, nil once a request succeeded.
	Err error
}

// Guard is a circuit breaker around a store that may be away.
//
//	closed ── Failures in a row ──► open ── Cooldown ──► half open ── the probe succeeds ──► closed
//	                                  ▲──────────────────────┘ the probe fails
//
// Only what the store itself is to blame for counts: ErrTemporary, ErrDenied and ErrNoBucket. While the breaker is open every
// call returns at once with ErrTemporary and the failure that opened it. A read that breaks off after Open does not count.
type Guard struct {
	inner   Store
	options GuardOptions

	mu       sync.Mutex // guards the following
	failures int        // in a row
	since    time.Time
	retryAt  time.Time
	cooldown time.Duration
	probing  bool
	err      error
}

var (
	_ Store       = (*Guard)(nil)
	_ Unwrapper   = (*Guard)(nil)
	_ Creator     = (*Guard)(nil)
	_ BulkDeleter = (*Guard)(nil)
)

// NewGuard puts a breaker around s.
func NewGuard(s Store, o GuardOptions) *Guard {
	if o.Failures == 0 {
		o.Failures = 5
	}
	if o.Cooldown == 0 {
		o.Cooldown = time.Second
	}
	if o.MaxCooldown == 0 {
		o.MaxCooldown = 30 * time.Second
	}
	return &Guard{inner: s, options: o}
}

// Unwrap is the store without the breaker.
func (g *Guard) Unwrap() Store { return g.inner }

// Status tells the breaker's state.
func (g *Guard) Status() GuardStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := GuardStatus{State: GuardClosed, Since: g.since, RetryAt: g.retryAt, Err: g.err}
	switch {
	case g.probing:
		s.State = GuardHalfOpen
	case !g.retryAt.IsZero():
		s.State = GuardOpen
	}
	return s
}

// do sends one request if the breaker lets it through.
func (g *Guard) do(request func() error) error {
	probe, err := g.admit()
	if err != nil {
		return err
	}
	settled := false
	defer func() {
		if probe && !settled { // a panic below must not leave the breaker half open for good
			g.settle(probe, ErrTemporary)
		}
	}()
	err = request()
	settled = true
	g.settle(probe, err)
	return err
}

func (g *Guard) admit() (probe bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.retryAt.IsZero() {
		return false, nil
	}
	if g.probing || time.Now().Before(g.retryAt) {
		return false, fmt.Errorf("blob: not asked, breaker open: %w: %w", ErrTemporary, g.err)
	}
	g.probing = true
	return true, nil
}

// settle judges a request. One that neither succeeded nor failed by the store's fault (its context ended, its body broke)
// says nothing: a probe of that kind makes room for another at once.
func (g *Guard) settle(probe bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if probe {
		g.probing = false
	}
	open := !g.retryAt.IsZero()
	switch {
	case away(err):
		g.err = err
		if open && !probe {
			return // it was sent before the breaker opened
		}
		if g.failures++; probe || g.failures >= g.options.Failures {
			g.open()
		}
	case answered(err) && (probe || !open):
		g.failures, g.err = 0, nil
		g.since, g.retryAt, g.cooldown = time.Time{}, time.Time{}, 0
	}
}

// open starts a pause, the longer the more there were; mu is held.
func (g *Guard) open() {
	now := time.Now()
	if g.since.IsZero() {
		g.since = now
	}
	g.cooldown = min(max(2*g.cooldown, g.options.Cooldown), g.options.MaxCooldown)
	g.retryAt = now.Add(time.Duration(float64(g.cooldown) * (0.9 + 0.2*rand.Float64())))
}

// away says whether err is the store's fault.
func away(err error) bool {
	return errors.Is(err, ErrTemporary) || errors.Is(err, ErrDenied) || errors.Is(err, ErrNoBucket)
}

// answered says whether the store did what it was asked, or answered that it cannot be done.
func answered(err error) bool {
	return err == nil || errors.Is(err, ErrNotExist) || errors.Is(err, ErrExist) || errors.Is(err, ErrNoSpace)
}

// Put implements Store.
func (g *Guard) Put(ctx context.Context, key string, r io.Reader, size int64, m Meta) error {
	return g.do(func() error { return g.inner.Put(ctx, key, r, size, m) })
}

// Create implements Creator.
func (g *Guard) Create(ctx context.Context, key string, r io.Reader, size int64, m Meta) error {
	return g.do(func() error { return Create(ctx, g.inner, key, r, size, m) })
}

// Open implements Store.
func (g *Guard) Open(ctx context.Context, key string, offset, length int64) (r io.ReadCloser, err error) {
	err = g.do(func() error {
		r, err = g.inner.Open(ctx, key, offset, length)
		return err
	})
	return r, err
}

// Stat implements Store.
func (g *Guard) Stat(ctx context.Context, key string) (info Info, err error) {
	err = g.do(func() error {
		info, err = g.inner.Stat(ctx, key)
		return err
	})
	return info, err
}

// List implements Store. What fn returns is fn's, whatever it wraps.
func (g *Guard) List(ctx context.Context, prefix string, fn func(Info) error) error {
	var theirs error
	err := g.do(func() error {
		err := g.inner.List(ctx, prefix, func(i Info) error {
			theirs = fn(i)
			return theirs
		})
		if theirs == nil {
			return err
		}
		return nil
	})
	return errors.Join(err, theirs)
}

// Delete implements Store.
func (g *Guard) Delete(ctx context.Context, key string) error {
	return g.do(func() error { return g.inner.Delete(ctx, key) })
}

// DeleteAll implements BulkDeleter.
func (g *Guard) DeleteAll(ctx context.Context, keys []string) error {
	return g.do(func() error { return DeleteAll(ctx, g.inner, keys) })
}
