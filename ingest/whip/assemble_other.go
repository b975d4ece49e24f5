package whip

import (
	"errors"
	"fmt"

	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpav1"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpvp9"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"mediad/live"
	"mediad/media"
)

// av1Assembler makes temporal units (AV1 RTP payload format 4).
type av1Assembler struct {
	max int
	dec rtpav1.Decoder
}

// begins goes by the N bit: a coded video sequence begins here.
func (*av1Assembler) begins(p []byte) bool { return len(p) > 0 && p[0]&0x88 == 0x08 }

func (a *av1Assembler) reset() { a.dec = rtpav1.Decoder{} }

func (a *av1Assembler) push(pkt *rtp.Packet) ([]unit, error) {
	if len(pkt.Payload) == 0 {
		return nil, nil
	}
	obus, err := a.dec.Decode(pkt)
	switch {
	case errors.Is(err, rtpav1.ErrMorePacketsNeeded), errors.Is(err, rtpav1.ErrNonStartingPacketAndNoPrevious):
		return nil, nil
	case err != nil:
		a.reset()
		return nil, unreadable("%v", err)
	}
	data, err := av1.Bitstream(obus).Marshal()
	if err != nil {
		return nil, unreadable("%v", err)
	}
	return sized(a.max, pkt.Timestamp, data)
}

// vp9Assembler makes frames (RFC 9628).
type vp9Assembler struct {
	max int
	dec rtpvp9.Decoder
}

// begins goes by B, the first packet of a frame, and P, which says that it refers to none before.
func (*vp9Assembler) begins(p []byte) bool { return len(p) > 0 && p[0]&0x48 == 0x08 }

func (a *vp9Assembler) reset() { a.dec = rtpvp9.Decoder{} }

func (a *vp9Assembler) push(pkt *rtp.Packet) ([]unit, error) {
	if len(pkt.Payload) == 0 {
		return nil, nil
	}
	frame, err := a.dec.Decode(pkt)
	switch {
	case errors.Is(err, rtpvp9.ErrMorePacketsNeeded), errors.Is(err, rtpvp9.ErrNonStartingPacketAndNoPrevious):
		return nil, nil
	case err != nil:
		a.reset()
		return nil, unreadable("%v", err)
	}
	// It may be the packet's own bytes; a unit keeps its.
	return sized(a.max, pkt.Timestamp, frame)
}

// vp8Assembler makes frames (RFC 7741). A frame may come in several partitions, each with packets of its own.
type vp8Assembler struct {
	max int

	buf       []byte
	hint      int // size of the last frame
	timestamp uint32
	next      uint16
}

// begins goes by S and PID: the first packet of the first partition.
func (*vp8Assembler) begins(p []byte) bool { return len(p) > 0 && p[0]&0x17 == 0x10 }

func (a *vp8Assembler) reset() { a.buf = nil }

func (a *vp8Assembler) push(pkt *rtp.Packet) ([]unit, error) {
	if len(pkt.Payload) == 0 {
		return nil, nil
	}
	var d codecs.VP8Packet
	p, err := d.Unmarshal(pkt.Payload)
	begins := a.begins(pkt.Payload)
	switch {
	case err != nil:
		a.reset()
		return nil, unreadable("%v", err)
	case begins:
		// An end that is missing was a frame that cannot be decoded.
		a.buf = make([]byte, 0, max(len(p), min(a.hint+a.hint/4, a.max)))
		a.timestamp = pkt.Timestamp
	case a.buf == nil:
		return nil, nil // in the middle of one
	case pkt.SequenceNumber != a.next || pkt.Timestamp != a.timestamp:
		a.reset()
		return nil, unreadable("VP8 frame in pieces")
	}
	if len(a.buf)+len(p) > a.max {
		a.reset()
		return nil, live.Refuse(live.ReasonFrameTooLarge, fmt.Errorf("whip: a picture of over %d bytes", a.max))
	}
	a.buf, a.next = append(a.buf, p...), pkt.SequenceNumber+1
	if !pkt.Marker {
		return nil, nil
	}
	frame := a.buf
	a.hint = len(frame)
	a.reset()
	if len(frame) == 0 {
		return nil, nil
	}
	return []unit{{a.timestamp, frame}}, nil
}

func sized(limit int, timestamp uint32, data []byte) ([]unit, error) {
	if len(data) > limit {
		return nil, live.Refuse(live.ReasonFrameTooLarge, fmt.Errorf("whip: a picture of over %d bytes", limit))
	}
	return []unit{{timestamp, data}}, nil
}

// vp9Track makes a track of a key frame; nil where it is none.
func vp9Track(frame []byte) (*media.Track, error) {
	w, h, ok := media.VP9Size(frame)
	return vpTrack(w, h, ok, media.NewVP9)
}

// vp8Track is the same for VP8.
func vp8Track(frame []byte) (*media.Track, error) {
	w, h, ok := media.VP8Size(frame)
	return vpTrack(w, h, ok, media.NewVP8)
}

// vpTrack makes a track of a picture's size. The level is not told, so the record says one that holds 1080p60.
func vpTrack(w, h int, ok bool, of func([]byte) (*media.Track, error)) (*media.Track, error) {
	if !ok {
		return nil, nil
	}
	const level, eightBits420, unspecified = 41, 0x82, 2
	t, err := of([]byte{0, level, eightBits420, unspecified, unspecified, unspecified, 0, 0})
	if err != nil {
		return nil, err
	}
	return t.WithSize(w, h), nil
}
