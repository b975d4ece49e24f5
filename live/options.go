package live

import (
	"context"
	"log/slog"
	"time"
)

// Options configures a Hub. The zero value of a field means its default.
type Options struct {
	// Authorizer decides who may publish. Nil: nobody.
	Authorizer Authorizer

	// Run is the pipeline of one session: packager, transcoder, relays. The hub runs it in a goroutine of its own
	// from the session's start and waits for it. It returns nil after its subscriptions brought EventEnd and
	// everything is stored, or at once when ctx ends. An error or a panic ends the session with ReasonIngestError.
	// In a shutdown ctx ends once everything up to EventAway was taken and Next was called again, so that who handles
	// an event before it calls Next loses nothing; the session is not over then. Nil: no pipeline.
	Run func(ctx context.Context, s *Session) error

	// ResumeWindow is how long a session is held when its publisher dropped. Default 60 s; a Grant may say otherwise.
	// Short: viewers lose the stream when an encoder restarts. Long: an ended broadcast looks alive.
	ResumeWindow time.Duration
	// CleanStopWindow bounds the same after a clean stop. Default 10 s.
	CleanStopWindow time.Duration
	// FirstFrameTimeout is how long a publisher may hold the slot before its first frame. Default 10 s.
	FirstFrameTimeout time.Duration
	// DrainTimeout is how long a pipeline has after its session's end, once the stream's next session wants to
	// begin. Default 3 s, below the 4 s that the next session's queue holds.
	DrainTimeout time.Duration
	// IdleTimeout is how long the hub remembers a stream without session. Default 10 min.
	IdleTimeout time.Duration
	// SegmentTarget is what GOPs are judged by. Default 2 s.
	SegmentTarget time.Duration

	// SoundConverted says that sound which HLS does not carry is made into AAC: then nobody has to be told of it.
	SoundConverted bool

	// LastEpoch is the newest epoch ID that is known of a stream from before this hub; 0 if none. It is asked when
	// the stream is first seen and may take its time. Nil: none is known.
	LastEpoch func(stream string) int64

	// Observer is told what happens; nil: nobody.
	Observer Observer
	// Log; nil: nothing is logged.
	Log *slog.Logger
	// Now is the wall clock, with the monotonic reading that time.Now gives. Default time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.ResumeWindow, 60*time.Second)
	def(&o.CleanStopWindow, 10*time.Second)
	def(&o.FirstFrameTimeout, 10*time.Second)
	def(&o.DrainTimeout, 3*time.Second)
	def(&o.IdleTimeout, 10*time.Minute)
	def(&o.SegmentTarget, 2*time.Second)
	if o.Authorizer == nil {
		o.Authorizer = closedDoor{}
	}
	if o.LastEpoch == nil {
		o.LastEpoch = func(string) int64 { return 0 }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	return o
}

// Peer is who publishes.
type Peer struct {
	Protocol string // "rtmp"
	Remote   string // "203.0.113.5:1234"
	Encoder  string // "obs-output module (libobs version 29.0.2)"; empty if it said nothing
}

// Grant is what a key allows.
type Grant struct {
	StreamID, Stream, KeyID string
	ResumeWindow            time.Duration // 0: the hub's default
	DVR                     time.Duration
	Record                  bool
	// MaxBitrate is the most that the publisher may send, in bits a second; 0: what the front end takes. Who sends more is closed with
	// ReasonPolicyLimit.
	MaxBitrate int64
}

// Authorizer decides who may publish. An error carries ReasonStreamKeyInvalid, ReasonStreamDisabled, ReasonPolicyLimit or
// ReasonRefusedBySite by Refuse; any other is taken for ReasonAuthUnavailable. The Grant that comes with an error says whose publisher it was,
// as far as that is known, and is for the record alone. It may block; ctx is the publisher's.
type Authorizer interface {
	AuthorizePublish(ctx context.Context, key string, peer Peer) (Grant, error)
}

// closedDoor lets nobody in.
type closedDoor struct{}

func (closedDoor) AuthorizePublish(context.Context, string, Peer) (Grant, error) {
	return Grant{}, Refuse(ReasonStreamKeyInvalid, nil)
}

// Restored is what a journal knows of a session that was not over when the process ended.
type Restored struct {
	SessionID  string
	Grant      Grant
	Start      time.Time     // wall clock of session time 0
	MediaEnd   time.Duration // session time where everything written ends
	LastEpoch  int64         // ID of the newest epoch
	EpochIndex int           // index of the newest epoch; the next has one more
	AwaySince  time.Time     // when the publisher was lost: the last write, or when the process ended; zero: now
	HadTracks  [2]bool       // by media.Kind: the session has or had such a track
}
