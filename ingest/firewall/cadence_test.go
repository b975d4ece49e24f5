package firewall_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/ingest/firewall"
	"mediad/media"
	"mediad/media/mediatest"
)

// run pushes units with an arrival at their DTS and checks every answer.
func run(t testing.TB, f *firewall.Firewall, c *checker, units []media.AccessUnit) []media.AccessUnit {
	t.Helper()
	var out []media.AccessUnit
	for i, au := range units {
		r := f.Push(au, c.scale[au.Kind].Duration(au.DTS))
		if err := c.check(r); err != nil {
			t.Fatalf("push %d: %v", i, err)
		}
		out = append(out, r.Units...)
	}
	r := f.Flush()
	require.NoError(t, c.check(r))
	return append(out, r.Units...)
}

func within(t testing.TB, want, got, delta media.Ticks, msg ...any) {
	t.Helper()
	if d := want - got; d > delta || d < -delta {
		require.InDelta(t, int64(want), int64(got), float64(delta), msg...)
	}
}

func videoOnly(t *media.Track) (*firewall.Firewall, *checker) {
	f := firewall.New(firewall.Options{})
	f.SetTrack(t)
	return f, newChecker(t)
}

var rates = []media.Rational{
	{Num: 24000, Den: 1001}, {Num: 24, Den: 1}, {Num: 25, Den: 1}, {Num: 30000, Den: 1001}, {Num: 30, Den: 1},
	{Num: 48, Den: 1}, {Num: 50, Den: 1}, {Num: 60000, Den: 1001}, {Num: 60, Den: 1}, {Num: 5, Den: 1}, {Num: 10, Den: 1},
	{Num: 12, Den: 1}, {Num: 25, Den: 2}, {Num: 15, Den: 1}, {Num: 20, Den: 1}, {Num: 90, Den: 1}, {Num: 100, Den: 1},
	{Num: 120000, Den: 1001}, {Num: 120, Den: 1}, {Num: 18, Den: 1}, {Num: 27500, Den: 1000},
}

func TestMillisecondsSnapToTheTrueRate(t *testing.T) {
	for _, fps := range rates {
		for _, hint := range []bool{true, false} {
			for _, b := range []int{0, 2} {
				for _, cut := range []string{"nearest", "truncated"} {
					t.Run(fmt.Sprintf("%d/%d hint=%v b=%d %s", fps.Num, fps.Den, hint, b, cut), func(t *testing.T) {
						vt := mediatest.H264Track(640, 360, 0, 0)
						if hint {
							vt = mediatest.H264Track(640, 360, fps.Num, fps.Den)
						}
						f, c := videoOnly(vt)
						n := int(20 * fps.Float())
						p := mediatest.VideoPattern{FPS: fps, Frames: n, GOP: 50, BFrames: b, Start: 12345}
						truth := mediatest.Video(p)
						in := make([]media.AccessUnit, len(truth))
						for i, au := range truth {
							if cut == "truncated" {
								au.DTS, au.PTS = au.DTS/90*90, au.PTS/90*90
							} else {
								au.DTS, au.PTS = (au.DTS+45)/90*90, (au.PTS+45)/90*90
							}
							au.Duration = 0
							in[i] = au
						}
						out := run(t, f, c, in)
						require.Len(t, out, n)
						require.Equal(t, fps.Float(), f.Stats().FrameRate.Float())
						quick := max(int(fps.Float()), 8)
						if hint {
							quick = 4
						}
						for i := quick; i < n; i++ {
							if out[i].Duration == 0 {
								t.Fatalf("unit %d has no duration", i)
							}
							within(t, truth[i].DTS, out[i].DTS, 180, "unit %d", i)
							within(t, truth[i].PTS, out[i].PTS, 180, "unit %d", i)
							if i+1 < n && out[i+1].DTS != out[i].DTS+out[i].Duration {
								t.Fatalf("unit %d at %d for %d, the next at %d", i, out[i].DTS, out[i].Duration, out[i+1].DTS)
							}
						}
						// Settled, the durations are the rate's own.
						for i := n * 3 / 4; i < n; i++ {
							require.InDelta(t, 90000/fps.Float(), float64(out[i].Duration), 1.01, "unit %d", i)
							offset := float64(out[i].PTS-out[i].DTS) * fps.Float() / 90000
							require.InDelta(t, float64(int(offset+0.5)), offset, 0.01, "unit %d", i)
						}
					})
				}
			}
		}
	}
}

func TestDriftIsFollowed(t *testing.T) {
	for _, ppm := range []int64{-300, -50, 50, 300} {
		t.Run(fmt.Sprint(ppm), func(t *testing.T) {
			f, c := videoOnly(mediatest.H264Track(640, 360, 30, 1))
			p := mediatest.VideoPattern{Frames: 30 * 600, GOP: 60, Milliseconds: true, Size: 20, KeySize: 20,
				Jitter: func(i int) media.Ticks { return media.Ticks(int64(i) * 3000 * ppm / 1_000_000) }}
			in := mediatest.Video(p)
			out := run(t, f, c, in)
			for i := 4; i < len(out); i++ {
				require.NotZero(t, out[i].Duration, i)
				within(t, in[i].DTS, out[i].DTS, 180, i)
			}
			require.Zero(t, f.Stats().Repairs[firewall.CadenceLost])
		})
	}
}

func TestDroppedFramesStayOnTheGrid(t *testing.T) {
	f, c := videoOnly(mediatest.H264Track(640, 360, 24000, 1001))
	p := mediatest.VideoPattern{FPS: media.Rational{Num: 24000, Den: 1001}, Frames: 240, GOP: 48, Milliseconds: true,
		Drop: []int{20, 50, 51, 52, 100, 102, 104}}
	in := mediatest.Video(p)
	out := run(t, f, c, in)
	require.Len(t, out, len(in))
	for i := 5; i+1 < len(out); i++ {
		require.NotZero(t, out[i].Duration)
		within(t, in[i].DTS, out[i].DTS, 180, i)
		if in[i+1].DTS-in[i].DTS < 5000 {
			require.Equal(t, out[i+1].DTS, out[i].DTS+out[i].Duration, i)
		}
	}
	require.EqualValues(t, 5, f.Stats().Repairs[firewall.Hole])
}

func TestVariableRateIsLeftAlone(t *testing.T) {
	f, c := videoOnly(mediatest.H264Track(640, 360, 0, 0))
	in := mediatest.Video(mediatest.VideoPattern{Frames: 600, Intervals: []media.Ticks{3000, 9000, 4500, 1800, 12000, 7200, 2700}})
	out := run(t, f, c, in)
	require.Len(t, out, len(in))
	for i := range out {
		require.Zero(t, out[i].Duration, i)
		require.Equal(t, in[i].DTS, out[i].DTS, i)
	}
}

func TestJitterBeyondRoundingIsVariable(t *testing.T) {
	f, c := videoOnly(mediatest.H264Track(640, 360, 30, 1))
	in := mediatest.Video(mediatest.VideoPattern{Frames: 1800, Milliseconds: true,
		Jitter: func(i int) media.Ticks { return media.Ticks(i*7919%1100) - 550 }})
	out := run(t, f, c, in)
	require.Len(t, out, len(in))
	constant := 0
	for i := range out {
		if out[i].Duration != 0 {
			constant++
		}
		within(t, in[i].DTS, out[i].DTS, 1700, i)
	}
	require.Less(t, constant, len(out)/5)
}

func TestRateChangesInFlight(t *testing.T) {
	f, c := videoOnly(mediatest.H264Track(640, 360, 0, 0))
	a := mediatest.Video(mediatest.VideoPattern{Frames: 300, Milliseconds: true})
	b := mediatest.Video(mediatest.VideoPattern{FPS: media.Rational{Num: 25, Den: 1}, Frames: 300, Milliseconds: true, Start: a[299].DTS + 3600})
	out := run(t, f, c, append(a, b...))
	require.Len(t, out, 600)
	require.Equal(t, media.Rational{Num: 25, Den: 1}, f.Stats().FrameRate)
	for i := 340; i < 600; i++ {
		within(t, b[i-300].DTS, out[i].DTS, 180)
	}
	require.Less(t, c.scale[media.Video].Duration(out[340].DTS-out[300].DTS), 2*time.Second)
}

// TestAnHonestVariableRateIsNotMended: what leaves pictures out, changes its pace or stands still has nothing wrong with its
// timestamps, however often it looks constant for a while.
func TestAnHonestVariableRateIsNotMended(t *testing.T) {
	still := map[int]bool{} // a screen that is still for a while, now and then
	for i := range 40 {
		for k := range 3 + i*7%40 {
			still[60+i*45+k] = i%2 == 0
		}
	}
	var dropped []int
	for i := range 1800 {
		if still[i] || i*7919%11 == 0 {
			dropped = append(dropped, i)
		}
	}
	paces := make([]media.Ticks, 0, 600) // 33 ms for a while, then 41, then what the light asks for
	for i := range 600 {
		paces = append(paces, []media.Ticks{2970, 3690, media.Ticks(1500 + i*7919%5000)}[i/37%3])
	}
	for name, p := range map[string]mediatest.VideoPattern{
		"a screen":                   {Frames: 1800, Drop: dropped},
		"a telephone":                {Frames: 600, Intervals: paces},
		"one that looks constant":    {Frames: 900, Intervals: []media.Ticks{3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 1200, 4100}},
		"a camera with rough clocks": {Frames: 900, Jitter: func(i int) media.Ticks { return media.Ticks(i*7919%1100) - 550 }},
	} {
		for _, hint := range []uint32{0, 30} {
			for _, rounded := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s hint=%d rounded=%v", name, hint, rounded), func(t *testing.T) {
					p.Milliseconds, p.Size, p.KeySize = rounded, 16, 16
					vt, at := mediatest.H264Track(640, 360, hint, 1), mediatest.AACTrack(48000, 2)
					in := mediatest.Video(p)
					sound := mediatest.Audio(mediatest.AudioPattern{Frames: int(in[len(in)-1].DTS / 1920), Milliseconds: rounded})
					f := firewall.New(firewall.Options{})
					f.SetTrack(vt)
					f.SetTrack(at)
					c := newChecker(vt, at)
					run(t, f, c, mediatest.Interleave(vt, at, in, sound))
					for r := firewall.Repair(1); r < firewall.NumRepairs; r++ {
						if firewall.Mended.Has(r) {
							require.Zero(t, f.Stats().Repairs[r], "%v", r)
						}
					}
					out := c.units[media.Video]
					require.Len(t, out, len(in))
					for i := range out {
						within(t, in[i].DTS, out[i].DTS, 4500, "picture %d", i)
					}
				})
			}
		}
	}
}
