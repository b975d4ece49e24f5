package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type apiRequests struct {
	total *prometheus.CounterVec
	took  *prometheus.HistogramVec
}

func newAPIRequests(r prometheus.Registerer) apiRequests {
	q := apiRequests{
		total: counters(r, "api_requests_total", "API requests answered, by route template, method and status.", "route", "method", "status"),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "api_request_seconds", Help: "How long API requests took, by route template.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5},
		}, []string{"route"}),
	}
	r.MustRegister(q.took)
	return q
}

// APIRequest counts one answer. route is a template, empty where none matched.
func (m *Metrics) APIRequest(route, method string, status int, took time.Duration) {
	if route == "" {
		route = other
	}
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
	default:
		method = other
	}
	m.api.total.WithLabelValues(route, method, statusLabel(status)).Inc()
	m.api.took.WithLabelValues(route).Observe(took.Seconds())
}
