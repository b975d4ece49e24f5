package hlslint

import (
	"bytes"
	"fmt"
	"math"
	"unicode/utf8"
)

// maxSamples bounds the samples of one file; a minute of audio has three thousand.
const maxSamples = 1 << 20

// format is what a media file turned out to be.
type format string

const (
	formatMP4     format = "fragmented MP4"
	formatTS      format = "MPEG-TS"
	formatAudio   format = "packed audio"
	formatWebVTT  format = "WebVTT"
	formatHTML    format = "HTML"
	formatEmpty   format = "empty"
	formatUnknown format = "unknown"
)

// mediaFile is what one segment or part says.
type mediaFile struct {
	sum    sum
	format format
	init   *initSection // its own moov, else the playlist's
	own    bool         // the moov is in the file
	tracks []*trackFacts
	faults []fault
	count  int
}

// trackFacts sums up the samples of one track in one file; times are ticks of the track's timescale.
type trackFacts struct {
	*track
	hasTime   bool
	start     uint64 // first decode time
	end       uint64 // decode time after the last sample
	gap       int64  // largest step between fragments of the file that is not 0
	samples   int
	ticks     uint64 // sum of the durations
	firstPTS  int64  // earliest presentation time
	leadPTS   int64  // presentation time of the first sample
	shortest  uint32
	longest   uint32
	first     picture
	any       picture // the most independent picture of all
	syncFalse int     // samples flagged sync that are none
	syncLost  int     // IDR pictures not flagged
}

func (m *mediaFile) fault(rule, f string, args ...any) {
	if len(m.faults) < maxFaults {
		m.faults = append(m.faults, fault{rule: rule, text: fmt.Sprintf(f, args...)})
	}
}

// readMedia reads a segment or part. in is the initialization section in force, nil without.
func readMedia(b []byte, in *initSection) *mediaFile {
	m := &mediaFile{sum: newSum(b), format: sniff(b), init: in}
	if m.format != formatMP4 {
		return m
	}
	top, err := readBoxes(b)
	if err != nil {
		m.fault("mp4-malformed", "%v", err)
	}
	for _, x := range top {
		if x.kind == "moov" {
			m.init, m.own = readInit(b[:x.at+x.size]), true
		}
	}
	if m.init == nil {
		return m
	}
	for _, x := range top {
		if x.kind == "moof" {
			m.readMoof(b, x)
		}
	}
	return m
}

// sniff tells a format by its first bytes.
func sniff(b []byte) format {
	trimmed := bytes.TrimLeft(b[:min(len(b), 512)], " \t\r\n\xef\xbb\xbf")
	switch {
	case len(b) == 0:
		return formatEmpty
	case len(b) >= 8 && isBox(string(b[4:8])):
		return formatMP4
	case b[0] == 0x47 && (len(b) <= 188 || b[188] == 0x47):
		return formatTS
	case bytes.HasPrefix(b, []byte("ID3")), len(b) > 1 && b[0] == 0xff && b[1]&0xe0 == 0xe0, len(b) > 1 && b[0] == 0x0b && b[1] == 0x77:
		return formatAudio
	case bytes.HasPrefix(trimmed, []byte("WEBVTT")):
		return formatWebVTT
	case utf8.Valid(trimmed[:max(0, len(trimmed)-utf8.UTFMax)]) && bytes.HasPrefix(bytes.ToLower(trimmed), []byte("<")):
		return formatHTML
	}
	return formatUnknown
}

func isBox(kind string) bool {
	switch kind {
	case "styp", "moof", "ftyp", "sidx", "prft", "emsg", "free", "skip", "mdat", "moov", "uuid":
		return true
	}
	return false
}

func (m *mediaFile) facts(id uint32) *trackFacts {
	for _, t := range m.tracks {
		if t.id == id {
			return t
		}
	}
	t := m.init.track(id)
	if t == nil {
		return nil
	}
	f := &trackFacts{track: t, shortest: math.MaxUint32, firstPTS: math.MaxInt64}
	m.tracks = append(m.tracks, f)
	return f
}

// readMoof reads one fragment; file is the whole file, for the samples.
func (m *mediaFile) readMoof(file []byte, moof box) {
	list, err := readBoxes(moof.body)
	if err != nil {
		m.fault("mp4-malformed", "moof: %v", err)
	}
	for _, x := range list {
		if x.kind == "traf" {
			m.readTraf(file, moof.at, x.body)
		}
	}
}

func (m *mediaFile) readTraf(file []byte, moofAt int, traf []byte) {
	list, err := readBoxes(traf)
	if err != nil {
		m.fault("mp4-malformed", "traf: %v", err)
	}
	tfhd, ok := child(traf, "tfhd")
	if !ok {
		m.fault("mp4-malformed", "a traf has no tfhd")
		return
	}
	c := cursor{b: tfhd}
	_, flags := c.fullBox()
	id := c.u32()
	t := m.facts(id)
	if t == nil {
		m.fault("track-unknown", "track %d is not in the initialization section", id)
		return
	}
	run := run{file: file, base: int64(moofAt), duration: t.defDuration, size: t.defSize, flags: t.defFlags}
	if flags&1 != 0 {
		c.u64()
	}
	if flags&1 != 0 || flags&0x20000 == 0 {
		m.fault("absolute-offsets", "track %d", id)
	}
	if flags&2 != 0 {
		c.u32()
	}
	if flags&8 != 0 {
		run.duration = c.u32()
	}
	if flags&0x10 != 0 {
		run.size = c.u32()
	}
	if flags&0x20 != 0 {
		run.flags = c.u32()
	}
	if c.short {
		m.fault("mp4-malformed", "tfhd is cut short")
		return
	}
	if !m.readTime(t, traf) {
		return
	}
	for _, x := range list {
		if x.kind == "trun" && !m.readRun(t, &run, x.body) {
			return
		}
	}
}

// readTime reads the fragment's decode time and compares it with the end of the one before in the file.
func (m *mediaFile) readTime(t *trackFacts, traf []byte) bool {
	b, ok := child(traf, "tfdt")
	if !ok {
		m.fault("tfdt-missing", "a fragment of track %d has no tfdt", t.id)
		return false
	}
	c := cursor{b: b}
	var base uint64
	if v, _ := c.fullBox(); v == 1 {
		base = c.u64()
	} else {
		base = uint64(c.u32())
	}
	if c.short || base > math.MaxInt64/2 {
		m.fault("mp4-malformed", "tfdt is cut short or beyond all bounds")
		return false
	}
	if t.hasTime {
		if d := int64(base) - int64(t.end); abs(d) > abs(t.gap) {
			t.gap = d
		}
	} else {
		t.hasTime, t.start = true, base
	}
	t.end = base
	return true
}

// run is the state of the track runs of one fragment.
type run struct {
	file     []byte
	base     int64 // of the moof
	at       int64 // of the next sample
	located  bool
	duration uint32
	size     uint32
	flags    uint32
}

func (m *mediaFile) readRun(t *trackFacts, r *run, b []byte) bool {
	c := cursor{b: b}
	version, flags := c.fullBox()
	n := c.u32()
	if flags&1 != 0 {
		r.at, r.located = r.base+int64(int32(c.u32())), true
	}
	first, hasFirst := uint32(0), flags&4 != 0
	if hasFirst {
		first = c.u32()
	}
	entry := 0
	for bit := uint32(0x100); bit <= 0x800; bit <<= 1 {
		if flags&bit != 0 {
			entry += 4
		}
	}
	if m.count += int(min(n, maxSamples+1)); m.count > maxSamples || c.short || uint64(n)*uint64(entry) > uint64(len(c.b)) {
		m.fault("mp4-malformed", "a trun of %d samples is longer than its box", n)
		return false
	}
	for i := uint32(0); i < n; i++ {
		duration, size, sf := r.duration, r.size, r.flags
		var offset int64
		if flags&0x100 != 0 {
			duration = c.u32()
		}
		if flags&0x200 != 0 {
			size = c.u32()
		}
		if i == 0 && hasFirst {
			sf = first
		}
		if flags&0x400 != 0 {
			sf = c.u32()
		}
		if flags&0x800 != 0 {
			if v := c.u32(); version == 0 {
				offset = int64(v)
			} else {
				offset = int64(int32(v))
			}
		}
		var data []byte
		if r.located {
			if r.at < 0 || r.at+int64(size) > int64(len(r.file)) {
				m.fault("mp4-malformed", "a sample of track %d lies outside the file", t.id)
				return false
			}
			data = r.file[r.at : r.at+int64(size)]
			r.at += int64(size)
		}
		t.add(duration, offset, sf&0x10000 == 0, data)
	}
	return true
}

// add counts one sample.
func (t *trackFacts) add(duration uint32, offset int64, sync bool, data []byte) {
	pts := int64(t.end) + offset
	t.firstPTS = min(t.firstPTS, pts)
	t.end += uint64(duration)
	t.ticks += uint64(duration)
	t.shortest, t.longest = min(t.shortest, duration), max(t.longest, duration)
	p := t.inspect(data)
	if t.samples == 0 {
		t.first, t.leadPTS = p, pts
	}
	t.any = max(t.any, p)
	if p == pictureInter && sync {
		t.syncFalse++
	}
	if p == pictureIDR && !sync {
		t.syncLost++
	}
	t.samples++
}

func abs[T ~int64](v T) T {
	if v < 0 {
		return -v
	}
	return v
}
