package transcode

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/configs/ladders"
	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
	"mediad/transcode/ffmpeg"
	"mediad/transcode/governor"
	"mediad/transcode/nut"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func event(s *stage, au media.AccessUnit) live.Event {
	return live.Event{Kind: live.EventUnit, Epoch: s.epoch, Unit: au}
}

// TestCommandLines is read in testdata/args.txt.
func TestCommandLines(t *testing.T) {
	rungs := []media.Rung{
		{Name: "480p", Width: 854, Height: 480, FrameRate: media.Rational{Num: 30000, Den: 1001}, Bitrate: 1_200_000},
		{Name: "240p", Width: 426, Height: 240, FrameRate: media.Rational{Num: 30000, Den: 1001}, Bitrate: 350_000},
	}
	wide := &media.Track{Codec: media.H264, Width: 1280, Height: 720}
	from := 10*media.Ticks(90000) + 4500
	var b strings.Builder
	for _, c := range []struct {
		name string
		job
	}{
		{"as the source", job{source: wide, rungs: rungs, preset: "veryfast"}},
		{"constant rate, of another shape", job{
			source: &media.Track{Codec: media.H264, Width: 640, Height: 480}, rungs: rungs[:1], preset: "ultrafast", pace: paceConstant,
		}},
		{"nvenc", job{source: wide, rungs: rungs[:1], encoder: ffmpeg.NVENC}},
		{"vaapi", job{source: wide, rungs: rungs[:1], encoder: ffmpeg.VAAPI}},
		{"qsv", job{source: wide, rungs: rungs[:1], encoder: ffmpeg.QSV}},
		{"it leads", job{source: wide, rungs: rungs, preset: "veryfast", leads: true}},
		{"it goes on", job{source: wide, rungs: rungs[:1], preset: "veryfast", leads: true, from: &from}},
		{"it goes on at a constant rate", job{
			source: wide, rungs: rungs[:1], preset: "veryfast", pace: paceConstant, leads: true, from: &from, moved: from + 1500,
		}},
	} {
		b.WriteString("# " + c.name + "\n" + strings.ReplaceAll(strings.Join(c.args(), " "), " -map", " \\\n  -map") + "\n")
	}
	golden := filepath.Join("testdata", "args.txt")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(b.String()), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

// TestIrregularGOPs: key frames are where the source's are, however they come.
func TestIrregularGOPs(t *testing.T) {
	t.Parallel()
	track, units := clip(t, mediatest.EncodedPattern{Frames: 41, GOP: 7})
	at := units[40].DTS + 3000
	_, more := clip(t, mediatest.EncodedPattern{Frames: 61, GOP: 61, Start: at})
	units = append(units, more[:41]...)
	s := newStage(t, Options{})
	s.begin(1, track)
	for _, u := range units {
		s.unit(u)
	}
	s.finish(t)
	require.Equal(t, keys(units), keys(s.sink.units("96p")))
	require.Equal(t, pts(units), pts(s.sink.units("96p")))
}

// TestVariableRate: rungs have a constant rate, and their key frames are within a frame of the source's.
func TestVariableRate(t *testing.T) {
	t.Parallel()
	track, units := clip(t, mediatest.EncodedPattern{Frames: 211, GOP: 30})
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's
	for i := range units {
		u := &units[i]
		u.DTS += media.Ticks(rnd.IntN(2500))
		u.PTS, u.Duration = u.DTS, 0
	}
	variable := *track
	variable.FrameRate = media.Rational{}
	s := newStage(t, Options{})
	s.begin(1, &variable)
	for _, u := range units {
		s.unit(u)
	}
	s.finish(t)
	for _, rung := range []string{"96p", "64p"} {
		got := s.sink.units(rung)
		require.InDelta(t, len(units), len(got), 2)
		for i, u := range got {
			require.Equal(t, got[0].DTS+media.Ticks(i)*3000, u.DTS)
		}
		want, have := keys(units), keys(got)
		require.Len(t, have, len(want))
		for i := range want {
			require.InDelta(t, int64(want[i]), int64(have[i]), 3000)
		}
	}
}

// TestARateThatNobodyPromised: browsers say none, and the plan is made with the first picture. What its rungs say, 30, is what they have,
// whatever comes.
func TestARateThatNobodyPromised(t *testing.T) {
	t.Parallel()
	track, units := clip(t, mediatest.EncodedPattern{FPS: media.Rational{Num: 20, Den: 1}, Frames: 81, GOP: 20})
	for i := range units {
		units[i].Duration = 0 // the firewall does not vouch for it
	}
	silent := *track
	silent.FrameRate = media.Rational{}
	s := newStage(t, Options{})
	s.begin(1, &silent)
	for _, u := range units {
		s.unit(u)
	}
	s.finish(t)
	require.Equal(t, media.Rational{Num: 30, Den: 1}, s.sink.of("96p", media.EncodedTrack)[0].Track.FrameRate)
	got := s.sink.units("96p")
	require.InDelta(t, 80*30/20, len(got), 2, "each second picture stands for two")
	for i := 1; i < len(got); i++ {
		require.EqualValues(t, 3000, got[i].DTS-got[i-1].DTS)
	}
}

// TestVariableRateOverAChange: a run that begins between two times of the grid goes on behind the one before.
func TestVariableRateOverAChange(t *testing.T) {
	t.Parallel()
	track, units := clip(t, mediatest.EncodedPattern{Frames: 211, GOP: 10})
	rnd := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // a test's
	for i := range units {
		u := &units[i]
		u.DTS += media.Ticks(rnd.IntN(1400))
		u.PTS, u.Duration = u.DTS, 0
	}
	variable := *track
	variable.FrameRate = media.Rational{}
	s := newStage(t, Options{})
	s.begin(1, &variable)
	for i, u := range units {
		if i%10 == 5 { // a rung goes, or comes with another run from the next key frame on
			testx.WaitFor(t, "what was fed", func() bool { return len(keys(s.sink.units("64p"))) >= i/10 })
			s.l.mu.Lock()
			s.l.gov.Join("session", governor.Costs{Rungs: []float64{2, 1}}, 0, time.Now())
			if i/10%2 == 0 {
				s.l.gov.Report("session", time.Now(), governor.Report{Overflow: true})
			}
			s.l.mu.Unlock()
			time.Sleep(reportEvery) // the encoder asks no more often
		}
		s.unit(u)
	}
	s.finish(t)
	got := s.sink.units("64p")
	want, have := keys(units), keys(got)
	require.Len(t, have, len(want))
	for i := range want {
		require.InDelta(t, int64(want[i]), int64(have[i]), 9000, "a place further at each change where it was taken")
	}
	check(t, s.sink.of("64p", media.EncodedTrack)[0].Track, got)
	require.Greater(t, len(s.sink.of("96p", media.EncodedShed)), 5)
}

// TestARateThatTurnsOutToVary is taken for what the bitstream promises at first.
func TestARateThatTurnsOutToVary(t *testing.T) {
	t.Parallel()
	track, units := clip(t, mediatest.EncodedPattern{Frames: 211, GOP: 30})
	for i := range units {
		u := &units[i]
		u.DTS += media.Ticks(i * 997 % 1500)
		u.PTS, u.Duration = u.DTS, 0
	}
	s := newStage(t, Options{})
	s.begin(1, track)
	for _, u := range units {
		s.unit(u)
	}
	s.finish(t)
	got := s.sink.units("96p")
	require.InDelta(t, len(units), len(got), 2)
	require.Len(t, s.sink.of("96p", media.EncodedTrack), 1)
	require.Equal(t, pts(units)[:30], pts(got)[:30])
	for i := 34; i < len(got); i++ {
		require.Equal(t, got[i-1].DTS+3000, got[i].DTS)
	}
}

// TestAnotherSourceInTheSameSession: after a change of size, shape and codec the rungs are what they were.
func TestAnotherSourceInTheSameSession(t *testing.T) {
	t.Parallel()
	track, units := clip(t, mediatest.EncodedPattern{Frames: 41})
	end := units[40].DTS + 3000
	square, _, squares := mediatest.Encoded(t, mediatest.EncodedPattern{Width: 64, Height: 64, NoAudio: true, Frames: 41, Start: end})
	s := newStage(t, Options{})
	s.begin(1, track)
	for _, u := range units {
		s.unit(u)
	}
	s.begin(2, square)
	for _, u := range squares {
		s.unit(u)
	}
	s.finish(t)
	for _, rung := range []string{"96p", "64p"} {
		require.Equal(t, append(pts(units), pts(squares)...), pts(s.sink.units(rung)))
		tracks := s.sink.of(rung, media.EncodedTrack)
		require.Len(t, tracks, 2)
		require.Equal(t, tracks[0].Track.Width, tracks[1].Track.Width)
		require.Equal(t, tracks[0].Track.Height, tracks[1].Track.Height)
		require.Equal(t, []int64{1, 2}, []int64{tracks[0].Epoch, tracks[1].Epoch})
	}
}

// TestPlanIsConstant whoever asks, and that of a session from before a restart is the journal's.
func TestPlanIsConstant(t *testing.T) {
	l := NewLive(Options{Ladder: &small, Planned: func(id string) (media.Plan, bool) {
		return media.Plan{Rungs: []media.Rung{{Name: "old", Width: 64, Height: 36, FrameRate: media.Rational{Num: 30, Den: 1}}}}, id == "restored"
	}})
	big := &media.Track{Codec: media.H264, Width: 1280, Height: 720}
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Empty(t, l.planOf("a", nil).plan.Rungs)
	first := l.planOf("a", big).plan
	require.Len(t, first.Rungs, 2)
	require.Equal(t, first, l.planOf("a", &media.Track{Codec: media.H265, Width: 80, Height: 80}).plan)
	require.Equal(t, "old", l.planOf("restored", big).plan.Rungs[0].Name)
	for i := range 2 * maxIdle {
		l.planOf(string(rune('一'+i)), big)
	}
	require.Len(t, l.sessions, maxIdle)
}

// TestALeadReplacesWhatWasPlannedBefore: the packager asks for both plans, and says which one counts only when it begins.
func TestALeadReplacesWhatWasPlannedBefore(t *testing.T) {
	var led media.Plan
	l := NewLive(Options{Ladder: &small, Planned: func(string) (media.Plan, bool) { return led, led.Leads }})
	video := &media.Track{Kind: media.Video, Codec: media.H264, Width: 1280, Height: 720, FrameRate: media.Rational{Num: 30, Den: 1}}
	l.mu.Lock()
	beside := l.planOf("a", video).asked
	l.mu.Unlock()
	require.NotEmpty(t, beside.Rungs)
	reader, err := l.followID("a")
	require.NoError(t, err)
	defer reader.Close()
	led = media.Plan{Leads: true, Rungs: append([]media.Rung{{Name: "720p", Width: 1280, Height: 720, FrameRate: media.Rational{Num: 30, Den: 1}}}, beside.Rungs...)}
	l.start("a")
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Equal(t, led, l.planOf("a", video).asked)
	require.True(t, l.sessions["a"].running)
}

// TestOtherCodecs: what browsers send, and cameras.
func TestOtherCodecs(t *testing.T) {
	for name, film := range map[string]func(*testing.T) (*media.Track, []media.AccessUnit){
		"H.265": func(t *testing.T) (*media.Track, []media.AccessUnit) {
			return coded(t, media.H265, "-c:v libx265 -preset ultrafast -x265-params log-level=none:bframes=0:keyint=30 -f hevc")
		},
		"VP9": func(t *testing.T) (*media.Track, []media.AccessUnit) {
			return ivf(t, "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 30 -lag-in-frames 0 -f ivf", vp9Track)
		},
		"VP8": func(t *testing.T) (*media.Track, []media.AccessUnit) {
			return ivf(t, "-c:v libvpx -deadline realtime -cpu-used 8 -g 30 -lag-in-frames 0 -auto-alt-ref 0 -f ivf", vp8Track)
		},
		"AV1": func(t *testing.T) (*media.Track, []media.AccessUnit) {
			return ivf(t, "-c:v libaom-av1 -usage realtime -cpu-used 8 -g 30 -lag-in-frames 0 -f ivf", av1Track)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			track, units := film(t)
			s := newStage(t, Options{})
			s.begin(1, track)
			for _, u := range units {
				s.unit(u)
			}
			s.finish(t)
			require.Equal(t, pts(units), pts(s.sink.units("64p")))
			require.Equal(t, keys(units), keys(s.sink.units("64p")))
			own := 0
			if name == "H.265" || name == "VP8" {
				own = 1
			}
			require.Len(t, s.sink.of("128p", media.EncodedTrack), own, "a rung of the source's own size where browsers cannot play it")
		})
	}
}

func vp9Track(t *testing.T, first []byte) *media.Track {
	track, err := media.NewVP9([]byte{0, 10, 0x82, 1, 1, 1, 0, 0})
	require.NoError(t, err)
	w, h, ok := media.VP9Size(first)
	require.True(t, ok)
	return track.WithSize(w, h)
}

func vp8Track(t *testing.T, first []byte) *media.Track {
	track, err := media.NewVP8([]byte{0, 10, 0x82, 1, 1, 1, 0, 0})
	require.NoError(t, err)
	w, h, ok := media.VP8Size(first)
	require.True(t, ok)
	return track.WithSize(w, h)
}

// av1Track has the sequence header of the first temporal unit, which FFmpeg puts in front.
func av1Track(t *testing.T, first []byte) *media.Track {
	require.Equal(t, byte(0x0a), first[0], "a sequence header with its size")
	track, err := media.NewAV1(append([]byte{0x81, 0, 0x0c, 0}, first[:2+first[1]]...))
	require.NoError(t, err)
	return track
}

// ivf is pictures out of an IVF file.
func ivf(t *testing.T, args string, trackOf func(*testing.T, []byte) *media.Track) (track *media.Track, units []media.AccessUnit) {
	t.Helper()
	in := strings.Fields("-v error -f lavfi -i testsrc2=size=192x128:rate=30 -frames:v 60 -pix_fmt yuv420p " + args + " -")
	out, err := exec.Command("ffmpeg", in...).Output()
	require.NoError(t, err)
	for out = out[32:]; len(out) > 12; {
		size := int(binary.LittleEndian.Uint32(out))
		data := bytes.TrimPrefix(out[12:12+size], []byte{0x12, 0}) // AV1's temporal delimiter
		out = out[12+size:]
		if track == nil {
			track = trackOf(t, data)
		}
		class, err := media.ClassifyUnit(track, data)
		require.NoError(t, err)
		at := media.Ticks(90000 + 3000*len(units))
		units = append(units, media.AccessUnit{DTS: at, PTS: at, Duration: 3000, RandomAccess: class.RandomAccess, Data: data})
	}
	require.Len(t, units, 60)
	return track, units
}

// coded is 60 pictures of H.265 as a byte stream taken apart.
func coded(t *testing.T, codec media.Codec, args string) (track *media.Track, units []media.AccessUnit) {
	t.Helper()
	in := strings.Fields("-v error -f lavfi -i testsrc2=size=192x128:rate=30 -frames:v 60 -pix_fmt yuv420p " + args + " -")
	out, err := exec.Command("ffmpeg", in...).Output()
	require.NoError(t, err)
	var vps, sps, pps []byte
	var data []byte
	flush := func() {
		if len(data) == 0 {
			return
		}
		if track == nil {
			record, err := media.HVCC(vps, sps, pps)
			require.NoError(t, err)
			track, err = media.NewH265(record)
			require.NoError(t, err)
		}
		class, err := media.ClassifyUnit(track, data)
		require.NoError(t, err)
		at := media.Ticks(90000 + 3000*len(units))
		units = append(units, media.AccessUnit{DTS: at, PTS: at, Duration: 3000, RandomAccess: class.RandomAccess, Data: bytes.Clone(data)})
		data = data[:0]
	}
	for nal := range nals(out) {
		switch typ := nal[0] >> 1 & 0x3f; {
		case typ == 32:
			vps = nal
		case typ == 33:
			sps = nal
		case typ == 34:
			pps = nal
		case typ < 32:
			if nal[2]&0x80 != 0 { // the first slice of a picture
				flush()
			}
			data = append(data, byte(len(nal)>>24), byte(len(nal)>>16), byte(len(nal)>>8), byte(len(nal)))
			data = append(data, nal...)
		}
	}
	flush()
	require.Equal(t, codec, track.Codec)
	require.Len(t, units, 60)
	return track, units
}

// BenchmarkLadder feeds 720p30 in real time and tells how long pictures take through the ladder's three rungs, and the same of a bare
// FFmpeg that makes them of a file as fast as it can: cores it would take in real time.
func BenchmarkLadder(b *testing.B) {
	auto, err := ladders.Named("auto", "")
	require.NoError(b, err)
	track, _, units := mediatest.Encoded(b, mediatest.EncodedPattern{Width: 1280, Height: 720, NoAudio: true, Frames: 181, GOP: 60})
	film := &endless{units: units[:180]}
	s := newStage(b, Options{Ladder: &auto, Cores: 2})
	s.begin(1, track)
	began := map[media.Ticks]time.Time{}
	var took []time.Duration
	s.sink.each = func(m media.Encoded) {
		if m.Kind == media.EncodedUnit && m.Rung == "480p" {
			took = append(took, time.Since(began[m.Unit.PTS]))
		}
	}
	tick := time.NewTicker(time.Second / 30)
	defer tick.Stop()
	for b.Loop() {
		for range 300 { // ten seconds
			u := film.next()
			u.DTS, u.PTS = u.DTS+90000, u.PTS+90000
			s.sink.mu.Lock()
			began[u.PTS] = time.Now()
			s.sink.mu.Unlock()
			s.unit(u)
			<-tick.C
		}
	}
	s.finish(b)
	slices.Sort(took)
	require.NotEmpty(b, took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "ms-p95")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
	b.ReportMetric(bare(b, s, track, units), "ratio-of-real-time-bare")
	b.ReportMetric(0, "ns/op")
}

// bare is how many times faster than real time FFmpeg alone makes the same rungs.
func bare(b *testing.B, s *stage, track *media.Track, units []media.AccessUnit) float64 {
	b.Helper()
	s.l.mu.Lock()
	plan := s.l.planOf("bare", track).plan
	s.l.mu.Unlock()
	j := job{source: track, rungs: plan.Rungs, preset: plan.Preset}
	in, err := nutHeader(track)
	require.NoError(b, err)
	for _, u := range units {
		in = append(nut.AppendFrameHeader(in, int64(u.PTS+offset), u.RandomAccess, len(u.Data)), u.Data...)
	}
	args := strings.Join(j.args(), "\x00")
	for i := range plan.Rungs {
		args = strings.Replace(args, fmt.Sprintf("-f\x00nut\x00pipe:%d", 3+i), "-f\x00null\x00-", 1)
	}
	cmd := exec.Command("ffmpeg", strings.Split(args, "\x00")...)
	cmd.Stdin = bytes.NewReader(in)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	require.NoError(b, err, string(out))
	return float64(len(units)) / 30 / time.Since(began).Seconds()
}
