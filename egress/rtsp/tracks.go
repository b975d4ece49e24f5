package rtsp

import (
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
	sets, err := t.ParameterSets()
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
		if data, err = o.track.NALs(au.Data, au.RandomAccess, o.sets); err != nil {
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
