package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// What a caller may branch on; each is returned wrapped.
var (
	// ErrFormat: it is none of the formats that are taken.
	ErrFormat = errors.New("picture: not a JPEG, PNG, WebP or GIF")
	// ErrBroken: it is one of them, and cannot be decoded.
	ErrBroken = errors.New("picture: broken")
	// ErrSize: a side is too short or too long.
	ErrSize = errors.New("picture: size")
	// ErrCostly: to decode it would take more memory or time than a picture is worth.
	ErrCostly = errors.New("picture: too costly to decode")
)

// Limits of what is decoded.
const (
	MaxBytes = 5 << 20
	MinSide  = 64
	MaxSide  = 8192
	// maxMemory is what decoding may hold: a picture of the largest size with four bytes a pixel, but not one with eight.
	maxMemory = 320 << 20
	// maxPasses bounds the pixels that the scans of a JPEG go over together: some seconds. A progressive one of 12 megapixels may have 64
	// scans; usual are ten.
	maxPasses = 800 << 20
)

// header is what is known of a picture before it is decoded.
type header struct {
	format        string // jpeg, png, webp, gif
	width, height int
	memory        int64 // bytes that decoding holds at most
	orientation   int   // of EXIF, 1 to 8
}

// examine reads sizes and costs of a picture, and refuses what is not worth to be decoded. It holds nothing and follows no length that it was
// told beyond the end of data.
func examine(data []byte) (header, error) {
	var h header
	var err error
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		h, err = examineJPEG(data)
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		h, err = examinePNG(data)
	case bytes.HasPrefix(data, []byte("GIF87a")), bytes.HasPrefix(data, []byte("GIF89a")):
		h, err = examineGIF(data)
	case len(data) >= 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP":
		h, err = examineWebP(data)
	default:
		return header{}, ErrFormat
	}
	switch {
	case err != nil:
		return header{}, err
	case h.width < MinSide || h.height < MinSide || h.width > MaxSide || h.height > MaxSide:
		return header{}, fmt.Errorf("%w: %d x %d", ErrSize, h.width, h.height)
	case h.memory > maxMemory:
		return header{}, fmt.Errorf("%w: %d bytes of memory", ErrCostly, h.memory)
	}
	if h.orientation < 1 || h.orientation > 8 {
		h.orientation = 1
	}
	return h, nil
}

func broken(what string) error { return fmt.Errorf("%w: %s", ErrBroken, what) }

func (h header) pixels() int64 { return int64(h.width) * int64(h.height) }

// examinePNG reads IHDR, which comes first, and looks for eXIf.
func examinePNG(data []byte) (header, error) {
	h := header{format: "png"}
	const ihdr = 8 + 8 + 13
	if len(data) < ihdr || string(data[12:16]) != "IHDR" || binary.BigEndian.Uint32(data[8:]) != 13 {
		return h, broken("no IHDR")
	}
	width, height := binary.BigEndian.Uint32(data[16:]), binary.BigEndian.Uint32(data[20:])
	if width > 1<<30 || height > 1<<30 {
		return h, fmt.Errorf("%w: %d x %d", ErrSize, width, height)
	}
	h.width, h.height = int(width), int(height)
	depth, kind, interlaced := data[24], data[25], data[28] != 0
	each := int64(4)
	switch {
	case depth == 16 && kind == 0:
		each = 2
	case depth == 16:
		each = 8
	case kind == 0 || kind == 3:
		each = 1
	}
	if interlaced { // each pass is a picture of its own, besides
		each *= 2
	}
	h.memory = h.pixels() * each
	for at := 8; len(data)-at >= 12; {
		size, name := int64(binary.BigEndian.Uint32(data[at:])), string(data[at+4:at+8])
		if size > int64(len(data)-at-12) {
			break
		}
		if name == "eXIf" {
			h.orientation = orientation(data[at+8 : at+8+int(size)])
		}
		at += 12 + int(size)
	}
	return h, nil
}

// examineGIF reads the screen's size. A frame cannot be larger.
func examineGIF(data []byte) (header, error) {
	h := header{format: "gif"}
	if len(data) < 13 {
		return h, broken("no screen")
	}
	h.width, h.height = int(binary.LittleEndian.Uint16(data[6:])), int(binary.LittleEndian.Uint16(data[8:]))
	h.memory = 2 * h.pixels() // twice where it is interlaced
	return h, nil
}

// examineJPEG goes from marker to marker up to the end of the picture, and counts its scans: each goes over all pixels, however few bytes it
// has.
func examineJPEG(data []byte) (header, error) {
	h := header{format: "jpeg"}
	var scans int64
	for at := 2; ; {
		for at < len(data) && data[at] != 0xff { // what a scan consists of
			at++
		}
		for at < len(data) && data[at] == 0xff {
			at++
		}
		if at >= len(data) {
			break
		}
		marker := data[at]
		at++
		if marker == 0xd9 { // the end; what follows are other pictures
			break
		}
		if marker == 0 || marker == 1 || marker >= 0xd0 && marker <= 0xd8 {
			continue // without a body
		}
		if len(data)-at < 2 {
			break
		}
		size := int(binary.BigEndian.Uint16(data[at:]))
		if size < 2 || size > len(data)-at {
			break
		}
		body := data[at+2 : at+size]
		at += size
		switch {
		case marker == 0xc0 || marker == 0xc1 || marker == 0xc2:
			if h.width != 0 {
				return h, broken("two frames")
			}
			if err := h.frame(marker == 0xc2, body); err != nil {
				return h, err
			}
		case marker == 0xda:
			scans++
		case marker == 0xe1 && h.orientation == 0 && bytes.HasPrefix(body, []byte("Exif\x00\x00")):
			h.orientation = orientation(body[6:])
		}
	}
	if h.width == 0 {
		return h, broken("no frame")
	}
	if passes := scans * h.pixels(); passes > maxPasses {
		return h, fmt.Errorf("%w: %d scans", ErrCostly, scans)
	}
	return h, nil
}

// frame reads what the start of a JPEG's frame says.
func (h *header) frame(progressive bool, body []byte) error {
	if len(body) < 6 || len(body) < 6+3*int(body[5]) || body[5] == 0 || body[5] > 4 {
		return broken("frame")
	}
	h.height, h.width = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
	if h.width == 0 || h.height == 0 {
		return broken("frame without size")
	}
	components := int64(body[5])
	each := components
	if progressive { // coefficients of four bytes are kept as well
		each *= 5
		if components == 3 && body[7] == 0x22 && body[10] == 0x11 && body[13] == 0x11 { // chroma at half the size, as nearly always
			each /= 2
		}
	}
	if components == 4 {
		each += 4
	}
	h.memory = h.pixels() * each
	return nil
}

// examineWebP goes over the chunks.
func examineWebP(data []byte) (header, error) {
	h := header{format: "webp"}
	const (
		animated = 1 << 1
		alpha    = 1 << 4
		flat     = 3 // bytes a pixel of a lossy picture
		layered  = 8 // with alpha, or lossless
	)
	for at := 12; len(data)-at >= 8; {
		name, size := string(data[at:at+4]), int64(binary.LittleEndian.Uint32(data[at+4:]))
		body := data[at+8:]
		size = min(size, int64(len(body)))
		body = body[:size]
		at += 8 + int(size) + int(size&1)
		var width, height int
		each := int64(flat)
		switch {
		case name == "VP8X" && len(body) >= 10:
			if body[0]&animated != 0 {
				return h, fmt.Errorf("%w: it moves", ErrFormat)
			}
			width, height = 1+(int(body[4])|int(body[5])<<8|int(body[6])<<16), 1+(int(body[7])|int(body[8])<<8|int(body[9])<<16)
			if body[0]&alpha != 0 {
				each = layered
			}
		case name == "VP8 " && len(body) >= 10:
			width, height = int(binary.LittleEndian.Uint16(body[6:])&0x3fff), int(binary.LittleEndian.Uint16(body[8:])&0x3fff)
		case name == "VP8L" && len(body) >= 5:
			bits := binary.LittleEndian.Uint32(body[1:])
			width, height, each = 1+int(bits&0x3fff), 1+int(bits>>14&0x3fff), layered
		case name == "EXIF":
			h.orientation = orientation(bytes.TrimPrefix(body, []byte("Exif\x00\x00")))
			continue
		default:
			continue
		}
		if h.width != 0 && (width != h.width || height != h.height) {
			return h, broken("two sizes")
		}
		h.width, h.height = width, height
		h.memory = max(h.memory, h.pixels()*each)
	}
	if h.width == 0 {
		return h, broken("no picture")
	}
	return h, nil
}

// orientation finds tag 0x0112 in the first directory of EXIF data; 0: it is not there.
func orientation(tiff []byte) int {
	if len(tiff) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch string(tiff[:4]) {
	case "II*\x00":
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 0
	}
	at := int64(order.Uint32(tiff[4:]))
	if at < 8 || at+2 > int64(len(tiff)) {
		return 0
	}
	entries := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		if len(entries) < 12 {
			return 0
		}
		if order.Uint16(entries) == 0x0112 && order.Uint16(entries[2:]) == 3 {
			return int(order.Uint16(entries[8:]))
		}
		entries = entries[12:]
	}
	return 0
}
