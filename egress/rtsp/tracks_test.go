package rtsp

import (
	"encoding/binary"
	"testing"

	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
)

func TestParameterSetsStandOnceBeforeAKeyFrame(t *testing.T) {
	track := mediatest.H264Track(640, 360, 30, 1)
	o, err := newOut(track)
	require.NoError(t, err)
	sps, pps := track.H264ParameterSets()
	idr := []byte{0x65, 1, 2, 3}
	var data []byte
	for _, n := range [][]byte{{0x09, 0xF0}, sps[0], pps[0], idr} {
		data = append(binary.BigEndian.AppendUint32(data, uint32(len(n))), n...)
	}
	nals, err := track.NALs(data, true, o.sets)
	require.NoError(t, err)
	require.Equal(t, [][]byte{sps[0], pps[0], {0x09, 0xF0}, idr}, nals)
	_, err = track.NALs(data[:len(data)-1], false, o.sets)
	require.ErrorIs(t, err, media.ErrTruncated)
}

func TestHEVCParameterSets(t *testing.T) {
	vps, sps, pps := hevc()
	record, err := media.HVCC(vps, sps, pps)
	require.NoError(t, err)
	track, err := media.NewH265(record)
	require.NoError(t, err)
	o, err := newOut(track)
	require.NoError(t, err)
	require.Equal(t, [][]byte{vps, sps, pps}, o.sets)
	f := o.media.Formats[0].(*format.H265)
	v, s, p := f.SafeParams()
	require.Equal(t, [][]byte{vps, sps, pps}, [][]byte{v, s, p})
}

func TestTimestampsOfSBRCountWhatIsHeard(t *testing.T) {
	// Explicit SBR: the core at 24 kHz, 48 kHz heard (ISO/IEC 14496-3 1.6.5.3).
	track, err := media.NewAAC([]byte{0x2B, 0x11, 0x88, 0x00})
	require.NoError(t, err)
	o, err := newOut(track)
	require.NoError(t, err)
	require.EqualValues(t, 24000, track.Timescale)
	require.EqualValues(t, 48000, o.rate)
	require.EqualValues(t, 96000, o.timestamp(48000))
}

func TestTracksThatRTSPDoesNotCarry(t *testing.T) {
	_, err := newOut(&media.Track{Kind: media.Video, Codec: media.VP9, Timescale: 90000})
	require.ErrorIs(t, err, errTrack)
}

func TestWhatContinues(t *testing.T) {
	small, large, aac := mediatest.H264Track(320, 180, 30, 1), mediatest.H264Track(640, 360, 30, 1), mediatest.AACTrack(48000, 2)
	require.True(t, continues(small, large))
	require.True(t, continues(aac, mediatest.AACTrack(48000, 2)))
	require.True(t, continues(nil, nil))
	require.False(t, continues(aac, mediatest.AACTrack(44100, 2)))
	require.False(t, continues(aac, nil))
	require.False(t, continues(nil, aac))
}

// hevc is the parameter sets of a 1920x1080 picture.
func hevc() (vps, sps, pps []byte) {
	return []byte{0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03,
			0x00, 0x00, 0x03, 0x00, 0x78, 0x99, 0x98, 0x09},
		[]byte{0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03,
			0x00, 0x78, 0xa0, 0x03, 0xc0, 0x80, 0x10, 0xe5, 0x96, 0x66, 0x69, 0x24, 0xca, 0xe0, 0x10, 0x00,
			0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x01, 0xe0, 0x80},
		[]byte{0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40}
}
