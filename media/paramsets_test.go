package media

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHEVCParameterSetsAreRead(t *testing.T) {
	vps, sps, pps := hevc()
	record, err := HVCC(vps, sps, pps)
	require.NoError(t, err)
	track, err := NewH265(record)
	require.NoError(t, err)
	sets, err := track.ParameterSets()
	require.NoError(t, err)
	require.Equal(t, [][]byte{vps, sps, pps}, sets)
	for i := range record {
		_, err := hevcSets(record[:i])
		require.Error(t, err, "%d of %d bytes", i, len(record))
	}
	none, err := (&Track{Codec: VP9}).ParameterSets()
	require.NoError(t, err)
	require.Empty(t, none)
}

// FuzzHEVCSets looks for a panic in what is read of a configuration record.
func FuzzHEVCSets(f *testing.F) {
	vps, sps, pps := hevc()
	record, err := HVCC(vps, sps, pps)
	require.NoError(f, err)
	f.Add(record)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		sets, err := hevcSets(b)
		if err == nil {
			require.Len(t, sets, 3)
		}
	})
}

// hevc is the parameter sets of a 1920x1080 picture.
func hevc() (vps, sps, pps []byte) {
	return []byte{0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03,
			0x00, 0x00, 0x03, 0x00, 0x78, 0x99, 0x98, 0x09},
		[]byte{0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03,
			0x00, 0x78, 0xa0, 0x03, 0xc0, 0x80, 0x10, 0xe5, 0x96, 0x66, 0x69, 0x24, 0xca, 0xe0, 0x10, 0x00,
			0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x01, 0xe0, 0x80},
		[]byte{0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40}
}
