package hlslint

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// maxTracks bounds the tracks of one initialization section.
const maxTracks = 64

// initSection is what an initialization section (ftyp and moov) says.
type initSection struct {
	tracks []track
	faults []fault
}

// track is one track of it.
type track struct {
	id        uint32
	handler   string // vide, soun, text, …
	timescale uint32
	format    string // sample entry: avc1, hvc1, mp4a, …
	codec     string // as CODECS should have it (RFC 6381); "" if not known
	width     int
	height    int
	transfer  int // transfer characteristics of the parameter sets, 0 if not said
	lengthSz  int // bytes of a NAL unit's length
	encrypted bool

	hasDefaults bool // trex
	defDuration uint32
	defSize     uint32
	defFlags    uint32
	editShift   int64 // media time of the first edit: what presentation starts at, in ticks
}

func (s *initSection) track(id uint32) *track {
	for i := range s.tracks {
		if s.tracks[i].id == id {
			return &s.tracks[i]
		}
	}
	return nil
}

func (s *initSection) fault(rule, format string, args ...any) {
	if len(s.faults) < maxFaults {
		s.faults = append(s.faults, fault{rule: rule, text: fmt.Sprintf(format, args...)})
	}
}

// readInit reads an initialization section; what is wrong is in its faults.
func readInit(b []byte) *initSection {
	s := &initSection{}
	top, err := readBoxes(b)
	if err != nil {
		s.fault("mp4-malformed", "%v", err)
	}
	var moov []byte
	hasFtyp := false
	for _, x := range top {
		switch x.kind {
		case "ftyp":
			hasFtyp = true
		case "moov":
			moov = x.body
		case "moof", "mdat":
			s.fault("init-invalid", "has the box %s", x.kind)
		}
	}
	if !hasFtyp {
		s.fault("init-invalid", "no ftyp")
	}
	if moov == nil {
		s.fault("init-invalid", "no moov")
		return s
	}
	s.readMoov(moov)
	return s
}

func (s *initSection) readMoov(moov []byte) {
	list, err := readBoxes(moov)
	if err != nil {
		s.fault("mp4-malformed", "moov: %v", err)
	}
	for _, x := range list {
		if x.kind != "trak" {
			continue
		}
		if len(s.tracks) == maxTracks {
			s.fault("init-invalid", "more than %d tracks", maxTracks)
			break
		}
		s.readTrack(x.body)
	}
	if len(s.tracks) == 0 {
		s.fault("init-invalid", "no track")
	}
	s.readExtends(moov)
	for _, t := range s.tracks {
		if !t.hasDefaults {
			s.fault("init-invalid", "track %d has no trex", t.id)
		}
		if t.timescale == 0 {
			s.fault("init-invalid", "track %d has no timescale", t.id)
		}
	}
}

func (s *initSection) readExtends(moov []byte) {
	mvex, ok := child(moov, "mvex")
	if !ok {
		return
	}
	list, _ := readBoxes(mvex)
	for _, x := range list {
		if x.kind != "trex" {
			continue
		}
		c := cursor{b: x.body}
		c.fullBox()
		id := c.u32()
		c.u32() // sample description index
		duration, size, flags := c.u32(), c.u32(), c.u32()
		if t := s.track(id); t != nil && !c.short {
			t.hasDefaults, t.defDuration, t.defSize, t.defFlags = true, duration, size, flags
		}
	}
}

func (s *initSection) readTrack(trak []byte) {
	var t track
	if b, ok := child(trak, "tkhd"); ok {
		c := cursor{b: b}
		if v, _ := c.fullBox(); v == 1 {
			c.skip(16)
		} else {
			c.skip(8)
		}
		t.id = c.u32()
	}
	mdia, ok := child(trak, "mdia")
	if !ok {
		s.fault("init-invalid", "a track has no mdia")
		return
	}
	if b, ok := child(mdia, "mdhd"); ok {
		c := cursor{b: b}
		if v, _ := c.fullBox(); v == 1 {
			c.skip(16)
		} else {
			c.skip(8)
		}
		t.timescale = c.u32()
	}
	if b, ok := child(mdia, "hdlr"); ok && len(b) >= 12 {
		t.handler = string(b[8:12])
	}
	if b, ok := child(trak, "edts", "elst"); ok {
		t.editShift = readEdit(b)
	}
	stbl, ok := child(mdia, "minf", "stbl")
	if !ok {
		s.fault("init-invalid", "track %d has no sample table", t.id)
		s.tracks = append(s.tracks, t)
		return
	}
	if b, ok := child(stbl, "stsd"); ok && len(b) > 8 {
		entries, err := readBoxes(b[8:])
		if err != nil {
			s.fault("mp4-malformed", "stsd of track %d: %v", t.id, err)
		}
		if len(entries) > 0 {
			t.readEntry(entries[0])
		}
	}
	if t.format == "" {
		s.fault("init-invalid", "track %d has no sample description", t.id)
	}
	if b, ok := child(stbl, "stts"); ok && len(b) >= 8 && binary.BigEndian.Uint32(b[4:]) != 0 {
		s.fault("init-invalid", "track %d has samples in the moov", t.id)
	}
	s.tracks = append(s.tracks, t)
}

// readEdit returns the media time of the first edit that is not empty.
func readEdit(b []byte) int64 {
	c := cursor{b: b}
	version, _ := c.fullBox()
	n := c.u32()
	for i := uint32(0); i < n && !c.short; i++ {
		var media int64
		if version == 1 {
			c.u64()
			media = int64(c.u64())
		} else {
			c.u32()
			media = int64(int32(c.u32()))
		}
		c.u32() // rate
		if media >= 0 && !c.short {
			return media
		}
	}
	return 0
}

// readEntry reads a sample entry: format, size and the codec's configuration.
func (t *track) readEntry(e box) {
	t.format = e.kind
	var inner []byte
	switch t.handler {
	case "vide":
		c := cursor{b: e.body}
		c.skip(24)
		t.width, t.height = int(c.u16()), int(c.u16())
		if len(e.body) >= 78 {
			inner = e.body[78:]
		}
	case "soun":
		if len(e.body) >= 28 {
			inner = e.body[28:]
			if binary.BigEndian.Uint16(e.body[8:]) == 1 && len(e.body) >= 44 { // QuickTime sound version 1
				inner = e.body[44:]
			}
		}
	default:
		if e.kind == "stpp" || e.kind == "wvtt" {
			t.codec = e.kind
		}
		return
	}
	if t.format == "encv" || t.format == "enca" {
		t.encrypted = true
		if f, ok := child(inner, "sinf", "frma"); ok && len(f) == 4 {
			t.format = string(f)
		}
	}
	t.readConfig(inner)
	t.codec = strings.TrimSpace(t.codec)
}
