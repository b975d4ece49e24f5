package replay_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/packager/replay"
)

// TestWhatAReplayWeighs holds the library's bound to what it says: it counts segments, and means memory. Twelve hours of five renditions.
func TestWhatAReplayWeighs(t *testing.T) {
	const n = 12 * 3600 / 2
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	v := func() *replay.Video {
		var rec replay.Recording
		for _, name := range []string{"source", "720p", "480p", "360p", "audio"} {
			r := rendition(t, name, n)
			for i := range r.Segments {
				if i%90 == 0 {
					r.Segments[i].Key = strings.Repeat("k", 70)
				} else {
					r.Segments[i].Key = r.Segments[i-1].Key // a file has many
				}
			}
			rec.Renditions = append(rec.Renditions, r)
		}
		v, err := replay.New(rec)
		require.NoError(t, err)
		return v
	}()
	each := (heap() - before) / (5 * n)
	t.Logf("%d bytes a segment", each)
	require.Less(t, each, uint64(350))
	runtime.KeepAlive(v)
}
