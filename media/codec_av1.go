package media

import (
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
)

// The OBU types that matter here (AV1 specification 6.2.2).
const (
	obuSequenceHeader = 1
	obuFrameHeader    = 3
	obuFrame          = 6
)

// NewAV1 makes a track of an AV1CodecConfigurationRecord, the body of an av1C box. It must hold the sequence header,
// which alone tells the picture's size. The bytes are copied.
func NewAV1(av1C []byte) (*Track, error) {
	if len(av1C) > maxConfig {
		return nil, fmt.Errorf("av1C: %d bytes", len(av1C))
	}
	if len(av1C) < 4 {
		return nil, fmt.Errorf("av1C: %w", ErrTruncated)
	}
	if av1C[0] != 0x81 {
		return nil, fmt.Errorf("av1C: marker and version %#x", av1C[0])
	}
	var raw []byte
	err := eachOBU(av1C[4:], func(typ byte, _, obu []byte) bool {
		if typ == obuSequenceHeader && raw == nil {
			raw = obu
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("av1C: %w", err)
	}
	if raw == nil {
		return nil, errors.New("av1C: no sequence header")
	}
	var seq av1.SequenceHeader
	if err := seq.Unmarshal(append([]byte{obuSequenceHeader << 3}, raw...)); err != nil {
		return nil, fmt.Errorf("av1C: sequence header: %w", err)
	}
	t := &Track{
		Kind: Video, Codec: AV1, Timescale: VideoTimescale,
		Config: append([]byte(nil), av1C...),
		Width:  seq.Width(), Height: seq.Height(),
	}
	if err := t.checkSize(); err != nil {
		return nil, fmt.Errorf("av1C: %w", err)
	}
	t.transfer = uint8(seq.ColorConfig.TransferCharacteristics)
	if ti := seq.TimingInfo; ti != nil && ti.EqualPictureInterval {
		t.FrameRate = frameRate(uint64(ti.TimeScale), uint64(ti.NumUnitsInDisplayTick)*(uint64(ti.NumTicksPerPictureMinus1)+1))
	}
	tier := byte('M')
	if av1C[2]&0x80 != 0 {
		tier = 'H'
	}
	t.rfc6381 = fmt.Sprintf("av01.%d.%02d%c.%02d", av1C[1]>>5, av1C[1]&0x1f, tier, seq.ColorConfig.BitDepth)
	return t, nil
}

// AV1TrackOf makes a track of the sequence header in a temporal unit; nil where there is none.
func AV1TrackOf(unit []byte) (*Track, error) {
	var obus av1.Bitstream
	if err := obus.Unmarshal(unit); err != nil {
		return nil, fmt.Errorf("av1: %w", err)
	}
	for _, obu := range obus {
		var h av1.OBUHeader
		if h.Unmarshal(obu) != nil || h.Type != av1.OBUTypeSequenceHeader {
			continue
		}
		var seq av1.SequenceHeader
		if err := seq.Unmarshal(obu); err != nil {
			return nil, fmt.Errorf("av1: sequence header: %w", err)
		}
		raw, err := av1.Bitstream{obu}.Marshal()
		if err != nil {
			return nil, fmt.Errorf("av1: %w", err)
		}
		return NewAV1(append(av1Record(&seq), raw...))
	}
	return nil, nil
}

// av1Record is the head of an av1C box (AV1 in ISO BMFF 2.3.3).
func av1Record(seq *av1.SequenceHeader) []byte {
	var level, tier, flags byte
	if len(seq.SeqLevelIdx) > 0 {
		level = seq.SeqLevelIdx[0]
	}
	if len(seq.SeqTier) > 0 && seq.SeqTier[0] {
		tier = 0x80
	}
	c := &seq.ColorConfig
	for bit, set := range map[byte]bool{
		0x40: c.BitDepth > 8, 0x20: c.BitDepth == 12, 0x10: c.MonoChrome, 0x08: c.SubsamplingX, 0x04: c.SubsamplingY,
	} {
		if set {
			flags |= bit
		}
	}
	return []byte{0x81, seq.SeqProfile<<5 | level&0x1F, tier | flags | byte(c.ChromaSamplePosition)&3, 0}
}

// ClassifyAV1 classifies an AV1 temporal unit. It is a random access unit where it begins a coded video sequence: a
// sequence header and a key frame that is shown at once (AV1 specification 7.6.2).
func ClassifyAV1(data []byte) (Class, error) {
	c := Class{Empty: true}
	sequence := false
	err := eachOBU(data, func(typ byte, _, obu []byte) bool {
		switch typ {
		case obuSequenceHeader:
			sequence = true
		case obuFrame, obuFrameHeader:
			c.Empty = false
			// show_existing_frame, frame_type (0 is a key frame), show_frame
			c.RandomAccess = sequence && len(obu) > 0 && obu[0]>>4 == 1
			return false
		}
		return true
	})
	if err != nil {
		return Class{}, fmt.Errorf("av1: %w", err)
	}
	return c, nil
}

// eachOBU calls f with the type, the header bytes and the payload of every OBU of a temporal unit until f returns false.
// Only the last may be without a size field.
func eachOBU(data []byte, f func(typ byte, header, payload []byte) bool) error {
	for n := 0; len(data) > 0; n++ {
		if n == maxNALs {
			return fmt.Errorf("more than %d OBUs in one temporal unit", maxNALs)
		}
		if data[0]&0x80 != 0 {
			return errors.New("OBU with forbidden bit")
		}
		header := 1
		if data[0]&4 != 0 {
			header = 2
		}
		if len(data) < header {
			return fmt.Errorf("OBU header: %w", ErrTruncated)
		}
		payload, rest := data[header:], []byte(nil)
		if data[0]&2 != 0 {
			size, k := leb128(payload)
			if k == 0 || size > uint64(len(payload)-k) {
				return fmt.Errorf("OBU of %d bytes: %w", size, ErrTruncated)
			}
			payload, rest = payload[k:k+int(size)], payload[k+int(size):]
		}
		if !f(data[0]>>3&0xf, data[:header], payload) {
			return nil
		}
		data = rest
	}
	return nil
}

// leb128 reads an unsigned LEB128 number of at most 32 bits and tells how many bytes it took, 0 if it is not one.
func leb128(b []byte) (v uint64, n int) {
	for n < len(b) && n < 8 {
		v |= uint64(b[n]&0x7f) << (7 * n)
		n++
		if b[n-1]&0x80 == 0 {
			if v > 1<<32-1 {
				return 0, 0
			}
			return v, n
		}
	}
	return 0, 0
}
