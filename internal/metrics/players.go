package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mediad/live"
)

// Players counts what becomes of viewers by WebRTC. It implements whep.Observer.
type Players struct {
	ended   *prometheus.CounterVec
	bytes   prometheus.Counter
	first   prometheus.Histogram
	reasons map[live.Reason]bool
}

func newPlayers(r prometheus.Registerer) *Players {
	p := &Players{
		ended: counters(r, "whep_ended_total", "Viewers by WebRTC that left or were sent away, by reason.", "reason"),
		bytes: counter(r, "whep_sent_bytes_total", "Payload sent to viewers by WebRTC; counted when they leave."),
		first: histogram(r, "whep_first_frame_seconds", "From a request to the first picture, or sound, that was sent.",
			0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5),
		reasons: map[live.Reason]bool{},
	}
	for _, reason := range live.Reasons() {
		p.reasons[reason] = true
	}
	return p
}

// Players is who is told of viewers by WebRTC.
func (m *Metrics) Players() *Players { return m.players }

// Viewers implements whep.Observer. Their number is asked for at a scrape; see Watch.
func (*Players) Viewers(string, int) {}

// Ended implements whep.Observer.
func (p *Players) Ended(_ string, why live.Reason, _ time.Duration, bytes uint64) {
	label := other
	if p.reasons[why] {
		label = string(why)
	}
	p.ended.WithLabelValues(label).Inc()
	p.bytes.Add(float64(bytes))
}

// FirstFrame implements whep.Observer.
func (p *Players) FirstFrame(_ string, after time.Duration) { p.first.Observe(after.Seconds()) }
