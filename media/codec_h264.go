package media

import (
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// NewH264 makes a track of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1), the body of an avcC box. The
// bytes are copied; Config says 4-byte NAL unit lengths whatever the record said.
func NewH264(avcC []byte) (*Track, error) {
	sets, _, err := parseAVCC(avcC)
	if err != nil {
		return nil, fmt.Errorf("avcC: %w", err)
	}
	if len(sets) == 0 {
		return nil, errors.New("avcC: no sequence parameter set")
	}
	var sps h264.SPS
	if err := sps.Unmarshal(sets[0]); err != nil {
		return nil, fmt.Errorf("avcC: sequence parameter set: %w", err)
	}
	t := &Track{
		Kind: Video, Codec: H264, Timescale: VideoTimescale,
		Config: append([]byte(nil), avcC...),
		Width:  sps.Width(), Height: sps.Height(),
		rfc6381: fmt.Sprintf("avc1.%02x%02x%02x", avcC[1], avcC[2], avcC[3]),
	}
	t.Config[4] |= 3
	if err := t.checkSize(); err != nil {
		return nil, fmt.Errorf("avcC: %w", err)
	}
	if v := sps.VUI; v != nil && v.VideoSignalTypePresentFlag && v.ColourDescriptionPresentFlag {
		t.transfer = v.TransferCharacteristics
	}
	if v := sps.VUI; v != nil && v.TimingInfo != nil {
		t.FrameRate = frameRate(uint64(v.TimingInfo.TimeScale), 2*uint64(v.TimingInfo.NumUnitsInTick))
	}
	return t, nil
}

// AVCC makes the record that NewH264 takes of parameter sets as they come in RTP, MPEG-TS or an annex B
// stream. Only the fields that every profile has are written: readers take the rest from the sets.
func AVCC(sps, pps []byte) ([]byte, error) {
	if len(sps) < 4 || len(sps) > 0xffff || len(pps) == 0 || len(pps) > 0xffff {
		return nil, errors.New("avcC: parameter sets missing or too long")
	}
	b := make([]byte, 0, 11+len(sps)+len(pps))
	b = append(b, 1, sps[1], sps[2], sps[3], 0xff, 0xe1, byte(len(sps)>>8), byte(len(sps)))
	b = append(b, sps...)
	b = append(b, 1, byte(len(pps)>>8), byte(len(pps)))
	return append(b, pps...), nil
}

// H264ParameterSets returns the sequence and picture parameter sets in t's Config.
func (t *Track) H264ParameterSets() (sps, pps [][]byte) {
	if t.Codec != H264 {
		return nil, nil
	}
	sps, pps, _ = parseAVCC(t.Config) // it was parsed once already
	return sps, pps
}

func parseAVCC(b []byte) (sps, pps [][]byte, err error) {
	if len(b) > maxConfig {
		return nil, nil, fmt.Errorf("%d bytes", len(b))
	}
	if len(b) < 7 {
		return nil, nil, ErrTruncated
	}
	if b[0] != 1 {
		return nil, nil, fmt.Errorf("version %d", b[0])
	}
	rest := b[6:]
	if sps, rest, err = lengthPrefixed16(rest, int(b[5]&0x1f)); err != nil {
		return nil, nil, err
	}
	if len(rest) == 0 {
		return nil, nil, ErrTruncated
	}
	pps, _, err = lengthPrefixed16(rest[1:], int(rest[0]))
	return sps, pps, err
}

// lengthPrefixed16 takes n pieces behind 16-bit lengths from b.
func lengthPrefixed16(b []byte, n int) (pieces [][]byte, rest []byte, err error) {
	if 2*n > len(b) {
		return nil, nil, ErrTruncated
	}
	for range n {
		if len(b) < 2 {
			return nil, nil, ErrTruncated
		}
		size := int(b[0])<<8 | int(b[1])
		if size > len(b)-2 {
			return nil, nil, ErrTruncated
		}
		pieces = append(pieces, b[2:2+size])
		b = b[2+size:]
	}
	return pieces, b, nil
}

// checkSize refuses picture sizes that no decoder takes: they come from broken or hostile parameter sets.
func (t *Track) checkSize() error {
	const limit = 16384
	if t.Width < 1 || t.Height < 1 || t.Width > limit || t.Height > limit {
		return fmt.Errorf("picture of %dx%d", t.Width, t.Height)
	}
	return nil
}
