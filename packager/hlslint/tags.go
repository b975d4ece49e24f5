package hlslint

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// playlistTag reads a tag that is not about one segment.
func (p *parser) playlistTag(name, value string, a attributes) {
	switch name {
	case "EXT-X-VERSION":
		p.version = int(min(p.number(name, value), 1000))
	case "EXT-X-INDEPENDENT-SEGMENTS":
		p.independent = p.line
	case "EXT-X-START":
		d, _ := parseSeconds(a.str("TIME-OFFSET"), true)
		p.start = &startPoint{p.line, d}
	case "EXT-X-DEFINE":
		p.define(a)
	case "EXT-X-TARGETDURATION":
		n := p.number(name, value)
		if n == 0 && value == "0" || n > 1<<31 {
			p.fault("value-syntax", fmt.Sprintf("the target duration is %s", clip(value)))
			n = min(n, 1<<31)
		}
		p.hasTarget, p.target = n > 0, time.Duration(n)*time.Second
	case "EXT-X-MEDIA-SEQUENCE":
		p.sequence = p.number(name, value)
		p.early(name)
	case "EXT-X-DISCONTINUITY-SEQUENCE":
		p.discontinuity, p.hasDiscSequence = p.number(name, value), true
		p.early(name)
		if p.seen["EXT-X-DISCONTINUITY"] > 0 {
			p.fault("sequence-late", "#"+name+" stands after EXT-X-DISCONTINUITY")
		}
	case "EXT-X-PLAYLIST-TYPE":
		if value != "VOD" && value != "EVENT" {
			p.fault("value-syntax", fmt.Sprintf("the playlist type is %q", clip(value)))
		}
		p.playlistType = value
	case "EXT-X-ENDLIST":
		p.ended = true
	case "EXT-X-I-FRAMES-ONLY":
		p.iframesOnly = true
		p.need(4, "#EXT-X-I-FRAMES-ONLY is used")
	case "EXT-X-PART-INF":
		p.hasPartInf, p.partTarget = true, p.seconds(a, "PART-TARGET")
	case "EXT-X-SERVER-CONTROL":
		p.serverControl(value, a)
	case "EXT-X-DATERANGE":
		p.ranges = append(p.ranges, dateRange{p.line, a})
	case "EXT-X-SKIP":
		n, _ := parseCount(a.str("SKIPPED-SEGMENTS"))
		p.skips = append(p.skips, skip{p.line, min(n, maxPlaylistLines)})
		p.need(9, "#EXT-X-SKIP is used")
		if a.has("RECENTLY-REMOVED-DATERANGES") {
			p.need(10, "#EXT-X-SKIP with date ranges is used")
		}
	case "EXT-X-PRELOAD-HINT":
		h := hint{resource: p.resolve(a.str("URI")), line: p.line, kind: a.str("TYPE")}
		h.start, _ = parseCount(a.str("BYTERANGE-START"))
		h.size, _ = parseCount(a.str("BYTERANGE-LENGTH"))
		p.hints = append(p.hints, h)
	case "EXT-X-RENDITION-REPORT":
		r := report{line: p.line, uri: a.str("URI"), hasMSN: a.has("LAST-MSN"), hasPart: a.has("LAST-PART")}
		r.url = p.resolve(r.uri).url
		r.msn, _ = parseCount(a.str("LAST-MSN"))
		r.part, _ = parseCount(a.str("LAST-PART"))
		p.reports = append(p.reports, r)
	case "EXT-X-STREAM-INF":
		if p.variant != nil {
			p.fault("uri-missing", fmt.Sprintf("the EXT-X-STREAM-INF of line %d is not followed by a URI", p.variant.line))
		}
		p.variant = &variant{line: p.line, attrs: a}
		p.reqAttributes(a)
	case "EXT-X-I-FRAME-STREAM-INF":
		p.iframes = append(p.iframes, variant{p.resolve(a.str("URI")), p.line, a})
		p.reqAttributes(a)
	case "EXT-X-MEDIA":
		m := mediaTag{line: p.line, attrs: a}
		if a.has("URI") {
			m.resource = p.resolve(a.str("URI"))
		}
		p.media = append(p.media, m)
		if id := a.str("INSTREAM-ID"); id != "" {
			if a.str("TYPE") != "CLOSED-CAPTIONS" {
				p.need(13, "INSTREAM-ID stands on a rendition that is not closed captions")
			} else if strings.HasPrefix(id, "SERVICE") {
				p.need(7, "INSTREAM-ID names a SERVICE")
			}
		}
	case "EXT-X-SESSION-DATA":
		p.session = append(p.session, sessionData{p.line, a})
	case "EXT-X-SESSION-KEY":
		p.key(a)
	}
}

func (p *parser) reqAttributes(a attributes) {
	for _, x := range a {
		if strings.HasPrefix(x.name, "REQ-") {
			p.need(12, x.name+" is used")
		}
	}
}

func (p *parser) early(name string) {
	if len(p.segments) > 0 || len(p.next.parts) > 0 {
		p.fault("sequence-late", "#"+name+" stands after a segment")
	}
}

func (p *parser) serverControl(value string, a attributes) {
	p.control = serverControl{
		line: p.line, present: true, text: value,
		hasSkip: a.has("CAN-SKIP-UNTIL"), canSkipUntil: p.seconds(a, "CAN-SKIP-UNTIL"), skipDateRanges: a.yes("CAN-SKIP-DATERANGES"),
		hasHoldBack: a.has("HOLD-BACK"), holdBack: p.seconds(a, "HOLD-BACK"),
		hasPartHoldBack: a.has("PART-HOLD-BACK"), partHoldBack: p.seconds(a, "PART-HOLD-BACK"),
		canBlock: a.yes("CAN-BLOCK-RELOAD"),
	}
}

func (p *parser) define(a attributes) {
	p.need(8, "#EXT-X-DEFINE is used")
	var name, value string
	ways, ok := 0, true
	if a.has("NAME") {
		ways++
		name, value, ok = a.str("NAME"), a.str("VALUE"), a.has("VALUE")
	}
	if a.has("IMPORT") {
		ways++
		name = a.str("IMPORT")
		value, ok = p.imports[name]
	}
	if a.has("QUERYPARAM") {
		ways++
		p.need(11, "#EXT-X-DEFINE with QUERYPARAM is used")
		name = a.str("QUERYPARAM")
		q, err := url.ParseQuery(p.base.RawQuery)
		ok = err == nil && q.Has(name)
		value = q.Get(name)
	}
	_, twice := p.variables[name]
	switch {
	case ways != 1:
		p.fault("define-invalid", "needs exactly one of NAME, IMPORT, QUERYPARAM")
	case !ok:
		p.fault("define-invalid", fmt.Sprintf("%s has no value", clip(name)))
	case twice:
		p.fault("define-invalid", fmt.Sprintf("%s is defined twice", clip(name)))
	}
	if name != "" {
		p.variables[name] = value
	}
}

func (p *parser) key(a attributes) {
	if a.has("IV") {
		p.need(2, "IV is used")
	}
	if a.has("KEYFORMAT") || a.has("KEYFORMATVERSIONS") {
		p.need(5, "KEYFORMAT is used")
	}
	method := a.str("METHOD")
	switch {
	case method == "NONE" && len(a) > 1:
		p.fault("key-invalid", "METHOD=NONE with other attributes")
	case method != "NONE" && method != "" && !a.has("URI"):
		p.fault("key-invalid", "METHOD="+clip(method)+" without URI")
	case (method == "SAMPLE-AES-CTR" || method == "AES-256-GCM") && a.has("IV"):
		p.fault("key-invalid", method+" with IV")
	}
}

// segmentTag reads a tag that applies to the next segment or all that follow.
func (p *parser) segmentTag(name, value string, a attributes) {
	switch name {
	case "EXT-X-DISCONTINUITY", "EXT-X-KEY", "EXT-X-MAP", "EXT-X-PROGRAM-DATE-TIME":
		if len(p.next.parts) > 0 {
			p.fault("part-tag-order", fmt.Sprintf("#%s stands after the first part of its segment", name))
		}
	}
	switch name {
	case "EXTINF":
		p.extinf(value)
	case "EXT-X-BYTERANGE":
		p.need(4, "#EXT-X-BYTERANGE is used")
		p.next.bytes = p.byteRange(name, value)
	case "EXT-X-DISCONTINUITY":
		p.next.discontinuity = true
	case "EXT-X-KEY":
		p.key(a)
		p.encrypted = a.str("METHOD") != "NONE"
	case "EXT-X-MAP":
		if p.iframesOnly {
			p.need(5, "#EXT-X-MAP is used")
		} else {
			p.need(6, "#EXT-X-MAP is used outside an I-frame playlist")
		}
		r := p.resolve(a.str("URI"))
		if a.has("BYTERANGE") {
			r.bytes = p.byteRange(name, a.str("BYTERANGE"))
			if r.bytes != nil && !r.bytes.fixed {
				p.fault("byterange-no-offset", "the range of EXT-X-MAP has no offset")
			}
		}
		p.initial = &r
	case "EXT-X-PROGRAM-DATE-TIME":
		t, exact, ok := parseDate(value)
		if !ok {
			p.fault("value-syntax", fmt.Sprintf("%q is not a date", clip(value)))
			return
		}
		if !exact {
			p.fault("pdt-zone-missing", fmt.Sprintf("%s has no zone or no milliseconds", clip(value)))
		}
		p.next.date, p.next.hasDate, p.next.dateLine = t, true, p.line
	case "EXT-X-GAP":
		p.next.gap = true
	case "EXT-X-BITRATE":
		p.bitrate = p.number(name, value)
	case "EXT-X-PART":
		x := part{
			resource: p.resolve(a.str("URI")), line: p.line, duration: p.seconds(a, "DURATION"), durationText: a.str("DURATION"),
			independent: a.yes("INDEPENDENT"), gap: a.yes("GAP"),
		}
		if a.has("BYTERANGE") {
			x.bytes = p.byteRange(name, a.str("BYTERANGE"))
			p.fixRange(&x.resource, fmt.Sprintf("part of %d ", len(p.segments)))
		}
		p.next.parts = append(p.next.parts, x)
		p.hasParts = true
	}
}

func (p *parser) byteRange(name, value string) *byteRange {
	r, ok := parseByteRange(value)
	if !ok {
		p.fault("value-syntax", fmt.Sprintf("%q of #%s is not a byte range", clip(value), name))
		return nil
	}
	return &r
}

func (p *parser) extinf(value string) {
	if p.hasInf {
		p.fault("uri-missing", "an EXTINF is followed by another")
	}
	p.hasInf = true
	text, _, _ := strings.Cut(value, ",")
	d, ok := parseSeconds(text, false)
	if !ok {
		p.fault("value-syntax", fmt.Sprintf("%q is not a duration", clip(text)))
		return
	}
	if strings.Contains(text, ".") {
		p.need(3, "EXTINF has a fraction")
	}
	p.next.duration, p.next.durationText = d, text
	if p.hasTarget && d.Round(time.Second) > p.target {
		p.fault("extinf-over-target", fmt.Sprintf("EXTINF:%s with a target duration of %d s", text, p.target/time.Second))
	}
}
