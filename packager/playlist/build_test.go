package playlist_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/packager/playlist"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares text with testdata/{name}.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

const (
	epoch     = int64(1_764_100_000_000)
	firstMSN  = uint64(1_764_100_000)
	partTime  = 200 * time.Millisecond
	fullParts = 10 // in a segment of two seconds
)

var start = time.Date(2026, 11, 25, 20, 0, 0, 123_000_000, time.UTC)

// config is that of a session with the default options and key frames every two seconds.
func config() *playlist.Config {
	return &playlist.Config{Target: 2, PartTarget: partTime * 16 / 15, Window: 30 * time.Second}
}

// parts are n parts of 200 ms that begin with a key frame.
func parts(n int) []playlist.Part {
	out := make([]playlist.Part, n)
	for i := range out {
		out[i] = playlist.Part{Duration: partTime, Independent: i == 0, Size: 50_000}
	}
	return out
}

// segment is the i-th of a session of two-second segments, with n parts.
func segment(i, n int) *playlist.Segment {
	return &playlist.Segment{
		MSN: firstMSN + uint64(i), Epoch: epoch, ProgramDate: start.Add(time.Duration(i) * 2 * time.Second),
		Duration: time.Duration(n) * partTime, Independent: true, Parts: parts(n), Bytes: 500_000,
	}
}

// live is a window of fifteen segments, an open one with three parts, and a sibling.
func live(change ...func(*playlist.Spec)) playlist.Spec {
	s := playlist.Spec{Config: config(), Independent: true, Open: segment(15, 3)}
	for i := range 15 {
		s.Segments = append(s.Segments, segment(i, fullParts))
	}
	s.Hint = &playlist.Hint{Epoch: epoch, MSN: firstMSN + 15, Part: 3}
	s.Reports = []playlist.Report{{Rendition: "audio", LastMSN: firstMSN + 15, LastPart: 2}}
	for _, f := range change {
		f(&s)
	}
	return s
}

// variants are the states that a window goes through.
func variants() map[string]playlist.Spec {
	return map[string]playlist.Spec{
		"live": live(),
		"first": live(func(s *playlist.Spec) {
			s.Segments, s.Open = s.Segments[:1], nil
			s.Hint = &playlist.Hint{Epoch: epoch, MSN: firstMSN + 1, Part: 0}
		}),
		"between_segments": live(func(s *playlist.Spec) {
			s.Open = nil
			s.Hint.Part = 0
		}),
		"away": live(func(s *playlist.Spec) {
			s.Segments, s.Open, s.Hint, s.Away = append(s.Segments, segment(15, 3)), nil, nil, true
		}),
		"new_epoch_hinted": live(func(s *playlist.Spec) {
			s.Open = nil
			s.Hint = &playlist.Hint{Epoch: epoch + 60_000, MSN: firstMSN + 15, Part: 0}
		}),
		"new_epoch": live(func(s *playlist.Spec) {
			s.Open.Epoch, s.Open.Discontinuity, s.Hint.Epoch = epoch+60_000, true, epoch+60_000
			s.Open.ProgramDate = s.Open.ProgramDate.Add(7 * time.Second)
			s.DiscontinuitySequence = 3
		}),
		"no_independent_segments": live(func(s *playlist.Spec) {
			s.Independent = false
			seg := segment(14, fullParts)
			seg.Parts[0].Independent, seg.Parts[4].Independent, seg.Independent = false, true, false
			s.Segments[14] = seg
		}),
		"gap": live(func(s *playlist.Spec) {
			seg := segment(14, fullParts)
			seg.Parts, seg.Gap, seg.Independent = nil, true, false
			s.Segments[14] = seg
		}),
		"no_parts": live(func(s *playlist.Spec) {
			s.Config.PartTarget = 0
			for i := range s.Segments {
				c := *s.Segments[i]
				c.Parts = nil
				s.Segments[i] = &c
			}
			s.Open.Parts = nil
			s.Hint.Part = -1
			s.Reports[0].LastPart = -1
		}),
		"short_window": live(func(s *playlist.Spec) {
			s.Config.Window = 12 * time.Second
			s.Segments = s.Segments[9:]
		}),
		"ended": live(func(s *playlist.Spec) {
			s.Segments, s.Open, s.Hint, s.Ended = append(s.Segments, segment(15, 3)), nil, nil, true
		}),
	}
}
