package media

import (
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
)

// opusRate is the clock of every Opus stream, whatever was sampled (RFC 7845 4).
const opusRate = 48000

// NewOpus makes a track of the body of a dOps box (Encapsulation of Opus in ISO BMFF 4.3.2). FrameSamples is 960, the
// 20 ms that nearly every encoder sends; see OpusSamples for a packet's own length. The bytes are copied.
func NewOpus(dOps []byte) (*Track, error) {
	if len(dOps) > maxConfig {
		return nil, fmt.Errorf("dOps: %d bytes", len(dOps))
	}
	if len(dOps) < 11 {
		return nil, fmt.Errorf("dOps: %w", ErrTruncated)
	}
	if dOps[0] != 0 || dOps[1] == 0 {
		return nil, fmt.Errorf("dOps: version %d, %d channels", dOps[0], dOps[1])
	}
	if dOps[10] != 0 && len(dOps) < 13+int(dOps[1]) {
		return nil, fmt.Errorf("dOps: channel mapping: %w", ErrTruncated)
	}
	return &Track{
		Kind: Audio, Codec: Opus, Timescale: opusRate,
		Config:     append([]byte(nil), dOps...),
		SampleRate: opusRate, Channels: int(dOps[1]), FrameSamples: 960,
		rfc6381: "opus",
	}, nil
}

// DOps makes the record that NewOpus takes of an OpusHead packet (RFC 7845 5.1), which has the same fields in the other
// byte order and counts its version from 1.
func DOps(opusHead []byte) ([]byte, error) {
	const magic = "OpusHead"
	if len(opusHead) < 19 || string(opusHead[:8]) != magic {
		return nil, fmt.Errorf("OpusHead: %w", ErrTruncated)
	}
	h := opusHead[8:]
	b := append([]byte{0, h[1], h[3], h[2], h[7], h[6], h[5], h[4], h[9], h[8]}, h[10:]...)
	return b, nil
}

// OpusSamples is how many samples at 48 kHz an Opus packet lasts (RFC 6716 3.1), 0 if it is not a packet.
func OpusSamples(packet []byte) Ticks {
	n := opus.PacketDuration2(packet)
	if n > 5760 { // 120 ms is the most that a packet may have
		return 0
	}
	return Ticks(n)
}
