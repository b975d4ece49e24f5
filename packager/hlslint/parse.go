package hlslint

import (
	"bytes"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of one playlist. A day of two-second segments with parts stays below them.
const (
	maxPlaylistBytes = 16 << 20
	maxPlaylistLines = 500_000
	maxLineBytes     = 64 << 10
	maxFaults        = 1000 // per document; what is wrong more often is wrong in the same way
)

// parser reads one playlist; the lines of a segment gather in next until its URI.
type parser struct {
	*playlist
	base  *url.URL
	table map[string]tagSpec
	seen  map[string]int // tag → first line
	line  int

	sawMedia, sawMultivariant bool
	next                      segment
	hasInf                    bool
	variant                   *variant
	initial                   *resource
	encrypted                 bool
	bitrate                   uint64
	rangeEnds                 map[string]uint64 // url → end of its last range, for ranges without offset
	imports                   map[string]string
}

// parsePlaylist reads a playlist leniently. It always returns a playlist; what is wrong is in its faults.
// imports are the variables of the multivariant playlist, nil without one.
func parsePlaylist(location string, body []byte, imports map[string]string) *playlist {
	p := &parser{
		playlist: &playlist{url: location, variables: map[string]string{}},
		table:    tagTable(), seen: map[string]int{}, rangeEnds: map[string]uint64{}, imports: imports,
	}
	if u, err := url.Parse(location); err == nil {
		p.base = u
	} else {
		p.base = &url.URL{}
	}
	if len(body) > maxPlaylistBytes {
		body = body[:maxPlaylistBytes]
		p.fault("value-syntax", fmt.Sprintf("longer than %d bytes, the rest was not read", maxPlaylistBytes))
	}
	body = p.encoding(body)
	for len(body) > 0 && p.line < maxPlaylistLines {
		var l []byte
		if i := bytes.IndexByte(body, '\n'); i >= 0 {
			l, body = body[:i], body[i+1:]
		} else {
			l, body = body, nil
		}
		p.line++
		l = bytes.TrimSuffix(l, []byte{'\r'})
		if len(l) > maxLineBytes {
			p.fault("value-syntax", fmt.Sprintf("a line of %d bytes was not read", len(l)))
			continue
		}
		p.readLine(string(l))
	}
	p.finish()
	return p.playlist
}

func (p *parser) fault(rule, text string) {
	if len(p.faults) < maxFaults {
		p.faults = append(p.faults, fault{rule, p.line, text})
	}
}

func (p *parser) encoding(body []byte) []byte {
	if rest, ok := bytes.CutPrefix(body, []byte("\xef\xbb\xbf")); ok {
		p.fault("not-utf8", "begins with a byte order mark")
		body = rest
	}
	if !utf8.Valid(body) {
		p.fault("not-utf8", "has bytes that are not UTF-8")
	}
	for _, c := range string(body) {
		if c < 0x20 && c != '\n' && c != '\r' && c != '\t' || c >= 0x7f && c <= 0x9f {
			p.fault("control-character", fmt.Sprintf("has the control character U+%04X", c))
			break
		}
	}
	return body
}

func (p *parser) readLine(l string) {
	if p.line == 1 && l != "#EXTM3U" {
		p.fault("extm3u-missing", fmt.Sprintf("the first line is %q", clip(l)))
	}
	switch {
	case strings.TrimSpace(l) == "":
	case strings.HasPrefix(l, "#EXT"):
		name, value, _ := strings.Cut(l[1:], ":")
		p.readTag(name, value)
	case l[0] == '#':
	default:
		p.readURI(l)
	}
}

func (p *parser) readTag(name, value string) {
	spec, ok := p.table[name]
	if !ok {
		p.fault("tag-unknown", "#"+clip(name))
		return
	}
	switch spec.place {
	case placeMultivariant:
		p.sawMultivariant = true
	case placeMedia, placeSegment, placeMeta:
		p.sawMedia = true
	default: // tells nothing of the kind
	}
	if first, again := p.seen[name]; again && (spec.place == placeGlobal || spec.place == placeMedia) {
		p.fault("tag-duplicate", fmt.Sprintf("#%s stands on line %d already", name, first))
	} else if !again {
		p.seen[name] = p.line
	}
	var attrs attributes
	if spec.attrs != nil {
		attrs = parseAttributes(value, p.fault)
		checkAttributes("#"+name, spec.attrs, attrs, p.fault)
		for i := range attrs {
			if attrs[i].quoted && name != "EXT-X-DEFINE" {
				attrs[i].value = p.substitute(attrs[i].value)
			}
		}
	}
	if spec.place == placeSegment {
		p.segmentTag(name, value, attrs)
		return
	}
	p.playlistTag(name, value, attrs)
}

func (p *parser) readURI(l string) {
	uri := p.substitute(l)
	if p.variant != nil {
		p.variant.resource = p.resolve(uri)
		p.variants = append(p.variants, *p.variant)
		p.variant = nil
		return
	}
	if !p.sawMedia && p.sawMultivariant {
		p.fault("uri-missing", fmt.Sprintf("%q has no EXT-X-STREAM-INF before it", clip(l)))
		return
	}
	if !p.hasInf {
		p.fault("extinf-missing", fmt.Sprintf("%q has no EXTINF before it", clip(l)))
	}
	s := p.next
	r := p.resolve(uri)
	r.bytes = s.bytes
	p.fixRange(&r, "")
	s.resource, s.line = r, p.line
	s.initial, s.encrypted, s.bitrate = p.initial, p.encrypted, p.bitrate
	p.segments = append(p.segments, s)
	p.next, p.hasInf = segment{}, false
}

// fixRange gives a range without offset the end of the range before it in the same resource.
func (p *parser) fixRange(r *resource, within string) {
	if r.bytes == nil {
		return
	}
	key := within + r.url
	if !r.bytes.fixed {
		end, ok := p.rangeEnds[key]
		if !ok {
			p.fault("byterange-no-offset", fmt.Sprintf("no range of %s stands before", clip(r.uri)))
		}
		r.bytes.offset = end
	}
	p.rangeEnds[key] = r.bytes.offset + r.bytes.length
}

func (p *parser) resolve(uri string) resource {
	u, err := url.Parse(uri)
	if err != nil {
		p.fault("value-syntax", fmt.Sprintf("%q is not a URI", clip(uri)))
		return resource{uri: uri, url: uri}
	}
	return resource{uri: uri, url: p.base.ResolveReference(u).String()}
}

// substitute replaces {$name} by the variable's value (rfc8216bis 4.3).
func (p *parser) substitute(s string) string {
	if !strings.Contains(s, "{$") {
		return s
	}
	var b strings.Builder
	for {
		i := strings.Index(s, "{$")
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		end := strings.IndexByte(s[i:], '}')
		if end < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		name := s[i+2 : i+end]
		v, ok := p.variables[name]
		if !ok {
			p.fault("variable-undefined", clip(name))
		}
		if b.Len()+len(v) > maxLineBytes {
			p.fault("value-syntax", "a line grows too long by its variables")
			return b.String()
		}
		b.WriteString(v)
		p.need(8, "a variable is used")
		s = s[i+end+1:]
	}
}

func (p *parser) need(version int, why string) {
	if version > p.needVersion {
		p.needVersion, p.needWhy, p.needLine = version, why, p.line
	}
}

func (p *parser) number(tag, value string) uint64 {
	n, ok := parseCount(value)
	if !ok {
		p.fault("value-syntax", fmt.Sprintf("the value of #%s is %q, not a decimal integer", tag, clip(value)))
	}
	return n
}

func (p *parser) seconds(a attributes, name string) time.Duration {
	d, _ := parseSeconds(a.str(name), false)
	return d
}

// finish closes what the end of the file leaves open and numbers the segments.
func (p *parser) finish() {
	if p.line == 0 {
		p.fault("extm3u-missing", "the playlist is empty")
	}
	if p.hasInf {
		p.fault("uri-missing", "the last EXTINF is not followed by a URI")
	}
	if p.variant != nil {
		p.fault("uri-missing", "the last EXT-X-STREAM-INF is not followed by a URI")
	}
	if len(p.next.parts) > 0 {
		p.next.initial, p.next.encrypted = p.initial, p.encrypted
		open := p.next
		p.open = &open
	}
	switch {
	case p.sawMedia && p.sawMultivariant:
		p.fault("mixed-kinds", "has tags of both kinds")
		p.kind = kindMedia
		if len(p.variants) > 0 {
			p.kind = kindMultivariant
		}
	case p.sawMultivariant:
		p.kind = kindMultivariant
	case p.sawMedia || len(p.segments) > 0:
		p.kind = kindMedia
	}
	msn, disc := p.sequence+p.skipped(), p.discontinuity
	number := func(s *segment) {
		if s.discontinuity {
			disc++
		}
		s.msn, s.discSeq = msn, disc
		msn++
	}
	for i := range p.segments {
		number(&p.segments[i])
	}
	if p.open != nil {
		number(p.open)
	}
	p.line = 0
	if p.kind == kindMedia && !p.hasTarget && p.seen["EXT-X-TARGETDURATION"] == 0 {
		p.fault("targetduration-missing", "no EXT-X-TARGETDURATION")
	}
	version := max(p.version, 1)
	if p.needVersion > version {
		p.line = p.needLine
		p.fault("version-too-low", fmt.Sprintf("version %d, but %s, which takes %s", version, p.needWhy, strconv.Itoa(p.needVersion)))
	}
}
