package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/urfave/cli/v3"

	"mediad/api"
	"mediad/configs"
	"mediad/ingest"
	"mediad/ingest/rtmp"
	"mediad/internal/metrics"
	lifecycle "mediad/internal/run"
	"mediad/live"
	"mediad/packager"
	"mediad/packager/origin"
	"mediad/store/blob/disk"
	"mediad/web"
)

func roleFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "role", Local: true, Usage: "what this node does; all is the only `ROLE` of this version", Value: []string{"all"}}
}

func checkRoles(ctx context.Context, c *cli.Command) (context.Context, error) {
	for _, role := range c.StringSlice("role") {
		if role != "all" {
			return ctx, usagef("there is no role %q in this version; all does everything", role)
		}
	}
	return ctx, nil
}

func (p *program) serveCommand() *cli.Command {
	return &cli.Command{Name: "serve", Usage: "run the server (what mediad does without a command)", Flags: []cli.Flag{roleFlag()}, Before: checkRoles, Action: p.serve}
}

func (p *program) serve(ctx context.Context, c *cli.Command) error {
	if word := c.Args().First(); word != "" {
		return unknownCommand(word, "", p.commands())
	}
	loaded, err := p.load(c)
	if err != nil {
		return err
	}
	n := &node{config: loaded.Config, file: c.String("config"), environ: p.environ, stdout: p.stdout, now: time.Now}
	setLevel(&n.level, n.config.Log.Level)
	n.log = newLogger(p.stderr, n.config.Log.Format, &n.level)
	for _, note := range loaded.Notes {
		n.log.Warn("configuration: " + note)
	}
	return n.run(ctx)
}

// node is one running server. Its fields are set in start order by run and never after.
type node struct {
	config  *configs.Config
	file    string
	environ []string
	stdout  io.Writer
	now     func() time.Time
	level   slog.LevelVar
	log     *slog.Logger

	site    *site
	blobs   *disk.Store
	metrics *metrics.Metrics
	streams *packager.Streams
	hub     *live.Hub
	health  health
}

// run builds the node in start order and stops it in reverse. It is the table of contents of the server.
func (n *node) run(ctx context.Context) error {
	lock, err := lockData(n.config.DataDir)
	if err != nil {
		return err
	}
	defer lock.Close()

	if n.site, err = openSite(ctx, n.config, n.now, n.log); err != nil {
		return err
	}
	defer n.site.close()
	first, err := n.site.firstRun(ctx, n.config)
	if err != nil {
		return err
	}
	if n.blobs, err = disk.Open(filepath.Join(n.config.DataDir, "blobs")); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	certs, err := newCertificates(n.config, n.now, n.log)
	if err != nil {
		return err
	}

	// What a former process left on air is read before anyone can ask for it.
	registry := prometheus.NewRegistry()
	n.metrics = metrics.New(registry, version)
	n.streams = packager.NewStreams(packager.Options{
		Blobs: n.blobs, PartTarget: n.config.HLS.PartTarget, SegmentTarget: n.config.HLS.SegmentTarget,
		Window: n.config.HLS.Window, DVR: n.config.HLS.DVR, Segments: segmentRows{n.site.db}, Observer: n.metrics, Log: n.log, Now: n.now,
	})
	restored, err := n.streams.Recover(ctx)
	if err != nil {
		return fmt.Errorf("journals: %w", err)
	}
	defer n.streams.Close()
	if err := n.endLostSessions(ctx, restored); err != nil {
		return err
	}
	rows := newSessionRows(n.site, n.log)
	n.hub = live.NewHub(live.Options{
		Authorizer: publishRights{n.site.streams}, Run: n.runSession, ResumeWindow: n.config.Ingest.ResumeWindow,
		SegmentTarget: n.config.HLS.SegmentTarget, LastEpoch: n.streams.LastEpoch,
		Observer: observer{n.metrics, rows}, Log: n.log, Now: n.now,
	})
	for _, r := range restored {
		if _, err := n.hub.Restore(r); err != nil {
			n.log.Error("session not resumed", "stream", r.Grant.Stream, "session", r.SessionID, "error", err)
		}
	}
	n.health.checks = n.healthChecks()

	media := origin.New(origin.Options{Source: originSource{n.streams}, Blobs: n.blobs, Observer: n.metrics, Log: n.log, Now: n.now, ClientIP: n.clientIP})
	n.metrics.Watch(n.hub.Live, media.Viewers)
	deps, err := n.platformDeps(rows, media.Viewers, certs != nil)
	if err != nil {
		return err
	}
	platform, err := api.New(deps)
	if err != nil {
		return err
	}
	page := web.Handler(web.Options{})
	public := publicHandler(media, platform, page, &n.health)

	// Listeners open together, before anything runs: a port in use is told at once and nothing has to be undone.
	var listeners listeners
	defer listeners.close()
	var tasks lifecycle.Group
	tasks.Log = n.log
	tasks.Add("session rows", rows.Run)
	tasks.Add("packager", n.streams.RunJanitor)
	if l, err := listeners.open("admin.addr", n.config.Admin.Addr); err != nil {
		return err
	} else if l != nil {
		server := newServer(adminHandler(registry, &n.health), n.log)
		tasks.Add("admin", func(ctx context.Context) error { return serveHTTP(ctx, server, l) })
	}
	if l, err := listeners.open("http.addr", n.config.HTTP.Addr); err != nil {
		return err
	} else if l != nil {
		server := newServer(public, n.log)
		tasks.Add("http", func(ctx context.Context) error { return serveHTTP(ctx, server, l) })
	}
	reload := make(chan struct{}, 1)
	if certs != nil {
		if l, err := listeners.open("https.addr", n.config.HTTPS.Addr); err != nil {
			return err
		} else if l != nil {
			server := newServer(withHSTS(public, certs.selfSigned), n.log)
			secure := tls.NewListener(l, certs.config("h2", "http/1.1"))
			tasks.Add("https", func(ctx context.Context) error { return serveHTTP(ctx, server, secure) })
		}
		if certs.files != nil {
			tasks.Add("certificates", func(ctx context.Context) error { return certs.files.Run(ctx, reload) })
		}
	}
	tasks.Add("hub", n.hub.Run)
	tasks.Add("keys", keyWatch{n.hub, n.site.streams, n.log}.Run)
	limits := ingest.Limits{ReadTimeout: n.config.Ingest.ReadTimeout}
	publishers, err := rtmp.New(rtmp.Options{
		Admit: rtmp.ToHub(n.hub, ingest.FeedOptions{Limits: limits, Log: n.log, Now: n.now}), ReadTimeout: limits.ReadTimeout, Log: n.log, Now: n.now,
	})
	if err != nil {
		return err
	}
	if l, err := listeners.open("rtmp.addr", n.config.RTMP.Addr); err != nil {
		return err
	} else if l != nil {
		tasks.Add("rtmp", func(ctx context.Context) error { return publishers.Serve(ctx, l) })
	}
	if certs != nil {
		if l, err := listeners.open("rtmps.addr", n.config.RTMPS.Addr); err != nil {
			return err
		} else if l != nil {
			secure := tls.NewListener(l, certs.config())
			tasks.Add("rtmps", func(ctx context.Context) error { return publishers.Serve(ctx, secure) })
		}
	}
	tasks.Add("reload", func(ctx context.Context) error { return n.watchReload(ctx, reload) })
	// The last to start is the first to be told of a stop: probes see it before anything closes.
	tasks.Add("readiness", func(ctx context.Context) error {
		<-ctx.Done()
		n.health.stopping.Store(true)
		return nil
	})

	n.printBanner(first, certs)
	n.log.Info("serving", "version", version, "http", n.config.HTTP.Addr, "rtmp", n.config.RTMP.Addr, "data", n.config.DataDir, "resumable", len(restored))
	listeners.handOver()
	err = tasks.Run(ctx)
	n.log.Info("stopped")
	return err
}

// watchReload takes the configuration's reloadable keys over at each SIGHUP.
func (n *node) watchReload(ctx context.Context, certificates chan<- struct{}) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
		}
		loaded, err := configs.Load(n.file, n.environ)
		if err != nil {
			n.log.Error("configuration not reloaded, the old one stays", "error", err)
			continue
		}
		setLevel(&n.level, loaded.Log.Level)
		select {
		case certificates <- struct{}{}:
		default: // a reload is due already
		}
		n.log.Info("configuration reloaded", "level", loaded.Log.Level)
	}
}

// listeners are sockets that are open but not served yet.
type listeners struct{ open_ []net.Listener }

func (l *listeners) open(key, addr string) (net.Listener, error) {
	if addr == "" {
		return nil, nil
	}
	one, err := listen(key, addr)
	if err != nil {
		return nil, err
	}
	l.open_ = append(l.open_, one)
	return one, nil
}

// handOver leaves the sockets to those who serve them.
func (l *listeners) handOver() { l.open_ = nil }

func (l *listeners) close() {
	for _, one := range l.open_ {
		_ = one.Close()
	}
}

// endLostSessions ends the rows of sessions that a former process left open and that do not go on.
func (n *node) endLostSessions(ctx context.Context, restored []live.Restored) error {
	goOn := make([]string, len(restored))
	for i, r := range restored {
		goOn[i] = r.SessionID
	}
	ended, err := n.site.streams.EndLostSessions(ctx, goOn)
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	if ended > 0 {
		n.log.Info("sessions of a former run ended", "sessions", ended)
	}
	return nil
}

func (n *node) healthChecks() []healthCheck {
	return []healthCheck{
		{"db", n.site.db.Ping},
		{"blob", func(context.Context) error {
			probe, err := os.CreateTemp(n.config.DataDir, ".ready-*")
			if err != nil {
				return errors.New("data_dir is not writable")
			}
			_ = probe.Close()
			return os.Remove(probe.Name())
		}},
	}
}
