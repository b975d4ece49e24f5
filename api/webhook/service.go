// Package webhook tells other programs what happens, over HTTP: owners of what happens to their channel and account, admins of all.
//
//	outbox ──Take──► a delivery and its job for each webhook that the event is for ──► Deliver ──signed POST──► their server
//
// Deliveries are at least once and signed as Standard Webhooks says. Those about the same thing go out in order, as long as each succeeds. What
// is not taken with 2xx in time is tried again for a day; a webhook that took nothing for three days is disabled.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"mediad/api/account"
	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/outbound"
	"mediad/api/problem"
	"mediad/store/db"
	"mediad/store/event"
	"mediad/store/job"
	"mediad/store/seal"
)

// Test is the type of the event that a webhook's owner asks for, to see whether it arrives.
const Test = "webhook.test"

const (
	// MaxURL is how long an address may be.
	MaxURL = 2048
	// rotation is how long the old secret signs beside the new one.
	rotation = 24 * time.Hour
	// patience is for how long nothing need be taken before a webhook is disabled.
	patience = 72 * time.Hour
	// keep is how long deliveries can be seen, and keepOf how many of a webhook.
	keep   = 30 * 24 * time.Hour
	keepOf = 1000
)

// schedule is how long is waited after each attempt that failed.
var schedule = []time.Duration{
	10 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour,
}

// Options of New.
type Options struct {
	DB      *db.DB
	Secrets *seal.Ring
	Audit   *audit.Log
	// Jobs does the deliveries. It is not used before the service's kinds are known to it.
	Jobs job.Admin
	// Loopback lets webhooks lead to this machine, also by http: where one develops. Elsewhere that would let users reach what listens there.
	Loopback bool
	// Barred are ports of this machine that webhooks never lead to: those at which it believes whoever reaches them.
	Barred []uint16
	// Most is how many webhooks a user may have. nil: 5.
	Most func(db.User) int64
	// Timeout of a delivery; 10 s.
	Timeout time.Duration
	// Schedule is how long is waited after each attempt that failed; that of api.md.
	Schedule []time.Duration
	Now      func() time.Time
	Log      *slog.Logger
}

// Service keeps webhooks and delivers. Its methods may be called from any goroutine; it starts none.
type Service struct {
	o      Options
	client *http.Client

	mu   sync.Mutex     // guards busy
	busy map[string]int // deliveries under way here, by webhook
	free map[string]chan struct{}
}

// New makes the service.
func New(o Options) *Service {
	if o.Most == nil {
		o.Most = func(db.User) int64 { return 5 }
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Schedule == nil {
		o.Schedule = schedule
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{o: o, client: guarded(outbound.Guard{Loopback: o.Loopback, Barred: o.Barred}, o.Timeout), busy: map[string]int{}, free: map[string]chan struct{}{}}
}

func purpose(id string) string { return "webhooks.secret " + id }

func notFound() error { return problem.New(problem.NotFound, "There is no such webhook.") }

// Create is what a webhook needs.
type Create struct {
	Scope  string // db.ScopeOwn or, for admins, db.ScopeSite
	URL    string
	Events []string
	Active bool
}

// Create makes a webhook of the caller's. The secret is nowhere else.
func (s *Service) Create(ctx context.Context, c Create) (w db.Webhook, secret string, err error) {
	who, now := caller.Of(ctx), s.o.Now()
	if c.Scope == "" {
		c.Scope = db.ScopeOwn
	}
	id, err := db.NewID()
	if err != nil {
		return w, "", err
	}
	secret = newSecret()
	w = db.Webhook{
		ID: id, OwnerID: who.UserID, Scope: c.Scope, URL: c.URL, Events: c.Events, Active: c.Active,
		SecretEnc: s.o.Secrets.Seal(purpose(id), secret), Hint: secret[len(secret)-4:], CreatedAt: db.At(now), UpdatedAt: db.At(now),
	}
	if err := s.check(who, &w); err != nil {
		return w, "", err
	}
	err = s.o.DB.Tx(ctx, func(q db.Queries) error {
		have, err := q.CountWebhooks(who.UserID)
		if err != nil {
			return err
		}
		u, err := q.FindUser(who.UserID)
		if err != nil {
			return err
		}
		if most := s.o.Most(u); have >= most {
			p := problem.New(problem.LimitReached, fmt.Sprintf("There are %d webhooks already. Delete one first.", have))
			p.Max = most
			return p
		}
		if err := q.CreateWebhook(w); err != nil {
			return err
		}
		return s.note(ctx, q, "webhook.create", w)
	})
	return w, secret, err
}

// note records what was done to a webhook: of its address the host alone, for the rest may hold a secret.
func (s *Service) note(ctx context.Context, q db.Queries, action string, w db.Webhook) error {
	host := ""
	if u, err := url.Parse(w.URL); err == nil {
		host = u.Host
	}
	return s.o.Audit.Add(ctx, q, audit.Entry{
		Action: action, TargetType: "webhook", TargetID: w.ID, After: map[string]any{"scope": w.Scope, "host": host, "events": w.Events, "active": w.Active},
	})
}

// check brings a webhook into its stored form, and says what is wrong with it.
func (s *Service) check(who caller.Caller, w *db.Webhook) error {
	var bad account.Invalid
	known := event.Own
	switch w.Scope {
	case db.ScopeOwn:
	case db.ScopeSite:
		if !who.Role.AtLeast(caller.Admin) {
			p := problem.New(problem.RoleRequired, "Only admins have webhooks for the whole site.")
			p.Role = string(caller.Admin)
			return p
		}
		if !who.Has(caller.AdminScope) {
			p := problem.New(problem.ScopeMissing, "A webhook for the whole site needs a token that may act as an admin.")
			p.Scope = string(caller.AdminScope)
			return p
		}
		known = event.Site
	default:
		bad.Add("scope", "invalid_enum", "own or site", 0)
	}
	if message := s.badURL(w.URL); message != "" {
		bad.Add("url", "invalid_format", message, 0)
	}
	if len(w.Events) == 0 {
		bad.Add("events", "too_short", "one at least", 0)
	}
	w.Events = slices.Clone(w.Events)
	slices.Sort(w.Events)
	w.Events = slices.Compact(w.Events)
	for _, one := range w.Events {
		if !slices.Contains(known, one) {
			bad.Add("events", "invalid_enum", "each one of "+strings.Join(known, ", "), 0)
			break
		}
	}
	if len(bad.Fields) > 0 {
		return account.Refusal(&bad)
	}
	return nil
}

// badURL says what is wrong with an address; "": nothing that can be seen before it is called.
func (s *Service) badURL(text string) string {
	const help = "https://host[:port]/path, of up to 2048 characters"
	u, err := url.Parse(text)
	if err != nil || len(text) > MaxURL || u.Host == "" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return help
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	addr, err := netip.ParseAddr(host)
	literal := err == nil
	here := literal && addr.Unmap().IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
	switch {
	case here && !s.o.Loopback, literal && !(outbound.Guard{Loopback: s.o.Loopback}).Allowed(addr):
		return "a public address: this one cannot be reached by everybody"
	case u.Scheme == "https", u.Scheme == "http" && here:
		return ""
	}
	return help
}

// List lists those of the caller, the newest first, with ids smaller than before.
func (s *Service) List(ctx context.Context, before string, limit int) ([]db.Webhook, error) {
	return s.o.DB.Read(ctx).ListWebhooks(caller.Of(ctx).UserID, before, limit)
}

// Change is what an owner changes of a webhook; nil stays.
type Change struct {
	URL    *string
	Events *[]string
	Active *bool
}

// Update makes the change. To make it active again forgives a webhook that it was disabled.
func (s *Service) Update(ctx context.Context, id string, c Change) (w db.Webhook, err error) {
	err = s.edit(ctx, id, "webhook.update", func(row *db.Webhook) error {
		if c.URL != nil {
			row.URL = *c.URL
		}
		if c.Events != nil {
			row.Events = *c.Events
		}
		if c.Active != nil {
			if row.Active = *c.Active; row.Active {
				row.FailingSince, row.DisabledAt = nil, nil
			}
		}
		err := s.check(caller.Of(ctx), row)
		w = *row
		return err
	})
	return w, err
}

// Rotate gives a webhook a new secret, which is nowhere else. The old one signs beside it for a day.
func (s *Service) Rotate(ctx context.Context, id string) (w db.Webhook, secret string, err error) {
	err = s.edit(ctx, id, "webhook.rotate", func(row *db.Webhook) error {
		if err := s.check(caller.Of(ctx), row); err != nil { // a token that may keep webhooks may not keep those of the site
			return err
		}
		old, err := s.o.Secrets.Open(purpose(id), row.SecretEnc)
		if err != nil {
			return err
		}
		secret = newSecret()
		row.OldSecretEnc, row.OldUntil = s.o.Secrets.Seal(purpose(id), old), db.AtPtr(s.o.Now().Add(rotation))
		row.SecretEnc, row.Hint = s.o.Secrets.Seal(purpose(id), secret), secret[len(secret)-4:]
		w = *row
		return nil
	})
	return w, secret, err
}

// edit changes one of the caller's webhooks.
func (s *Service) edit(ctx context.Context, id, action string, change func(row *db.Webhook) error) error {
	return s.o.DB.Tx(ctx, func(q db.Queries) error {
		row, err := s.own(ctx, q, id)
		if err != nil {
			return err
		}
		row.UpdatedAt = db.At(s.o.Now())
		if err := change(&row); err != nil {
			return err
		}
		if err := q.SaveWebhook(row); err != nil {
			return err
		}
		return s.note(ctx, q, action, row)
	})
}

// own finds one of the caller's webhooks. Those of others are not there.
func (s *Service) own(ctx context.Context, q db.Queries, id string) (db.Webhook, error) {
	w, err := q.FindWebhook(id)
	if errors.Is(err, db.ErrNotFound) || err == nil && w.OwnerID != caller.Of(ctx).UserID {
		return db.Webhook{}, notFound()
	}
	return w, err
}

// Get finds one of the caller's webhooks.
func (s *Service) Get(ctx context.Context, id string) (db.Webhook, error) {
	return s.own(ctx, s.o.DB.Read(ctx), id)
}

// Delete takes a webhook away, with its deliveries.
func (s *Service) Delete(ctx context.Context, id string) error {
	return s.o.DB.Tx(ctx, func(q db.Queries) error {
		w, err := s.own(ctx, q, id)
		if err != nil {
			return err
		}
		if err := q.DeleteWebhook(id); err != nil {
			return err
		}
		return s.note(ctx, q, "webhook.delete", w)
	})
}

// Deliveries lists those of one of the caller's webhooks, the newest first, with ids smaller than before.
func (s *Service) Deliveries(ctx context.Context, id, before string, limit int) ([]db.Delivery, error) {
	q := s.o.DB.Read(ctx)
	if _, err := s.own(ctx, q, id); err != nil {
		return nil, err
	}
	return q.ListDeliveries(id, before, limit)
}
