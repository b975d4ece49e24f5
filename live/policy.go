package live

import "time"

// Policy is the bound of a subscriber's queue and what happens when it is full. One slow subscriber costs its
// bound and nothing else: neither the publisher nor any other subscriber sees it.
type Policy uint8

// The policies.
const (
	// PackagerPolicy is for the one that makes the source's segments: 4 s or 32 MiB. It should never be full; if
	// it is, that is our fault and is logged so. What is queued stays, what comes is dropped up to the next key
	// frame that finds room, and the timestamps show the hole.
	PackagerPolicy Policy = iota + 1
	// PlayerPolicy is for anyone whose network we do not know: 2 s or 8 MiB. The queue is emptied and goes on at
	// the next key frame; the third time within 30 s closes the subscriber with ReasonTooSlow.
	PlayerPolicy
	// EncoderPolicy is for the one that encodes a session's ladder: 1 s or 16 MiB. The queue is emptied and goes on at the next
	// key frame, as often as need be: an encoder that falls behind costs rungs, and who reads it decides which.
	EncoderPolicy
)

func (p Policy) String() string { return p.bounds().name }

// bounds is one row of the table of all bounds.
type bounds struct {
	name       string        // label of metrics and logs
	maxDelay   time.Duration // how long the oldest queued unit may wait
	maxBytes   int           // queued bytes, eventOverhead for each event included
	keepQueued bool          // when full: keep what is queued, else empty the queue
	maxSkips   int           // this many within skipWindow close the subscriber; 0: never
	skipWindow time.Duration
}

// maxPlayerBytes is maxBytes of PlayerPolicy.
const maxPlayerBytes = 8 << 20

// eventOverhead is what an event counts for besides its payload, so that a flood of empty units has a bound too.
const eventOverhead = 256

func (p Policy) bounds() bounds {
	switch p {
	case PackagerPolicy:
		return bounds{name: "packager", maxDelay: 4 * time.Second, maxBytes: 32 << 20, keepQueued: true}
	case EncoderPolicy:
		return bounds{name: "encoder", maxDelay: time.Second, maxBytes: 16 << 20}
	default:
		return bounds{name: "player", maxDelay: 2 * time.Second, maxBytes: maxPlayerBytes, maxSkips: 3, skipWindow: 30 * time.Second}
	}
}
