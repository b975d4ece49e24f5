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

// pacer is a token bucket. It is pure: the clock is an argument.
type pacer struct {
	left int // bytes; below 0 is owed
	at   time.Duration
	some bool
}

// send takes n bytes and tells how long to wait before the next; 0: not at all.
func (p *pacer) send(n int, now time.Duration) time.Duration {
	if !p.some {
		p.some, p.left, p.at = true, burst, now
	}
	if d := now - p.at; d > 0 {
		p.left = min(burst, p.left+int(min(d, time.Second)*pace/time.Second))
		p.at = now
	}
	p.left -= n
	if p.left >= 0 {
		return 0
	}
	return max(time.Duration(-p.left)*time.Second/pace, paceStep)
}
