package packager

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
	"mediad/packager/playlist"
)

func tracks(fps media.Rational, rate int) (t [media.Kinds]*media.Track) {
	t[media.Video] = mediatest.H264Track(1280, 720, fps.Num, fps.Den)
	if rate > 0 {
		t[media.Audio] = mediatest.AACTrack(rate, 2)
	}
	return t
}

// broadcast is some seconds of both tracks.
func broadcast(t [media.Kinds]*media.Track, seconds int, v mediatest.VideoPattern) []media.AccessUnit {
	if v.FPS.Num == 0 {
		v.FPS = t[media.Video].FrameRate
	}
	v.Frames = seconds * int((v.FPS.Num+v.FPS.Den-1)/v.FPS.Den)
	if v.Size == 0 {
		v.Size, v.KeySize = 60, 200
	}
	var au []media.AccessUnit
	if a := t[media.Audio]; a != nil {
		au = mediatest.Audio(mediatest.AudioPattern{Track: a, Frames: seconds*a.SampleRate/a.FrameSamples + 4, Size: 30})
	}
	return mediatest.Interleave(t[media.Video], t[media.Audio], mediatest.Video(v), au)
}

func TestPublisherAwayAndBackGoesOn(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	a := newAir(t, Options{})
	units := broadcast(tr, 9, mediatest.VideoPattern{GOP: 30, BFrames: 2})
	a.epoch(0, tr)
	a.units(tr, units, 0)
	a.away()
	before := a.seen[sourceName].window
	require.True(t, before.Spec().Away)
	require.Nil(t, before.Spec().Hint)
	require.Equal(t, before.Spec().Config.PartTarget, before.Spec().Linger, "sound is answered first")
	require.Zero(t, a.seen[audioName].window.Spec().Linger)
	a.epoch(12*time.Second, tr)
	require.Zero(t, a.seen[sourceName].window.Spec().Linger)
	require.NotNil(t, a.seen[sourceName].window.Spec().Hint)
	require.False(t, a.seen[sourceName].window.Spec().Away)
	a.units(tr, units, 12*time.Second)
	w := a.seen[sourceName].window
	require.Equal(t, before.LastMSN()+4, w.LastMSN())
	a.end()
	a.together()
	require.True(t, a.seen[sourceName].window.Spec().Ended)
	_, ok := a.stream.Multivariant(false)
	require.False(t, ok)
	doc, ok := mustRendition(t, a.stream, sourceName).DVR()
	require.True(t, ok)
	require.NoError(t, playlist.CheckInvariants(nil, doc.Plain))
	require.Contains(t, string(doc.Plain), "#EXT-X-ENDLIST")
}

func mustRendition(t testing.TB, st *Stream, name string) *Rendition {
	r, ok := st.Rendition(name)
	require.True(t, ok)
	return r
}

func TestFirstPlaylistComesWithTheFirstCompleteSegment(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	a := newAir(t, Options{})
	a.epoch(0, tr)
	units := broadcast(tr, 3, mediatest.VideoPattern{GOP: 30})
	for _, u := range units {
		a.units(tr, []media.AccessUnit{u}, 0)
		if _, ok := a.streams.Stream("demo"); ok {
			require.GreaterOrEqual(t, tr[u.Kind].Timescale.Duration(u.PTS), 2*time.Second-30*time.Millisecond)
			doc, ok := a.stream.Multivariant(false)
			require.True(t, ok)
			require.Contains(t, string(doc.Plain), "source/index.m3u8")
			return
		}
	}
	require.Fail(t, "never live")
}

// TestEveryReloadKeepsTheRules plays random broadcasts with epochs, absences and changes of codec.
func TestEveryReloadKeepsTheRules(t *testing.T) {
	n := 120
	if testing.Short() {
		n = 25
	}
	for seed := range uint64(n) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			a := newAir(t, Options{Window: time.Duration(10+r.IntN(40)) * time.Second, DVR: time.Duration(60+r.IntN(60)) * time.Second})
			at := time.Duration(0)
			for range 1 + r.IntN(4) {
				at = randomEpoch(r, a, at)
				if r.IntN(2) == 0 {
					a.away()
					at += time.Duration(r.IntN(40000)) * time.Millisecond
				}
			}
			a.end()
			a.together()
		})
	}
}

// randomEpoch plays one epoch and returns the session time after it.
func randomEpoch(r *rand.Rand, a *air, at time.Duration) time.Duration {
	rates := []media.Rational{{Num: 24000, Den: 1001}, {Num: 25, Den: 1}, {Num: 30000, Den: 1001}, {Num: 30, Den: 1},
		{Num: 50, Den: 1}, {Num: 60, Den: 1}, {Num: 5, Den: 1}, {Num: 12, Den: 1}}
	tr := tracks(rates[r.IntN(len(rates))], []int{0, 44100, 48000, 48000}[r.IntN(4)])
	per := int(tr[media.Video].FrameRate.Num / tr[media.Video].FrameRate.Den)
	p := mediatest.VideoPattern{GOP: max(1, per*(1+r.IntN(4))), BFrames: r.IntN(3)}
	if r.IntN(4) == 0 {
		p.GOP = 1 + r.IntN(per*9)
	}
	seconds := 2 + r.IntN(20)
	switch r.IntN(4) {
	case 0:
		from := 1 + r.IntN(per*seconds)
		for i := from; i < from+1+r.IntN(10*per); i++ {
			p.Drop = append(p.Drop, i)
		}
	case 1:
		for range 1 + r.IntN(10) {
			p.Intervals = append(p.Intervals, media.Ticks(1000+r.IntN(4000)))
		}
	default:
	}
	units := broadcast(tr, seconds, p)
	if r.IntN(8) == 0 && tr[media.Audio] != nil {
		tr[media.Video] = nil
		var audio []media.AccessUnit
		for _, u := range units {
			if u.Kind == media.Audio {
				audio = append(audio, u)
			}
		}
		units = audio
	}
	a.epoch(at, tr)
	a.units(tr, units, at)
	end := at
	for _, u := range units {
		end = max(end, at+tr[u.Kind].Timescale.Duration(u.PTS))
	}
	return end + time.Second
}
