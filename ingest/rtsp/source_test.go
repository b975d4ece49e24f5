package rtsp

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
)

// clip is a picture with sound, made once and played in turn.
type clip struct {
	video, audio *media.Track
	units        []media.AccessUnit
}

var (
	ntsc = media.Rational{Num: 30000, Den: 1001}

	clipOnce  sync.Once
	small     clip
	smallOnce sync.Once
	large     clip
)

func smallClip(t testing.TB) clip {
	clipOnce.Do(func() {
		small.video, small.audio, small.units = mediatest.Encoded(t, mediatest.EncodedPattern{FPS: ntsc, BFrames: 2, GOP: 30})
	})
	return small
}

func largeClip(t testing.TB) clip {
	smallOnce.Do(func() {
		large.video, large.audio, large.units = mediatest.Encoded(t, mediatest.EncodedPattern{FPS: ntsc, Width: 640, Height: 360})
	})
	return large
}

// rtpSource makes RTP packets of clips, as a sender does: each clip behind the last one.
type rtpSource struct {
	t     testing.TB
	clip  clip
	at    int           // next unit of clip
	base  time.Duration // where clip begins
	end   time.Duration
	medi  [media.Kinds]*description.Media
	video *rtph264.Encoder
	audio *rtpmpeg4audio.Encoder
	skew  [media.Kinds]uint32 // added to the RTP timestamps
}

func newRTPSource(t testing.TB, c clip) *rtpSource {
	sps, pps := c.video.H264ParameterSets()
	v := &format.H264{PayloadTyp: 96, PacketizationMode: 1, SPS: sps[0], PPS: pps[0]}
	var asc mpeg4audio.AudioSpecificConfig
	require.NoError(t, asc.Unmarshal(c.audio.Config))
	a := &format.MPEG4Audio{PayloadTyp: 97, Config: &asc, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3}
	s := &rtpSource{t: t, clip: c}
	s.medi[media.Video] = &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{v}}
	s.medi[media.Audio] = &description.Media{Type: description.MediaTypeAudio, Formats: []format.Format{a}}
	var err error
	s.video, err = v.CreateEncoder()
	require.NoError(t, err)
	s.audio, err = a.CreateEncoder()
	require.NoError(t, err)
	s.skew = [media.Kinds]uint32{0xFFFFF000, 12345} // the first one wraps soon
	return s
}

func (s *rtpSource) desc() *description.Session {
	return &description.Session{Medias: []*description.Media{s.medi[0], s.medi[1]}}
}

// next is the packets of the next unit, with when it is shown.
func (s *rtpSource) next() (media.Kind, []*rtp.Packet, time.Duration) {
	if s.at == len(s.clip.units) {
		s.at, s.base = 0, s.end
	}
	au := s.clip.units[s.at]
	s.at++
	track := [media.Kinds]*media.Track{s.clip.video, s.clip.audio}[au.Kind]
	pts := s.base + track.Timescale.Duration(au.PTS)
	s.end = max(s.end, s.base+track.Timescale.Duration(au.DTS+track.Timescale.Ticks(time.Second/30)))
	var pkts []*rtp.Packet
	var err error
	if au.Kind == media.Video {
		pkts, err = s.video.Encode(nalsOf(au.Data))
	} else {
		pkts, err = s.audio.Encode([][]byte{au.Data})
	}
	require.NoError(s.t, err)
	for _, p := range pkts {
		p.Timestamp = uint32(track.Timescale.Ticks(pts)) + s.skew[au.Kind]
	}
	return au.Kind, pkts, pts
}

// change goes on with another clip, whose parameter sets are sent with its first picture.
func (s *rtpSource) change(c clip) {
	s.clip, s.at, s.base = c, 0, s.end
	sps, pps := c.video.H264ParameterSets()
	units := append([]media.AccessUnit(nil), c.units...)
	for i := range units {
		if units[i].Kind == media.Video {
			units[i].Data = append(sample([][]byte{sps[0], pps[0]}), units[i].Data...)
			break
		}
	}
	s.clip.units = units
}

func nalsOf(data []byte) (nals [][]byte) {
	for len(data) >= 4 {
		n := binary.BigEndian.Uint32(data)
		nals = append(nals, data[4:4+n])
		data = data[4+n:]
	}
	return nals
}
