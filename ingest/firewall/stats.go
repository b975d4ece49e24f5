package firewall

import "mediad/media"

// Repair is a kind of repair.
type Repair uint8

// The kinds of repair.
const (
	noRepair       Repair = iota
	DroppedInsane         // a unit whose timestamps fit nothing was dropped
	PlacedInsane          // such a unit was put between its neighbours instead
	Nudged                // DTS did not rise
	Retimed               // DTS rose, but not to the end of the picture before: its rate looked constant and is not
	FixedPTS              // PTS before DTS, or too far behind it
	LiftedPTS             // all PTS are moved up since the source has them before DTS
	Hole                  // units are missing
	Realigned             // one track's clock jumped, or fell behind by more than MaxSkew
	AudioSkipped          // a frame of nothing, since the audio clock lost against its timestamps
	AudioDropped          // a frame dropped, since the audio clock gained
	CadenceLocked         // video is on a constant rate from here
	CadenceLost           // and is not any more
	CadenceChanged        // the rate was corrected in flight

	// NumRepairs is one more than the last kind.
	NumRepairs = iota
)

var repairNames = [NumRepairs]string{
	"none", "dropped_insane", "placed_insane", "nudged", "retimed", "fixed_pts", "lifted_pts", "hole", "realigned", "audio_skipped",
	"audio_dropped", "cadence_locked", "cadence_lost", "cadence_changed",
}

func (r Repair) String() string {
	if int(r) < len(repairNames) {
		return repairNames[r]
	}
	return "unknown"
}

// Repairs is a set of Repair.
type Repairs uint32

// Has reports whether r is in the set.
func (s Repairs) Has(r Repair) bool { return s&(1<<r) != 0 }

// repairing are the kinds that changed timestamps beyond what rounding explains.
const repairing = Mended&^(1<<DroppedInsane) | 1<<Retimed

// Mended are the kinds that tell of a fault in the source's timestamps. The others are none: a rate that varies is the source's
// right, and with it that pictures are left out and that a grid it seemed to be on does not hold; and where units are missing,
// what is there says truly when it is.
const Mended = Repairs(1<<DroppedInsane | 1<<PlacedInsane | 1<<Nudged | 1<<FixedPTS | 1<<LiftedPTS | 1<<Realigned | 1<<AudioSkipped | 1<<AudioDropped)

// Stats counts what has happened since New.
type Stats struct {
	Units   [media.Kinds]uint64 // pushed, of known tracks
	Repairs [NumRepairs]uint64
	Epochs  uint64 // begun because all tracks jumped

	// FrameRate is the constant rate of the video now, zero where it is variable or not known.
	FrameRate media.Rational
}

// Stats returns the counts so far.
func (f *Firewall) Stats() Stats {
	s := f.stats
	if c := &f.tracks[media.Video].cadence; c.locked {
		s.FrameRate = c.rate
	}
	return s
}
