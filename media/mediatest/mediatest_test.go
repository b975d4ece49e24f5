package mediatest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
)

func TestTracksSayWhatTheyWereMadeOf(t *testing.T) {
	v := mediatest.H264Track(1280, 720, 30000, 1001)
	require.Equal(t, media.Rational{Num: 30000, Den: 1001}, v.FrameRate)
	require.Equal(t, [2]int{1280, 720}, [2]int{v.Width, v.Height})
	require.Equal(t, "avc1.64001f", v.RFC6381())

	odd := mediatest.H264Track(854, 480, 0, 0)
	require.Equal(t, [2]int{854, 480}, [2]int{odd.Width, odd.Height})
	require.Zero(t, odd.FrameRate)

	a := mediatest.AACTrack(44100, 1)
	require.Equal(t, media.Timescale(44100), a.Timescale)
	require.Equal(t, 1, a.Channels)
	require.Equal(t, "mp4a.40.2", a.RFC6381())
	require.Equal(t, 2, mediatest.OpusTrack().Channels)
}

func TestVideoKeepsTheRulesOfTheLine(t *testing.T) {
	vt := mediatest.H264Track(640, 360, 30, 1)
	for _, b := range []int{0, 1, 2, 3} {
		for _, open := range []bool{false, true} {
			for _, fps := range []media.Rational{{Num: 30, Den: 1}, {Num: 24000, Den: 1001}, {Num: 60, Den: 1}} {
				p := mediatest.VideoPattern{FPS: fps, Frames: 100, GOP: 25, KeyAt: []int{31}, BFrames: b, OpenGOP: open, Start: 9000}
				t.Run(fmt.Sprint(b, open, fps), func(t *testing.T) {
					units := mediatest.Video(p)
					require.Len(t, units, 100)
					require.Equal(t, media.Ticks(9000), units[0].PTS)
					seen := map[media.Ticks]bool{}
					for i, au := range units {
						require.GreaterOrEqual(t, au.PTS, au.DTS, i)
						require.False(t, seen[au.PTS])
						seen[au.PTS] = true
						if i > 0 {
							require.Equal(t, units[i-1].DTS+units[i-1].Duration, au.DTS)
						}
						c, err := media.ClassifyUnit(vt, au.Data)
						require.NoError(t, err)
						require.Equal(t, media.Class{RandomAccess: au.RandomAccess, OpenGOP: au.OpenGOP, Disposable: au.Disposable}, c, i)
					}
				})
			}
		}
	}
}

func TestInterleaveOrdersByDTS(t *testing.T) {
	vt, at := mediatest.H264Track(640, 360, 30, 1), mediatest.AACTrack(48000, 2)
	all := mediatest.Interleave(vt, at, mediatest.Video(mediatest.VideoPattern{}), mediatest.Audio(mediatest.AudioPattern{}))
	require.Len(t, all, 30+47)
}

func TestEncodedClips(t *testing.T) {
	for _, b := range []int{0, 2} {
		vt, at, units := mediatest.Encoded(t, mediatest.EncodedPattern{FPS: media.Rational{Num: 24000, Den: 1001}, Frames: 48, GOP: 24, BFrames: b, Start: 90000})
		require.Equal(t, [2]int{320, 180}, [2]int{vt.Width, vt.Height})
		require.Equal(t, media.Rational{Num: 24000, Den: 1001}, vt.FrameRate)
		require.Equal(t, 2, at.Channels)
		keys, pictures, frames := 0, 0, 0
		for _, au := range units {
			require.GreaterOrEqual(t, au.PTS, au.DTS)
			if au.Kind == media.Audio {
				frames++
				continue
			}
			if pictures == 0 {
				require.Equal(t, media.Ticks(90000), au.PTS)
			}
			pictures++
			if au.RandomAccess {
				keys++
			}
		}
		require.Equal(t, 48, pictures)
		require.Equal(t, 2, keys)
		require.InDelta(t, 95, frames, 3)
	}
}
