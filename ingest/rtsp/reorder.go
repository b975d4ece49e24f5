package rtsp

import (
	"errors"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"mediad/media"
)

// maxReorder is the largest picture buffer that H.264 and H.265 have.
const maxReorder = 16

// maxGrown is how far a depth that was told too small may grow: B-frames in a pyramid need 3. More would be a source that sends
// times in no order, whose every fault would delay DTS for good.
const maxGrown = 4

// RTP tells when a picture is shown, not when it is decoded.
var errOrder = errors.New("rtsp: pictures out of order")

// decodeTimes finds DTS from PTS.
type decodeTimes interface {
	dts(nals [][]byte, pts media.Ticks) (media.Ticks, error)
}

// newDecodeTimes chooses by what the sequence parameter set says about the order of pictures; where it says nothing,
// the pictures' own numbers are read.
func newDecodeTimes(t *media.Track, sps []byte) decodeTimes {
	if depth, known := reorderDepth(t.Codec, sps); known {
		frame := media.Ticks(media.VideoTimescale) / 30
		if r := t.FrameRate; r.Num > 0 {
			frame = media.Rescale(media.Ticks(r.Den), media.Timescale(r.Num), media.VideoTimescale)
		}
		return &reorder{depth: depth, frame: frame}
	}
	if t.Codec == media.H265 {
		x := &h265.DTSExtractor{}
		x.Initialize()
		return &pictureOrder{extract: x.Extract, sps: sps}
	}
	x := &h264.DTSExtractor{}
	x.Initialize()
	return &pictureOrder{extract: x.Extract, sps: sps}
}

// reorderDepth is how many pictures are decoded before one that is shown earlier, if the parameter set tells.
func reorderDepth(codec media.Codec, data []byte) (int, bool) {
	if codec == media.H265 {
		var sps h265.SPS
		if sps.Unmarshal(data) != nil || len(sps.MaxNumReorderPics) == 0 {
			return 0, false
		}
		n := sps.MaxNumReorderPics[len(sps.MaxNumReorderPics)-1]
		return int(min(n, maxReorder)), true
	}
	var sps h264.SPS
	switch {
	case sps.Unmarshal(data) != nil:
		return 0, false
	case sps.PicOrderCntType == 2, sps.ProfileIdc == 66:
		return 0, true
	case sps.VUI == nil || sps.VUI.BitstreamRestriction == nil:
		return 0, false
	}
	return int(min(sps.VUI.BitstreamRestriction.MaxNumReorderFrames, maxReorder)), true
}

// reorder gives the n-th picture the PTS of the one that is shown depth before the n-th, so that DTS runs on the pictures'
// own times and none comes later than its PTS.
type reorder struct {
	depth int
	frame media.Ticks // a guess, for the pictures before the first one shown

	shown []media.Ticks // the last depth presentation times in rising order
	last  media.Ticks
	any   bool
	grown int // by how much depth is more than was told
}

func (r *reorder) dts(_ [][]byte, pts media.Ticks) (media.Ticks, error) {
	if r.any && (pts <= r.last || pts-r.last > media.VideoTimescale.Ticks(maxLateness)) {
		if pts <= r.last && r.last-pts <= media.VideoTimescale.Ticks(maxLateness) {
			r.deepen()
			return 0, errOrder
		}
		r.any, r.shown = false, r.shown[:0] // the clock jumped
	}
	if !r.any {
		for i := range r.depth {
			r.shown = append(r.shown, pts-media.Ticks(r.depth-i)*r.frame)
		}
		r.any = true
	}
	i, twice := slices.BinarySearch(r.shown, pts)
	if twice {
		return 0, errOrder
	}
	r.shown = slices.Insert(r.shown, i, pts)
	r.last = r.shown[0]
	r.shown = slices.Delete(r.shown, 0, 1)
	return r.last, nil
}

// deepen lets DTS run one picture further behind: the parameter set told too small a depth.
func (r *reorder) deepen() {
	next := r.last + 2
	if len(r.shown) > 0 {
		next = r.shown[0]
	}
	if r.grown < maxGrown && next-r.last >= 2 {
		r.grown++
		r.depth++
		r.shown = slices.Insert(r.shown, 0, r.last+(next-r.last)/2)
	}
}

// pictureOrder reads the picture order count of every slice header.
type pictureOrder struct {
	extract func(nals [][]byte, pts int64) (int64, error)
	sps     []byte // to begin with, where the stream itself has none
	began   bool
}

func (p *pictureOrder) dts(nals [][]byte, pts media.Ticks) (media.Ticks, error) {
	if !p.began {
		nals = append([][]byte{p.sps}, nals...)
	}
	t, err := p.extract(nals, int64(pts))
	if err != nil {
		return 0, err
	}
	p.began = true
	if media.Ticks(t) > pts {
		return 0, errOrder // it has just found out that pictures are reordered
	}
	return media.Ticks(t), nil
}
