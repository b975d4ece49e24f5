package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Ladder counts what is encoded. It implements transcode.Observer.
type Ladder struct {
	lag                      prometheus.Histogram
	sheds, restarts, dropped prometheus.Counter
}

// NewLadder registers the metrics of what is encoded.
func NewLadder(r prometheus.Registerer) *Ladder {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	}
	l := &Ladder{
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "ladder_lag_seconds", Help: "How far rungs are behind their source, told once a second.",
			Buckets: []float64{.05, .1, .15, .2, .3, .5, .75, 1, 1.5, 3},
		}),
		sheds:    counter("ladder_sheds_total", "Rungs that were left out because the machine was too busy."),
		restarts: counter("ladder_restarts_total", "Encoders that ended without having been asked to."),
		dropped:  counter("ladder_dropped_total", "Pictures dropped in front of an encoder."),
	}
	r.MustRegister(l.lag, l.sheds, l.restarts, l.dropped)
	return l
}

// Lag implements transcode.Observer.
func (l *Ladder) Lag(_, _ string, lag time.Duration) { l.lag.Observe(lag.Seconds()) }

// Shed implements transcode.Observer.
func (l *Ladder) Shed(_, _ string, shed bool) {
	if shed {
		l.sheds.Inc()
	}
}

// Restarted implements transcode.Observer.
func (l *Ladder) Restarted(string) { l.restarts.Inc() }

// Dropped implements transcode.Observer.
func (l *Ladder) Dropped(_ string, pictures int) { l.dropped.Add(float64(pictures)) }
