package rtsp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"

	"mediad/live"
)

// maxMedias is how many tracks a description may list: cameras have three or four, with metadata and a way back.
const maxMedias = 16

// chosen is what is taken of a description: the first picture and the first sound that we know.
type chosen struct {
	video, audio             *videoAudio
	videoTrack               *videoTrack
	audioTrack               *audioTrack
	left                     []string // what is not taken, for the log
	transcoded, noTranscoder bool     // the sound must be transcoded; and cannot
}

// videoAudio is where a track is in a description.
type videoAudio struct {
	media  *description.Media
	format format.Format
}

// choose finds the tracks in a description. transcodes says that sound of other codecs can be taken.
func choose(desc *description.Session, transcodes bool) (chosen, error) {
	var c chosen
	if len(desc.Medias) > maxMedias {
		return c, live.Refuse(live.ReasonProtocolError, fmt.Errorf("rtsp: %d tracks, over %d", len(desc.Medias), maxMedias))
	}
	for _, m := range desc.Medias {
		if m.IsBackChannel {
			continue
		}
		took := false
		for _, f := range m.Formats {
			took = took || c.take(m, f, transcodes)
		}
		if !took && len(m.Formats) > 0 {
			c.left = append(c.left, m.Formats[0].Codec())
		}
	}
	if c.videoTrack == nil && c.audioTrack == nil {
		return c, live.Refuse(live.ReasonCodecUnsupported, errors.New("rtsp: no track that is known: "+strings.Join(c.left, ", ")))
	}
	return c, nil
}

func (c *chosen) take(m *description.Media, f format.Format, transcodes bool) bool {
	if c.videoTrack == nil {
		if v, err := newVideoTrack(f); err == nil {
			c.video, c.videoTrack = &videoAudio{m, f}, v
			return true
		}
	}
	if c.audioTrack != nil {
		return false
	}
	a, err := newAudioTrack(f)
	switch {
	case err != nil || a == nil:
		return false
	case a.pcm != nil && !transcodes:
		c.noTranscoder = true
		return false
	}
	c.transcoded = a.pcm != nil
	c.audio, c.audioTrack = &videoAudio{m, f}, a
	return true
}
