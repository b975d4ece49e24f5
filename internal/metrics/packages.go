package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mediad/media"
)

// lateAfter is how much later than its length a part may come and still be counted as in time: what a loaded machine and
// a jittery network do to frames of 33 ms. The histogram holds what is below.
const lateAfter = 100 * time.Millisecond

type packages struct {
	parts, late  prometheus.Counter
	partBytes    prometheus.Counter
	lateness     prometheus.Histogram
	segments     *prometheus.CounterVec
	segmentBytes prometheus.Counter
	filled       *prometheus.CounterVec
	discarded    *prometheus.CounterVec

	mu       sync.Mutex // guards inMemory
	inMemory map[string]struct{}
}

func newPackages(r prometheus.Registerer) *packages {
	p := &packages{
		parts:        counter(r, "parts_published_total", "Parts published, over all renditions."),
		late:         counter(r, "parts_late_total", "Parts that came over 100 ms later than they last after the one before."),
		partBytes:    counter(r, "part_bytes_total", "Bytes of parts published."),
		lateness:     histogram(r, "part_lateness_seconds", "How much longer than it lasts a part came after the one before.", 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2),
		segments:     counters(r, "segments_published_total", "Segments published, over all renditions; a gap has no media.", "gap"),
		segmentBytes: counter(r, "segment_bytes_total", "Bytes of segments published."),
		filled:       counters(r, "filled_samples_total", "Samples made for what did not come.", "kind"),
		discarded:    counters(r, "discarded_units_total", "Access units that came too late or that nothing can decode.", "kind"),
		inMemory:     map[string]struct{}{},
	}
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "streams_in_memory", Help: "Streams whose segments are kept in memory, because nothing can be written.",
	}, p.streamsInMemory))
	return p
}

// PartPublished implements packager.Observer.
func (m *Metrics) PartPublished(_, _ string, bytes int, late time.Duration) {
	p := m.packages
	p.parts.Inc()
	p.partBytes.Add(float64(bytes))
	p.lateness.Observe(late.Seconds())
	if late > lateAfter {
		p.late.Inc()
	}
}

// yesNo is a label.
func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// SegmentPublished implements packager.Observer.
func (m *Metrics) SegmentPublished(_, _ string, bytes int64, _ time.Duration, gap bool) {
	m.packages.segments.WithLabelValues(yesNo(gap)).Inc()
	m.packages.segmentBytes.Add(float64(bytes))
}

// Filled implements packager.Observer.
func (m *Metrics) Filled(_ string, kind media.Kind, samples int) {
	m.packages.filled.WithLabelValues(kindLabel(kind)).Add(float64(samples))
}

// Discarded implements packager.Observer.
func (m *Metrics) Discarded(_ string, kind media.Kind, units int) {
	m.packages.discarded.WithLabelValues(kindLabel(kind)).Add(float64(units))
}

// Mended implements packager.Observer.
func (m *Metrics) Mended(_ string, filled, discarded int) {
	m.packages.filled.WithLabelValues(rungLabel).Add(float64(filled))
	m.packages.discarded.WithLabelValues(rungLabel).Add(float64(discarded))
}

// rungLabel stands for a kind where encoded renditions are counted.
const rungLabel = "rung"

// Fallback implements packager.Observer.
func (m *Metrics) Fallback(stream string, on bool) {
	p := m.packages
	p.mu.Lock()
	defer p.mu.Unlock()
	if on {
		p.inMemory[stream] = struct{}{}
	} else {
		delete(p.inMemory, stream)
	}
}

func (p *packages) streamsInMemory() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return float64(len(p.inMemory))
}

func kindLabel(k media.Kind) string {
	if k < media.Kinds {
		return k.String()
	}
	return other
}
