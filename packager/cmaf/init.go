package cmaf

import (
	"errors"
	"fmt"

	"mediad/media"
)

// trackID is the id of the only track of every file written here.
const trackID = 1

// Init makes the init segment of a track: ftyp and a moov without samples. Its media timescale is the track's. A codec
// that has no CMAF form here, or a track without a decoder configuration, is an error.
func Init(t *media.Track) ([]byte, error) {
	if t == nil || len(t.Config) == 0 {
		return nil, errors.New("cmaf: track without decoder configuration")
	}
	if t.Timescale == 0 {
		return nil, errors.New("cmaf: track without timescale")
	}
	v := visual{width: t.Width, height: t.Height}
	if t.Kind == media.Video {
		v = visualOf(t)
	}
	entry, err := sampleEntry(t, v)
	if err != nil {
		return nil, err
	}
	b := make(box, 0, 640+len(t.Config))
	appendFtyp(&b, t)
	moov := b.begin("moov")
	appendMvhd(&b, t)
	appendTrak(&b, t, v, entry)
	mvex := b.begin("mvex")
	trex := b.beginFull("trex", 0, 0)
	b.words(trackID, 1, 0, 0, 0) // sample description 1; no defaults, each fragment brings its own
	b.end(trex)
	b.end(mvex)
	b.end(moov)
	return b, nil
}

// appendFtyp names iso6, the first brand with default-base-is-moof and signed composition offsets, and cmfc, the CMAF
// track (23000-19, 7.2). AV1 asks for a brand of its own.
func appendFtyp(b *box, t *media.Track) {
	at := b.begin("ftyp")
	b.text("iso6")
	b.u32(0)
	b.text("iso6cmfc")
	if t.Codec == media.AV1 {
		b.text("av01")
	}
	b.end(at)
}

// unityMatrix is the transformation that changes nothing (14496-12, 8.2.2).
var unityMatrix = [9]uint32{0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000}

func appendMvhd(b *box, t *media.Track) {
	at := b.beginFull("mvhd", 0, 0)
	b.words(0, 0, uint32(t.Timescale), 0) // created, modified, timescale, duration: in fragments, so none here
	b.u32(0x10000)                        // rate 1
	b.u16(0x100)                          // volume 1
	b.zeros(10)
	b.words(unityMatrix[:]...)
	b.zeros(24)
	b.u32(trackID + 1) // the next free id
	b.end(at)
}

func appendTrak(b *box, t *media.Track, v visual, entry []byte) {
	trak := b.begin("trak")
	appendTkhd(b, t, v)
	mdia := b.begin("mdia")

	mdhd := b.beginFull("mdhd", 0, 0)
	b.words(0, 0, uint32(t.Timescale), 0)
	b.u16(0x55c4) // language "und"
	b.u16(0)
	b.end(mdhd)

	handler, name := "vide", "video"
	if t.Kind == media.Audio {
		handler, name = "soun", "audio"
	}
	hdlr := b.beginFull("hdlr", 0, 0)
	b.u32(0)
	b.text(handler)
	b.zeros(12)
	b.text(name)
	b.u8(0)
	b.end(hdlr)

	appendMinf(b, t, entry)
	b.end(mdia)
	b.end(trak)
}

func appendTkhd(b *box, t *media.Track, v visual) {
	at := b.beginFull("tkhd", 0, 3) // enabled, in movie
	b.words(0, 0, trackID, 0, 0)    // created, modified, id, reserved, duration
	b.zeros(8)
	b.u32(0) // layer, alternate group
	if t.Kind == media.Audio {
		b.u16(0x100) // volume 1
	} else {
		b.u16(0)
	}
	b.u16(0)
	b.words(unityMatrix[:]...)
	if t.Kind == media.Audio {
		b.words(0, 0)
	} else {
		b.words(uint32(v.displayWidth())<<16, uint32(v.height)<<16)
	}
	b.end(at)
}

func appendMinf(b *box, t *media.Track, entry []byte) {
	minf := b.begin("minf")
	if t.Kind == media.Audio {
		smhd := b.beginFull("smhd", 0, 0)
		b.u32(0) // balance in the middle
		b.end(smhd)
	} else {
		vmhd := b.beginFull("vmhd", 0, 1)
		b.zeros(8) // copy mode, no colour
		b.end(vmhd)
	}

	dinf := b.begin("dinf")
	dref := b.beginFull("dref", 0, 0)
	b.u32(1)
	url := b.beginFull("url ", 0, 1) // the media is in this file
	b.end(url)
	b.end(dref)
	b.end(dinf)

	stbl := b.begin("stbl")
	stsd := b.beginFull("stsd", 0, 0)
	b.u32(1)
	b.bytes(entry)
	b.end(stsd)
	for _, name := range [...]string{"stts", "stsc", "stsz", "stco"} {
		at := b.beginFull(name, 0, 0)
		b.u32(0)
		if name == "stsz" {
			b.u32(0) // it has a default size in front of the count
		}
		b.end(at)
	}
	b.end(stbl)
	b.end(minf)
}

func sampleEntry(t *media.Track, v visual) ([]byte, error) {
	var b box
	switch t.Codec {
	case media.H264:
		b.visualEntry("avc1", "avcC", t.Config, v)
	case media.H265:
		b.visualEntry("hvc1", "hvcC", completeHvcC(t.Config), v)
	case media.AV1:
		b.visualEntry("av01", "av1C", t.Config, v)
	case media.VP9:
		b.visualEntry("vp09", "vpcC", t.Config, v)
	case media.AAC:
		b.aacEntry(t)
	case media.Opus:
		at := b.audioEntry("Opus", t)
		dOps := b.begin("dOps")
		b.bytes(t.Config)
		b.end(dOps)
		b.end(at)
	default:
		return nil, fmt.Errorf("cmaf: no sample entry for %s", t.Codec)
	}
	return b, nil
}
