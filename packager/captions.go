package packager

import (
	"bytes"
	"encoding/binary"

	"mediad/media"
)

// captions looks for CEA-608 or 708 captions in the video, until it has found some: the multivariant playlist says
// whether there are.
type captions struct{ found bool }

// ga94 is how a caption message begins: country code of the USA, provider ATSC, "GA94", type cc_data (ATSC A/53
// part 4, 6.2.3).
var ga94 = []byte{0xb5, 0x00, 0x31, 'G', 'A', '9', '4', 0x03}

// look looks at the SEI messages of an access unit.
func (c *captions) look(t *media.Track, au []byte) {
	if c.found || t == nil {
		return
	}
	for len(au) > 4 {
		n := binary.BigEndian.Uint32(au)
		if n == 0 || uint64(n) > uint64(len(au)-4) {
			return
		}
		nal := au[4 : 4+n]
		au = au[4+n:]
		if isSEI(t.Codec, nal[0]) && bytes.Contains(nal, ga94) {
			c.found = true
			return
		}
	}
}

func isSEI(c media.Codec, head byte) bool {
	switch c {
	case media.H264:
		return head&0x1f == 6
	case media.H265:
		return head>>1&0x3f == 39
	default:
		return false
	}
}
