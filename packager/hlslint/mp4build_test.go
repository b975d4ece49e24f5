package hlslint

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Small builders of MP4 for the corpus. A file is described by lines:
//
//	init [no-ftyp] [no-moov] [no-trex] [no-tracks] [samples]
//	track id=1 kind=video format=avc1 size=1280x720 scale=90000 profile=64001f
//	frag track=1 tfdt=0 n=60 dur=3000 size=1000 pictures=idr|inter|intra [at=7:idr] [sync=first|none|all] [no-tfdt] [absolute] [cut=9]
//
// pictures names the first sample; the others are inter pictures.

func mkBox(kind string, parts ...[]byte) []byte {
	n := 8
	for _, p := range parts {
		n += len(p)
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(n))
	b = append(b, kind...)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func be32(v ...uint32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.BigEndian.AppendUint32(b, x)
	}
	return b
}

// words are the key=value and plain words of one line.
type words map[string]string

func splitWords(l string) (string, words) {
	f := strings.Fields(l)
	w := words{}
	for _, x := range f[1:] {
		k, v, _ := strings.Cut(x, "=")
		w[k] = v
	}
	return f[0], w
}

func (w words) num(k string, def uint64) uint64 {
	v, ok := w[k]
	if !ok {
		return def
	}
	n, err := strconv.ParseUint(v, 0, 64)
	if err != nil {
		panic(fmt.Sprintf("%s=%s: %v", k, v, err))
	}
	return n
}

func (w words) has(k string) bool { _, ok := w[k]; return ok }

// buildMP4 makes the file that text describes.
func buildMP4(text string) []byte {
	var out, traks, trexs []byte
	var init words
	flush := func() {
		if init == nil {
			return
		}
		if !init.has("no-ftyp") {
			out = append(out, mkBox("ftyp", []byte("iso6"), be32(0), []byte("iso6cmfc"))...)
		}
		if !init.has("no-moov") {
			if init.has("no-trex") {
				trexs = nil
			}
			mvhd := mkBox("mvhd", be32(0, 0, 0, 1000, 0), make([]byte, 80))
			out = append(out, mkBox("moov", mvhd, traks, mkBox("mvex", trexs))...)
		}
		init = nil
	}
	for _, l := range strings.Split(strings.TrimSpace(text), "\n") {
		kind, w := splitWords(l)
		switch kind {
		case "init":
			init = w
		case "track":
			traks = append(traks, buildTrack(w)...)
			trexs = append(trexs, mkBox("trex", be32(0, uint32(w.num("id", 1)), 1, 0, 0, 0))...)
		case "frag":
			flush()
			out = append(out, buildFragment(w)...)
		default:
			panic("unknown line: " + l)
		}
	}
	flush()
	return out
}

func buildTrack(w words) []byte {
	video := w["kind"] == "video"
	handler := "soun"
	if video {
		handler = "vide"
	}
	size := strings.Split(w["size"]+"x", "x")
	width, _ := strconv.Atoi(size[0])
	height, _ := strconv.Atoi(size[1])
	var config []byte
	profile, _ := strconv.ParseUint(w["profile"], 16, 32)
	switch w["format"] {
	case "avc1":
		config = mkBox("avcC", []byte{1, byte(profile >> 16), byte(profile >> 8), byte(profile), 0xff, 0xe0, 0})
	case "vp09":
		config = mkBox("vpcC", be32(1<<24), []byte{0, 31, 0x82, 1, byte(w.num("transfer", 1)), 1, 0, 0})
	case "mp4a":
		dec := append([]byte{4, 17, 0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 5, 2, 0x11, 0x90)
		es := append([]byte{3, byte(3 + len(dec) + 3), 0, 1, 0}, dec...)
		config = mkBox("esds", be32(0), es, []byte{6, 1, 2})
	}
	var entry []byte
	if video {
		b := make([]byte, 78)
		binary.BigEndian.PutUint16(b[24:], uint16(width))
		binary.BigEndian.PutUint16(b[26:], uint16(height))
		entry = mkBox(w["format"], b, config)
	} else {
		entry = mkBox(w["format"], make([]byte, 28), config)
	}
	stbl := mkBox("stbl", mkBox("stsd", be32(0, 1), entry), mkBox("stts", be32(0, uint32(w.num("stts", 0)))))
	mdia := mkBox("mdia",
		mkBox("mdhd", be32(0, 0, 0, uint32(w.num("scale", 90000)), 0, 0)),
		mkBox("hdlr", be32(0, 0), []byte(handler), be32(0, 0, 0), []byte{0}),
		mkBox("minf", stbl))
	return mkBox("trak", mkBox("tkhd", be32(0, 0, 0, uint32(w.num("id", 1))), make([]byte, 68)), mdia)
}

// picture kinds as the first bytes of a NAL unit: IDR slice, P slice, I slice.
var pictureBytes = map[string][2]byte{"idr": {0x65, 0x88}, "inter": {0x41, 0xc0}, "intra": {0x41, 0x88}, "none": {0, 0}}

func buildFragment(w words) []byte {
	n, size := w.num("n", 1), w.num("size", 100)
	at, kind, _ := strings.Cut(w["at"], ":")
	atN, err := strconv.Atoi(at)
	if err != nil {
		atN = -1
	}
	var entries, data []byte
	for i := range n {
		p := "inter"
		if i == 0 && w["pictures"] != "" {
			p = w["pictures"]
		}
		if w["pictures"] == "none" {
			p = "none"
		}
		if int(i) == atN {
			p = kind
		}
		sync := p == "idr" || p == "none"
		switch w["sync"] {
		case "all":
			sync = true
		case "none":
			sync = false
		case "first":
			sync = i == 0
		}
		flags := uint32(0x01010000)
		if sync {
			flags = 0x02000000
		}
		entries = append(entries, be32(uint32(w.num("dur", 3000)), uint32(size), flags)...)
		b := make([]byte, size)
		binary.BigEndian.PutUint32(b, uint32(size-4))
		x := pictureBytes[p]
		b[4], b[5] = x[0], x[1]
		data = append(data, b...)
	}
	tfhd := mkBox("tfhd", be32(0x20000, uint32(w.num("track", 1))))
	if w.has("absolute") {
		tfhd = mkBox("tfhd", be32(0, uint32(w.num("track", 1))))
	}
	tfdt := mkBox("tfdt", be32(1<<24), binary.BigEndian.AppendUint64(nil, w.num("tfdt", 0)))
	if w.has("no-tfdt") {
		tfdt = nil
	}
	build := func(offset uint32) []byte {
		trun := mkBox("trun", be32(1<<24|0x701, uint32(n), offset), entries)
		return mkBox("moof", mkBox("mfhd", be32(0, uint32(w.num("tfdt", 0)))), mkBox("traf", tfhd, tfdt, trun))
	}
	moof := build(0)
	out := append(build(uint32(len(moof))+8), mkBox("mdat", data)...)
	return out[:len(out)-int(w.num("cut", 0))]
}
