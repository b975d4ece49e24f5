package transcode

import (
	"encoding/binary"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
	"mediad/transcode/governor"
)

// led is a stage whose first rung, of the source's size, takes its place.
func led(t testing.TB, o Options) *stage {
	o.Planned = func(string) (media.Plan, bool) {
		rate := media.Rational{Num: 30, Den: 1}
		return media.Plan{Leads: true, Rungs: []media.Rung{
			{Name: "128p", Width: 192, Height: 128, FrameRate: rate, Bitrate: 300_000},
			{Name: "96p", Width: 144, Height: 96, FrameRate: rate, Bitrate: 200_000},
		}}, true
	}
	return newStage(t, o)
}

func TestALeadHasKeyFramesOfItsOwn(t *testing.T) {
	for name, p := range map[string]mediatest.EncodedPattern{
		"one GOP":  {Frames: 200, GOP: 1000},
		"B-frames": {Frames: 200, GOP: 100, BFrames: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			track, units := clip(t, p)
			s := led(t, Options{})
			s.begin(7, track)
			for _, u := range units {
				s.unit(u)
			}
			s.finish(t)
			all := pts(units)
			for _, rung := range []string{"128p", "96p"} {
				got := s.sink.units(rung)
				require.Equal(t, all, pts(got), rung)
				require.Equal(t, []media.Ticks{all[0], all[60], all[120], all[180]}, keys(got), "each 2 s, wherever the source's are")
				check(t, s.sink.of(rung, media.EncodedTrack)[0].Track, got)
			}
		})
	}
}

// TestAKilledLeadGoesOnWithinTheGOP: no picture is lost and none comes twice, although the source's next key frame is far.
func TestAKilledLeadGoesOnWithinTheGOP(t *testing.T) {
	for name, c := range map[string]struct {
		pattern mediatest.EncodedPattern
		varies  bool
		stop    bool
	}{
		"long GOPs":     {pattern: mediatest.EncodedPattern{Frames: 91, GOP: 90}},
		"B-frames":      {pattern: mediatest.EncodedPattern{Frames: 251, GOP: 250, BFrames: 2}},
		"variable rate": {pattern: mediatest.EncodedPattern{Frames: 251, GOP: 250}, varies: true},
		"it hangs":      {pattern: mediatest.EncodedPattern{Frames: 251, GOP: 250}, stop: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, pids := wrapper(t, "")
			track, units := clip(t, c.pattern)
			film := &endless{units: units[:len(units)-1]}
			step := units[0].Duration
			s := led(t, Options{FFmpeg: path, hang: 2 * time.Second, Governor: governor.Options{Limit: time.Hour}})
			s.begin(1, track)
			first, fed := units[0].PTS, 0
			next := func() media.AccessUnit {
				u := film.next()
				if c.varies {
					u.Duration = 0
				}
				return u
			}
			play := func(what string, cond func() bool) {
				tick := time.NewTicker(5 * time.Millisecond)
				defer tick.Stop()
				give := time.NewTimer(60 * time.Second)
				defer give.Stop()
				for n := 0; !cond(); n++ {
					// A busy machine takes its time: what waits for it is little, and the encoder sees that time passes.
					if fed-len(s.sink.units("128p")) < 30 || n%40 == 0 {
						s.unit(next())
						fed++
					}
					select {
					case <-tick.C:
					case <-give.C:
						t.Fatalf("played in vain until %s", what)
					}
				}
			}
			for range 3 {
				before := len(s.sink.units("128p"))
				play("pictures come", func() bool { return len(s.sink.units("128p")) > before+40 })
				sig := syscall.SIGKILL
				if c.stop {
					sig = syscall.SIGSTOP
				}
				n := len(pids())
				require.NoError(t, syscall.Kill(pids()[n-1], sig))
				play("the child is gone and another there", func() bool { return len(pids()) > n })
			}
			before := len(s.sink.units("128p"))
			play("pictures come", func() bool { return len(s.sink.units("128p")) > before+40 })
			s.finish(t)
			for _, pid := range pids() {
				require.True(t, gone(pid))
			}
			for _, rung := range []string{"128p", "96p"} {
				require.Len(t, s.sink.of(rung, media.EncodedTrack), 1, "all children make the same parameter sets")
				got := s.sink.units(rung)
				check(t, s.sink.of(rung, media.EncodedTrack)[0].Track, got)
				require.Equal(t, first, got[0].PTS)
				holes := 0
				for i := 1; i < len(got)-c.pattern.BFrames; i++ { // at the end B-frames may be missing
					if d := got[i].DTS - got[i-1].DTS; d > step+2 {
						holes++
						require.LessOrEqual(t, d, 4*step, "what one rung had told and another not")
						require.True(t, got[i].RandomAccess, "%s goes on with a key frame, picture %d, %d ticks behind the one before", rung, i, d)
					}
				}
				require.LessOrEqual(t, holes, 3)
				breaks := 0
				for i := 1; i < len(got); i++ {
					if got[i].RandomAccess {
						breaks++
					}
				}
				require.GreaterOrEqual(t, breaks, 3)
			}
			a, b := keys(s.sink.units("128p")), keys(s.sink.units("96p"))
			require.Equal(t, a, b, "all rungs have their key frames at the same time")
		})
	}
}

func TestWhatIsKeptOfASourceIsBounded(t *testing.T) {
	var k recent
	au := media.AccessUnit{Data: make([]byte, 100<<10), Duration: 3000}
	for i := range 3000 {
		au.DTS, au.PTS, au.RandomAccess = media.Ticks(i)*3000, media.Ticks(i)*3000, i%150 == 0
		k.add(&au)
		require.LessOrEqual(t, k.bytes, maxResumeBytes)
		require.Equal(t, len(k.units)*len(au.Data), k.bytes)
		if len(k.units) > 0 {
			require.True(t, k.units[0].RandomAccess)
			require.True(t, k.units[k.key].RandomAccess)
		}
		require.Equal(t, i%150 < 61 && i >= 150, k.key > 0, "of two GOPs the older is kept for as long as a child may be behind")
	}
	k = recent{}
	au.Data = au.Data[:10]
	for i := range 3000 {
		au.DTS, au.PTS, au.RandomAccess = media.Ticks(i)*3000, media.Ticks(i)*3000, i == 0
		k.add(&au)
	}
	require.Empty(t, k.units, "a GOP without end is not decoded again")
}

func TestALeadIsShedLast(t *testing.T) {
	p := media.Plan{Leads: true, Rungs: []media.Rung{{Name: "a"}, {Name: "b"}, {Name: "c"}}}
	require.Equal(t, []media.Rung{{Name: "b"}, {Name: "c"}, {Name: "a"}}, shedOrder(p))
	require.Equal(t, "a", p.Rungs[0].Name)
	p.Leads = false
	require.Equal(t, p.Rungs, shedOrder(p))
}

// TestWhatHLSDoesNotCarryIsEncoded: VP8, which has no configuration.
func TestWhatHLSDoesNotCarryIsEncoded(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=192x128:rate=30", "-frames:v", "90",
		"-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "1000", "-f", "ivf", "-").Output()
	require.NoError(t, err)
	track := &media.Track{Kind: media.Video, Codec: media.VP8, Timescale: media.VideoTimescale, Width: 192, Height: 128}
	s := led(t, Options{})
	s.begin(1, track)
	var all []media.Ticks
	for b := out[32:]; len(b) > 12; { // IVF: a header of 32 bytes, then frames behind a length and a time
		n := binary.LittleEndian.Uint32(b)
		u := media.AccessUnit{
			DTS: 90000 + media.Ticks(len(all))*3000, PTS: 90000 + media.Ticks(len(all))*3000, Duration: 3000,
			RandomAccess: b[12]&1 == 0, Data: b[12 : 12+n],
		}
		all = append(all, u.PTS)
		s.unit(u)
		b = b[12+n:]
	}
	s.finish(t)
	require.Len(t, all, 90)
	got := s.sink.units("128p")
	require.Equal(t, all, pts(got))
	require.Equal(t, []media.Ticks{all[0], all[60]}, keys(got))
	require.Equal(t, media.H264, s.sink.of("128p", media.EncodedTrack)[0].Track.Codec)
}
