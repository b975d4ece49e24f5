package playlist_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/packager/playlist"
)

func TestRenderedPlaylists(t *testing.T) {
	for name, spec := range variants() {
		t.Run(name, func(t *testing.T) {
			w := playlist.NewWindow(spec)
			require.NoError(t, playlist.CheckWindow(nil, w))
			golden(t, name+".m3u8", w.Render(playlist.SkipNo, false))
			if delta := w.Render(playlist.SkipYes, false); !bytes.Equal(delta, w.Render(playlist.SkipNo, false)) {
				golden(t, name+"_delta.m3u8", delta)
			}
			require.Equal(t, w.Render(playlist.SkipYes, false), w.Render(playlist.SkipV2, false))
		})
	}
}

func TestRenderedDVR(t *testing.T) {
	s := live(func(s *playlist.Spec) { s.Segments = s.Segments[:4] })
	b := playlist.RenderDVR(s)
	require.NoError(t, playlist.CheckInvariants(nil, b))
	golden(t, "dvr.m3u8", b)
	s.Ended = true
	require.Equal(t, string(b)+"#EXT-X-ENDLIST\n", string(playlist.RenderDVR(s)))
}

func TestCompressedFormIsTheSamePlaylist(t *testing.T) {
	w := playlist.NewWindow(live())
	for _, skip := range []playlist.Skip{playlist.SkipNo, playlist.SkipYes} {
		z, err := gzip.NewReader(bytes.NewReader(w.Render(skip, true)))
		require.NoError(t, err)
		plain, err := io.ReadAll(z)
		require.NoError(t, err)
		require.Equal(t, w.Render(skip, false), plain)
		require.Less(t, len(w.Render(skip, true)), len(plain)/2)
	}
}

func TestEveryFormIsRenderedOnceAndHasItsTag(t *testing.T) {
	w := playlist.NewWindow(live())
	tags := map[string]bool{}
	for _, skip := range []playlist.Skip{playlist.SkipNo, playlist.SkipYes} {
		for _, packed := range []bool{false, true} {
			first := w.Render(skip, packed)
			require.Same(t, &first[0], &w.Render(skip, packed)[0])
			tag := w.ETag(skip, packed)
			require.Regexp(t, `^"[0-9a-f]+(-gz)?"$`, tag)
			require.False(t, tags[tag])
			tags[tag] = true
			require.Zero(t, testing.AllocsPerRun(10, func() { w.Render(skip, packed) }))
		}
	}
	require.Equal(t, w.ETag(playlist.SkipYes, false), w.ETag(playlist.SkipV2, false))
	require.Equal(t, w.ETag(playlist.SkipNo, false), playlist.NewWindow(live()).ETag(playlist.SkipNo, false))
}

// A delta update leaves out what ends more than six target durations before the end of the last part.
func TestSkippedSegments(t *testing.T) {
	for open, want := range map[int]string{0: "9", 1: "9", 9: "9", 10: "10"} {
		spec := live(func(s *playlist.Spec) {
			s.Open.Parts = parts(open)
			s.Hint.Part = open
		})
		delta := string(playlist.NewWindow(spec).Render(playlist.SkipYes, false))
		require.Contains(t, delta, "#EXT-X-SKIP:SKIPPED-SEGMENTS="+want+"\n", "%d parts open", open)
	}
	short := live(func(s *playlist.Spec) { s.Segments = s.Segments[9:] })
	require.NotContains(t, string(playlist.NewWindow(short).Render(playlist.SkipYes, false)), "SKIP:", "nothing to skip")
}

// Rates whose frames are no whole number of microseconds: what is printed still adds up and stays under the target.
func TestPrintedDurationsAddUp(t *testing.T) {
	for _, frame := range []time.Duration{
		time.Second * 1001 / 24000, time.Second / 24, time.Second * 1001 / 30000, time.Second / 30, time.Second * 1001 / 60000,
		time.Second * 1024 / 44100, time.Second * 1024 / 48000,
	} {
		n := int(partTime / frame)
		spec := live(func(s *playlist.Spec) {
			s.Config.PartTarget = time.Duration(n) * frame
			at := start
			for i := range s.Segments {
				seg := *s.Segments[i]
				seg.Parts = parts(9)
				seg.Duration = 0
				for j := range seg.Parts {
					seg.Parts[j].Duration = time.Duration(n) * frame
					seg.Duration += seg.Parts[j].Duration
				}
				seg.ProgramDate = at
				at = at.Add(seg.Duration)
				s.Segments[i] = &seg
			}
			s.Open, s.Hint.Part = nil, 0
		})
		require.NoError(t, playlist.CheckWindow(nil, playlist.NewWindow(spec)), frame.String())
	}
}

func TestPartsAreListedForThreeTargetDurations(t *testing.T) {
	text := string(playlist.NewWindow(live()).Render(playlist.SkipNo, false))
	for i := range 15 {
		part := "part_" + strconv.FormatInt(epoch, 10) + "_" + strconv.FormatUint(firstMSN+uint64(i), 10) + "_0.m4s"
		require.Equal(t, i >= 13, strings.Contains(text, part), "segment %d", i) // 4 s and 0.6 s: one more would be 6.6 s
	}
}

func TestPartsBehindGapsAlone(t *testing.T) {
	shed := live(func(s *playlist.Spec) {
		s.PartsBehindGaps, s.Open, s.Hint = true, nil, nil
		s.Segments[14] = segment(14, fullParts)
		s.Segments[14].Gap, s.Segments[14].Parts = true, nil
	})
	require.NotContains(t, string(playlist.NewWindow(shed).Render(playlist.SkipNo, false)), "#EXT-X-PART:")
	back := live(func(s *playlist.Spec) {
		s.PartsBehindGaps, s.Segments = true, slices.Concat(shed.Segments, []*playlist.Segment{segment(15, fullParts)})
		s.Open, s.Hint = segment(16, 3), nil
	})
	require.Equal(t, fullParts+3, strings.Count(string(playlist.NewWindow(back).Render(playlist.SkipNo, false)), "#EXT-X-PART:"))
}

func TestHas(t *testing.T) {
	w := playlist.NewWindow(live()) // up to 14 complete, 15 open with parts 0 to 2
	for _, c := range []struct {
		segment, part int
		want          bool
	}{
		{-5, 3, true}, {0, -1, true}, {13, 99, true}, {14, -1, true}, {14, 9, true},
		{14, 10, true}, // the first part of 15
		{15, 0, true}, {15, 2, true}, {15, 3, false}, {15, -1, false}, {16, 0, false}, {16, -1, false},
	} {
		require.Equal(t, c.want, w.Has(firstMSN+uint64(c.segment), c.part), "%d part %d", c.segment, c.part)
	}
	msn, part := w.Edge()
	require.Equal(t, firstMSN+15, msn)
	require.Equal(t, 2, part)
	require.Equal(t, firstMSN+14, w.LastMSN())

	closed := playlist.NewWindow(live(func(s *playlist.Spec) { s.Open, s.Hint = nil, nil }))
	require.False(t, closed.Has(firstMSN+14, 10), "means the first part of the next")
	require.False(t, closed.Has(firstMSN+15, 0))
	msn, part = closed.Edge()
	require.Equal(t, firstMSN+14, msn)
	require.Equal(t, 9, part)

	gap := playlist.NewWindow(variants()["gap"])
	require.True(t, gap.Has(firstMSN+14, 3), "a segment without parts is there as a whole")

	empty := playlist.NewWindow(playlist.Spec{Config: config()})
	require.False(t, empty.Has(0, -1))
	require.Zero(t, empty.LastMSN())
	msn, part = empty.Edge()
	require.Zero(t, msn)
	require.Equal(t, -1, part)
}

func TestSupersedeWakesAllAndHandsOn(t *testing.T) {
	a, b := playlist.NewWindow(live()), playlist.NewWindow(live())
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			<-a.Next()
			if a.Successor() != b {
				t.Error("woken without the successor")
			}
			a.Successor().Render(playlist.SkipYes, true)
		})
	}
	a.Render(playlist.SkipYes, true)
	a.Supersede(b)
	a.Supersede(nil) // does nothing
	wg.Wait()
	require.Same(t, b, a.Successor())
	b.Supersede(nil)
	<-b.Next()
	require.Nil(t, b.Successor())
}

func TestAdvanceParts(t *testing.T) {
	for target, want := range map[time.Duration]int{
		0: 3, 2 * time.Second: 3, time.Second: 3, 500 * time.Millisecond: 6, 200 * time.Millisecond: 15, 213334 * time.Microsecond: 15,
	} {
		require.Equal(t, want, (&playlist.Config{PartTarget: target}).AdvanceParts(), target.String())
	}
}
