package whep

import (
	"encoding/binary"
	"errors"
	"fmt"

	"mediad/media"
)

const (
	// maxPacket bounds an RTP packet: it fits every path of 1280 bytes with SRTP, UDP and IPv6 around it.
	maxPacket = 1200
	// rtpHeader is the fixed header and the extensions, of which are the transport-wide sequence number and the playout delay.
	rtpHeader  = 12 + 12
	maxPayload = maxPacket - rtpHeader

	// maxNALs is what one picture may have; media.ClassifyUnit has let no more through.
	maxNALs = 1024
)

// The NAL unit types that matter here (H.264 7.4.1, RFC 6184 5.2).
const (
	nalIDR       = 5
	nalSEI       = 6
	nalSPS       = 7
	nalPPS       = 8
	nalDelimiter = 9
	nalEnd       = 10
	nalEndStream = 11
	nalFiller    = 12
	nalSTAPA     = 24
	nalFUA       = 28
)

var errNAL = errors.New("whep: a NAL unit does not fit its picture")

// packetizer makes H.264 access units into RTP payloads of packetization mode 1 (RFC 6184).
type packetizer struct {
	sets [][]byte // parameter sets of the track, for key frames that bring none
	nals [][]byte // of the picture at hand
}

func newPacketizer(t *media.Track) packetizer {
	sps, pps := t.H264ParameterSets()
	return packetizer{sets: append(append([][]byte(nil), sps...), pps...)}
}

// payloads cuts one access unit. What is small and no slice goes together into one packet in front of the slices; a slice that
// fits is not copied.
func (p *packetizer) payloads(au *media.AccessUnit) ([][]byte, error) {
	size, packets, err := p.split(au)
	if err != nil {
		return nil, err
	}
	buf, out := make([]byte, 0, size), make([][]byte, 0, packets)
	var small [][]byte
	smallBytes := 1
	flush := func() {
		if len(small) == 1 {
			out = append(out, small[0])
		} else if len(small) > 1 {
			begin := len(buf)
			buf = appendSTAP(buf, small)
			out = append(out, buf[begin:len(buf):len(buf)])
		}
		small, smallBytes = small[:0], 1
	}
	for _, nal := range p.nals {
		if !isSlice(nal) && 1+2+len(nal) <= maxPayload {
			if smallBytes+2+len(nal) > maxPayload {
				flush()
			}
			small, smallBytes = append(small, nal), smallBytes+2+len(nal)
			continue
		}
		flush()
		if len(nal) <= maxPayload {
			out = append(out, nal)
			continue
		}
		buf, out = appendFragments(buf, out, nal)
	}
	flush()
	return out, nil
}

// split finds the NAL units that are sent, and how much room what must be copied takes at most.
func (p *packetizer) split(au *media.AccessUnit) (size, packets int, err error) {
	p.nals = p.nals[:0]
	sps, pps := false, false
	for d := au.Data; len(d) > 0; {
		if len(d) < 4 {
			return 0, 0, errNAL
		}
		n := binary.BigEndian.Uint32(d)
		if uint64(n) > uint64(len(d)-4) || len(p.nals) >= maxNALs {
			return 0, 0, errNAL
		}
		nal := d[4 : 4+n : 4+n]
		d = d[4+n:]
		if len(nal) == 0 {
			continue
		}
		switch nal[0] & 0x1f {
		case nalDelimiter, nalEnd, nalEndStream, nalFiller, 0:
			continue // nothing that a decoder needs; RTP says where pictures end
		case nalSEI:
			if tellsTiming(nal) {
				continue // a packet a picture, and RTP says when
			}
		case nalSPS:
			sps = true
		case nalPPS:
			pps = true
		}
		p.nals = append(p.nals, nal)
	}
	if len(p.nals) == 0 {
		return 0, 0, fmt.Errorf("%w: nothing in it", errNAL)
	}
	if au.RandomAccess && (!sps || !pps) {
		p.nals = append(p.nals, p.sets...)
		copy(p.nals[len(p.sets):], p.nals)
		copy(p.nals, p.sets)
	}
	for _, nal := range p.nals {
		n := 1
		if len(nal) > maxPayload {
			n = (len(nal)-1+maxPayload-3)/(maxPayload-2) + 1
			size += len(nal) + 2*n
		} else if !isSlice(nal) {
			size += len(nal) + 3
		}
		packets += n
	}
	return size, packets, nil
}

// maxTiming is how long a SEI NAL unit with timing may be, in bytes: those of encoders have some twenty.
const maxTiming = 128

// tellsTiming reports whether a SEI NAL unit has nothing but buffering periods and picture timing in it (H.264 D.1.1), which encoders
// at a constant rate put before each picture.
func tellsTiming(nal []byte) bool {
	if len(nal) > maxTiming {
		return false
	}
	var clean [maxTiming]byte // without emulation prevention (H.264 7.4.1.1)
	n, zeros := 0, 0
	for _, c := range nal[1:] {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		if zeros++; c != 0 {
			zeros = 0
		}
		clean[n] = c
		n++
	}
	rest := clean[:n]
	number := func() (v int) {
		for len(rest) > 0 {
			c := rest[0]
			rest = rest[1:]
			if v += int(c); c != 0xff {
				return v
			}
		}
		return len(nal) // it has no end
	}
	for len(rest) > 1 { // the last byte are the trailing bits
		kind, size := number(), number()
		if kind > 1 || size > len(rest) {
			return false
		}
		rest = rest[size:]
	}
	return n > 2 && len(rest) == 1
}

func isSlice(nal []byte) bool { t := nal[0] & 0x1f; return t >= 1 && t <= nalIDR }

// appendSTAP puts NAL units into a single-time aggregation packet (RFC 6184 5.7.1).
func appendSTAP(buf []byte, nals [][]byte) []byte {
	header := len(buf)
	buf = append(buf, 0)
	importance, forbidden := byte(0), byte(0)
	for _, nal := range nals {
		importance, forbidden = max(importance, nal[0]&0x60), forbidden|nal[0]&0x80
		buf = binary.BigEndian.AppendUint16(buf, uint16(len(nal)))
		buf = append(buf, nal...)
	}
	buf[header] = forbidden | importance | nalSTAPA
	return buf
}

// appendFragments cuts a NAL unit into fragmentation units (RFC 6184 5.8), as even as can be.
func appendFragments(buf []byte, out [][]byte, nal []byte) ([]byte, [][]byte) {
	indicator, kind := nal[0]&0xe0|nalFUA, nal[0]&0x1f
	rest := nal[1:]
	n := (len(rest) + maxPayload - 3) / (maxPayload - 2)
	step := (len(rest) + n - 1) / n
	for first := true; len(rest) > 0; first = false {
		part := rest[:min(step, len(rest))]
		rest = rest[len(part):]
		header := kind
		if first {
			header |= 0x80
		}
		if len(rest) == 0 {
			header |= 0x40
		}
		begin := len(buf)
		buf = append(append(buf, indicator, header), part...)
		out = append(out, buf[begin:len(buf):len(buf)])
	}
	return buf, out
}
