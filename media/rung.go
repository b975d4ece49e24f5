package media

import "time"

// Rung is a rendition that is encoded: what it is meant to be. Its Track tells what it became.
type Rung struct {
	Name          string // of the rendition: 720p
	Width, Height int
	FrameRate     Rational
	Bitrate       int64 // bits a second, of the video
}

// Plan is what is encoded for a session, decided with its first epoch and constant from then on.
type Plan struct {
	Rungs []Rung // heaviest first; none: there is no ladder
	// Leads says that the first rung takes the source's place: viewers get no source, and segments end at that rung's key frames. So it
	// is where the source cannot be carried, or cannot be cut. That rung is never shed.
	Leads bool `json:",omitempty"`
}

// EncodedKind tells what an Encoded is.
type EncodedKind uint8

// The kinds of Encoded, in the order in which they come for each rung and epoch: a track, units, and now and then the
// rung's going and coming back.
const (
	EncodedTrack   EncodedKind = iota + 1 // Track is how the rung is decoded from here on; once an epoch, and again where it changes
	EncodedUnit                           // Unit is the rung's next access unit
	EncodedShed                           // nothing comes of this rung from At on, until EncodedRestore
	EncodedRestore                        // the rung is back: the unit that follows is a random access point
)

// Encoded is what an encoder tells of one rung.
type Encoded struct {
	Kind EncodedKind
	// Rung is the name of the rendition.
	Rung string
	// Epoch is the ID of the session's epoch that this belongs to.
	Epoch int64
	Track *Track
	// Unit has timestamps in session time, in the track's timescale. DTS rises strictly, PTS = DTS.
	Unit AccessUnit
	// At is the session time from which on a rung is shed.
	At time.Duration
}
