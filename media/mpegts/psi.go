package mpegts

import (
	"encoding/binary"

	"mediad/media"
)

// maxSection is the longest section of a table (2.4.4.4, 2.4.4.9).
const maxSection = 1024

// section puts one table together of the packets it comes in.
type section struct {
	buf  []byte
	open bool
}

// push takes a packet's payload; take is called with each complete section whose checksum is right.
func (s *section) push(payload []byte, start bool, take func(table []byte) error) error {
	if start {
		pointer := int(payload[0])
		if pointer >= len(payload) {
			s.open = false
			return nil
		}
		s.buf, s.open = append(s.buf[:0], payload[1+pointer:]...), true
	} else if s.open {
		s.buf = append(s.buf, payload...)
	}
	for s.open && len(s.buf) >= 3 {
		if s.buf[0] == 0xff { // stuffing to the end
			s.open = false
			return nil
		}
		n := 3 + int(binary.BigEndian.Uint16(s.buf[1:])&0xfff)
		if n > maxSection {
			s.open = false
			return nil
		}
		if len(s.buf) < n {
			return nil
		}
		if n >= 12 && crc(s.buf[:n]) == 0 {
			if err := take(s.buf[:n]); err != nil {
				return err
			}
		}
		s.buf = s.buf[n:]
	}
	return nil
}

// crc is the checksum of annex A; that of a section with its checksum is 0.
func crc(b []byte) uint32 {
	c := ^uint32(0)
	for _, x := range b {
		c ^= uint32(x) << 24
		for range 8 {
			if c&0x80000000 != 0 {
				c = c<<1 ^ 0x04c11db7
			} else {
				c <<= 1
			}
		}
	}
	return c
}

// takePAT takes a program association section (2.4.4.3): the first program is ours.
func (d *Demuxer) takePAT(t []byte) {
	if t[0] != 0 || t[5]&1 == 0 { // another table, or one for later
		return
	}
	for e := t[8 : len(t)-4]; len(e) >= 4; e = e[4:] {
		if binary.BigEndian.Uint16(e) == 0 { // the network's own table
			continue
		}
		pid := binary.BigEndian.Uint16(e[2:]) & 0x1fff
		if pid != d.pmtPID {
			d.pmtPID, d.pmt, d.program = pid, section{}, 0
		}
		return
	}
}

// takePMT takes a program map section (2.4.4.8).
func (d *Demuxer) takePMT(t []byte) error {
	if t[0] != 2 || t[5]&1 == 0 || len(t) < 16 {
		return nil
	}
	sum := binary.BigEndian.Uint32(t[len(t)-4:])
	if sum == d.program {
		return nil
	}
	infos := int(binary.BigEndian.Uint16(t[10:]) & 0xfff)
	body := t[12 : len(t)-4]
	if infos > len(body) {
		return nil
	}
	d.program = sum
	var found [media.Kinds]*stream
	for e := body[infos:]; len(e) >= 5; {
		n := 5 + int(binary.BigEndian.Uint16(e[3:])&0xfff)
		if n > len(e) {
			break
		}
		s := &stream{pid: binary.BigEndian.Uint16(e[1:]) & 0x1fff}
		kind, known := s.identify(e[0], e[5:n])
		e = e[n:]
		if !known || found[kind] != nil {
			continue
		}
		if s.take == nil {
			if err := d.o.Sink.Unsupported(kind, s.name); err != nil {
				return err
			}
			continue
		}
		found[kind] = s
	}
	for k, s := range found {
		if old := d.streams[k]; s != nil && old != nil && old.pid == s.pid && old.name == s.name {
			continue // another stream of the program has changed
		}
		d.streams[k] = s
		if s == nil && !d.told[k] {
			d.told[k] = true
			d.o.Sink.NoTrack(media.Kind(k))
		}
	}
	return nil
}

// identify finds a stream's kind and codec by its type (table 2-34) and descriptors.
func (s *stream) identify(streamType byte, descriptors []byte) (kind media.Kind, known bool) {
	switch streamType {
	case 0x1b:
		s.codec, s.name, s.take = media.H264, "H.264", s.takeVideo
		return media.Video, true
	case 0x24:
		s.codec, s.name, s.take = media.H265, "H.265", s.takeVideo
		return media.Video, true
	case 0x0f:
		s.codec, s.name, s.take = media.AAC, "AAC", s.takeADTS
		return media.Audio, true
	case 0x01, 0x02:
		s.name = "MPEG-2 video"
		return media.Video, true
	case 0x10:
		s.name = "MPEG-4 part 2"
		return media.Video, true
	case 0x11:
		s.name = "AAC in LATM"
		return media.Audio, true
	case 0x03, 0x04:
		s.name = media.MP3.String()
		return media.Audio, true
	case 0x81:
		s.name = media.AC3.String()
		return media.Audio, true
	case 0x87:
		s.name = media.EAC3.String()
		return media.Audio, true
	case 0x06: // told by a descriptor
		return s.private(descriptors)
	default:
		return 0, false
	}
}

// private looks for what a private stream is.
func (s *stream) private(d []byte) (kind media.Kind, known bool) {
	for len(d) >= 2 && int(d[1]) <= len(d)-2 {
		tag, body := d[0], d[2:2+int(d[1])]
		d = d[2+len(body):]
		switch {
		case tag == 0x05 && string(body) == "Opus": // registration
			s.codec, s.name, s.take = media.Opus, "Opus", s.takeOpus
			known = true
		case tag == 0x05 && string(body) == "HEVC":
			s.codec, s.name, s.take = media.H265, "H.265", s.takeVideo
			return media.Video, true
		case tag == 0x7f && len(body) >= 2 && body[0] == 0x80: // DVB extension: the channels of Opus
			s.channels = int(body[1])
		case tag == 0x6a || tag == 0x05 && string(body) == "AC-3":
			s.name = media.AC3.String()
			return media.Audio, true
		case tag == 0x7a || tag == 0x05 && string(body) == "EAC3":
			s.name = media.EAC3.String()
			return media.Audio, true
		}
	}
	return media.Audio, known
}
