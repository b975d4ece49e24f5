package audio

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/media"
	"mediad/transcode/nut"
)

// opusStream is what is made of AAC, for burstsOf.
var opusStream = nut.Stream{Class: nut.Audio, FourCC: "Opus", SampleRate: rate, Channels: 2}

// sound is the film's, without what the filter leaves out.
func (f *film) sound(keep func(at time.Duration) bool) (out []media.AccessUnit) {
	for _, u := range f.units {
		if u.Kind == media.Audio && (keep == nil || keep(f.tracks[media.Audio].Timescale.Duration(u.PTS)-f.zero)) {
			out = append(out, u)
		}
	}
	return out
}

// encoded gives an encoder all units and returns what it makes of them.
func encoded(t testing.TB, e *Encoder, units []media.AccessUnit) (out []media.AccessUnit) {
	t.Helper()
	for _, u := range units {
		require.True(t, e.Write(u))
	}
	e.finish()
	for u := range e.Units() {
		out = append(out, u)
	}
	e.Close()
	return out
}

// requireBursts wants the film's bursts at their seconds.
func requireBursts(t *testing.T, f *film, heard []time.Duration, seconds ...int) {
	t.Helper()
	require.Len(t, heard, len(seconds))
	for i, s := range seconds {
		if s == 0 {
			continue // there a decoder begins, out of nothing
		}
		want := f.zero + time.Duration(s)*time.Second
		require.InDelta(t, want.Seconds(), heard[i].Seconds(), 0.005, "seconds, burst %d", i)
	}
}

func TestOpusIsHeardWhenTheAACWas(t *testing.T) {
	for name, codec := range map[string][]string{
		"48 kHz stereo": {"-c:a", "aac", "-b:a", "128k"}, "44.1 kHz mono": {"-c:a", "aac", "-ar", "44100", "-ac", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			f := shootWith(t, codec...)
			e, err := EncodeOpus(f.tracks[media.Audio], Options{Log: logger(t), queue: 10_000})
			require.NoError(t, err)
			units := encoded(t, e, f.sound(nil))
			require.Greater(t, len(units), 5*rate/opusFrame-10)
			for i, u := range units {
				require.Equal(t, units[0].PTS+media.Ticks(i)*opusFrame, u.PTS, "no packet is missing")
				require.EqualValues(t, opusFrame, media.OpusSamples(u.Data))
			}
			requireBursts(t, f, burstsOf(t, opusStream, units), 0, 1, 2, 3, 4)
		})
	}
}

// TestWhatCannotBeDecodedMovesNothing: neither a frame that is no AAC nor one that is missing.
func TestWhatCannotBeDecodedMovesNothing(t *testing.T) {
	f := shootWith(t, "-c:a", "aac", "-b:a", "128k")
	units := f.sound(func(at time.Duration) bool { return at < 2500*time.Millisecond || at > 2540*time.Millisecond })
	broken := 0
	for i := range units {
		if at := f.tracks[media.Audio].Timescale.Duration(units[i].PTS) - f.zero; at > 1500*time.Millisecond && broken < 3 {
			units[i].Data = bytes.Repeat([]byte{0xff}, 50)
			broken++
		}
	}
	e, err := EncodeOpus(f.tracks[media.Audio], Options{Log: logger(t), queue: 10_000})
	require.NoError(t, err)
	made := encoded(t, e, units)
	last := made[len(made)-60:] // all of the last burst, with nothing lost in it
	requireBursts(t, f, burstsOf(t, opusStream, last), 4)
	for i := 1; i < len(made); i++ {
		require.Greater(t, made[i].PTS, made[i-1].PTS)
	}
}

func TestHoleInAAC(t *testing.T) {
	f := shootWith(t, "-c:a", "aac", "-b:a", "128k")
	e, err := EncodeOpus(f.tracks[media.Audio], Options{Log: logger(t), queue: 10_000})
	require.NoError(t, err)
	made := encoded(t, e, f.sound(func(at time.Duration) bool { return at < 1500*time.Millisecond || at > 2500*time.Millisecond }))
	at := 0
	for i := 1; i < len(made); i++ {
		if made[i].PTS-made[i-1].PTS > rate/2 {
			require.Zero(t, at, "one hole")
			at = i
		}
	}
	require.NotZero(t, at)
	requireBursts(t, f, burstsOf(t, opusStream, made[at:]), 3, 4)
}

func TestAACOfLinearSound(t *testing.T) {
	type unit struct {
		track *media.Track
		au    media.AccessUnit
	}
	var mu sync.Mutex
	var made []unit
	s, err := EncodePCM(PCM{Rate: 8000, Channels: 1}, Options{Log: logger(t), queue: 10_000}, func(tr *media.Track, au media.AccessUnit) {
		mu.Lock()
		defer mu.Unlock()
		made = append(made, unit{tr, au})
	})
	require.NoError(t, err)
	require.Error(t, s.Write(0, []byte{1}), "half a sample")
	const begin = media.Ticks(80_000) // ten seconds
	for at := media.Ticks(0); at < 5*8000; at += 160 {
		pcm := make([]byte, 320)
		for i := range 160 {
			n := int(at) + i
			if n%8000 < 400 {
				binary.LittleEndian.PutUint16(pcm[2*i:], uint16(int16(16000*math.Sin(2*math.Pi*1000*float64(n)/8000))))
			}
		}
		if at != 12_000 { // a packet is lost
			require.NoError(t, s.Write(begin+at, pcm))
		}
	}
	testx.WaitFor(t, "sound", func() bool { mu.Lock(); defer mu.Unlock(); return len(made) > 4*rate/aacFrame+20 })
	s.Close()
	units := make([]media.AccessUnit, 0, len(made))
	for i, u := range made {
		require.Same(t, made[0].track, u.track)
		require.Equal(t, made[0].au.PTS+media.Ticks(i)*aacFrame, u.au.PTS)
		units = append(units, u.au)
	}
	require.Equal(t, media.AAC, made[0].track.Codec)
	f := &film{zero: 10 * time.Second}
	requireBursts(t, f, bursts(t, units), 0, 1, 2, 3, 4)
	require.NoError(t, s.Write(begin, make([]byte, 320)), "after the end it is dropped")
}

// TestWhatIsClosedHasNoHole: who closes the encoder while it still makes sound is given nothing from behind what was left out.
func TestWhatIsClosedHasNoHole(t *testing.T) {
	full, goOn := make(chan struct{}), make(chan struct{})
	var made []media.Ticks
	s, err := EncodePCM(PCM{Rate: 8000, Channels: 1}, Options{Log: logger(t), queue: 10_000}, func(_ *media.Track, au media.AccessUnit) {
		if made = append(made, au.PTS); len(made) == 1 {
			close(full)
			<-goOn
		}
	})
	require.NoError(t, err)
	for at := media.Ticks(0); at < 10*8000; at += 160 {
		require.NoError(t, s.Write(at, make([]byte, 320)))
	}
	<-full
	testx.WaitFor(t, "the encoder to be ahead", func() bool { return len(s.e.out) == ahead })
	s.e.stop()
	close(goOn)
	s.Close()
	for i, pts := range made {
		require.Equal(t, made[0]+media.Ticks(i)*aacFrame, pts)
	}
}

// program writes a script that stands in for FFmpeg.
func program(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ffmpeg")
	require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\n"+text), 0o755)) //nolint:gosec // it is a program
	return file
}

// lines is a log that can be searched while it is written.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// TestAChildThatGivesNothingIsNoticed although it takes all that it is given.
func TestAChildThatGivesNothingIsNoticed(t *testing.T) {
	f := shootWith(t, "-c:a", "aac")
	var past atomic.Int64
	begin := time.Now()
	log := &lines{}
	e, err := EncodeOpus(f.tracks[media.Audio], Options{
		FFmpeg: program(t, "exec cat >/dev/null\n"), Log: slog.New(slog.NewTextHandler(log, nil)), queue: 10_000,
		Now: func() time.Time { return begin.Add(time.Duration(past.Load())) },
	})
	require.NoError(t, err)
	units := f.sound(nil)
	for _, u := range units[:50] { // a second
		e.Write(u)
	}
	testx.WaitFor(t, "the child to take it", func() bool { return len(e.in) == 0 })
	require.Zero(t, log.count("gives none"))
	past.Store(int64(hungFirst + time.Second))
	e.Write(units[50])
	testx.WaitFor(t, "the verdict", func() bool { return log.count(errHung.Error()) == 1 })
	e.Close()
}

// TestAChildThatDiesIsFollowedByAnother: sound goes on where it was.
func TestAChildThatDiesIsFollowedByAnother(t *testing.T) {
	f := shootWith(t, "-c:a", "aac")
	mark := filepath.Join(t.TempDir(), "mark")
	script := program(t, "if [ -e "+mark+" ]; then exec ffmpeg \"$@\"; fi\ntouch "+mark+"\nhead -c 2000 >/dev/null\nexit 1\n")
	log := &lines{}
	e, err := EncodeOpus(f.tracks[media.Audio], Options{FFmpeg: script, Log: slog.New(slog.NewTextHandler(log, nil)), queue: 10_000})
	require.NoError(t, err)
	units := f.sound(nil)
	for _, u := range units[:80] {
		e.Write(u)
	}
	testx.WaitFor(t, "the end of the first", func() bool { return log.count("started again") == 1 })
	made := encoded(t, e, units[80:])
	require.Equal(t, 1, log.count("started again"))
	require.NotEmpty(t, made)
	requireBursts(t, f, burstsOf(t, opusStream, made[len(made)-60:]), 4)
}

// TestWriteNeverWaits: what there is no room for is dropped, the oldest first.
func TestWriteNeverWaits(t *testing.T) {
	tr, err := newTrack()
	require.NoError(t, err)
	e, err := EncodeOpus(tr, Options{FFmpeg: program(t, "exec sleep 60\n")})
	require.NoError(t, err)
	full := false
	for i := range 10_000 {
		full = !e.Write(media.AccessUnit{Kind: media.Audio, PTS: media.Ticks(i) * aacFrame, Data: make([]byte, 1000)}) || full
	}
	require.True(t, full)
	e.Close()
}

func TestOpusOfOtherCodecsIsRefused(t *testing.T) {
	_, err := EncodeOpus(&media.Track{Kind: media.Audio, Codec: media.Opus}, Options{})
	require.ErrorContains(t, err, "no Opus of")
	_, err = EncodePCM(PCM{Rate: 8000, Channels: 5}, Options{}, nil)
	require.Error(t, err)
}
