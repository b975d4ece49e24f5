package transcode

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
)

// TestEncodeStretch: the pictures of a stretch come out, all of them and no others, each at its time.
func TestEncodeStretch(t *testing.T) {
	for _, c := range []struct {
		name     string
		pattern  mediatest.EncodedPattern
		from, to int // frames
	}{
		{"from within a GOP to its end", mediatest.EncodedPattern{GOP: 30}, 17, 30},
		{"one picture", mediatest.EncodedPattern{GOP: 30}, 7, 8},
		{"over a key frame, reordered", mediatest.EncodedPattern{GOP: 20, BFrames: 2}, 11, 33},
		{"29.97 frames a second", mediatest.EncodedPattern{Frames: 60, GOP: 30, FPS: media.Rational{Num: 30000, Den: 1001}}, 0, 59},
		{"far from zero", mediatest.EncodedPattern{GOP: 30, BFrames: 1, Start: 90000 * 86400 * 400}, 5, 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.pattern.NoAudio = true
			if c.pattern.Frames == 0 {
				c.pattern.Frames = 61
			}
			track, _, units := mediatest.Encoded(t, c.pattern)
			rate := c.pattern.FPS
			if rate.Num == 0 {
				rate = media.Rational{Num: 30, Den: 1}
			}
			at := func(n int) media.Ticks {
				return units[0].PTS + media.Ticks(int64(n)*90000*int64(rate.Den)/int64(rate.Num)) - 900 // between two pictures
			}
			got, made, err := EncodeStretch(t.Context(), Stretch{Track: track, Units: units, From: at(c.from), To: at(c.to)})
			require.NoError(t, err)
			require.Len(t, made, c.to-c.from)
			require.True(t, made[0].RandomAccess)
			require.Equal(t, media.H264, got.Codec)
			require.Equal(t, [2]int{track.Width, track.Height}, [2]int{got.Width, got.Height})
			sps, pps := got.H264ParameterSets()
			theirSPS, theirPPS := track.H264ParameterSets()
			require.Equal(t, theirSPS, sps[1:], "it decodes the source, too")
			require.Equal(t, theirPPS, pps[1:])
			id, ok := golomb(sps[0], 4)
			require.True(t, ok)
			theirs, _ := golomb(theirSPS[0], 4)
			require.NotEqual(t, theirs, id)
			for i := 1; i < len(made); i++ {
				require.Greater(t, made[i].PTS, made[i-1].PTS)
			}
		})
	}
}

func TestEncodeStretchFails(t *testing.T) {
	track, _, units := mediatest.Encoded(t, mediatest.EncodedPattern{NoAudio: true, Frames: 61})
	_, _, err := EncodeStretch(t.Context(), Stretch{Track: track, Units: units, From: units[len(units)-1].PTS + 1, To: units[0].PTS + 90000*90})
	require.ErrorIs(t, err, ErrStretch, "no picture")
	_, _, err = EncodeStretch(t.Context(), Stretch{Track: track, Units: units[1:], From: 0, To: 1 << 40})
	require.ErrorIs(t, err, ErrStretch, "nothing to begin with")
	broken := append([]media.AccessUnit(nil), units...)
	broken[0].Data = []byte{0, 0, 0, 1, 0x65}
	_, _, err = EncodeStretch(t.Context(), Stretch{Track: track, Units: broken, From: units[3].PTS, To: units[20].PTS})
	require.Error(t, err)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	_, _, err = EncodeStretch(ctx, Stretch{Track: track, Units: units, From: units[3].PTS, To: units[20].PTS})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
