package live

import (
	"math"
	"slices"
	"time"

	"mediad/media"
)

const (
	bucket       = 100 * time.Millisecond
	bucketCount  = 128 // a power of two above 100, so that 10 s of complete buckets fit
	silentFor    = 3 * time.Second
	goesOnWithin = time.Second
	fpsWindow    = 2 * time.Second
)

// rate measures bytes over time in buckets of 100 ms. It is pure: the session clock is an argument.
type rate struct {
	first, index int64 // the first bucket and the newest
	some         bool
	buckets      [bucketCount]int64
}

func (r *rate) add(n int, now time.Duration) {
	i := int64(now / bucket)
	if !r.some {
		*r = rate{first: i, index: i, some: true}
	}
	for r.index < i {
		if i-r.index > bucketCount {
			r.index = i - bucketCount
		}
		r.index++
		r.buckets[r.index%bucketCount] = 0
	}
	r.buckets[i%bucketCount] += int64(n)
}

// perSecond is the mean over the complete buckets of the last window, in bits per second.
func (r *rate) perSecond(window, now time.Duration) int64 {
	if !r.some {
		return 0
	}
	end := int64(now / bucket) // not complete
	begin := max(end-int64(window/bucket), r.first)
	if begin >= end {
		return 0
	}
	var sum int64
	for i := begin; i < end && i <= r.index; i++ {
		if i > r.index-bucketCount {
			sum += r.buckets[i%bucketCount]
		}
	}
	return sum * 8 * int64(time.Second/bucket) / (end - begin)
}

func (r *rate) snapshot(now time.Duration) Bitrate {
	return Bitrate{Last1s: r.perSecond(time.Second, now), Last10s: r.perSecond(10*time.Second, now)}
}

// meter measures what a session gets, one track.
type meter struct {
	frames, bytes uint64
	rate          rate
	some          bool          // something came in this epoch
	arrived       time.Duration // session clock of the newest unit
	dts           media.Ticks   // of the newest unit
	jitter        float64       // nanoseconds, as RFC 3550 6.4.1 counts it
}

func (m *meter) add(au *media.AccessUnit, scale media.Timescale, now time.Duration) {
	if m.some {
		off := (now - m.arrived) - scale.Duration(au.DTS-m.dts)
		m.jitter += (math.Abs(float64(off)) - m.jitter) / 16
	}
	m.frames++
	m.bytes += uint64(len(au.Data))
	m.rate.add(len(au.Data), now)
	m.some, m.arrived, m.dts = true, now, au.DTS
}

// pictures measures the cadence of the video of one epoch.
type pictures struct {
	scale media.Timescale
	limit media.Ticks // a GOP above it is too long

	dts  [64]media.Ticks // of the newest pictures
	seen int

	key             media.Ticks // PTS of the newest key frame
	keys            int
	last, sum, most media.Ticks    // of complete GOPs
	newest          [6]media.Ticks // the newest complete GOPs

	long      bool // the GOP is too long
	longSince time.Duration
	open      bool // pictures behind a key frame refer back over it
	openSince time.Duration

	shown   media.Ticks // the latest PTS
	run     int         // pictures in a row that are shown before one decoded earlier
	bFrames int         // the longest such run
}

func newPictures(t *media.Track, segmentTarget time.Duration) pictures {
	// A GOP within half a second of the target still fits a segment whose duration rounds to it.
	return pictures{scale: t.Timescale, limit: t.Timescale.Ticks(segmentTarget + time.Second/2)}
}

func (p *pictures) add(au *media.AccessUnit, now time.Duration) {
	if au.RandomAccess {
		if au.OpenGOP && !p.open {
			p.openSince = now
		}
		p.open = au.OpenGOP
		if p.keys > 0 {
			p.last = au.PTS - p.key
			p.sum += p.last
			p.newest[p.keys%len(p.newest)] = p.last
			p.most = max(p.most, p.last)
			if p.last <= p.limit {
				p.long = false
			}
		}
		p.key = au.PTS
		p.keys++
	}
	if au.PTS-p.key > p.limit && !p.long {
		p.long, p.longSince = true, now
	}
	if p.seen > 0 && au.PTS < p.shown {
		p.run++
		p.bFrames = max(p.bFrames, p.run)
	} else {
		p.run, p.shown = 0, au.PTS
	}
	p.dts[p.seen%len(p.dts)] = au.DTS
	p.seen++
}

// fps is measured over the media of the last two seconds.
func (p *pictures) fps() float64 {
	n := min(p.seen, len(p.dts))
	if n < 2 {
		return 0
	}
	newest := p.dts[(p.seen-1)%len(p.dts)]
	window := p.scale.Ticks(fpsWindow)
	oldest, count := newest, 0
	for i := 2; i <= n; i++ {
		d := p.dts[(p.seen-i)%len(p.dts)]
		if newest-d > window {
			break
		}
		oldest, count = d, i-1
	}
	if count == 0 { // slower than one picture in the window
		oldest, count = p.dts[(p.seen-2)%len(p.dts)], 1
	}
	return float64(count) * float64(p.scale) / float64(newest-oldest)
}

func (p *pictures) gops() (last, mean, most time.Duration) {
	if p.keys < 2 {
		return 0, 0, 0
	}
	return p.scale.Duration(p.last), p.scale.Duration(p.sum / media.Ticks(p.keys-1)), p.scale.Duration(p.most)
}

// uneven reports whether the newest GOPs, once there are enough to tell, differ by more than the factor.
func (p *pictures) uneven(by float64) bool {
	if p.keys <= len(p.newest) {
		return false
	}
	return float64(slices.Max(p.newest[:])) > by*float64(slices.Min(p.newest[:]))
}
