package media

import (
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// Class is what an access unit's bytes say about it; the fields are those of AccessUnit.
type Class struct {
	RandomAccess bool
	OpenGOP      bool
	Disposable   bool

	// Empty says that there is no picture inside: parameter sets or SEI alone, a delimiter. It is no access unit.
	Empty bool
}

// ClassifyUnit looks at the bytes of one access unit of t, in the form of AccessUnit.Data. It reads headers only, never
// past the end, and does not allocate unless it fails.
func ClassifyUnit(t *Track, data []byte) (Class, error) {
	switch t.Codec {
	case H264:
		return ClassifyH264(data)
	case H265:
		return classifyH265(data, t.topSubLayer)
	case AV1:
		return ClassifyAV1(data)
	case VP9:
		return ClassifyVP9(data)
	case VP8:
		return ClassifyVP8(data)
	case AAC, Opus:
		return Class{RandomAccess: true, Empty: len(data) == 0}, nil
	default:
		return Class{}, fmt.Errorf("%v is not carried", t.Codec)
	}
}

// ClassifyH264 classifies a H.264 access unit. A picture of I slices behind a recovery point SEI message (H.264
// D.2.8) is a random access unit of an open GOP.
func ClassifyH264(data []byte) (Class, error) {
	c := Class{Empty: true, Disposable: true}
	recovery, intra := false, true
	err := eachNAL(data, func(nal []byte) bool {
		switch typ := h264.NALUType(nal[0] & 0x1f); typ {
		case h264.NALUTypeIDR:
			c = Class{RandomAccess: true}
			return false
		case h264.NALUTypeNonIDR, h264.NALUTypeDataPartitionA:
			c.Empty = false
			if nal[0]&0x60 != 0 {
				c.Disposable = false
			}
			if recovery && !intraSlice(nal) {
				intra = false
			}
			// Without a recovery point the rest of a reference picture's slices tells nothing new.
			return recovery || c.Disposable
		case h264.NALUTypeSEI:
			recovery = recovery || hasRecoveryPoint(nal[1:])
		default: // parameter sets, delimiters, filler: nothing that is shown
		}
		return true
	})
	if err != nil {
		return Class{}, fmt.Errorf("h264: %w", err)
	}
	if c.Empty {
		return Class{Empty: true}, nil
	}
	if recovery && intra && !c.RandomAccess {
		c.RandomAccess, c.OpenGOP = true, true
	}
	return c, nil
}

// intraSlice reports whether a slice NAL unit is an I or SI slice: slice_header of H.264 7.3.3 begins with
// first_mb_in_slice and slice_type.
func intraSlice(nal []byte) bool {
	r := bitReader{buf: nal[1:]}
	r.ue()
	t := r.ue() % 5
	return !r.bad && (t == 2 || t == 4)
}

// hasRecoveryPoint looks for a recovery point message with recovery_frame_cnt 0 in the payload of a SEI NAL unit.
func hasRecoveryPoint(sei []byte) bool {
	for len(sei) > 2 {
		typ, size := 0, 0
		for _, v := range []*int{&typ, &size} {
			for len(sei) > 0 && sei[0] == 0xff {
				*v += 255
				sei = sei[1:]
			}
			if len(sei) == 0 {
				return false
			}
			*v += int(sei[0])
			sei = sei[1:]
		}
		if size > len(sei) {
			return false
		}
		if typ == 6 && size > 0 {
			return sei[0]&0x80 != 0 // ue(0) is a single 1 bit
		}
		sei = sei[size:]
	}
	return false
}

// ClassifyH265 classifies a H.265 access unit of a track without temporal sub-layers; ClassifyUnit knows a track's.
func ClassifyH265(data []byte) (Class, error) { return classifyH265(data, 0) }

// A sub-layer non-reference picture is disposable only in the highest sub-layer: in a lower one pictures of those
// above may refer to it (H.265 7.4.2.2).
func classifyH265(data []byte, topSubLayer uint8) (Class, error) {
	c := Class{Empty: true}
	err := eachNAL(data, func(nal []byte) bool {
		if len(nal) < 2 {
			return true
		}
		typ := h265.NALUType(nal[0] >> 1 & 0x3f)
		switch {
		case typ == h265.NALUType_CRA_NUT:
			c = Class{RandomAccess: true, OpenGOP: true}
			return false
		case typ >= h265.NALUType_BLA_W_LP && typ <= h265.NALUType_IDR_N_LP:
			c = Class{RandomAccess: true}
			return false
		case typ <= h265.NALUType_RSV_VCL_R15:
			c = Class{Disposable: typ%2 == 0 && nal[1]&7 == topSubLayer+1}
			return false
		}
		return true
	})
	if err != nil {
		return Class{}, fmt.Errorf("h265: %w", err)
	}
	return c, nil
}

// bitReader reads single bits; past the end it sets bad and returns zeros. It does not undo emulation prevention,
// which cannot occur in the few bytes it is used for.
type bitReader struct {
	buf []byte
	pos int
	bad bool
}

func (r *bitReader) bit() uint32 {
	if r.pos >= 8*len(r.buf) {
		r.bad = true
		return 0
	}
	b := r.buf[r.pos/8] >> (7 - r.pos%8) & 1
	r.pos++
	return uint32(b)
}

func (r *bitReader) bits(n int) uint32 {
	v := uint32(0)
	for range n {
		v = v<<1 | r.bit()
	}
	return v
}

// ue reads an Exp-Golomb code of up to 32 bits.
func (r *bitReader) ue() uint32 {
	zeros := 0
	for r.bit() == 0 {
		zeros++
		if r.bad || zeros > 31 {
			r.bad = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.bits(zeros)
}
