package mpegts

import (
	"encoding/binary"

	"mediad/media"
)

// stream is one elementary stream of the program.
type stream struct {
	pid      uint16
	codec    media.Codec
	name     string
	channels int // of Opus, as the program says
	take     func(d *Demuxer, data []byte) error

	some    bool
	counter byte
	last    []byte // the newest packet's payload
	twice   bool   // it came twice

	open     bool
	early    bool // the last element was given away when its packets seemed to be over
	patient  bool // that does not work with this muxer
	pes      []byte
	usual    int // about how long the element's data gets
	want     int // length of the element's data; 0: until the next begins
	hasTime  bool
	pts, dts int64 // unwrapped, 90 kHz; of the open element

	track *media.Track

	// Video: the parameter sets that the track is made of, or will be. Audio: sps is its configuration.
	vps, sps, pps []byte
	fresh         bool
	unreadable    error // why the newest parameter sets are no use
	blind         int   // pictures that came behind them

	// Audio.
	partial []byte      // the begin of a frame whose end is in the next element
	next    media.Ticks // when the next frame is due
	timed   bool
}

// drop gives up what is incomplete.
func (s *stream) drop() {
	s.pes, s.open, s.early, s.partial = s.pes[:0], false, false, nil
}

// begin reads the head of a packetised element (2.4.3.6) and keeps the rest. Timestamps are unwrapped by the demuxer when it is taken.
func (s *stream) begin(b []byte) bool {
	s.pes, s.open, s.early = s.pes[:0], false, false
	if len(b) < 9 || b[0] != 0 || b[1] != 0 || b[2] != 1 || b[6]&0xc0 != 0x80 {
		return false
	}
	length, flags, head := int(binary.BigEndian.Uint16(b[4:])), b[7], int(b[8])
	if len(b) < 9+head || length > 0 && length < 3+head {
		return false
	}
	s.hasTime = flags&0x80 != 0 && head >= 5
	if s.hasTime {
		s.pts = stampOf(b[9:])
		s.dts = s.pts
		if flags&0x40 != 0 && head >= 10 {
			s.dts = stampOf(b[14:])
		}
	}
	s.want = 0
	if length > 0 {
		s.want = length - 3 - head
	}
	if s.pes == nil {
		s.pes = make([]byte, 0, max(s.want, s.usual))
	}
	s.pes, s.open = append(s.pes, b[9+head:]...), true
	if s.want > 0 && len(s.pes) > s.want {
		s.pes = s.pes[:s.want]
	}
	return true
}

// stampOf reads 33 bits with their marker bits.
func stampOf(b []byte) int64 {
	return int64(b[0]>>1&7)<<30 | int64(b[1])<<22 | int64(b[2]>>1)<<15 | int64(b[3])<<7 | int64(b[4]>>1)
}

// times are the element's timestamps on the unwrapped line.
func (s *stream) times(d *Demuxer) (dts, pts media.Ticks) {
	dts = media.Ticks(d.clock.Unwrap(uint64(s.dts)))
	const half = 1 << 32
	off := s.pts - s.dts
	switch { // a picture is shown within hours of its decoding: the two wrap apart
	case off > half:
		off -= 1 << 33
	case off < -half:
		off += 1 << 33
	}
	return dts, dts + media.Ticks(off)
}
