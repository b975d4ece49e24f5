package cmaf

import "encoding/binary"

// box is a buffer that boxes are appended to. Sizes are not known when a box begins, so begin leaves room for
// the size and end fills it in.
type box []byte

// begin opens a box of the given four-letter type and returns where it starts, for end.
func (b *box) begin(name string) int {
	at := len(*b)
	*b = append(*b, 0, 0, 0, 0)
	*b = append(*b, name...)
	return at
}

// beginFull opens a box with a version and 24 bits of flags.
func (b *box) beginFull(name string, version uint8, flags uint32) int {
	at := b.begin(name)
	b.u32(uint32(version)<<24 | flags&0xffffff)
	return at
}

// end closes the box that began at the given place.
func (b *box) end(at int) {
	binary.BigEndian.PutUint32((*b)[at:], uint32(len(*b)-at))
}

func (b *box) u8(v uint8)   { *b = append(*b, v) }
func (b *box) u16(v uint16) { *b = binary.BigEndian.AppendUint16(*b, v) }
func (b *box) u32(v uint32) { *b = binary.BigEndian.AppendUint32(*b, v) }
func (b *box) u64(v uint64) { *b = binary.BigEndian.AppendUint64(*b, v) }

func (b *box) bytes(p []byte) { *b = append(*b, p...) }
func (b *box) text(s string)  { *b = append(*b, s...) }
func (b *box) zeros(n int)    { *b = append(*b, make([]byte, n)...) }
func (b *box) words(v ...uint32) {
	for _, w := range v {
		b.u32(w)
	}
}
