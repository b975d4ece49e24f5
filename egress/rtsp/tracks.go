package rtsp

import (
	"encoding/binary"
	"errors"

	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph265"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmpeg4audio"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpsimpleaudio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"

	"mediad/media"
)

// Payload types, of those that have no fixed meaning.
const (
	payloadVideo = 96
	payloadAudio = 97
)

var errTrack = errors.New("rtsp: a track that RTSP does not carry")

// out is a track on its way out.
type out struct {
	track *media.Track
	media *description.Media
	rate  media.Timescale // of the RTP clock
	sets  [][]byte        // H.264, H.265: what stands before every key frame

	encode func(data [][]byte) ([]*rtp.Packet, error)
	update func(sets [][]byte) // tells the description other parameter sets
}

// newOut makes the way out of a track: H.264, H.265, AAC or Opus.
func newOut(t *media.Track) (*out, error) {
	switch t.Codec {
	case media.H264:
		f := &format.H264{PayloadTyp: payloadVideo, PacketizationMode: 1}
		e := &rtph264.Encoder{PayloadType: payloadVideo, PacketizationMode: 1}
		o := &out{encode: e.Encode, update: func(sets [][]byte) { f.SafeSetParams(sets[0], sets[1]) }}
		return o.describe(t, f, e.Init())
	case media.H265:
		f := &format.H265{PayloadTyp: payloadVideo}
		e := &rtph265.Encoder{PayloadType: payloadVideo}
		o := &out{encode: e.Encode, update: func(sets [][]byte) { f.SafeSetParams(sets[0], sets[1], sets[2]) }}
		return o.describe(t, f, e.Init())
	case media.AAC:
		var asc mpeg4audio.AudioSpecificConfig
		if err := asc.Unmarshal(t.Config); err != nil {
			return nil, err
		}
		f := &format.MPEG4Audio{PayloadTyp: payloadAudio, Config: &asc, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3}
		e := &rtpmpeg4audio.Encoder{PayloadType: payloadAudio, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3}
		// With SBR the description tells the rate of what is heard, and the RTP clock is that.
		rate := media.Timescale(max(asc.SampleRate, asc.ExtensionSampleRate))
		return (&out{encode: e.Encode, rate: rate}).describe(t, f, e.Init())
	case media.Opus:
		f := &format.Opus{PayloadTyp: payloadAudio, ChannelCount: t.Channels}
		e := &rtpsimpleaudio.Encoder{PayloadType: payloadAudio}
		o := &out{encode: func(data [][]byte) ([]*rtp.Packet, error) {
			p, err := e.Encode(data[0])
			return []*rtp.Packet{p}, err
		}}
		return o.describe(t, f, e.Init())
	default:
		return nil, errTrack
	}
}

func (o *out) describe(t *media.Track, f format.Format, err error) (*out, error) {
	if err != nil {
		return nil, err
	}
	typ := description.MediaTypeVideo
	if t.Kind == media.Audio {
		typ = description.MediaTypeAudio
	}
	if o.rate == 0 {
		o.rate = t.Timescale
	}
	o.media = &description.Media{Type: typ, Formats: []format.Format{f}}
	return o, o.set(t)
}

// set goes on with another track of the same codec.
func (o *out) set(t *media.Track) error {
	sets, err := parameterSets(t)
	if err != nil {
		return err
	}
	o.track, o.sets = t, sets
	if o.update != nil {
		o.update(sets)
	}
	return nil
}

// continues reports whether a description with old holds for t as well.
func continues(old, t *media.Track) bool {
	if old == nil || t == nil {
		return old == t
	}
	if old.Kind == media.Video {
		return old.Codec == t.Codec // parameter sets stand before every key frame
	}
	return old.Same(t)
}

// packets makes the packets of one unit, at its timestamp.
func (o *out) packets(au *media.AccessUnit) ([]*rtp.Packet, error) {
	data := [][]byte{au.Data}
	if o.track.Kind == media.Video {
		var err error
		if data, err = o.nals(au); err != nil {
			return nil, err
		}
	}
	pkts, err := o.encode(data)
	if err != nil {
		return nil, err
	}
	for _, p := range pkts {
		p.Timestamp = o.timestamp(au.PTS)
	}
	return pkts, nil
}

func (o *out) timestamp(pts media.Ticks) uint32 {
	return uint32(media.Rescale(pts, o.track.Timescale, o.rate))
}

// nals takes a sample apart; before a key frame stand the parameter sets, once.
func (o *out) nals(au *media.AccessUnit) ([][]byte, error) {
	var nals [][]byte
	if au.RandomAccess {
		nals = append(nals, o.sets...)
	}
	for data := au.Data; len(data) > 0; {
		if len(data) < 4 {
			return nil, media.ErrTruncated
		}
		n := binary.BigEndian.Uint32(data)
		if uint64(n) > uint64(len(data)-4) {
			return nil, media.ErrTruncated
		}
		nal := data[4 : 4+n]
		data = data[4+n:]
		if n > 0 && (!au.RandomAccess || !o.isSet(nal)) {
			nals = append(nals, nal)
		}
	}
	return nals, nil
}

func (o *out) isSet(nal []byte) bool {
	if o.track.Codec == media.H265 {
		typ := nal[0] >> 1 & 0x3F
		return typ >= 32 && typ <= 34
	}
	typ := nal[0] & 0x1F
	return typ == 7 || typ == 8
}

// parameterSets are those in a track's configuration, in the order in which they are sent. There is at least one of each.
func parameterSets(t *media.Track) ([][]byte, error) {
	switch t.Codec {
	case media.H264:
		sps, pps := t.H264ParameterSets()
		if len(sps) == 0 || len(pps) == 0 {
			return nil, errTrack
		}
		return append([][]byte{sps[0]}, pps...), nil
	case media.H265:
		return hevcSets(t.Config)
	default:
		return nil, nil
	}
}

// hevcSets reads the parameter sets out of an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 8.3.3.1).
func hevcSets(record []byte) ([][]byte, error) {
	const header, vps, pps = 22, 32, 34
	if len(record) <= header {
		return nil, media.ErrTruncated
	}
	var sets [3][]byte
	arrays, b := int(record[header]), record[header+1:]
	for range arrays {
		if len(b) < 3 {
			return nil, media.ErrTruncated
		}
		typ, n := b[0]&0x3F, int(binary.BigEndian.Uint16(b[1:]))
		b = b[3:]
		for range n {
			if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
				return nil, media.ErrTruncated
			}
			size := int(binary.BigEndian.Uint16(b))
			if typ >= vps && typ <= pps && sets[typ-vps] == nil && size > 0 {
				sets[typ-vps] = b[2 : 2+size]
			}
			b = b[2+size:]
		}
	}
	if sets[0] == nil || sets[1] == nil || sets[2] == nil {
		return nil, errTrack
	}
	return sets[:], nil
}
