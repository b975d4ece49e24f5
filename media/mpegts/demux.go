package mpegts

import (
	"bytes"
	"errors"
	"fmt"

	"mediad/media"
)

// PacketSize is the length of a transport packet in bytes.
const PacketSize = 188

const (
	syncByte = 0x47
	// maxLost is how much is searched for the beginning of a packet before the input is taken for something else.
	maxLost = 64 << 10
	pidPAT  = 0
	pidNull = 0x1fff
)

// ErrNotTransportStream says that no packets are found in the input.
var ErrNotTransportStream = errors.New("mpegts: no transport stream")

// ErrTooLarge says that a picture or a frame of sound is larger than Options.MaxPES.
var ErrTooLarge = errors.New("mpegts: frame too large")

// ErrParameterSets says that a picture's parameter sets cannot be read, and that no others came for a while.
var ErrParameterSets = errors.New("mpegts: the parameter sets of the picture cannot be read")

// Sink takes what is found. An error of Track or Write ends the demuxing.
type Sink interface {
	// Track tells how a kind is decoded from here on. The video timescale is 90 kHz, that of audio its sample rate.
	Track(kind media.Kind, t *media.Track) error
	// NoTrack tells that the program has no stream of a kind.
	NoTrack(kind media.Kind)
	// Write takes one access unit; timestamps are on one line for both kinds, unwrapped.
	Write(au media.AccessUnit) error
	// Unsupported tells of a stream that is in the program and cannot be carried, by its codec's name. An error ends the demuxing.
	Unsupported(kind media.Kind, codec string) error
}

// Options configure a Demuxer. Sink is required.
type Options struct {
	Sink Sink
	// MaxPES bounds, in bytes, what is put together of one stream. Default 16 MiB, which no picture of live video comes near.
	MaxPES int
}

// Stats count what was wrong with the input.
type Stats struct {
	Discontinuities uint64 // packets that were missing, counted once each time
	Broken          uint64 // packetised elements that were dropped
	Resyncs         uint64 // times that packet boundaries were lost
}

// Demuxer takes one program out of a transport stream. Its methods are called from one goroutine.
type Demuxer struct {
	o         Options
	rest      []byte // the begin of a packet
	lost      int    // bytes since the last packet
	searching bool   // for boundaries: one sync byte alone proves nothing
	clock     media.Unwrapper
	pmtPID    uint16
	pat       section
	pmt       section
	program   uint32 // CRC of the map in force
	streams   [media.Kinds]*stream
	told      [media.Kinds]bool // NoTrack was told
	stats     Stats
}

// New returns a Demuxer.
func New(o Options) *Demuxer {
	if o.MaxPES <= 0 {
		o.MaxPES = 16 << 20
	}
	return &Demuxer{o: o, clock: media.NewUnwrapper(33), pmtPID: pidNull}
}

// Stats are the counts so far.
func (d *Demuxer) Stats() Stats { return d.stats }

// Write takes any piece of the stream. The error is the sink's, ErrNotTransportStream, ErrTooLarge or ErrParameterSets.
func (d *Demuxer) Write(p []byte) error {
	if len(d.rest) > 0 {
		n := min(PacketSize-len(d.rest), len(p))
		d.rest = append(d.rest, p[:n]...)
		if p = p[n:]; len(d.rest) < PacketSize {
			return nil
		}
		packet := d.rest
		d.rest = d.rest[:0]
		if err := d.packet(packet); err != nil {
			return err
		}
	}
	for len(p) >= PacketSize {
		if p[0] != syncByte || d.searching && len(p) > PacketSize && p[PacketSize] != syncByte {
			d.searching = true
			i := bytes.IndexByte(p[1:], syncByte) + 1
			if i == 0 {
				i = len(p)
			}
			if d.lost == 0 {
				d.stats.Resyncs++
			}
			if d.lost += i; d.lost > maxLost {
				return ErrNotTransportStream
			}
			p = p[i:]
			continue
		}
		d.searching = d.searching && len(p) == PacketSize // what follows is not seen yet
		if err := d.packet(p[:PacketSize]); err != nil {
			return err
		}
		p = p[PacketSize:]
	}
	if len(p) > 0 && p[0] != syncByte {
		i := bytes.IndexByte(p, syncByte)
		if i < 0 {
			i = len(p)
		}
		if d.lost += i; d.lost > maxLost {
			return ErrNotTransportStream
		}
		p = p[i:]
	}
	d.rest = append(d.rest, p...)
	return nil
}

// Flush gives away what is complete at the end of the input.
func (d *Demuxer) Flush() error {
	for _, s := range d.streams {
		if s == nil || len(s.pes) == 0 || s.want > 0 {
			continue
		}
		if err := d.finish(s); err != nil {
			return err
		}
	}
	return nil
}

// packet takes one transport packet (2.4.3.2).
func (d *Demuxer) packet(p []byte) error {
	if p[0] != syncByte {
		d.stats.Broken++
		return nil
	}
	if p[1]&0x80 != 0 { // transport_error_indicator: whatever it says
		d.stats.Broken++
		return nil
	}
	if !d.searching {
		d.lost = 0
	}
	pid := uint16(p[1]&0x1f)<<8 | uint16(p[2])
	start := p[1]&0x40 != 0
	scrambled, field, counter := p[3]>>6, p[3]>>4&3, p[3]&0xf
	if pid == pidNull || field == 0 || scrambled != 0 {
		return nil
	}
	payload := p[4:]
	discontinuity, stuffed := false, false
	if field&2 != 0 {
		n := int(payload[0])
		if n > len(payload)-1 {
			d.stats.Broken++
			return nil
		}
		discontinuity, stuffed = adaptation(payload[1 : 1+n])
		payload = payload[1+n:]
	}
	if field&1 == 0 || len(payload) == 0 {
		return nil
	}
	switch pid {
	case pidPAT:
		return d.pat.push(payload, start, func(table []byte) error { d.takePAT(table); return nil })
	case d.pmtPID:
		return d.pmt.push(payload, start, d.takePMT)
	}
	for _, s := range d.streams {
		if s != nil && s.pid == pid {
			return d.element(s, payload, start, counter, discontinuity, stuffed)
		}
	}
	return nil
}

// adaptation reads an adaptation field (2.4.3.4): whether it tells of a discontinuity, and whether there is stuffing in it, which
// only the last packet of an element needs.
func adaptation(f []byte) (discontinuity, stuffed bool) {
	if len(f) == 0 {
		return false, true // one byte had to be filled
	}
	need := 1
	if f[0]&0x10 != 0 { // PCR
		need += 6
	}
	if f[0]&0x08 != 0 { // OPCR
		need += 6
	}
	if f[0]&0x04 != 0 { // splice_countdown
		need++
	}
	if f[0]&0x03 != 0 { // private data or an extension: their lengths are of no use to us
		return f[0]&0x80 != 0, false
	}
	return f[0]&0x80 != 0, len(f) > need
}

// element takes one packet of a stream.
func (d *Demuxer) element(s *stream, payload []byte, start bool, counter byte, discontinuity, stuffed bool) error {
	if s.some && !discontinuity {
		switch {
		case counter == s.counter && !s.twice && bytes.Equal(payload, s.last): // sent twice, as 2.4.3.3 allows
			s.twice = true
			return nil
		case counter != (s.counter+1)&0xf: // also 15 packets lost in a row
			d.stats.Discontinuities++
			if len(s.pes) > 0 {
				d.stats.Broken++
			}
			s.drop()
		}
	}
	s.some, s.counter, s.twice = true, counter, false
	s.last = append(s.last[:0], payload...)
	if start {
		if err := d.finish(s); err != nil {
			return err
		}
		if !s.begin(payload) {
			d.stats.Broken++
			return nil
		}
	} else {
		if !s.open {
			if s.early { // it was given away too soon: this muxer stuffs in the middle
				s.early, s.patient = false, true
				d.stats.Broken++
			}
			return nil
		}
		if len(s.pes)+len(payload) > d.o.MaxPES {
			s.drop()
			return ErrTooLarge
		}
		s.pes = append(s.pes, payload...)
	}
	s.early = false
	switch {
	case s.want > 0 && len(s.pes) >= s.want:
		s.pes = s.pes[:s.want]
		return d.finish(s)
	case s.want == 0 && stuffed && !s.patient:
		if err := d.finish(s); err != nil {
			return err
		}
		s.early = true
	}
	return nil
}

// finish takes apart what was put together of a stream.
func (d *Demuxer) finish(s *stream) error {
	if !s.open { // given away already; what it left for the next stays
		s.early = false
		return nil
	}
	if len(s.pes) == 0 || s.want > len(s.pes) {
		if s.open && s.want > len(s.pes) {
			d.stats.Broken++
		}
		s.drop()
		return nil
	}
	data := s.pes
	s.open, s.usual = false, (3*s.usual+5*len(s.pes)/4)/4
	err := s.take(d, data)
	// What was read goes on in the sink; the next one has bytes of its own.
	s.pes = nil
	if errors.Is(err, errBroken) {
		d.stats.Broken++
		return nil
	}
	if err != nil {
		return fmt.Errorf("mpegts: %w", err)
	}
	return nil
}

// errBroken says that an element was not what it should be; it costs itself.
var errBroken = errors.New("broken element")
