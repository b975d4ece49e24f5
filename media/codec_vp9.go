package media

import (
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"
)

// NewVP9 makes a track of a VPCodecConfigurationRecord, the body of a vpcC box with or without its version and flags. The
// record does not tell the picture's size: see VP9Size and WithSize. The bytes are copied.
func NewVP9(vpcC []byte) (*Track, error) { return newVP("vp09", VP9, vpcC) }

func newVP(name string, codec Codec, vpcC []byte) (*Track, error) {
	const header, record = 4, 8
	b := append([]byte(nil), vpcC...)
	switch {
	case len(vpcC) > maxConfig:
		return nil, fmt.Errorf("vpcC: %d bytes", len(vpcC))
	case len(vpcC) == record:
		b = append([]byte{1, 0, 0, 0}, b...)
	case len(vpcC) < header+record:
		return nil, fmt.Errorf("vpcC: %w", ErrTruncated)
	case vpcC[0] != 1:
		return nil, fmt.Errorf("vpcC: version %d", vpcC[0])
	}
	r := b[header:]
	if r[0] > 3 || r[2]>>4 < 8 || r[2]>>4 > 12 {
		return nil, fmt.Errorf("vpcC: profile %d, bit depth %d", r[0], r[2]>>4)
	}
	return &Track{
		Kind: Video, Codec: codec, Timescale: VideoTimescale, Config: b,
		rfc6381:  fmt.Sprintf("%s.%02d.%02d.%02d", name, r[0], r[1], r[2]>>4),
		transfer: r[4],
	}, nil
}

// WithSize returns t with another picture size, for the codecs whose configuration does not have it.
func (t *Track) WithSize(width, height int) *Track {
	c := *t
	c.Width, c.Height = width, height
	return &c
}

// VP9Size reads the picture's size from a key frame.
func VP9Size(frame []byte) (width, height int, ok bool) {
	var h vp9.Header
	if h.Unmarshal(frame) != nil || h.NonKeyFrame || h.FrameSize == nil {
		return 0, 0, false
	}
	return int(h.FrameSize.FrameWidthMinus1) + 1, int(h.FrameSize.FrameHeightMinus1) + 1, true
}

// ClassifyVP9 classifies a VP9 frame or superframe by its first uncompressed header (VP9 specification 6.2).
func ClassifyVP9(data []byte) (Class, error) {
	if len(data) == 0 {
		return Class{Empty: true}, nil
	}
	r := bitReader{buf: data}
	if r.bits(2) != 2 {
		return Class{}, fmt.Errorf("vp9: frame marker: %#x", data[0])
	}
	if profile := r.bit() | r.bit()<<1; profile == 3 {
		r.bit() // reserved
	}
	showExisting := r.bit() == 1
	if showExisting {
		return Class{}, nil
	}
	interFrame, shown := r.bit() == 1, r.bit() == 1
	if r.bad {
		return Class{}, fmt.Errorf("vp9: header: %w", ErrTruncated)
	}
	return Class{RandomAccess: !interFrame && shown}, nil
}
