package alerting

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func parse(t testing.TB, text string) *Rules {
	t.Helper()
	rules, err := Parse([]byte(text))
	require.NoError(t, err)
	return rules
}

// one is a file with one rule of that expression.
func one(expr string, more ...string) string {
	return fmt.Sprintf("groups: [{name: g, rules: [{alert: A, expr: %q%s}]}]", expr, strings.Join(more, ""))
}

// metrics are what a text of Prometheus' format has.
func metrics(t testing.TB, text string) []*dto.MetricFamily {
	t.Helper()
	p := expfmt.NewTextParser(model.UTF8Validation)
	found, err := p.TextToMetricFamilies(strings.NewReader(text + "\n"))
	require.NoError(t, err)
	var all []*dto.MetricFamily
	for _, f := range found {
		all = append(all, f)
	}
	return all
}

// ask evaluates an expression of one sample at a moment.
func ask(t *testing.T, e *Evaluator, expr string, at time.Time) (float64, bool) {
	t.Helper()
	q, err := e.engine.NewInstantQuery(context.Background(), e.store, nil, expr, time.UnixMilli(e.moment(at)))
	require.NoError(t, err)
	defer q.Close()
	vector, err := q.Exec(context.Background()).Vector()
	require.NoError(t, err)
	if len(vector) == 0 {
		return 0, false
	}
	require.Len(t, vector, 1)
	return vector[0].F, true
}

func TestHistogramsAreKeptAsPrometheusSeesThem(t *testing.T) {
	registry := prometheus.NewRegistry()
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "took", Buckets: []float64{0.5, 1}}, []string{"route"})
	unwanted := prometheus.NewGauge(prometheus.GaugeOpts{Name: "other"})
	registry.MustRegister(h, unwanted)
	e := New(parse(t, one("histogram_quantile(0.5, rate(took_bucket[1m])) > 0 and took_count > 0 and took_sum > 0")), noon, nil)
	for i := range 9 {
		h.WithLabelValues("/a").Observe(0.75)
		families, err := registry.Gather()
		require.NoError(t, err)
		e.Take(noon.Add(time.Duration(i)*Pace), families)
	}
	at := noon.Add(8 * Pace)
	got, ok := ask(t, e, "histogram_quantile(0.5, rate(took_bucket[1m]))", at)
	require.True(t, ok)
	require.InDelta(t, 0.75, got, 1e-9)
	got, _ = ask(t, e, `took_bucket{le="1.0",route="/a"}`, at)
	require.InDelta(t, 9, got, 0)
	got, _ = ask(t, e, `took_bucket{le="+Inf"}`, at)
	require.InDelta(t, 9, got, 0)
	got, _ = ask(t, e, `took_sum`, at)
	require.InDelta(t, 9*0.75, got, 1e-9)
	require.Equal(t, 5, e.State().Series)
}

func TestADayIsKeptWithFewSamples(t *testing.T) {
	e := New(parse(t, one("rate(a_total[1d] offset 15m) > 0")), noon, nil)
	at := noon
	for i := range 6000 { // 25 hours
		at = noon.Add(time.Duration(i) * Pace)
		e.Take(at, metrics(t, fmt.Sprintf("a_total %d", 30*i)))
	}
	got, ok := ask(t, e, "rate(a_total[1d] offset 15m)", at)
	require.True(t, ok)
	require.InDelta(t, 2, got, 0.02)
	// Every moment has a sample that stands for it, however long ago.
	for back := time.Duration(0); back < 24*time.Hour; back += 47 * time.Second {
		got, ok := ask(t, e, fmt.Sprintf("a_total offset %ds", int(back.Seconds())), at)
		require.True(t, ok, back)
		require.InDelta(t, 2*at.Add(-back).Sub(noon).Seconds(), got, 2*coarse.Seconds()+30, back)
	}
	require.Less(t, e.store.byName["a_total"][0].len(), 700)
	require.LessOrEqual(t, e.store.byName["a_total"][0].len(), e.store.points)
}

func TestWhatIsThereNoMoreIsNotSeenAndThenForgotten(t *testing.T) {
	e := New(parse(t, one("a > 0")), noon, nil)
	both := metrics(t, "a{of=\"x\"} 1\na{of=\"y\"} 2")
	e.Take(noon, both)
	e.Take(noon.Add(Pace), metrics(t, `a{of="y"} 2`))
	_, ok := ask(t, e, `a{of="x"}`, noon.Add(Pace))
	require.False(t, ok, "it is over, and not kept alive for five minutes")
	got, _ := ask(t, e, `a{of="y"}`, noon.Add(Pace))
	require.InDelta(t, 2, got, 0)
	require.Equal(t, 2, e.State().Series)
	at := noon.Add(7 * time.Minute)
	e.Take(at, metrics(t, `a{of="y"} 3`))
	require.Equal(t, 1, e.State().Series)
	require.Len(t, e.store.byName["a"], 1)
	require.Equal(t, e.store.byName["a"][0].kind.fine, e.store.points, "its room is free again")
	e.Take(at.Add(Pace), both)
	got, _ = ask(t, e, `sum(a)`, at.Add(Pace))
	require.InDelta(t, 3, got, 0)
}

func TestTheStoreIsBounded(t *testing.T) {
	e := New(parse(t, one("a > 0")), noon, nil)
	var text strings.Builder
	for i := range maxSeries + 500 {
		fmt.Fprintf(&text, "a{of=\"%d\"} 1\n", i)
	}
	e.Take(noon, metrics(t, text.String()))
	require.Equal(t, maxSeries, e.State().Series)
	require.Equal(t, 500, e.State().Cut)

	week := New(parse(t, one("a offset 1w > 0")), noon, nil)
	week.Take(noon, metrics(t, text.String()))
	require.LessOrEqual(t, week.store.points, maxPoints)
	require.Greater(t, week.State().Series, 100)
	require.Equal(t, maxSeries+500, week.State().Series+week.State().Cut)
}

func TestAReadingThatIsNotLaterIsLeftOut(t *testing.T) {
	e := New(parse(t, one("a > 0")), time.Now(), nil)
	e.Take(noon, metrics(t, "a 1"))
	first := e.store.last
	e.Take(noon.Add(-time.Hour), metrics(t, "a 2"))
	require.Equal(t, first, e.store.last)
	require.Equal(t, 1, e.store.byName["a"][0].len())
	require.False(t, math.IsNaN(e.store.byName["a"][0].at(0).v))
}
