package hlslint

import (
	"sort"
	"time"
)

// kind is what a playlist turned out to be.
type kind uint8

const (
	kindUnknown kind = iota
	kindMultivariant
	kindMedia
)

// fault is something that is wrong within one document, found while reading it.
type fault struct {
	rule string
	line int // 0: the whole document
	text string
}

// playlist is one parsed playlist of either kind. URIs are kept as written and resolved.
type playlist struct {
	url    string
	kind   kind
	faults []fault

	version     int
	needVersion int    // by tags and attributes in use
	needWhy     string // and the first reason
	needLine    int
	independent int // line of EXT-X-INDEPENDENT-SEGMENTS, 0 without
	start       *startPoint
	variables   map[string]string

	// Media playlists.
	hasTarget       bool
	target          time.Duration
	sequence        uint64
	discontinuity   uint64
	hasDiscSequence bool
	playlistType    string
	ended           bool
	iframesOnly     bool
	partTarget      time.Duration // 0 without EXT-X-PART-INF
	hasPartInf      bool
	control         serverControl
	segments        []segment // in full; a delta update has only those behind its skip
	open            *segment  // parts behind the last segment
	hints           []hint
	reports         []report
	skips           []skip
	ranges          []dateRange
	hasParts        bool
	delta           bool // completed from a delta update

	// Multivariant playlists.
	variants []variant
	iframes  []variant
	media    []mediaTag
	session  []sessionData
}

type startPoint struct {
	line   int
	offset time.Duration
}

type serverControl struct {
	line            int
	present         bool
	canSkipUntil    time.Duration
	hasSkip         bool
	skipDateRanges  bool
	holdBack        time.Duration
	hasHoldBack     bool
	partHoldBack    time.Duration
	hasPartHoldBack bool
	canBlock        bool
	text            string
}

// resource is what a URI line or attribute names.
type resource struct {
	uri, url string
	bytes    *byteRange
}

// key identifies the resource over all playlists.
func (r resource) key() string {
	if r.bytes == nil {
		return r.url
	}
	return r.url + "#" + r.bytes.String()
}

type segment struct {
	resource
	line          int
	msn           uint64
	discSeq       uint64
	duration      time.Duration
	durationText  string
	discontinuity bool
	gap           bool
	date          time.Time
	hasDate       bool
	dateLine      int
	initial       *resource // EXT-X-MAP
	encrypted     bool
	bitrate       uint64 // kbit/s, 0 without
	parts         []part
}

type part struct {
	resource
	line         int
	duration     time.Duration
	durationText string
	independent  bool
	gap          bool
}

type hint struct {
	resource
	line  int
	kind  string
	start uint64
	size  uint64 // 0: to the end
}

type report struct {
	line            int
	uri, url        string
	msn, part       uint64
	hasMSN, hasPart bool
}

type skip struct {
	line     int
	segments uint64
}

type dateRange struct {
	line  int
	attrs attributes
}

type variant struct {
	resource
	line  int
	attrs attributes
}

type mediaTag struct {
	resource
	line  int
	attrs attributes
}

type sessionData struct {
	line  int
	attrs attributes
}

// edge is how far a media playlist reaches: the segment and part that come next.
type edge struct {
	msn  uint64
	part uint64
}

func (e edge) before(o edge) bool { return e.msn < o.msn || e.msn == o.msn && e.part < o.part }

func (p *playlist) edge() edge {
	e := edge{msn: p.sequence + p.skipped() + uint64(len(p.segments))}
	if p.open != nil {
		e.part = uint64(len(p.open.parts))
	}
	return e
}

func (p *playlist) skipped() uint64 {
	if len(p.skips) == 0 {
		return 0
	}
	return p.skips[0].segments
}

func (p *playlist) live() bool { return p.kind == kindMedia && !p.ended && p.playlistType != "VOD" }

// lowLatency says that the playlist has or promises parts.
func (p *playlist) lowLatency() bool { return p.kind == kindMedia && (p.hasParts || p.hasPartInf) }

func (p *playlist) hasDates() bool {
	for i := range p.segments {
		if p.segments[i].hasDate {
			return true
		}
	}
	return p.open != nil && p.open.hasDate
}

// duration is the sum of the listed segments and of the parts behind them.
func (p *playlist) duration() time.Duration {
	var d time.Duration
	for i := range p.segments {
		d += p.segments[i].duration
	}
	if p.open != nil {
		for _, x := range p.open.parts {
			d += x.duration
		}
	}
	return d
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
