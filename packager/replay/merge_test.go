package replay

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestACountOfSamplesIsBorneOut: a damaged count, where no sample has a field of its own, is not given memory.
func TestACountOfSamplesIsBorneOut(t *testing.T) {
	moof := func(count uint32) []byte {
		tfhd := []byte{0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0}
		traf := appendFull(nil, "tfhd", 0, tfhdDefaultsToMoof|inTfhd[fieldDuration]|inTfhd[fieldSize]|inTfhd[fieldFlags], tfhd)
		traf = appendFull(traf, "tfdt", 1, 0, make([]byte, 8))
		trun := binary.BigEndian.AppendUint32(nil, count)
		trun = binary.BigEndian.AppendUint32(trun, 16+2*boxHead+uint32(len(traf))+20+boxHead)
		traf = appendFull(traf, "trun", 0, trunDataOffset, trun)
		return appendBox(nil, "moof", append(appendFull(nil, "mfhd", 0, 0, make([]byte, 4)), appendBox(nil, "traf", traf)...))
	}
	f := fragment{moof: moof(10), data: 10}
	_, ok := f.parse()
	require.True(t, ok)
	f.moof = moof(1<<32 - 1) // 64 GB as samples
	_, ok = f.parse()
	require.False(t, ok)
}
