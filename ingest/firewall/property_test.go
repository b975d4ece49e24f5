package firewall_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/ingest/firewall"
	"mediad/media"
	"mediad/media/mediatest"
)

// randomStream is a source with a random cadence and random faults in a row.
func randomStream(r *rand.Rand) stream {
	fps := rates[r.IntN(len(rates))]
	s := stream{vt: mediatest.H264Track(640, 360, 0, 0), at: mediatest.AACTrack([]int{44100, 48000, 32000}[r.IntN(3)], 2)}
	if r.IntN(2) == 0 {
		s.vt = mediatest.H264Track(640, 360, fps.Num, fps.Den)
	}
	seconds := 4 + r.IntN(12)
	start := time.Duration(r.Int64N(int64(30 * hour)))
	vp := mediatest.VideoPattern{FPS: fps, Frames: max(int(fps.Float()*float64(seconds)), 1), GOP: 1 + r.IntN(100), BFrames: r.IntN(4),
		Milliseconds: r.IntN(3) > 0, Start: s.vt.Timescale.Ticks(start), Size: 16, KeySize: 16}
	ap := mediatest.AudioPattern{Track: s.at, Frames: int(s.at.Timescale) * seconds / 1024, Milliseconds: r.IntN(3) > 0,
		Start: s.at.Timescale.Ticks(start), Size: 16}
	switch r.IntN(6) {
	case 0:
		vp.Intervals = []media.Ticks{3000, 1500, media.Ticks(100 + r.IntN(20000)), 4500}
		vp.Frames = seconds * 10
	case 1:
		vp.Jitter = func(int) media.Ticks { return media.Ticks(r.IntN(2000) - 1000) }
	case 2:
		ppm := r.Int64N(4000) - 2000
		vp.Jitter = func(i int) media.Ticks { return media.Ticks(int64(i) * 3000 * ppm / 1e6) }
	}
	var v, a []media.AccessUnit
	if r.IntN(8) > 0 {
		v = mediatest.Video(vp)
	}
	if r.IntN(8) > 0 || v == nil {
		a = mediatest.Audio(ap)
	}
	s.units = mediatest.Interleave(s.vt, s.at, v, a)
	for range r.IntN(6) {
		s.fault(r)
	}
	return s
}

// fault puts one fault at a random place.
func (s *stream) fault(r *rand.Rand) {
	n := len(s.units)
	i := r.IntN(n)
	j := min(i+1+r.IntN(60), n)
	kinds := [][]media.Kind{bothKinds, {media.Video}, {media.Audio}}[r.IntN(3)]
	jumps := []time.Duration{10 * hour, -10 * hour, time.Second, 2 * time.Second, -2 * time.Second, 400 * time.Millisecond,
		-400 * time.Millisecond, 40 * time.Millisecond, -40 * time.Millisecond, 990 * time.Millisecond}
	d := jumps[r.IntN(len(jumps))]
	switch r.IntN(6) {
	case 0:
		s.shift(i, n, d, kinds...)
	case 1:
		s.shift(i, j, d, kinds...)
	case 2:
		s.shift(i, i+1, d, kinds...)
	case 3:
		s.remove(i, j, kinds...)
	case 4:
		for k := i; k < j; k++ {
			s.units[k].DTS = s.units[i].DTS
		}
	case 5:
		s.units[i].DTS, s.units[i].PTS = media.Ticks(r.Uint64()), media.Ticks(r.Uint64())
	}
	if len(s.units) == 0 {
		s.units = mediatest.Audio(mediatest.AudioPattern{Track: s.at, Frames: 1})
	}
}

func TestWhateverComesInTheRulesHold(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 300
	}
	for seed := range n {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		s := randomStream(r)
		o := firewall.Options{}
		if r.IntN(2) == 0 {
			o.ClockBits, o.ClockRate = 33, 90000
		}
		f := firewall.New(o)
		f.SetTrack(s.vt)
		f.SetTrack(s.at)
		c := newChecker(s.vt, s.at)
		arrival := time.Duration(0)
		for i, au := range s.units {
			if err := c.check(f.Push(au, arrival)); err != nil {
				t.Fatalf("seed %d push %d: %v", seed, i, err)
			}
			arrival += time.Duration(r.Int64N(int64(20 * time.Millisecond)))
		}
		require.NoError(t, c.check(f.Flush()), "seed %d", seed)
		require.LessOrEqual(t, c.total, len(s.units), "seed %d", seed)
	}
}

func TestACleanSourceComesOutWhole(t *testing.T) {
	for seed := range 60 {
		r := rand.New(rand.NewPCG(uint64(seed), 2))
		fps := rates[r.IntN(len(rates))]
		vt, at := mediatest.H264Track(640, 360, 0, 0), mediatest.AACTrack(44100, 2)
		start := time.Duration(r.Int64N(int64(30 * hour)))
		v := mediatest.Video(mediatest.VideoPattern{FPS: fps, Frames: int(10 * fps.Float()), BFrames: r.IntN(4), Milliseconds: r.IntN(2) == 0,
			Start: vt.Timescale.Ticks(start), Size: 16, KeySize: 16})
		a := mediatest.Audio(mediatest.AudioPattern{Track: at, Frames: 430, Milliseconds: r.IntN(2) == 0, Start: at.Timescale.Ticks(start)})
		f := firewall.New(firewall.Options{})
		f.SetTrack(vt)
		f.SetTrack(at)
		c := newChecker(vt, at)
		units := mediatest.Interleave(vt, at, v, a)
		out := run(t, f, c, units)
		require.Len(t, out, len(units), "seed %d", seed)
		require.Zero(t, c.epochs)
		for r := firewall.Repair(1); r < firewall.NumRepairs; r++ {
			if firewall.Mended.Has(r) {
				require.Zero(t, f.Stats().Repairs[r], "seed %d: %v", seed, r)
			}
		}
		for i, au := range c.units[media.Audio] {
			require.Equal(t, c.units[media.Audio][0].DTS+media.Ticks(i*1024), au.DTS)
		}
	}
}

func TestWrappingClocks(t *testing.T) {
	for _, tt := range []struct {
		bits uint
		rate media.Timescale
		wrap time.Duration
	}{{32, media.Milliseconds, 1 << 32 * time.Millisecond}, {33, 90000, media.Timescale(90000).Duration(1 << 33)}} {
		s := sound(10, tt.wrap-5*time.Second)
		for i := range s.units {
			au := &s.units[i]
			mod := media.Rescale(1<<tt.bits, tt.rate, s.scale(au.Kind))
			au.DTS, au.PTS = au.DTS%mod, au.PTS%mod
		}
		f := firewall.New(firewall.Options{ClockBits: tt.bits, ClockRate: tt.rate})
		f.SetTrack(s.vt)
		f.SetTrack(s.at)
		c := newChecker(s.vt, s.at)
		for i, au := range s.units {
			require.NoError(t, c.check(f.Push(au, time.Duration(i)*13*time.Millisecond)))
		}
		require.Zero(t, c.epochs)
		require.Equal(t, len(s.units), c.total)
		require.Greater(t, c.now(media.Audio), tt.wrap+4*time.Second)
	}
}

func TestSlowPicturesAloneAreNotLost(t *testing.T) {
	f, c := videoOnly(mediatest.H264Track(640, 360, 0, 0))
	in := mediatest.Video(mediatest.VideoPattern{Frames: 20, GOP: 1, Intervals: []media.Ticks{2 * 90000, 3 * 90000}})
	for _, au := range in {
		require.NoError(t, c.check(f.Push(au, c.scale[media.Video].Duration(au.DTS))))
	}
	require.Equal(t, len(in)-1, c.total) // nothing has followed the last
}

func BenchmarkPush(b *testing.B) {
	for _, tt := range []struct {
		name string
		p    mediatest.VideoPattern
	}{
		{"constant", mediatest.VideoPattern{Frames: 100000, Milliseconds: true, Size: 16, KeySize: 16}},
		{"variable", mediatest.VideoPattern{Frames: 2000, Intervals: []media.Ticks{3000, 9000, 4500, 1800, 12000}, Size: 16, KeySize: 16}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			units := mediatest.Video(tt.p)
			b.ReportAllocs()
			for b.Loop() {
				f, _ := videoOnly(mediatest.H264Track(640, 360, 0, 0))
				for i, au := range units {
					f.Push(au, time.Duration(i)*33*time.Millisecond)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(units)), "ns/unit")
		})
	}
}

func TestHeldUnitsAreBounded(t *testing.T) {
	s := sound(10, 0)
	f := firewall.New(firewall.Options{MaxHeldBytes: 3000})
	f.SetTrack(s.vt)
	f.SetTrack(s.at)
	s.shift(700, len(s.units), hour, media.Video)
	c := newChecker(s.vt, s.at)
	pushed := 0
	for _, au := range s.units {
		pushed++
		require.NoError(t, c.check(f.Push(au, 0))) // the clock stands: only the bounds can end the wait
		require.LessOrEqual(t, pushed-c.total, 8)
	}
}

func TestPushDoesNotAllocate(t *testing.T) {
	s := sound(60, 0)
	f := firewall.New(firewall.Options{})
	f.SetTrack(s.vt)
	f.SetTrack(s.at)
	i := 0
	push := func() {
		f.Push(s.units[i], time.Duration(i)*13*time.Millisecond)
		i++
	}
	for range 200 {
		push()
	}
	require.Zero(t, testing.AllocsPerRun(2000, push))
}

func FuzzPush(f *testing.F) {
	f.Add([]byte{0, 1, 1, 2, 0x80, 3, 4, 5, 9, 9, 200, 1, 7, 7})
	f.Add([]byte("video audio video audio jump jump back video"))
	f.Fuzz(func(t *testing.T, script []byte) {
		vt, at := mediatest.H264Track(640, 360, 30, 1), mediatest.AACTrack(48000, 2)
		o := firewall.Options{}
		if len(script)%2 == 1 {
			o.ClockBits, o.ClockRate = 32, media.Milliseconds
		}
		fw := firewall.New(o)
		fw.SetTrack(vt)
		fw.SetTrack(at)
		c := newChecker(vt, at)
		var clock [media.Kinds]media.Ticks
		var arrival time.Duration
		step := [media.Kinds]media.Ticks{3000, 1024}
		// Two bytes a unit: kind, what its clock does, and by how much.
		for ; len(script) >= 2; script = script[2:] {
			k := media.Kind(script[0] & 1)
			x := media.Ticks(int8(script[1]))
			cts := media.Ticks(0)
			clock[k] += step[k]
			switch script[0] >> 1 & 7 {
			case 0, 1:
			case 2:
				clock[k] += x * 90
			case 3:
				clock[k] += x << 12
			case 4:
				clock[k] += x << 40
			case 5:
				cts = x * 3000
			case 6:
				clock[0], clock[1] = clock[0]+x*45000, clock[1]+x*24000
			case 7:
				clock[k] += x << 55
			}
			arrival += time.Duration(script[0]>>4) * 4 * time.Millisecond
			r := fw.Push(media.AccessUnit{Kind: k, DTS: clock[k], PTS: clock[k] + cts}, arrival)
			if err := c.check(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.check(fw.Flush()); err != nil {
			t.Fatal(err)
		}
	})
}
