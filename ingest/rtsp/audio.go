package rtsp

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpfragmented"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/g711"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"

	"mediad/media"
)

// maxAudioFrames bounds what one packet may hold: with 2 bytes a frame, which no encoder gets by with, it is a packet full.
const maxAudioFrames = 1024

// audioTrack makes frames of an audio track.
type audioTrack struct {
	rate  media.Timescale // of the RTP clock
	track *media.Track    // nil where it comes with the packets, or where the sound is transcoded
	pcm   *PCM            // what frames are that must be transcoded; nil: they are track's

	// decode returns the frames of a packet, errMore where it completes none, and the track if it is another one.
	decode func(pkt *rtp.Packet) (frames [][]byte, track *media.Track, err error)
}

// newAudioTrack makes one, nil if the format is none that is known.
func newAudioTrack(f format.Format) (*audioTrack, error) {
	switch f := f.(type) {
	case *format.MPEG4Audio:
		return newAAC(f)
	case *format.MPEG4AudioLATM:
		return newLATM(f)
	case *format.Opus:
		return newOpus(f)
	case *format.G711:
		return newG711(f)
	default:
		return nil, nil
	}
}

func newAAC(f *format.MPEG4Audio) (*audioTrack, error) {
	t, err := aacTrack(f.Config)
	if err != nil {
		return nil, err
	}
	dec, err := f.CreateDecoder()
	if err != nil {
		return nil, err
	}
	return &audioTrack{rate: outputRate(f.Config), track: t, decode: func(pkt *rtp.Packet) ([][]byte, *media.Track, error) {
		frames, err := dec.Decode(pkt)
		if errors.Is(err, rtpmpeg4audio.ErrMorePacketsNeeded) {
			err = errMore
		}
		return frames, nil, err
	}}, nil
}

func newLATM(f *format.MPEG4AudioLATM) (*audioTrack, error) {
	dec, err := f.CreateDecoder()
	if err != nil {
		return nil, err
	}
	l := &latm{dec: dec, inBand: f.CPresent, config: f.StreamMuxConfig}
	a := &audioTrack{rate: media.VideoTimescale, decode: l.decode}
	if !f.CPresent {
		asc := configOf(f.StreamMuxConfig)
		if asc == nil {
			return nil, errors.New("rtsp: LATM without a layer")
		}
		if a.track, err = aacTrack(asc); err != nil {
			return nil, err
		}
		a.rate = outputRate(asc)
	}
	return a, nil
}

// latm takes AAC out of audio mux elements (ISO/IEC 14496-3 1.7.3).
type latm struct {
	dec    *rtpfragmented.Decoder
	inBand bool
	config *mpeg4audio.StreamMuxConfig
}

func (l *latm) decode(pkt *rtp.Packet) ([][]byte, *media.Track, error) {
	data, err := l.dec.Decode(pkt)
	if errors.Is(err, rtpfragmented.ErrMorePacketsNeeded) {
		return nil, nil, errMore
	} else if err != nil {
		return nil, nil, err
	}
	e := mpeg4audio.AudioMuxElement{MuxConfigPresent: l.inBand, StreamMuxConfig: l.config}
	if err := e.Unmarshal(data); err != nil {
		if l.config == nil {
			return nil, nil, errMore // no configuration yet
		}
		return nil, nil, err
	}
	var t *media.Track
	if l.inBand && e.StreamMuxConfig != l.config {
		asc := configOf(e.StreamMuxConfig)
		if asc == nil {
			return nil, nil, errors.New("rtsp: LATM without a layer")
		}
		if t, err = aacTrack(asc); err != nil {
			return nil, nil, err
		}
		l.config = e.StreamMuxConfig
	}
	var frames [][]byte
	for _, sub := range e.Payloads {
		if len(sub) > 0 && len(sub[0]) > 0 && len(frames) < maxAudioFrames {
			frames = append(frames, sub[0][0])
		}
	}
	return frames, t, nil
}

func configOf(c *mpeg4audio.StreamMuxConfig) *mpeg4audio.AudioSpecificConfig {
	if c == nil || len(c.Programs) == 0 || len(c.Programs[0].Layers) == 0 {
		return nil
	}
	return c.Programs[0].Layers[0].AudioSpecificConfig
}

func aacTrack(c *mpeg4audio.AudioSpecificConfig) (*media.Track, error) {
	asc, err := c.Marshal()
	if err != nil {
		return nil, err
	}
	return media.NewAAC(asc)
}

// outputRate is the rate of what is heard, which the RTP clock of AAC counts by: with SBR twice that of the core.
func outputRate(c *mpeg4audio.AudioSpecificConfig) media.Timescale {
	return media.Timescale(max(c.SampleRate, c.ExtensionSampleRate))
}

// opusPreSkip is what decoders drop at the start: RTP does not tell, encoders delay by this much (RFC 7845 5.1).
const opusPreSkip = 312

func newOpus(f *format.Opus) (*audioTrack, error) {
	if f.ChannelCount > 2 {
		return nil, fmt.Errorf("rtsp: Opus with %d channels", f.ChannelCount)
	}
	// The fields of a dOps box (Encapsulation of Opus in ISO BMFF 4.3.2). What is sent is stereo whatever sprop-stereo
	// says: packets tell for themselves.
	dOps := binary.BigEndian.AppendUint16([]byte{0, 2}, opusPreSkip)
	dOps = binary.BigEndian.AppendUint32(dOps, 48000)
	t, err := media.NewOpus(append(dOps, 0, 0, 0))
	if err != nil {
		return nil, err
	}
	return &audioTrack{rate: 48000, track: t, decode: func(pkt *rtp.Packet) ([][]byte, *media.Track, error) {
		if len(pkt.Payload) == 0 {
			return nil, nil, errMore
		}
		return [][]byte{pkt.Payload}, nil, nil
	}}, nil
}

func newG711(f *format.G711) (*audioTrack, error) {
	if f.ChannelCount < 1 || f.ChannelCount > 2 || f.SampleRate < 8000 || f.SampleRate > 48000 {
		return nil, fmt.Errorf("rtsp: G.711 with %d channels at %d Hz", f.ChannelCount, f.SampleRate)
	}
	expand := func(b []byte) []byte {
		var pcm g711.Alaw
		pcm.Unmarshal(b)
		return pcm
	}
	if f.MULaw {
		expand = func(b []byte) []byte {
			var pcm g711.Mulaw
			pcm.Unmarshal(b)
			return pcm
		}
	}
	return &audioTrack{rate: media.Timescale(f.SampleRate), pcm: &PCM{Rate: f.SampleRate, Channels: f.ChannelCount},
		decode: func(pkt *rtp.Packet) ([][]byte, *media.Track, error) {
			if len(pkt.Payload) == 0 || len(pkt.Payload)%f.ChannelCount != 0 {
				return nil, nil, errors.New("rtsp: G.711 packet without whole samples")
			}
			pcm := expand(pkt.Payload)
			for i := 0; i+1 < len(pcm); i += 2 { // the library writes big-endian
				pcm[i], pcm[i+1] = pcm[i+1], pcm[i]
			}
			return [][]byte{pcm}, nil, nil
		}}, nil
}
