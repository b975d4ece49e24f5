package transcode

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/media"
)

// heavy has a fan of as many rungs as there may be, of each of which nearly all is kept that may be.
func heavy(t *testing.T) (f *fan, publish func(n, bytes int)) {
	t.Helper()
	rungs := make([]media.Rung, 6)
	for i := range rungs {
		rungs[i].Name = fmt.Sprintf("r%d", i)
	}
	f = newFan(rungs)
	n := 0
	publish = func(pictures, bytes int) {
		for range pictures {
			for i, r := range rungs {
				f.publish(i, media.Encoded{Kind: media.EncodedUnit, Rung: r.Name, Unit: media.AccessUnit{
					RandomAccess: n == 0, DTS: media.Ticks(3000 * n), Data: make([]byte, bytes),
				}})
			}
			n++
		}
	}
	publish(19, 100<<10)
	return f, publish
}

// TestALateReaderKeepsWhatItBeginsWith, though that be more than it may be behind later.
func TestALateReaderKeepsWhatItBeginsWith(t *testing.T) {
	f, publish := heavy(t)
	r := f.reader()
	defer r.Close()
	require.Greater(t, r.bytes, maxBehindBytes)
	publish(2, 10<<10)
	require.Len(t, r.queue, 6*21)
	got := map[string]int{}
	for range 6 * 21 {
		m, err := r.Next(t.Context())
		require.NoError(t, err)
		got[m.Rung]++
	}
	require.Equal(t, map[string]int{"r0": 21, "r1": 21, "r2": 21, "r3": 21, "r4": 21, "r5": 21}, got)
	require.Zero(t, r.begun)
	require.Zero(t, r.bytes)
}

// TestAReaderThatDoesNotReadIsBounded by what it began with and no more than everyone else.
func TestAReaderThatDoesNotReadIsBounded(t *testing.T) {
	f, publish := heavy(t)
	r := f.reader()
	defer r.Close()
	begun := r.bytes
	for range 100 {
		publish(1, 200<<10)
		require.LessOrEqual(t, r.bytes, maxBehindBytes+begun)
	}
	require.Less(t, r.begun, begun, "it was not kept for ever")
}
