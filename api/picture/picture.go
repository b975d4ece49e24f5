// Package picture makes the pictures that users show of what they send, and serves them. Nothing is served as it was given.
//
//	bytes ──examine──► format, size, cost ──decode──► pixels ──crop, scale, turn──► encode ──► bytes without metadata
//	          └ refuses what is none, or costs too much, before a pixel is made
//
// Maker bounds what is decoded at the same time by its memory. No goroutine is started.
package picture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"runtime"
	"time"

	"golang.org/x/image/draw"
	"golang.org/x/image/webp"
	"golang.org/x/sync/semaphore"
)

// Shape is what a picture is cropped and brought to. Smaller ones are not made larger.
type Shape struct{ Width, Height int }

// The shapes of a user's pictures.
var (
	Avatar = Shape{256, 256}
	Banner = Shape{1500, 500}
)

// Picture is one that was made.
type Picture struct {
	Data      []byte
	Extension string // jpg, png
}

const (
	// quality of JPEG: above, files grow and nobody sees why.
	quality = 85
	// timeLimit is for all of it, the wait for others included.
	timeLimit = 10 * time.Second
)

// Maker makes pictures. Its methods may be called from any goroutine.
type Maker struct {
	memory *semaphore.Weighted
	least  int64 // what each takes of it
}

// NewMaker makes one that leaves half of the cores to others.
func NewMaker() *Maker {
	return &Maker{memory: semaphore.NewWeighted(maxMemory), least: maxMemory / int64(max(runtime.GOMAXPROCS(0)/2, 1))}
}

// Make makes a picture of that shape; ErrFormat, ErrBroken, ErrSize, ErrCostly say what is wrong with data.
func (m *Maker) Make(ctx context.Context, data []byte, shape Shape) (Picture, error) {
	h, err := examine(data)
	if err != nil {
		return Picture{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	took := max(h.memory, m.least)
	if err := m.memory.Acquire(ctx, took); err != nil {
		return Picture{}, fmt.Errorf("picture: wait: %w", err)
	}
	defer m.memory.Release(took)
	pixels, err := h.decode(ctx, data)
	if err != nil {
		return Picture{}, err
	}
	if h.orientation >= 5 { // it lies on its side
		shape.Width, shape.Height = shape.Height, shape.Width
	}
	small, err := shape.fit(ctx, pixels, h.width, h.height)
	if err != nil {
		return Picture{}, err
	}
	return encode(turn(small, h.orientation))
}

func (h header) decode(ctx context.Context, data []byte) (image.Image, error) {
	decoders := map[string]func(io.Reader) (image.Image, error){"jpeg": jpeg.Decode, "png": png.Decode, "webp": webp.Decode, "gif": gif.Decode}
	pixels, err := decoders[h.format](&bounded{ctx.Err, bytes.NewReader(data)})
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("picture: decode: %w", ctx.Err())
	case err != nil:
		return nil, errors.Join(ErrBroken, err)
	}
	if b := pixels.Bounds(); b.Max.X > h.width || b.Max.Y > h.height || b.Min.X < 0 || b.Min.Y < 0 {
		return nil, broken("other size than its header says")
	}
	return pixels, nil
}

// bounded ends reading with its context.
type bounded struct {
	over func() error
	r    *bytes.Reader
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.over(); err != nil {
		return 0, err
	}
	return b.r.Read(p[:min(len(p), 4096)])
}

// crop is the middle of width x height with the shape's proportions.
func (s Shape) crop(width, height int) image.Rectangle {
	w, h := width, height
	if w*s.Height > h*s.Width {
		w = max(h*s.Width/s.Height, 1)
	} else {
		h = max(w*s.Height/s.Width, 1)
	}
	x, y := (width-w)/2, (height-h)/2
	return image.Rect(x, y, x+w, y+h)
}

// fit crops and scales down. Large pictures are first brought near by averaging squares of pixels, strip after strip: it is quick with every kind
// of pixels and holds no copy of the whole.
func (s Shape) fit(ctx context.Context, pixels image.Image, width, height int) (*image.RGBA, error) {
	crop := s.crop(width, height)
	w, h := min(s.Width, crop.Dx()), min(s.Height, crop.Dy())
	near, err := average(ctx, pixels, crop, max(min(crop.Dx()/w, crop.Dy()/h)/2, 1))
	if err != nil {
		return nil, err
	}
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.CatmullRom.Scale(out, out.Bounds(), near, near.Bounds(), draw.Src, nil)
	return out, nil
}

// average makes one pixel of each square of n x n.
func average(ctx context.Context, pixels image.Image, crop image.Rectangle, n int) (*image.RGBA, error) {
	out := image.NewRGBA(image.Rect(0, 0, crop.Dx()/n, crop.Dy()/n))
	strip := image.NewRGBA(image.Rect(0, 0, out.Rect.Dx()*n, n))
	sums := make([]uint32, 4*out.Rect.Dx())
	for y := range out.Rect.Dy() {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("picture: scale: %w", err)
		}
		clear(strip.Pix) // a frame of a GIF may not cover it all
		draw.Draw(strip, strip.Rect, pixels, image.Pt(crop.Min.X, crop.Min.Y+y*n), draw.Src)
		clear(sums)
		for row := range n {
			line := strip.Pix[row*strip.Stride:]
			for x := range strip.Rect.Dx() {
				for c := range 4 {
					sums[x/n*4+c] += uint32(line[x*4+c])
				}
			}
		}
		to := out.Pix[y*out.Stride:]
		for i, sum := range sums {
			to[i] = uint8((sum + uint32(n*n)/2) / uint32(n*n))
		}
	}
	return out, nil
}

// turn brings a picture upright, by the orientation of EXIF.
func turn(p *image.RGBA, orientation int) *image.RGBA {
	if orientation == 1 {
		return p
	}
	w, h := p.Rect.Dx(), p.Rect.Dy()
	size := image.Rect(0, 0, w, h)
	if orientation >= 5 {
		size = image.Rect(0, 0, h, w)
	}
	out := image.NewRGBA(size)
	for y := range h {
		for x := range w {
			to := image.Pt(x, y)
			switch orientation {
			case 2:
				to = image.Pt(w-1-x, y)
			case 3:
				to = image.Pt(w-1-x, h-1-y)
			case 4:
				to = image.Pt(x, h-1-y)
			case 5:
				to = image.Pt(y, x)
			case 6:
				to = image.Pt(h-1-y, x)
			case 7:
				to = image.Pt(h-1-y, w-1-x)
			case 8:
				to = image.Pt(y, w-1-x)
			}
			out.SetRGBA(to.X, to.Y, p.RGBAAt(x, y))
		}
	}
	return out
}

// encode writes JPEG, and PNG where something shines through.
func encode(p *image.RGBA) (Picture, error) {
	var b bytes.Buffer
	made := Picture{Extension: "jpg"}
	var err error
	if p.Opaque() {
		err = jpeg.Encode(&b, p, &jpeg.Options{Quality: quality})
	} else {
		made.Extension = "png"
		err = png.Encode(&b, p)
	}
	if err != nil {
		return Picture{}, fmt.Errorf("picture: encode: %w", err)
	}
	made.Data = b.Bytes()
	return made, nil
}
