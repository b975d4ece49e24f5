package media

import (
	"math/bits"
	"time"
)

// Ticks is a count of timescale units. Media time is always integer ticks; it becomes a
// time.Duration only where it meets a clock or a log line.
type Ticks int64

// Timescale is the number of ticks in one second.
type Timescale uint32

const (
	// VideoTimescale is that of every video track inside mediad: 90 kHz, so that the usual frame rates
	// are whole numbers of ticks (24000/1001 fps is the exception, off by a quarter tick a frame).
	VideoTimescale Timescale = 90000
	// Milliseconds is the timescale of RTMP.
	Milliseconds Timescale = 1000
	// Nanoseconds is the timescale of time.Duration.
	Nanoseconds Timescale = 1_000_000_000
)

// Rescale converts t between timescales, rounding to the nearest tick, halves away from zero. The product is
// computed in 128 bits, so no input overflows on the way; a result beyond int64 is clamped.
func Rescale(t Ticks, from, to Timescale) Ticks {
	if from == to || from == 0 {
		return t
	}
	neg := t < 0
	u := uint64(t)
	if neg {
		u = -u
	}
	hi, lo := bits.Mul64(u, uint64(to))
	lo, carry := bits.Add64(lo, uint64(from)/2, 0)
	hi += carry
	const maxTicks = 1<<63 - 1
	q := uint64(maxTicks)
	if hi < uint64(from) {
		q, _ = bits.Div64(hi, lo, uint64(from))
	}
	if q > maxTicks {
		q = maxTicks
	}
	if neg {
		return -Ticks(q)
	}
	return Ticks(q)
}

// Duration is t ticks as a time.Duration, to the nearest nanosecond.
func (s Timescale) Duration(t Ticks) time.Duration {
	return time.Duration(Rescale(t, s, Nanoseconds))
}

// Ticks is d in ticks of s, to the nearest tick.
func (s Timescale) Ticks(d time.Duration) Ticks {
	return Rescale(Ticks(d), Nanoseconds, s)
}

// Unwrapper turns a counter that wraps at a fixed number of bits (32 for RTMP and RTP, 33 for MPEG-TS)
// into one that does not. The zero value is not usable; see NewUnwrapper.
type Unwrapper struct {
	bits uint
	last int64
	some bool
}

// NewUnwrapper returns an Unwrapper for counters of the given width in bits, 8 to 62.
func NewUnwrapper(width uint) Unwrapper { return Unwrapper{bits: width} }

// Unwrap returns v on the continuous line: the value congruent to v that lies nearest to the one before.
func (u *Unwrapper) Unwrap(v uint64) int64 {
	mod := int64(1) << u.bits
	cur := int64(v) & (mod - 1)
	if !u.some {
		u.some, u.last = true, cur
		return cur
	}
	d := (cur - u.last) & (mod - 1)
	if d >= mod/2 {
		d -= mod
	}
	u.last += d
	return u.last
}
