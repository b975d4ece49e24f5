package firewall

import (
	"time"

	"mediad/media"
)

// pending is a unit on its way through: src is its DTS on the source's unwrapped line plus the track's offset, cts its
// PTS − DTS.
type pending struct {
	au       media.AccessUnit
	src, cts media.Ticks
	offset   media.Ticks // what is in src
	arrival  time.Duration
}

// rebase follows a track whose offset has changed since.
func (u *pending) rebase(t *track) {
	u.src += t.offset - u.offset
	u.offset = t.offset
}

// track is what is known of one track.
type track struct {
	kind  media.Kind
	codec media.Codec
	scale media.Timescale // 0: no such track
	frame media.Ticks     // audio: samples a unit

	// offset is added to the source's timestamps, since this track's clock jumped alone.
	offset media.Ticks

	// The line so far in this epoch; nothing where started is false.
	started     bool
	last        media.Ticks   // src of the newest unit that was believed
	lastArrival time.Duration // and its arrival
	otherAt     time.Duration // where the other track was then

	// Suspect units, oldest first, and what was so when the first came.
	held      []pending
	spare     []pending // the storage of held while it is being worked off
	heldBytes int
	jump      bool          // they are more than a hole
	heldAt    time.Duration // arrival of the first
	heldOther time.Duration // where the other track was

	cadence cadence // video
	counter counter // audio
	pts     reorder // video
}

// reset forgets the line but not what was learned about the source.
func (t *track) reset() {
	t.offset, t.started, t.last, t.lastArrival, t.otherAt = 0, false, 0, 0, 0
	t.release()
	t.cadence.restart()
	t.counter = counter{}
}

// now is the newest time of the line.
func (t *track) now() time.Duration { return t.scale.Duration(t.last) }

func (t *track) at(u pending) time.Duration { return t.scale.Duration(u.src) }

// active reports whether the track has spoken within maxJump before arrival.
func (t *track) active(arrival time.Duration) bool {
	return t.started && arrival-t.lastArrival < maxJump
}

func (t *track) hold(u pending, other *track) {
	if len(t.held) == 0 {
		t.heldAt, t.heldOther = u.arrival, other.now()
	}
	t.held = append(t.held, u)
	t.heldBytes += len(u.au.Data)
}

// release empties the list of held units; the caller has what it wants of them.
func (t *track) release() {
	clear(t.held)
	t.held, t.heldBytes, t.jump = t.held[:0], 0, false
}

// take hands the suspects over; giveBack returns their storage when they are dealt with.
func (t *track) take() []pending {
	held := t.held
	t.held, t.spare = t.spare[:0], nil
	t.heldBytes, t.jump = 0, false
	return held
}

func (t *track) giveBack(held []pending) {
	clear(held)
	t.spare = held[:0]
}

// normal reports whether a unit comes when the next one may be expected; it may be early.
func (t *track) normal(u pending) bool {
	if t.kind == media.Audio {
		return u.src-t.counter.next < t.counter.bound(t.samples(u))
	}
	return t.cadence.normal(u.src, u.src-t.last)
}

// confirmsHole reports whether u, right behind suspects that may be a hole's far side, tells that they are. Audio
// timestamps of some sources jitter by more than a frame, so there the count decides.
func (t *track) confirmsHole(u pending) bool {
	if t.kind == media.Video {
		return true
	}
	n := t.samples(u)
	return u.src-t.counter.next-n*media.Ticks(len(t.held)) >= t.counter.bound(n)/2
}

// step is how long a unit lasts, or the least that it may where the rate varies.
func (t *track) step() media.Ticks {
	switch {
	case t.kind == media.Audio:
		return max(t.frame, 1)
	case t.cadence.locked:
		return t.cadence.grid.floor()
	default:
		return minGap
	}
}

// samples is how long an audio unit lasts.
func (t *track) samples(u pending) media.Ticks {
	if t.codec == media.Opus {
		if n := media.OpusSamples(u.au.Data); n > 0 {
			return n
		}
	}
	return max(t.frame, 1)
}

// reorder keeps PTS ≥ DTS. Sources that write PTS before DTS do it all the time and by a constant, so all PTS are lifted by
// that once it is certain; a single bad one is only corrected.
type reorder struct {
	lift     media.Ticks
	deficit  media.Ticks // largest seen lately
	negative int         // leaky count of PTS before DTS
	last     media.Ticks // last good PTS − DTS
}

const maxLift = media.Ticks(media.VideoTimescale) / 5

// fix returns the repaired PTS − DTS.
func (r *reorder) fix(cts media.Ticks) (fixed media.Ticks, repaired Repair, is bool) {
	switch cts += r.lift; {
	case cts > media.Ticks(media.VideoTimescale)*media.Ticks(maxReorder/time.Second):
		return r.last, FixedPTS, true
	case cts >= 0:
		r.negative = max(r.negative-1, 0)
		if r.negative == 0 {
			r.deficit = 0
		}
		r.last = cts
		return cts, 0, false
	case cts < -maxLift:
		return r.last, FixedPTS, true
	}
	r.deficit = max(r.deficit, -cts)
	if r.negative += 8; r.negative >= 24 && r.lift+r.deficit <= maxLift {
		r.lift += r.deficit
		cts += r.deficit
		r.negative, r.deficit = 0, 0
		return max(cts, 0), LiftedPTS, true
	}
	return 0, FixedPTS, true
}
