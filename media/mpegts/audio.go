package mpegts

import (
	"bytes"

	"mediad/media"
)

// takeADTS takes the frames of one element (ISO/IEC 14496-3 1.A.2). A frame may begin in one element and end in the next.
func (s *stream) takeADTS(d *Demuxer, data []byte) error {
	begun := len(s.partial) > 0
	if begun {
		data = append(s.partial, data...)
		s.partial = nil
	}
	var at media.Ticks
	if s.hasTime {
		at, _ = s.times(d)
	}
	anchored := false // a frame that begins here has had the element's time
	broken := false
	for len(data) >= 7 {
		head, size, asc, ok := adts(data)
		if !ok {
			i := bytes.IndexByte(data[1:], 0xff) + 1
			if i == 0 {
				i = len(data)
			}
			data, broken, begun = data[i:], true, false
			continue
		}
		if size > len(data) {
			break
		}
		if s.track == nil || !bytes.Equal(s.sps, asc[:]) {
			t, err := media.NewAAC(asc[:])
			if err != nil {
				return errBroken
			}
			s.track, s.sps, s.timed = t, bytes.Clone(asc[:]), false
			if err := d.o.Sink.Track(media.Audio, t); err != nil {
				return err
			}
		}
		if !begun && !anchored && s.hasTime {
			s.next, s.timed, anchored = media.Rescale(at, media.VideoTimescale, s.track.Timescale), true, true
		}
		begun = false
		if s.timed {
			if err := s.writeAudio(d, data[head:size:size], media.Ticks(s.track.FrameSamples)); err != nil {
				return err
			}
		}
		data = data[size:]
	}
	s.partial = data
	if broken {
		return errBroken
	}
	return nil
}

// adts reads the head of a frame: its length, the frame's with it, and the decoder configuration. Frames of several raw data
// blocks are not told from garbage: no encoder makes them.
func adts(b []byte) (head, size int, asc [2]byte, ok bool) {
	if b[0] != 0xff || b[1]&0xf6 != 0xf0 || b[6]&3 != 0 {
		return 0, 0, asc, false
	}
	head = 7
	if b[1]&1 == 0 { // a checksum follows
		head = 9
	}
	size = int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
	object, rate, channels := b[2]>>6+1, b[2]>>2&0xf, b[2]&1<<2|b[3]>>6
	asc = [2]byte{object<<3 | rate>>1, rate<<7 | channels<<3}
	return head, size, asc, size > head && rate < 13
}

func (s *stream) writeAudio(d *Demuxer, data []byte, samples media.Ticks) error {
	at := s.next
	s.next += samples
	return d.o.Sink.Write(media.AccessUnit{Kind: media.Audio, DTS: at, PTS: at, Duration: samples, RandomAccess: true, Data: data})
}

// takeOpus takes the packets of one element, each behind a control header (ETSI TS 103 491 does the same as the registration
// "Opus" asks).
func (s *stream) takeOpus(d *Demuxer, data []byte) error {
	if s.track == nil {
		channels := byte(2)
		if s.channels == 1 {
			channels = 1
		}
		const preSkip = 312
		record, err := media.DOps([]byte{
			'O', 'p', 'u', 's', 'H', 'e', 'a', 'd', 1, channels, preSkip & 0xff, preSkip >> 8, 0x80, 0xbb, 0, 0, 0, 0, 0,
		})
		if err != nil {
			return errBroken
		}
		t, err := media.NewOpus(record)
		if err != nil {
			return errBroken
		}
		s.track = t
		if err := d.o.Sink.Track(media.Audio, t); err != nil {
			return err
		}
	}
	if s.hasTime {
		at, _ := s.times(d)
		s.next, s.timed = media.Rescale(at, media.VideoTimescale, s.track.Timescale), true
	}
	for len(data) > 0 {
		packet, rest, ok := opusPacket(data)
		if !ok {
			return errBroken
		}
		data = rest
		n := media.OpusSamples(packet)
		if n == 0 {
			return errBroken
		}
		if s.timed {
			if err := s.writeAudio(d, packet, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// opusPacket cuts the first packet off.
func opusPacket(b []byte) (packet, rest []byte, ok bool) {
	if len(b) < 3 || b[0] != 0x7f || b[1]&0xe0 != 0xe0 {
		return nil, nil, false
	}
	flags, i, size := b[1], 2, 0
	for {
		if i == len(b) {
			return nil, nil, false
		}
		v := int(b[i])
		i++
		if size += v; v != 255 {
			break
		}
	}
	for _, trim := range []byte{0x10, 0x08} { // of the start and of the end
		if flags&trim != 0 {
			i += 2
		}
	}
	if flags&0x04 != 0 { // an extension
		if i >= len(b) {
			return nil, nil, false
		}
		i += 1 + int(b[i])
	}
	if i > len(b) || size == 0 || size > len(b)-i {
		return nil, nil, false
	}
	return b[i : i+size : i+size], b[i+size:], true
}
