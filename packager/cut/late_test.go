package cut

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
)

// timely notes how far each track's parts lag behind what arrived.
type timely struct {
	*judge
	now   time.Duration // of the newest unit, by arrival
	worst [media.Kinds]time.Duration
}

func (y *timely) Part(p Part) {
	y.judge.Part(p)
	if y.now < 5*time.Second {
		return // the constants were being decided
	}
	end := y.scale[p.Kind].Duration(p.Start + p.Duration)
	y.worst[p.Kind] = max(y.worst[p.Kind], y.now-end)
}

// skewed is a broadcast whose audio arrives that much after video of the same time; negative: before.
func skewed(late time.Duration) scene {
	s := simple(media.Rational{Num: 30, Den: 1}, 30, 60, 0)
	var v, a []media.AccessUnit
	for _, u := range s.units {
		if u.Kind == media.Video {
			v = append(v, u)
		} else {
			a = append(a, u)
		}
	}
	s.units = merge(s, v, a, s.audio.Timescale.Ticks(late))
	return s
}

func TestLateTracksArePublishedAsSoonAsTheyCome(t *testing.T) {
	for _, late := range []time.Duration{-2500, -900, -300, 0, 300, 900, 2500} {
		late *= time.Millisecond
		t.Run(late.String(), func(t *testing.T) {
			s := skewed(late)
			y := &timely{judge: newJudge(t, s)}
			c := New(Config{}, y)
			c.Begin(0, tracksOf(s))
			for _, u := range s.units {
				y.now = max(y.now, tracksOf(s)[u.Kind].Timescale.Duration(u.DTS))
				c.Push(u)
			}
			c.Close()
			y.together()
			// now is that of the track that is ahead; the other one's parts lag by the skew, and nothing by much more.
			for k := range y.worst {
				require.Less(t, y.worst[k], late.Abs()+500*time.Millisecond, "%v", media.Kind(k))
			}
			if late.Abs() < time.Second {
				require.Zero(t, c.Stats().Late)
				if late <= 0 {
					require.Zero(t, c.Stats().Filled[media.Audio])
				}
				return
			}
			// Beyond a second the first of it counts as a hole; then lateness is known and no more is lost.
			n := c.Stats()
			k := media.Audio
			if late < 0 {
				k = media.Video
			}
			require.NotZero(t, n.Late[k])
			frames := map[media.Kind]float64{media.Video: 30, media.Audio: 48000. / 1024}[k]
			require.Less(t, float64(n.Late[k]), frames*5)
		})
	}
}

func TestHoleOfVideoIsFilledThenListedAsGap(t *testing.T) {
	s := simple(media.Rational{Num: 30, Den: 1}, 30, 60, 0)
	s.units = slices.DeleteFunc(s.units, func(u media.AccessUnit) bool {
		return u.Kind == media.Video && u.PTS >= 10*90000 && u.PTS < 19*90000
	})
	j, c := run(t, Config{}, s)
	gaps, start := 0, media.Ticks(0)
	for _, g := range j.segments[media.Video] {
		if g.Gap {
			if gaps == 0 {
				start = g.Start
			}
			gaps++
		}
	}
	require.Equal(t, media.Ticks(13*90000), start, "three seconds are filled")
	require.Equal(t, 4, gaps, "to 15, 17, 19 and the key frame at 20")
	require.InDelta(t, 15, int(c.Stats().Filled[media.Video]), 2, "one sample a part")
	require.InDelta(t, 30, int(c.Stats().Useless[media.Video]), 1, "nothing decodes before the key frame")
	require.Zero(t, c.Stats().Filled[media.Audio])
	for _, g := range j.segments[media.Audio] {
		require.False(t, g.Gap)
	}
}

func TestShortHolesKeepTheGrid(t *testing.T) {
	s := simple(media.Rational{Num: 30, Den: 1}, 20, 60, 0)
	drop := []media.Ticks{91 * 3000, 92 * 3000, 200 * 3000, 301 * 3000, 302 * 3000, 303 * 3000}
	s.units = slices.DeleteFunc(s.units, func(u media.AccessUnit) bool {
		return u.Kind == media.Video && slices.Contains(drop, u.PTS)
	})
	j, c := run(t, Config{}, s)
	require.Equal(t, uint64(3), c.Stats().Filled[media.Video], "one sample a hole")
	for _, p := range j.parts[media.Video] {
		require.Equal(t, media.Ticks(6*3000), p.Duration)
	}
}

func TestMissingAudioIsSilence(t *testing.T) {
	s := simple(media.Rational{Num: 25, Den: 1}, 10, 50, 0)
	j := newJudge(t, s)
	c := New(Config{}, j)
	c.Begin(0, tracksOf(s))
	for _, u := range s.units {
		c.Push(u)
	}
	c.Begin(20*time.Second, [media.Kinds]*media.Track{media.Video: s.video})
	for _, u := range s.units {
		if u.Kind == media.Video {
			u.DTS += 20 * 90000
			u.PTS += 20 * 90000
			c.Push(u)
		}
	}
	c.Close()
	j.together()
	require.InDelta(t, 469, int(c.Stats().Filled[media.Audio]), 2)
	require.Equal(t, j.segments[media.Video][5].Discontinuity, true)
}

func TestEpochWithoutVideoIsListedAsGap(t *testing.T) {
	s := simple(media.Rational{Num: 25, Den: 1}, 10, 50, 0)
	j := newJudge(t, s)
	c := New(Config{}, j)
	c.Begin(0, tracksOf(s))
	for _, u := range s.units {
		c.Push(u)
	}
	c.Begin(20*time.Second, [media.Kinds]*media.Track{media.Audio: s.audio})
	for _, u := range s.units {
		if u.Kind == media.Audio {
			u.DTS += 20 * 48000
			u.PTS += 20 * 48000
			c.Push(u)
		}
	}
	c.Close()
	j.together()
	v := j.segments[media.Video]
	require.True(t, v[len(v)-1].Gap)
	require.True(t, v[5].Gap && v[5].Discontinuity)
	require.Zero(t, c.Stats().Filled[media.Audio])
}

func TestSessionWithoutMatchingPartsListsNone(t *testing.T) {
	s := simple(media.Rational{Num: 30, Den: 1}, 10, 60, 0)
	j := newJudge(t, s)
	c := New(Config{}, j)
	c.Begin(0, tracksOf(s))
	for _, u := range s.units {
		c.Push(u)
	}
	c.Begin(20*time.Second, tracksOf(s))
	odd := simple(media.Rational{Num: 12, Den: 1}, 10, 24, 0) // 2 frames are 166 ms, 3 are 250 ms; a part is 181 to 213 ms
	for _, u := range odd.units {
		u.DTS += tracksOf(s)[u.Kind].Timescale.Ticks(20 * time.Second)
		u.PTS += tracksOf(s)[u.Kind].Timescale.Ticks(20 * time.Second)
		c.Push(u)
	}
	for k := range media.Kind(media.Kinds) {
		_, part, ok := c.Next(Line(k))
		require.True(t, ok)
		require.Equal(t, -1, part)
	}
	c.Close()
	j.together()
	for _, p := range j.parts[media.Video] {
		require.Equal(t, p.Start < 20*90000, p.Listed)
	}
}

func TestHintNamesWhatComes(t *testing.T) {
	for _, gop := range []int{30, 50, 60, 77} {
		s := simple(media.Rational{Num: 30, Den: 1}, 30, gop, 0)
		j := newJudge(t, s)
		c := New(Config{}, j)
		c.Begin(0, tracksOf(s))
		type name struct {
			seq  int64
			part int
		}
		var hint [media.Kinds]name
		var had [media.Kinds]int
		wrong := 0
		for _, u := range s.units {
			c.Push(u)
			for k := range media.Kind(media.Kinds) {
				if n := len(j.parts[k]); n > had[k] {
					p := j.parts[k][had[k]]
					if had[k] > 60 && hint[k] != (name{p.Seq, p.Index}) {
						wrong++
						t.Logf("%v hint %v, came %d.%d ending %v", k, hint[k], p.Seq, p.Index, j.scale[k].Duration(p.Start+p.Duration))
					}
					had[k] = n
				}
				seq, part, ok := c.Next(Line(k))
				if ok {
					hint[k] = name{seq, part}
				}
			}
		}
		require.Zero(t, wrong, "GOP of %d frames", gop)
		c.Close()
	}
}

// TestSilenceIsSilent lets FFmpeg decode the frames for every channel configuration.
func TestSilenceIsSilent(t *testing.T) {
	for _, channels := range []int{1, 2, 3, 4, 5, 6, 7} {
		track := mediatest.AACTrack(48000, channels)
		frame := SilentAAC(track.Config)
		require.NotNil(t, frame)
		var adts bytes.Buffer
		const frames = 20
		for range frames {
			adts.Write(adtsHeader(channels, len(frame)))
			adts.Write(frame)
		}
		cmd := exec.CommandContext(context.Background(), "ffmpeg", "-v", "error", "-f", "aac", "-i", "pipe:0", "-f", "f32le", "-c:a", "pcm_f32le", "pipe:1")
		cmd.Stdin = &adts
		var complaints bytes.Buffer
		cmd.Stderr = &complaints
		pcm, err := cmd.Output()
		require.NoError(t, err, complaints.String())
		require.Empty(t, complaints.String(), "%d channels", channels)
		out := map[int]int{7: 8}[channels]
		if out == 0 {
			out = channels
		}
		require.Len(t, pcm, frames*1024*out*4, "%d channels", channels)
		for i := 0; i < len(pcm); i += 4 {
			require.Zero(t, math.Float32frombits(binary.LittleEndian.Uint32(pcm[i:])))
		}
	}
}

// adtsHeader is that of an AAC-LC frame at 48 kHz (14496-3, 1.A.2).
func adtsHeader(channels, size int) []byte {
	n := size + 7
	return []byte{
		0xff, 0xf1, 1<<6 | 3<<2 | byte(channels>>2), byte(channels&3)<<6 | byte(n>>11), byte(n >> 3), byte(n&7)<<5 | 0x1f, 0xfc,
	}
}
