package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/urfave/cli/v3"

	"mediad/api"
	"mediad/api/export"
	"mediad/api/picture"
	"mediad/configs"
	"mediad/egress/relay"
	"mediad/internal/metrics"
	lifecycle "mediad/internal/run"
	"mediad/live"
	"mediad/packager"
	"mediad/packager/archive"
	"mediad/packager/origin"
	"mediad/store/blob"
	"mediad/store/blob/disk"
	"mediad/store/db"
	"mediad/transcode"
	"mediad/transcode/thumb"
	"mediad/web"
)

func roleFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "role", Local: true, Usage: "what this node does: all, or edge in front of another (`ROLE`)", Value: []string{"all"}}
}

func checkRoles(ctx context.Context, c *cli.Command) (context.Context, error) {
	roles := rolesOf(c)
	for _, role := range roles {
		if role != "all" && role != edgeRole {
			return ctx, usagef("there is no role %q in this version; all does everything, edge stands in front of another server", role)
		}
	}
	if slices.Contains(roles, edgeRole) && slices.ContainsFunc(roles, func(role string) bool { return role != edgeRole }) {
		return ctx, usagef("an edge does nothing else: --role edge stands alone")
	}
	return ctx, nil
}

// rolesOf are what the command was told, or else what stands before it.
func rolesOf(c *cli.Command) []string {
	for _, one := range c.Lineage() {
		if one.IsSet("role") {
			return one.StringSlice("role")
		}
	}
	return []string{"all"}
}

// edgeRole is that of a node in front of another.
const edgeRole = "edge"

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
	if slices.Contains(rolesOf(c), edgeRole) {
		return n.runEdge(ctx)
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
	edge    bool // it stands in front of another; what follows but health is not there

	site    *site
	cluster *cluster // nil: no other node can have the database, as are
	owners  *owners
	others  *elsewhere
	blobs   *disk.Store
	bucket  blob.Store       // nil: there is none
	archive *archive.Archive // nil: there is no bucket
	// bucketCheck asks the bucket whether it can be used.
	bucketCheck func(context.Context) error
	metrics     *metrics.Metrics
	samples     *samples
	began       time.Time
	streams     *packager.Streams
	ladder      *transcode.Live // nil: nothing is encoded
	plans       plans
	relays      *relay.Relays
	thumbs      *thumb.Pictures
	records     *recorder
	hub         *live.Hub
	recheck     chan struct{} // wakes the watch of keys
	health      health
}

// run builds the node in start order and stops it in reverse. It is the table of contents of the server.
func (n *node) run(ctx context.Context) error {
	ballast := newBallast()
	defer runtime.KeepAlive(ballast)
	lock, err := lockData(n.config.DataDir)
	if err != nil {
		return err
	}
	defer lock.Close()

	registry := prometheus.NewRegistry()
	n.metrics, n.began, n.samples = metrics.New(registry, version), n.now(), &samples{now: n.now}
	told := watchers{n.metrics.Security, n.metrics.Statement, n.metrics.CacheRequest, n.metrics.JobDone, n.metrics.Interaction}
	if n.site, err = openWatchedSite(ctx, n.config, told, n.now, n.log); err != nil {
		return err
	}
	defer n.site.close()
	certs, err := newCertificates(n.config, n.now, n.log)
	if err != nil {
		return err
	}
	// Sockets open together and first: a port in use is told before anything has begun, and who connects from now on is served
	// once everything is there.
	sockets, err := n.openSockets(certs != nil)
	if err != nil {
		return err
	}
	defer sockets.close()

	if n.cluster, err = newCluster(n.site, lock, n.now, n.log); err != nil {
		return err
	}
	if err := n.cluster.join(ctx); err != nil {
		return err
	}
	joined := n.cluster.hold(ctx)
	defer joined()
	n.others = newElsewhere(n.site, n.log)
	// What a former process left on air is read before anyone can ask for it.
	if err := n.openBlobs(registry); err != nil {
		return err
	}
	n.site.files.use(n.bucket, n.blobs)
	n.warnWithoutFFmpeg(ctx)
	n.site.shared.warn(ctx, n.log)
	n.ladder = n.newLadder(ctx, registry)
	n.streams = packager.NewStreams(packager.Options{
		Plan: n.plan, Encode: n.encode, Unshown: (*live.Session).Unshown,
		Elsewhere: elsewhereOf(n.site.db, n.log),
		Blobs:     n.blobs, PartTarget: n.config.HLS.PartTarget, SegmentTarget: n.config.HLS.SegmentTarget,
		Window: n.config.HLS.Window, DVR: n.config.HLS.DVR, Segments: segmentRows{n.site.db, n.bucket != nil, n.log}, Archive: n.archiveHooks(), Observer: n.metrics, Log: n.log, Now: n.now, Convert: n.convert(),
		// Also where nothing is recorded any more: the files of former recordings are retention's to delete.
		Recorded: true,
	})
	restored, err := n.streams.Recover(ctx)
	if err != nil {
		return fmt.Errorf("journals: %w", err)
	}
	defer n.streams.Close()
	if err := n.endLostSessions(ctx, restored); err != nil {
		return err
	}
	n.records = newRecorder(n.site, n.streams.Unstored, n.log)
	if err := n.records.lost(ctx, restored); err != nil {
		return err
	}
	n.thumbs = thumb.New(thumb.Options{Log: n.log})
	rows := newSessionRows(n.site, n.log)
	asked, err := n.newHooks()
	if err != nil {
		return err
	}
	if n.relays, err = n.newRelays(sockets); err != nil {
		return err
	}
	n.recheck = make(chan struct{}, 1)
	n.owners = n.newOwners()
	n.hub = live.NewHub(live.Options{
		Authorizer: n.owners.gate(n.drainGate(asked.rights(publishRights{n.site.streams, n.config.Record.On, rows.disconnect, n.now}))), Run: n.runSession, ResumeWindow: n.config.Ingest.ResumeWindow,
		SegmentTarget: n.config.HLS.SegmentTarget, SoundConverted: installed(ctx) == nil, LastEpoch: n.streams.LastEpoch,
		Observer: observer{n.metrics, rows}, Log: n.log, Now: n.now,
	})
	n.health.checks = n.healthChecks()

	videos := newLibrary(n.site)
	rights := n.newRights()
	media := origin.New(origin.Options{
		Guard: originGuard{rights}, Source: originSource{n.streams}, Blobs: n.blobs, Remote: n.bucket, Thumbs: originThumbs{n.thumbs}, Library: videos, Observer: n.metrics, Log: n.log, Now: n.now, ClientIP: n.clientIP, Place: n.places().Place,
	})
	doors, err := n.newFronts(sockets, asked, rights)
	if err != nil {
		return err
	}
	people := n.newWatching(media, doors)
	n.metrics.Watch(n.hub.Live, func(stream string) int { return max(0, people.viewers(stream)-doors.viewers(stream)) }, doors.viewers)
	metrics.Relays(registry, n.relays.All)
	metrics.Database(registry, n.databaseState)
	metrics.Jobs(registry, n.jobCounts)
	alerts, err := n.newAlertWatch(registry)
	if err != nil {
		return err
	}
	deps, err := n.platformDeps(rows, videos, people, certs != nil)
	if err != nil {
		return err
	}
	platform, err := api.New(deps)
	if err != nil {
		return err
	}
	metrics.Disk(registry, "data", func() (free, total uint64, err error) { return diskSpace(n.config.DataDir) })
	metrics.Memory(registry, memoryLimit)
	keys := keyWatch{n.hub, n.site.streams, n.recheck, n.log}
	handlers := doors.handlers()
	handlers[picture.Path] = picture.Handler(n.site.files, n.log)
	handlers[export.Path] = n.site.exports
	public := publicHandler(media, n.metrics.InFlight(platform), web.Handler(web.Options{}), handlers, &n.health)
	conns := n.connLimit()

	// The order of starting. Stopping goes from the end back, each waited for: probes, publishers, sessions, viewers, metrics, rows.
	tasks := lifecycle.Group{Log: n.log}
	serve := func(name string, h http.Handler, conns func(net.Conn, http.ConnState), l net.Listener) {
		if l != nil {
			server := newServer(h, conns, n.log)
			tasks.Add(name, func(ctx context.Context) error { return serveHTTP(ctx, server, l) })
		}
	}
	reload := make(chan certificatePaths, 1) // the newest is enough
	recordings := newRetention(n.config, n.site, n.blobs, n.bucket, n.streams, n.now, n.log)
	n.site.upkeep.Use(n.upkeepParts(recordings, people.plays))
	tasks.Add("jobs", n.site.jobs.Run)
	tasks.Add("events", n.site.events.Run)
	if n.cluster != nil {
		tasks.Add("nodes", n.cluster.Run)
		tasks.Add("sweep", n.cluster.RunSweep)
		tasks.Add("owners", n.owners.Run)
		tasks.Add("elsewhere", n.others.Run)
	}
	tasks.Add("session rows", rows.Run)
	tasks.Add("plays", people.plays.Run)
	tasks.Add("audience", people.audience.Run)
	tasks.Add("accounts", n.site.auth.Run)
	tasks.Add("policies", n.watchPolicies)
	tasks.Add("server keys", n.site.keys.Run)
	tasks.Add("answers", n.site.once.Run)
	tasks.Add("objects", n.site.objects.Run)
	tasks.Add("pictures", newPictures(n).Run)
	tasks.Add("recorder", n.records.Run)
	if n.archive != nil {
		tasks.Add("archive", n.archive.Run)
		tasks.Add("bucket", n.watchBucket)
		tasks.Add("bucket videos", newBucketVideos(n).Run)
	}
	if n.site.shared.events != nil {
		tasks.Add("bus", n.site.shared.events.Run)
		tasks.Add("news", n.site.forgetChanged)
	}
	tasks.Add("replicas", n.site.db.Watch)
	tasks.Add("active users", n.countUsers)
	tasks.Add("seals", n.site.seals.Run)
	tasks.Add("readings", (&readings{registry, n.samples, alerts, n.now}).Run)
	tasks.Add("retention", recordings.Run)
	tasks.Add("packager", n.streams.RunJanitor)
	serve("admin", adminHandler(registry, &n.health, n.serveHealth(), n.serveDrain()), nil, sockets.admin)
	serve("http", public, conns, sockets.http)
	if certs != nil {
		serve("https", withHSTS(public, certs.selfSigned), conns, certs.wrap(sockets.https, "h2", "http/1.1"))
		if certs.files != nil {
			tasks.Add("certificates", func(ctx context.Context) error { return certs.files.Run(ctx, reload) })
		}
	}
	tasks.Add("hub", n.hub.Run)
	tasks.Add("keys", keys.Run)
	tasks.Add("forwards", forwardWatch{n.hub, n.site.streams, n.relays, n.log}.Run)
	tasks.Add("health events", newHealthWatch(n).Run)
	doors.add(&tasks, sockets, certs)
	tasks.Add("reload", func(ctx context.Context) error { return n.watchReload(ctx, reload, certs) })
	tasks.Add("readiness", n.health.leave)

	// At the end of a start that has succeeded: the secrets that it makes are shown once.
	first, err := n.site.firstRun(ctx, n.config)
	if err != nil {
		return err
	}
	rows.know(ctx, restored)
	n.resume(ctx, restored, keys)
	if n.cluster != nil { // what others took over while this node was away is theirs
		if err := n.cluster.fence(ctx); err != nil {
			return fmt.Errorf("database: %w", err)
		}
	}
	n.printBanner(first, certs)
	n.log.Info("serving", "version", version, "http", n.config.HTTP.Addr, "https", sockets.https != nil, "rtmp", n.config.RTMP.Addr, "rtsp", n.config.RTSP.Addr, "srt", n.config.SRT.Addr, "webrtc", n.config.WebRTC.Addr, "data", n.config.DataDir, "resumable", len(restored))
	sockets.handOver()
	joined() // the task beats from here on
	err = tasks.Run(ctx)
	n.log.Info("stopped")
	return err
}

// endLostSessions ends the rows of sessions that a former process left open and that do not go on.
func (n *node) endLostSessions(ctx context.Context, restored []live.Restored) error {
	goOn := make([]string, len(restored))
	for i, r := range restored {
		goOn[i] = r.SessionID
	}
	err := n.site.db.Tx(ctx, func(q db.Queries) error {
		if err := q.TakeUnowned(n.site.node); err != nil {
			return err
		}
		return q.TakeSessions(n.site.node, goOn) // their files are on this disk
	})
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	ended, err := n.site.streams.EndLostSessions(ctx, n.site.keeper(), goOn)
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	if ended > 0 {
		n.log.Info("sessions of a former run ended", "sessions", ended)
	}
	return nil
}

// resume takes up the sessions that a former process left on air, and those whose stream was disabled meanwhile not. It also makes
// their keys known, so that a publisher may return although the database went away.
func (n *node) resume(ctx context.Context, restored []live.Restored, keys keyWatch) {
	for _, r := range restored {
		if _, err := n.hub.Restore(r); err != nil {
			n.log.Error("session not resumed", "stream", r.Grant.Stream, "session", r.SessionID, "error", err)
		}
	}
	if len(restored) > 0 {
		keys.restored(ctx, restored)
	}
}
