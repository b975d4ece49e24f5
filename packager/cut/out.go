package cut

import (
	"time"

	"mediad/media"
)

// Constants are what a session decides once.
type Constants struct {
	// Target is EXT-X-TARGETDURATION in seconds.
	Target int
	// PartTarget is PART-TARGET; 0 if the session lists no parts.
	PartTarget time.Duration
	// SourceWhole says that the source's segments are listed without parts, although there is a PartTarget: those of encoded
	// renditions, whose rate is constant, and of sound are.
	SourceWhole bool
}

// Sample is one access unit at its place in the decode line. Times are in the track's timescale.
type Sample struct {
	Data       []byte
	Duration   media.Ticks
	CompOffset media.Ticks // PTS − decode time; may be negative
	Sync       bool        // decoding may start here
	Disposable bool
	Fill       bool // made here: it stands for something that did not come
}

// Line is one rendition of a session: 0 and 1 are the source's video and audio, which have the numbers of their media.Kind, from
// FirstRung on come the encoded ones.
type Line uint8

// FirstRung is the line of the first rung, and Lines how many there can be.
const (
	FirstRung Line = Line(media.Kinds)
	Lines          = media.Kinds + MaxRungs
)

// Part is one finished part.
type Part struct {
	Kind            media.Kind
	Line            Line
	Seq             int64 // segment, counted over the session, equal in all lines
	Index           int   // in its segment
	Start, Duration media.Ticks
	Shown           media.Ticks // PTS of the sample that is presented first; the segment's date is that of its first part
	Independent     bool        // begins with a sync sample
	Listed          bool        // false: a piece of a segment that is listed without parts
	Discontinuity   bool        // of its segment
	Samples         []Sample
}

// Segment is one finished segment; its parts came before it.
type Segment struct {
	Kind            media.Kind
	Line            Line
	Seq             int64
	Start, Duration media.Ticks
	Gap             bool // there is nothing in it
	Independent     bool // begins with a sync sample
	Discontinuity   bool // the first of its epoch, and not of the session
}

// Sink takes what is cut. Slices are valid during the call only; the bytes of samples are those of the access units.
type Sink interface {
	// Decided is called once a session, before any part.
	Decided(Constants)
	Part(Part)
	Segment(Segment)
}

// Stats counts what was mended, in samples, since the session began.
type Stats struct {
	Filled  [media.Kinds]uint64 // samples made for what did not come
	Late    [media.Kinds]uint64 // dropped: their time had been published
	Useless [media.Kinds]uint64 // dropped: video that cannot be decoded after a long hole, or before the first key frame
	Encoded Encoded
}

// Encoded counts the same of all rungs together.
type Encoded struct{ Filled, Late, Useless uint64 }
