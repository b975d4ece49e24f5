package whip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/pion/rtp"

	"mediad/live"
)

// unit is a whole picture, in the form of media.AccessUnit.Data.
type unit struct {
	timestamp uint32
	data      []byte
}

// assembler makes pictures of packets in order. It gives one out with its marker, or with the first packet of the next.
type assembler interface {
	// push takes a packet. The units are good until the next call; an error costs the picture that it belongs to.
	push(pkt *rtp.Packet) ([]unit, error)
	// begins reports whether a payload is the first of its picture for certain.
	begins(payload []byte) bool
	// reset forgets the picture that is being made.
	reset()
}

var errPayload = errors.New("whip: RTP payload")

func unreadable(format string, a ...any) error {
	return live.Refuse(live.ReasonMediaInvalid, fmt.Errorf("%w: %s", errPayload, fmt.Sprintf(format, a...)))
}

// NAL unit types (H.264 table 7-1, RFC 6184 5.2).
const (
	nalIDR    = 5
	nalSPS    = 7
	nalPPS    = 8
	nalAUD    = 9
	nalFiller = 12
	nalSTAPA  = 24
	nalFUA    = 28
)

// h264Assembler reads RFC 6184 with packetization modes 0 and 1, straight into the form that a sample has.
type h264Assembler struct {
	max int // bytes of a picture

	buf       []byte
	hint      int // size of the last picture
	timestamp uint32
	open      int // where the length of an unfinished NAL unit stands in buf; −1: there is none
	next      uint16
	out       []unit
}

func newH264Assembler(limit int) *h264Assembler { return &h264Assembler{max: limit, open: -1} }

func (a *h264Assembler) begins(payload []byte) bool {
	if len(payload) == 0 {
		return false
	}
	typ := payload[0] & 0x1F
	if typ == nalSTAPA && len(payload) > 3 {
		typ = payload[3] & 0x1F
	}
	return typ == nalAUD || typ == nalSPS
}

func (a *h264Assembler) reset() { a.buf, a.open = nil, -1 }

func (a *h264Assembler) push(pkt *rtp.Packet) ([]unit, error) {
	a.out = a.out[:0]
	if len(a.buf) > 0 && pkt.Timestamp != a.timestamp {
		a.emit() // its marker is missing
	}
	a.timestamp = pkt.Timestamp
	if err := a.payload(pkt); err != nil {
		a.reset()
		return a.out, err
	}
	if pkt.Marker {
		a.emit()
	}
	return a.out, nil
}

// emit gives out the picture, without a NAL unit whose end is missing.
func (a *h264Assembler) emit() {
	if a.open >= 0 {
		a.buf = a.buf[:a.open]
	}
	if len(a.buf) > 0 {
		a.hint = len(a.buf)
		a.out = append(a.out, unit{a.timestamp, a.buf})
	}
	a.reset()
}

func (a *h264Assembler) payload(pkt *rtp.Packet) error {
	p := pkt.Payload
	if len(p) == 0 {
		return nil // padding
	}
	typ := p[0] & 0x1F
	if typ != nalFUA && a.open >= 0 {
		a.buf, a.open = a.buf[:a.open], -1
	}
	switch {
	case typ >= 1 && typ < nalSTAPA:
		return a.nal(p)
	case typ == nalSTAPA:
		for p = p[1:]; len(p) >= 2; {
			n := int(binary.BigEndian.Uint16(p))
			if n > len(p)-2 {
				return unreadable("STAP-A with %d bytes of %d", len(p)-2, n)
			}
			if err := a.nal(p[2 : 2+n]); err != nil {
				return err
			}
			p = p[2+n:]
		}
		return nil
	case typ == nalFUA:
		return a.fragment(pkt.SequenceNumber, p)
	default:
		return unreadable("NAL unit type %d", typ)
	}
}

func (a *h264Assembler) nal(n []byte) error {
	if len(n) == 0 {
		return nil
	}
	if typ := n[0] & 0x1F; typ == nalAUD || typ == nalFiller {
		return nil
	}
	if err := a.room(4 + len(n)); err != nil {
		return err
	}
	a.buf = binary.BigEndian.AppendUint32(a.buf, uint32(len(n)))
	a.buf = append(a.buf, n...)
	return nil
}

func (a *h264Assembler) fragment(seq uint16, p []byte) error {
	if len(p) < 2 {
		return unreadable("FU-A of %d bytes", len(p))
	}
	start, end := p[1]&0x80 != 0, p[1]&0x40 != 0
	if start {
		if a.open >= 0 {
			a.buf = a.buf[:a.open]
		}
		if err := a.room(5 + len(p) - 2); err != nil {
			return err
		}
		a.open = len(a.buf)
		a.buf = append(a.buf, 0, 0, 0, 0, p[0]&0xE0|p[1]&0x1F)
	} else if a.open < 0 || seq != a.next {
		return unreadable("FU-A without its start")
	}
	if err := a.room(len(p) - 2); err != nil {
		return err
	}
	a.buf = append(a.buf, p[2:]...)
	a.next = seq + 1
	if end {
		binary.BigEndian.PutUint32(a.buf[a.open:], uint32(len(a.buf)-a.open-4))
		a.open = -1
	}
	return nil
}

// room makes place for n bytes more.
func (a *h264Assembler) room(n int) error {
	if len(a.buf)+n > a.max {
		return live.Refuse(live.ReasonFrameTooLarge, fmt.Errorf("whip: a picture of over %d bytes", a.max))
	}
	if a.buf == nil {
		// Pictures of one kind have about the same size; a buffer that fits is never copied.
		a.buf = make([]byte, 0, max(n, min(a.hint+a.hint/4, a.max)))
	}
	a.buf = slices.Grow(a.buf, n)
	return nil
}
