package origin

import "time"

// Kind is what was asked for.
type Kind uint8

// The kinds of request.
const (
	Other Kind = iota // no name of ours
	Multivariant
	Playlist
	DVR
	Init
	Segment
	Part
	Thumbnail
	Download
	Storyboard
)

// Kinds lists every Kind.
func Kinds() []Kind {
	return []Kind{Other, Multivariant, Playlist, DVR, Init, Segment, Part, Thumbnail, Download, Storyboard}
}

func (k Kind) String() string {
	switch k {
	case Multivariant:
		return "multivariant"
	case Playlist:
		return "playlist"
	case DVR:
		return "dvr"
	case Init:
		return "init"
	case Segment:
		return "segment"
	case Part:
		return "part"
	case Thumbnail:
		return "thumbnail"
	case Download:
		return "download"
	case Storyboard:
		return "storyboard"
	default:
		return "other"
	}
}

// StatusLeft is what an observer is told in place of a status where the viewer left while the request was held. It
// is never sent.
const StatusLeft = 499

// Served is one answer.
type Served struct {
	Kind   Kind
	Stream string // "" for Other
	Status int
	Bytes  int64 // of the body, as handed to the connection
	// Held is how long the request was parked first; 0 if what it asked for was there.
	Held time.Duration
	// CMCD is what the player told of itself.
	CMCD CMCD
}

// Observer sees the traffic. It is called from every request's goroutine and must not wait.
type Observer interface {
	Served(Served)
	// Parked tells that one request more (1) or less (-1) is waiting.
	Parked(delta int)
}

type nobody struct{}

func (nobody) Served(Served) {}
func (nobody) Parked(int)    {}
