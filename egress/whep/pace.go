package whep

import "time"

const (
	// burst is what is sent at once: a key frame of most sources. More would overflow the buffers of routers and sockets.
	burst = 128 << 10
	// pace is how fast more is sent, in bytes a second: two seconds of 2.5 Mbit/s take 80 ms.
	pace = 50_000_000 / 8
	// paceStep is how long the sender sleeps at least once it has to.
	paceStep = 2 * time.Millisecond
)

// bucket is a token bucket. It is pure: the clock is an argument.
type bucket struct {
	left int // below 0 is owed
	at   time.Duration
	some bool
}

// fill brings what has come in since the last call: rate a second, up to most, with which it begins.
func (b *bucket) fill(most, rate int, now time.Duration) {
	if !b.some {
		b.some, b.left, b.at = true, most, now
	}
	// What is less than one stays for the next time.
	b.at = max(b.at, now-time.Second)
	if n := (now - b.at) * time.Duration(rate) / time.Second; n > 0 {
		b.left = min(most, b.left+int(n))
		b.at += n * time.Second / time.Duration(rate)
	}
}

// take takes n if they are there.
func (b *bucket) take(n, most, rate int, now time.Duration) bool {
	b.fill(most, rate, now)
	if b.left < n {
		return false
	}
	b.left -= n
	return true
}

// pacer spreads what is sent over time.
type pacer struct{ bucket }

// send takes n bytes and tells how long to wait before the next; 0: not at all.
func (p *pacer) send(n int, now time.Duration) time.Duration {
	p.fill(burst, pace, now)
	p.left -= n
	if p.left >= 0 {
		return 0
	}
	return max(time.Duration(-p.left)*time.Second/pace, paceStep)
}
