package rtmp

import (
	"fmt"

	"mediad/live"
	"mediad/media"
)

// tagKind says what the body of an audio or video message is for.
type tagKind uint8

const (
	tagNothing tagKind = iota // seek commands, metadata, end of sequence: nothing to carry
	tagConfig                 // Payload is a decoder configuration
	tagFrame                  // Payload is coded media
	tagTracks                 // Payload is of several tracks; see tag.next
)

// tag is the parsed header of an audio or video message, legacy or Enhanced RTMP.
type tag struct {
	Kind  tagKind
	Codec media.Codec
	// Composition is PTS − DTS in milliseconds; Nanos is added to both.
	Composition int32
	Nanos       uint32
	// Track is the track's number: 0 is the default one, and that of every message without a number.
	Track uint8
	// multi and packet are of tagTracks: how tracks are told apart, and the packet type of all of them.
	multi, packet byte
	unknown       error // why Codec is not known
	// Payload is the rest of the message's buffer.
	Payload []byte
}

const (
	useVideo = "H.264 (or H.265, AV1 or VP9 by Enhanced RTMP)"
	useAudio = "AAC (or Opus by Enhanced RTMP)"
)

var errShort = live.Refuse(live.ReasonMediaInvalid, fmt.Errorf("rtmp: message shorter than its header"))

// legacyVideo names the CodecIDs of FLV (video_file_format_spec_v10_1 E.4.3.1) that are refused.
var legacyVideo = [16]string{1: "JPEG video", 2: "Sorenson H.263 video", 3: "Screen Video", 4: "VP6 video", 5: "VP6 video with alpha", 6: "Screen Video 2"}

// legacyAudio names the SoundFormats (E.4.2.1) that are refused.
var legacyAudio = [16]string{
	0: "uncompressed audio", 1: "ADPCM audio", 2: "MP3 audio", 3: "uncompressed audio", 4: "Nellymoser audio",
	5: "Nellymoser audio", 6: "Nellymoser audio", 7: "G.711 audio", 8: "G.711 audio", 11: "Speex audio",
	13: "Opus audio by its old number", 14: "MP3 audio", 15: "device-specific audio",
}

const (
	legacyAVC  = 7
	legacyHEVC = 12 // never standardised; hardware encoders and forks of FFmpeg send it, laid out as AVC is
	legacyAAC  = 10

	frameCommand = 5 // FrameType of a message without a picture
)

// parseVideo reads the header of a video message.
func parseVideo(b []byte) (tag, error) {
	if len(b) < 1 {
		return tag{}, errShort
	}
	if b[0]&0x80 != 0 {
		return parseExVideo(b)
	}
	var codec media.Codec
	switch id := b[0] & 0x0F; id {
	case legacyAVC:
		codec = media.H264
	case legacyHEVC:
		codec = media.H265
	default:
		name := legacyVideo[id]
		if name == "" {
			name = fmt.Sprintf("video of FLV codec %d", id)
		}
		return tag{}, refuseCodec(name, useVideo)
	}
	if b[0]>>4 == frameCommand {
		return tag{}, nil
	}
	if len(b) < 5 {
		return tag{}, errShort
	}
	t := tag{Codec: codec, Composition: int24(b[2:]), Payload: b[5:]}
	switch b[1] {
	case 0:
		t.Kind = tagConfig
	case 1:
		t.Kind = tagFrame
	}
	return t, nil
}

// parseAudio reads the header of an audio message.
func parseAudio(b []byte) (tag, error) {
	if len(b) < 1 {
		return tag{}, errShort
	}
	switch id := b[0] >> 4; id {
	case exAudio:
		return parseExAudio(b)
	case legacyAAC:
		if len(b) < 2 {
			return tag{}, errShort
		}
		t := tag{Codec: media.AAC, Payload: b[2:]}
		switch b[1] {
		case 0:
			t.Kind = tagConfig
		case 1:
			t.Kind = tagFrame
		}
		return t, nil
	default:
		name := legacyAudio[id]
		if name == "" {
			name = fmt.Sprintf("audio of FLV format %d", id)
		}
		return tag{}, refuseCodec(name, useAudio)
	}
}

// int24 reads a signed 24-bit number.
func int24(b []byte) int32 { return int32(uint24(b)<<8) >> 8 }

func uint24(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }
