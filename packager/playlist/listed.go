package playlist

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// listed is what a rendered media playlist says, read back for CheckInvariants. Durations are in nanoseconds, the unit that
// playlists are written in.
type listed struct {
	version, target  int
	control          map[string]string // SERVER-CONTROL
	partTarget       int64             // 0: no PART-INF
	msn              uint64            // of the first segment, skipped or listed
	discontinuitySeq uint64
	independent      bool
	skipped          int
	ended            bool
	segments         []listedSegment
	open             *listedSegment // the parts behind the last complete segment
	hints, reports   []map[string]string
	head             map[string]int // how often each tag that may stand once does
}

type listedSegment struct {
	msn           uint64
	uri, mapURI   string
	duration      int64
	date          time.Time
	discontinuity bool
	gap           bool
	parts         []listedPart
}

type listedPart struct {
	uri              string
	duration         int64
	independent, gap bool
}

// length is how much media the segment has, complete or not.
func (s *listedSegment) length() int64 {
	if s.uri != "" {
		return s.duration
	}
	var n int64
	for _, p := range s.parts {
		n += p.duration
	}
	return n
}

// total is how much media is listed, without what was skipped.
func (l *listed) total() int64 {
	var n int64
	for i := range l.segments {
		n += l.segments[i].duration
	}
	if l.open != nil {
		n += l.open.length()
	}
	return n
}

// last is the number of the last complete segment.
func (l *listed) last() uint64 { return l.msn + uint64(l.skipped+len(l.segments)) - 1 }

// edge is the newest part: its segment, and how many parts of that are listed.
func (l *listed) edge() (msn uint64, parts int) {
	if l.open != nil {
		return l.open.msn, len(l.open.parts)
	}
	return l.last() + 1, 0
}

// read parses a playlist of this package. What this package would not write is an error.
func read(b []byte) (*listed, error) {
	text, ok := strings.CutSuffix(string(b), "\n")
	lines := strings.Split(text, "\n")
	if !ok || lines[0] != "#EXTM3U" {
		return nil, fmt.Errorf("no playlist: %q…", lines[0])
	}
	l := &listed{head: make(map[string]int)}
	var cur listedSegment
	for _, line := range lines[1:] {
		if err := l.line(line, &cur); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
	}
	if cur.length() > 0 || len(cur.parts) > 0 {
		cur.msn = l.msn + uint64(l.skipped+len(l.segments))
		l.open = &cur
	} else if cur.discontinuity || !cur.date.IsZero() {
		return nil, fmt.Errorf("tags of a segment that has neither parts nor an address")
	}
	return l, nil
}

func (l *listed) line(line string, cur *listedSegment) (err error) {
	tag, value, _ := strings.Cut(line, ":")
	switch tag {
	case "#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-SERVER-CONTROL", "#EXT-X-PART-INF", "#EXT-X-MEDIA-SEQUENCE",
		"#EXT-X-DISCONTINUITY-SEQUENCE", "#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-SKIP", "#EXT-X-ENDLIST":
		if l.head[tag]++; l.head[tag] > 1 {
			return fmt.Errorf("it stands there twice")
		}
		return l.once(tag, value)
	case "#EXT-X-DISCONTINUITY":
		cur.discontinuity = true
	case "#EXT-X-GAP":
		cur.gap = true
	case "#EXT-X-MAP":
		cur.mapURI, err = quoted(attributes(value)["URI"])
	case "#EXT-X-PROGRAM-DATE-TIME":
		cur.date, err = time.Parse(time.RFC3339Nano, value)
	case "#EXT-X-PART":
		err = cur.part(attributes(value))
	case "#EXTINF":
		cur.duration, err = nanos(strings.TrimSuffix(value, ","), mediaDecimals)
	case "#EXT-X-PRELOAD-HINT":
		l.hints = append(l.hints, attributes(value))
	case "#EXT-X-RENDITION-REPORT":
		l.reports = append(l.reports, attributes(value))
	default:
		if line == "" || line[0] == '#' {
			return fmt.Errorf("unknown line")
		}
		cur.uri, cur.msn = line, l.msn+uint64(l.skipped+len(l.segments))
		l.segments = append(l.segments, *cur)
		*cur = listedSegment{mapURI: cur.mapURI} // the only tag that reaches further than its segment
	}
	return err
}

func (l *listed) once(tag, value string) (err error) {
	switch tag {
	case "#EXT-X-VERSION":
		l.version, err = strconv.Atoi(value)
	case "#EXT-X-TARGETDURATION":
		l.target, err = strconv.Atoi(value)
	case "#EXT-X-SERVER-CONTROL":
		l.control = attributes(value)
	case "#EXT-X-PART-INF":
		l.partTarget, err = nanos(attributes(value)["PART-TARGET"], headDecimals)
	case "#EXT-X-MEDIA-SEQUENCE":
		l.msn, err = strconv.ParseUint(value, 10, 64)
	case "#EXT-X-DISCONTINUITY-SEQUENCE":
		l.discontinuitySeq, err = strconv.ParseUint(value, 10, 64)
	case "#EXT-X-INDEPENDENT-SEGMENTS":
		l.independent = true
	case "#EXT-X-SKIP":
		l.skipped, err = strconv.Atoi(attributes(value)["SKIPPED-SEGMENTS"])
	case "#EXT-X-ENDLIST":
		l.ended = true
	}
	return err
}

func (s *listedSegment) part(a map[string]string) error {
	d, err := nanos(a["DURATION"], mediaDecimals)
	if err != nil {
		return err
	}
	uri, err := quoted(a["URI"])
	s.parts = append(s.parts, listedPart{uri: uri, duration: d, independent: a["INDEPENDENT"] == "YES", gap: a["GAP"] == "YES"})
	return err
}

// attributes reads an attribute list. None that is written here has a comma inside quotes.
func attributes(s string) map[string]string {
	a := make(map[string]string)
	for pair := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(pair, "=")
		a[name] = value
	}
	return a
}

func quoted(s string) (string, error) {
	if len(s) < 3 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", fmt.Errorf("not a quoted string: %s", s)
	}
	return s[1 : len(s)-1], nil
}

// Decimals of the seconds that a playlist's head and its media have.
const (
	headDecimals  = 6
	mediaDecimals = 9
)

// nanos reads seconds with exactly that many decimals.
func nanos(s string, decimals int) (int64, error) {
	whole, fraction, ok := strings.Cut(s, ".")
	if !ok || len(fraction) != decimals {
		return 0, fmt.Errorf("not seconds with %d decimals: %q", decimals, s)
	}
	fraction += "000000000"[decimals:]
	n, err := strconv.ParseInt(whole+fraction, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("not seconds: %q", s)
	}
	return n, nil
}
