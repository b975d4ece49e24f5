package packager

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"time"

	"mediad/live"
	"mediad/media"
	"mediad/store/blob"
)

// Subscription is what a session is packaged from; *live.Subscriber is one.
type Subscription interface {
	Next(ctx context.Context) (live.Event, error)
	Want(units [media.Kinds]int)
	Close()
}

// Options configures Streams. The zero value of a field means its default.
type Options struct {
	// Blobs keeps media and journals. It must be a blob.Appender too. Required.
	Blobs blob.Store

	// PartTarget is how long parts should last, 50 ms to 1 s; a session takes whole frames. Default 200 ms. Short:
	// less latency, more requests.
	PartTarget time.Duration
	// SegmentTarget is how long segments should last: whole seconds, 2 or more. Default 2 s.
	SegmentTarget time.Duration
	// Window is how much media the live playlists list. Default 30 s. Below 8 target durations there are no
	// delta updates.
	Window time.Duration
	// DVR is how far viewers may seek back, where the grant does not say. Default 2 h. It costs disk.
	DVR time.Duration
	// MemoryFallback bounds, in bytes a session, what is kept in memory while nothing can be written. Default 64 MiB.
	MemoryFallback int64
	// EndedFor is how long an ended session's playlists are served. Default 10 min.
	EndedFor time.Duration

	// Convert stands between a session and what is packaged of it: it makes AAC of sound that HLS does not carry. Nil: such
	// sound is left out.
	Convert func(sub *live.Subscriber) Subscription

	// Plan says what is encoded of a session whose first picture is of that track; with lead so that the first rung takes the
	// place of the source (media.Plan.Leads), if there can be such a plan. It is asked for both, and before anything of the session is
	// shown it is decided which one counts; never for a session that goes on after a restart. Nil: nothing is encoded.
	Plan func(s *live.Session, video *media.Track, lead bool) media.Plan

	// Encode makes the rungs of a session, which it tells Streams.Encoded of. It runs beside the packaging of the session from the first
	// epoch on that has a plan with rungs, and is to return soon after ctx has ended. Where another plan is chosen before anything of
	// the session is shown, it is called once more after that. Nil: nobody does.
	Encode func(ctx context.Context, s *live.Session, plan media.Plan) error

	// Unshown is told of each epoch whose picture nobody by HLS sees: it is in a codec that HLS does not carry, and no rung has the place of
	// the source. Nil: nobody is told.
	Unshown func(s *live.Session, epoch int64)

	// Segments is given a row for each segment; nil: nobody.
	Segments SegmentSink
	// Elsewhere tells of the newest segment that any node has stored of a stream, by its id: a session that begins goes on behind it. It is
	// asked once a session, which waits for it. False, or nil: there is none, or nobody can say.
	Elsewhere func(streamID string) (Last, bool)
	// Recorded says that somebody keeps the files of sessions whose grant has Record, by their rows, and deletes them: here they are
	// left alone when nothing lists them any more. False: they are deleted.
	Recorded bool
	// Archive is told of what is complete; nil: nobody.
	Archive Archive
	// Observer is told what happens; nil: nobody.
	Observer Observer
	// Log; nil: nothing is logged.
	Log *slog.Logger
	// Now is the wall clock. Default time.Now.
	Now func() time.Time
	// Boot names the run of the machine: what was written in another may lack its newest bytes. Default: what Linux says;
	// elsewhere every run is taken for the same.
	Boot string
}

const (
	// fileSpan is how much media goes into one file: the grain in which the DVR range is trimmed.
	fileSpan = 3 * time.Minute
	// retryDisk is how long nothing is tried on a disk that refused a write.
	retryDisk = 5 * time.Second
)

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.PartTarget, 200*time.Millisecond)
	def(&o.SegmentTarget, 2*time.Second)
	def(&o.Window, 30*time.Second)
	def(&o.DVR, 2*time.Hour)
	def(&o.EndedFor, 10*time.Minute)
	if o.MemoryFallback <= 0 {
		o.MemoryFallback = 64 << 20
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	if o.Elsewhere == nil {
		o.Elsewhere = func(string) (Last, bool) { return Last{}, false }
	}
	if o.Archive == nil {
		o.Archive = nowhere{}
	}
	if o.Unshown == nil {
		o.Unshown = func(*live.Session, int64) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Boot == "" {
		if id, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
			o.Boot = strings.TrimSpace(string(id))
		}
	}
	return o
}

// Observer is told what happens. Its methods are called in sessions' goroutines: they must be quick and must not
// panic.
type Observer interface {
	// PartPublished is called for each part. late is how much longer than the part lasts it came after the one before;
	// 0 if it came in time.
	PartPublished(stream, rendition string, bytes int, late time.Duration)
	// SegmentPublished is called for each segment. A gap has no bytes.
	SegmentPublished(stream, rendition string, bytes int64, length time.Duration, gap bool)
	// Filled counts samples that were made for what did not come.
	Filled(stream string, kind media.Kind, samples int)
	// Discarded counts units that came too late, or that nothing can decode.
	Discarded(stream string, kind media.Kind, units int)
	// Mended counts the samples that were made for what a stream's encoder left out, and the units of it that came too late.
	Mended(stream string, filled, discarded int)
	// Fallback says that a stream's segments are kept in memory, because nothing can be written, or no longer are.
	Fallback(stream string, on bool)
}

type nowhere struct{}

func (nowhere) Track(string, TrackRow)      {}
func (nowhere) Segment(ArchiveSegment)      {}
func (nowhere) Multivariant(string, []byte) {}
func (nowhere) End(string, string)          {}

type nobody struct{}

func (nobody) PartPublished(string, string, int, time.Duration)            {}
func (nobody) SegmentPublished(string, string, int64, time.Duration, bool) {}
func (nobody) Filled(string, media.Kind, int)                              {}
func (nobody) Discarded(string, media.Kind, int)                           {}
func (nobody) Mended(string, int, int)                                     {}
func (nobody) Fallback(string, bool)                                       {}

// Last is the newest segment of a stream, as far as it is stored.
type Last struct {
	MSN             uint64
	Start           time.Time
	Discontinuities uint64 // in front of it, its own included
}

// SegmentRow is what is known of one segment of one rendition for good.
type SegmentRow struct {
	StreamID, SessionID, Rendition string
	Epoch                          int64
	MSN                            uint64
	Start                          time.Time // wall clock of the first presented sample
	Duration                       time.Duration
	Bytes                          int64
	Key                            string // of the object in the blob store; empty if it is not stored
	Offset                         int64
	Discontinuity, Gap             bool
	Independent                    bool   // it begins with a random access unit
	Discontinuities                uint64 // of the stream in front of the segment
	Target                         int    // the session's TARGETDURATION in seconds
}

// Archive stores elsewhere what was published. Its methods are called in sessions' goroutines and must not wait; what they are given
// must not be changed. After a restart they are told again of what the Segments sink may not have.
type Archive interface {
	// Track tells how segments that follow are decoded.
	Track(stream string, r TrackRow)
	Segment(s ArchiveSegment)
	// Multivariant is a new multivariant playlist; nil: the stream is on air no more.
	Multivariant(stream string, plain []byte)
	// End is a session's end.
	End(stream, session string)
}

// ArchiveSegment is a complete segment.
type ArchiveSegment struct {
	SegmentRow
	Stream string
	Data   []byte // of a segment that is only in memory
}

// TrackRow is how the segments of a rendition are decoded in one epoch. Within an epoch it does not change.
type TrackRow struct {
	SessionID, Rendition string
	Epoch                int64
	Kind                 media.Kind
	Codec                string // as media.Codec.String has it
	Config               []byte // the codec's decoder configuration, as media.Track.Config has it
	Init                 []byte // the init segment
}

// Track is what the row describes.
func (r *TrackRow) Track() (*media.Track, error) {
	return trackOf(trackRecord{Codec: r.Codec, Config: r.Config})
}

// SegmentSink takes rows in batches, one a second at most, from one goroutine at a time. It must not keep the slice. On
// an error the same rows come again with the next batch; of many, the oldest are given up.
type SegmentSink interface {
	AddSegments(rows []SegmentRow) error
	// AddTracks takes what segments that follow are decoded with. A row may come more than once.
	AddTracks(rows []TrackRow) error
}
