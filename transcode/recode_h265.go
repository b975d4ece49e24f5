package transcode

import (
	"encoding/binary"
	"errors"
	"fmt"

	"mediad/media"
)

// NAL unit types of H.265 (ISO/IEC 23008-2, table 7-1).
const (
	h265LastSlice = 21 // slices are up to it, those of random access pictures from 16 on
	h265FirstIRAP = 16
	h265VPS       = 32
	h265SPS       = 33
	h265PPS       = 34
	h265SEI       = 39
	h265SuffixSEI = 40
)

// movedID is the number that the parameter sets of what is made anew have. libx265 numbers its own 0, which most sources do as well, and takes no
// other. Its Exp-Golomb code has nine bits, that of 0 has one: everything behind it moves by whole bytes, so that slices need not be
// read further than to their number.
const (
	movedID   = 15
	movedCode = 0b000010000
	movedBits = 9
)

var errH265 = errors.New("transcode: H.265 that cannot be read")

// h265Recoder gives the parameter sets of an encoder, and the slices that refer to them, numbers of their own. See sets.go for why.
type h265Recoder struct {
	source, both *media.Track
	own          [3][]byte // VPS, SPS, PPS
}

func newH265Recoder(source *media.Track) (*h265Recoder, error) {
	err := eachH265Set(source.Config, func(set []byte) error {
		id, err := h265SetID(set)
		if err == nil && id == movedID {
			err = fmt.Errorf("%w: parameter sets numbered %d", ErrNoEncoder, movedID)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &h265Recoder{source: source}, nil
}

func (r *h265Recoder) args(bits int64) []string {
	deep := len(r.source.Config) > 17 && r.source.Config[17]&7 != 0 // hvcC: bit_depth_luma_minus8
	args := append([]string{"-c:v", "libx265", "-preset", "superfast", "-pix_fmt", depth(deep), "-g", "600"}, rated(20, bits)...)
	return append(args, "-x265-params", "bframes=0:scenecut=0:open-gop=0:info=0:log-level=error")
}

func (r *h265Recoder) picture(extra, data []byte, key bool) ([]byte, error) {
	if r.both == nil {
		if err := r.begin(extra); err != nil {
			return nil, err
		}
	}
	out := make([]byte, 0, len(data)+256)
	if key {
		for _, set := range r.own {
			out = appendNAL(out, set)
		}
	}
	slices := 0
	for nal := range nals(data) {
		switch kind := h265Type(nal); {
		case kind <= h265LastSlice:
			at := 16 + 1 // first_slice_segment_in_pic_flag
			if kind >= h265FirstIRAP {
				at++ // no_output_of_prior_pics_flag
			}
			moved, err := moveIDs(nal, at)
			if err != nil {
				return nil, err
			}
			out = appendNAL(out, moved)
			slices++
		case kind == h265SEI, kind == h265SuffixSEI:
			out = appendNAL(out, nal)
		default: // parameter sets, which stand in front already, delimiters, filler
		}
	}
	if slices == 0 {
		return nil, fmt.Errorf("%w: a picture without slices", errH265)
	}
	return out, nil
}

// begin takes the encoder's parameter sets.
func (r *h265Recoder) begin(extra []byte) error {
	for nal := range nals(extra) {
		kind := h265Type(nal)
		if kind < h265VPS || kind > h265PPS {
			continue
		}
		moved, err := moveSet(nal)
		if err != nil {
			return err
		}
		r.own[kind-h265VPS] = moved
	}
	record, err := media.HVCC(r.own[0], r.own[1], r.own[2])
	if err != nil {
		return err
	}
	sets := [3][][]byte{{r.own[0]}, {r.own[1]}, {r.own[2]}}
	err = eachH265Set(r.source.Config, func(set []byte) error {
		kind := h265Type(set) - h265VPS
		sets[kind] = append(sets[kind], set)
		return nil
	})
	if err != nil {
		return err
	}
	const head = 22 // bytes of hvcC in front of the number of its arrays
	record = append(record[:head:head], byte(len(sets)))
	for i, some := range sets {
		record = append(record, byte(0x80|h265VPS+i), 0, byte(len(some)))
		for _, set := range some {
			record = binary.BigEndian.AppendUint16(record, uint16(len(set)))
			record = append(record, set...)
		}
	}
	both, err := media.NewH265(record)
	if err != nil {
		return err
	}
	both.FrameRate = r.source.FrameRate
	r.both = both
	return nil
}

func (r *h265Recoder) track() *media.Track { return r.both }

func h265Type(nal []byte) int { return int(nal[0] >> 1 & 0x3f) }

// eachH265Set calls f with each parameter set of a hvcC record (ISO/IEC 14496-15 8.3.3.1).
func eachH265Set(record []byte, f func(set []byte) error) error {
	const head = 23
	if len(record) < head {
		return fmt.Errorf("%w: hvcC of %d bytes", errH265, len(record))
	}
	b := record[head:]
	for range int(record[head-1]) {
		if len(b) < 3 {
			return fmt.Errorf("%w: hvcC is cut short", errH265)
		}
		n := int(binary.BigEndian.Uint16(b[1:]))
		b = b[3:]
		for range n {
			if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
				return fmt.Errorf("%w: hvcC is cut short", errH265)
			}
			set := b[2 : 2+int(binary.BigEndian.Uint16(b))]
			b = b[2+len(set):]
			if len(set) > 2 && h265Type(set) >= h265VPS && h265Type(set) <= h265PPS {
				if err := f(set); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// spsIDAt is the byte of an SPS without emulation prevention at which its number stands: behind profile_tier_level (7.3.2.2, 7.3.3).
func spsIDAt(b []byte) int {
	const fixed = 2 + 1 + 12
	if len(b) < fixed {
		return fixed
	}
	subLayers := int(b[2] >> 1 & 7) // sps_max_sub_layers_minus1
	if subLayers == 0 {
		return fixed
	}
	at := fixed + 2
	for i := range subLayers {
		if len(b) < fixed+2 {
			break
		}
		flags := binary.BigEndian.Uint16(b[fixed:]) >> (14 - 2*i)
		if flags&2 != 0 {
			at += 11
		}
		if flags&1 != 0 {
			at++
		}
	}
	return at
}

// h265SetID is the number of a parameter set.
func h265SetID(set []byte) (uint32, error) {
	b := unescaped(set)
	if h265Type(set) == h265VPS {
		if len(b) < 3 {
			return 0, fmt.Errorf("%w: VPS", errH265)
		}
		return uint32(b[2] >> 4), nil
	}
	at := 2
	if h265Type(set) == h265SPS {
		at = spsIDAt(b)
	}
	id, ok := golomb(b, at)
	if !ok {
		return 0, fmt.Errorf("%w: number of a parameter set", errH265)
	}
	return id, nil
}

// moveSet is a parameter set numbered 0 with movedID for all numbers.
func moveSet(set []byte) ([]byte, error) {
	b := unescaped(set)
	switch h265Type(set) {
	case h265VPS, h265SPS:
		if len(b) < 3 || b[2]>>4 != 0 {
			return nil, fmt.Errorf("%w: VPS is not numbered 0", errH265)
		}
		b[2] |= movedID << 4
		if h265Type(set) == h265VPS {
			return escaped(b), nil
		}
		moved, err := moveID(b, 8*spsIDAt(b))
		if err != nil {
			return nil, err
		}
		return escaped(moved), nil
	default:
		return moveIDs(set, 16, 16+movedBits)
	}
}

// moveIDs is a NAL unit with movedID for the numbers 0 at the given bits; each place counts what those in front have become longer.
func moveIDs(nal []byte, places ...int) ([]byte, error) {
	b := unescaped(nal)
	var err error
	for i, at := range places {
		if b, err = moveID(b, at); err != nil {
			return nil, fmt.Errorf("%w: number %d of a NAL unit of type %d", err, i, h265Type(nal))
		}
	}
	return escaped(b), nil
}

// moveID replaces the number 0 at a bit of a NAL unit without emulation prevention: it becomes a byte longer.
func moveID(b []byte, bit int) ([]byte, error) {
	k, o := bit/8, bit%8
	if k >= len(b) || b[k]>>(7-o)&1 != 1 {
		return nil, fmt.Errorf("%w: not numbered 0", errH265)
	}
	before, after := uint16(b[k])>>(8-o), uint16(b[k])&(1<<(7-o)-1)
	two := before<<(16-o) | movedCode<<(7-o) | after
	out := make([]byte, 0, len(b)+1)
	out = binary.BigEndian.AppendUint16(append(out, b[:k]...), two)
	return append(out, b[k+1:]...), nil
}

// unescaped is a NAL unit without emulation prevention (7.3.1.1), a copy.
func unescaped(nal []byte) []byte {
	out := make([]byte, 0, len(nal)+2)
	zeros := 0
	for _, x := range nal {
		if zeros >= 2 && x == 3 {
			zeros = 0
			continue
		}
		if zeros++; x != 0 {
			zeros = 0
		}
		out = append(out, x)
	}
	return out
}

// escaped is its inverse.
func escaped(b []byte) []byte {
	out := make([]byte, 0, len(b)+16)
	zeros := 0
	for _, x := range b {
		if zeros >= 2 && x <= 3 {
			out = append(out, 3)
			zeros = 0
		}
		if zeros++; x != 0 {
			zeros = 0
		}
		out = append(out, x)
	}
	if zeros >= 2 {
		out = append(out, 3) // cabac_zero_words
	}
	return out
}
