// Package metrics turns what the parts of the server say into Prometheus metrics.
//
//	live.Observer, packager.Observer, origin.Observer ──► counters
//	live.Hub.Live, at a scrape                        ──► gauges of what is on air
//
// Every label has a bounded set of values: words of our own, or "other". Only the gauges of streams on air carry a
// stream's name; they are made at the scrape from what is on air then, so none outlives its stream.
package metrics

import (
	"runtime"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"mediad/live"
)

const (
	namespace = "mediad"
	other     = "other" // a label value that is not one of ours
)

// Metrics implements live.Observer, packager.Observer and origin.Observer. Its methods may be called from any goroutine
// and never wait.
type Metrics struct {
	ingest   ingest
	packages *packages
	requests requests
	players  *Players
	api      apiRequests
	database database
	jobs     jobs
	users    *activeUsers
	onAir    *onAir
}

// New makes the metrics and registers them, with those of the process, at r. It panics if they are there already.
func New(r prometheus.Registerer, version string) *Metrics {
	Process(r, version)
	m := &Metrics{ingest: newIngest(r), packages: newPackages(r), requests: newRequests(r), players: newPlayers(r), api: newAPIRequests(r), database: newDatabase(r), jobs: newJobs(r), users: newActiveUsers(r), onAir: newOnAir()}
	r.MustRegister(m.onAir)
	return m
}

// Process registers what is running and the metrics of the process, for nodes that have no others at r.
func Process(r prometheus.Registerer, version string) {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": version, "go": runtime.Version()},
	})
	build.Set(1)
	r.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

// Watch tells where the gauges of what is on air come from: live is *live.Hub's Live; hls estimates how many watch a stream by
// HLS, whep counts those who do by WHEP, and both may be nil. Until then there are none.
func (m *Metrics) Watch(live func() []live.Status, hls, whep func(stream string) int) {
	m.onAir.watch(live, hls, whep)
}

func counter(r prometheus.Registerer, name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	r.MustRegister(c)
	return c
}

func counters(r prometheus.Registerer, name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	r.MustRegister(c)
	return c
}

func histogram(r prometheus.Registerer, name, help string, buckets ...float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
	r.MustRegister(h)
	return h
}

// words bounds a label: the first so many values are kept, every later one is "other".
type words struct {
	mu    sync.Mutex
	known map[string]struct{}
	limit int
}

func newWords(limit int) *words { return &words{known: map[string]struct{}{}, limit: limit} }

func (w *words) bound(s string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.known[s]; ok {
		return s
	}
	if len(w.known) == w.limit {
		return other
	}
	w.known[s] = struct{}{}
	return s
}
