package main

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"

	"mediad/api/admin"
	"mediad/api/problem"
	"mediad/live"
	"mediad/store/db"
	"mediad/store/job"
)

const (
	// sampleEvery is how often the numbers are read, sampleCount how many readings are kept: five minutes.
	sampleEvery = 15 * time.Second
	sampleCount = 21
	lastMinute  = 4 // readings
)

// sample is a reading of numbers that only rise, and of the memory.
type sample struct {
	at                        time.Time
	errors, sent, hits, asked float64
	cpu, rss                  float64
}

// samples are the newest readings, the oldest first.
type samples struct {
	now func() time.Time

	mu   sync.Mutex // guards kept
	kept []sample
}

// add keeps the numbers of a reading.
func (s *samples) add(now time.Time, families []*dto.MetricFamily) {
	one := sample{at: now}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			label := func(name string) string {
				for _, l := range m.GetLabel() {
					if l.GetName() == name {
						return l.GetValue()
					}
				}
				return ""
			}
			switch f.GetName() {
			case "mediad_http_request_duration_seconds":
				if strings.HasPrefix(label("status"), "5") {
					one.errors += float64(m.GetHistogram().GetSampleCount())
				}
			case "mediad_playback_sent_bytes_total":
				one.sent += m.GetCounter().GetValue()
			case "mediad_cache_requests_total":
				one.asked += m.GetCounter().GetValue()
				if label("result") == "hit" {
					one.hits += m.GetCounter().GetValue()
				}
			case "process_cpu_seconds_total":
				one.cpu = m.GetCounter().GetValue()
			case "process_resident_memory_bytes":
				one.rss = m.GetGauge().GetValue()
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) == sampleCount {
		s.kept = slices.Delete(s.kept, 0, 1)
	}
	s.kept = append(s.kept, one)
}

// back is the reading so many before the newest, or the oldest there is.
func (s *samples) back(n int) sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) == 0 {
		return sample{at: s.now()}
	}
	return s.kept[max(0, len(s.kept)-1-n)]
}

// overview is how the site stands, for its admins.
func (n *node) overview(people watching) func(context.Context) (admin.Overview, error) {
	return func(ctx context.Context) (admin.Overview, error) {
		newest, minute, first := n.samples.back(0), n.samples.back(lastMinute), n.samples.back(sampleCount)
		o := admin.Overview{DB: n.overviewDB(ctx), Blob: admin.OverviewBlob{State: "none"}, Errors5M: int64(newest.errors - first.errors)}
		alerts := map[live.AlertCode]int{}
		for _, s := range n.hub.Live() {
			switch s.State {
			case live.StateLive:
				o.Streams.Live++
			case live.StateReconnecting:
				o.Streams.Reconnecting++
			default:
				o.Streams.Starting++
			}
			o.InBPS += s.Video.Bitrate.Last10s + s.Audio.Bitrate.Last10s
			o.Viewers += people.viewers(s.Stream)
			for _, a := range s.Alerts {
				alerts[a.Code]++
			}
		}
		o.StreamAlerts = make([]admin.OverviewStreamAlert, 0, len(alerts))
		for code, streams := range alerts {
			o.StreamAlerts = append(o.StreamAlerts, admin.OverviewStreamAlert{Code: string(code), Streams: streams})
		}
		slices.SortFunc(o.StreamAlerts, func(a, b admin.OverviewStreamAlert) int { return strings.Compare(a.Code, b.Code) })
		if seconds := newest.at.Sub(minute.at).Seconds(); seconds > 0 {
			o.OutBPS = int64((newest.sent - minute.sent) * 8 / seconds)
		}
		if asked := newest.asked - first.asked; asked > 0 {
			ratio := (newest.hits - first.hits) / asked
			o.Cache.HitRatio = &ratio
		}
		if n.archive != nil {
			state := n.archive.State()
			if o.Blob.State, o.Blob.Queue = "ok", state.Waiting; !state.FailingSince.IsZero() {
				o.Blob.State = "failing"
			}
		}
		o.ActiveUsers.Last5M, o.ActiveUsers.Last1D, o.ActiveUsers.Last30D = n.metrics.Users()
		o.Cache.Entries = n.site.db.Remembered() + n.site.shared.known.Len()
		var err error
		if o.Jobs, err = n.overviewJobs(ctx); err != nil {
			return o, err
		}
		if o.Interactions24H, err = n.site.db.ReadReplica(ctx).CountFollowsSince(db.At(n.now().Add(-24 * time.Hour))); err != nil {
			return o, err
		}
		o.Nodes, err = n.overviewNodes(ctx, newest, minute)
		return o, err
	}
}

// overviewJobs sums up the jobs of the site by state.
func (n *node) overviewJobs(ctx context.Context) (o admin.OverviewJobs, err error) {
	counts, _, err := n.site.jobs.Counts(ctx)
	for _, c := range counts {
		switch c.State {
		case job.Waiting:
			o.Waiting += c.Count
		case job.Running:
			o.Running += c.Count
		case job.Failed:
			o.Failed += c.Count
		case job.Done, job.Canceled: // these are over, and not counted
		}
	}
	return o, err
}

func (n *node) overviewDB(ctx context.Context) admin.OverviewDB {
	pool := n.site.db.Pool()
	o := admin.OverviewDB{
		Engine: string(n.site.db.Engine()), Pool: admin.OverviewPool{InUse: pool.InUse, Idle: pool.Idle, Waits: pool.Waits}, Replicas: []admin.OverviewBehind{},
	}
	asked := time.Now()
	if n.site.db.Ping(ctx) == nil {
		took := float64(time.Since(asked).Microseconds()) / 1000
		o.LatencyMS = &took
	}
	for _, r := range n.site.db.Replicas() {
		one := admin.OverviewBehind{Used: r.Used}
		if r.Behind >= 0 {
			lag := r.Behind.Milliseconds()
			one.LagMS = &lag
		}
		o.Replicas = append(o.Replicas, one)
		if one.LagMS != nil && (o.ReplicaLagMS == nil || *one.LagMS > *o.ReplicaLagMS) {
			o.ReplicaLagMS = one.LagMS
		}
	}
	return o
}

// overviewNodes are this node and those that were heard in the database.
func (n *node) overviewNodes(ctx context.Context, newest, minute sample) ([]admin.OverviewNode, error) {
	now := n.now()
	goroutines, rss := runtime.NumGoroutine(), int64(newest.rss)
	own := admin.OverviewNode{
		ID: n.site.jobs.Node(), This: true, StartedAt: problem.Stamp(n.began), UptimeS: int64(now.Sub(n.began).Seconds()), Version: version, Roles: []string{"all"},
		RSSBytes: &rss, Goroutines: &goroutines,
	}
	if seconds := newest.at.Sub(minute.at).Seconds(); seconds > 0 {
		cpu := 100 * (newest.cpu - minute.cpu) / seconds
		own.CPUPct = &cpu
	}
	if free, whole, err := diskSpace(n.config.DataDir); err == nil {
		a, b := int64(free), int64(whole)
		own.DiskFree, own.DiskWhole = &a, &b
	}
	nodes := []admin.OverviewNode{own}
	beats, err := n.site.db.Read(ctx).ListHeartbeats()
	if err != nil {
		return nil, err
	}
	for _, b := range beats {
		if b.Node == own.ID {
			continue
		}
		nodes = append(nodes, admin.OverviewNode{
			ID: b.Node, StartedAt: problem.Stamp(b.StartedAt.Time()), UptimeS: max(0, int64(b.BeatAt.Time().Sub(b.StartedAt.Time()).Seconds())),
			SilentS: max(0, int64(now.Sub(b.BeatAt.Time()).Seconds())),
		})
	}
	return nodes, nil
}
