package metrics

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"mediad/live"
	"mediad/media"
)

// maxNamed is how many streams have gauges of their own; of those beyond, by name, only the totals tell.
const maxNamed = 1000

// onAir is a collector: its gauges are made at each scrape from what is on air, so they are never stale.
type onAir struct {
	source atomic.Pointer[source]

	streams, viewers, alerts                         *prometheus.Desc
	bitrate, fps, gop, gopMax, offset, streamViewers *prometheus.Desc
}

type source struct {
	live    func() []live.Status
	viewers map[string]func(stream string) int // by kind
}

func newOnAir() *onAir {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	return &onAir{
		streams:       desc("streams", "Streams by state.", "state"),
		viewers:       desc("viewers", "Estimate of viewers, over all streams, by how they watch.", "kind"),
		alerts:        desc("stream_alerts", "Streams for which an alert stands, by its code.", "code"),
		bitrate:       desc("ingest_bitrate_bps", "What a publisher sends, over the last second.", "stream", "kind"),
		fps:           desc("ingest_fps", "Pictures a second of a publisher's video.", "stream"),
		gop:           desc("ingest_gop_seconds", "Length of the newest complete GOP.", "stream"),
		gopMax:        desc("ingest_gop_max_seconds", "Length of the longest GOP since the epoch began.", "stream"),
		offset:        desc("ingest_av_offset_seconds", "How far video is ahead of audio.", "stream"),
		streamViewers: desc("stream_viewers", "Estimate of viewers.", "stream"),
	}
}

func (o *onAir) watch(live func() []live.Status, hls, whep func(string) int) {
	s := &source{live, map[string]func(string) int{}}
	for kind, viewers := range map[string]func(string) int{"hls": hls, "whep": whep} {
		if viewers != nil {
			s.viewers[kind] = viewers
		}
	}
	o.source.Store(s)
}

// Describe implements prometheus.Collector.
func (o *onAir) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{o.streams, o.viewers, o.alerts, o.bitrate, o.fps, o.gop, o.gopMax, o.offset, o.streamViewers} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (o *onAir) Collect(ch chan<- prometheus.Metric) {
	s := o.source.Load()
	if s == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	states := map[live.State]int{live.StateStarting: 0, live.StateLive: 0, live.StateReconnecting: 0}
	alerts := map[live.AlertCode]int{}
	watching := map[string]int{}
	for i, st := range s.live() {
		states[st.State]++
		for _, a := range st.Alerts {
			alerts[a.Code]++
		}
		viewers := 0
		for kind, of := range s.viewers {
			n := of(st.Stream)
			watching[kind] += n
			viewers += n
		}
		if i >= maxNamed {
			continue
		}
		o.stream(gauge, &st)
		if len(s.viewers) > 0 {
			gauge(o.streamViewers, float64(viewers), st.Stream)
		}
	}
	for state, n := range states {
		gauge(o.streams, float64(n), string(state))
	}
	for code, n := range alerts {
		gauge(o.alerts, float64(n), string(code))
	}
	for kind := range s.viewers {
		gauge(o.viewers, float64(watching[kind]), kind)
	}
}

// stream makes the gauges of one stream; those of a track that it does not have are left out.
func (o *onAir) stream(gauge func(*prometheus.Desc, float64, ...string), st *live.Status) {
	if st.Tracks[media.Video] != nil {
		gauge(o.bitrate, float64(st.Video.Bitrate.Last1s), st.Stream, media.Video.String())
		gauge(o.fps, st.Video.FPS, st.Stream)
		gauge(o.gop, st.Video.LastGOP.Seconds(), st.Stream)
		gauge(o.gopMax, st.Video.MaxGOP.Seconds(), st.Stream)
	}
	if st.Tracks[media.Audio] != nil {
		gauge(o.bitrate, float64(st.Audio.Bitrate.Last1s), st.Stream, media.Audio.String())
	}
	if st.Tracks[media.Video] != nil && st.Tracks[media.Audio] != nil {
		gauge(o.offset, st.AVOffset.Seconds(), st.Stream)
	}
}
