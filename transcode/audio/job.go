package audio

import (
	"fmt"
	"strconv"

	"mediad/media"
	"mediad/transcode/nut"
)

// rate is that of all that is made, which is its timescale too.
const rate = 48000

const (
	// aacFrame is how many samples a frame of AAC lasts, opusFrame an Opus packet that is made: 20 ms.
	aacFrame  = 1024
	opusFrame = 960
	// opusBitrate is good for music in stereo.
	opusBitrate = 96_000
	// maxUnit is the longest unit that is taken, in bytes; a second of PCM has less.
	maxUnit = 1 << 20
	// leastGap is how much must be missing of Opus until it is filled, in samples: half a packet.
	leastGap = opusFrame / 2
)

// silence is an Opus packet of 20 ms (RFC 6716 3.1: CELT, full band, stereo) with nothing in it.
var silence = []byte{0xfc, 0xff, 0xfe}

// job is what becomes of what.
type job struct {
	name  string          // in logs
	scale media.Timescale // of what goes in
	from  nut.Stream

	// samples is how long a unit lasts, in scale; 0: it is none.
	samples func(data []byte) media.Ticks
	// fill is what stands for missing sound, and how long it lasts; nil: its place stays empty.
	fill func(gap media.Ticks) ([]byte, media.Ticks)

	to    []string    // FFmpeg's options for the encoder
	frame media.Ticks // samples of what comes out, a unit
}

func toAAC(bitrate int) []string {
	return []string{"-c:a", "aac", "-b:a", strconv.Itoa(bitrate)}
}

func toOpus() []string {
	return []string{"-c:a", "libopus", "-b:a", strconv.Itoa(opusBitrate), "-application", "lowdelay", "-frame_duration", "20"}
}

// newTrack is the AAC-LC, 48 kHz, stereo that children make.
func newTrack() (*media.Track, error) { return media.NewAAC([]byte{0x11, 0x90}) }

// opusToAAC: a packet's time is that of the first sample that a decoder makes of it, so nothing is to be skipped at the beginning.
func opusToAAC(t *media.Track, bitrate int) job {
	channels := max(t.Channels, 1)
	head := append([]byte("OpusHead"), 1, byte(channels), 0, 0, 0x80, 0xbb, 0, 0, 0, 0, 0)
	return job{
		name: "Opus to AAC", scale: t.Timescale,
		from: nut.Stream{
			Class: nut.Audio, FourCC: "Opus", TimeBase: media.Rational{Num: 1, Den: uint32(t.Timescale)}, Extra: head,
			SampleRate: rate, Channels: channels,
		},
		samples: media.OpusSamples,
		fill: func(gap media.Ticks) ([]byte, media.Ticks) {
			if gap < leastGap {
				return nil, 0
			}
			return silence, opusFrame
		},
		to: toAAC(bitrate), frame: aacFrame,
	}
}

// aacToOpus: a lost frame cannot be made up in every configuration, so its place stays empty.
func aacToOpus(t *media.Track) (job, error) {
	if t.Codec != media.AAC || t.FrameSamples <= 0 {
		return job{}, fmt.Errorf("sound: no Opus of %v", t.Codec)
	}
	return job{
		name: "AAC to Opus", scale: t.Timescale,
		from: nut.Stream{
			Class: nut.Audio, FourCC: "\xff\x00\x00\x00", TimeBase: media.Rational{Num: 1, Den: uint32(t.Timescale)}, Extra: t.Config,
			SampleRate: t.SampleRate, Channels: max(t.Channels, 1),
		},
		samples: func([]byte) media.Ticks { return media.Ticks(t.FrameSamples) },
		to:      toOpus(), frame: opusFrame,
	}, nil
}

// pcmToAAC: what is missing of it is zeros.
func pcmToAAC(f PCM, bitrate int) job {
	width := 2 * f.Channels
	return job{
		name: "PCM to AAC", scale: media.Timescale(f.Rate),
		from: nut.Stream{
			Class: nut.Audio, FourCC: "PSD\x10", TimeBase: media.Rational{Num: 1, Den: uint32(f.Rate)},
			SampleRate: f.Rate, Channels: f.Channels,
		},
		samples: func(data []byte) media.Ticks { return media.Ticks(len(data) / width) },
		fill: func(gap media.Ticks) ([]byte, media.Ticks) {
			return make([]byte, int(gap)*width), gap
		},
		to: toAAC(bitrate), frame: aacFrame,
	}
}
