package alerting

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/configs"
)

func TestRulesAreReadAsPrometheusReadsThem(t *testing.T) {
	rules, err := Parse([]byte(`
groups:
  - name: g
    interval: 30s
    limit: 3
    labels: {team: video}
    rules:
      - alert: Drops
        expr: sum by (kind) (rate(a_total[1d] offset 15m)) > 10 and avg_over_time(b[1h:1m] offset 5m) > 1
        for: 1m30s
        keep_firing_for: 1d
        labels: {severity: critical, scope: site}
        annotations: {summary: "{{ $labels.kind }} at {{ printf \"%.1f\" $value }}", runbook_url: "https://example.org"}
  - name: h
    rules:
      - alert: Slow
        expr: histogram_quantile(0.9, c_bucket) > 1
`))
	require.NoError(t, err)
	require.Equal(t, 2, rules.Len())
	require.Equal(t, Pace, rules.Pace())
	r := rules.Rule("Drops")
	require.Equal(t, 90*time.Second, r.For)
	require.Equal(t, 24*time.Hour, r.KeepFiringFor)
	require.Equal(t, map[string]string{"severity": "critical", "scope": "site", "team": "video"}, r.Labels)
	require.True(t, r.Site)
	require.Equal(t, 3, r.limit)
	require.Equal(t, "x at 2.5", r.told(map[string]string{"kind": "x"}, 2.5))
	require.Equal(t, "warning", rules.Rule("Slow").Severity)
	require.Equal(t, time.Minute, rules.Rule("Slow").KeepFiringFor, "one reading resolves nothing")
	require.Equal(t, map[string]time.Duration{
		"a_total": 24*time.Hour + 20*time.Minute, "b": 70 * time.Minute, "c_bucket": 5 * time.Minute,
	}, rules.needs)
}

func TestWhatCannotBeEvaluatedIsRefusedByName(t *testing.T) {
	rule := func(more string) string { return "groups: [{name: g, rules: [{" + more + "}]}]" }
	for text, want := range map[string]string{
		"groups: {":                                                     "rules:",
		"groups: [{name: g, rule: []}]":                                 "rule",
		rule("record: a, expr: b"):                                      "record",
		rule("expr: a"):                                                 "recording rules",
		rule("alert: A, expr: 'a >'"):                                   "A: expr",
		rule("alert: A, expr: '1'"):                                     "scalar",
		rule("alert: A, expr: '{job=\"x\"}'"):                           "name its metric",
		rule("alert: A, expr: 'a[5m] @ 5'"):                             "range vector",
		rule("alert: A, expr: 'rate(a[5m] @ 5)'"):                       "@",
		rule("alert: A, expr: 'a offset -5m'"):                          "negative",
		rule("alert: A, expr: 'a offset 60d'"):                          "8d is the most",
		rule("alert: A, expr: a, for: soon"):                            "for",
		rule("alert: A, expr: a, labels: {b: '{{ $value }}'}"):          "constant",
		rule("alert: A, expr: a, annotations: {summary: '{{ nope }}'}"): "summary",
		rule("alert: A, expr: a},{alert: A, expr: a"):                   "two of that name",
		"groups: [{name: g, interval: 10ms, rules: []}]":                "interval",
	} {
		_, err := Parse([]byte(text))
		require.Error(t, err, text)
		require.ErrorContains(t, err, want, text)
	}
	rules, err := Parse(nil)
	require.NoError(t, err)
	require.Zero(t, rules.Len())
	long, err := Parse([]byte(rule("alert: A, expr: a, annotations: {summary: '" + strings.Repeat("ü", 900) + "'}")))
	require.NoError(t, err)
	require.LessOrEqual(t, len(long.Rule("A").told(nil, 0)), maxSummary)
}

func TestTheServersOwnRulesAreEvaluated(t *testing.T) {
	rules, err := Parse(configs.AlertRules)
	require.NoError(t, err)
	require.Greater(t, rules.Len(), 18)
	require.True(t, rules.Rule("MediadJobsWait").Site)
}
