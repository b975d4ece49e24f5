package relay

import "time"

// State is what a relay is doing.
type State string

// The states.
const (
	// StateIdle: the stream is not on air.
	StateIdle State = "idle"
	// StateConnecting: the target is being called.
	StateConnecting State = "connecting"
	// StateLive: the target has accepted, and is sent what the publisher sends.
	StateLive State = "live"
	// StateWaiting: the target is gone or refuses, and is tried again at RetryAt; or, where that is zero, once the publisher is back or
	// sends other codecs.
	StateWaiting State = "waiting"
)

// Status is how it stands with one target of a stream.
type Status struct {
	ID     string // of a target that was added; "": it is one of the routes
	Stream string
	Target string // its URL, without what is secret in it
	State  State
	Since  time.Time // when it came into State
	// Attempts, Bytes and Drops are of the session: how often the target was called; what was sent to it; units that its queue had no room
	// for.
	Attempts, Bytes, Drops uint64
	RetryAt                time.Time // of StateWaiting
	// Error is why it was last waited, without secrets; empty: it never was.
	Error string
	// Note is what the target does not get, in StateLive; empty: everything.
	Note string
}
