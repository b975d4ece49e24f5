package alerting

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// names are the rules and labels of what fires.
func names(firing []Alert) (all []string) {
	for _, a := range firing {
		all = append(all, a.Rule.Name+a.Labels["of"])
	}
	return all
}

func TestAlertsFireAfterForAndAreResolvedAfterKeepFiringFor(t *testing.T) {
	e := New(parse(t, one("a > 5", `, for: 1m, keep_firing_for: 2m, labels: {severity: critical}, annotations: {summary: "{{ $labels.of }}: {{ $value }}"}`)), noon, nil)
	at := noon
	step := func(text string) []Alert {
		e.Take(at, metrics(t, text))
		firing := e.Evaluate(context.Background(), at)
		at = at.Add(Pace)
		return firing
	}
	high, low := `a{of="x"} 7`, `a{of="x"} 5`
	for range 3 {
		require.Empty(t, step(high))
	}
	require.Empty(t, step(low), "it did not last")
	for range 4 {
		require.Empty(t, step(high))
	}
	firing := step(high)
	require.Equal(t, []string{"Ax"}, names(firing))
	require.Equal(t, Alert{e.rules.list[0], map[string]string{"of": "x", "severity": "critical"}, "x: 7", 7, at.Add(-Pace)}, firing[0])
	require.Equal(t, 1, e.State().Firing["critical"])
	for range 8 {
		require.Len(t, step(low), 1, "it comes and goes")
	}
	require.Len(t, step(high), 1)
	for range 8 {
		require.Len(t, step(low), 1)
	}
	require.Empty(t, step(low))
	require.Empty(t, e.active)
	require.Zero(t, e.State().Firing["critical"])
}

func TestARuleThatFailsChangesNothingAndIsToldOnce(t *testing.T) {
	var log strings.Builder
	e := New(parse(t, one("a > on (of) group_left () b")), noon, slog.New(slog.NewTextHandler(&log, nil)))
	good := metrics(t, "a{of=\"x\"} 2\nb{of=\"x\"} 1")
	bad := metrics(t, "a{of=\"x\"} 2\nb{of=\"x\",more=\"1\"} 1\nb{of=\"x\",more=\"2\"} 1")
	e.Take(noon, good)
	require.Len(t, e.Evaluate(context.Background(), noon), 1)
	for i := range 3 {
		at := noon.Add(time.Duration(i+1) * Pace)
		e.Take(at, bad)
		require.Len(t, e.Evaluate(context.Background(), at), 1, "what it said before stands")
	}
	require.Equal(t, uint64(3), e.State().Failures)
	require.Equal(t, 1, strings.Count(log.String(), "cannot be evaluated"), log.String())
}

func TestAlertsOfARuleAreBounded(t *testing.T) {
	var log strings.Builder
	e := New(parse(t, one("a > 0")), noon, slog.New(slog.NewTextHandler(&log, nil)))
	var text strings.Builder
	for i := range 50 {
		fmt.Fprintf(&text, "a{of=\"%d\"} 1\n", i)
	}
	e.Take(noon, metrics(t, text.String()))
	require.Len(t, e.Evaluate(context.Background(), noon), maxOfRule)
	require.Contains(t, log.String(), "more alerts at the same time")
}

func TestAnAlertOfAFormerRunStandsUntilItIsKnown(t *testing.T) {
	e := New(parse(t, one("rate(a_total[2m]) > 1", ", for: 1m")), noon, nil)
	of := map[string]string{"of": "x"}
	known, taken := e.Restore("Gone", of, "", 1, noon, noon)
	require.False(t, known)
	require.False(t, taken)
	for _, of := range []map[string]string{of, {"of": "y"}} {
		known, taken = e.Restore("A", of, "was so", 3, noon.Add(-time.Hour), noon)
		require.True(t, known)
		require.True(t, taken)
	}
	var firing []Alert
	for i := range 80 { // 20 minutes
		at := noon.Add(time.Duration(i) * Pace)
		e.Take(at, metrics(t, fmt.Sprintf(`a_total{of="x"} %d`, 100*i)))
		firing = e.Evaluate(context.Background(), at)
		if at.Sub(noon) < 5*time.Minute {
			require.Len(t, firing, 2, "nobody knows better yet")
		}
	}
	require.Equal(t, []string{"Ax"}, names(firing))
	require.Equal(t, noon.Add(-time.Hour), firing[0].Since, "it is the same alert")
}

func TestAnAlertThatThereIsNoRoomForStillHasItsRule(t *testing.T) {
	e := New(parse(t, one("a > 0")), noon, nil)
	for i := range maxActive {
		_, taken := e.Restore("A", map[string]string{"of": fmt.Sprint(i)}, "", 1, noon, noon)
		require.True(t, taken)
	}
	known, taken := e.Restore("A", map[string]string{"of": "more"}, "", 1, noon, noon)
	require.True(t, known)
	require.False(t, taken)
	_, taken = e.Restore("A", map[string]string{"of": "0"}, "", 1, noon, noon)
	require.True(t, taken, "it takes no more room")
}

func TestGroupsHaveTheirOwnPace(t *testing.T) {
	rules := parse(t, `
groups:
  - {name: fast, interval: 1s, rules: [{alert: F, expr: a > 0}]}
  - {name: slow, interval: 1m, rules: [{alert: S, expr: a > 0}]}
`)
	require.Equal(t, time.Second, rules.Pace())
	e := New(rules, noon, nil)
	for i := range 60 {
		at := noon.Add(time.Duration(i) * time.Second)
		e.Take(at, metrics(t, "a 1"))
		e.Evaluate(context.Background(), at)
	}
	require.Equal(t, uint64(61), e.State().Evaluated)
}
