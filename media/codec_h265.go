package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// hvcCHeader is the length of a HEVCDecoderConfigurationRecord up to its arrays.
const hvcCHeader = 23

// NewH265 makes a track of a HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 8.3.3.1), the body of a hvcC
// box. The bytes are copied; Config says 4-byte NAL unit lengths whatever the record said.
func NewH265(hvcC []byte) (*Track, error) {
	sets, err := parseHVCC(hvcC)
	if err != nil {
		return nil, fmt.Errorf("hvcC: %w", err)
	}
	raw := sets[h265.NALUType_SPS_NUT]
	if len(raw) == 0 {
		return nil, errors.New("hvcC: no sequence parameter set")
	}
	var sps h265.SPS
	if err := sps.Unmarshal(raw[0]); err != nil {
		return nil, fmt.Errorf("hvcC: sequence parameter set: %w", err)
	}
	t := &Track{
		Kind: Video, Codec: H265, Timescale: VideoTimescale,
		Config: append([]byte(nil), hvcC...),
		Width:  sps.Width(), Height: sps.Height(),
		rfc6381:     hevcRFC6381(hvcC),
		topSubLayer: sps.MaxSubLayersMinus1,
	}
	t.Config[21] |= 3
	if err := t.checkSize(); err != nil {
		return nil, fmt.Errorf("hvcC: %w", err)
	}
	if v := sps.VUI; v != nil && v.VideoSignalTypePresentFlag && v.ColourDescriptionPresentFlag {
		t.transfer = v.TransferCharacteristics
	}
	if v := sps.VUI; v != nil && v.TimingInfo != nil {
		t.FrameRate = frameRate(uint64(v.TimingInfo.TimeScale), uint64(v.TimingInfo.NumUnitsInTick))
	}
	return t, nil
}

// HVCC makes the record that NewH265 takes of parameter sets as they come in RTP, MPEG-TS or an annex B stream.
func HVCC(vps, sps, pps []byte) ([]byte, error) {
	var s h265.SPS
	if err := s.Unmarshal(sps); err != nil {
		return nil, fmt.Errorf("hvcC: sequence parameter set: %w", err)
	}
	// profile_tier_level stands behind the 2-byte NAL unit header and one byte of ids: 12 bytes without sub-layers.
	// Its constraint bytes are mostly zero, so emulation prevention must be undone first.
	ptl := unescape(sps, 3+12)
	if len(ptl) < 3+12 || len(vps) == 0 || len(pps) == 0 {
		return nil, fmt.Errorf("hvcC: parameter sets: %w", ErrTruncated)
	}
	b := make([]byte, hvcCHeader, hvcCHeader+3*5+len(vps)+len(sps)+len(pps))
	b[0] = 1
	copy(b[1:13], ptl[3:])
	b[13], b[15] = 0xf0, 0xfc
	b[16] = 0xfc | byte(s.ChromaFormatIdc&3)
	b[17] = 0xf8 | byte(s.BitDepthLumaMinus8&7)
	b[18] = 0xf8 | byte(s.BitDepthChromaMinus8&7)
	b[21] = (s.MaxSubLayersMinus1+1)&7<<3 | 3
	if s.TemporalIDNestingFlag {
		b[21] |= 4
	}
	b[22] = 3
	for _, set := range []struct {
		typ h265.NALUType
		nal []byte
	}{{h265.NALUType_VPS_NUT, vps}, {h265.NALUType_SPS_NUT, sps}, {h265.NALUType_PPS_NUT, pps}} {
		if len(set.nal) > 0xffff {
			return nil, fmt.Errorf("hvcC: parameter set of %d bytes", len(set.nal))
		}
		b = append(b, 0x80|byte(set.typ), 0, 1)
		b = binary.BigEndian.AppendUint16(b, uint16(len(set.nal)))
		b = append(b, set.nal...)
	}
	return b, nil
}

// unescape returns the first n bytes of a NAL unit without emulation prevention bytes.
func unescape(nal []byte, n int) []byte {
	out := make([]byte, 0, n)
	zeros := 0
	for _, b := range nal {
		if len(out) == n {
			break
		}
		if zeros >= 2 && b == 3 {
			zeros = 0
			continue
		}
		if b == 0 {
			zeros++
		} else {
			zeros = 0
		}
		out = append(out, b)
	}
	return out
}

// parseHVCC returns the NAL units in the arrays of a hvcC record by type.
func parseHVCC(b []byte) (map[h265.NALUType][][]byte, error) {
	if len(b) > maxConfig {
		return nil, fmt.Errorf("%d bytes", len(b))
	}
	if len(b) < hvcCHeader {
		return nil, ErrTruncated
	}
	if b[0] > 1 { // 0 is written by encoders that follow a draft
		return nil, fmt.Errorf("version %d", b[0])
	}
	sets := make(map[h265.NALUType][][]byte)
	rest := b[hvcCHeader:]
	for range int(b[22]) {
		if len(rest) < 3 {
			return nil, ErrTruncated
		}
		typ := h265.NALUType(rest[0] & 0x3f)
		nals, r, err := lengthPrefixed16(rest[3:], int(rest[1])<<8|int(rest[2]))
		if err != nil {
			return nil, err
		}
		sets[typ] = append(sets[typ], nals...)
		rest = r
	}
	return sets, nil
}

// hevcRFC6381 is the string of ISO/IEC 14496-15 E.3: profile, compatibility flags in reverse bit order, tier and
// level, constraint bytes without trailing zeros.
func hevcRFC6381(b []byte) string {
	var s strings.Builder
	s.WriteString("hvc1.")
	if space := b[1] >> 6; space > 0 {
		s.WriteByte('A' + space - 1)
	}
	tier := byte('L')
	if b[1]&0x20 != 0 {
		tier = 'H'
	}
	fmt.Fprintf(&s, "%d.%X.%c%d", b[1]&0x1f, bits.Reverse32(binary.BigEndian.Uint32(b[2:])), tier, b[12])
	constraints := b[6:12]
	for len(constraints) > 0 && constraints[len(constraints)-1] == 0 {
		constraints = constraints[:len(constraints)-1]
	}
	for _, c := range constraints {
		fmt.Fprintf(&s, ".%X", c)
	}
	return s.String()
}
