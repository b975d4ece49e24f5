package stream

import (
	"cmp"
	"fmt"
	"sync"
	"time"
)

// How many disconnects are rows of their own. An encoder with an old key comes again each few seconds, and whoever has one as often as they
// like: each try would be a write, and a hundred of them are all that is kept of a stream.
var (
	// refusedFrom one network, of one stream.
	refusedFrom = allowance{5, 10 * time.Second}
	// refusedAll from everywhere, of one stream.
	refusedAll = allowance{20, 2 * time.Second}
	// closedAll are those of publishers that had been let in, of one stream.
	closedAll = allowance{20, 2 * time.Second}
)

// maxTries bounds the memory: beyond it what comes is in the metrics alone until others are quiet.
const maxTries = 4096

// allowance is a token bucket: so many at once, and one more each so often.
type allowance struct {
	burst int
	each  time.Duration
}

// Tries bounds how many disconnects of a stream are noted. What is more is counted, and told in one row once there is room for it. Its methods
// may be called from any goroutine.
type Tries struct {
	now func() time.Time

	mu    sync.Mutex // guards known
	known map[tryOf]*tried
}

// tryOf is whose tries are counted together. network is masked; "": all of the stream.
type tryOf struct {
	streamID, network string
	refused           bool
}

type tried struct {
	allowance
	left float64
	at   time.Time // when left was so
	cut  int       // tries that are no row of their own, nor told in one yet
	last Disconnect
}

// NewTries makes one. now: nil is time.Now.
func NewTries(now func() time.Time) *Tries {
	if now == nil {
		now = time.Now
	}
	return &Tries{now: now, known: map[tryOf]*tried{}}
}

// Count says whether a disconnect is to be noted, with how many before it were not.
func (t *Tries) Count(d Disconnect) (Disconnect, bool) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if d.Refused {
		one := t.of(tryOf{d.StreamID, cmp.Or(MaskAddr(d.Remote), "nowhere"), true}, refusedFrom, now)
		if one == nil || !one.take(now) {
			return d, one.keep(d)
		}
		all := t.of(tryOf{d.StreamID, "", true}, refusedAll, now)
		if all == nil || !all.take(now) {
			return d, all.keep(d)
		}
		return one.tell(d), true
	}
	all := t.of(tryOf{streamID: d.StreamID}, closedAll, now)
	if all == nil || !all.take(now) {
		return d, all.keep(d)
	}
	return all.tell(d), true
}

// of finds the bucket of a key; nil: there is no room for it.
func (t *Tries) of(key tryOf, a allowance, now time.Time) *tried {
	one := t.known[key]
	if one == nil && len(t.known) < maxTries {
		one = &tried{allowance: a, left: float64(a.burst), at: now}
		t.known[key] = one
	}
	return one
}

// Due are those to be noted that tell of what was cut and is quiet since, and forgets who has not come for long. It is called every few seconds.
func (t *Tries) Due() []Disconnect {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	var due []Disconnect
	for key, one := range t.known {
		if one.cut > 0 && one.take(now) {
			due = append(due, one.rest())
		}
		if one.refill(now); one.cut == 0 && one.left >= float64(one.burst) {
			delete(t.known, key)
		}
	}
	return due
}

// Rest are all that tell of what was cut: the server stops.
func (t *Tries) Rest() []Disconnect {
	t.mu.Lock()
	defer t.mu.Unlock()
	var rest []Disconnect
	for _, one := range t.known {
		if one.cut > 0 {
			rest = append(rest, one.rest())
		}
	}
	return rest
}

func (b *tried) refill(now time.Time) {
	if passed := now.Sub(b.at); passed > 0 {
		b.left = min(float64(b.burst), b.left+float64(passed)/float64(b.each))
	}
	b.at = now
}

func (b *tried) take(now time.Time) bool {
	if b.refill(now); b.left < 1 {
		return false
	}
	b.left--
	return true
}

// keep counts one that is not noted.
func (b *tried) keep(d Disconnect) bool {
	if b != nil {
		b.cut++
		b.last = d
	}
	return false
}

// tell says in d how many like it were not noted before it.
func (b *tried) tell(d Disconnect) Disconnect {
	if b.cut > 0 {
		d.Detail += fmt.Sprintf(" It was so %d times more before, in quick succession.", b.cut)
		b.cut = 0
	}
	return d
}

// rest is the newest that was not noted, with how many were not before it.
func (b *tried) rest() Disconnect {
	b.cut--
	return b.tell(b.last)
}
