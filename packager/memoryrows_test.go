package packager

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
	"mediad/store/blob/memory"
)

// TestRowsBeforeASegmentThatWasInMemoryAlone: after a crash live playlists begin behind it, a replay does not.
func TestRowsBeforeASegmentThatWasInMemoryAlone(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	sink := &rowSink{}
	sink.take(false)
	disk := &fullDisk{Store: memory.New(memory.Options{MaxBytes: 1 << 30})}
	a := newAir(t, Options{Blobs: disk, Segments: sink})
	units := broadcast(tr, 60, mediatest.VideoPattern{GOP: 30})
	a.epoch(0, tr)
	third := len(units) / 3
	a.units(tr, units[:third], 0)
	disk.full = true
	a.units(tr, units[third:2*third], 0)
	disk.full = false
	a.units(tr, units[2*third:], 0)
	var want []uint64
	alone := 0
	for _, o := range a.session.renditions[media.Video].list {
		want = append(want, o.msn)
		if o.file == nil {
			alone++
		}
	}
	require.NotZero(t, alone)
	require.NotNil(t, a.session.renditions[media.Video].list[0].file)
	b, restored := a.after(a.now.Add(time.Second), objects(t, disk.Store))
	require.Len(t, restored, 1)
	sink.take(true)
	b.streams.rows.flush()
	got := sink.numbers(a.session.id, sourceName)
	require.Equal(t, want, got[:len(want)])
	without := 0
	for _, r := range sink.rows {
		if r.Rendition != sourceName || r.Gap {
			continue
		}
		if r.Key == "" {
			without++
			continue
		}
		info, err := b.store.Stat(context.Background(), r.Key)
		require.NoError(t, err)
		require.LessOrEqual(t, r.Offset+r.Bytes, info.Size)
	}
	require.Equal(t, alone, without)
}
