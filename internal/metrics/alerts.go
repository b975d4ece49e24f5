package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// AlertState is how the server's own alert rules stand.
type AlertState struct {
	Firing    map[string]int // by severity
	Series    int
	Cut       int
	Took      time.Duration
	Evaluated uint64
	Failures  uint64
}

// maxSeverities bounds a label: the words are those of a file of rules.
const maxSeverities = 16

// Alerts registers how the server's own alert rules stand, which state tells at each scrape.
func Alerts(r prometheus.Registerer, state func() AlertState) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	r.MustRegister(&alerts{
		state:  state,
		firing: desc("alerts_firing", "Alerts of this node's own rules that fire, by severity.", "severity"),
		series: desc("alert_series", "Time series that are kept for the rules."),
		cut:    desc("alert_metrics_cut", "Metrics that rules look at and that there was no room for at the last reading."),
		took:   desc("alert_evaluation_seconds", "How long the last evaluation of the rules took."),
		evals:  desc("alert_evaluations_total", "Rules evaluated, by whether they could be.", "result"),
		words:  newWords(maxSeverities),
	})
}

type alerts struct {
	state                            func() AlertState
	firing, series, cut, took, evals *prometheus.Desc
	words                            *words
}

// Describe implements prometheus.Collector.
func (a *alerts) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{a.firing, a.series, a.cut, a.took, a.evals} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (a *alerts) Collect(ch chan<- prometheus.Metric) {
	s := a.state()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	firing := map[string]int{}
	for severity, n := range s.Firing {
		firing[a.words.bound(severity)] += n
	}
	for severity, n := range firing {
		gauge(a.firing, float64(n), severity)
	}
	gauge(a.series, float64(s.Series))
	gauge(a.cut, float64(s.Cut))
	gauge(a.took, s.Took.Seconds())
	ch <- prometheus.MustNewConstMetric(a.evals, prometheus.CounterValue, float64(s.Evaluated-s.Failures), "ok")
	ch <- prometheus.MustNewConstMetric(a.evals, prometheus.CounterValue, float64(s.Failures), "failed")
}
