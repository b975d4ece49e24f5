package edge

// Kind is what was asked for.
type Kind uint8

// The kinds of request.
const (
	Unknown  Kind = iota // a name below /live/ that mediad does not have
	Passed               // no media: handed on as it comes
	Playlist             // of any kind
	Picture              // a thumbnail, or of a storyboard
	Media                // a part, a segment, an init segment
)

// Kinds lists every Kind.
func Kinds() []Kind { return []Kind{Unknown, Passed, Playlist, Picture, Media} }

func (k Kind) String() string {
	switch k {
	case Passed:
		return "passed"
	case Playlist:
		return "playlist"
	case Picture:
		return "picture"
	case Media:
		return "media"
	default:
		return "unknown"
	}
}

// Result is where an answer came from.
type Result uint8

// The results.
const (
	Own       Result = iota // made here: refusals, preflights
	Hit                     // memory or disk
	Miss                    // the origin, asked for this request
	Collapsed               // the origin, asked for another request that wanted the same
	Through                 // the origin, for this request alone
)

// Results lists every Result.
func Results() []Result { return []Result{Own, Hit, Miss, Collapsed, Through} }

func (r Result) String() string {
	switch r {
	case Hit:
		return "hit"
	case Miss:
		return "miss"
	case Collapsed:
		return "collapsed"
	case Through:
		return "through"
	default:
		return "own"
	}
}

// Served is one answer to a viewer.
type Served struct {
	Kind   Kind
	Result Result
	Status int
	Bytes  int64 // of the body, as handed to the connection
}

// Fetched is one request of the origin that a flight made.
type Fetched struct {
	Kind   Kind
	Status int // 0: there was no answer, or it broke off
	Bytes  int64
}

// Usage is what the cache holds.
type Usage struct {
	Memory, Disk               int64 // bytes
	MemoryObjects, DiskObjects int
}

// Observer sees the traffic. It is called from every request's goroutine and must not wait.
type Observer interface {
	Served(Served)
	Fetched(Fetched)
	// Evicted tells of objects that left the disk for newer ones.
	Evicted(objects int)
	// Waiting tells that one viewer more (1) or less (-1) waits for an answer of the origin.
	Waiting(delta int)
}

type nobody struct{}

func (nobody) Served(Served)   {}
func (nobody) Fetched(Fetched) {}
func (nobody) Evicted(int)     {}
func (nobody) Waiting(int)     {}
