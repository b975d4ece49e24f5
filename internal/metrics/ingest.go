package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"mediad/live"
	"mediad/media"
)

const (
	maxProtocols   = 8  // rtmp, rtmps, whip, rtsp, srt and room
	maxRepairKinds = 64 // the firewall has a dozen
	maxPlaces      = 8  // the entrance and one a policy
)

type ingest struct {
	bytes, frames [media.Kinds]prometheus.Counter // resolved: they are counted for every unit
	repairs       *prometheus.CounterVec
	drops         *prometheus.CounterVec
	publish       *prometheus.CounterVec
	closed        *prometheus.CounterVec
	takeovers     prometheus.Counter
	started       prometheus.Counter
	away          prometheus.Counter
	resumed       prometheus.Counter
	ended         *prometheus.CounterVec
	epochs        prometheus.Counter

	protocols, repairKinds, places *words
	reasons                        map[live.Reason]bool
}

func newIngest(r prometheus.Registerer) ingest {
	bytes := counters(r, "ingest_bytes_total", "Payload taken in from publishers.", "kind")
	frames := counters(r, "ingest_frames_total", "Access units taken in from publishers.", "kind")
	g := ingest{
		repairs:   counters(r, "ingest_repairs_total", "What was mended in sources' timestamps and structure.", "kind"),
		drops:     counters(r, "ingest_drops_total", "Access units that went no further: at the entrance of a session, or at the queue of a subscriber.", "where", "reason"),
		publish:   counters(r, "publish_total", "Attempts to publish, by protocol and result: ok, or why it was refused.", "protocol", "result"),
		closed:    counters(r, "publishers_closed_total", "Publishers that left, by protocol and reason.", "protocol", "reason"),
		takeovers: counter(r, "takeovers_total", "Publishers that were replaced by another."),
		started:   counter(r, "sessions_started_total", "Sessions that had their first frame."),
		away:      counter(r, "session_drops_total", "Sessions whose publisher left, so that their resume window began."),
		resumed:   counter(r, "session_resumes_total", "Sessions that went on within their resume window."),
		ended:     counters(r, "sessions_ended_total", "Sessions that ended, by reason.", "reason"),
		epochs:    counter(r, "epochs_total", "Epochs begun; each but a session's first is a discontinuity."),

		protocols: newWords(maxProtocols), repairKinds: newWords(maxRepairKinds), places: newWords(maxPlaces),
		reasons: map[live.Reason]bool{},
	}
	for k := range media.Kind(media.Kinds) {
		g.bytes[k], g.frames[k] = bytes.WithLabelValues(k.String()), frames.WithLabelValues(k.String())
	}
	for _, reason := range live.Reasons() {
		g.reasons[reason] = true
	}
	return g
}

func (g *ingest) reason(r live.Reason) string {
	if g.reasons[r] {
		return string(r)
	}
	return other
}

// Unit implements live.Observer.
func (m *Metrics) Unit(kind media.Kind, bytes int) {
	if kind < media.Kinds {
		m.ingest.bytes[kind].Add(float64(bytes))
		m.ingest.frames[kind].Inc()
	}
}

// Dropped implements live.Observer.
func (m *Metrics) Dropped(where string, why live.DropReason, n int) {
	m.ingest.drops.WithLabelValues(m.ingest.places.bound(where), why.String()).Add(float64(n))
}

// Repaired implements live.Observer.
func (m *Metrics) Repaired(kind string, n int) {
	m.ingest.repairs.WithLabelValues(m.ingest.repairKinds.bound(kind)).Add(float64(n))
}

// Notice implements live.Observer.
func (m *Metrics) Notice(n live.Notice) {
	g := &m.ingest
	protocol := func() string { return g.protocols.bound(n.Peer.Protocol) }
	switch n.Kind {
	case live.PublisherConnected:
		g.publish.WithLabelValues(protocol(), "ok").Inc()
	case live.PublishRefused:
		g.publish.WithLabelValues(protocol(), g.reason(n.Reason)).Inc()
		m.Security("publish_refused")
	case live.PublisherClosed:
		g.closed.WithLabelValues(protocol(), g.reason(n.Reason)).Inc()
	case live.TakenOver:
		g.takeovers.Inc()
	case live.SessionStarted:
		g.started.Inc()
	case live.SessionAway:
		g.away.Inc()
	case live.SessionResumed:
		g.resumed.Inc()
	case live.SessionEnded:
		g.ended.WithLabelValues(g.reason(n.Reason)).Inc()
	case live.EpochStarted:
		g.epochs.Inc()
	case live.StreamForgotten:
	}
}
