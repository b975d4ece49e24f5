package live

import (
	"fmt"
	"time"

	"mediad/media"
)

// Epoch is a stretch of a session with unchanged codec configuration and continuous time. It is immutable.
type Epoch struct {
	// ID names the epoch's files: max(unix milliseconds at its start, last known + 1), so that it rises over
	// sessions, restarts and clock steps.
	ID int64
	// Index counts the epochs of the session from 0.
	Index  int
	Tracks [media.Kinds]*media.Track // nil: there is none
	// Layers are further encodings of the picture that the publisher sends beside Tracks[media.Video], by media.AccessUnit.Layer − 1; an
	// entry may be nil. Only those who call Session.SubscribeLayers get them.
	Layers []*media.Track
	// Start is the session time of the first sample, one line for both tracks; whole milliseconds.
	Start             time.Duration
	Protocol, Encoder string
	StartedAt         time.Time // wall clock
	Reason            string    // why a new one: what StartEpoch was told, or of those below
}

// The reasons of a publisher's first epoch in a session that another connection began; what StartEpoch was told is the publisher's own view.
const (
	EpochReconnected = "reconnected" // the publisher was away
	EpochReplaced    = "replaced"    // this one took the stream over
)

// EventKind tells what an Event is.
type EventKind uint8

// The kinds of event, in the order in which a session brings them: EventEpoch, EventUnit…, then EventAway and
// EventEpoch again as publishers go and come, at last EventEnd.
const (
	// EventEpoch begins an epoch. What comes before it is complete: no unit of an older epoch follows.
	EventEpoch EventKind = iota + 1
	// EventUnit brings one access unit, in session time.
	EventUnit
	// EventAway says that the publisher dropped, stopped or was replaced: the open segment must be closed now.
	// EventEpoch or EventEnd follows. It may be repeated.
	EventAway
	// EventEnd says that the session is over; Reason is the session's end_reason. Nothing follows.
	EventEnd
	// EventNudge says that Subscriber.Nudge was called. It may come at any place.
	EventNudge
)

func (k EventKind) String() string {
	switch k {
	case EventEpoch:
		return "epoch"
	case EventUnit:
		return "unit"
	case EventAway:
		return "away"
	case EventEnd:
		return "end"
	case EventNudge:
		return "nudge"
	default:
		return fmt.Sprintf("event(%d)", uint8(k))
	}
}

// Event is what a Subscriber is told.
type Event struct {
	Kind EventKind
	// Epoch is the epoch that begins (EventEpoch) or that the unit belongs to (EventUnit); else nil.
	Epoch *Epoch
	// Unit has DTS and PTS in session time, in its track's timescale: 0 is the session's start, and audio and video
	// share the line. Within an epoch DTS rises strictly in each track and no PTS is before Epoch.Start; the first
	// video unit is a random access point. The first DTS may be before Epoch.Start.
	Unit media.AccessUnit
	// Reason: of EventAway and EventEnd.
	Reason Reason
	// ArrivedAt is the session clock when the event was published.
	ArrivedAt time.Duration
}
