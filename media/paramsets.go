package media

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errNoSets says that a configuration has not all the parameter sets that a decoder needs.
var errNoSets = errors.New("parameter sets are missing")

// ParameterSets are those in t's Config in the order in which a byte stream has them: sequence and picture sets of H.264; video,
// sequence and picture set of H.265. There is at least one of each. Other codecs have none.
func (t *Track) ParameterSets() ([][]byte, error) {
	switch t.Codec {
	case H264:
		sps, pps := t.H264ParameterSets()
		if len(sps) == 0 || len(pps) == 0 {
			return nil, errNoSets
		}
		return append([][]byte{sps[0]}, pps...), nil
	case H265:
		return hevcSets(t.Config)
	default:
		return nil, nil
	}
}

// hevcSets reads the parameter sets out of an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 8.3.3.1).
func hevcSets(record []byte) ([][]byte, error) {
	const header, vps, pps = 22, 32, 34
	if len(record) <= header {
		return nil, ErrTruncated
	}
	var sets [3][]byte
	arrays, b := int(record[header]), record[header+1:]
	for range arrays {
		if len(b) < 3 {
			return nil, ErrTruncated
		}
		typ, n := b[0]&0x3F, int(binary.BigEndian.Uint16(b[1:]))
		pieces, rest, err := lengthPrefixed16(b[3:], n)
		if err != nil {
			return nil, err
		}
		b = rest
		for _, one := range pieces {
			if typ >= vps && typ <= pps && sets[typ-vps] == nil && len(one) > 0 {
				sets[typ-vps] = one
			}
		}
	}
	if sets[0] == nil || sets[1] == nil || sets[2] == nil {
		return nil, errNoSets
	}
	return sets[:], nil
}

// NALs takes a sample of H.264 or H.265 apart. Before a random access point stand the given parameter sets, once: those inside are
// left out.
func (t *Track) NALs(sample []byte, randomAccess bool, sets [][]byte) ([][]byte, error) {
	var nals [][]byte
	if randomAccess {
		nals = append(nals, sets...)
	}
	err := eachNAL(sample, func(nal []byte) bool {
		if !randomAccess || !t.isSet(nal) {
			nals = append(nals, nal)
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Codec, err)
	}
	return nals, nil
}

func (t *Track) isSet(nal []byte) bool {
	if t.Codec == H265 {
		typ := nal[0] >> 1 & 0x3F
		return typ >= 32 && typ <= 34
	}
	typ := nal[0] & 0x1F
	return typ == 7 || typ == 8
}
