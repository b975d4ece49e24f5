package live

import (
	"net"
	"slices"
	"time"
)

// The rule of two publishers (design 2.4): a later publisher with a valid key takes over. But a replaced encoder that
// returns within replacedMemory while the holder is sending is refused, and after maxTakeovers takeovers from a sending
// holder within contestWindow the holder wins. Without that, two encoders that reconnect by themselves flip for ever.
const (
	replacedMemory = 30 * time.Second
	contestWindow  = 60 * time.Second
	maxTakeovers   = 3
	sendingWithin  = time.Second // a holder is sending if its last frame is not older
	maxReplaced    = 16          // encoders remembered a stream; the oldest is forgotten
)

// identity is how an encoder is known again.
type identity struct{ addr, encoder string }

func identify(p Peer) identity {
	host, _, err := net.SplitHostPort(p.Remote)
	if err != nil {
		host = p.Remote
	}
	return identity{host, p.Encoder}
}

// contest remembers who was replaced on one stream. It is pure: the clock is an argument.
type contest struct {
	replaced     []replacedEncoder
	takeovers    []time.Time // from a sending holder, within contestWindow
	firstRefused time.Time   // of the present quarrel
	lastRefused  time.Time
}

type replacedEncoder struct {
	who  identity
	seen time.Time // replaced, or refused again: one that keeps knocking stays out
}

// allow reports whether who may take the stream over from a holder.
func (c *contest) allow(who identity, holderSends bool, now time.Time) bool {
	if !holderSends {
		return true
	}
	c.forget(now)
	i := slices.IndexFunc(c.replaced, func(r replacedEncoder) bool { return r.who == who })
	if i < 0 && len(c.takeovers) < maxTakeovers {
		return true
	}
	if i >= 0 {
		c.replaced[i].seen = now
	}
	if !c.fighting(now) {
		c.firstRefused = now
	}
	c.lastRefused = now
	return false
}

// tookOver notes that old was replaced.
func (c *contest) tookOver(old identity, wasSending bool, now time.Time) {
	c.forget(now)
	c.replaced = slices.DeleteFunc(c.replaced, func(r replacedEncoder) bool { return r.who == old })
	if len(c.replaced) == maxReplaced {
		c.replaced = c.replaced[1:]
	}
	c.replaced = append(c.replaced, replacedEncoder{old, now})
	if wasSending {
		c.takeovers = append(c.takeovers, now)
	}
}

// fighting reports whether somebody was refused lately, and so whether the alert stands.
func (c *contest) fighting(now time.Time) bool {
	return !c.lastRefused.IsZero() && now.Sub(c.lastRefused) <= contestWindow
}

func (c *contest) forget(now time.Time) {
	c.replaced = slices.DeleteFunc(c.replaced, func(r replacedEncoder) bool { return now.Sub(r.seen) > replacedMemory })
	c.takeovers = slices.DeleteFunc(c.takeovers, func(t time.Time) bool { return now.Sub(t) > contestWindow })
}
