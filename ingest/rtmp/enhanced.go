package rtmp

import (
	"mediad/media"
)

// Packet types of Enhanced RTMP v2 that video and audio number alike ("ExVideoTagHeader", "ExAudioTagHeader").
const (
	exSequenceStart = 0
	exCodedFrames   = 1
	exSequenceEnd   = 2
	exMultitrack    = 5 // audio; of video it is 6
	exModEx         = 7
)

// Packet types of video alone.
const (
	exCodedFramesX  = 3 // no composition time: it is 0
	exMetadata      = 4
	exMPEG2TSStart  = 5
	exVideoMultiple = 6
)

// exAudio is the SoundFormat that says that an Enhanced RTMP header follows.
const exAudio = 9

// modExNanos is the ModEx type that brings a timestamp offset in nanoseconds.
const modExNanos = 0

// maxNanos is the largest offset that means something: a message's own time is in milliseconds.
const maxNanos = 999_999

// exVideoCodecs and exAudioCodecs are what the FourCCs of E-RTMP name. Codecs that we do not carry are refused by
// exRefused.
var (
	exVideoCodecs = map[string]media.Codec{"avc1": media.H264, "hvc1": media.H265, "av01": media.AV1, "vp09": media.VP9}
	exAudioCodecs = map[string]media.Codec{"mp4a": media.AAC, "Opus": media.Opus}
	exRefused     = map[string]string{
		"vp08": "VP8 video", "vvc1": "VVC video",
		"ac-3": "AC-3 audio", "ec-3": "E-AC-3 audio", "fLaC": "FLAC audio", ".mp3": "MP3 audio",
	}
)

// parseExVideo reads an ExVideoTagHeader; the first bit of b is known to be set.
func parseExVideo(b []byte) (tag, error) {
	frame, typ := b[0]>>4&7, b[0]&0x0F
	b = b[1:]
	var t tag
	b, typ, err := t.modEx(b, typ)
	if err != nil {
		return tag{}, err
	}
	if typ != exMetadata && frame == frameCommand {
		return tag{}, nil
	}
	if typ == exVideoMultiple {
		return t.multitrack(b, exVideoMultiple, exVideoCodecs, "video of an unknown codec", useVideo)
	}
	return t.exVideo(b, typ)
}

// exVideo reads what follows the header: the codec, unless it is known already, and what is for its decoder.
func (t tag) exVideo(b []byte, typ byte) (tag, error) {
	var err error
	if t.Codec == media.CodecUnknown {
		if t.Codec, b, err = fourCC(b, exVideoCodecs, "video of an unknown codec", useVideo); err != nil {
			return tag{}, err
		}
	}
	switch typ {
	case exSequenceStart:
		t.Kind = tagConfig
	case exCodedFrames:
		t.Kind = tagFrame
		if t.Codec == media.H264 || t.Codec == media.H265 {
			if len(b) < 3 {
				return tag{}, errShort
			}
			t.Composition, b = int24(b), b[3:]
		}
	case exCodedFramesX:
		t.Kind = tagFrame
	case exSequenceEnd, exMetadata:
		// Nothing to carry: colour information stands in the bitstream too.
	case exMPEG2TSStart:
		return tag{}, refuseCodec("video described in MPEG-2 TS form", "a codec configuration record")
	}
	t.Payload = b
	return t, nil
}

// parseExAudio reads an ExAudioTagHeader.
func parseExAudio(b []byte) (tag, error) {
	typ := b[0] & 0x0F
	b = b[1:]
	var t tag
	b, typ, err := t.modEx(b, typ)
	if err != nil {
		return tag{}, err
	}
	if typ == exMultitrack {
		return t.multitrack(b, exMultitrack, exAudioCodecs, "audio of an unknown codec", useAudio)
	}
	return t.exAudio(b, typ)
}

// exAudio is exVideo for sound.
func (t tag) exAudio(b []byte, typ byte) (tag, error) {
	var err error
	if t.Codec == media.CodecUnknown {
		if t.Codec, b, err = fourCC(b, exAudioCodecs, "audio of an unknown codec", useAudio); err != nil {
			return tag{}, err
		}
	}
	switch typ {
	case exSequenceStart:
		t.Kind = tagConfig
	case exCodedFrames:
		t.Kind = tagFrame
	}
	t.Payload = b
	return t, nil
}

// modEx works off the modifiers in front of a packet and returns what follows them, and its packet type.
func (t *tag) modEx(b []byte, typ byte) ([]byte, byte, error) {
	for typ == exModEx {
		if len(b) < 1 {
			return nil, 0, errShort
		}
		n := int(b[0]) + 1
		if b = b[1:]; n == 256 {
			if len(b) < 2 {
				return nil, 0, errShort
			}
			n, b = int(b[0])<<8+int(b[1])+1, b[2:]
		}
		if len(b) < n+1 {
			return nil, 0, errShort
		}
		if b[n]>>4 == modExNanos && n >= 3 {
			t.Nanos = min(uint24(b), maxNanos)
		}
		typ, b = b[n]&0x0F, b[n+1:]
	}
	return b, typ, nil
}

// fourCC takes the codec's name off b.
func fourCC(b []byte, known map[string]media.Codec, unknown, use string) (media.Codec, []byte, error) {
	if len(b) < 4 {
		return 0, nil, errShort
	}
	if c, ok := known[string(b[:4])]; ok {
		return c, b[4:], nil
	}
	if name, ok := exRefused[string(b[:4])]; ok {
		unknown = name
	}
	return 0, nil, refuseCodec(unknown, use)
}
