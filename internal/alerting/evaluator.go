package alerting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

const (
	// maxActive is how many alerts may be pending or firing at the same time.
	maxActive = 200
	// queryLimit bounds one rule, and maxSamples what it may hold in memory.
	queryLimit = 2 * time.Second
	maxSamples = 1_000_000
	// graceMost is for how long at most an alert of a former run stands until the new one knows better.
	graceMost = 15 * time.Minute
)

// Alert is one that fires.
type Alert struct {
	Rule    *Rule
	Labels  map[string]string
	Summary string
	Value   float64
	Since   time.Time // it fires
}

// active is an alert that is pending or fires.
type active struct {
	Alert
	firing  bool
	began   time.Time // the expression holds since
	cleared time.Time // it does not since; zero: it holds
	until   time.Time // one of a former run stands until then
}

// State is what can be told of an Evaluator.
type State struct {
	Firing    map[string]int // by severity
	Series    int
	Cut       int // metrics that rules name and that there was no room for, at the last reading
	Took      time.Duration
	Failures  uint64 // rules that could not be evaluated, since the start
	Evaluated uint64 // rules, since the start
}

// Evaluator evaluates rules. See the package.
type Evaluator struct {
	rules  *Rules
	store  *Store
	engine *promql.Engine
	log    *slog.Logger

	began  time.Time
	zero   int64 // began in milliseconds
	active map[string]*active
	due    map[*Rule]time.Time
	warned map[string]bool // what was told in the log and goes on
	told   State
	state  atomic.Pointer[State]
}

// New makes one. now is the time of the first reading, or before; its clock may be set meanwhile.
func New(rules *Rules, now time.Time, log *slog.Logger) *Evaluator {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	e := &Evaluator{
		rules: rules, store: newStore(rules), log: log, began: now, zero: now.UnixMilli(), active: map[string]*active{}, due: map[*Rule]time.Time{}, warned: map[string]bool{},
		engine: promql.NewEngine(promql.EngineOpts{
			MaxSamples: maxSamples, Timeout: queryLimit, LookbackDelta: lookback,
			NoStepSubqueryIntervalFn: func(int64) int64 { return rules.pace.Milliseconds() },
		}),
	}
	e.tell()
	return e
}

// moment is now as samples have it. It only rises, whatever is done to the clock.
func (e *Evaluator) moment(now time.Time) int64 { return e.zero + now.Sub(e.began).Milliseconds() }

// Take adds what was gathered at a moment.
func (e *Evaluator) Take(now time.Time, families []*dto.MetricFamily) {
	e.store.take(e.moment(now), families)
	e.warn("room", e.store.cut > 0, "alert rules look at more metrics than there is room for; some are left out", "left_out", e.store.cut, "series", e.store.series)
	e.tell()
}

// Evaluate evaluates the rules that are due, and returns what fires then, by key. What a rule that fails said before stands.
func (e *Evaluator) Evaluate(ctx context.Context, now time.Time) []Alert {
	begun := time.Now()
	for _, r := range e.rules.list {
		if now.Before(e.due[r]) {
			continue
		}
		// A little before, so that a reading that comes early is not one too few.
		e.due[r] = now.Add(r.every - e.rules.pace/2)
		err := e.rule(ctx, r, now)
		if ctx.Err() != nil {
			break
		}
		e.told.Evaluated++
		if err != nil {
			e.told.Failures++
		}
		e.warn("rule "+r.Name, err != nil, "an alert rule cannot be evaluated", "rule", r.Name, "error", err)
	}
	e.told.Took = time.Since(begun)
	e.tell()
	return e.Firing()
}

// Firing is what fires, by key.
func (e *Evaluator) Firing() []Alert {
	var firing []Alert
	for _, key := range slices.Sorted(maps.Keys(e.active)) {
		if a := e.active[key]; a.firing {
			firing = append(firing, a.Alert)
		}
	}
	return firing
}

// State is as it was told last. It may be called from any goroutine.
func (e *Evaluator) State() State { return *e.state.Load() }

func (e *Evaluator) tell() {
	s := e.told
	s.Firing = map[string]int{"info": 0, "warning": 0, "critical": 0}
	for _, a := range e.active {
		if a.firing {
			s.Firing[a.Rule.Severity]++
		}
	}
	s.Series, s.Cut = e.store.series, e.store.cut
	e.state.Store(&s)
}

// warn logs what begins, once.
func (e *Evaluator) warn(what string, is bool, text string, args ...any) {
	if is && !e.warned[what] {
		e.log.Warn(text, args...)
	}
	if is {
		e.warned[what] = true
	} else {
		delete(e.warned, what)
	}
}

// Restore has an alert of a former run fire on, until this one knows whether it is so: for as long as its rule needs to tell. It says whether
// there is such a rule, and whether the alert was taken up: no more than maxActive are.
func (e *Evaluator) Restore(rule string, of map[string]string, summary string, value float64, since, now time.Time) (known, taken bool) {
	r := e.rules.Rule(rule)
	if r == nil {
		return false, false
	}
	key := keyOf(rule, of)
	if e.active[key] == nil && len(e.active) >= maxActive {
		return true, false
	}
	e.active[key] = &active{
		Alert:  Alert{r, of, summary, value, since},
		firing: true, began: since, cleared: now, until: now.Add(min(r.For+r.back, graceMost) + 2*e.rules.pace),
	}
	e.tell()
	return true, true
}

// keyOf names an alert: its rule and labels.
func keyOf(rule string, of map[string]string) string {
	var b strings.Builder
	b.WriteString(rule)
	for _, name := range slices.Sorted(maps.Keys(of)) {
		fmt.Fprintf(&b, "\x00%s\x00%s", name, of[name])
	}
	return b.String()
}

var errLimit = errors.New("more alerts at the same time than are allowed; the rest is left out")

// rule evaluates one, and brings its alerts up to date as Prometheus does.
func (e *Evaluator) rule(ctx context.Context, r *Rule, now time.Time) error {
	q, err := e.engine.NewInstantQuery(ctx, e.store, nil, r.Expr, time.UnixMilli(e.moment(now)))
	if err != nil {
		return err
	}
	defer q.Close()
	result := q.Exec(ctx)
	vector, err := result.Vector()
	if err != nil {
		return err
	}
	seen, of := map[string]bool{}, 0
	for _, a := range e.active {
		if a.Rule == r {
			of++
		}
	}
	for _, sample := range vector {
		if math.IsNaN(sample.F) {
			continue // nobody can say what it is
		}
		labels := r.labelled(sample.Metric)
		key := keyOf(r.Name, labels)
		seen[key] = true
		a := e.active[key]
		if a == nil {
			if of >= r.limit || len(e.active) >= maxActive {
				err = errLimit
				continue
			}
			of++
			a = &active{Alert: Alert{Rule: r, Labels: labels}, began: now}
			e.active[key] = a
		}
		a.Value, a.Summary, a.cleared = sample.F, r.told(sample.Metric.Map(), sample.F), time.Time{}
		if !a.firing && now.Sub(a.began) >= r.For {
			a.firing, a.Since = true, now
		}
	}
	for key, a := range e.active {
		if a.Rule != r || seen[key] {
			continue
		}
		if a.cleared.IsZero() {
			a.cleared = now
		}
		if !a.firing || now.Sub(a.cleared) >= r.KeepFiringFor && !now.Before(a.until) {
			delete(e.active, key)
		}
	}
	return err
}

// labelled are the labels of an alert: those of the sample, and over them those of the rule.
func (r *Rule) labelled(of labels.Labels) map[string]string {
	all := map[string]string{}
	of.Range(func(l labels.Label) {
		if l.Name != model.MetricNameLabel {
			all[l.Name] = l.Value
		}
	})
	maps.Copy(all, r.Labels)
	return all
}
