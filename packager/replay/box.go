package replay

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMedia says that media is not the boxes that it should be.
var ErrMedia = errors.New("replay: malformed media")

const boxHead = 8

// boxAt is the box that b begins with, its head included. Sizes of 64 bits, and boxes to the end of the file, are in no file of ours.
func boxAt(b []byte) (name string, box []byte, err error) {
	if len(b) < boxHead {
		return "", nil, fmt.Errorf("%w: %d bytes", ErrMedia, len(b))
	}
	size := uint64(binary.BigEndian.Uint32(b))
	if size < boxHead || size > uint64(len(b)) {
		return "", nil, fmt.Errorf("%w: %q of %d bytes, where %d are left", ErrMedia, b[4:8], size, len(b))
	}
	return string(b[4:8]), b[:size], nil
}

// eachBox calls fn with every box of b, until fn returns an error.
func eachBox(b []byte, fn func(name string, box []byte) error) error {
	for len(b) > 0 {
		name, box, err := boxAt(b)
		if err != nil {
			return err
		}
		if err := fn(name, box); err != nil {
			return err
		}
		b = b[len(box):]
	}
	return nil
}

// find is the first box at a path of names in b, its head included, as a piece of b.
func find(b []byte, path ...string) ([]byte, error) {
	for i, want := range path {
		var found []byte
		err := eachBox(b, func(name string, box []byte) error {
			if name == want && found == nil {
				found = box
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if found == nil {
			return nil, fmt.Errorf("%w: no %s", ErrMedia, want)
		}
		if i == len(path)-1 {
			return found, nil
		}
		b = found[boxHead:]
	}
	return nil, fmt.Errorf("%w: no path", ErrMedia)
}

// full is the body of a full box (ISO/IEC 14496-12, 4.2) behind version and flags, which must have n bytes at least.
func full(box []byte, n int) (version uint8, flags uint32, body []byte, err error) {
	if len(box) < boxHead+4+n {
		return 0, 0, nil, fmt.Errorf("%w: %q of %d bytes", ErrMedia, box[4:8], len(box))
	}
	head := binary.BigEndian.Uint32(box[boxHead:])
	return uint8(head >> 24), head & 0xffffff, box[boxHead+4:], nil
}

// putTrackID writes the track's number into a tkhd (14496-12, 8.3.2), trex or tfhd, whose fields in front of it vary.
func putTrackID(box []byte, id uint32) error {
	version, _, body, err := full(box, 4)
	if err != nil {
		return err
	}
	at := 0
	if string(box[4:8]) == "tkhd" { // created, modified
		if at = 8; version == 1 {
			at = 16
		}
	}
	if len(body) < at+4 {
		return fmt.Errorf("%w: %q of %d bytes", ErrMedia, box[4:8], len(box))
	}
	binary.BigEndian.PutUint32(body[at:], id)
	return nil
}

// decodeTime is the time of a tfdt (14496-12, 8.8.12).
func decodeTime(tfdt []byte) (int64, error) {
	version, _, body, err := full(tfdt, 4)
	switch {
	case err != nil:
		return 0, err
	case version == 0:
		return int64(binary.BigEndian.Uint32(body)), nil
	case len(body) < 8:
		return 0, fmt.Errorf("%w: tfdt of %d bytes", ErrMedia, len(tfdt))
	}
	return int64(binary.BigEndian.Uint64(body) & (1<<63 - 1)), nil
}

// putDecodeTime writes the time of a tfdt in the size that it has.
func putDecodeTime(tfdt []byte, t int64) error {
	version, _, body, err := full(tfdt, 4)
	switch {
	case err != nil:
		return err
	case t < 0 || version == 0 && t > 1<<32-1:
		return fmt.Errorf("%w: no room for the time %d", ErrMedia, t)
	case version == 0:
		binary.BigEndian.PutUint32(body, uint32(t))
	default:
		binary.BigEndian.PutUint64(body, uint64(t))
	}
	return nil
}
