package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"mediad/packager/origin"
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
	// pingAfter is how long an HTTP/2 connection may be silent before it is asked whether anybody is there: parked requests keep it
	// from being idle, and a viewer whose network went away would hold them until the kernel gives up.
	pingAfter = 30 * time.Second
	// stalledAfter is how long an HTTP/2 connection may take nothing of what is sent.
	stalledAfter = 20 * time.Second
)

// publicHandler is what hangs on 8080 and 8443.
func publicHandler(media, api, page http.Handler, doors map[string]http.Handler, h *health) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/healthz", withDeadline(h.status(false)))
	mux.Handle("/readyz", withDeadline(h.status(true)))
	for at, door := range doors {
		mux.Handle(at, withDeadline(door))
	}
	for _, root := range machineRoots() {
		for _, at := range []string{root, root + "/"} {
			if doors[at] == nil {
				mux.Handle(at, withDeadline(api))
			}
		}
	}
	mux.Handle("/", withDeadline(page))
	misspelt := withDeadline(api)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Media comes first and past the mux: its paths are strict and never redirected.
		if origin.Serves(r.URL.Path) {
			if r.ContentLength != 0 { // nothing reads it but the server, which would wait for it without end
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(pageTimeout))
			}
			media.ServeHTTP(w, r)
			return
		}
		if unclean(r.URL) {
			misspelt.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// unclean tells of a path for programs that the mux would redirect to another spelling: the API knows only one of each.
func unclean(u *url.URL) bool {
	for _, asked := range []string{u.Path, u.EscapedPath()} {
		clean := path.Clean("/" + asked)
		if strings.HasSuffix(asked, "/") && clean != "/" {
			clean += "/"
		}
		if clean != asked && (machines(asked) || machines(clean)) {
			return true
		}
	}
	return false
}

// machineRoots are the paths below which programs ask and not people. The API answers there what it has, and to everything else
// with a problem instead of a page.
func machineRoots() []string {
	return []string{"/api", "/whip", "/whep", "/socket.io", "/vod", "/t", "/.well-known", "/pictures", "/exports"}
}

// adminHandler is what hangs on the admin port.
func adminHandler(metrics prometheus.Gatherer, h *health, streams, drain http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.Handle("/healthz", h.details(false))
	mux.Handle("/readyz", h.details(true))
	mux.Handle("/streams/{stream}/health", streams)
	mux.Handle("/drain", drain)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// withDeadline gives a request's body pageTimeout to come, and its response to be taken. Media handlers roll deadlines of their own.
func withDeadline(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// HTTP/2 streams and hijacked connections may refuse; then the server's own limits hold.
		rc, until := http.NewResponseController(w), time.Now().Add(pageTimeout)
		_ = rc.SetReadDeadline(until)
		_ = rc.SetWriteDeadline(until)
		next.ServeHTTP(w, r)
	})
}

// newServer is an HTTP server with our limits: HTTP/1.1 and HTTP/2, with TLS or by prior knowledge without. conns may be nil.
func newServer(h http.Handler, conns func(net.Conn, http.ConnState), log *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           h,
		Protocols:         &protocols,
		HTTP2:             &http.HTTP2Config{SendPingTimeout: pingAfter, WriteByteTimeout: stalledAfter},
		ConnState:         conns,
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
