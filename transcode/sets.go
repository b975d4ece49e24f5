package transcode

import (
	"encoding/binary"
	"math/bits"

	"mediad/media"
)

// Players that read HLS with FFmpeg keep the first init segment of a playlist and skip those behind it. So that they can decode what is
// made anew beside what is not, the parameter sets of both have different numbers: those of the source stand in the new track's
// configuration as well, and the new ones in front of each IDR picture, too.

// freeSetID is a number that none of a track's parameter sets has; false: there is none, or they cannot be read.
func freeSetID(t *media.Track) (id uint32, ok bool) {
	sps, pps := t.H264ParameterSets()
	var used uint32
	for _, kind := range []struct {
		sets   [][]byte
		behind int // bytes in front of the number
	}{{sps, 4}, {pps, 1}} {
		for _, set := range kind.sets {
			n, ok := golomb(set, kind.behind)
			if !ok {
				return 0, false
			}
			if n < 32 {
				used |= 1 << n
			}
		}
	}
	id = uint32(bits.TrailingZeros32(^used))
	return id, id < 32
}

// golomb is the Exp-Golomb number that stands at a byte of b (ISO/IEC 14496-10 9.1), up to 255.
func golomb(b []byte, at int) (uint32, bool) {
	if len(b) < at+1 {
		return 0, false
	}
	var word [4]byte
	copy(word[:], b[at:])
	v := binary.BigEndian.Uint32(word[:])
	zeros := bits.LeadingZeros32(v)
	if zeros > 7 {
		return 0, false
	}
	return v<<zeros>>(31-zeros) - 1, true
}

// withSets is a track that has further parameter sets behind its own.
func withSets(t *media.Track, sps, pps [][]byte) (*media.Track, error) {
	ownSPS, ownPPS := t.H264ParameterSets()
	b := append([]byte(nil), t.Config[:5]...)
	for i, sets := range [][][]byte{append(ownSPS, sps...), append(ownPPS, pps...)} {
		n := byte(len(sets))
		if i == 0 {
			n |= 0xe0 // reserved
		}
		b = append(b, n)
		for _, set := range sets {
			b = binary.BigEndian.AppendUint16(b, uint16(len(set)))
			b = append(b, set...)
		}
	}
	out, err := media.NewH264(b)
	if err != nil {
		return nil, err
	}
	out.FrameRate = t.FrameRate
	return out, nil
}

// inBand is a picture with the parameter sets of a track in front.
func inBand(t *media.Track, picture []byte) []byte {
	sps, pps := t.H264ParameterSets()
	var b []byte
	for _, set := range append(append([][]byte(nil), sps...), pps...) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(set)))
		b = append(b, set...)
	}
	return append(b, picture...)
}
