package hlslint

import (
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"
)

// picture says how a coded picture can be entered.
type picture uint8

const (
	pictureUnknown picture = iota // not a codec that is looked into, encrypted, or no picture found
	pictureInter                  // needs others
	pictureIntra                  // needs no other, but those behind it may (open GOP, recovery point)
	pictureIDR                    // decoding may start here
)

// maxNALs bounds the NAL units or OBUs of one sample.
const maxNALs = 4096

// inspect looks into a sample's bytes; the container's flags are not believed.
func (t *track) inspect(b []byte) picture {
	if t.encrypted || len(b) == 0 {
		return pictureUnknown
	}
	switch t.format {
	case "avc1", "avc3":
		return inspectNALs(b, t.lengthSz, avcPicture)
	case "hvc1", "hev1", "dvh1", "dvhe":
		return inspectNALs(b, t.lengthSz, hevcPicture)
	case "av01":
		return av1Picture(b)
	case "vp09":
		var h vp9.Header
		if h.Unmarshal(b) != nil {
			return pictureUnknown
		}
		if h.NonKeyFrame {
			return pictureInter
		}
		return pictureIDR
	}
	return pictureUnknown
}

// inspectNALs runs kind over length-prefixed NAL units: the picture is what its least independent slice is.
func inspectNALs(b []byte, lengthSize int, kind func(nal []byte) picture) picture {
	if lengthSize == 0 {
		return pictureUnknown
	}
	found := pictureUnknown
	for n := 0; n < maxNALs && len(b) > lengthSize; n++ {
		size := 0
		for _, x := range b[:lengthSize] {
			size = size<<8 | int(x)
		}
		b = b[lengthSize:]
		if size > len(b) {
			return pictureUnknown
		}
		if k := kind(b[:size]); k != pictureUnknown && (found == pictureUnknown || k < found) {
			found = k
		}
		b = b[size:]
	}
	return found
}

func avcPicture(nal []byte) picture {
	if len(nal) < 2 {
		return pictureUnknown
	}
	switch nal[0] & 31 {
	case 5:
		return pictureIDR
	case 1, 2:
		// first_mb_in_slice, slice_type (ITU-T H.264 7.3.3): 2 and 7 are I, 4 and 9 SI.
		r := bitReader{b: nal[1:]}
		r.golomb()
		switch r.golomb() % 5 {
		case 2, 4:
			if !r.short {
				return pictureIntra
			}
		}
		return pictureInter
	}
	return pictureUnknown
}

func hevcPicture(nal []byte) picture {
	if len(nal) < 3 {
		return pictureUnknown
	}
	switch k := nal[0] >> 1 & 63; {
	case k >= 16 && k <= 20: // BLA, IDR
		return pictureIDR
	case k == 21: // CRA: leading pictures may refer back
		return pictureIntra
	case k < 16:
		return pictureInter
	}
	return pictureUnknown
}

func av1Picture(b []byte) picture {
	var units av1.Bitstream
	if units.Unmarshal(b) != nil {
		return pictureUnknown
	}
	sequence := false
	for i, u := range units {
		if i == maxNALs || len(u) == 0 {
			break
		}
		switch t := av1.OBUType(u[0] >> 3 & 15); t {
		case av1.OBUTypeSequenceHeader:
			sequence = true
		case 3, 6: // frame header, frame: show_existing_frame (1 bit), frame_type (2 bits)
			head := 1
			if u[0]&4 != 0 {
				head = 2
			}
			if len(u) <= head || u[head]&0x80 != 0 {
				return pictureInter
			}
			switch u[head] >> 5 & 3 {
			case 0:
				if sequence {
					return pictureIDR
				}
				return pictureIntra
			case 2:
				return pictureIntra
			}
			return pictureInter
		default: // metadata, tiles: the frame header stands before
		}
	}
	return pictureUnknown
}

// bitReader reads the first bits of a slice header; emulation prevention cannot occur that early.
type bitReader struct {
	b     []byte
	at    int
	short bool
}

func (r *bitReader) bit() uint32 {
	if r.at >= len(r.b)*8 {
		r.short = true
		return 1
	}
	v := uint32(r.b[r.at/8]>>(7-r.at%8)) & 1
	r.at++
	return v
}

func (r *bitReader) golomb() uint32 {
	zeros := 0
	for r.bit() == 0 {
		zeros++
		if zeros > 31 {
			r.short = true
			return 0
		}
	}
	v := uint32(1)
	for range zeros {
		v = v<<1 | r.bit()
	}
	return v - 1
}
