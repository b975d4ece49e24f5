package replay

import (
	"time"

	"mediad/media"
)

// Recording is what is stored of a session.
type Recording struct {
	// Remote names a stored segment in the bucket; nil where nothing is Stored.
	Remote     func(rendition string, epoch int64, msn uint64) string
	Renditions []Rendition
}

// Rendition is what is stored of one of its renditions.
type Rendition struct {
	Name string
	Kind media.Kind
	// Tracks are by epoch.
	Tracks []Track
	// Segments rise in MSN; numbers may be missing.
	Segments []Segment
}

// Track is how segments of an epoch are decoded.
type Track struct {
	Epoch int64
	Track *media.Track
	Init  []byte // the init segment
}

// Segment is one segment of a rendition.
type Segment struct {
	MSN           uint64
	Epoch         int64
	Start         time.Time // wall clock of the first presented sample
	Duration      time.Duration
	Bytes         int64
	Key           string // of the object on the local disk; empty: it is not there
	Offset        int64  // in it
	Stored        bool   // it is in the bucket
	Discontinuity bool
	Independent   bool // it begins with a random access unit
	// Gap: the rendition had nothing there.
	Gap bool
}

// there tells whether the segment can be fetched.
func (s *Segment) there() bool { return !s.Gap && s.Bytes > 0 && (s.Key != "" || s.Stored) }
