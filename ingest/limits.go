package ingest

import (
	"fmt"
	"time"

	"mediad/live"
)

// Limits of one publisher; zero means default.
type Limits struct {
	// MaxFrame is the largest access unit in bytes, default 16 MiB: a key frame of 100 Mbit/s video has a tenth.
	MaxFrame int

	// MaxBitrate is the most that a publisher may send, in bits a second over bitrateWindow. Default 200 Mbit/s; 0 means
	// default, negative none. Too low cuts sources off at a scene change, too high lets one publisher fill the disk.
	MaxBitrate int64

	// FirstFrameTimeout is how long a publisher may send no media after it was let in. Default 10 s.
	FirstFrameTimeout time.Duration

	// ReadTimeout is the silence that counts as gone. Default 5 s.
	ReadTimeout time.Duration

	// granted: MaxBitrate is the stream's own rule.
	granted bool
}

// keepTo takes over what the stream itself allows, where that is less.
func (l *Limits) keepTo(g live.Grant) {
	if g.MaxBitrate > 0 && (l.MaxBitrate < 0 || g.MaxBitrate < l.MaxBitrate) {
		l.MaxBitrate, l.granted = g.MaxBitrate, true
	}
}

const (
	defaultMaxFrame   = 16 << 20
	defaultMaxBitrate = 200_000_000

	// bitrateWindow is long enough for a key frame and what a network gives late in one go.
	bitrateWindow = 5 * time.Second
)

// WithDefaults returns l with the defaults filled in.
func (l Limits) WithDefaults() Limits {
	if l.MaxFrame <= 0 {
		l.MaxFrame = defaultMaxFrame
	}
	if l.MaxBitrate == 0 {
		l.MaxBitrate = defaultMaxBitrate
	}
	if l.FirstFrameTimeout <= 0 {
		l.FirstFrameTimeout = 10 * time.Second
	}
	if l.ReadTimeout <= 0 {
		l.ReadTimeout = 5 * time.Second
	}
	return l
}

// check refuses a unit of size bytes that is over a limit.
func (l *Limits) check(m *meter, size int, now time.Time) error {
	if size > l.MaxFrame {
		return live.Refuse(live.ReasonFrameTooLarge, fmt.Errorf("ingest: a frame of %d bytes, over %d", size, l.MaxFrame))
	}
	if l.MaxBitrate < 0 {
		return nil
	}
	if m.add(size, l.MaxBitrate, now) {
		if l.granted {
			return live.Refuse(live.ReasonPolicyLimit, fmt.Errorf("ingest: over the stream's %d bit/s for %v", l.MaxBitrate, bitrateWindow))
		}
		return live.Refuse(live.ReasonBitrateTooHigh, fmt.Errorf("ingest: over %d bit/s for %v", l.MaxBitrate, bitrateWindow))
	}
	return nil
}

// meter is a bucket that drains at the permitted bitrate and holds bitrateWindow of it.
type meter struct {
	bits float64
	last time.Time
}

// add reports whether the bucket overflows.
func (m *meter) add(size int, bitrate int64, now time.Time) bool {
	if !m.last.IsZero() {
		m.bits = max(0, m.bits-now.Sub(m.last).Seconds()*float64(bitrate))
	}
	m.last = now
	m.bits += 8 * float64(size)
	return m.bits > bitrateWindow.Seconds()*float64(bitrate)
}

// maxEpochs is how many epochs one publisher may begin without a rest; then one each epochEvery. Each costs a segment, an init
// segment and a discontinuity for as long as the DVR range lasts, and a publisher could begin one with every picture.
const (
	maxEpochs  = 30
	epochEvery = time.Second
)

// epochMeter is a bucket that holds maxEpochs and loses one each epochEvery.
type epochMeter struct {
	full time.Duration // epochs in it, times epochEvery
	last time.Time
}

// add reports whether the bucket overflows.
func (m *epochMeter) add(now time.Time) bool {
	if !m.last.IsZero() {
		m.full = max(0, m.full-now.Sub(m.last))
	}
	m.last = now
	m.full += epochEvery
	return m.full > maxEpochs*epochEvery
}
