package playlist

import "time"

// Config is what a session's media playlists promise and never change: players stop for good when they do. All renditions
// of a session share one.
type Config struct {
	// Target is TARGETDURATION in seconds, 1 or more.
	Target int
	// PartTarget is PART-TARGET, the longest that a part may last. 0: no parts.
	PartTarget time.Duration
	// Window is how much media the live playlist lists. Delta updates are offered where it is 8 target durations
	// or more, since a client can leave out only what is older than 6.
	Window time.Duration
}

const (
	partHoldBackParts = 3 // PART-HOLD-BACK in part targets
	holdBackTargets   = 3 // HOLD-BACK in target durations
	skipTargets       = 6 // CAN-SKIP-UNTIL in target durations: the least allowed (4.4.3.8)
	skipWindowTargets = 8 // the shortest window, in target durations, with delta updates
	partsTargets      = 3 // parts are listed for the last so many target durations (6.2.2)
)

// TargetDuration is Target as a duration.
func (c *Config) TargetDuration() time.Duration { return time.Duration(c.Target) * time.Second }

// HoldBack is HOLD-BACK: how far from the end who plays no parts begins.
func (c *Config) HoldBack() time.Duration { return holdBackTargets * c.TargetDuration() }

// CanSkip tells whether delta updates are offered.
func (c *Config) CanSkip() bool {
	return c.Window >= skipWindowTargets*c.TargetDuration()
}

// AdvanceParts is how many parts beyond the newest a client may ask for: 3, or 3 seconds' worth where parts are shorter
// than a second (6.2.5.2).
func (c *Config) AdvanceParts() int {
	if c.PartTarget <= 0 || c.PartTarget >= time.Second {
		return 3
	}
	return int((3*time.Second + c.PartTarget - 1) / c.PartTarget)
}

// Part is one partial segment.
type Part struct {
	Duration    time.Duration
	Independent bool // it begins with a random access unit
	Gap         bool // it is not there
	Size        int  // bytes
}

// Segment is one media segment: complete, or still growing as Spec.Open.
type Segment struct {
	MSN         uint64
	Epoch       int64     // names the init segment: init_{epoch}.mp4
	ProgramDate time.Time // wall clock of the first presented sample
	Duration    time.Duration
	// Discontinuity says that EXT-X-DISCONTINUITY stands in front of the segment.
	Discontinuity bool
	Gap           bool // it is not there
	Independent   bool // it begins with a random access unit
	Parts         []Part
	Bytes         int64
}

// Hint names the part that comes next. Part -1 names a whole segment: nothing is listed for it, but a request for it is held.
type Hint struct {
	Epoch int64
	MSN   uint64
	Part  int
}

// Report says how far another rendition is.
type Report struct {
	Rendition string
	LastMSN   uint64
	LastPart  int // -1: it has no parts
}

// Spec is what a media playlist says at one moment. A Window keeps it, so nothing it refers to may be written to
// afterwards; complete segments are shared from window to window.
type Spec struct {
	Config *Config
	// Segments are the complete ones, oldest first, without a gap in their numbers. At least one.
	Segments []*Segment
	// Open is the segment that is being made, with the parts that it has so far; nil if there is none.
	Open *Segment
	// Hint is the part that comes next; nil while there is no publisher and after the end.
	Hint *Hint
	// DiscontinuitySequence counts the discontinuities of segments that have left the window.
	DiscontinuitySequence uint64
	// PartsBehindGaps says that parts in front of a gap are not listed. hls.js takes the last listed part for the end of what there is,
	// so it would not see a gap without parts behind them until they are three target durations old.
	PartsBehindGaps bool
	// PartsFrom is the number of the first segment whose parts may be listed; none is of those before. So it is where a rendition goes on
	// without parts.
	PartsFrom uint64
	// Independent says that every segment begins with a random access unit. Once false in a session it stays false.
	Independent bool
	// Reports are those of the other renditions.
	Reports []Report
	// Ended: the session is over and nothing will be added. Away: the publisher is gone for now.
	Ended, Away bool
	// Linger is how long a request without directives is kept before it gets this window; zero: not at all.
	Linger time.Duration
}

// Skip says which delta update a client asked for.
type Skip uint8

// The values of _HLS_skip. SkipV2 leaves out date ranges as well; as none are listed, its answer is that of SkipYes.
const (
	SkipNo Skip = iota
	SkipYes
	SkipV2
)

// Document is a playlist ready to be sent. Gzip may be nil. ETag is quoted and belongs to Plain.
type Document struct {
	Plain, Gzip []byte
	ETag        string
}

// Media is where the bytes of a part or segment are: in Bytes, or, if that is nil, Size bytes from Offset of the
// object Key in the blob store, or, where that is empty or gone, the whole object Remote in the bucket behind it.
type Media struct {
	Bytes        []byte
	Key          string
	Offset, Size int64
	Remote       string // empty: it is not there
}
