package playlist_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/packager/playlist"
)

func text(s playlist.Spec) string {
	return string(playlist.NewWindow(s).Render(playlist.SkipNo, false))
}

// change replaces the first old in s, which must be there.
func change(t *testing.T, s, old, with string) string {
	t.Helper()
	require.Contains(t, s, old)
	return strings.Replace(s, old, with, 1)
}

func name(format string, i int, more ...any) string {
	return fmt.Sprintf(format, append([]any{epoch, firstMSN + uint64(i)}, more...)...)
}

// Each rule that one playlist can break is broken once.
func TestEachRuleOfOnePlaylistCanFail(t *testing.T) {
	part := func(i, n int) string { return name(`"part_%d_%d_%d.m4s"`, i, n) }
	hint := "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=" + part(15, 3) + "\n"
	line := func(i, n int) string { return "#EXT-X-PART:DURATION=0.200000020,URI=" + part(i, n) }
	for _, c := range []struct{ rule, old, with string }{
		{"syntax", "#EXTM3U\n", ""},
		{"syntax", "#EXT-X-VERSION:9\n", "#EXT-X-VERSION:9\n#EXT-X-VERSION:9\n"},
		{"syntax", "#EXT-X-VERSION:9\n", "#EXT-X-VERSION:9\n\n"},
		{"syntax", "#EXT-X-VERSION:9\n", "#EXT-X-VERSION:9\n#EXT-X-BITRATE:1\n"},
		{"syntax", "EXTINF:2.000000200,", "EXTINF:2.0,"},
		{"syntax", "EXTINF:2.000000200,", "EXTINF:-2.000000200,"},
		{"syntax", "20:00:00.123Z", "20:00:00"},
		{"syntax", `MAP:URI="init`, `MAP:URI=init`},
		{"syntax", "DURATION=0.200000020", "DURATION=0.2"},
		{"head", "#EXT-X-VERSION:9\n", ""},
		{"head", "#EXT-X-DISCONTINUITY-SEQUENCE:0\n", ""},
		{"version", "VERSION:9", "VERSION:5"},
		{"target", "#EXT-X-TARGETDURATION:2\n", "#EXT-X-TARGETDURATION:0\n"},
		{"control-parts", "CAN-BLOCK-RELOAD=YES,", ""},
		{"control-parts", "#EXT-X-PART-INF:PART-TARGET=0.213334\n", ""},
		{"control-part-hold-back", "PART-HOLD-BACK=0.640002", "PART-HOLD-BACK=0.640001"},
		{"control-part-hold-back", ",PART-HOLD-BACK=0.640002", ""},
		{"control-hold-back", ",HOLD-BACK=6.0", ",HOLD-BACK=5.9"},
		{"control-can-skip-until", "CAN-SKIP-UNTIL=12.0", "CAN-SKIP-UNTIL=11.9"},
		{"too-long", "EXTINF:2.000000200", "EXTINF:2.500000000"},
		{"empty", "EXTINF:2.000000200", "EXTINF:0.000000000"},
		{"map", `#EXT-X-MAP:URI="init_1764100000000.mp4"` + "\n", ""},
		{"map", `URI="init_1764100000000.mp4"`, `URI="init.mp4"`},
		{"name", name("seg_%d_%d.m4s", 3), name("seg_%d_%d.m4s", 4)},
		{"part-name", part(14, 4), part(14, 5)},
		{"part-name", part(15, 0), part(14, 0)},
		{"map-changes", "#EXT-X-PROGRAM-DATE-TIME:2026-11-25T20:00:30", `#EXT-X-MAP:URI="init_1764100060000.mp4"` + "\n#EXT-X-PROGRAM-DATE-TIME:2026-11-25T20:00:30"},
		{"parts-sum", line(14, 9) + "\n", ""},
		{"part-long", "DURATION=0.200000020,URI=" + part(14, 4), "DURATION=0.213335000,URI=" + part(14, 4)},
		{"part-short", "DURATION=0.200000020,URI=" + part(14, 4), "DURATION=0.181333000,URI=" + part(14, 4)},
		{"part-short", "DURATION=0.200000020,URI=" + part(15, 1), "DURATION=0.181333000,URI=" + part(15, 1)},
		{"part-empty", "DURATION=0.200000020,URI=" + part(15, 2), "DURATION=0.000000000,URI=" + part(15, 2)},
		{"part-gap-mixed", part(15, 2), part(15, 2) + ",GAP=YES"},
		{"part-gap-independent", part(15, 0) + ",INDEPENDENT=YES", part(15, 0) + ",INDEPENDENT=YES,GAP=YES"},
		{"independent", part(15, 0) + ",INDEPENDENT=YES", part(15, 0)},
		{"old-parts", "#EXTINF:2.000000200,\n" + name("seg_%d_%d.m4s", 11), line(11, 0) + ",INDEPENDENT=YES\n#EXTINF:2.000000200,\n" + name("seg_%d_%d.m4s", 11)},
		{"date", "#EXT-X-PROGRAM-DATE-TIME:2026-11-25T20:00:02.123Z\n", ""},
		{"date-drifts", "20:00:04.123Z", "20:00:04.125Z"},
		{"date-drifts", "20:00:04.123Z", "20:00:04.121Z"},
		{"ended", hint, hint + "#EXT-X-ENDLIST\n"},
		{"hint", hint, hint + hint},
		{"hint", hint, `#EXT-X-PRELOAD-HINT:TYPE=MAP,URI="init_1764100060000.mp4"` + "\n"},
		{"hint-map", hint, `#EXT-X-PRELOAD-HINT:TYPE=MAP,URI="init_1764100000000.mp4"` + "\n" + hint},
		{"hint-part", hint, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=" + part(15, 4) + "\n"},
		{"report", ",LAST-MSN=1764100015", ""},
		{"report", "#EXT-X-RENDITION-REPORT:URI=", "#EXT-X-RENDITION-REPORT:URI=\"../audio/index.m3u8\",LAST-MSN=1\n#EXT-X-RENDITION-REPORT:URI="},
	} {
		t.Run(c.rule+"/"+c.with, func(t *testing.T) {
			good := text(live())
			require.NoError(t, playlist.CheckInvariants(nil, []byte(good)))
			err := playlist.CheckInvariants(nil, []byte(change(t, good, c.old, c.with)))
			require.ErrorContains(t, err, c.rule+":")
		})
	}
}

func TestRulesOfDeltaUpdatesCanFail(t *testing.T) {
	delta := string(playlist.NewWindow(live()).Render(playlist.SkipYes, false))
	require.NoError(t, playlist.CheckInvariants(nil, []byte(delta)))
	for _, c := range []struct{ rule, old, with string }{
		{"version", "VERSION:9", "VERSION:8"},
		{"skip-not-offered", ",CAN-SKIP-UNTIL=12.000000", ""},
		{"skip-count", "SKIPPED-SEGMENTS=9", "SKIPPED-SEGMENTS=0"},
		{"name", "SKIPPED-SEGMENTS=9", "SKIPPED-SEGMENTS=8"},
		{"map", `#EXT-X-MAP:URI="init_1764100000000.mp4"` + "\n", ""},
	} {
		require.ErrorContains(t, playlist.CheckInvariants(nil, []byte(change(t, delta, c.old, c.with))), c.rule+":")
	}
	// One more skipped than the boundary allows: the first listed segment with its tags is gone.
	i := strings.Index(delta, "#EXT-X-PROGRAM-DATE-TIME")
	j := strings.Index(delta, name("seg_%d_%d.m4s", 9)) + len(name("seg_%d_%d.m4s\n", 9))
	far := change(t, delta[:i]+delta[j:], "SKIPPED-SEGMENTS=9", "SKIPPED-SEGMENTS=10")
	require.ErrorContains(t, playlist.CheckInvariants(nil, []byte(far)), "skip-too-much:")
}

func TestAPlaylistWithoutACompleteSegmentIsAFault(t *testing.T) {
	s := live(func(s *playlist.Spec) { s.Segments = nil })
	require.ErrorContains(t, playlist.CheckInvariants(nil, []byte(text(s))), "no-segment:")
}

func TestAGapPartBelongsIntoAGapSegment(t *testing.T) {
	s := live(func(s *playlist.Spec) {
		seg := segment(14, fullParts)
		for i := range seg.Parts {
			seg.Parts[i].Gap, seg.Parts[i].Independent = true, false
		}
		s.Segments[14] = seg
	})
	require.ErrorContains(t, playlist.CheckInvariants(nil, []byte(text(s))), "part-gap-segment:")
	s.Segments[14].Gap = true
	require.NoError(t, playlist.CheckInvariants(nil, []byte(text(s))))
}

// later is live two segments and two parts on, with the oldest two gone.
func later(change ...func(*playlist.Spec)) playlist.Spec {
	s := live()
	s.Segments = append(s.Segments[2:], segment(15, fullParts), segment(16, fullParts))
	s.Open = segment(17, 5)
	s.Hint.MSN, s.Hint.Part = firstMSN+17, 5
	for _, f := range change {
		f(&s)
	}
	return s
}

func TestEachRuleOfSuccessionCanFail(t *testing.T) {
	for _, c := range []struct {
		rule      string
		prev, cur func(*playlist.Spec)
	}{
		{"", nil, nil},
		{"sequence-back", func(s *playlist.Spec) { s.Segments = s.Segments[3:] }, nil},
		{"edge-back", nil, func(s *playlist.Spec) { s.Segments, s.Open, s.Hint = s.Segments[:12], nil, nil }},
		{"edge-back", func(s *playlist.Spec) {
			*s = later()
			s.Open.Parts = parts(6)
		}, nil},
		{"discontinuity-back", func(s *playlist.Spec) { s.DiscontinuitySequence = 2 }, nil},
		{"discontinuity-count", nil, func(s *playlist.Spec) { s.DiscontinuitySequence = 1 }},
		{"discontinuity-count", func(s *playlist.Spec) { withDiscontinuity(s, 1) }, nil},
		{"", func(s *playlist.Spec) { withDiscontinuity(s, 1) }, func(s *playlist.Spec) { s.DiscontinuitySequence = 1 }},
		{"target-changes", nil, func(s *playlist.Spec) { s.Config.Target = 3 }},
		{"control-changes", nil, func(s *playlist.Spec) { s.Config.Window = 10 * time.Second }},
		{"part-target-changes", nil, func(s *playlist.Spec) { s.Config.PartTarget += time.Millisecond }},
		{"independent-again", func(s *playlist.Spec) { s.Independent = false }, nil},
		{"", nil, func(s *playlist.Spec) { s.Independent = false }},
		{"window-short", nil, func(s *playlist.Spec) { s.Segments, s.Open.Parts, s.Hint = s.Segments[13:], nil, nil }},
		{"segment-changes", nil, func(s *playlist.Spec) {
			seg := *s.Segments[3]
			seg.Duration += time.Millisecond
			s.Segments[3] = &seg
		}},
		{"segment-changes", nil, func(s *playlist.Spec) {
			seg := *s.Segments[3]
			seg.Gap = true
			s.Segments[3] = &seg
		}},
		{"head-changes", nil, func(s *playlist.Spec) {
			for i := range s.Segments {
				seg := *s.Segments[i]
				seg.ProgramDate = seg.ProgramDate.Add(time.Millisecond)
				s.Segments[i] = &seg
			}
		}},
		{"head-changes", nil, func(s *playlist.Spec) { withDiscontinuity(s, 4) }},
		{"parts-change", nil, func(s *playlist.Spec) {
			seg := segment(15, fullParts)
			seg.Parts[1].Duration -= time.Millisecond
			seg.Parts[2].Duration += time.Millisecond
			s.Segments[13] = seg
		}},
		{"parts-change", nil, func(s *playlist.Spec) {
			seg := segment(15, fullParts)
			seg.Parts = seg.Parts[:2]
			s.Segments[13] = seg
		}},
		{"parts-change", func(s *playlist.Spec) {
			seg := segment(14, fullParts)
			seg.Parts = seg.Parts[:9]
			s.Segments[14] = seg
		}, func(s *playlist.Spec) { *s = live() }},
		{"after-end", func(s *playlist.Spec) { s.Open, s.Hint, s.Ended = nil, nil, true }, nil},
		{"", func(s *playlist.Spec) { s.Open, s.Hint, s.Ended = nil, nil, true }, func(s *playlist.Spec) {
			*s = live()
			s.Open, s.Hint, s.Ended = nil, nil, true
		}},
		{"fresh-window", nil, func(s *playlist.Spec) { jump(s, 100, 0) }},
		{"", nil, func(s *playlist.Spec) { jump(s, 100, 60_000) }},
		{"", func(s *playlist.Spec) { s.Independent = false }, func(s *playlist.Spec) { jump(s, 100, 60_000) }},
	} {
		t.Run(c.rule, func(t *testing.T) {
			prev, cur := live(), later()
			if c.prev != nil {
				c.prev(&prev)
			}
			if c.cur != nil {
				c.cur(&cur)
			}
			err := playlist.CheckInvariants([]byte(text(prev)), []byte(text(cur)))
			if c.rule == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.rule+":")
		})
	}
	version := change(t, text(later()), "VERSION:9", "VERSION:10")
	require.ErrorContains(t, playlist.CheckInvariants([]byte(text(live())), []byte(version)), "version-changes:")
	unseen := playlist.NewWindow(later(func(s *playlist.Spec) { jumpOpen(s) })).Render(playlist.SkipYes, false)
	require.ErrorContains(t, playlist.CheckInvariants([]byte(text(first())), unseen), "skip-unseen:")
}

// first is a window of which later has only the first segments.
func first() playlist.Spec {
	return live(func(s *playlist.Spec) { s.Segments, s.Open, s.Hint = s.Segments[:4], nil, nil })
}

func jumpOpen(s *playlist.Spec) { s.Open, s.Hint = nil, nil }

// withDiscontinuity puts a discontinuity in front of the i-th segment.
func withDiscontinuity(s *playlist.Spec, i int) {
	seg := *s.Segments[i]
	seg.Discontinuity = true
	s.Segments[i] = &seg
}

// jump moves the whole window on by n numbers and its epoch by e.
func jump(s *playlist.Spec, n uint64, e int64) {
	for i := range s.Segments {
		seg := *s.Segments[i]
		seg.MSN, seg.Epoch = seg.MSN+n, seg.Epoch+e
		s.Segments[i] = &seg
	}
	s.Open, s.Hint = nil, nil
}

func TestCheckWindowComparesTheDeltaUpdate(t *testing.T) {
	a, b := playlist.NewWindow(live()), playlist.NewWindow(later())
	require.NoError(t, playlist.CheckWindow(nil, a))
	require.NoError(t, playlist.CheckWindow(a, b))
	require.Error(t, playlist.CheckWindow(b, a))
}
