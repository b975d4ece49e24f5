package rtmp

import (
	"bytes"
	"encoding/binary"
	"errors"

	"mediad/media"
)

// NAL unit types of parameter sets (H.264 table 7-1, H.265 table 7-1).
const (
	h264SPS = 7
	h264PPS = 8
	h265VPS = 32
	h265SPS = 33
	h265PPS = 34
)

// maxNALs is how many NAL units of an access unit are looked at for parameter sets, which stand at its beginning.
const maxNALs = 1024

var errNAL = errors.New("rtmp: NAL unit longer than its access unit")

// parameterSets returns a decoder configuration record made of the parameter sets inside an access unit, or nil where
// there are none or they are those of track already. track is nil if there was no configuration. It allocates only
// where an access unit has parameter sets.
func parameterSets(c media.Codec, track *media.Track, data []byte) ([]byte, error) {
	var sets [3][][]byte // VPS, SPS, PPS
	changed := false
	for range maxNALs {
		if len(data) == 0 {
			break
		}
		if len(data) < 4 {
			return nil, errNAL
		}
		n := binary.BigEndian.Uint32(data)
		if uint64(n) > uint64(len(data)-4) {
			return nil, errNAL
		}
		nal := data[4 : 4+n]
		data = data[4+n:]
		slot := parameterSetKind(c, nal)
		if slot < 0 {
			continue
		}
		sets[slot] = append(sets[slot], nal)
		changed = changed || track == nil || !holds(track.Config, nal)
	}
	if !changed {
		return nil, nil
	}
	if c == media.H265 {
		if len(sets[0]) == 0 || len(sets[1]) == 0 || len(sets[2]) == 0 {
			return nil, nil
		}
		return media.HVCC(sets[0][0], sets[1][0], sets[2][0])
	}
	sps, pps := sets[1], sets[2]
	if track != nil {
		// What an access unit leaves out stays as it was.
		oldSPS, oldPPS := track.H264ParameterSets()
		if len(sps) == 0 {
			sps = oldSPS
		}
		if len(pps) == 0 {
			pps = oldPPS
		}
	}
	if len(sps) == 0 || len(pps) == 0 {
		return nil, nil
	}
	return avcC(sps, pps)
}

// parameterSetKind is 0 for a VPS, 1 for an SPS, 2 for a PPS, and -1 for everything else.
func parameterSetKind(c media.Codec, nal []byte) int {
	if len(nal) == 0 {
		return -1
	}
	if c == media.H265 {
		if typ := nal[0] >> 1 & 0x3F; typ >= h265VPS && typ <= h265PPS {
			return int(typ - h265VPS)
		}
		return -1
	}
	switch nal[0] & 0x1F {
	case h264SPS:
		return 1
	case h264PPS:
		return 2
	}
	return -1
}

// holds reports whether a configuration record has nal, behind its 16-bit length.
func holds(config, nal []byte) bool {
	for at := 0; ; {
		i := bytes.Index(config[at:], nal)
		if i < 0 {
			return false
		}
		if i += at; i >= 2 && int(binary.BigEndian.Uint16(config[i-2:])) == len(nal) {
			return true
		}
		at = i + 1
	}
}

// avcC makes an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1) of any number of sets.
func avcC(sps, pps [][]byte) ([]byte, error) {
	record, err := media.AVCC(sps[0], pps[0])
	if err != nil || len(sps) == 1 && len(pps) == 1 {
		return record, err
	}
	if len(sps) > 31 || len(pps) > 255 {
		return nil, errors.New("rtmp: too many parameter sets")
	}
	record = append(record[:5:5], 0xE0|byte(len(sps)))
	for _, s := range sps {
		record = append(binary.BigEndian.AppendUint16(record, uint16(len(s))), s...)
	}
	record = append(record, byte(len(pps)))
	for _, s := range pps {
		record = append(binary.BigEndian.AppendUint16(record, uint16(len(s))), s...)
	}
	return record, nil
}
