package admin

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/problem"
	"mediad/store/db"
)

// Overview is how the site stands. What is of one node is of the one that was asked.
type Overview struct {
	Nodes       []OverviewNode  `json:"nodes" nullable:"false" doc:"Those that share the database, this one first"`
	Streams     OverviewStreams `json:"streams"`
	Viewers     int             `json:"viewers" minimum:"0" doc:"Of what is on air on this node" example:"120"`
	InBPS       int64           `json:"in_bps" minimum:"0" doc:"From publishers, over ten seconds" example:"7500000"`
	OutBPS      int64           `json:"out_bps" minimum:"0" doc:"To viewers by HTTP, over a minute" example:"250000000"`
	DB          OverviewDB      `json:"db"`
	Cache       OverviewCache   `json:"cache"`
	Blob        OverviewBlob    `json:"blob"`
	Errors5M    int64           `json:"errors_5m" minimum:"0" doc:"Answers of the API with a status of 500 and above in the last five minutes" example:"0"`
	ActiveUsers OverviewUsers   `json:"active_users"`
	// Interactions are follows; there is nothing else yet that would be one.
	Interactions24H int64                 `json:"interactions_24h" minimum:"0" doc:"Follows of the last 24 hours that are still there" example:"35"`
	Jobs            OverviewJobs          `json:"jobs"`
	StreamAlerts    []OverviewStreamAlert `json:"stream_alerts" nullable:"false" doc:"What stands for streams on air, by code"`
	Alerts          []AlertBody           `json:"alerts" nullable:"false" doc:"What fires now on any node, the newest first, 100 at the most"`
}

// OverviewNode is a node. What only it knows itself is absent for others.
type OverviewNode struct {
	ID         string   `json:"id" example:"media-1"`
	This       bool     `json:"this" doc:"It was asked itself" example:"true"`
	StartedAt  string   `json:"started_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	UptimeS    int64    `json:"uptime_s" minimum:"0" example:"86400"`
	SilentS    int64    `json:"silent_s" minimum:"0" doc:"Since it was heard last" example:"4"`
	Version    string   `json:"version,omitempty" example:"1.0.0"`
	Roles      []string `json:"roles,omitempty" nullable:"false" example:"[\"all\"]"`
	CPUPct     *float64 `json:"cpu_pct,omitempty" nullable:"false" minimum:"0" doc:"Of one core, over a minute, the encoders aside" example:"35.5"`
	RSSBytes   *int64   `json:"rss_bytes,omitempty" nullable:"false" minimum:"0" example:"210000000"`
	DiskFree   *int64   `json:"disk_free_bytes,omitempty" nullable:"false" minimum:"0" example:"80000000000"`
	DiskWhole  *int64   `json:"disk_total_bytes,omitempty" nullable:"false" minimum:"0" example:"100000000000"`
	Goroutines *int     `json:"goroutines,omitempty" nullable:"false" minimum:"0" example:"240"`
}

// OverviewStreams are those on air on this node, by state.
type OverviewStreams struct {
	Starting     int `json:"starting" minimum:"0" example:"0"`
	Live         int `json:"live" minimum:"0" example:"3"`
	Reconnecting int `json:"reconnecting" minimum:"0" example:"1"`
}

// OverviewDB is the database.
type OverviewDB struct {
	Engine    string       `json:"engine" doc:"sqlite, postgres" example:"postgres"`
	LatencyMS *float64     `json:"latency_ms" minimum:"0" doc:"Of a question and its answer; null: it does not answer" example:"0.8"`
	Pool      OverviewPool `json:"pool"`
	// ReplicaLagMS is the most of those of Replicas.
	ReplicaLagMS *int64           `json:"replica_lag_ms" minimum:"0" doc:"How old what replicas show may be; null: there are none, or it is not known" example:"180"`
	Replicas     []OverviewBehind `json:"replicas" nullable:"false"`
}

// OverviewPool are the connections to it.
type OverviewPool struct {
	InUse int   `json:"in_use" minimum:"0" example:"2"`
	Idle  int   `json:"idle" minimum:"0" example:"8"`
	Waits int64 `json:"waits" minimum:"0" doc:"How often one had to be waited for since the start" example:"0"`
}

// OverviewBehind is a replica.
type OverviewBehind struct {
	LagMS *int64 `json:"lag_ms" minimum:"0" doc:"How old what it shows may be; null: it is not known" example:"180"`
	Used  bool   `json:"used" doc:"Reads go to it" example:"true"`
}

// OverviewCache is what this node remembers.
type OverviewCache struct {
	HitRatio *float64 `json:"hit_ratio" minimum:"0" maximum:"1" doc:"How often it was known what was asked for, over five minutes; null: nobody asked" example:"0.97"`
	Entries  int      `json:"entries" minimum:"0" doc:"Rows and answers that are remembered" example:"1200"`
}

// OverviewBlob is the bucket.
type OverviewBlob struct {
	State string `json:"state" doc:"none, ok, failing" example:"ok"`
	Queue int    `json:"queue" minimum:"0" doc:"Segments that are still to be stored" example:"0"`
}

// OverviewUsers are how many were here.
type OverviewUsers struct {
	Last5M  int `json:"5m" minimum:"0" doc:"With a call to this node" example:"12"`
	Last1D  int `json:"1d" minimum:"0" example:"240"`
	Last30D int `json:"30d" minimum:"0" example:"1800"`
}

// OverviewJobs are the jobs of the site that are not done, by state.
type OverviewJobs struct {
	Waiting int64 `json:"waiting" minimum:"0" example:"3"`
	Running int64 `json:"running" minimum:"0" example:"1"`
	Failed  int64 `json:"failed" minimum:"0" doc:"After all attempts, in the last seven days" example:"0"`
}

// OverviewStreamAlert is what stands for some streams.
type OverviewStreamAlert struct {
	Code    string `json:"code" example:"gop_too_long"`
	Streams int    `json:"streams" minimum:"1" example:"2"`
}

// maxOverviewAlerts bounds what the overview shows; the list has all.
const maxOverviewAlerts = 100

type overviewOutput struct{ Body Overview }

func (h *handlers) registerOverview(api huma.API, op func(id, method, path, summary string, status int, more ...problem.Code) huma.Operation) {
	huma.Register(api, op("getOverview", http.MethodGet, "/admin/overview", "How the site stands", http.StatusOK), problem.Handle(h.Log, h.overview))
}

func (h *handlers) overview(ctx context.Context, _ *struct{}) (*overviewOutput, error) {
	o, err := h.Overview(ctx)
	if err != nil {
		return nil, err
	}
	firing, err := h.Alerts.List(ctx, db.AlertFiring, "", maxOverviewAlerts)
	if err != nil {
		return nil, err
	}
	o.Alerts = make([]AlertBody, len(firing))
	for i, a := range firing {
		o.Alerts[i] = alertBody(a)
	}
	return &overviewOutput{o}, nil
}
