// Package alert keeps what the server's own rules find wrong: rows that every node shows, events that webhooks take, who has seen it.
//
//	rules ──what fires now──► Sync ──► rows, alert.fired, alert.resolved
//
// A row is of the node that tells of it. One that every node would tell of (its label scope is site) is told of by the first that sees it, and by the
// next once that one is gone. What a node had when it ended is taken up by its next run, and resolved by others where there is none.
package alert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"time"

	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/store/db"
	"mediad/store/event"
)

const (
	// maxChanges bounds what one Sync fires and resolves; the rest follows with the next. Each is an event, and goes to webhooks.
	maxChanges = 20
	// again is how often one that another node tells of is looked at, and how often those of nodes that are gone are.
	again = time.Minute
	// patience is for how long a node has to be gone before others resolve what it told of: it may be starting.
	patience = 2 * time.Minute
	// keep is how long what is resolved can be seen, and keepOf how many.
	keep   = 30 * 24 * time.Hour
	keepOf = 10_000
)

// Firing is what a rule finds.
type Firing struct {
	Rule, Severity, Summary string
	Labels                  map[string]string
	Value                   float64
	Since                   time.Time
}

// Options of New.
type Options struct {
	DB    *db.DB
	Audit *audit.Log
	// Host names this node over all its runs, Node this run as heartbeats have it.
	Host string
	Node func() string
	Now  func() time.Time
	Log  *slog.Logger
}

// Service keeps alerts. Load and Sync are called by one goroutine; the rest by any.
type Service struct {
	o      Options
	mine   map[string]string    // ids of what this node tells of, by fingerprint
	others map[string]time.Time // what another node tells of: when to look again
	gone   map[string]time.Time // nodes that are not there: since when
	swept  time.Time
}

// New makes the service. It starts nothing.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.DB.Engine() == db.SQLite {
		o.Host = "" // nobody else has the database, and the names of containers change
	}
	return &Service{o: o, mine: map[string]string{}, others: map[string]time.Time{}, gone: map[string]time.Time{}}
}

// fingerprint is the same for what is told of the same, by this node or, for the whole site, by any.
func (s *Service) fingerprint(rule string, labels map[string]string) string {
	host := s.o.Host
	if labels["scope"] == "site" {
		host = ""
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00", host, rule)
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(h, "%s\x00%s\x00", name, labels[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Load takes up what a former run of this node told of. restore is called with each, and says whether its rule is still there, and whether
// the alert was taken up. What has no rule is resolved; what was not taken up is left to sweep.
func (s *Service) Load(ctx context.Context, restore func(db.Alert) (known, taken bool)) error {
	rows, err := s.o.DB.Write(ctx).ListFiring()
	if err != nil || len(rows) == 0 {
		return err
	}
	alive, err := s.alive(ctx)
	if err != nil {
		return err
	}
	for _, a := range rows {
		if fp := s.fingerprint(a.Rule, a.Labels); fp != a.Fingerprint || alive[a.Node] && a.Node != s.o.Node() || s.mine[fp] != "" {
			continue
		}
		switch known, taken := restore(a); {
		case !known:
			err = s.resolve(ctx, a, db.AlertRuleGone)
		case !taken:
			continue
		default:
			if err = s.o.DB.Tx(ctx, func(q db.Queries) error { return q.AdoptAlert(a.ID, a.Node, s.o.Node()) }); err == nil {
				s.mine[a.Fingerprint] = a.ID
			}
		}
		if err != nil && !errors.Is(err, db.ErrNotFound) { // another node was quicker
			return err
		}
	}
	return nil
}

// alive are the nodes that work, or did until lately.
func (s *Service) alive(ctx context.Context) (map[string]bool, error) {
	alive := map[string]bool{s.o.Node(): true}
	if s.o.DB.Engine() == db.SQLite {
		return alive, nil
	}
	beats, err := s.o.DB.Write(ctx).ListHeartbeats()
	for _, b := range beats {
		alive[b.Node] = true
	}
	return alive, err
}

// Sync brings the rows in line with what fires on this node. What fails is done by the next call.
func (s *Service) Sync(ctx context.Context, firing []Firing) error {
	now, changes := s.o.Now(), 0
	wanted := make(map[string]Firing, len(firing))
	for _, f := range firing {
		wanted[s.fingerprint(f.Rule, f.Labels)] = f
	}
	for _, fp := range slices.Sorted(maps.Keys(s.mine)) {
		if _, is := wanted[fp]; is || changes == maxChanges {
			continue
		}
		changes++
		if err := s.clear(ctx, fp); err != nil {
			return err
		}
	}
	maps.DeleteFunc(s.others, func(fp string, _ time.Time) bool { _, is := wanted[fp]; return !is })
	for _, f := range firing {
		fp := s.fingerprint(f.Rule, f.Labels)
		if s.mine[fp] != "" || now.Before(s.others[fp]) || changes == maxChanges {
			continue
		}
		changes++
		if err := s.fire(ctx, fp, f); err != nil {
			return err
		}
	}
	if now.Sub(s.swept) < again {
		return nil
	}
	s.swept = now
	return s.sweep(ctx, wanted)
}

// clear resolves what this node told of.
func (s *Service) clear(ctx context.Context, fp string) error {
	a, err := s.o.DB.Write(ctx).FindAlert(s.mine[fp])
	if err == nil {
		err = s.resolve(ctx, a, db.AlertCleared)
	}
	if err != nil && !errors.Is(err, db.ErrNotFound) { // somebody resolved it, or it was deleted
		return err
	}
	delete(s.mine, fp)
	return nil
}

// fire stores what fires, unless it fires already.
func (s *Service) fire(ctx context.Context, fp string, f Firing) error {
	id, err := db.NewID()
	if err != nil {
		return err
	}
	alive, err := s.alive(ctx)
	if err != nil {
		return err
	}
	a := db.Alert{
		ID: id, Fingerprint: fp, Rule: f.Rule, Severity: f.Severity, Summary: f.Summary, Labels: f.Labels, Node: s.o.Node(), State: db.AlertFiring,
		Value: finite(f.Value), FiredAt: db.At(f.Since),
	}
	made, other := false, ""
	err = s.o.DB.Tx(ctx, func(q db.Queries) (err error) {
		other = ""
		if made, err = q.FireAlert(a); err != nil {
			return err
		}
		if made {
			return s.emit(q, event.AlertFired, a)
		}
		before, err := q.FindFiring(fp)
		switch {
		case errors.Is(err, db.ErrNotFound): // resolved just now
			other = "?"
			return nil
		case err != nil:
			return err
		case before.Node != s.o.Node() && alive[before.Node]:
			other = before.Node
			return nil
		case before.Node != s.o.Node():
			err = q.AdoptAlert(before.ID, before.Node, s.o.Node())
		}
		id = before.ID
		return err
	})
	switch {
	case err != nil:
		return err
	case other == "?":
	case other != "":
		s.others[fp] = s.o.Now().Add(again)
	default:
		s.mine[fp] = id
	}
	if made {
		s.o.Log.Warn("alert: "+f.Summary, "alert", f.Rule, "severity", f.Severity, "labels", f.Labels, "value", f.Value)
	}
	return nil
}

// resolve ends one that fires, whoever tells of it. ErrNotFound where it does not fire any more.
func (s *Service) resolve(ctx context.Context, a db.Alert, resolution string) error {
	a.State, a.Resolution, a.ResolvedAt = db.AlertResolved, resolution, db.AtPtr(s.o.Now())
	err := s.o.DB.Tx(ctx, func(q db.Queries) error {
		if err := q.ResolveAlert(a.ID, a.Node, resolution, *a.ResolvedAt); err != nil {
			return err
		}
		return s.emit(q, event.AlertResolved, a)
	})
	if err == nil {
		s.o.Log.Info("alert resolved", "alert", a.Rule, "labels", a.Labels, "resolution", resolution)
	}
	return err
}

// sweep resolves what was told of by nodes that are gone, and finds again what this one lost sight of when an answer of the database was lost.
func (s *Service) sweep(ctx context.Context, wanted map[string]Firing) error {
	rows, err := s.o.DB.Write(ctx).ListFiring()
	if err != nil {
		return err
	}
	alive, err := s.alive(ctx)
	if err != nil {
		return err
	}
	now, seen, changes := s.o.Now(), map[string]bool{}, 0
	for _, a := range rows {
		switch {
		case a.Node == s.o.Node():
			if _, is := wanted[a.Fingerprint]; !is && s.mine[a.Fingerprint] == "" {
				s.mine[a.Fingerprint] = a.ID
			}
			continue
		case alive[a.Node]:
			continue
		}
		seen[a.Node] = true
		if s.gone[a.Node].IsZero() {
			s.gone[a.Node] = now
		}
		if now.Sub(s.gone[a.Node]) < patience || changes == maxChanges {
			continue
		}
		changes++
		if err := s.resolve(ctx, a, db.AlertNodeGone); err != nil && !errors.Is(err, db.ErrNotFound) {
			return err
		}
	}
	maps.DeleteFunc(s.gone, func(node string, _ time.Time) bool { return !seen[node] })
	return nil
}

// Told is what events say of an alert.
type Told struct {
	ID         string            `json:"alert_id"`
	Rule       string            `json:"rule"`
	Severity   string            `json:"severity"`
	Summary    string            `json:"summary"`
	Labels     map[string]string `json:"labels"`
	Node       string            `json:"node"`
	Value      *float64          `json:"value"`
	FiredAt    string            `json:"fired_at"`
	ResolvedAt string            `json:"resolved_at,omitempty"`
	Resolution string            `json:"resolution,omitempty"`
}

func (s *Service) emit(q db.Queries, kind string, a db.Alert) error {
	told := Told{
		ID: a.ID, Rule: a.Rule, Severity: a.Severity, Summary: a.Summary, Labels: a.Labels, Node: a.Node, Value: finite(deref(a.Value)),
		FiredAt: problem.Stamp(a.FiredAt.Time()), Resolution: a.Resolution,
	}
	at := a.FiredAt.Time()
	if a.ResolvedAt != nil {
		at = a.ResolvedAt.Time()
		told.ResolvedAt = problem.Stamp(at)
	}
	return event.Emit(q, event.Event{Type: kind, Key: event.Alert(a.ID), Data: told}, at)
}

// finite is a number that JSON has; nil: it is none.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func deref(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

// List lists the newest first, with ids smaller than before. state "": in any.
func (s *Service) List(ctx context.Context, state, before string, limit int) ([]db.Alert, error) {
	return s.o.DB.Read(ctx).ListAlerts(state, before, limit)
}

// Ack notes that the caller has seen an alert. Who was first stays.
func (s *Service) Ack(ctx context.Context, id string) (a db.Alert, err error) {
	who := caller.Of(ctx)
	err = s.o.DB.Tx(ctx, func(q db.Queries) error {
		if a, err = q.FindAlert(id); err != nil || a.AckedAt != nil {
			return err
		}
		a.AckedAt, a.AckedBy = db.AtPtr(s.o.Now()), who.UserID
		if err := q.AckAlert(id, a.AckedBy, *a.AckedAt); err != nil {
			return err
		}
		return s.o.Audit.Add(ctx, q, audit.Entry{
			Action: "alert.ack", TargetType: "alert", TargetID: id, After: map[string]any{"rule": a.Rule, "state": a.State},
		})
	})
	if errors.Is(err, db.ErrNotFound) {
		err = problem.New(problem.NotFound, "There is no such alert, or no more.")
	}
	return a, err
}

// Tidy deletes what was resolved long ago. It is for a job, once an hour.
func (s *Service) Tidy(ctx context.Context) (gone int64, err error) {
	before := db.At(s.o.Now().Add(-keep))
	if at, err := s.o.DB.Read(ctx).AlertBeyond(keepOf); err != nil {
		return 0, err
	} else if at > 0 {
		before = max(before, at+1)
	}
	const some = 500
	for {
		n, err := s.o.DB.Write(ctx).DeleteAlerts(before, some)
		if err != nil || n < some {
			return 0, err
		}
	}
}
