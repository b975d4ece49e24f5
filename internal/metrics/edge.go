package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"mediad/packager/edge"
)

// Edge implements edge.Observer.
type Edge struct {
	requests, sent, fetches, fetched *prometheus.CounterVec
	evicted                          prometheus.Counter
	waiting                          prometheus.Gauge
}

// NewEdge registers the metrics of a node that serves another's streams.
func NewEdge(r prometheus.Registerer) *Edge {
	e := &Edge{
		requests: counters(r, "edge_requests_total", "Requests of viewers answered by an edge, by kind, by where the answer came from, and status.", "kind", "result", "status"),
		sent:     counters(r, "edge_sent_bytes_total", "Bytes of bodies that an edge sent to viewers.", "kind", "result"),
		fetches:  counters(r, "edge_fetches_total", "Requests of the origin that an edge made for all who wanted the same; status other: no answer, or not whole.", "kind", "status"),
		fetched:  counters(r, "edge_fetched_bytes_total", "Bytes of bodies that an edge got by them.", "kind"),
		evicted:  counter(r, "edge_evictions_total", "Objects that left an edge's disk for newer ones."),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "edge_waiting", Help: "Viewers who wait now for what an edge asked the origin for.",
		}),
	}
	r.MustRegister(e.waiting)
	return e
}

// Watch registers gauges of what the cache holds, which usage reads at each scrape.
func (e *Edge) Watch(r prometheus.Registerer, usage func() edge.Usage) {
	for _, tier := range []struct {
		name           string
		bytes, objects func(edge.Usage) float64
	}{
		{"memory", func(u edge.Usage) float64 { return float64(u.Memory) }, func(u edge.Usage) float64 { return float64(u.MemoryObjects) }},
		{"disk", func(u edge.Usage) float64 { return float64(u.Disk) }, func(u edge.Usage) float64 { return float64(u.DiskObjects) }},
	} {
		gauge := func(name, help string, value func(edge.Usage) float64) {
			r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Namespace: namespace, Name: name, Help: help, ConstLabels: prometheus.Labels{"tier": tier.name},
			}, func() float64 { return value(usage()) }))
		}
		gauge("edge_cache_bytes", "What an edge's cache holds.", tier.bytes)
		gauge("edge_cache_objects", "How many objects an edge's cache holds.", tier.objects)
	}
}

// Served implements edge.Observer.
func (e *Edge) Served(s edge.Served) {
	kind, result := s.Kind.String(), s.Result.String()
	e.requests.WithLabelValues(kind, result, statusLabel(s.Status)).Inc()
	e.sent.WithLabelValues(kind, result).Add(float64(s.Bytes))
}

// Fetched implements edge.Observer.
func (e *Edge) Fetched(f edge.Fetched) {
	e.fetches.WithLabelValues(f.Kind.String(), statusLabel(f.Status)).Inc()
	e.fetched.WithLabelValues(f.Kind.String()).Add(float64(f.Bytes))
}

// Evicted implements edge.Observer.
func (e *Edge) Evicted(objects int) { e.evicted.Add(float64(objects)) }

// Waiting implements edge.Observer.
func (e *Edge) Waiting(delta int) { e.waiting.Add(float64(delta)) }
