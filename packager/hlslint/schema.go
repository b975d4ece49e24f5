package hlslint

import (
	"fmt"
	"strings"
)

// valueType is the type of an attribute's value (rfc8216bis 4.2).
type valueType uint8

const (
	typeInteger valueType = iota
	typeDecimal
	typeSigned
	typeQuoted
	typeHex
	typeEnum       // one of the values of the spec; any where it names none
	typeResolution // WxH
	typeEither     // quoted or enumerated
)

var typeNames = [...]string{"decimal integer", "decimal number", "signed decimal number", "quoted string", "hexadecimal sequence", "enumerated string", "resolution", "quoted or enumerated string"}

type attributeSpec struct {
	kind     valueType
	required bool
	values   []string
}

// place says what a tag describes, so that mixtures and repetitions can be told.
type place uint8

const (
	placeBasic  place = iota // either kind of playlist
	placeGlobal              // either kind, at most once
	placeMedia               // whole media playlist, at most once
	placeSegment
	placeMeta // media playlist, any number
	placeMultivariant
)

type tagSpec struct {
	place place
	attrs map[string]attributeSpec // nil: the tag has no attribute list
}

func req(k valueType, values ...string) attributeSpec { return attributeSpec{k, true, values} }
func opt(k valueType, values ...string) attributeSpec { return attributeSpec{k, false, values} }

// tagTable is the specification's list of tags with the attributes and their types.
func tagTable() map[string]tagSpec {
	variant := map[string]attributeSpec{
		"BANDWIDTH": req(typeInteger), "AVERAGE-BANDWIDTH": opt(typeInteger), "SCORE": opt(typeDecimal),
		"CODECS": opt(typeQuoted), "SUPPLEMENTAL-CODECS": opt(typeQuoted), "RESOLUTION": opt(typeResolution),
		"HDCP-LEVEL": opt(typeEnum, "TYPE-0", "TYPE-1", "NONE"), "ALLOWED-CPC": opt(typeQuoted),
		"VIDEO-RANGE": opt(typeEnum), "REQ-VIDEO-LAYOUT": opt(typeQuoted), "STABLE-VARIANT-ID": opt(typeQuoted),
		"VIDEO": opt(typeQuoted), "PATHWAY-ID": opt(typeQuoted), "PROGRAM-ID": opt(typeInteger), "NAME": opt(typeQuoted),
	}
	stream := map[string]attributeSpec{
		"FRAME-RATE": opt(typeDecimal), "AUDIO": opt(typeQuoted), "SUBTITLES": opt(typeQuoted),
		"CLOSED-CAPTIONS": opt(typeEither, "NONE"),
	}
	iframe := map[string]attributeSpec{"URI": req(typeQuoted)}
	for k, v := range variant {
		stream[k], iframe[k] = v, v
	}
	key := map[string]attributeSpec{
		"METHOD": req(typeEnum), "URI": opt(typeQuoted), "IV": opt(typeHex),
		"KEYFORMAT": opt(typeQuoted), "KEYFORMATVERSIONS": opt(typeQuoted),
	}
	return map[string]tagSpec{
		"EXTM3U": {place: placeBasic}, "EXT-X-VERSION": {place: placeGlobal},
		"EXT-X-INDEPENDENT-SEGMENTS": {place: placeGlobal},
		"EXT-X-START":                {placeGlobal, map[string]attributeSpec{"TIME-OFFSET": req(typeSigned), "PRECISE": opt(typeEnum, "YES", "NO")}},
		"EXT-X-DEFINE": {placeBasic, map[string]attributeSpec{"NAME": opt(typeQuoted), "VALUE": opt(typeQuoted),
			"IMPORT": opt(typeQuoted), "QUERYPARAM": opt(typeQuoted)}},

		"EXT-X-TARGETDURATION": {place: placeMedia}, "EXT-X-MEDIA-SEQUENCE": {place: placeMedia},
		"EXT-X-DISCONTINUITY-SEQUENCE": {place: placeMedia}, "EXT-X-ENDLIST": {place: placeMedia},
		"EXT-X-PLAYLIST-TYPE": {place: placeMedia}, "EXT-X-I-FRAMES-ONLY": {place: placeMedia},
		"EXT-X-PART-INF": {placeMedia, map[string]attributeSpec{"PART-TARGET": req(typeDecimal)}},
		"EXT-X-SERVER-CONTROL": {placeMedia, map[string]attributeSpec{"CAN-SKIP-UNTIL": opt(typeDecimal),
			"CAN-SKIP-DATERANGES": opt(typeEnum, "YES"), "HOLD-BACK": opt(typeDecimal),
			"PART-HOLD-BACK": opt(typeDecimal), "CAN-BLOCK-RELOAD": opt(typeEnum, "YES")}},
		"EXT-X-ALLOW-CACHE": {place: placeMedia}, // of protocol version 6 and before

		"EXTINF": {place: placeSegment}, "EXT-X-BYTERANGE": {place: placeSegment}, "EXT-X-DISCONTINUITY": {place: placeSegment},
		"EXT-X-KEY":               {placeSegment, key},
		"EXT-X-MAP":               {placeSegment, map[string]attributeSpec{"URI": req(typeQuoted), "BYTERANGE": opt(typeQuoted)}},
		"EXT-X-PROGRAM-DATE-TIME": {place: placeSegment}, "EXT-X-GAP": {place: placeSegment}, "EXT-X-BITRATE": {place: placeSegment},
		"EXT-X-PART": {placeSegment, map[string]attributeSpec{"URI": req(typeQuoted), "DURATION": req(typeDecimal),
			"INDEPENDENT": opt(typeEnum, "YES"), "BYTERANGE": opt(typeQuoted), "GAP": opt(typeEnum, "YES")}},

		"EXT-X-DATERANGE": {placeMeta, map[string]attributeSpec{"ID": req(typeQuoted), "CLASS": opt(typeQuoted),
			"START-DATE": opt(typeQuoted), "CUE": opt(typeQuoted), "END-DATE": opt(typeQuoted), "DURATION": opt(typeDecimal),
			"PLANNED-DURATION": opt(typeDecimal), "SCTE35-CMD": opt(typeHex), "SCTE35-OUT": opt(typeHex),
			"SCTE35-IN": opt(typeHex), "END-ON-NEXT": opt(typeEnum, "YES")}},
		"EXT-X-SKIP": {placeMeta, map[string]attributeSpec{"SKIPPED-SEGMENTS": req(typeInteger), "RECENTLY-REMOVED-DATERANGES": opt(typeQuoted)}},
		"EXT-X-PRELOAD-HINT": {placeMeta, map[string]attributeSpec{"TYPE": req(typeEnum, "PART", "MAP"), "URI": req(typeQuoted),
			"BYTERANGE-START": opt(typeInteger), "BYTERANGE-LENGTH": opt(typeInteger)}},
		"EXT-X-RENDITION-REPORT": {placeMeta, map[string]attributeSpec{"URI": req(typeQuoted), "LAST-MSN": opt(typeInteger), "LAST-PART": opt(typeInteger)}},

		"EXT-X-STREAM-INF":         {placeMultivariant, stream},
		"EXT-X-I-FRAME-STREAM-INF": {placeMultivariant, iframe},
		"EXT-X-MEDIA": {placeMultivariant, map[string]attributeSpec{
			"TYPE": req(typeEnum, "AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"), "GROUP-ID": req(typeQuoted), "NAME": req(typeQuoted),
			"URI": opt(typeQuoted), "LANGUAGE": opt(typeQuoted), "ASSOC-LANGUAGE": opt(typeQuoted), "STABLE-RENDITION-ID": opt(typeQuoted),
			"DEFAULT": opt(typeEnum, "YES", "NO"), "AUTOSELECT": opt(typeEnum, "YES", "NO"), "FORCED": opt(typeEnum, "YES", "NO"),
			"INSTREAM-ID": opt(typeQuoted), "BIT-DEPTH": opt(typeInteger), "SAMPLE-RATE": opt(typeInteger),
			"CHARACTERISTICS": opt(typeQuoted), "CHANNELS": opt(typeQuoted), "PATHWAY-ID": opt(typeQuoted)}},
		"EXT-X-SESSION-DATA": {placeMultivariant, map[string]attributeSpec{"DATA-ID": req(typeQuoted), "VALUE": opt(typeQuoted),
			"URI": opt(typeQuoted), "FORMAT": opt(typeEnum, "JSON", "RAW"), "LANGUAGE": opt(typeQuoted)}},
		"EXT-X-SESSION-KEY":      {placeMultivariant, key},
		"EXT-X-CONTENT-STEERING": {placeMultivariant, map[string]attributeSpec{"SERVER-URI": req(typeQuoted), "PATHWAY-ID": opt(typeQuoted)}},
	}
}

// checkAttributes compares a list with what the tag asks for. Attributes that the table does not have are
// legal (clients ignore them).
func checkAttributes(tag string, spec map[string]attributeSpec, list attributes, fault func(rule, text string)) {
	for _, name := range sortedKeys(spec) {
		if spec[name].required && !list.has(name) {
			fault("attribute-missing", tag+" has no "+name)
		}
	}
	for _, a := range list {
		s, ok := spec[a.name]
		if !ok || (strings.Contains(a.value, "{$") && a.quoted) {
			continue
		}
		if why := s.mismatch(a); why != "" {
			fault("attribute-type", fmt.Sprintf("%s of %s is %s: %s", a.name, tag, clip(a.value), why))
		}
	}
}

// mismatch tells in words why a does not fit s; "" if it does.
func (s attributeSpec) mismatch(a attribute) string {
	want := "not a " + typeNames[s.kind]
	switch s.kind {
	case typeQuoted:
		if !a.quoted {
			return want
		}
		return ""
	case typeEither:
		if a.quoted {
			return ""
		}
	default:
		if a.quoted {
			return want
		}
	}
	ok := true
	switch s.kind {
	case typeInteger:
		_, ok = parseCount(a.value)
	case typeDecimal:
		_, ok = parseSeconds(a.value, false)
	case typeSigned:
		_, ok = parseSeconds(a.value, true)
	case typeHex:
		ok = len(a.value) > 2 && (a.value[:2] == "0x" || a.value[:2] == "0X") &&
			strings.Trim(a.value[2:], "0123456789abcdefABCDEF") == ""
	case typeResolution:
		w, h, x := strings.Cut(a.value, "x")
		ok = x && digits(w) && digits(h)
	default: // quoted and enumerated strings have no form of their own
	}
	if !ok {
		return want
	}
	if len(s.values) > 0 {
		for _, v := range s.values {
			if v == a.value {
				return ""
			}
		}
		return "not one of " + strings.Join(s.values, ", ")
	}
	return ""
}
