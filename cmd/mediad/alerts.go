package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"mediad/api/alert"
	"mediad/configs"
	"mediad/internal/alerting"
	"mediad/internal/metrics"
	"mediad/store/db"
)

const (
	// rulesOff is what alerts.rules says where no rules are evaluated.
	rulesOff = "off"
	// alertTimeout bounds what is written of alerts at a reading.
	alertTimeout = 10 * time.Second
)

// alertRules are those that the configuration names; nil: none.
func alertRules(c *configs.Config) (*alerting.Rules, error) {
	text := configs.AlertRules
	switch c.Alerts.Rules {
	case rulesOff:
		return nil, nil //nolint:nilnil // there are none, and that is no error
	case "":
	default:
		own, err := os.ReadFile(c.Alerts.Rules)
		if err != nil {
			return nil, fmt.Errorf("alerts.rules: %w", err)
		}
		text = own
	}
	rules, err := alerting.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("alerts.rules: %w", err)
	}
	return rules, nil
}

// readings gathers the metrics, and hands them to who looks at how they change.
//
//	registry ──each pace──► samples, for the overview
//	                   └──► rules ──► alerts: rows, events
type readings struct {
	registry prometheus.Gatherer
	samples  *samples
	alerts   *alertWatch // nil: no rules are evaluated
	now      func() time.Time
}

// Run gathers until ctx ends.
func (r *readings) Run(ctx context.Context) error {
	pace := sampleEvery
	if r.alerts != nil {
		pace = min(pace, r.alerts.pace)
	}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for sampled := (time.Time{}); ; {
		families, _ := r.registry.Gather() // what cannot be read is left out
		now := r.now()
		if now.Sub(sampled) > sampleEvery-pace/2 {
			r.samples.add(now, families)
			sampled = now
		}
		if r.alerts != nil {
			r.alerts.read(ctx, now, families)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// alertWatch evaluates the rules and has what they find stored. It belongs to the goroutine of readings.
type alertWatch struct {
	pace   time.Duration
	rules  *alerting.Evaluator
	alerts *alert.Service
	log    *slog.Logger

	loaded, failing bool
}

// newAlertWatch makes that of the configuration; nil: no rules are evaluated.
func (n *node) newAlertWatch(registry prometheus.Registerer) (*alertWatch, error) {
	rules, err := alertRules(n.config)
	if err != nil || rules == nil {
		return nil, err
	}
	w := &alertWatch{pace: rules.Pace(), rules: alerting.New(rules, n.now(), n.log), alerts: n.site.alerts, log: n.log}
	metrics.Alerts(registry, func() metrics.AlertState {
		s := w.rules.State()
		return metrics.AlertState{Firing: s.Firing, Series: s.Series, Cut: s.Cut, Took: s.Took, Evaluated: s.Evaluated, Failures: s.Failures}
	})
	return w, nil
}

// read evaluates what was gathered.
func (w *alertWatch) read(ctx context.Context, now time.Time, families []*dto.MetricFamily) {
	w.rules.Take(now, families)
	ctx, cancel := context.WithTimeout(ctx, alertTimeout)
	defer cancel()
	err := w.load(ctx, now)
	if err == nil {
		found := w.rules.Evaluate(ctx, now)
		firing := make([]alert.Firing, len(found))
		for i, a := range found {
			firing[i] = alert.Firing{Rule: a.Rule.Name, Severity: a.Rule.Severity, Summary: a.Summary, Labels: a.Labels, Value: a.Value, Since: a.Since}
		}
		if err = ctx.Err(); err == nil {
			err = w.alerts.Sync(ctx, firing)
		}
	}
	if err != nil && !w.failing && ctx.Err() == nil {
		w.log.Warn("alerts are not stored; it is tried again", "error", err)
	}
	w.failing = err != nil
}

// load takes up, once, what a former run told of.
func (w *alertWatch) load(ctx context.Context, now time.Time) error {
	if w.loaded {
		return nil
	}
	err := w.alerts.Load(ctx, func(a db.Alert) (known, taken bool) {
		value := 0.0
		if a.Value != nil {
			value = *a.Value
		}
		return w.rules.Restore(a.Rule, a.Labels, a.Summary, value, a.FiredAt.Time(), now)
	})
	w.loaded = err == nil
	return err
}
