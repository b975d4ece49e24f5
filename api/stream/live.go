package stream

import "time"

// Live is what the API wants to know of streams on air. Its methods are called for each request and return at once.
type Live interface {
	// LiveState tells of one stream, named by its slug as it was made; false if it has no session.
	LiveState(slug string) (LiveInfo, bool)
	// LiveNow tells of every stream that has a session, in any order.
	LiveNow() []LiveInfo
	// Viewers is how many watch.
	Viewers(slug string) int
	// Health is how the broadcast of a stream arrives; false if it has none.
	Health(slug string) (Health, bool)
	// End ends the broadcast of a stream at once, by EndedByOwner or EndedByAdmin; false if there is none.
	End(slug, reason string) bool
	// Recheck looks soon whether what is on air still may be: a key was revoked, or a stream disabled.
	Recheck()
}

// The words for who ended a broadcast, as end_reason has them.
const (
	EndedByOwner = "ended_by_owner"
	EndedByAdmin = "ended_by_admin"
)

// SessionState is where a session is in its life.
type SessionState string

// The states of a session that lasts.
const (
	SessionStarting     SessionState = "starting" // a publisher was let in, no frame yet
	SessionLive         SessionState = "live"
	SessionReconnecting SessionState = "reconnecting" // the publisher is away, viewers are held

	sessionEnded SessionState = "ended"
)

// LiveInfo is a session on air.
type LiveInfo struct {
	Stream    string // slug
	State     SessionState
	SessionID string
	StartedAt time.Time
	Epochs    []Epoch   // oldest first
	Thumbnail bool      // there is a picture of it
	Qualities []Quality // what a player can choose from, best first
	Audience  Audience
}

// Audience is who watches a session.
type Audience struct {
	Estimated    int // of those who watch now: who does not tell, but asks for playlists
	Peak, Unique int
	Watched      time.Duration // by all of them together
}

// Epoch is a stretch of a session.
type Epoch struct {
	StartedAt time.Time
	Protocol  string
	Encoder   string
	Reason    string
	Video     *Video // nil: none
	Audio     *Audio // nil: none
}

// Video describes a video track.
type Video struct {
	Codec         string // RFC 6381
	Width, Height int
	FPS           float64 // 0: unknown or not constant
}

// Audio describes an audio track.
type Audio struct {
	Codec      string // RFC 6381
	SampleRate int
	Channels   int
}

// Quality is a rendition.
type Quality struct {
	Name          string
	Width, Height int     // 0: audio only
	FPS           float64 // 0: unknown or not constant
	Codecs        string  // RFC 6381, video and audio
	BitrateBPS    int64   // 0: not known yet
}

// onAir says whether viewers have something to see or are held.
func (i LiveInfo) onAir() bool { return i.State == SessionLive || i.State == SessionReconnecting }
