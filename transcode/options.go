package transcode

import (
	"context"
	"log/slog"
	"runtime"
	"time"

	"mediad/configs/ladders"
	"mediad/media"
	"mediad/transcode/governor"
)

// Sink takes what is encoded of a session: packager.Streams is one.
type Sink interface {
	// Encoded takes the next of a rung. It waits while the rung has too much queued. Rungs are told in goroutines of their own, each
	// in its order. An error says that the session is over there: its encoder ends.
	Encoded(ctx context.Context, session string, e media.Encoded) error
}

// Observer is told what happens. Its methods are called in many goroutines and must be quick.
type Observer interface {
	// Lag is how far a rung is behind what went into the encoder, told about once a second.
	Lag(stream, rung string, lag time.Duration)
	// Shed is called when a rung goes, and with false when it is back.
	Shed(stream, rung string, shed bool)
	// Restarted is called when a child ended without having been asked to.
	Restarted(stream string)
	// Dropped is called with the pictures that were dropped in front of a child.
	Dropped(stream string, pictures int)
}

type nobody struct{}

func (nobody) Lag(string, string, time.Duration) {}
func (nobody) Shed(string, string, bool)         {}
func (nobody) Restarted(string)                  {}
func (nobody) Dropped(string, int)               {}

// Options configure Live. The zero value of a field means its default.
type Options struct {
	// FFmpeg is the program. Default ffmpeg, looked up in PATH.
	FFmpeg string
	// Ladder is what rungs there may be; nil: none.
	Ladder *ladders.Ladder
	// HWAccel is transcode.hwaccel: auto, none, nvenc, vaapi or qsv. Default none.
	HWAccel string
	// Cores is how many the ladder may count on. Default runtime.NumCPU().
	Cores int
	// Planned tells the plan of a session that goes on after a restart. Nil: no session does.
	Planned func(session string) (media.Plan, bool)
	// Sink gets what is encoded. Required.
	Sink Sink
	// Governor has its limits.
	Governor governor.Options

	// Observer; nil: nobody is told.
	Observer Observer
	// Log; nil: nothing is logged.
	Log *slog.Logger
	// Now is the clock, monotonic as time.Now is, which is the default.
	Now func() time.Time

	hang time.Duration // how long a child may make nothing of what it has; default hangAfter. Tests have less
}

func (o Options) withDefaults() Options {
	if o.HWAccel == "" {
		o.HWAccel = "none"
	}
	if o.Cores <= 0 {
		o.Cores = runtime.NumCPU()
	}
	if o.Governor.Cores <= 0 {
		o.Governor.Cores = o.Cores
	}
	if o.Planned == nil {
		o.Planned = func(string) (media.Plan, bool) { return media.Plan{}, false }
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.hang <= 0 {
		o.hang = hangAfter
	}
	return o
}

// hangAfter: a busy machine may stop a child for a second, and a restart costs a GOP.
const hangAfter = 3 * time.Second
