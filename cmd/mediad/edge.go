package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mediad/configs"
	"mediad/internal/metrics"
	lifecycle "mediad/internal/run"
	"mediad/packager/edge"
	"mediad/web"
)

// runEdge is run for a node in front of another: it takes nothing in, knows no account and has no database.
func (n *node) runEdge(ctx context.Context) error {
	n.config, n.edge = edgeConfig(n.config), true
	if n.config.Edge.Origin == "" {
		return usagef("--role edge needs edge.origin, the server to stand in front of: MEDIAD_EDGE_ORIGIN=https://origin.example")
	}
	origin, err := url.Parse(n.config.Edge.Origin)
	if err != nil {
		return fmt.Errorf("edge.origin: %w", err)
	}
	lock, err := lockData(n.config.DataDir)
	if err != nil {
		return err
	}
	defer lock.Close()
	own, err := lockFolder("edge.cache_dir", n.config.Edge.CacheDir)
	if err != nil {
		return err
	}
	defer own.Close()
	certs, err := newCertificates(n.config, n.now, n.log)
	if err != nil {
		return err
	}
	sockets, err := n.openSockets(certs != nil)
	if err != nil {
		return err
	}
	defer sockets.close()

	registry := prometheus.NewRegistry()
	metrics.Process(registry, version)
	observer := metrics.NewEdge(registry)
	cache, err := edge.New(edge.Options{
		Origin: origin, Dir: n.config.Edge.CacheDir, Limits: edge.Limits{Disk: n.config.Edge.CacheSize},
		Observer: observer, Log: n.log, Now: n.now, ClientIP: n.clientIP,
	})
	if err != nil {
		return err
	}
	observer.Watch(registry, cache.Usage)
	metrics.Disk(registry, "edge", func() (free, total uint64, err error) { return diskSpace(n.config.Edge.CacheDir) })
	n.health.checks = n.edgeChecks(cache)
	public, conns := edgeHandler(cache, web.Handler(web.Options{}), &n.health), n.connLimit()

	// The order of starting, as in run.
	tasks := lifecycle.Group{Log: n.log}
	serve := func(name string, h http.Handler, conns func(net.Conn, http.ConnState), l net.Listener) {
		if l != nil {
			server := newServer(h, conns, n.log)
			tasks.Add(name, func(ctx context.Context) error { return serveHTTP(ctx, server, l) })
		}
	}
	reload := make(chan certificatePaths, 1) // the newest is enough
	tasks.Add("edge", cache.Run)
	serve("admin", adminHandler(registry, &n.health, http.NotFoundHandler(), n.serveDrain()), nil, sockets.admin)
	serve("http", public, conns, sockets.http)
	if certs != nil {
		serve("https", withHSTS(public, certs.selfSigned), conns, certs.wrap(sockets.https, "h2", "http/1.1"))
		if certs.files != nil {
			tasks.Add("certificates", func(ctx context.Context) error { return certs.files.Run(ctx, reload) })
		}
	}
	tasks.Add("reload", func(ctx context.Context) error { return n.watchReload(ctx, reload, certs) })
	tasks.Add("readiness", n.health.leave)

	fmt.Fprintf(n.stdout, "\nmediad %s, an edge of %s\n\n  %-12s %s (at most %d MB)\n\n", version, n.config.Edge.Origin, "cache", n.config.Edge.CacheDir, n.config.Edge.CacheSize/1e6)
	n.log.Info("serving", "version", version, "role", "edge", "origin", n.config.Edge.Origin, "http", n.config.HTTP.Addr, "https", sockets.https != nil,
		"cache", n.config.Edge.CacheDir, "objects", cache.Usage().DiskObjects)
	sockets.handOver()
	err = tasks.Run(ctx)
	n.log.Info("stopped")
	return err
}

// edgeConfig is a configuration without what an edge does not do, so that the same file serves both.
func edgeConfig(c *configs.Config) *configs.Config {
	out := *c
	out.RTMP.Addr, out.RTMPS.Addr, out.RTSP.Addr, out.SRT.Addr, out.WebRTC.Addr = "", "", "", "", ""
	if out.Edge.CacheDir == "" {
		out.Edge.CacheDir = filepath.Join(out.DataDir, "edge")
	}
	return &out
}

// edgeChecks: an edge that has never reached its origin is of no use to anybody and most likely wrongly configured. One whose origin went
// away still has media, and if all edges left at once, nobody would get a clear answer any more: so that is shown and keeps
// nobody away.
func (n *node) edgeChecks(cache *edge.Handler) []healthCheck {
	return []healthCheck{
		{name: "origin", run: cache.Check, advisory: true},
		{name: "reached", run: func(context.Context) error {
			if !cache.Reached() {
				return errors.New("the origin has not answered since the start")
			}
			return nil
		}},
		{name: "cache", run: func(context.Context) error { return writable(n.config.Edge.CacheDir) }, advisory: true}, // memory serves
		{name: "disk", run: func(context.Context) error { return roomy(n.config.Edge.CacheDir) }, advisory: true},
	}
}

// edgeHandler is what hangs on an edge's 8080 and 8443: the pages are this binary's, the rest is the origin's.
func edgeHandler(cache, page http.Handler, h *health) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/healthz", withDeadline(h.status(false)))
	mux.Handle("/readyz", withDeadline(h.status(true)))
	mux.Handle("/", withDeadline(page))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Media comes first and past the mux, as in publicHandler, and so does what is passed on: nothing is redirected to another spelling.
		if machines(r.URL.Path) || unclean(r.URL) {
			if r.ContentLength != 0 { // whoever reads it sets deadlines of his own
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(pageTimeout))
			}
			cache.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// machines tells whether programs ask for a path, and not people.
func machines(path string) bool {
	for _, root := range append(machineRoots(), "/live") {
		if below, ok := strings.CutPrefix(path, root); ok && (strings.HasPrefix(below, "/") || below == "" && root != "/live") {
			return true
		}
	}
	return false
}
