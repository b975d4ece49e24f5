package live

import (
	"time"

	"mediad/media"
)

// NoticeKind tells what a Notice is about.
type NoticeKind string

// The kinds of notice.
const (
	PublisherConnected NoticeKind = "publisher_connected"
	PublisherClosed    NoticeKind = "publisher_closed" // Reason says why
	PublishRefused     NoticeKind = "publish_refused"  // Reason says why; Stream is empty if the key was not known
	TakenOver          NoticeKind = "taken_over"
	SessionStarted     NoticeKind = "session_started"
	SessionAway        NoticeKind = "session_away"    // the resume window begins
	SessionResumed     NoticeKind = "session_resumed" // within it
	SessionEnded       NoticeKind = "session_ended"   // Reason is the end_reason
	EpochStarted       NoticeKind = "epoch_started"
	StreamForgotten    NoticeKind = "stream_forgotten" // idle for long
)

// Notice is something that happened, seldom enough to carry every word of it.
type Notice struct {
	Kind     NoticeKind
	At       time.Time
	Stream   string
	StreamID string
	Session  string // empty if there is none
	KeyID    string
	Peer     Peer
	Reason   Reason
	Detail   string // PublisherClosed: what the owner is to know beyond Reason; mostly empty
	Epoch    *Epoch // EpochStarted
}

// Observer is told what happens. Its methods are called in order, outside all locks, in goroutines of publishers
// and timers: they must be quick and must not panic.
type Observer interface {
	Notice(n Notice)
	// Unit is called for every access unit that was written.
	Unit(kind media.Kind, bytes int)
	// Dropped counts units that went no further: where is AtEntrance or the policy of a subscriber's queue.
	Dropped(where string, why DropReason, n int)
	// Repaired counts what the front end mended, by kind.
	Repaired(kind string, n int)
}

// AtEntrance is where a unit is dropped that breaks the rules of its epoch.
const AtEntrance = "entrance"

type nobody struct{}

func (nobody) Notice(Notice)                   {}
func (nobody) Unit(media.Kind, int)            {}
func (nobody) Dropped(string, DropReason, int) {}
func (nobody) Repaired(string, int)            {}

// DropReason says why a unit went no further.
type DropReason uint8

// The reasons.
const (
	DropNoTrack     DropReason = iota // its track is not in the epoch
	DropNoKeyFrame                    // video before the epoch's first key frame
	DropBeforeEpoch                   // would be shown before the epoch's start
	DropNotMonotone                   // DTS did not rise, PTS before DTS, or a year ahead
	DropQueueFull                     // the queue was full: emptied, or the unit itself
	DropSkipping                      // on the way to the next key frame after that
	dropReasons
)

func (r DropReason) String() string {
	switch r {
	case DropNoTrack:
		return "no_track"
	case DropNoKeyFrame:
		return "no_key_frame"
	case DropBeforeEpoch:
		return "before_epoch"
	case DropNotMonotone:
		return "not_monotone"
	case DropQueueFull:
		return "queue_full"
	case DropSkipping:
		return "skipping"
	default:
		return "unknown"
	}
}

// DropReasons returns every reason.
func DropReasons() []DropReason {
	out := make([]DropReason, dropReasons)
	for i := range out {
		out[i] = DropReason(i)
	}
	return out
}

// Drops counts dropped units by reason.
type Drops [dropReasons]uint64

// Total is the sum over all reasons.
func (d Drops) Total() (n uint64) {
	for _, v := range d {
		n += v
	}
	return n
}

// State is what a stream is doing.
type State string

// The states of a stream; session.go draws how a session goes through them.
const (
	StateIdle         State = "idle"
	StateStarting     State = "starting" // a publisher is connected and has sent nothing yet
	StateLive         State = "live"
	StateReconnecting State = "reconnecting"
)

// Status is a snapshot of a stream.
type Status struct {
	Stream, StreamID string
	State            State
	Now              time.Time

	// The session; zero if there is none.
	SessionID   string
	StartedAt   time.Time
	Epochs      int
	MediaEnd    time.Duration // session time where everything published ends
	Epoch       *Epoch
	AwaySince   time.Time // while reconnecting
	ResumeUntil time.Time // while reconnecting

	// The publisher; zero if there is none.
	Protocol, Encoder, Remote string
	PeerEncoder               string // as it introduced itself, which is how it is known again; Encoder may be more exact
	KeyID                     string
	ConnectedAt               time.Time

	Tracks [media.Kinds]*media.Track // of the newest epoch
	Video  VideoFigures
	Audio  AudioFigures
	// Network is the way to the publisher; nil where its protocol does not tell.
	Network *NetworkFigures
	// AVOffset is how far video is ahead of audio in media time; negative: behind. 0 unless both come.
	AVOffset time.Duration

	Takeovers uint64 // since the stream was first seen
	Repairs   uint64 // of the session
	Drops     Drops  // of the session, at its entrance
	Alerts    []Alert
}

// Bitrate is measured in bits per second of arrival.
type Bitrate struct{ Last1s, Last10s int64 }

// VideoFigures are live figures of the video track.
type VideoFigures struct {
	Frames, Bytes uint64 // of the session
	Bitrate       Bitrate
	FPS           float64 // measured over the last 2 s of media; 0 when nothing comes
	// GOPs of the epoch; 0 before the second key frame.
	LastGOP, MeanGOP, MaxGOP time.Duration
	BFrames                  int // longest run of pictures that are shown before one decoded earlier
	// Jitter is how unevenly pictures arrive (RFC 3550 6.4.1).
	Jitter time.Duration
	// KeyFrameDue says that the newest key frame is older than a segment may be.
	KeyFrameDue bool
}

// AudioFigures are live figures of the audio track.
type AudioFigures struct {
	Frames, Bytes uint64 // of the session
	Bitrate       Bitrate
}

// AlertCode names an alert.
type AlertCode string

// The alerts.
const (
	AlertGOPTooLong         AlertCode = "gop_too_long"
	AlertGOPIrregular       AlertCode = "gop_irregular"
	AlertTwoPublishers      AlertCode = "two_publishers"
	AlertBFrames            AlertCode = "b_frames_webrtc"
	AlertBitrateLow         AlertCode = "bitrate_low"
	AlertBitrateUnstable    AlertCode = "bitrate_unstable"
	AlertFPSDrop            AlertCode = "fps_drop"
	AlertAVDrift            AlertCode = "av_drift"
	AlertTimestampsRepaired AlertCode = "timestamps_repaired"
	AlertAudioMissing       AlertCode = "audio_missing"
	AlertVideoMissing       AlertCode = "video_missing"
	AlertCodecUnsupported   AlertCode = "codec_unsupported"
	AlertNetworkLoss        AlertCode = "network_loss"
	AlertLadderLagging      AlertCode = "ladder_lagging"
	AlertRungShed           AlertCode = "rung_shed"
)

// Severity of an alert.
type Severity string

// The severities.
const (
	SeverityInfo    Severity = "info"
	SeverityWarning Severity = "warning"
	SeverityError   Severity = "error"
)

// Alert is something that the streamer should know, with what to do about it.
type Alert struct {
	Code     AlertCode
	Severity Severity
	Since    time.Time
	Advice   string
}
