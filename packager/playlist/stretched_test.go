package playlist_test

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/packager/playlist"
)

// TestPrintedTimeRunsAheadOfTheSamples reckons as Shaka Player 5.2.12 does before it appends a part
// (lib/media/media_source_engine.js): where the difference is a millisecond or more, it resets the source buffer, and the
// pictures up to the next key frame are lost.
func TestPrintedTimeRunsAheadOfTheSamples(t *testing.T) {
	for _, rate := range []struct{ scale, ticks int64 }{{24000, 1001}, {24, 1}, {25, 1}, {30000, 1001}, {15360, 512}, {60, 1}, {44100, 1024}, {48000, 1024}} {
		frame := time.Second * time.Duration(rate.ticks) / time.Duration(rate.scale)
		n := int64(partTime / frame)
		spec := live(func(s *playlist.Spec) {
			s.Config.PartTarget = time.Duration(n) * frame
			s.Open, s.Hint.Part = nil, 0
			for _, seg := range s.Segments {
				seg.Duration = 0
				for j := range seg.Parts {
					seg.Parts[j].Duration = time.Duration(n) * frame
					seg.Duration += seg.Parts[j].Duration
				}
			}
		})
		text := string(playlist.NewWindow(spec).Render(playlist.SkipNo, false))
		for _, age := range []int64{4, 32, 66, 130, 300, 3_600, 86_400, 1_000_000} { // seconds that the stream is on when Shaka joins
			samples := age * rate.scale / rate.ticks * rate.ticks
			var segment, part, set float64
			reckon := func(at float64) {
				offset := at - float64(samples)/float64(rate.scale)
				if set == 0 {
					set = offset + 0.001
					return
				}
				require.Less(t, math.Abs(set-offset), 0.001, "%d/%d after %d s, at %f", rate.scale, rate.ticks, age, at)
			}
			for line := range strings.Lines(text) {
				if value, ok := strings.CutPrefix(line, "#EXT-X-PART:DURATION="); ok {
					reckon(part)
					part += seconds(t, value)
					samples += n * rate.ticks
				} else if value, ok := strings.CutPrefix(line, "#EXTINF:"); ok {
					if part == segment {
						reckon(segment)
						samples += fullParts * n * rate.ticks
					}
					segment += seconds(t, value)
					part = segment
				}
			}
			require.Greater(t, segment, 20.0)
		}
	}
}

// seconds reads what stands before the first comma.
func seconds(t *testing.T, text string) float64 {
	t.Helper()
	text, _, _ = strings.Cut(text, ",")
	v, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err)
	return v
}

// TestPrintedLengthKeepsTheTarget: it rounds to whole seconds as what it stands for does.
func TestPrintedLengthKeepsTheTarget(t *testing.T) {
	for length, want := range map[time.Duration]string{
		2500*time.Millisecond - 1: "2.499999999", 2500*time.Millisecond - 300: "2.499999949", 2500 * time.Millisecond: "2.500000250", 499_999_999: "0.499999999",
	} {
		spec := live(func(s *playlist.Spec) { s.Segments[0].Duration = length })
		require.Contains(t, string(playlist.NewWindow(spec).Render(playlist.SkipNo, false)), "#EXTINF:"+want+",\n")
	}
}
