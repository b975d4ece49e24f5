package mpegts

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"mediad/media"
)

const (
	// maxNALs is how many NAL units one picture may have.
	maxNALs = 1024
	// maxBlind is how many pictures may come behind parameter sets that cannot be read before nothing is hoped for: a few seconds,
	// in which a sender that was only garbled has sent them again.
	maxBlind = 100
)

// set says which parameter set a NAL unit is.
type set uint8

const (
	noSet set = iota
	vps
	sps
	pps
	worthless // delimiters and filler
	sets      = worthless
)

// setOf classifies a NAL unit by its type (H.264 table 7-1, H.265 table 7-1).
func (s *stream) setOf(nal []byte) set {
	if s.codec == media.H264 {
		switch nal[0] & 0x1f {
		case 7:
			return sps
		case 8:
			return pps
		case 9, 10, 11, 12:
			return worthless
		}
		return noSet
	}
	switch nal[0] >> 1 & 0x3f {
	case 32:
		return vps
	case 33:
		return sps
	case 34:
		return pps
	case 35, 36, 37, 38:
		return worthless
	}
	return noSet
}

// takeVideo takes the picture of one element: annex B, with its parameter sets in front of key frames.
func (s *stream) takeVideo(d *Demuxer, data []byte) error {
	if !s.hasTime {
		return errBroken
	}
	dts, pts := s.times(d)
	out := make([]byte, 0, len(data)+64)
	var found [sets][]byte
	n := 0
	for nal := range nals(data) {
		if n++; n > maxNALs {
			return errBroken
		}
		kind := s.setOf(nal)
		if kind == worthless {
			continue
		}
		if kind != noSet && found[kind] == nil { // the first of its kind goes into the track, any other stays where it is
			found[kind] = nal
			continue
		}
		out = binary.BigEndian.AppendUint32(out, uint32(len(nal)))
		out = append(out, nal...)
	}
	if err := s.configure(d, found[vps], found[sps], found[pps]); err != nil {
		return err
	}
	if s.track == nil && s.unreadable != nil {
		if s.blind++; s.blind > maxBlind {
			return fmt.Errorf("%w: %w", ErrParameterSets, s.unreadable)
		}
	}
	if s.track == nil || len(out) == 0 {
		return nil
	}
	class, err := media.ClassifyUnit(s.track, out)
	if err != nil {
		return errBroken
	}
	if class.Empty {
		return nil
	}
	return d.o.Sink.Write(media.AccessUnit{
		Kind: media.Video, DTS: dts, PTS: pts, Data: out,
		RandomAccess: class.RandomAccess, OpenGOP: class.OpenGOP, Disposable: class.Disposable,
	})
}

// configure makes a track of new parameter sets.
func (s *stream) configure(d *Demuxer, v, sp, pp []byte) error {
	for _, one := range []struct {
		kept *[]byte
		new  []byte
	}{{&s.vps, v}, {&s.sps, sp}, {&s.pps, pp}} {
		if one.new != nil && !bytes.Equal(*one.kept, one.new) {
			*one.kept = bytes.Clone(one.new)
			s.fresh = true
		}
	}
	if !s.fresh || s.sps == nil || s.pps == nil || s.codec == media.H265 && s.vps == nil {
		return nil
	}
	s.fresh = false
	t, err := s.readSets()
	if s.unreadable = err; err != nil {
		return errBroken
	}
	s.track, s.blind = t, 0
	return d.o.Sink.Track(media.Video, t)
}

func (s *stream) readSets() (*media.Track, error) {
	if s.codec == media.H265 {
		record, err := media.HVCC(s.vps, s.sps, s.pps)
		if err != nil {
			return nil, err
		}
		return media.NewH265(record)
	}
	record, err := media.AVCC(s.sps, s.pps)
	if err != nil {
		return nil, err
	}
	return media.NewH264(record)
}

// nals goes over the NAL units of an annex B byte stream (H.264 B.1, H.265 B.1).
func nals(b []byte) func(yield func(nal []byte) bool) {
	return func(yield func(nal []byte) bool) {
		_, b, ok := bytes.Cut(b, startCode)
		for ok {
			var nal []byte
			nal, b, ok = bytes.Cut(b, startCode)
			if nal = bytes.TrimRight(nal, "\x00"); len(nal) > 0 && !yield(nal) {
				return
			}
		}
	}
}

var startCode = []byte{0, 0, 1}
