package whep

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"mediad/internal/rtc"
	"mediad/live"
	"mediad/media"
)

// Source finds what is on air on a stream; *live.Hub is one.
type Source interface {
	Session(stream string) (*live.Session, bool)
}

// Rungs gives the renditions of a session beside the source: H.264 without B-frames.
type Rungs interface {
	// Follow begins to read the rungs of a session, ErrNoRungs if there are none. The reader is closed by the caller.
	Follow(s *live.Session) (RungReader, error)
}

// ErrNoRungs is what Rungs.Follow says of a session that has none, which may change with its next epoch.
var ErrNoRungs = errors.New("whep: no rungs")

// RungReader brings the rungs of a session, all in one line. Each rung begins with its track and a key frame.
type RungReader interface {
	// Next waits for the next; an error, io.EOF at the session's end, says that nothing can follow.
	Next(ctx context.Context) (media.Encoded, error)
	Close()
}

// Opus makes Opus of other sound.
type Opus interface {
	// Encode starts an encoder of units of t. It does not wait for the encoder to be ready.
	Encode(t *media.Track) (OpusEncoder, error)
}

// OpusEncoder encodes one track.
type OpusEncoder interface {
	// Write gives it a unit. It never waits; false says that the unit was dropped.
	Write(au media.AccessUnit) bool
	// Units brings packets in session time, at a timescale of 48 kHz. It is closed when the encoder has ended.
	Units() <-chan media.AccessUnit
	// Close ends the encoder and waits for it.
	Close()
}

// Observer is told what happens. Its methods are called in many goroutines, Viewers in one at a time: they must be quick, and not
// call the Server.
type Observer interface {
	// Viewers is called when the number of a stream's viewers has changed, with what it is now.
	Viewers(stream string, n int)
	// Ended is called when a viewer is gone, with what it was sent.
	Ended(stream string, why live.Reason, watched time.Duration, bytes uint64)
	// FirstFrame is called with the time from the request to when the first picture, or sound, was sent.
	FirstFrame(stream string, after time.Duration)
}

type nobody struct{}

func (nobody) Viewers(string, int)                              {}
func (nobody) Ended(string, live.Reason, time.Duration, uint64) {}
func (nobody) FirstFrame(string, time.Duration)                 {}

// Options configures a Server. The zero value of a field means its default.
type Options struct {
	// RTC has the sockets that media goes by. Required. It is closed after the Server.
	RTC *rtc.Server
	// Source finds streams. Required.
	Source Source

	// Rungs, Opus: nil where nothing is encoded. Then a source with B-frames or without H.264 is refused, and AAC is not heard.
	Rungs Rungs
	Opus  Opus

	// Authorize says whether somebody may play a stream, by an error with a live.Reason. token is the bearer token or that of the
	// query, empty if there is none. lost is closed when they no longer may, nil where that never ends. Nil: all streams are public.
	Authorize func(ctx context.Context, stream, token string, peer live.Peer) (lost <-chan struct{}, err error)

	// Remote is the address of who made a request, host:port; default its RemoteAddr. It is for servers behind a proxy.
	Remote func(r *http.Request) string

	// Place names from where somebody watches, without telling it; default "". It is what Each gives.
	Place func(r *http.Request) string

	// MaxViewers is how many there may be at once. Default 1000: each costs some 15 goroutines, 250 KiB and, at 2.5 Mbit/s, two
	// thousandths of a core. MaxConnecting is how many of them may not have connected yet, default 200, and MaxConnectingPerAddr how
	// many of one IPv4 address or IPv6 /64, default 50: an office that comes at once, but nobody takes all places.
	MaxViewers, MaxConnecting, MaxConnectingPerAddr int

	// Linger is how long a broadcast goes on after its last viewer, default 5 s: whoever loads the page again finds it running, and
	// an encoder of its sound as well.
	Linger time.Duration

	// ConnectTimeout bounds the time from the offer to the connection, default 10 s. RequestTimeout bounds an HTTP request,
	// default 5 s.
	ConnectTimeout, RequestTimeout time.Duration

	// Observer; nil: nobody is told.
	Observer Observer
	// Log; nil: nothing is logged.
	Log *slog.Logger
	// Now is the clock, monotonic as time.Now is, which is the default.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	duration := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	number := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	number(&o.MaxViewers, 1000)
	number(&o.MaxConnecting, 200)
	number(&o.MaxConnectingPerAddr, 50)
	duration(&o.Linger, 5*time.Second)
	duration(&o.ConnectTimeout, 10*time.Second)
	duration(&o.RequestTimeout, 5*time.Second)
	if o.Remote == nil {
		o.Remote = func(r *http.Request) string { return r.RemoteAddr }
	}
	if o.Place == nil {
		o.Place = func(*http.Request) string { return "" }
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
	return o
}
