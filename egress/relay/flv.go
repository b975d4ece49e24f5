package relay

import (
	"encoding/binary"
	"fmt"

	"mediad/live"
	"mediad/media"
	"mediad/media/amf0"
)

// Headers of FLV (video_file_format_spec_v10_1 E.4) and Enhanced RTMP ("ExVideoTagHeader", "ExAudioTagHeader").
const (
	legacyAVC = 7
	legacyAAC = 0xAF // AAC, and three constants that AAC has here

	enhanced        = 0x80
	exAudio         = 9 << 4
	exSequenceStart = 0
	exCodedFrames   = 1
	exCodedFramesX  = 3

	frameKey   = 1 << 4
	frameInter = 2 << 4
)

// fourCCs name the codecs that go by Enhanced RTMP only.
var fourCCs = map[media.Codec]string{media.H265: "hvc1", media.AV1: "av01", media.VP9: "vp09", media.Opus: "Opus"}

// carries reports whether a target takes a codec; takes are the FourCCs that it said it does.
func carries(c media.Codec, takes map[string]bool) bool {
	if c == media.H264 || c == media.AAC {
		return true
	}
	name, ok := fourCCs[c]
	return ok && (takes[name] || takes["*"])
}

// appendConfig appends the message body that tells a track's decoder configuration.
func appendConfig(b []byte, t *media.Track) []byte {
	switch t.Codec {
	case media.H264:
		b = append(b, frameKey|legacyAVC, 0, 0, 0, 0)
	case media.AAC:
		b = append(b, legacyAAC, 0)
	case media.Opus:
		b = append(append(b, exAudio|exSequenceStart), "Opus"...)
		return appendOpusHead(b, t.Config)
	default:
		b = append(append(b, enhanced|frameKey|exSequenceStart), fourCCs[t.Codec]...)
	}
	return append(b, t.Config...)
}

// appendOpusHead appends the OpusHead packet (RFC 7845 5.1) of a dOps record: the reverse of media.DOps.
func appendOpusHead(b, dOps []byte) []byte {
	d := dOps
	b = append(b, "OpusHead"...)
	b = append(b, 1, d[1], d[3], d[2], d[7], d[6], d[5], d[4], d[9], d[8])
	return append(b, d[10:]...)
}

// appendUnit appends the message body of an access unit. composition is PTS − DTS in milliseconds.
func appendUnit(b []byte, t *media.Track, au *media.AccessUnit, composition uint32) []byte {
	frame := byte(frameInter)
	if au.RandomAccess {
		frame = frameKey
	}
	offset := []byte{byte(composition >> 16), byte(composition >> 8), byte(composition)}
	switch t.Codec {
	case media.H264:
		b = append(append(b, frame|legacyAVC, 1), offset...)
	case media.AAC:
		b = append(b, legacyAAC, 1)
	case media.Opus:
		b = append(append(b, exAudio|exCodedFrames), "Opus"...)
	case media.H265:
		if composition == 0 {
			b = append(append(b, enhanced|frame|exCodedFramesX), fourCCs[t.Codec]...)
			break
		}
		b = append(append(append(b, enhanced|frame|exCodedFrames), fourCCs[t.Codec]...), offset...)
	default:
		b = append(append(b, enhanced|frame|exCodedFrames), fourCCs[t.Codec]...)
	}
	return append(b, au.Data...)
}

// metadata is the onMetaData of an epoch, of the tracks that are carried.
func metadata(e *live.Epoch, carried [media.Kinds]bool) []byte {
	o := amf0.Object{{"duration", 0}, {"encoder", "mediad"}}
	if t := e.Tracks[media.Video]; t != nil && carried[media.Video] {
		id := legacyAVC
		if name, ok := fourCCs[t.Codec]; ok {
			id = int(binary.BigEndian.Uint32([]byte(name)))
		}
		o = append(o, amf0.Field{"width", t.Width}, amf0.Field{"height", t.Height}, amf0.Field{"videocodecid", id})
		if fps := t.FrameRate.Float(); fps > 0 {
			o = append(o, amf0.Field{"framerate", fps})
		}
	}
	if t := e.Tracks[media.Audio]; t != nil && carried[media.Audio] {
		id := legacyAAC >> 4
		if name, ok := fourCCs[t.Codec]; ok {
			id = int(binary.BigEndian.Uint32([]byte(name)))
		}
		o = append(o, amf0.Field{"audiocodecid", id}, amf0.Field{"audiosamplerate", t.SampleRate}, amf0.Field{"audiosamplesize", 16},
			amf0.Field{"audiochannels", t.Channels}, amf0.Field{"stereo", t.Channels == 2})
	}
	return amf0.Append(nil, "@setDataFrame", "onMetaData", o)
}

// choose says which tracks of an epoch a target gets. The picture must be among them; sound may be left out.
func choose(e *live.Epoch, takes func(media.Codec) bool) (carried [media.Kinds]bool, note string, err error) {
	for k, t := range e.Tracks {
		carried[k] = t != nil && takes(t.Codec)
	}
	v, a := e.Tracks[media.Video], e.Tracks[media.Audio]
	switch {
	case v != nil && !carried[media.Video]:
		return carried, "", &refusedError{fmt.Sprintf("the target does not take %s", v.Codec), e.ID}
	case a != nil && !carried[media.Audio] && v == nil:
		return carried, "", &refusedError{fmt.Sprintf("the target does not take %s", a.Codec), e.ID}
	case a != nil && !carried[media.Audio]:
		note = fmt.Sprintf("without sound: the target does not take %s", a.Codec)
	}
	return carried, note, nil
}
