package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	red  = color.RGBA{255, 0, 0, 255}
	blue = color.RGBA{0, 0, 255, 255}
)

// halves is red above, or on the left, and blue below.
func halves(w, h int, beside bool) *image.RGBA {
	p := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := red
			if beside && x >= w/2 || !beside && y >= h/2 {
				c = blue
			}
			p.SetRGBA(x, y, c)
		}
	}
	return p
}

func asPNG(t testing.TB, p image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, p))
	return b.Bytes()
}

func asJPEG(t testing.TB, p image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, jpeg.Encode(&b, p, &jpeg.Options{Quality: 90}))
	return b.Bytes()
}

// exif is a block with an orientation and a place.
func exif(orientation byte) []byte {
	return []byte("II*\x00\x08\x00\x00\x00\x02\x00" + "\x12\x01\x03\x00\x01\x00\x00\x00" + string([]byte{orientation, 0, 0, 0}) +
		"\x0e\x01\x02\x00\x10\x00\x00\x00\x26\x00\x00\x00" + "\x00\x00\x00\x00" + "52.5N13.4E secret")
}

// withEXIF puts the block into a JPEG.
func withEXIF(plain []byte, block []byte) []byte {
	app := append([]byte("Exif\x00\x00"), block...)
	head := binary.BigEndian.AppendUint16([]byte{0xff, 0xd8, 0xff, 0xe1}, uint16(len(app)+2))
	return append(append(head, app...), plain[2:]...)
}

func chunk(name string, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = append(append(b, name...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// pngHeader is a PNG that says how large it is, and has nothing of it.
func pngHeader(w, h uint32, depth, kind byte) []byte {
	ihdr := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
	return append(append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", append(ihdr, depth, kind, 0, 0, 0))...), chunk("IDAT", nil)...)
}

func file(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return data
}

func made(t testing.TB, data []byte, shape Shape) (Picture, image.Image) {
	t.Helper()
	p, err := NewMaker().Make(t.Context(), data, shape)
	require.NoError(t, err)
	pixels, format, err := image.Decode(bytes.NewReader(p.Data))
	require.NoError(t, err)
	assert.Equal(t, p.Extension == "jpg", format == "jpeg")
	return p, pixels
}

func like(t testing.TB, want color.RGBA, got color.Color, what string) {
	t.Helper()
	r, g, b, _ := got.RGBA()
	near := func(a uint8, b uint32) bool { return max(int(a), int(b>>8))-min(int(a), int(b>>8)) < 12 }
	assert.True(t, near(want.R, r) && near(want.G, g) && near(want.B, b), "%s: %v, not %v", what, got, want)
}

func TestEveryFormatIsMadeAnew(t *testing.T) {
	var moving bytes.Buffer
	frame := image.NewPaletted(image.Rect(0, 0, 600, 300), color.Palette{red, blue})
	other := image.NewPaletted(image.Rect(0, 0, 600, 300), color.Palette{blue, red})
	require.NoError(t, gif.EncodeAll(&moving, &gif.GIF{Image: []*image.Paletted{frame, other}, Delay: []int{1, 1}}))
	deep := image.NewNRGBA64(image.Rect(0, 0, 300, 300))
	for i := range deep.Pix {
		deep.Pix[i] = 0xff
	}
	for name, c := range map[string]struct {
		data          []byte
		width, height int
		extension     string
	}{
		"jpeg":          {asJPEG(t, halves(600, 400, false)), 256, 256, "jpg"},
		"gray":          {asJPEG(t, image.NewGray(image.Rect(0, 0, 64, 64))), 64, 64, "jpg"},
		"png":           {asPNG(t, halves(257, 1000, false)), 256, 256, "jpg"},
		"small png":     {asPNG(t, halves(64, 100, false)), 64, 64, "jpg"},
		"clear png":     {asPNG(t, image.NewRGBA(image.Rect(0, 0, 300, 300))), 256, 256, "png"},
		"deep png":      {asPNG(t, deep), 256, 256, "jpg"},
		"gif":           {moving.Bytes(), 256, 256, "jpg"},
		"lossy webp":    {file(t, "lossy.webp"), 64, 64, "jpg"},
		"lossless webp": {file(t, "lossless.webp"), 80, 80, "png"},
		"webp, alpha":   {file(t, "alpha.webp"), 80, 80, "png"},
	} {
		p, pixels := made(t, c.data, Avatar)
		assert.Equal(t, image.Pt(c.width, c.height), pixels.Bounds().Size(), name)
		assert.Equal(t, c.extension, p.Extension, name)
		assert.True(t, p.Is(p.Name()), name)
		assert.NotEqual(t, p.Name(), p.Name(), name)
	}
	_, pixels := made(t, moving.Bytes(), Avatar)
	like(t, red, pixels.At(10, 10), "first picture of a GIF")
	_, pixels = made(t, asPNG(t, halves(1600, 1200, false)), Banner)
	assert.Equal(t, image.Pt(1500, 500), pixels.Bounds().Size())
	like(t, red, pixels.At(700, 100), "above the middle")
	like(t, blue, pixels.At(700, 400), "below the middle")
}

// TestPicturesStandUpright: each orientation shows the scene red above.
func TestPicturesStandUpright(t *testing.T) {
	stored := map[byte]*image.RGBA{1: halves(200, 100, false), 2: halves(200, 100, false), 6: halves(100, 200, true), 5: halves(100, 200, true)}
	for _, o := range []byte{1, 2, 5, 6} {
		_, pixels := made(t, withEXIF(asJPEG(t, stored[o]), exif(o)), Avatar)
		like(t, red, pixels.At(40, 10), "above")
		like(t, blue, pixels.At(40, 85), "below")
	}
	for o, c := range map[byte]color.RGBA{3: blue, 4: blue} {
		_, pixels := made(t, withEXIF(asJPEG(t, halves(200, 100, false)), exif(o)), Avatar)
		like(t, c, pixels.At(40, 10), "turned over")
	}
	for o, c := range map[byte]color.RGBA{7: blue, 8: blue} {
		_, pixels := made(t, withEXIF(asJPEG(t, halves(100, 200, true)), exif(o)), Avatar)
		like(t, c, pixels.At(40, 10), "turned over")
	}
	plain := asPNG(t, halves(100, 200, true))
	turned := append(append(append([]byte{}, plain[:33]...), chunk("eXIf", exif(6))...), plain[33:]...)
	_, pixels := made(t, turned, Avatar)
	like(t, red, pixels.At(40, 10), "PNG")
	_, pixels = made(t, withEXIF(asJPEG(t, halves(600, 300, true)), exif(6)), Banner)
	assert.Equal(t, image.Pt(300, 100), pixels.Bounds().Size(), "the crop is that of the upright picture")
}

func TestNothingElseOfTheFileIsKept(t *testing.T) {
	data := append(withEXIF(asJPEG(t, halves(300, 300, false)), exif(1)), "<script>alert(1)</script>"...)
	require.Contains(t, string(data), "52.5N13.4E")
	p, _ := made(t, data, Avatar)
	for _, word := range []string{"Exif", "52.5N", "script"} {
		assert.NotContains(t, string(p.Data), word)
	}
}

// TestHostilePictures are refused before they cost anything.
func TestHostilePictures(t *testing.T) {
	scans := []byte("\xff\xd8\xff\xc2\x00\x0b\x08\x10\x00\x10\x00\x01\x01\x11\x00")
	scans = append(scans, bytes.Repeat([]byte("\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00"), 1000)...)
	two := append([]byte{}, asJPEG(t, halves(100, 100, false))...)
	two = append([]byte("\xff\xd8\xff\xc0\x00\x0b\x08\x00\x64\x00\x64\x01\x01\x11\x00"), two[2:]...)
	riff := func(chunks string) []byte {
		return append(append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(4+len(chunks)))...), "WEBP"+chunks...)
	}
	plain := asJPEG(t, halves(300, 300, false))
	small := asPNG(t, halves(300, 300, false))
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"nothing":                {nil, ErrFormat},
		"text":                   {[]byte("hello"), ErrFormat},
		"SVG":                    {[]byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`), ErrFormat},
		"HTML":                   {[]byte("<!doctype html><script>alert(1)</script>"), ErrFormat},
		"HTML that says GIF":     {[]byte("GIF89a=1;/*<script>alert(1)</script>*/"), ErrSize},
		"BMP":                    {append([]byte("BM"), make([]byte, 100)...), ErrFormat},
		"PNG of 30000 x 30000":   {pngHeader(30000, 30000, 8, 6), ErrSize},
		"PNG of 2^31":            {pngHeader(1<<31, 1<<31, 8, 6), ErrSize},
		"deep PNG":               {pngHeader(8192, 8192, 16, 6), ErrCostly},
		"empty PNG of 8192":      {pngHeader(64, 64, 8, 6), ErrBroken},
		"PNG of a pixel":         {asPNG(t, halves(1, 1, false)), ErrSize},
		"GIF of 65535 x 65535":   {[]byte("GIF89a\xff\xff\xff\xff\x80\x00\x00\x00\x00\x00\xff\xff\xff,"), ErrSize},
		"GIF without a picture":  {[]byte("GIF89a\x40\x00\x40\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff;"), ErrBroken},
		"JPEG of 65500":          {[]byte("\xff\xd8\xff\xc0\x00\x11\x08\xff\xdc\xff\xdc\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"), ErrSize},
		"progressive and large":  {[]byte("\xff\xd8\xff\xc2\x00\x11\x08\x20\x00\x20\x00\x03\x01\x11\x00\x02\x11\x01\x03\x11\x01"), ErrCostly},
		"JPEG of a thousand":     {scans, ErrCostly},
		"JPEG of two frames":     {two, ErrBroken},
		"JPEG without a frame":   {[]byte("\xff\xd8\xff\xd9"), ErrBroken},
		"half a JPEG":            {plain[:len(plain)/2], ErrBroken},
		"half a PNG":             {small[:len(small)/2], ErrBroken},
		"half a WebP":            {file(t, "lossy.webp")[:200], ErrBroken},
		"small WebP, large VP8L": {riff("VP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x63\x00\x00\x63\x00\x00VP8L\x05\x00\x00\x00\x2f\xff\xff\xff\x0f\x00"), ErrBroken},
		"moving WebP":            {riff("VP8X\x0a\x00\x00\x00\x02\x00\x00\x00\x63\x00\x00\x63\x00\x00"), ErrFormat},
		"large WebP":             {riff("VP8L\x05\x00\x00\x00\x2f\xff\xff\xff\x0f\x00"), ErrSize},
		"WebP of nothing":        {riff(""), ErrBroken},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := NewMaker().Make(t.Context(), c.data, Avatar)
		runtime.ReadMemStats(&after)
		require.ErrorIs(t, err, c.want, name)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20), name)
	}
}

// TestTheLargestPicture may be sent.
func TestTheLargestPicture(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds of decoding")
	}
	for name, p := range map[string]image.Image{
		"gray": image.NewGray(image.Rect(0, 0, 8192, 8192)), "colours": image.NewNRGBA(image.Rect(0, 0, 8192, 8192)),
	} {
		data := asPNG(t, p)
		require.Less(t, len(data), MaxBytes, name)
		_, pixels := made(t, data, Avatar)
		assert.Equal(t, image.Pt(256, 256), pixels.Bounds().Size(), name)
	}
}

func TestTimeIsBounded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := NewMaker().Make(ctx, asJPEG(t, halves(300, 300, false)), Avatar)
	require.ErrorIs(t, err, context.Canceled)
	m := NewMaker()
	require.True(t, m.memory.TryAcquire(maxMemory))
	_, err = m.Make(ctx, asJPEG(t, halves(300, 300, false)), Avatar)
	require.ErrorIs(t, err, context.Canceled, "also in the wait for others")
}

func seeds(f *testing.F) {
	f.Helper()
	for _, data := range [][]byte{
		asJPEG(f, halves(70, 64, false)), withEXIF(asJPEG(f, halves(64, 64, false)), exif(6)), asPNG(f, halves(64, 66, true)),
		pngHeader(30000, 30000, 8, 6), []byte("GIF89a\x40\x00\x40\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff;"),
		file(f, "lossy.webp"), file(f, "lossless.webp"), file(f, "alpha.webp"), []byte(strings.Repeat("\xff\xda\x00\x02", 10)),
	} {
		f.Add(data)
	}
}

// FuzzExamine: whatever it is told, what it lets pass is within the limits, and is decoded to that size or not at all.
func FuzzExamine(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := examine(data)
		if err != nil {
			return
		}
		if h.width < MinSide || h.width > MaxSide || h.height < MinSide || h.height > MaxSide || h.memory > maxMemory || h.orientation < 1 || h.orientation > 8 {
			t.Fatalf("%+v", h)
		}
		if h.pixels() > 256*256 {
			return // it would decode all day
		}
		pixels, err := h.decode(t.Context(), data)
		if err != nil {
			return
		}
		if b := pixels.Bounds(); h.format != "gif" && (b.Dx() != h.width || b.Dy() != h.height) {
			t.Fatalf("%v, and its header says %+v", b, h)
		}
	})
}
