package media

import (
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// NewAAC makes a track of an AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1). Timescale is the sample rate of the
// AAC-LC core and FrameSamples counts its samples: with SBR the sound has twice as many, in the same time. The bytes are copied.
func NewAAC(asc []byte) (*Track, error) {
	if len(asc) > maxConfig {
		return nil, fmt.Errorf("AudioSpecificConfig: %d bytes", len(asc))
	}
	var c mpeg4audio.AudioSpecificConfig
	if err := c.Unmarshal(asc); err != nil {
		return nil, fmt.Errorf("AudioSpecificConfig: %w", err)
	}
	if c.SampleRate < 7350 || c.SampleRate > 96000 {
		return nil, fmt.Errorf("AudioSpecificConfig: sample rate %d", c.SampleRate)
	}
	t := &Track{
		Kind: Audio, Codec: AAC, Timescale: Timescale(c.SampleRate),
		Config:     append([]byte(nil), asc...),
		SampleRate: c.SampleRate, FrameSamples: 1024,
	}
	if c.FrameLengthFlag {
		t.FrameSamples = 960
	}
	object := c.Type
	if c.ExtensionType != 0 {
		object = c.ExtensionType
	}
	t.rfc6381 = fmt.Sprintf("mp4a.40.%d", object)
	switch c.ChannelConfig {
	case 0:
		n, err := pceChannels(asc, c.ExtensionType != 0)
		if err != nil {
			return nil, fmt.Errorf("AudioSpecificConfig: program config element: %w", err)
		}
		t.Channels = n
	case 7:
		t.Channels = 8
	default:
		t.Channels = int(c.ChannelConfig)
	}
	return t, nil
}

// pceChannels counts the channels of the program config element that follows GASpecificConfig where channelConfiguration
// is 0. The element is shifted to where the library expects it: behind a 3-bit element id of 5.
func pceChannels(asc []byte, extended bool) (int, error) {
	r := bitReader{buf: asc}
	out := bitWriter{}
	rate := func() {
		if r.bits(4) == 15 {
			r.bits(24)
		}
	}
	r.bits(5) // audioObjectType
	rate()
	r.bits(4) // channelConfiguration
	if extended {
		rate()
		r.bits(5)
	}
	r.bit() // frameLengthFlag
	if r.bit() == 1 {
		r.bits(14) // coreCoderDelay
	}
	r.bit() // extensionFlag
	out.bits(5, 3)
	for r.pos < 8*len(asc) && !r.bad {
		out.bits(r.bit(), 1)
	}
	pce, err := mpeg4audio.ParsePCEFromRawDataBlock(out.buf)
	if err != nil {
		return 0, err
	}
	if pce.ChannelCount < 1 || pce.ChannelCount > 48 {
		return 0, errors.New("no channels")
	}
	return pce.ChannelCount, nil
}

// bitWriter appends single bits, most significant first.
type bitWriter struct {
	buf []byte
	n   int
}

func (w *bitWriter) bits(v uint32, n int) {
	for i := n - 1; i >= 0; i-- {
		if w.n%8 == 0 {
			w.buf = append(w.buf, 0)
		}
		w.buf[w.n/8] |= byte(v>>i&1) << (7 - w.n%8)
		w.n++
	}
}
