package rtsp

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph265"
	"github.com/pion/rtp"

	"mediad/media"
)

// NAL unit types (H.264 table 7-1, H.265 table 7-1).
const (
	h264SPS, h264PPS, h264AUD, h264Filler = 7, 8, 9, 12
	h265VPS, h265SPS, h265PPS             = 32, 33, 34
	h265AUD, h265Filler                   = 35, 38
)

// Parameter sets by their slot.
const (
	slotVPS = iota
	slotSPS
	slotPPS
	slots
)

// errMore says that a packet did not complete anything.
var errMore = errors.New("rtsp: more packets needed")

// assembler makes access units of RTP packets.
type assembler interface {
	Decode(pkt *rtp.Packet) ([][]byte, error)
}

// videoTrack makes access units of a H.264 or H.265 track.
type videoTrack struct {
	codec media.Codec
	asm   assembler
	sets  [slots][]byte // the newest parameter sets

	track *media.Track // nil until the parameter sets are known
	times decodeTimes

	// What the assembler holds: it gives a picture out with the packet of the next one where the marker is missing.
	held   bool
	heldAt uint32

	last    uint16 // sequence number
	any     bool
	damaged [2]damage // pictures that lost a packet: the one that was held, and the one that came
}

type damage struct {
	is bool
	at uint32
}

// picture is what an access unit's packets were made into.
type picture struct {
	timestamp uint32
	nals      [][]byte // without delimiters and filler
	changed   bool     // the track is another than before
	damaged   bool     // a packet is missing in it or in front of it
}

func newVideoTrack(f format.Format) (*videoTrack, error) {
	switch f := f.(type) {
	case *format.H264:
		asm, err := f.CreateDecoder()
		if err != nil {
			return nil, err
		}
		v := &videoTrack{codec: media.H264, asm: asm}
		v.sets[slotSPS], v.sets[slotPPS] = f.SafeParams()
		v.configure()
		return v, nil
	case *format.H265:
		asm, err := f.CreateDecoder()
		if err != nil {
			return nil, err
		}
		v := &videoTrack{codec: media.H265, asm: asm}
		v.sets[slotVPS], v.sets[slotSPS], v.sets[slotPPS] = f.SafeParams()
		v.configure()
		return v, nil
	default:
		return nil, errors.New("rtsp: not H.264 or H.265")
	}
}

// push takes a packet and returns the picture that it completes, else errMore.
func (v *videoTrack) push(pkt *rtp.Packet) (picture, error) {
	if v.any && pkt.SequenceNumber != v.last+1 {
		v.damaged = [2]damage{{v.held, v.heldAt}, {true, pkt.Timestamp}}
	}
	v.last, v.any = pkt.SequenceNumber, true

	nals, err := v.asm.Decode(pkt)
	switch {
	case errors.Is(err, rtph264.ErrMorePacketsNeeded), errors.Is(err, rtph265.ErrMorePacketsNeeded):
		if !v.held {
			v.held, v.heldAt = true, pkt.Timestamp
		}
		return picture{}, errMore
	case errors.Is(err, rtph264.ErrNonStartingPacketAndNoPrevious), errors.Is(err, rtph265.ErrNonStartingPacketAndNoPrevious):
		return picture{}, errMore // we came in the middle of a picture
	case err != nil:
		v.held = false
		return picture{}, err
	}
	p := picture{timestamp: pkt.Timestamp}
	if v.held && v.heldAt != pkt.Timestamp {
		p.timestamp, v.heldAt = v.heldAt, pkt.Timestamp
	} else {
		v.held = false
	}
	for i := range v.damaged {
		if d := &v.damaged[i]; d.is && d.at == p.timestamp {
			p.damaged, d.is = true, false
		}
	}
	p.nals = v.sift(nals)
	p.changed = v.learn(p.nals)
	return p, nil
}

// sift leaves out what no sample has.
func (v *videoTrack) sift(nals [][]byte) [][]byte {
	kept := make([][]byte, 0, len(nals))
	for _, n := range nals {
		if len(n) == 0 {
			continue
		}
		switch typ := n[0] & 0x1F; {
		case v.codec == media.H264 && (typ == h264AUD || typ == h264Filler):
			continue
		case v.codec == media.H265 && (n[0]>>1&0x3F == h265AUD || n[0]>>1&0x3F == h265Filler || len(n) < 2):
			continue
		}
		kept = append(kept, n)
	}
	return kept
}

// learn looks for parameter sets, and reports whether the track is another one now. Of each kind an access unit's
// first one counts.
func (v *videoTrack) learn(nals [][]byte) bool {
	var found [slots]bool
	changed := false
	for _, n := range nals {
		slot := v.slot(n)
		if slot < 0 || found[slot] {
			continue
		}
		found[slot] = true
		if !bytes.Equal(v.sets[slot], n) {
			v.sets[slot] = bytes.Clone(n)
			changed = true
		}
	}
	return changed && v.configure()
}

func (v *videoTrack) slot(n []byte) int {
	if v.codec == media.H265 {
		if typ := n[0] >> 1 & 0x3F; typ >= h265VPS && typ <= h265PPS {
			return slotVPS + int(typ-h265VPS)
		}
		return -1
	}
	switch n[0] & 0x1F {
	case h264SPS:
		return slotSPS
	case h264PPS:
		return slotPPS
	}
	return -1
}

// configure makes the track of the parameter sets, and reports whether it is another than before. Sets that make none
// are forgotten.
func (v *videoTrack) configure() bool {
	vps, sps, pps := v.sets[slotVPS], v.sets[slotSPS], v.sets[slotPPS]
	if len(sps) == 0 || len(pps) == 0 || v.codec == media.H265 && len(vps) == 0 {
		return false
	}
	t, err := makeTrack(v.codec, vps, sps, pps)
	if err != nil {
		v.sets = [slots][]byte{}
		return false
	}
	if t.Same(v.track) {
		return false
	}
	v.track = t
	v.times = newDecodeTimes(t, sps)
	return true
}

func makeTrack(codec media.Codec, vps, sps, pps []byte) (*media.Track, error) {
	if codec == media.H265 {
		record, err := media.HVCC(vps, sps, pps)
		if err != nil {
			return nil, err
		}
		return media.NewH265(record)
	}
	record, err := media.AVCC(sps, pps)
	if err != nil {
		return nil, err
	}
	return media.NewH264(record)
}

// sampleSize is how many bytes sample makes of NAL units.
func sampleSize(nals [][]byte) int {
	size := 0
	for _, n := range nals {
		size += 4 + len(n)
	}
	return size
}

// sample is NAL units behind their lengths, in one piece.
func sample(nals [][]byte) []byte {
	data := make([]byte, 0, sampleSize(nals))
	for _, n := range nals {
		data = binary.BigEndian.AppendUint32(data, uint32(len(n)))
		data = append(data, n...)
	}
	return data
}
