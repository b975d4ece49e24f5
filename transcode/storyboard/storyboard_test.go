package storyboard

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/jpeg"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/media"
	"mediad/media/mediatest"
)

func TestMain(m *testing.M) { testx.Main(m) }

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		d             time.Duration
		width, height int
		want          Plan
		sheets        int
	}{
		{0, 1280, 720, Plan{Every: 5 * time.Second, Tiles: 1, Width: 160, Height: 90}, 1},
		{4 * time.Second, 1280, 720, Plan{Every: 5 * time.Second, Tiles: 1, Width: 160, Height: 90}, 1},
		{5001 * time.Millisecond, 720, 1280, Plan{Every: 5 * time.Second, Tiles: 2, Width: 90, Height: 160}, 1},
		{10 * time.Minute, 640, 480, Plan{Every: 5 * time.Second, Tiles: 120, Width: 160, Height: 120}, 2},
		{1000 * time.Second, 0, 0, Plan{Every: 5 * time.Second, Tiles: 200, Width: 16, Height: 10}, 2},
		{36 * time.Hour, 3840, 1606, Plan{Every: 649 * time.Second, Tiles: 200, Width: 160, Height: 68}, 2},
		{1001 * time.Second, 101, 33, Plan{Every: 6 * time.Second, Tiles: 167, Width: 102, Height: 34}, 2},
	} {
		c.want.Duration = c.d
		p := NewPlan(c.d, c.width, c.height)
		require.Equal(t, c.want, p)
		require.Equal(t, c.sheets, p.Sheets())
		require.LessOrEqual(t, p.Tiles, maxTiles)
	}
}

var cue = regexp.MustCompile(`(?m)^(\d\d):(\d\d):(\d\d\.\d{3}) --> (\d\d):(\d\d):(\d\d\.\d{3})\n(storyboard_\d+\.jpg)#xywh=(\d+),(\d+),(\d+),(\d+)$`)

func seconds(t testing.TB, m []string) float64 {
	var out float64
	for i, unit := range []float64{3600, 60, 1} {
		v, err := strconv.ParseFloat(m[i], 64)
		require.NoError(t, err)
		out += v * unit
	}
	return out
}

// The cues of any video follow each other from its start to its end, and name no place twice.
func TestVTTCoversTheWholeVideo(t *testing.T) {
	for _, d := range []time.Duration{
		1, time.Second, 5 * time.Second, 61*time.Second + 333_333*time.Nanosecond, 599 * time.Second, 1234567 * time.Millisecond, 30 * time.Hour,
	} {
		p := NewPlan(d, 1280, 720)
		text := string(p.VTT())
		require.True(t, strings.HasPrefix(text, "WEBVTT\n\n"))
		cues := cue.FindAllStringSubmatch(text, -1)
		require.Len(t, cues, p.Tiles)
		at := 0.0
		seen := map[string]bool{}
		for _, c := range cues {
			require.InDelta(t, at, seconds(t, c[1:4]), 1e-6)
			end := seconds(t, c[4:7])
			require.Greater(t, end, at)
			at = end
			place := strings.Join(c[7:], " ")
			require.False(t, seen[place], place)
			seen[place] = true
		}
		require.GreaterOrEqual(t, at, d.Seconds()-1e-9)
		require.Less(t, at, d.Seconds()+0.002)
	}
}

// keys are the key frames of a clip.
func keys(t testing.TB, p mediatest.EncodedPattern) []KeyFrame {
	t.Helper()
	p.FPS, p.GOP, p.NoAudio = media.Rational{Num: 30000, Den: 1001}, 10, true
	track, _, units := mediatest.Encoded(t, p)
	var out []KeyFrame
	for _, u := range units {
		if u.RandomAccess {
			out = append(out, KeyFrame{track, u.Data})
		}
	}
	return out
}

// distance is the mean difference of brightness.
func distance(a, b image.Image) float64 {
	var sum float64
	size := a.Bounds().Size()
	for y := range size.Y {
		for x := range size.X {
			ga, _, _, _ := a.At(a.Bounds().Min.X+x, a.Bounds().Min.Y+y).RGBA()
			gb, _, _, _ := b.At(b.Bounds().Min.X+x, b.Bounds().Min.Y+y).RGBA()
			sum += math.Abs(float64(ga)-float64(gb)) / 256
		}
	}
	return sum / float64(size.X*size.Y)
}

// made is what Make gave away.
type made struct {
	order []string
	files map[string]File
}

func (m *made) put(f File) error {
	m.order = append(m.order, f.Name)
	m.files[f.Name] = f
	return nil
}

func (m *made) picture(t testing.TB, name string) image.Image {
	t.Helper()
	p, err := jpeg.Decode(bytes.NewReader(m.files[name].Data))
	require.NoError(t, err)
	return p
}

// TestMake: each tile shows the picture of its time, across a change of size and shape, and a picture that cannot be decoded costs no
// other one.
func TestMake(t *testing.T) {
	all := append(keys(t, mediatest.EncodedPattern{Width: 640, Height: 360, Frames: 60}), keys(t, mediatest.EncodedPattern{Width: 320, Height: 240, BFrames: 2, Frames: 60})...)
	require.Len(t, all, 12)
	const broken, lost = 4, 7
	all[broken].Data = append([]byte(nil), all[broken].Data...)
	for i := range all[broken].Data[4:] {
		all[broken].Data[4+i] = 0x9a
	}
	d := 12*5*time.Second - 1300*time.Millisecond
	m := &made{files: map[string]File{}}
	get := func(at time.Duration) (KeyFrame, error) {
		require.Zero(t, at%(5*time.Second))
		if at == lost*5*time.Second {
			return KeyFrame{}, ErrNoKeyFrame
		}
		return all[at/(5*time.Second)], nil
	}
	require.NoError(t, Make(t.Context(), Options{}, d, 640, 360, get, m.put))
	require.Equal(t, []string{"storyboard_0.jpg", "storyboard.vtt", "thumb.jpg"}, m.order)
	require.Equal(t, "image/jpeg", m.files["thumb.jpg"].ContentType)
	require.Equal(t, image.Pt(640, 360), m.picture(t, "thumb.jpg").Bounds().Size())

	sheet := m.picture(t, "storyboard_0.jpg").(*image.YCbCr)
	require.Equal(t, image.Pt(1600, 180), sheet.Bounds().Size())
	dec := &decoder{timeout: time.Minute, log: Options{}.Log}
	alone := make([]*image.YCbCr, len(all))
	for i := range all {
		if i == broken {
			continue
		}
		err := dec.pictures(t.Context(), 1, 160, 90, func(int) (KeyFrame, error) { return all[i], nil }, func(_ int, p *image.YCbCr) { alone[i] = p })
		require.NoError(t, err)
		require.NotNil(t, alone[i])
	}
	alone[broken], alone[lost] = alone[broken-1], alone[lost-1]
	for _, c := range cue.FindAllStringSubmatch(string(m.files["storyboard.vtt"].Data), -1) {
		i := int(seconds(t, c[1:4])) / 5
		var at [4]int
		for j := range at {
			at[j], _ = strconv.Atoi(c[8+j])
		}
		tile := sheet.SubImage(image.Rect(at[0], at[1], at[0]+at[2], at[1]+at[3]))
		require.Equal(t, image.Pt(160, 90), tile.Bounds().Size())
		require.Less(t, distance(tile, alone[i]), 6.0, "tile %d", i)
		if other := (i + 5) % len(all); i != broken && other != broken && i != lost && other != lost {
			require.Greater(t, distance(tile, alone[other]), 6.0, "tile %d is not like %d", i, other)
		}
	}
	// A picture of another shape has black bars.
	for y := range 90 {
		require.Less(t, sheet.Y[sheet.YOffset(9*160+8, y)], uint8(30), "line %d", y)
	}
}

func TestMakeFails(t *testing.T) {
	one := keys(t, mediatest.EncodedPattern{Frames: 60})[0]
	junk := KeyFrame{one.Track, bytes.Repeat([]byte{0, 0, 0, 4, 0x9a, 0x9a, 0x9a, 0x9a}, 20)}
	nothing := func(File) error { return errors.New("nothing is to be kept") }
	still := func(k KeyFrame) func(time.Duration) (KeyFrame, error) {
		return func(time.Duration) (KeyFrame, error) { return k, nil }
	}
	require.ErrorIs(t, Make(t.Context(), Options{}, time.Minute, 320, 180, still(junk), nothing), ErrNone)
	require.ErrorIs(t, Make(t.Context(), Options{}, time.Minute, 320, 180, still(KeyFrame{Track: mediatest.OpusTrack()}), nothing), ErrNone)

	away := errors.New("the store is away")
	n := 0
	err := Make(t.Context(), Options{}, time.Minute, 320, 180, func(time.Duration) (KeyFrame, error) {
		if n++; n > 3 {
			return KeyFrame{}, away
		}
		return one, nil
	}, nothing)
	require.ErrorIs(t, err, away)
	require.NotErrorIs(t, err, ErrNone)
	require.ErrorContains(t, Make(t.Context(), Options{}, time.Minute, 320, 180, still(one), nothing), "nothing is to be kept")

	// Who is told to stop does so at once, and has not found that there are no pictures.
	ctx, cancel := context.WithCancel(t.Context())
	err = Make(ctx, Options{}, time.Minute, 320, 180, func(at time.Duration) (KeyFrame, error) {
		if at > 10*time.Second {
			cancel()
		}
		return one, nil
	}, nothing)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, ErrNone)
	err = Make(t.Context(), Options{FFmpeg: "no-such-program"}, time.Minute, 320, 180, still(one), nothing)
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrNone)
	panicked := false
	panics := Make(t.Context(), Options{}, time.Minute, 320, 180, func(at time.Duration) (KeyFrame, error) {
		if at > 0 && !panicked {
			panicked = true
			panic("a bug")
		}
		return one, nil
	}, func(File) error { return nil })
	require.NoError(t, panics, "it costs a picture")
}
