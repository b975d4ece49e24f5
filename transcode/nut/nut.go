package nut

import (
	"encoding/binary"
	"fmt"

	"mediad/media"
)

// fileID begins every file.
const fileID = "nut/multimedia container\x00"

// The startcodes of packets; each begins with N.
const (
	mainCode      uint64 = 0x4e4d_7a56_1f5f_04ad
	streamCode    uint64 = 0x4e53_1140_5bf2_f9db
	syncpointCode uint64 = 0x4e4b_e4ad_eeca_4569
)

// What a frame header may have.
const (
	flagKey       = 1 << 0
	flagEOR       = 1 << 1
	flagCodedPTS  = 1 << 3
	flagStreamID  = 1 << 4
	flagSizeMSB   = 1 << 5
	flagChecksum  = 1 << 6
	flagReserved  = 1 << 7
	flagSideData  = 1 << 8
	flagHeaderIdx = 1 << 10
	flagMatchTime = 1 << 11
	flagCoded     = 1 << 12
	flagInvalid   = 1 << 13
)

// What a file may be, in its main header.
const (
	mainBroadcast = 1 << 0
	mainPipe      = 1 << 1
)

const (
	// maxPacket bounds headers: decoder configurations have tens of bytes, hostile ones a few thousand.
	maxPacket = 256 << 10
	// MaxFrame bounds one frame's data.
	MaxFrame = 32 << 20
	// maxStreams bounds the streams of one file; ours have one, at most two.
	maxStreams = 16
	maxBases   = 16
	maxElision = 255 // bytes of one header that frames may leave out
)

// Class is a stream's kind.
type Class uint8

// The classes.
const (
	Video Class = iota
	Audio
	Other
)

// Stream describes one stream of a file.
type Stream struct {
	Class    Class
	FourCC   string         // of the codec: H264, HEVC, AV01, VP90, VP80, or one of FFmpeg's
	TimeBase media.Rational // seconds a tick
	Extra    []byte         // the decoder's configuration
	// DecodeDelay is by how many frames presentation order may lag behind decoding order.
	DecodeDelay int

	Width, Height        int // Video
	SampleRate, Channels int // Audio
}

// Frame is one frame of a stream.
type Frame struct {
	Stream int
	PTS    int64 // in the stream's time base
	Key    bool
	Data   []byte // the caller's
}

// FourCC is how NUT names a codec.
func FourCC(c media.Codec) (string, error) {
	switch c {
	case media.H264:
		return "H264", nil
	case media.H265:
		return "HEVC", nil
	case media.AV1:
		return "AV01", nil
	case media.VP9:
		return "VP90", nil
	case media.VP8:
		return "VP80", nil
	case media.AAC:
		return "\xff\x00\x00\x00", nil
	case media.Opus:
		return "Opus", nil
	default:
		return "", fmt.Errorf("nut: no name for %v", c)
	}
}

func appendV(b []byte, v uint64) []byte {
	n := 1
	for rest := v >> 7; rest > 0; rest >>= 7 {
		n++
	}
	for n--; n > 0; n-- {
		b = append(b, 0x80|byte(v>>(7*n)))
	}
	return append(b, byte(v&0x7f))
}

func appendBytes(b []byte, p []byte) []byte { return append(appendV(b, uint64(len(p))), p...) }

// crc is NUT's checksum: CRC-32 with the usual polynomial, most significant bit first, beginning with 0.
func crc(sum uint32, p []byte) uint32 {
	for _, b := range p {
		sum = sum<<8 ^ crcTable[byte(sum>>24)^b]
	}
	return sum
}

var crcTable = func() (t [256]uint32) {
	for i := range t {
		c := uint32(i) << 24
		for range 8 {
			if c&(1<<31) != 0 {
				c = c<<1 ^ 0x04c11db7
			} else {
				c <<= 1
			}
		}
		t[i] = c
	}
	return t
}()

// appendPacket appends a packet with its frame of startcode and checksums.
func appendPacket(b []byte, code uint64, payload []byte) []byte {
	at := len(b)
	b = binary.BigEndian.AppendUint64(b, code)
	size := len(payload) + 4
	b = appendV(b, uint64(size))
	if size > 4096 {
		b = binary.BigEndian.AppendUint32(b, crc(0, b[at:]))
	}
	b = append(b, payload...)
	return binary.BigEndian.AppendUint32(b, crc(0, payload))
}
