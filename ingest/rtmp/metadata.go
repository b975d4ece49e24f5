package rtmp

import (
	"math"

	"mediad/media"
	"mediad/media/amf0"
)

// metadata is what onMetaData says, as far as it is of use.
type metadata struct {
	Encoder      string
	FrameRate    media.Rational // zero: not said
	Video, Audio bool           // false: it says that there is none
}

// parseData reads a data message; ok is false if it is no onMetaData.
func parseData(b []byte) (md metadata, ok bool, err error) {
	r := amf0.NewReader(b)
	name, err := r.Text()
	if err != nil {
		return metadata{}, false, err
	}
	if name == "@setDataFrame" {
		if name, err = r.Text(); err != nil {
			return metadata{}, false, err
		}
	}
	if name != "onMetaData" {
		return metadata{}, false, nil
	}
	v, err := r.Value()
	if err != nil {
		return metadata{}, false, err
	}
	o, _ := v.(map[string]any)
	return readMetadata(o), true, nil
}

func readMetadata(o map[string]any) metadata {
	var md metadata
	enc, _ := o["encoder"].(string)
	md.Encoder = cleanName(enc)
	for _, key := range []string{"framerate", "videoframerate", "fps"} {
		if fps, ok := o[key].(float64); ok && md.FrameRate.Den == 0 {
			md.FrameRate = frameRate(fps)
		}
	}
	md.Video, md.Audio = told(o, "hasVideo", "videocodecid", "width"), told(o, "hasAudio", "audiocodecid", "audiosamplerate")
	if !md.Video && !md.Audio {
		// It names neither: then it says nothing about them.
		md.Video, md.Audio = true, true
	}
	return md
}

// told reports whether an onMetaData speaks of a kind of media: by a flag, or by one of its fields.
func told(o map[string]any, flag string, fields ...string) bool {
	if v, ok := o[flag].(bool); ok {
		return v
	}
	for _, f := range fields {
		switch v := o[f].(type) {
		case float64:
			if v != 0 {
				return true
			}
		case string:
			if v != "" {
				return true
			}
		}
	}
	return false
}

// frameRate is the rational that an encoder means by a decimal number.
func frameRate(fps float64) media.Rational {
	if !(fps >= 1 && fps <= 240) {
		return media.Rational{} // not a number, a timescale, or a picture now and then
	}
	// The NTSC family, which encoders write with two to nine decimals.
	const near = 0.006
	whole := math.Round(fps)
	if ntsc := math.Ceil(fps) * 1000 / 1001; math.Abs(fps-ntsc) < near && fps != whole {
		return media.Rational{Num: uint32(math.Ceil(fps)) * 1000, Den: 1001}
	}
	if math.Abs(fps-whole) < near {
		return media.Rational{Num: uint32(whole), Den: 1}
	}
	return media.Rational{Num: uint32(math.Round(fps * 1000)), Den: 1000}
}

// encoderNamer is a Publisher that wants to know the encoder's own name. What connect says is often a disguise: OBS calls
// itself FMLE/3.0 there, and tells the truth only once it is let in.
type encoderNamer interface{ SetEncoder(name string) }

// data takes a data message.
func (p *publication) data(b []byte) {
	md, ok, err := parseData(b)
	if err != nil || !ok {
		return // captions, cue points, or nothing readable: not for us
	}
	if md.Encoder != "" {
		p.encoder = md.Encoder
		if n, ok := p.Publisher.(encoderNamer); ok {
			n.SetEncoder(md.Encoder)
		}
	}
	if md.FrameRate.Den != 0 {
		p.feed.Hint(md.FrameRate)
	}
	if !md.Video && p.tracks[media.Video] == nil {
		p.feed.NoTrack(media.Video)
	}
	if !md.Audio && p.tracks[media.Audio] == nil {
		p.feed.NoTrack(media.Audio)
	}
}
