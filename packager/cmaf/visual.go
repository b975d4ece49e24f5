package cmaf

import (
	"bytes"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"mediad/media"
)

// visual is what the file says about the picture beside the configuration box: size, shape of a pixel, colours.
type visual struct {
	width, height       int
	sarWidth, sarHeight int // equal where pixels are square or nothing is said
	colours             *colours
}

// colours are code points of ISO/IEC 23091-2.
type colours struct {
	primaries, transfer, matrix uint8
	fullRange                   bool
}

// displayWidth is the picture's width once pixels are square.
func (v visual) displayWidth() int {
	if v.sarWidth == v.sarHeight {
		return v.width
	}
	return min((v.width*v.sarWidth+v.sarHeight/2)/v.sarHeight, 0xffff)
}

// sampleShapes are the pixel shapes that a parameter set names by number (ISO/IEC 14496-10, table E-1).
var sampleShapes = [...][2]int{
	{0, 0}, {1, 1}, {12, 11}, {10, 11}, {16, 11}, {40, 33}, {24, 11}, {20, 11}, {32, 11}, {80, 33}, {18, 11}, {15, 11},
	{64, 33}, {160, 99}, {4, 3}, {3, 2}, {2, 1},
}

// extendedShape is the number that says: width and height follow.
const extendedShape = 255

func (v *visual) shape(idc uint8, width, height uint16) {
	w, h := int(width), int(height)
	if idc != extendedShape {
		if int(idc) >= len(sampleShapes) {
			return
		}
		w, h = sampleShapes[idc][0], sampleShapes[idc][1]
	}
	if w > 0 && h > 0 {
		v.sarWidth, v.sarHeight = w, h
	}
}

// visualOf reads shape and colours from the track's parameter sets. What cannot be read is left unsaid: decoders
// find it in the parameter sets themselves.
func visualOf(t *media.Track) visual {
	v := visual{width: t.Width, height: t.Height}
	switch t.Codec {
	case media.H264:
		sets, _ := t.H264ParameterSets()
		var sps h264.SPS
		if len(sets) > 0 && sps.Unmarshal(sets[0]) == nil && sps.VUI != nil {
			u := sps.VUI
			if u.AspectRatioInfoPresentFlag {
				v.shape(u.AspectRatioIdc, u.SarWidth, u.SarHeight)
			}
			if u.VideoSignalTypePresentFlag && u.ColourDescriptionPresentFlag {
				v.colours = &colours{u.ColourPrimaries, u.TransferCharacteristics, u.MatrixCoefficients, u.VideoFullRangeFlag}
			}
		}
	case media.H265:
		var sps h265.SPS
		if set := hevcSPS(t.Config); set != nil && sps.Unmarshal(set) == nil && sps.VUI != nil {
			u := sps.VUI
			if u.AspectRatioInfoPresentFlag {
				v.shape(u.AspectRatioIdc, u.SarWidth, u.SarHeight)
			}
			if u.VideoSignalTypePresentFlag && u.ColourDescriptionPresentFlag {
				v.colours = &colours{u.ColourPrimaries, u.TransferCharacteristics, u.MatrixCoefficients, u.VideoFullRangeFlag}
			}
		}
	case media.VP9:
		// vpcC: version and flags, profile, level, depth with full range in its last bit, then the colours.
		if c := t.Config; len(c) >= 10 && c[7] != 2 { // 2: unspecified
			v.colours = &colours{c[7], c[8], c[9], c[6]&1 != 0}
		}
	default:
	}
	return v
}

// The arrays of hvcC (14496-15, 8.3.3.1) begin behind this many bytes, the last of which counts them.
const hvcCHead = 23

// eachHvcCArray calls f with the place of every array and of what follows it, until the record ends or is broken.
func eachHvcCArray(c []byte, f func(from, to int)) {
	if len(c) < hvcCHead {
		return
	}
	at := hvcCHead
	for range int(c[hvcCHead-1]) {
		if at+3 > len(c) {
			return
		}
		end := at + 3
		for range int(c[at+1])<<8 | int(c[at+2]) {
			if end+2 > len(c) {
				return
			}
			end += 2 + int(c[end])<<8 + int(c[end+1])
			if end > len(c) {
				return
			}
		}
		f(at, end)
		at = end
	}
}

// hevcSPS returns the first sequence parameter set of an hvcC record, nil if it has none.
func hevcSPS(c []byte) (sps []byte) {
	const typeSPS = 33
	eachHvcCArray(c, func(from, to int) {
		if sps == nil && c[from]&0x3f == typeSPS && to >= from+5 {
			n := int(c[from+3])<<8 | int(c[from+4])
			sps = c[from+5 : from+5+n]
		}
	})
	return sps
}

// completeHvcC returns the record with its parameter set arrays marked complete, as the sample entry hvc1
// demands; encoders that send hev1 leave the mark out. The record itself is not written to.
func completeHvcC(c []byte) []byte {
	const complete, typeVPS, typePPS = 0x80, 32, 34
	out := bytes.Clone(c)
	eachHvcCArray(c, func(from, _ int) {
		if t := c[from] & 0x3f; t >= typeVPS && t <= typePPS {
			out[from] |= complete
		}
	})
	return out
}
