package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const maxTables = 128

type database struct {
	took   *prometheus.HistogramVec
	tables *words
}

func newDatabase(r prometheus.Registerer) database {
	d := database{
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "db_query_duration_seconds", Help: "How long statements took, by what they do and to which table.",
			Buckets: []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 5},
		}, []string{"op", "table"}),
		tables: newWords(maxTables),
	}
	r.MustRegister(d.took)
	return d
}

// Statement counts one statement. table is empty where it has none of ours.
func (m *Metrics) Statement(op, table string, took time.Duration) {
	if table == "" {
		table = other
	}
	m.database.took.WithLabelValues(op, m.database.tables.bound(table)).Observe(took.Seconds())
}

// DatabaseState is how a database stands.
type DatabaseState struct {
	InUse, Idle int // connections
	Waits       int64
	// Lag is how old what the latest replica shows may be; negative: it is not known, or there is none.
	Lag time.Duration
}

// Database registers the state of the database, which is read at each scrape.
func Database(r prometheus.Registerer, state func() DatabaseState) {
	r.MustRegister(&databaseState{
		state: state,
		pool:  prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "db_pool"), "Connections to the database, by state.", []string{"state"}, nil),
		waits: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "db_pool_waits_total"), "How often a statement had to wait for a connection.", nil, nil),
		lag: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "db_replica_lag_seconds"),
			"How old what the latest of the replicas shows may be; not there without replicas.", nil, nil),
	})
}

type databaseState struct {
	state            func() DatabaseState
	pool, waits, lag *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (d *databaseState) Describe(ch chan<- *prometheus.Desc) {
	ch <- d.pool
	ch <- d.waits
	ch <- d.lag
}

// Collect implements prometheus.Collector.
func (d *databaseState) Collect(ch chan<- prometheus.Metric) {
	s := d.state()
	ch <- prometheus.MustNewConstMetric(d.pool, prometheus.GaugeValue, float64(s.InUse), "in_use")
	ch <- prometheus.MustNewConstMetric(d.pool, prometheus.GaugeValue, float64(s.Idle), "idle")
	ch <- prometheus.MustNewConstMetric(d.waits, prometheus.CounterValue, float64(s.Waits))
	if s.Lag >= 0 {
		ch <- prometheus.MustNewConstMetric(d.lag, prometheus.GaugeValue, s.Lag.Seconds())
	}
}
