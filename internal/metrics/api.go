package metrics

import (
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	maxCodes  = 128 // problem codes of the API
	maxCaches = 32
)

type apiRequests struct {
	took     *prometheus.HistogramVec
	inFlight prometheus.Gauge
	errors   *prometheus.CounterVec
	security *prometheus.CounterVec
	caches   *prometheus.CounterVec
	interact *prometheus.CounterVec

	codes, cacheNames *words
}

func newAPIRequests(r prometheus.Registerer) apiRequests {
	q := apiRequests{
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "http_request_duration_seconds", Help: "How long API requests took, by route template, method and status.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5},
		}, []string{"route", "method", "status"}),
		errors:   counters(r, "errors_total", "Problems that the API answered with, by code.", "code"),
		security: counters(r, "security_events_total", "What speaks of an attack, by kind.", "kind"),
		caches:   counters(r, "cache_requests_total", "Questions to caches, by whether they knew.", "cache", "result"),
		interact: counters(r, "interactions_total", "What users did with each other's works and channels, by kind.", "kind"),
		codes:    newWords(maxCodes), cacheNames: newWords(maxCaches),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "http_in_flight", Help: "API requests that are being answered.",
		}),
	}
	r.MustRegister(q.took, q.inFlight)
	for _, kind := range SecurityKinds() {
		q.security.WithLabelValues(kind) // there from the start, so that the first one is seen to rise
	}
	for _, kind := range InteractionKinds() {
		q.interact.WithLabelValues(kind)
	}
	return q
}

// InteractionKinds lists what interactions there are.
func InteractionKinds() []string { return []string{"follow"} }

// Interaction counts one.
func (m *Metrics) Interaction(kind string) {
	if !slices.Contains(InteractionKinds(), kind) {
		kind = other
	}
	m.api.interact.WithLabelValues(kind).Inc()
}

// SecurityKinds lists what security events there are.
func SecurityKinds() []string {
	return []string{
		"login_failed", "refresh_reused", "token_created", "nonce_reused", "signature_invalid", "forbidden", "csrf", "publish_refused",
	}
}

// Security counts an event that speaks of an attack.
func (m *Metrics) Security(kind string) {
	if !slices.Contains(SecurityKinds(), kind) {
		kind = other
	}
	m.api.security.WithLabelValues(kind).Inc()
}

// CacheRequest counts a question to a cache.
func (m *Metrics) CacheRequest(cache string, hit bool) {
	result := "miss"
	if hit {
		result = "hit"
	}
	m.api.caches.WithLabelValues(m.api.cacheNames.bound(cache), result).Inc()
}

// Problem counts a refusal or failure of the API by its code; "" is none.
func (m *Metrics) Problem(code string) {
	switch code {
	case "":
		return
	case "role_required", "scope_missing", "forbidden":
		m.Security("forbidden")
	case "csrf", "origin_refused":
		m.Security("csrf")
	}
	m.api.errors.WithLabelValues(m.api.codes.bound(code)).Inc()
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
