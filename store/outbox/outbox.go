// Package outbox hands on what happened, as it was written with what it tells of.
//
//	service ──Emit, in its transaction──► outbox ──► relay of one node ──► consumers, one after the other ──► sent
//
// An event is handed on at least once, in order among those with the same key: its row is marked when all consumers have taken it, and one
// that nobody could take keeps back those behind it with its key, and no others. A crash anywhere hands on again what was not
// marked, so consumers are idempotent by the event's id.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"mediad/store/db"
)

// Consumer takes events.
type Consumer struct {
	// Name for the log.
	Name string
	// Take is called with each event in turn, within takeLimit. An error has it called again later, with all that follows for the key.
	Take func(ctx context.Context, e db.Event) error
}

// Options of New.
type Options struct {
	DB        *db.DB
	Consumers []Consumer
	// Poll is how often is looked for what another process wrote, or failed before: 500 ms on PostgreSQL, 5 s on SQLite.
	Poll time.Duration
	// Keep is how long what was handed on can be seen; 72 h.
	Keep time.Duration
	Log  *slog.Logger
	Now  func() time.Time
}

// Relay hands events on. It has one goroutine, Run's.
type Relay struct{ o Options }

const (
	// page is how many events are read and marked at a time.
	page = 100
	// takeLimit bounds one consumer with one event.
	takeLimit = 10 * time.Second
	// lastPause is how long is waited at most after something failed.
	lastPause = 30 * time.Second
)

// New makes a relay. It starts nothing.
func New(o Options) *Relay {
	if o.Poll == 0 {
		o.Poll = 5 * time.Second
		if o.DB.Engine() == db.PostgreSQL {
			o.Poll = 500 * time.Millisecond
		}
	}
	if o.Keep == 0 {
		o.Keep = 72 * time.Hour
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Relay{o}
}

// Run hands events on until ctx ends, whenever no other node does.
func (r *Relay) Run(ctx context.Context) error {
	for failures := 0; ; {
		lead, err := r.o.DB.LeadRelay(ctx)
		switch {
		case err != nil:
			r.warn(ctx, "events wait: the database does not answer", err, &failures)
		case lead != nil:
			r.lead(ctx, lead, &failures)
			lead.End(ctx)
		}
		if !r.pause(ctx, max(r.o.Poll, pauseAfter(failures))) {
			return nil
		}
	}
}

// lead hands on until the lead is lost, or something failed that another connection may mend.
func (r *Relay) lead(ctx context.Context, lead *db.Lead, failures *int) {
	for {
		if !lead.Holds(ctx) {
			return
		}
		stuck, err := r.round(ctx)
		switch {
		case err != nil:
			r.warn(ctx, "events wait", err, failures)
			return
		case stuck:
			*failures++
		default:
			*failures = 0
		}
		if !r.pause(ctx, max(r.o.Poll, pauseAfter(*failures))) {
			return
		}
	}
}

func pauseAfter(failures int) time.Duration {
	if failures == 0 {
		return 0
	}
	return min(500*time.Millisecond<<min(failures, 10), lastPause)
}

func (r *Relay) warn(ctx context.Context, what string, err error, failures *int) {
	if *failures++; ctx.Err() == nil {
		r.o.Log.Warn(what, "error", err)
	}
}

// pause waits for news, or for that time; false: ctx has ended.
func (r *Relay) pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-r.o.DB.Emitted():
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// round hands on what there is, and says whether some of it was not taken.
func (r *Relay) round(ctx context.Context) (stuck bool, err error) {
	held := map[string]bool{} // keys with an event that was not taken
	for after := int64(0); ; {
		events, err := r.o.DB.Write(ctx).ListUnsent(after, page) // what this process has just stored, too
		if err != nil {
			return stuck, err
		}
		var sent []int64
		for _, e := range events {
			after = e.Seq
			if held[e.Key] {
				continue
			}
			err := r.hand(ctx, e)
			if ctx.Err() != nil && err != nil {
				break
			}
			if err != nil {
				r.o.Log.Warn("an event was not taken and comes again", "event", e.ID, "type", e.Type, "error", err)
				held[e.Key], stuck = true, true
				continue
			}
			sent = append(sent, e.Seq)
		}
		if len(sent) > 0 {
			// Also when the node stops: what was handed on need not be so again.
			if err := r.mark(context.WithoutCancel(ctx), sent); err != nil {
				return stuck, err
			}
		}
		if len(events) < page {
			return stuck, nil
		}
		if err := ctx.Err(); err != nil {
			return stuck, err
		}
	}
}

func (r *Relay) mark(ctx context.Context, sent []int64) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return r.o.DB.Write(ctx).MarkSent(sent, db.At(r.o.Now()))
}

func (r *Relay) hand(ctx context.Context, e db.Event) error {
	var errs []error
	for _, c := range r.o.Consumers {
		if err := take(ctx, c, e); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.Name, err))
		}
	}
	return errors.Join(errs...)
}

// take calls a consumer; its panic is an error.
func take(ctx context.Context, c Consumer, e db.Event) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, takeLimit)
	defer cancel()
	return c.Take(ctx, e)
}

// Tidy deletes what was handed on long ago. It is for a job, once an hour.
func (r *Relay) Tidy(ctx context.Context) (gone int64, err error) {
	const some = 500 // SQLite takes 32 766 values in a statement, and others wait for it
	for {
		n, err := r.o.DB.Write(ctx).DeleteSent(db.At(r.o.Now().Add(-r.o.Keep)), some)
		gone += n
		if err != nil || n < some {
			return gone, err
		}
	}
}
