package nut_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/media"
	"mediad/media/mediatest"
	"mediad/transcode/nut"
)

func TestMain(m *testing.M) { testx.Main(m) }

var ticks90k = media.Rational{Num: 1, Den: 90000}

func video(extra []byte) nut.Stream {
	return nut.Stream{Class: nut.Video, FourCC: "H264", TimeBase: ticks90k, Extra: extra, Width: 320, Height: 180}
}

func file(s nut.Stream, frames []nut.Frame) []byte {
	b := nut.AppendHeader(nil, s)
	for _, f := range frames {
		b = nut.AppendFrameHeader(b, f.PTS, f.Key, len(f.Data))
		b = append(b, f.Data...)
	}
	return b
}

func readAll(r io.Reader) ([]nut.Stream, []nut.Frame, error) {
	d, err := nut.NewReader(r)
	if err != nil {
		return nil, nil, err
	}
	var out []nut.Frame
	for {
		f, err := d.Next()
		if err != nil {
			return d.Streams(), out, err
		}
		out = append(out, f)
	}
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	frames := []nut.Frame{
		{PTS: 0, Key: true, Data: []byte{1}},
		{PTS: 1, Data: nil},
		{PTS: 1 << 60, Key: true, Data: bytes.Repeat([]byte{7}, 3<<20)},
		{PTS: 5, Data: bytes.Repeat([]byte("N"), 5000)},
	}
	for _, s := range []nut.Stream{
		video([]byte{1, 2, 3}),
		video(bytes.Repeat([]byte{9}, 10000)), // a header with a checksum of its own
		{Class: nut.Audio, FourCC: "Opus", TimeBase: media.Rational{Num: 1, Den: 48000}, SampleRate: 48000, Channels: 2},
	} {
		streams, got, err := readAll(iotest.OneByteReader(bytes.NewReader(file(s, frames))))
		require.Equal(t, io.EOF, err)
		if s.Extra == nil {
			streams[0].Extra = nil
		}
		require.Equal(t, []nut.Stream{s}, streams)
		require.Len(t, got, len(frames))
		for i, f := range got {
			require.Equal(t, frames[i].PTS, f.PTS)
			require.Equal(t, frames[i].Key, f.Key)
			require.True(t, bytes.Equal(frames[i].Data, f.Data))
		}
	}
}

// ffmpeg has FFmpeg copy what stands in NUT and returns what it writes.
func ffmpeg(t *testing.T, in []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("ffmpeg", append([]string{"-v", "error"}, args...)...)
	var out, msg bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &msg
	require.NoError(t, cmd.Run(), msg.String())
	require.Empty(t, msg.String())
	return out.Bytes()
}

// TestFFmpegReadsAndWritesTheSame passes coded pictures and sound through FFmpeg and back.
func TestFFmpegReadsAndWritesTheSame(t *testing.T) {
	vt, at, units := mediatest.Encoded(t, mediatest.EncodedPattern{FPS: media.Rational{Num: 30000, Den: 1001}, BFrames: 2, Start: 900000})
	for _, track := range []*media.Track{vt, at} {
		name, err := nut.FourCC(track.Codec)
		require.NoError(t, err)
		s := nut.Stream{FourCC: name, TimeBase: media.Rational{Num: 1, Den: uint32(track.Timescale)}, Extra: track.Config}
		if track.Kind == media.Video {
			s.Class, s.Width, s.Height, s.DecodeDelay = nut.Video, track.Width, track.Height, 1
		} else {
			s.Class, s.SampleRate, s.Channels = nut.Audio, track.SampleRate, track.Channels
		}
		var frames []nut.Frame
		for _, au := range units {
			if au.Kind == track.Kind {
				frames = append(frames, nut.Frame{PTS: int64(au.PTS), Key: au.RandomAccess, Data: au.Data})
			}
		}
		out := ffmpeg(t, file(s, frames), "-flags", "low_delay", "-probesize", "32", "-analyzeduration", "0", "-copyts", "-f", "nut", "-i", "pipe:0",
			"-c", "copy", "-avoid_negative_ts", "disabled", "-f", "nut", "pipe:1")
		streams, got, err := readAll(bytes.NewReader(out))
		require.Equal(t, io.EOF, err)
		require.Len(t, streams, 1)
		require.Equal(t, name, streams[0].FourCC)
		require.Equal(t, s.TimeBase, streams[0].TimeBase)
		require.Equal(t, track.Config, streams[0].Extra)
		require.Equal(t, len(frames), len(got))
		for i := range got {
			require.Equal(t, frames[i].PTS, got[i].PTS, "frame %d", i)
			require.Equal(t, frames[i].Key, got[i].Key, "frame %d", i)
			require.True(t, bytes.Equal(frames[i].Data, got[i].Data), "frame %d", i)
		}
	}
}

// TestTwoStreamsOfAVersion3File reads what FFmpeg writes by itself: interleaved, with syncpoints, an index and short timestamps.
func TestTwoStreamsOfAVersion3File(t *testing.T) {
	out := ffmpeg(t, nil, "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30:duration=2", "-f", "lavfi", "-i", "sine=duration=2",
		"-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "30", "-c:a", "aac", "-output_ts_offset", "10", "-f", "nut", "pipe:1")
	streams, got, err := readAll(bytes.NewReader(out))
	require.Equal(t, io.EOF, err)
	require.Equal(t, "H264", streams[0].FourCC)
	require.Equal(t, 320, streams[0].Width)
	require.Equal(t, 44100, streams[1].SampleRate)
	var seconds []float64
	keys := 0
	for _, f := range got {
		if f.Stream == 0 {
			seconds = append(seconds, float64(f.PTS)*streams[0].TimeBase.Float())
			if f.Key {
				keys++
			}
		}
	}
	require.Len(t, seconds, 60)
	require.Equal(t, 2, keys)
	for i, s := range seconds {
		require.InDelta(t, 10+float64(i)/30, s, 1e-3)
	}
}

func TestBrokenFilesAreRefused(t *testing.T) {
	good := file(video([]byte{1}), []nut.Frame{{PTS: 1, Data: make([]byte, 100)}})
	for n := range good {
		_, _, err := readAll(bytes.NewReader(good[:n]))
		require.Error(t, err)
	}
	for i := range good[:len(good)-110] {
		bad := slices.Clone(good)
		bad[i] ^= 0x40
		_, _, err := readAll(bytes.NewReader(bad))
		require.Error(t, err, "byte %d", i)
	}
	_, _, err := readAll(bytes.NewReader(nut.AppendFrameHeader(nut.AppendHeader(nil, video(nil)), 0, true, nut.MaxFrame+1)))
	require.ErrorIs(t, err, nut.ErrInvalid)
	_, _, err = readAll(bytes.NewReader(nut.AppendFrameHeader(nut.AppendHeader(nil, video(nil)), 0, true, nut.MaxFrame)))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func FuzzReader(f *testing.F) {
	f.Add(file(video([]byte{1, 2}), []nut.Frame{{PTS: 7, Key: true, Data: []byte("data")}, {PTS: 9}}))
	if b, err := os.ReadFile("testdata/ffmpeg.nut"); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, frames, err := readAll(bytes.NewReader(b))
		if err == nil {
			t.Fatal("no end")
		}
		total := 0
		for _, fr := range frames {
			total += len(fr.Data)
			if fr.PTS < 0 {
				t.Fatalf("a picture at %d", fr.PTS)
			}
		}
		if total > 256*len(b)+len(b) {
			t.Fatalf("%d bytes of %d", total, len(b))
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, nut.ErrInvalid) {
			t.Fatal(err)
		}
	})
}
