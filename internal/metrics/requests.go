package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"mediad/packager/origin"
)

type requests struct {
	total  *prometheus.CounterVec
	bytes  *prometheus.CounterVec
	cmcd   *prometheus.CounterVec
	held   prometheus.Histogram
	parked prometheus.Gauge
}

func newRequests(r prometheus.Registerer) requests {
	q := requests{
		total: counters(r, "playback_requests_total", "Requests below /live/ answered, by kind and status.", "kind", "status"),
		bytes: counters(r, "playback_sent_bytes_total", "Bytes of bodies sent below /live/, by kind.", "kind"),
		cmcd:  counters(r, "playback_cmcd_total", "Requests below /live/ with which players told of themselves by CMCD.", "starved"),
		held:  histogram(r, "playback_held_seconds", "How long requests that had to wait were parked.", 0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 1, 2, 4, 8),
		parked: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "parked_waiters", Help: "Requests that wait now for what is not there yet.",
		}),
	}
	r.MustRegister(q.parked)
	return q
}

// Served implements origin.Observer.
func (m *Metrics) Served(s origin.Served) {
	kind := s.Kind.String()
	m.requests.total.WithLabelValues(kind, statusLabel(s.Status)).Inc()
	m.requests.bytes.WithLabelValues(kind).Add(float64(s.Bytes))
	if s.CMCD != origin.CMCDNone {
		m.requests.cmcd.WithLabelValues(yesNo(s.CMCD == origin.CMCDStarved)).Inc()
	}
	if s.Held > 0 {
		m.requests.held.Observe(s.Held.Seconds())
	}
}

// Parked implements origin.Observer.
func (m *Metrics) Parked(delta int) { m.requests.parked.Add(float64(delta)) }

// statusLabel is the status code, where it is one.
func statusLabel(status int) string {
	if status < 100 || status > 599 {
		return other
	}
	return strconv.Itoa(status)
}
