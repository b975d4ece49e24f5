package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type apiRequests struct {
	took     *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newAPIRequests(r prometheus.Registerer) apiRequests {
	q := apiRequests{
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "http_request_duration_seconds", Help: "How long API requests took, by route template, method and status.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5},
		}, []string{"route", "method", "status"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "http_in_flight", Help: "API requests that are being answered.",
		}),
	}
	r.MustRegister(q.took, q.inFlight)
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
	m.api.took.WithLabelValues(route, method, statusLabel(status)).Observe(took.Seconds())
}

// InFlight counts the requests that are inside next.
func (m *Metrics) InFlight(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.api.inFlight.Inc()
		defer m.api.inFlight.Dec()
		next.ServeHTTP(w, r)
	})
}
