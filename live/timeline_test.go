package live

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
)

func TestEpochStartsAtTheClockOrBehindWhatIsWritten(t *testing.T) {
	var l timeline
	require.Zero(t, l.startEpoch(both(), 7*time.Hour, 0))
	for n := range 30 {
		au := frame(7*time.Hour, n, n == 0)
		_, ok := l.admit(&au)
		require.True(t, ok)
		require.Equal(t, media.Ticks(n)*3000, au.PTS)
		snd := sound(7*time.Hour, n)
		_, ok = l.admit(&snd)
		require.True(t, ok)
		require.Equal(t, media.Ticks(n)*1024, snd.PTS)
	}
	end, step := l.closed()
	require.InDelta(t, float64(time.Second), float64(end), 1)
	require.InDelta(t, float64(time.Second/30), float64(step), 1)

	early := l
	require.Equal(t, 1034*time.Millisecond, early.startEpoch(both(), 0, 500*time.Millisecond), "behind what is written")
	require.Equal(t, 5*time.Second, l.startEpoch(both(), 0, 5*time.Second-time.Microsecond), "at the clock, in whole milliseconds")
	au := frame(0, 0, true)
	_, ok := l.admit(&au)
	require.True(t, ok)
	require.Equal(t, media.VideoTimescale.Ticks(5*time.Second), au.PTS)

	restored := resumeAt(90 * time.Second)
	require.Equal(t, 90*time.Second+defaultFrame, restored.startEpoch(audioOnly(), 0, time.Second))
	empty := l
	require.Equal(t, empty.mediaEnd(), l.mediaEnd())
}

func TestTheFirstSampleLiesExactlyOnTheEpochsStart(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, scale := range []media.Timescale{90000, 48000, 44100, 22050} {
		for range 2000 {
			var l timeline
			tracks := videoOnly()
			tracks[media.Video].Timescale = scale
			pts := media.Ticks(r.Int64N(1<<40) - 1<<39)
			start := l.startEpoch(tracks, scale.Duration(pts), time.Duration(r.Int64N(int64(1000*time.Hour))))
			au := media.AccessUnit{Kind: media.Video, DTS: pts, PTS: pts, RandomAccess: true}
			_, ok := l.admit(&au)
			require.True(t, ok)
			require.Equal(t, scale.Ticks(start), au.PTS)
		}
	}
}

func TestWhatIsNotLetThrough(t *testing.T) {
	var l timeline
	l.startEpoch(videoOnly(), time.Second, 0)
	at := func(dts, pts media.Ticks, key bool) media.AccessUnit {
		return media.AccessUnit{Kind: media.Video, DTS: 90000 + dts, PTS: 90000 + pts, RandomAccess: key}
	}
	for _, c := range []struct {
		name string
		au   media.AccessUnit
		why  DropReason
		ok   bool
	}{
		{"no such kind", media.AccessUnit{Kind: 7}, DropNoTrack, false},
		{"no such track", sound(time.Second, 0), DropNoTrack, false},
		{"not a key frame", at(0, 0, false), DropNoKeyFrame, false},
		{"before the epoch", at(-9000, -3000, true), DropBeforeEpoch, false},
		{"key frame, decoded before the epoch", at(-6000, 0, true), 0, true},
		{"leading picture", at(-3000, -1, false), DropBeforeEpoch, false},
		{"repeated", at(-6000, 3000, false), DropNotMonotone, false},
		{"back", at(-9000, 6000, true), DropNotMonotone, false},
		{"shown before it is decoded", at(6000, 3000, false), DropNotMonotone, false},
		{"in a year", at(0, 400*24*3600*90000, false), DropNotMonotone, false},
		{"at the end of numbers", at(1<<62, 1<<63-1-90000, false), DropNotMonotone, false},
		{"next", at(0, 9000, false), 0, true},
	} {
		why, ok := l.admit(&c.au)
		require.Equal(t, c.ok, ok, c.name)
		if !ok {
			require.Equal(t, c.why, why, c.name)
		}
	}
}

func TestAHoleIsNotAFrame(t *testing.T) {
	var l timeline
	l.startEpoch(videoOnly(), 0, 0)
	for _, dts := range []media.Ticks{0, 3000, 3000 + 600*90000} {
		au := media.AccessUnit{Kind: media.Video, DTS: dts, PTS: dts, RandomAccess: true}
		_, ok := l.admit(&au)
		require.True(t, ok)
	}
	end, step := l.closed()
	require.InDelta(t, float64(time.Second/30), float64(step), 1)
	require.Less(t, end, 600*time.Second+100*time.Millisecond)
}
