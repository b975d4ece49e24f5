// Package ingest is what every front end does alike once it has access units.
//
//	front end ── Track, Write ──► Feed ── firewall ── wait for both tracks and a key frame ──► live.Publisher
//
// A Feed runs in the goroutine of its connection: no call blocks, nothing is started, and what it keeps back is bounded by
// maxPending and maxPendingTime.
package ingest

import (
	"log/slog"
	"time"

	"mediad/ingest/firewall"
	"mediad/live"
	"mediad/media"
)

// Publisher is where a Feed writes; *live.Publisher is one.
type Publisher interface {
	// StartEpoch begins an epoch; see live.Publisher.
	StartEpoch(tracks [media.Kinds]*media.Track, sourceStart time.Duration, arrival time.Time, reason string) error

	// Write publishes one unit with timestamps on the source's line of the epoch. It does not block.
	Write(au media.AccessUnit) error

	// Repaired counts what was mended, by kind.
	Repaired(kind string, n int)
}

// granted is a Publisher that knows what it was let in for; a Feed keeps to that.
type granted interface{ Grant() live.Grant }

var (
	_ Publisher = (*live.Publisher)(nil)
	_ granted   = (*live.Publisher)(nil)
)

// FeedOptions of a Feed; zero means default.
type FeedOptions struct {
	Publisher Publisher // required

	// Limits; see there.
	Limits Limits

	// ClockBits and ClockRate describe a source clock that wraps and was not unwrapped by the front end; see
	// firewall.Options.
	ClockBits uint
	ClockRate media.Timescale

	// Log gets one line an epoch and, at most once a second, one about repairs. nil: nothing is logged.
	Log *slog.Logger

	// Now is the clock, monotonic as time.Now is, which is the default.
	Now func() time.Time
}

// The reasons that StartEpoch is given. Package live has others for the first one of a publisher that goes on with a session.
const (
	EpochFirst    = "first"          // of this publisher
	EpochTimeJump = "time_jump"      // the timestamps of all tracks jumped
	EpochConfig   = "config_changed" // codec, size, sample rate …
	EpochTrack    = "track_added"    // the second track came late
)

const (
	// awaited is how long a second track is awaited, in media time and on the clock.
	awaited = time.Second

	// openAfter is how long a key frame of a closed GOP is awaited before one of an open GOP will do.
	openAfter = 3 * time.Second

	// maxPending and maxPendingTime bound what is kept back while an epoch cannot begin, in bytes and media time.
	maxPending     = 16 << 20
	maxPendingTime = 2 * time.Second
)

// Feed carries the media of one publisher. Its methods are called from one goroutine.
type Feed struct {
	pub   Publisher
	fw    *firewall.Firewall
	log   *slog.Logger
	now   func() time.Time
	began time.Time

	limits  Limits
	rate    meter
	flood   *Flood
	tracks  [media.Kinds]*media.Track
	none    [media.Kinds]bool // the protocol says that there is no such track, or the last epoch was without
	started bool              // an epoch has begun and goes on
	epoch   [media.Kinds]bool // the tracks in it
	start   time.Duration     // PTS of its first sample
	joins   bool              // audio has come to an epoch without it, and waits for the next key frame

	pending pending
	epochs  epochMeter
	layers  layers
}

// NewFeed returns a Feed that knows no track yet.
func NewFeed(o FeedOptions) *Feed {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	f := &Feed{
		pub: o.Publisher, log: o.Log, now: o.Now, began: o.Now(), limits: o.Limits.WithDefaults(),
		fw: firewall.New(firewall.Options{ClockBits: o.ClockBits, ClockRate: o.ClockRate}),
	}
	if p, ok := o.Publisher.(granted); ok {
		f.limits.keepTo(p.Grant())
	}
	f.flood = NewFlood(o.Log, o.Now, "timestamps repaired")
	f.pending.reset(EpochFirst)
	return f
}

// Track tells the decoder configuration of a track. One that equals the last is ignored; a changed one begins a new epoch with
// the next key frame.
func (f *Feed) Track(kind media.Kind, t *media.Track) error {
	if t == nil || t.Kind != kind || kind >= media.Kinds || t.Timescale == 0 {
		return live.Refuse(live.ReasonMediaInvalid, errTrack)
	}
	old := f.tracks[kind]
	if old != nil && old.Same(t) && old.Width == t.Width && old.Height == t.Height {
		return nil
	}
	switch {
	case old == nil:
		f.none[kind] = false
	case f.started && !f.epoch[kind]:
		f.joins = false // what waits to join is of the old configuration
	default:
		// What is held belongs to the epoch that ends here, if there is one.
		if err := f.take(f.fw.NewEpoch(), f.now()); err != nil {
			return err
		}
		f.interrupt(EpochConfig)
	}
	f.tracks[kind] = t
	f.fw.SetTrack(t)
	return nil
}

// NoTrack tells that there is no such track, so that it is not awaited.
func (f *Feed) NoTrack(kind media.Kind) {
	if kind < media.Kinds && f.tracks[kind] == nil {
		f.none[kind] = true
	}
}

// Hint tells a frame rate that the publisher promised outside the bitstream.
func (f *Feed) Hint(fps media.Rational) { f.fw.Hint(fps) }

// Write takes one access unit with the source's timestamps. An error, which carries a live.Reason, ends the publication.
func (f *Feed) Write(au media.AccessUnit) error {
	now := f.now()
	if err := f.limits.check(&f.rate, len(au.Data), now); err != nil {
		return err
	}
	f.layers.came(&au)
	return f.take(f.fw.Push(au, now.Sub(f.began)), now)
}

// Flush writes what is kept back, at the end of the input.
func (f *Feed) Flush() {
	now := f.now()
	// The publication is over: a Publisher that takes no more has said so already.
	if f.take(f.fw.Flush(), now) == nil && !f.started {
		_ = f.tryStart(now, true)
	}
	f.flood.Flush()
}

// take passes on what the firewall let through.
func (f *Feed) take(r firewall.Result, now time.Time) error {
	if mended := r.Repairs & firewall.Mended; mended != 0 {
		f.report(mended)
	}
	for i := range r.Units {
		f.layers.left(&r.Units[i])
		if i == r.NewEpochAt {
			f.interrupt(EpochTimeJump)
		}
		if err := f.unit(&r.Units[i], now); err != nil {
			return err
		}
	}
	return nil
}

// report counts repairs and logs them, a line a second at most.
func (f *Feed) report(repairs firewall.Repairs) {
	for r := firewall.Repair(1); r < firewall.NumRepairs; r++ {
		if repairs.Has(r) {
			f.pub.Repaired(r.String(), 1)
			f.flood.Add(r.String())
		}
	}
}

// unit writes one unit into the epoch that goes on, or keeps it for the next.
func (f *Feed) unit(au *media.AccessUnit, now time.Time) error {
	switch {
	case !f.started:
		f.pending.add(au, now, f.tracks[au.Kind])
		return f.tryStart(now, false)
	case !f.epoch[au.Kind]:
		return f.join(au, now)
	case f.joins && au.Kind == media.Video && au.RandomAccess && !au.OpenGOP:
		return f.startJoined(au, now)
	default:
		return f.write(au)
	}
}

// write drops what lies before the epoch's start and publishes the rest.
func (f *Feed) write(au *media.AccessUnit) error {
	if f.tracks[au.Kind].Timescale.Duration(au.PTS) < f.start {
		return nil
	}
	return f.pub.Write(*au)
}
