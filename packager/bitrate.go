package packager

import "time"

// shortestMeasured is the shortest segment whose bit rate counts as a peak: shorter ones may be a key frame and little
// else.
const shortestMeasured = time.Second

// bitrate is measured over the session's segments.
type bitrate struct {
	bytes int64
	media time.Duration
	peak  int // bits a second of the fastest segment
}

func (b *bitrate) add(bytes int64, d time.Duration) {
	b.bytes += bytes
	b.media += d
	if d >= shortestMeasured || b.peak == 0 {
		b.peak = max(b.peak, rateOf(bytes, d))
	}
}

func (b *bitrate) average() int { return rateOf(b.bytes, b.media) }

func rateOf(bytes int64, d time.Duration) int {
	if d <= 0 {
		return 0
	}
	return int(float64(bytes) * 8 / d.Seconds())
}
