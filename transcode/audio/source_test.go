package audio

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"mediad/live"
	"mediad/media"
	"mediad/media/mpegts"
	"mediad/transcode/nut"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// film is five seconds of pictures with a burst of 1 kHz each second.
type film struct {
	tracks [media.Kinds]*media.Track
	units  []media.AccessUnit
	zero   time.Duration // the moment of the first picture
}

func (f *film) Track(k media.Kind, t *media.Track) error { f.tracks[k] = t; return nil }
func (f *film) NoTrack(media.Kind)                       {}
func (f *film) Write(au media.AccessUnit) error {
	if au.Kind == media.Video && f.zero == 0 {
		f.zero = media.VideoTimescale.Duration(au.PTS)
	}
	f.units = append(f.units, au)
	return nil
}
func (f *film) Unsupported(media.Kind, string) error { return io.ErrUnexpectedEOF }

func shoot(t *testing.T) *film { return shootWith(t, "-c:a", "libopus", "-b:a", "96k") }

func shootWith(t testing.TB, codec ...string) *film {
	t.Helper()
	file := filepath.Join(t.TempDir(), "film.ts")
	args := []string{
		"-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=30",
		"-f", "lavfi", "-i", "aevalsrc='if(lt(mod(t,1),0.05),0.5*sin(2*PI*1000*t),0)':s=48000:c=stereo",
		"-t", "5", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency",
	}
	out, err := exec.Command("ffmpeg", append(append(args, codec...), "-f", "mpegts", file)...).CombinedOutput()
	require.NoError(t, err, string(out))
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	f := &film{}
	d := mpegts.New(mpegts.Options{Sink: f})
	require.NoError(t, d.Write(b))
	require.NoError(t, d.Flush())
	require.NotNil(t, f.tracks[media.Audio])
	return f
}

// script is a Subscription that tells what it was given, some times as fast as it happened.
type script struct {
	events []live.Event
	every  time.Duration
	closed bool
}

func (s *script) Next(ctx context.Context) (live.Event, error) {
	if len(s.events) == 0 {
		return live.Event{}, io.EOF
	}
	tick := time.NewTimer(s.every)
	defer tick.Stop()
	select {
	case <-tick.C:
	case <-ctx.Done():
		return live.Event{}, ctx.Err()
	}
	ev := s.events[0]
	s.events = s.events[1:]
	return ev, nil
}
func (*script) Want([media.Kinds]int) {}
func (s *script) Close()              { s.closed = true }

func (f *film) events() (out []live.Event) {
	e := &live.Epoch{ID: 1, Tracks: f.tracks, Start: f.zero}
	out = append(out, live.Event{Kind: live.EventEpoch, Epoch: e})
	for _, u := range f.units {
		out = append(out, live.Event{Kind: live.EventUnit, Epoch: e, Unit: u})
	}
	return append(out, live.Event{Kind: live.EventAway}, live.Event{Kind: live.EventEnd})
}

// all reads a source to its end.
func all(t *testing.T, s *Source) (out []live.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for {
		ev, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		out = append(out, ev)
	}
}

func sounds(events []live.Event) (out []media.AccessUnit) {
	for _, ev := range events {
		if ev.Kind == live.EventUnit && ev.Unit.Kind == media.Audio {
			out = append(out, ev.Unit)
		}
	}
	return out
}

// bursts decodes AAC and tells when each burst begins, in session time.
func bursts(t testing.TB, units []media.AccessUnit) []time.Duration {
	t.Helper()
	asc := []byte{0x11, 0x90}
	return burstsOf(t, nut.Stream{Class: nut.Audio, FourCC: "\xff\x00\x00\x00", Extra: asc, SampleRate: rate, Channels: 2}, units)
}

// burstsOf does so for a codec that is named by its stream.
func burstsOf(t testing.TB, s nut.Stream, units []media.AccessUnit) (out []time.Duration) {
	t.Helper()
	s.TimeBase = media.Rational{Num: 1, Den: rate}
	b := nut.AppendHeader(nil, s)
	for i, u := range units {
		b = append(nut.AppendFrameHeader(b, int64(i)*int64(u.Duration), true, len(u.Data)), u.Data...)
	}
	cmd := exec.Command("ffmpeg", "-v", "error", "-f", "nut", "-i", "-", "-ac", "1", "-f", "s16le", "-")
	cmd.Stdin = bytes.NewReader(b)
	pcm, err := cmd.Output()
	require.NoError(t, err)
	quiet := math.MaxInt32
	for i := 0; i+1 < len(pcm); i += 2 {
		if v := int16(binary.LittleEndian.Uint16(pcm[i:])); v > 3000 || v < -3000 {
			if quiet > rate/4 {
				out = append(out, media.Timescale(rate).Duration(units[0].PTS+media.Ticks(i/2)))
			}
			quiet = 0
		} else {
			quiet++
		}
	}
	return out
}

func logger(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

func TestSoundIsHeardWhenItWas(t *testing.T) {
	f := shoot(t)
	sub := &script{events: f.events(), every: time.Millisecond}
	s := Convert(sub, Options{Log: logger(t), queue: 10_000})
	events := all(t, s)
	s.Close()
	require.True(t, sub.closed)
	require.Equal(t, live.EventEpoch, events[0].Kind)
	require.Equal(t, media.AAC, events[0].Epoch.Tracks[media.Audio].Codec)
	require.Equal(t, live.EventEnd, events[len(events)-1].Kind)
	require.Equal(t, live.EventAway, events[len(events)-2].Kind, "what was said before it comes before it")
	units := sounds(events)
	require.Greater(t, len(units), 5*rate/aacFrame-10)
	for i := range units {
		require.Equal(t, units[0].DTS+media.Ticks(i)*aacFrame, units[i].DTS, "no frame is missing")
	}
	heard := bursts(t, units)
	require.Len(t, heard, 5)
	for i, at := range heard[1:] { // the first is where the decoder begins, out of nothing
		i++
		require.InDelta(t, float64(f.zero)/1e6+float64(i)*1000, float64(at)/1e6, 5, "milliseconds, burst %d", i)
	}
}

func TestAHoleIsCountedAnew(t *testing.T) {
	f := shoot(t)
	var cut []media.AccessUnit
	from, to := f.zero+1500*time.Millisecond, f.zero+2500*time.Millisecond
	for _, u := range f.units {
		at := f.tracks[u.Kind].Timescale.Duration(u.PTS)
		if u.Kind == media.Audio && at > from && at < to {
			continue
		}
		cut = append(cut, u)
	}
	f.units = cut
	s := Convert(&script{events: f.events(), every: time.Millisecond}, Options{Log: logger(t), queue: 10_000})
	units := sounds(all(t, s))
	s.Close()
	jumps := 0
	for i := 1; i < len(units); i++ {
		require.Greater(t, units[i].DTS, units[i-1].DTS)
		if units[i].DTS-units[i-1].DTS > 2*aacFrame {
			jumps++
			heard := bursts(t, units[i:])
			require.Len(t, heard, 2)
			require.InDelta(t, float64(f.zero)/1e6+3000, float64(heard[0])/1e6, 5, "milliseconds")
		}
	}
	require.Equal(t, 1, jumps)
}

// TestLostPacketsMoveNothing: what is missing is silence, and what comes after is heard when it was.
func TestLostPacketsMoveNothing(t *testing.T) {
	for lose := range 4 {
		f := shoot(t)
		var left []media.AccessUnit
		gone := 0
		for _, u := range f.units {
			at := f.tracks[u.Kind].Timescale.Duration(u.PTS)
			if u.Kind == media.Audio && at > f.zero+1500*time.Millisecond && gone < lose {
				gone++
				continue
			}
			left = append(left, u)
		}
		f.units = left
		s := Convert(&script{events: f.events(), every: 100 * time.Microsecond}, Options{Log: logger(t), queue: 10_000})
		units := sounds(all(t, s))
		s.Close()
		heard := bursts(t, units)
		require.Len(t, heard, 5)
		require.InDelta(t, float64(f.zero)/1e6+4000, float64(heard[4])/1e6, 5, "milliseconds, with %d packets lost", lose)
	}
}

func TestWithoutOpusItIsTheSubscription(t *testing.T) {
	f := shoot(t)
	aac, err := newTrack()
	require.NoError(t, err)
	f.tracks[media.Audio] = aac
	want := f.events()
	s := Convert(&script{events: want}, Options{})
	require.Equal(t, want, all(t, s))
	s.Close()
}

// TestAChildThatFailsCostsSoundAlone: pictures go on, and a program that is not there is not started in a tight loop.
func TestAChildThatFailsCostsSoundAlone(t *testing.T) {
	f := shoot(t)
	var log strings.Builder
	s := Convert(&script{events: f.events()}, Options{FFmpeg: "/nonexistent", Log: slog.New(slog.NewTextHandler(&log, nil))})
	events := all(t, s)
	s.Close()
	pictures := 0
	for _, ev := range events {
		if ev.Kind == live.EventUnit {
			require.Equal(t, media.Video, ev.Unit.Kind)
			pictures++
		}
	}
	require.Equal(t, 150, pictures)
	require.Equal(t, 1, strings.Count(log.String(), "started again"))
}

func TestClosingInTheMiddleEndsEverything(t *testing.T) {
	f := shoot(t)
	s := Convert(&script{events: f.events(), every: time.Millisecond}, Options{Log: logger(t), queue: 10_000})
	for {
		ev, err := s.Next(t.Context())
		require.NoError(t, err)
		if ev.Kind == live.EventUnit && ev.Unit.Kind == media.Audio {
			break
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for {
		if _, err := s.Next(ctx); err != nil {
			require.ErrorIs(t, err, context.Canceled)
			break
		}
	}
	s.Close()
}
