package storyboard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"log/slog"
	"math"
	"time"
)

// ErrNone says that no picture of a video could be decoded: trying again would not help.
var ErrNone = errors.New("storyboard: none of the pictures can be decoded")

const (
	thumbSide    = 640
	sheetQuality = 60
	thumbQuality = 80
)

// Options configure Make. The zero value of a field means its default.
type Options struct {
	// FFmpeg is the program. Default ffmpeg, looked up in PATH.
	FFmpeg string
	// Timeout is how long one child may take. Default 10 min; 200 pictures of 1080p take some 5 s of
	// a core, but a store may be slow to give them.
	Timeout time.Duration
	// Log; nil: nothing is logged.
	Log *slog.Logger
}

// File is one file of what is made.
type File struct {
	Name, ContentType string
	Data              []byte
}

// Make makes the thumbnail and the storyboard of a video that is shown with width x height square pixels, and gives each file to
// put: the sheets, then the VTT file that names them, then the thumbnail. get reads the key frame that is shown at a time; it is
// called from one goroutine at a time. Errors of get, but for ErrNoKeyFrame, and of put come back as they are, wrapped or not.
func Make(ctx context.Context, o Options, d time.Duration, width, height int, get func(time.Duration) (KeyFrame, error),
	put func(File) error,
) error {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	dec := &decoder{ffmpeg: o.FFmpeg, timeout: o.Timeout, log: o.Log}
	p := NewPlan(d, width, height)
	b := newBoard(p)
	err := dec.pictures(ctx, p.Tiles, p.Width, p.Height, func(i int) (KeyFrame, error) { return get(p.At(i)) }, b.put)
	switch {
	case err != nil && !errors.Is(err, errDecode):
		return err
	case !b.fill():
		return errors.Join(ErrNone, err)
	case err != nil:
		o.Log.Warn("storyboard: pictures are missing", "error", err)
	}
	for i, sheet := range b.sheets {
		if err := putJPEG(SheetName(i), sheet, sheetQuality, put); err != nil {
			return err
		}
	}
	if err := put(File{Name: VTTName, ContentType: "text/vtt; charset=utf-8", Data: p.VTT()}); err != nil {
		return err
	}
	return dec.thumb(ctx, p.At(b.telling()), width, height, get, put)
}

// thumb makes the thumbnail.
func (d *decoder) thumb(ctx context.Context, at time.Duration, width, height int, get func(time.Duration) (KeyFrame, error),
	put func(File) error,
) error {
	w, h := fit(width, height, thumbSide)
	var thumb *image.YCbCr
	err := d.pictures(ctx, 1, w, h, func(int) (KeyFrame, error) { return get(at) }, func(_ int, p *image.YCbCr) { thumb = p })
	if err != nil {
		return err
	}
	if thumb == nil {
		return fmt.Errorf("%w: at %s", ErrNone, at)
	}
	return putJPEG(ThumbName, thumb, thumbQuality, put)
}

func putJPEG(name string, m image.Image, quality int, put func(File) error) error {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: quality}); err != nil {
		return err
	}
	return put(File{Name: name, ContentType: "image/jpeg", Data: b.Bytes()})
}

// board is the tiles of a video on their sheets.
type board struct {
	plan   Plan
	sheets []*image.YCbCr
	some   []bool    // by tile: it was decoded
	spread []float64 // and how far its brightness is from even
}

func newBoard(p Plan) *board {
	b := &board{plan: p, some: make([]bool, p.Tiles), spread: make([]float64, p.Tiles)}
	for i := range p.Sheets() {
		tiles := min(p.Tiles-i*perSheet, perSheet)
		high, wide := (tiles+columns-1)/columns, min(tiles, columns)
		b.sheets = append(b.sheets, image.NewYCbCr(image.Rect(0, 0, wide*p.Width, high*p.Height), image.YCbCrSubsampleRatio420))
		for _, plane := range [...][]byte{b.sheets[i].Cb, b.sheets[i].Cr} { // black where there is no tile
			for j := range plane {
				plane[j] = 128
			}
		}
	}
	return b
}

// tile is the place of a tile.
func (b *board) tile(i int) *image.YCbCr {
	x, y := i%perSheet%columns*b.plan.Width, i%perSheet/columns*b.plan.Height
	return b.sheets[i/perSheet].SubImage(image.Rect(x, y, x+b.plan.Width, y+b.plan.Height)).(*image.YCbCr)
}

// put shows a picture of the size of a tile.
func (b *board) put(i int, p *image.YCbCr) {
	b.copy(b.tile(i), p)
	b.some[i], b.spread[i] = true, spread(p)
}

func (b *board) copy(to, from *image.YCbCr) {
	w, h := b.plan.Width, b.plan.Height
	for y := range h {
		copy(to.Y[y*to.YStride:y*to.YStride+w], from.Y[y*from.YStride:])
	}
	for y := range h / 2 {
		copy(to.Cb[y*to.CStride:y*to.CStride+w/2], from.Cb[y*from.CStride:])
		copy(to.Cr[y*to.CStride:y*to.CStride+w/2], from.Cr[y*from.CStride:])
	}
}

// fill shows in each tile that has no picture that of the one in front, or of the first that has one. It reports whether there is
// any.
func (b *board) fill() bool {
	first := 0
	for first < len(b.some) && !b.some[first] {
		first++
	}
	if first == len(b.some) {
		return false
	}
	for i, some := range b.some {
		switch {
		case some:
			first = i
		default:
			b.copy(b.tile(i), b.tile(first))
		}
	}
	return true
}

// spread is the standard deviation of the brightness: next to nothing for a black or even picture.
func spread(p *image.YCbCr) float64 {
	var sum, squares float64
	for _, y := range p.Y {
		sum += float64(y)
		squares += float64(y) * float64(y)
	}
	n := float64(len(p.Y))
	return math.Sqrt(max(squares/n-sum/n*sum/n, 0))
}

// telling is the tile that stands for the video: the first that shows something from a tenth of it on, else the one that shows most.
func (b *board) telling() int {
	const something = 20
	best := 0
	for i := range b.some {
		if i >= len(b.some)/10 && b.some[i] && b.spread[i] >= something {
			return i
		}
		if b.some[i] && (!b.some[best] || b.spread[i] > b.spread[best]) {
			best = i
		}
	}
	return best
}
