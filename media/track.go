package media

import "fmt"

// Kind tells video from audio. It is also the index of a track in every per-track array.
type Kind uint8

// The kinds of track.
const (
	Video Kind = iota
	Audio
	// Kinds is how many there are.
	Kinds = 2
)

func (k Kind) String() string {
	switch k {
	case Video:
		return "video"
	case Audio:
		return "audio"
	default:
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
}

// Codec names a coding format.
type Codec uint8

// The codecs that a publisher may name. Those after VP8 are known only to be refused by their name.
const (
	CodecUnknown Codec = iota
	H264
	H265
	AV1
	VP9
	AAC
	Opus
	VP8
	AC3
	EAC3
	FLAC
	MP3
)

var codecNames = [...]string{"unknown", "H.264", "H.265", "AV1", "VP9", "AAC", "Opus", "VP8", "AC-3", "E-AC-3", "FLAC", "MP3"}

func (c Codec) String() string {
	if int(c) < len(codecNames) {
		return codecNames[c]
	}
	return codecNames[CodecUnknown]
}

// Rational is a positive fraction such as a frame rate; the zero value means not known.
type Rational struct{ Num, Den uint32 }

// Float is r as a number, 0 if r is not known.
func (r Rational) Float() float64 {
	if r.Den == 0 {
		return 0
	}
	return float64(r.Num) / float64(r.Den)
}

// Track is one elementary stream. It is immutable once made by one of the New… functions of this package, which
// parse the decoder configuration; a publisher whose configuration changes has a new Track.
type Track struct {
	Kind      Kind
	Codec     Codec
	Timescale Timescale // VideoTimescale, or the audio sample rate

	// Config is the body of the codec's configuration box: avcC, hvcC, av1C, vpcC, dOps; for AAC the
	// AudioSpecificConfig.
	Config []byte

	// Video. FrameRate is what the bitstream promises, not what is measured.
	Width, Height int
	FrameRate     Rational

	// Audio. FrameSamples is how many samples, at Timescale, one access unit lasts.
	SampleRate, Channels int
	FrameSamples         int

	rfc6381     string
	topSubLayer uint8 // H.265: sps_max_sub_layers_minus1
	transfer    uint8 // transfer characteristics of ISO/IEC 23091-2; 0: not said
}

// RFC6381 is the track's entry of a CODECS attribute, such as avc1.64001f, hvc1.1.6.L93.B0, mp4a.40.2.
func (t *Track) RFC6381() string { return t.rfc6381 }

// VideoRange is the track's VIDEO-RANGE (rfc8216bis 4.4.6.2): PQ, HLG, or SDR for all other transfer characteristics and where
// the bitstream says nothing.
func (t *Track) VideoRange() string {
	switch t.transfer {
	case 16:
		return "PQ"
	case 18:
		return "HLG"
	default:
		return "SDR"
	}
}

// Same reports whether both tracks decode with one configuration, so that no new epoch is needed
// between them. A nil track equals only nil.
func (t *Track) Same(o *Track) bool {
	if t == nil || o == nil {
		return t == o
	}
	return t.Codec == o.Codec && t.Timescale == o.Timescale && string(t.Config) == string(o.Config)
}
