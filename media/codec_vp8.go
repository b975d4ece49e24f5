package media

import (
	"encoding/binary"
	"fmt"
)

// NewVP8 makes a track of a VPCodecConfigurationRecord; see NewVP9. VP8 has none of its own, and no player by HLS knows it: the record is what a
// track is kept by.
func NewVP8(vpcC []byte) (*Track, error) { return newVP("vp08", VP8, vpcC) }

// VP8Size reads the picture's size from a key frame (RFC 6386 9.1).
func VP8Size(frame []byte) (width, height int, ok bool) {
	const sides = 1<<14 - 1
	if len(frame) < 10 || frame[0]&1 != 0 || frame[3] != 0x9D || frame[4] != 0x01 || frame[5] != 0x2A {
		return 0, 0, false
	}
	width = int(binary.LittleEndian.Uint16(frame[6:]) & sides)
	height = int(binary.LittleEndian.Uint16(frame[8:]) & sides)
	return width, height, width > 0 && height > 0
}

// ClassifyVP8 classifies a VP8 frame by its frame tag (RFC 6386 9.1).
func ClassifyVP8(data []byte) (Class, error) {
	switch {
	case len(data) == 0:
		return Class{Empty: true}, nil
	case len(data) < 3:
		return Class{}, fmt.Errorf("vp8: frame tag: %w", ErrTruncated)
	case data[0]&1 != 0:
		return Class{}, nil
	}
	if _, _, ok := VP8Size(data); !ok {
		return Class{}, fmt.Errorf("vp8: key frame without its start code and size: %w", ErrTruncated)
	}
	return Class{RandomAccess: data[0]&0x10 != 0}, nil // where it is shown
}
