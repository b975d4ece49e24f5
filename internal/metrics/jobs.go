package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxKinds bounds how many kinds of job have a label.
const maxKinds = 64

type jobs struct {
	took     *prometheus.HistogramVec
	attempts *prometheus.CounterVec
	kinds    *words
}

func newJobs(r prometheus.Registerer) jobs {
	j := jobs{
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "job_duration_seconds", Help: "How long attempts at jobs took, by kind.",
			Buckets: []float64{0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 1800},
		}, []string{"kind"}),
		attempts: counters(r, "job_attempts_total", "Attempts at jobs, by how they ended.", "result"),
		kinds:    newWords(maxKinds),
	}
	r.MustRegister(j.took)
	for _, result := range []string{"done", "later", "retry", "failed", "lost", "canceled", "interrupted"} {
		j.attempts.WithLabelValues(result) // there from the start, so that the first one is seen to rise
	}
	return j
}

// JobDone counts an attempt at a job.
func (m *Metrics) JobDone(kind, result string, took time.Duration) {
	m.jobs.took.WithLabelValues(m.jobs.kinds.bound(kind)).Observe(took.Seconds())
	m.jobs.attempts.WithLabelValues(result).Inc()
}

// JobCount is how many jobs of a kind are in a state.
type JobCount struct {
	Kind, State string
	Count       int64
}

// Jobs registers how many jobs there are, which is asked at each scrape: counts, and for how long the oldest waits that may run. Where that
// cannot be told now there is no sample.
func Jobs(r prometheus.Registerer, state func() ([]JobCount, time.Duration, error)) {
	r.MustRegister(&jobStates{
		state:  state,
		jobs:   prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "jobs"), "Jobs of the site, by kind and state.", []string{"kind", "state"}, nil),
		oldest: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "jobs_oldest_waiting_seconds"), "For how long the oldest job waits that may run now.", nil, nil),
	})
}

type jobStates struct {
	state        func() ([]JobCount, time.Duration, error)
	jobs, oldest *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (j *jobStates) Describe(ch chan<- *prometheus.Desc) {
	ch <- j.jobs
	ch <- j.oldest
}

// Collect implements prometheus.Collector.
func (j *jobStates) Collect(ch chan<- prometheus.Metric) {
	counts, oldest, err := j.state()
	if err != nil {
		return
	}
	for _, c := range counts {
		ch <- prometheus.MustNewConstMetric(j.jobs, prometheus.GaugeValue, float64(c.Count), c.Kind, c.State)
	}
	ch <- prometheus.MustNewConstMetric(j.oldest, prometheus.GaugeValue, oldest.Seconds())
}
