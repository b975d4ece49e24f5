package ladder_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/configs/ladders"
	"mediad/internal/testx"
	"mediad/media"
	"mediad/transcode/ladder"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { testx.Main(m) }

func fps(num, den uint32) media.Rational { return media.Rational{Num: num, Den: den} }

// TestPlans is read in testdata/plans.txt.
func TestPlans(t *testing.T) {
	var b strings.Builder
	for _, c := range []struct {
		name, ladder string
		track        media.Track
		bitrate      int64
		cores        int
	}{
		{"720p", "auto", media.Track{Codec: media.H264, Width: 1280, Height: 720, FrameRate: fps(30, 1)}, 0, 2},
		{"1080p60", "auto", media.Track{Codec: media.H264, Width: 1920, Height: 1080, FrameRate: fps(60, 1)}, 0, 2},
		{"1080p60 on four cores", "auto", media.Track{Codec: media.H264, Width: 1920, Height: 1080, FrameRate: fps(60, 1)}, 0, 4},
		{"1440p on one core", "auto", media.Track{Codec: media.H264, Width: 2560, Height: 1440, FrameRate: fps(30, 1)}, 0, 1},
		{"4K at 120 on 16 cores", "auto", media.Track{Codec: media.H264, Width: 3840, Height: 2160, FrameRate: fps(120, 1)}, 0, 16},
		{"portrait", "auto", media.Track{Codec: media.H264, Width: 1080, Height: 1920, FrameRate: fps(30000, 1001)}, 0, 2},
		{"odd sides", "auto", media.Track{Codec: media.H264, Width: 1365, Height: 767, FrameRate: fps(25, 1)}, 0, 2},
		{"wide", "auto", media.Track{Codec: media.H264, Width: 2560, Height: 1080, FrameRate: fps(24000, 1001)}, 0, 2},
		{"variable rate", "auto", media.Track{Codec: media.H264, Width: 1280, Height: 720}, 0, 2},
		{"small", "auto", media.Track{Codec: media.H264, Width: 320, Height: 180, FrameRate: fps(30, 1)}, 0, 2},
		{"poor source", "auto", media.Track{Codec: media.H264, Width: 1280, Height: 720, FrameRate: fps(30, 1)}, 800_000, 2},
		{"H.265", "auto", media.Track{Codec: media.H265, Width: 1920, Height: 1080, FrameRate: fps(30, 1)}, 0, 2},
		{"H.265 of an odd size", "auto", media.Track{Codec: media.H265, Width: 1601, Height: 901, FrameRate: fps(30, 1)}, 0, 2},
		{"small H.265 on one core", "auto", media.Track{Codec: media.H265, Width: 320, Height: 180, FrameRate: fps(30, 1)}, 0, 1},
		{"AV1", "auto", media.Track{Codec: media.AV1, Width: 1920, Height: 1080, FrameRate: fps(30, 1)}, 0, 2},
		{"mobile", "mobile", media.Track{Codec: media.H264, Width: 1920, Height: 1080, FrameRate: fps(60, 1)}, 0, 1},
		{"led: 720p", "auto", media.Track{Codec: media.H264, Width: 1280, Height: 720, FrameRate: fps(30, 1)}, 0, 2},
		{"led: VP8", "auto", media.Track{Codec: media.VP8, Width: 640, Height: 480, FrameRate: fps(30, 1)}, 0, 2},
		{"led: small", "auto", media.Track{Codec: media.H264, Width: 320, Height: 180, FrameRate: fps(30, 1)}, 0, 2},
		{"led: 1080p60, more than it can pay for", "auto", media.Track{Codec: media.H264, Width: 1920, Height: 1080, FrameRate: fps(60, 1)}, 0, 2},
		{"led: 4K on one core", "auto", media.Track{Codec: media.H264, Width: 3840, Height: 2160, FrameRate: fps(60, 1)}, 0, 1},
		{"led: 4K on 16 cores", "auto", media.Track{Codec: media.H264, Width: 3840, Height: 2160, FrameRate: fps(60, 1)}, 0, 16},
		{"led: the road", "mobile", media.Track{Codec: media.H264, Width: 1920, Height: 1080, FrameRate: fps(30, 1)}, 0, 2},
	} {
		l, err := ladders.Named(c.ladder, "")
		require.NoError(t, err)
		name, lead := strings.CutPrefix(c.name, "led: ")
		p := ladder.Make(ladder.Source{Track: &c.track, Bitrate: c.bitrate, Lead: lead}, l, ladder.Machine{Cores: c.cores})
		require.Equal(t, lead, p.Leads, name)
		fmt.Fprintf(&b, "%s: %v %dx%d at %.4g, %s, %d cores: %s, keeps %d\n", c.name, c.track.Codec, c.track.Width, c.track.Height,
			c.track.FrameRate.Float(), c.ladder, c.cores, p.Preset, p.Keep)
		for _, r := range p.Rungs {
			fmt.Fprintf(&b, "  %-6s %4dx%-4d %d/%d %d\n", r.Name, r.Width, r.Height, r.FrameRate.Num, r.FrameRate.Den, r.Bitrate)
			require.Zero(t, r.Width%2+r.Height%2)
			require.LessOrEqual(t, r.Width, c.track.Width)
			require.LessOrEqual(t, r.Height, c.track.Height)
		}
	}
	golden := filepath.Join("testdata", "plans.txt")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(b.String()), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

func TestNothingToEncode(t *testing.T) {
	l, err := ladders.Named("auto", "")
	require.NoError(t, err)
	require.Empty(t, ladder.Make(ladder.Source{}, l, ladder.Machine{Cores: 2}).Rungs)
	require.Empty(t, ladder.Make(ladder.Source{Track: &media.Track{Codec: media.VP9}}, l, ladder.Machine{Cores: 2}).Rungs)
}

// FuzzMake: whatever the source, rungs are even, no larger and no faster, and each is smaller than the one before.
func FuzzMake(f *testing.F) {
	f.Add(1280, 720, uint32(30), uint32(1), 2, true)
	f.Add(1, 9000, uint32(0), uint32(0), 0, false)
	l, err := ladders.Named("auto", "")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, w, h int, num, den uint32, cores int, hevc bool) {
		if w < 1 || h < 1 || w > 16384 || h > 16384 || den > 1<<20 || cores < 0 || cores > 4096 || num > 240*den {
			return
		}
		track := media.Track{Codec: media.H264, Width: w, Height: h, FrameRate: fps(num, den)}
		if hevc {
			track.Codec = media.H265
		}
		p := ladder.Make(ladder.Source{Track: &track}, l, ladder.Machine{Cores: cores})
		lines := 1 << 20
		for _, r := range p.Rungs {
			require.Zero(t, r.Width%2+r.Height%2)
			require.LessOrEqual(t, r.Width, w+1)
			require.LessOrEqual(t, r.Height, h+1)
			require.LessOrEqual(t, r.FrameRate.Float(), 60.5)
			require.Less(t, min(r.Width, r.Height), lines)
			require.Positive(t, r.Bitrate)
			lines = min(r.Width, r.Height)
		}
	})
}
