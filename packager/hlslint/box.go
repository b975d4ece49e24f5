package hlslint

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// maxBoxes bounds the boxes that one level may have: a segment has a few thousand fragments at the very most.
const maxBoxes = 100_000

var errTruncated = errors.New("is cut short")

// box is one box of an ISO base media file: a view into the file.
type box struct {
	kind string
	body []byte
	at   int // offset of the header within the parent's body
	size int // with header
}

// readBoxes splits b into boxes. What follows the last whole box is an error, with the boxes before it.
func readBoxes(b []byte) ([]box, error) {
	var list []box
	for at := 0; at < len(b); {
		if len(list) == maxBoxes {
			return list, fmt.Errorf("more than %d boxes", maxBoxes)
		}
		rest := b[at:]
		if len(rest) < 8 {
			return list, fmt.Errorf("%d bytes after the last box", len(rest))
		}
		size, head := uint64(binary.BigEndian.Uint32(rest)), 8
		kind := string(rest[4:8])
		switch size {
		case 0:
			size = uint64(len(rest))
		case 1:
			if len(rest) < 16 {
				return list, fmt.Errorf("box %q %w", kind, errTruncated)
			}
			size, head = binary.BigEndian.Uint64(rest[8:]), 16
		}
		if size < uint64(head) {
			return list, fmt.Errorf("box %q has the size %d", kind, size)
		}
		if size > uint64(len(rest)) {
			return list, fmt.Errorf("box %q of %d bytes %w: %d are there", kind, size, errTruncated, len(rest))
		}
		list = append(list, box{kind, rest[head:size], at, int(size)})
		at += int(size)
	}
	return list, nil
}

// child returns the first box of that kind inside b.
func child(b []byte, kinds ...string) ([]byte, bool) {
	for _, k := range kinds {
		list, _ := readBoxes(b)
		found := false
		for _, x := range list {
			if x.kind == k {
				b, found = x.body, true
				break
			}
		}
		if !found {
			return nil, false
		}
	}
	return b, true
}

// cursor reads big-endian numbers; after the end it gives zeros and remembers.
type cursor struct {
	b     []byte
	short bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.short = true
		c.b = nil
		return make([]byte, min(max(n, 0), 16))
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) u8() uint8   { return c.take(1)[0] }
func (c *cursor) u16() uint16 { return binary.BigEndian.Uint16(c.take(2)) }
func (c *cursor) u32() uint32 { return binary.BigEndian.Uint32(c.take(4)) }
func (c *cursor) u64() uint64 { return binary.BigEndian.Uint64(c.take(8)) }
func (c *cursor) skip(n int) {
	if n < 0 || n > len(c.b) {
		c.short, c.b = true, nil
		return
	}
	c.b = c.b[n:]
}

// fullBox reads version and flags.
func (c *cursor) fullBox() (version uint8, flags uint32) {
	v := c.u32()
	return uint8(v >> 24), v & 0xffffff
}
