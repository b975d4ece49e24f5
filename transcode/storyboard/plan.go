package storyboard

import (
	"fmt"
	"time"
)

const (
	// side is the longer side of a tile in pixels.
	side = 160
	// columns and rows are those of a sheet.
	columns, rows = 10, 10
	perSheet      = columns * rows

	leastEvery = 5 * time.Second
	maxTiles   = 200
)

// Plan says which tiles a video has.
type Plan struct {
	Duration time.Duration
	Every    time.Duration // between two tiles
	Tiles    int
	// Width and Height are those of a tile, even numbers.
	Width, Height int
}

// NewPlan plans the tiles of a video that is shown with so many square pixels: one each 5 s, fewer where that were more than 200.
func NewPlan(d time.Duration, width, height int) Plan {
	p := Plan{Duration: d, Every: leastEvery}
	p.Width, p.Height = fit(width, height, side)
	if d > maxTiles*leastEvery {
		p.Every = ((d + maxTiles - 1) / maxTiles).Truncate(time.Second) + time.Second
	}
	p.Tiles = max(int((d+p.Every-1)/p.Every), 1)
	return p
}

// fit is a size of the same shape, the longer side of which has that many pixels at most, both even.
func fit(width, height, longer int) (w, h int) {
	if width <= 0 || height <= 0 {
		width, height = 16, 9
	}
	if longest := max(width, height); longest > longer {
		width, height = (width*longer+longest/2)/longest, (height*longer+longest/2)/longest
	}
	return max((width+1)/2*2, 2), max((height+1)/2*2, 2)
}

// At is the time that a tile shows.
func (p Plan) At(tile int) time.Duration { return time.Duration(tile) * p.Every }

// Sheets is how many there are.
func (p Plan) Sheets() int { return (p.Tiles + perSheet - 1) / perSheet }

// SheetName is the name of a sheet, counted from 0; VTTName and ThumbName are those of the rest.
func SheetName(n int) string { return fmt.Sprintf("storyboard_%d.jpg", n) }

// The names of what Make makes, beside the sheets.
const (
	VTTName   = "storyboard.vtt"
	ThumbName = "thumb.jpg"
)

// VTT is the WebVTT file: a cue a tile, without a gap from the start to the end of the video. Its text is the tile as a media
// fragment (W3C Media Fragments URI 1.0, 4.2.2) of a sheet beside the file.
func (p Plan) VTT() []byte {
	b := []byte("WEBVTT\n")
	for i := range p.Tiles {
		from, to := p.At(i), p.At(i+1)
		if i == p.Tiles-1 {
			to = max(p.Duration, from+time.Millisecond)
		}
		x, y := i%perSheet%columns*p.Width, i%perSheet/columns*p.Height
		b = fmt.Appendf(b, "\n%s --> %s\n%s#xywh=%d,%d,%d,%d\n", stamp(from), stamp(to), SheetName(i/perSheet), x, y, p.Width, p.Height)
	}
	return b
}

// stamp is a time as WebVTT writes it, rounded up: the last cue reaches to the end.
func stamp(d time.Duration) string {
	ms := (d + time.Millisecond - 1).Milliseconds()
	return fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000)
}
