package packager

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
	"mediad/store/blob"
	"mediad/store/blob/memory"
)

// fullDisk is a store that takes nothing while it is full.
type fullDisk struct {
	*memory.Store
	full bool
}

func (d *fullDisk) Put(ctx context.Context, key string, r io.Reader, size int64, m blob.Meta) error {
	if d.full {
		return blob.ErrNoSpace
	}
	return d.Store.Put(ctx, key, r, size, m)
}

func (d *fullDisk) Append(ctx context.Context, key string, truncate int64) (blob.AppendFile, error) {
	if d.full {
		return nil, blob.ErrNoSpace
	}
	f, err := d.Store.Append(ctx, key, truncate)
	return &fullFile{f, d}, err
}

type fullFile struct {
	blob.AppendFile
	disk *fullDisk
}

func (f *fullFile) Write(p []byte) (int, error) {
	if f.disk.full {
		return 0, blob.ErrNoSpace
	}
	return f.AppendFile.Write(p)
}

// told is an Observer that remembers.
type told struct {
	fallback  []bool
	parts     int
	segments  int
	gaps      int
	filled    [media.Kinds]int
	discarded [media.Kinds]int
}

func (o *told) Fallback(_ string, on bool)                       { o.fallback = append(o.fallback, on) }
func (o *told) PartPublished(string, string, int, time.Duration) { o.parts++ }
func (o *told) SegmentPublished(_, _ string, _ int64, _ time.Duration, gap bool) {
	o.segments++
	if gap {
		o.gaps++
	}
}
func (o *told) Mended(string, int, int)                 {}
func (o *told) Filled(_ string, k media.Kind, n int)    { o.filled[k] += n }
func (o *told) Discarded(_ string, k media.Kind, n int) { o.discarded[k] += n }

func TestFullDiskFallsBackToMemoryAndRecovers(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	disk := &fullDisk{Store: memory.New(memory.Options{MaxBytes: 1 << 30})}
	o := &told{}
	a := newAir(t, Options{Blobs: disk, Observer: o, MemoryFallback: 600_000, Window: 12 * time.Second})
	units := broadcast(tr, 60, mediatest.VideoPattern{GOP: 30, Size: 1000, KeySize: 4000})
	a.epoch(0, tr)
	third := len(units) / 3
	a.units(tr, units[:third], 0)
	require.Empty(t, o.fallback)
	disk.full = true
	a.units(tr, units[third:2*third], 0)
	require.Equal(t, []bool{true, true}, o.fallback, "told once a rendition")
	v := mustRendition(t, a.stream, sourceName)
	w := mustRendition(t, a.stream, audioName)
	require.LessOrEqual(t, v.memory+w.memory, int64(600_000+2*4000+60*1000+2*16000), "memory is bounded")
	disk.full = false
	a.units(tr, units[2*third:], 0)
	require.Equal(t, []bool{true, true, false, false}, o.fallback)
	a.end()
	a.together()
	require.NotNil(t, v.list[len(v.list)-1].file)

	// The journal has caught up too: the next process knows what is on disk.
	a.stream.journal.stop()
	b := &air{t: t, now: a.now, start: a.start, seen: make(map[string]*viewer), streams: a.streams}
	require.Empty(t, b.restart(storeOf(t, objects(t, disk.Store))))
	b.look()
	require.Equal(t, a.seen[sourceName].window.LastMSN(), b.seen[sourceName].window.LastMSN())
}

func TestFilesAreDeletedWhenTheDVRRangeHasPassed(t *testing.T) {
	tr := tracks(media.Rational{Num: 5, Den: 1}, 48000)
	a := newAir(t, Options{Window: 10 * time.Second, DVR: 4 * time.Minute})
	a.epoch(0, tr)
	units := broadcast(tr, 900, mediatest.VideoPattern{GOP: 10, Size: 20, KeySize: 40})
	for i := 0; i < len(units); i += 5000 {
		a.units(tr, units[i:min(i+5000, len(units))], 0)
		a.streams.tidy(context.Background())
	}
	files := 0
	for key := range objects(t, a.store) {
		if key != journalKey("demo", a.stream.journal.n) {
			files++
		}
	}
	require.LessOrEqual(t, files, 2*4, "files of the last minutes only")
	require.GreaterOrEqual(t, files, 2*2)
	require.Less(t, a.stream.journal.out.Size(), int64(3<<20))
	doc, ok := mustRendition(t, a.stream, sourceName).DVR()
	require.True(t, ok)
	require.InDelta(t, 120, bytes.Count(doc.Plain, []byte("#EXTINF")), 2)
	a.end()
}
