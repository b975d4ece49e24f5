package archive

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"mediad/packager/playlist"
	"mediad/store/blob"
)

// Segment is one that was published.
type Segment struct {
	Stream, Session, Rendition string
	Epoch                      int64
	MSN                        uint64
	Start                      time.Time // program date
	Duration                   time.Duration
	Bytes                      int64
	Key                        string // of the local object
	Offset                     int64
	Data                       []byte // in place of Key: it is only in memory
	Discontinuity              bool
	Gap                        bool // there is nothing to store
	Independent                bool // it begins with a random access unit
	Discontinuities            uint64
	Target                     int // TARGETDURATION in seconds
}

// Track is the init segment of a rendition's epoch.
type Track struct {
	Stream, Session, Rendition string
	Epoch                      int64
	Init                       []byte
}

// Rows remember what is stored. Its methods may block until ctx ends.
type Rows interface {
	// MarkStored notes that segments are in the bucket, and returns those of which there is no row yet.
	MarkStored(ctx context.Context, stored []Stored) (early []Stored, err error)
	// Pending lists what is to be stored, after a position, in the order of sessions, renditions and numbers.
	Pending(ctx context.Context, after Position, limit int) ([]Segment, error)
	// Recent lists the newest segments of a rendition that are stored, below a number, oldest first.
	Recent(ctx context.Context, session, rendition string, below uint64, limit int) ([]Segment, error)
	// Inits lists the init segments of a session.
	Inits(ctx context.Context, session string) ([]Track, error)
}

// Stored is a segment that is in the bucket, or a gap.
type Stored struct {
	Session, Rendition string
	MSN                uint64
	// Lost: it was nowhere any more. It is a gap from now on.
	Lost bool
}

// Position is a place among the rows.
type Position struct {
	Session, Rendition string
	MSN                uint64
}

// Options configure an Archive. Local, Bucket and Rows are required.
type Options struct {
	// Local has what live delivery has written.
	Local blob.Store
	// Bucket takes it.
	Bucket blob.Store
	Rows   Rows
	// Listed says whether a stream's playlists may lie in the bucket: whoever reads the bucket finds its media by them. What is not to be known of
	// stays without, and loses those that it has with its next segment. It may block until ctx ends; an error is tried again. nil: all may.
	Listed func(ctx context.Context, stream string) (bool, error)
	// Window is how much media a classic playlist lists. Default 1 min.
	Window time.Duration
	// Puts is how many objects are written at once. Default 8.
	Puts int
	// PutTimeout is how long one may take. Default 60 s: 7 MB at 1 Mbit/s.
	PutTimeout time.Duration
	// MaxWaiting bounds how many segments wait in memory; more stay in the rows, from where they are read later. Default 50 000.
	MaxWaiting int
	// MaxData bounds the bytes in memory of what the disk has not taken; what is beyond is lost. Default 64 MiB.
	MaxData  int64
	Observer Observer     // nil: nobody
	Log      *slog.Logger // nil: nothing is logged
	Now      func() time.Time
}

// Observer is told what happens. It is called from many goroutines and must not wait.
type Observer interface {
	// Archived counts a segment that was stored, and how long after its end it was.
	Archived(bytes int64, late time.Duration)
	// ArchiveFailed counts attempts that failed.
	ArchiveFailed()
	// ArchiveLost counts segments that can no longer be stored.
	ArchiveLost()
}

type nobody struct{}

func (nobody) Archived(int64, time.Duration) {}
func (nobody) ArchiveFailed()                {}
func (nobody) ArchiveLost()                  {}

func (o Options) withDefaults() Options {
	if o.Window <= 0 {
		o.Window = time.Minute
	}
	if o.Puts <= 0 {
		o.Puts = 8
	}
	if o.PutTimeout <= 0 {
		o.PutTimeout = time.Minute
	}
	if o.MaxWaiting <= 0 {
		o.MaxWaiting = 50_000
	}
	if o.MaxData <= 0 {
		o.MaxData = 64 << 20
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

const immutable = "public, max-age=31536000, immutable"

func folder(stream, rendition string) string { return "live/" + stream + "/" + rendition + "/" }

// SegmentKey is the name of a segment in the bucket.
func SegmentKey(stream, rendition string, epoch int64, msn uint64) string {
	return string(playlist.AppendSegmentName([]byte(folder(stream, rendition)), epoch, msn))
}

// InitKey is the name of an init segment in the bucket.
func InitKey(stream, rendition string, epoch int64) string {
	return string(playlist.AppendInitName([]byte(folder(stream, rendition)), epoch))
}

// SegmentMeta is what is stored with a segment of a rendition.
func SegmentMeta(rendition string) blob.Meta {
	return blob.Meta{ContentType: mediaType(rendition), CacheControl: immutable}
}

func mediaType(rendition string) string {
	if rendition == "audio" {
		return "audio/mp4"
	}
	return "video/mp4"
}

func playlistMeta(target int) blob.Meta {
	return blob.Meta{ContentType: "application/vnd.apple.mpegurl", CacheControl: "public, max-age=" + strconv.Itoa(max(target/2, 1))}
}
