package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Archive implements archive.Observer.
type Archive struct {
	stored, failed, lost prometheus.Counter
	late                 prometheus.Histogram
}

// NewArchive registers the metrics of what is stored in the bucket. waiting tells how many segments are still to be.
func NewArchive(r prometheus.Registerer, waiting func() int) *Archive {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	}
	a := &Archive{
		stored: counter("archive_segments_total", "Segments stored in the bucket."),
		failed: counter("archive_failures_total", "Attempts to store something in the bucket that failed."),
		lost:   counter("archive_lost_total", "Segments that are not in the bucket and can no longer be stored."),
		late: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "archive_late_seconds", Help: "How long after its end a segment was in the bucket.",
			Buckets: []float64{.1, .25, .5, 1, 2, 5, 10, 30, 60, 300, 1800},
		}),
	}
	gauge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "archive_waiting", Help: "Segments that are still to be stored in the bucket.",
	}, func() float64 { return float64(waiting()) })
	r.MustRegister(a.stored, a.failed, a.lost, a.late, gauge)
	return a
}

// Archived implements archive.Observer.
func (a *Archive) Archived(_ int64, late time.Duration) {
	a.stored.Inc()
	a.late.Observe(late.Seconds())
}

// ArchiveFailed implements archive.Observer.
func (a *Archive) ArchiveFailed() { a.failed.Inc() }

// ArchiveLost implements archive.Observer.
func (a *Archive) ArchiveLost() { a.lost.Inc() }
