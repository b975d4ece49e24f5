package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// headerTimeout bounds how long a client may take to say what it wants.
	headerTimeout = 10 * time.Second
	// idleTimeout is over any parked request, so that a viewer's connection outlives a publisher's short absence.
	idleTimeout = 2 * time.Minute
	// pageTimeout bounds what is neither media nor parked: pages, API, metrics.
	pageTimeout = 30 * time.Second
	// drainTimeout is how long open requests may go on after a stop was asked for.
	drainTimeout = 5 * time.Second
	// maxHeader bounds a request's header.
	maxHeader = 32 << 10
)

// publicHandler is what hangs on 8080 and 8443.
func publicHandler(media, api, page http.Handler, h *health) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", withDeadline(api))
	mux.Handle("/healthz", withDeadline(h.status(false)))
	mux.Handle("/readyz", withDeadline(h.status(true)))
	mux.Handle("/", withDeadline(page))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Media comes first and past the mux: its paths are strict and never redirected.
		if strings.HasPrefix(r.URL.Path, "/live/") {
			media.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// adminHandler is what hangs on the admin port.
func adminHandler(metrics prometheus.Gatherer, h *health) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.Handle("/healthz", h.details(false))
	mux.Handle("/readyz", h.details(true))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// withDeadline gives a response pageTimeout to be written. Media handlers roll deadlines of their own.
func withDeadline(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// HTTP/2 streams and hijacked connections may refuse; then the server's own limits hold.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(pageTimeout))
		next.ServeHTTP(w, r)
	})
}

// newServer is an HTTP server with our limits: HTTP/1.1 and HTTP/2, with TLS or by prior knowledge without.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           h,
		Protocols:         &protocols,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// serveHTTP serves l until ctx ends, then lets open requests finish for drainTimeout.
func serveHTTP(ctx context.Context, s *http.Server, l net.Listener) error {
	// Parked requests wait on their context: ended first, they are answered before the server stops listening to them.
	requests, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	s.BaseContext = func(net.Listener) context.Context { return requests }
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	end()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := s.Shutdown(drain); err != nil {
		_ = s.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// health answers the probes.
type health struct {
	stopping atomic.Bool
	checks   []healthCheck // written before the listeners open
}

type healthCheck struct {
	name string
	run  func(context.Context) error
}

type checkResult struct {
	OK        bool   `json:"ok"`
	LatencyMS int64  `json:"latency_ms"`
	Error     string `json:"error,omitempty"`
}

// checkTimeout is for all checks of one probe together.
const checkTimeout = 2 * time.Second

func (h *health) run(ctx context.Context) (map[string]checkResult, bool) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	results, ok := map[string]checkResult{}, true
	for _, c := range h.checks {
		began := time.Now()
		err := c.run(ctx)
		result := checkResult{OK: err == nil, LatencyMS: time.Since(began).Milliseconds()}
		if err != nil {
			result.Error, ok = err.Error(), false
		}
		results[c.name] = result
	}
	return results, ok
}

// status answers with the status alone: 200, or 503 from a stop on and, for ready, while a check fails.
func (h *health) status(ready bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code := http.StatusOK
		if ready {
			if h.stopping.Load() {
				code = http.StatusServiceUnavailable
			} else if _, ok := h.run(r.Context()); !ok {
				code = http.StatusServiceUnavailable
			}
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(code)
		if code == http.StatusOK {
			_, _ = w.Write([]byte("ok\n"))
			return
		}
		_, _ = w.Write([]byte("unavailable\n"))
	})
}

// details answers with every check's result, for the admin port.
func (h *health) details(ready bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		results, ok := h.run(r.Context())
		body, code := map[string]any{"status": "ok"}, http.StatusOK
		for name, result := range results {
			body[name] = result
		}
		if ready && h.stopping.Load() {
			body["status"], code = "shutting_down", http.StatusServiceUnavailable
		} else if ready && !ok {
			body["status"], code = "unavailable", http.StatusServiceUnavailable
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(body)
	})
}

// withHSTS tells browsers to come by TLS from now on. Not with a self-signed certificate: they would be locked out by it.
func withHSTS(next http.Handler, selfSigned bool) http.Handler {
	if selfSigned {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		next.ServeHTTP(w, r)
	})
}
