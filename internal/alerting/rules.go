package alerting

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

const (
	// Pace is how often is sampled and evaluated where a group does not say.
	Pace = 15 * time.Second
	// lookback is for how long a sample stands for what comes after it, as in Prometheus.
	lookback = 5 * time.Minute
	// farthest is how far back a rule may look: the same hour a week ago, and a day.
	farthest = 8 * 24 * time.Hour
	// maxRules bounds a file.
	maxRules = 500
	// maxOfRule is how many alerts a rule may have at the same time where its group has no limit.
	maxOfRule = 20
	// maxSummary is how many bytes of a summary are kept.
	maxSummary = 500
)

// Rule is an alerting rule.
type Rule struct {
	Name     string
	Severity string
	// Site says that the metric is the same on all nodes, so one of them alerts for all: the label scope is site.
	Site   bool
	Expr   string
	Labels map[string]string // beside those of the sample
	// For is how long the expression must hold before the alert fires, KeepFiringFor how long not before it is resolved.
	For, KeepFiringFor time.Duration

	every   time.Duration
	limit   int
	back    time.Duration // how far it looks back
	summary *template.Template
}

// Rules are what a file has.
type Rules struct {
	list  []*Rule
	needs map[string]time.Duration // by metric: how far back it is looked at
	pace  time.Duration
}

// Pace is how often metrics are to be taken.
func (r *Rules) Pace() time.Duration { return r.pace }

// Len is how many there are.
func (r *Rules) Len() int { return len(r.list) }

// Rule finds one by its name; nil: there is none.
func (r *Rules) Rule(name string) *Rule {
	for _, one := range r.list {
		if one.Name == name {
			return one
		}
	}
	return nil
}

type file struct {
	Groups []group `yaml:"groups"`
}

type group struct {
	Name     string            `yaml:"name"`
	Interval string            `yaml:"interval"`
	Limit    int               `yaml:"limit"`
	Labels   map[string]string `yaml:"labels"`
	Rules    []rule            `yaml:"rules"`
}

type rule struct {
	Alert         string            `yaml:"alert"`
	Expr          string            `yaml:"expr"`
	For           string            `yaml:"for"`
	KeepFiringFor string            `yaml:"keep_firing_for"`
	Labels        map[string]string `yaml:"labels"`
	Annotations   map[string]string `yaml:"annotations"`
}

// Parse reads a file of rules for Prometheus. What it cannot do here it refuses by name, so that no rule is silently without effect.
func Parse(text []byte) (*Rules, error) {
	var f file
	if err := yaml.UnmarshalWithOptions(text, &f, yaml.Strict()); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("rules: %s", yaml.FormatError(err, false, false))
	}
	r := &Rules{needs: map[string]time.Duration{}, pace: Pace}
	for _, g := range f.Groups {
		every, err := duration(g.Interval, Pace)
		if err != nil || every < time.Second {
			return nil, fmt.Errorf("rules: group %s: interval: a time such as 15s, 1s at least", g.Name)
		}
		r.pace = min(r.pace, every)
		for _, one := range g.Rules {
			made, err := r.rule(one, g, every)
			if err != nil {
				return nil, fmt.Errorf("rules: %s: %w", one.Alert, err)
			}
			r.list = append(r.list, made)
		}
	}
	if len(r.list) > maxRules {
		return nil, fmt.Errorf("rules: there are %d; %d is the most", len(r.list), maxRules)
	}
	return r, nil
}

func (r *Rules) rule(one rule, g group, every time.Duration) (*Rule, error) {
	if one.Alert == "" {
		return nil, errors.New("a rule without alert: recording rules are not evaluated here")
	}
	if r.Rule(one.Alert) != nil {
		return nil, errors.New("there are two of that name")
	}
	made := &Rule{Name: one.Alert, Expr: strings.TrimSpace(one.Expr), Labels: map[string]string{}, every: every, limit: maxOfRule, Severity: "warning"}
	if g.Limit > 0 {
		made.limit = min(g.Limit, maxActive)
	}
	for _, from := range []map[string]string{g.Labels, one.Labels} {
		for name, value := range from {
			if strings.Contains(value, "{{") {
				return nil, fmt.Errorf("labels.%s: labels of a rule are constant here", name)
			}
			made.Labels[name] = value
		}
	}
	if severity := made.Labels["severity"]; severity != "" {
		made.Severity = severity
	}
	made.Site = made.Labels["scope"] == "site"
	var err error
	if made.For, err = duration(one.For, 0); err != nil {
		return nil, fmt.Errorf("for: %w", err)
	}
	if made.KeepFiringFor, err = duration(one.KeepFiringFor, 0); err != nil {
		return nil, fmt.Errorf("keep_firing_for: %w", err)
	}
	// Also where the rule says nothing one reading too few does not resolve it: each change is an event, and goes to webhooks.
	made.KeepFiringFor = max(made.KeepFiringFor, 4*every)
	text := one.Annotations["summary"]
	if text == "" {
		text = one.Annotations["description"]
	}
	if made.summary, err = template.New(one.Alert).Parse("{{$labels := .Labels}}{{$value := .Value}}" + text); err != nil {
		return nil, fmt.Errorf("summary: %w; there are $labels and $value, and no functions but Go's", err)
	}
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(made.Expr)
	if err != nil {
		return nil, fmt.Errorf("expr: %w", err)
	}
	if expr.Type() != parser.ValueTypeVector {
		return nil, fmt.Errorf("expr: it is a %s and no vector", parser.DocumentedType(expr.Type()))
	}
	made.back, err = r.need(expr)
	return made, err
}

// need notes what an expression looks at, and returns how far back that is.
func (r *Rules) need(expr parser.Expr) (farthestBack time.Duration, err error) {
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		v, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		name := nameOf(v.LabelMatchers)
		if name == "" {
			err = errors.New("expr: each selector has to name its metric")
			return err // which ends the walk
		}
		back, fixed := lookback+v.OriginalOffset, v.Timestamp != nil || v.StartOrEnd != 0
		before := v.OriginalOffset < 0
		for _, over := range path {
			switch o := over.(type) {
			case *parser.MatrixSelector:
				back += o.Range
			case *parser.SubqueryExpr:
				back += o.Range + o.OriginalOffset
				fixed = fixed || o.Timestamp != nil || o.StartOrEnd != 0
				before = before || o.OriginalOffset < 0
			}
		}
		switch {
		case fixed || before:
			err = fmt.Errorf("expr: %s: @ and negative offsets are not evaluated here", name)
		case back > farthest:
			err = fmt.Errorf("expr: %s: looks %s back; %s is the most", name, model.Duration(back), model.Duration(farthest))
		}
		r.needs[name] = max(r.needs[name], back)
		farthestBack = max(farthestBack, back)
		return err
	})
	return farthestBack, err
}

func nameOf(matchers []*labels.Matcher) string {
	i := slices.IndexFunc(matchers, func(m *labels.Matcher) bool { return m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual })
	if i < 0 {
		return ""
	}
	return matchers[i].Value
}

// duration reads Prometheus' 1d12h; "" is what stands for nothing.
func duration(text string, absent time.Duration) (time.Duration, error) {
	if text == "" {
		return absent, nil
	}
	d, err := model.ParseDuration(text)
	return time.Duration(d), err
}

// told is the summary for a sample.
func (r *Rule) told(of map[string]string, value float64) string {
	var b strings.Builder
	err := r.summary.Execute(&b, struct {
		Labels map[string]string
		Value  float64
	}{of, value})
	text := strings.ToValidUTF8(b.String(), "")
	if err != nil {
		text = fmt.Sprintf("%s (its summary cannot be written: %v)", r.Name, err)
	}
	if len(text) > maxSummary {
		text = strings.ToValidUTF8(text[:maxSummary], "")
	}
	return text
}
