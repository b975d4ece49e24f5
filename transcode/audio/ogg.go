package audio

import (
	"encoding/binary"

	"mediad/media"
)

// ogg writes Opus packets as an Ogg stream, a page each (RFC 3533 6, RFC 7845).
type ogg struct {
	sequence uint32
	samples  uint64 // granule position
	page     []byte // reused
}

const (
	oggSerial = 1
	firstPage = 2
	// maxPacket is the longest that is taken: 48 frames of 1275 bytes would be legal (RFC 6716 3.2.5), a page holds this much.
	maxPacket = 255*255 - 1
)

// head returns the two pages that a stream begins with. Nothing is to be skipped: what the decoder delays is counted here.
func (o *ogg) head(channels int) []byte {
	h := append([]byte("OpusHead"), 1, byte(channels), 0, 0, 0x80, 0xbb, 0, 0, 0, 0, 0)
	out := append([]byte(nil), o.write(h, firstPage)...)
	t := append([]byte("OpusTags"), 0, 0, 0, 0, 0, 0, 0, 0)
	return append(out, o.write(t, 0)...)
}

// packet returns the page of one packet; the bytes are good until the next call.
func (o *ogg) packet(p []byte) []byte {
	o.samples += uint64(media.OpusSamples(p))
	return o.write(p, 0)
}

func (o *ogg) write(p []byte, flags byte) []byte {
	b := o.page[:0]
	b = append(b, "OggS"...)
	b = append(b, 0, flags)
	b = binary.LittleEndian.AppendUint64(b, o.samples)
	b = binary.LittleEndian.AppendUint32(b, oggSerial)
	b = binary.LittleEndian.AppendUint32(b, o.sequence)
	b = append(b, 0, 0, 0, 0) // the checksum's place
	o.sequence++
	b = append(b, byte(len(p)/255+1))
	for n := len(p); ; n -= 255 {
		if n < 255 {
			b = append(b, byte(n))
			break
		}
		b = append(b, 255)
	}
	b = append(b, p...)
	binary.LittleEndian.PutUint32(b[22:], oggSum(b))
	o.page = b
	return b
}

var oggTable = func() (t [256]uint32) {
	for i := range t {
		c := uint32(i) << 24
		for range 8 {
			if c&0x80000000 != 0 {
				c = c<<1 ^ 0x04c11db7
			} else {
				c <<= 1
			}
		}
		t[i] = c
	}
	return t
}()

func oggSum(b []byte) (c uint32) {
	for _, x := range b {
		c = c<<8 ^ oggTable[byte(c>>24)^x]
	}
	return c
}
