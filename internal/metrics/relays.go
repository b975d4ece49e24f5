package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"mediad/egress/relay"
)

// relays is a collector: it is asked at each scrape how it stands with the servers that streams are forwarded to.
type relays struct {
	all                    func() []relay.Status
	targets, sent, dropped *prometheus.Desc
}

// Relays registers the metrics of what is forwarded; all is (*relay.Relays).All.
func Relays(r prometheus.Registerer, all func() []relay.Status) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	r.MustRegister(&relays{
		all:     all,
		targets: desc("relay_targets", "Servers that streams are forwarded to, by state.", "state"),
		sent:    desc("relay_session_bytes", "Sent to a stream's targets in its present session.", "stream"),
		dropped: desc("relay_session_dropped", "Units that a stream's targets were too slow for in its present session.", "stream"),
	})
}

// Describe implements prometheus.Collector.
func (c *relays) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.targets, c.sent, c.dropped} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *relays) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, label string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, label)
	}
	states := map[relay.State]int{relay.StateIdle: 0, relay.StateConnecting: 0, relay.StateLive: 0, relay.StateWaiting: 0}
	type sums struct{ sent, dropped uint64 }
	streams := map[string]sums{}
	for _, s := range c.all() {
		states[s.State]++
		if sum, ok := streams[s.Stream]; ok || len(streams) < maxNamed {
			streams[s.Stream] = sums{sum.sent + s.Bytes, sum.dropped + s.Drops}
		}
	}
	for state, n := range states {
		gauge(c.targets, float64(n), string(state))
	}
	for stream, sum := range streams {
		gauge(c.sent, float64(sum.sent), stream)
		gauge(c.dropped, float64(sum.dropped), stream)
	}
}
