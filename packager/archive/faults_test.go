package archive_test

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/packager/archive"
	"mediad/store/blob"
)

// TestAnObjectWhoseRowIsGoneGoes: retention deleted the row while the segment was on its way into the bucket.
func TestAnObjectWhoseRowIsGoneGoes(t *testing.T) { synctest.Test(t, anObjectWhoseRowIsGoneGoes) }

func anObjectWhoseRowIsGoneGoes(t *testing.T) {
	d := newDesk(t)
	d.start()
	d.file("s1", "source")
	d.track("s1", "source", 1)
	time.Sleep(2 * time.Second)
	d.a.Segment(d.segment("s1", "source", 100)) // of which there never is a row again
	d.publish(d.segment("s1", "source", 101))
	gone, kept := archive.SegmentKey("main", "source", 1, 100), archive.SegmentKey("main", "source", 1, 101)
	await(t, "the object", func() bool { return d.bucket.text(gone) != "" && d.rows.count("stored") == 1 })
	time.Sleep(9 * time.Minute)
	synctest.Wait()
	require.NotEmpty(t, d.bucket.text(gone), "its row may be on its way")
	time.Sleep(2 * time.Minute)
	synctest.Wait()
	assert.Empty(t, d.bucket.text(gone))
	assert.NotEmpty(t, d.bucket.text(kept))
}

// TestWhatAFormerProcessStoredIsNotLost: it was in memory alone, and is in the bucket, but the process ended before its row said so.
func TestWhatAFormerProcessStoredIsNotLost(t *testing.T) {
	synctest.Test(t, whatAFormerProcessStoredIsNotLost)
}

func whatAFormerProcessStoredIsNotLost(t *testing.T) {
	d := newDesk(t)
	for msn, body := range map[uint64]string{100: "0123456789", 101: "short"} {
		s := d.segment("s1", "source", msn)
		s.Key, s.Offset = "", 0
		key := archive.SegmentKey("main", "source", 1, msn)
		require.NoError(t, d.bucket.Store.Put(t.Context(), key, strings.NewReader(body), int64(len(body)), blob.Meta{}))
		d.rows.insert(s)
	}
	d.start()
	d.track("s1", "source", 1)
	await(t, "both", func() bool { return d.rows.count("pending") == 0 })
	assert.Equal(t, 1, d.rows.count("stored"))
	assert.Equal(t, 1, d.rows.count("lost"))
	assert.NoError(t, d.a.State().Err)
}

// panicking is a disk on which one object is not to be touched, and rows that are not either, for a while.
type panicking struct {
	blob.Store
	key string
}

func (p panicking) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if key == p.key {
		panic("a fault of the program")
	}
	return p.Store.Open(ctx, key, offset, length)
}

type panickingRows struct {
	archive.Rows
	on atomic.Bool
}

func (p *panickingRows) MarkStored(ctx context.Context, s []archive.Stored) ([]archive.Stored, error) {
	if p.on.Load() {
		panic("a fault of the program")
	}
	return p.Rows.MarkStored(ctx, s)
}

func (p *panickingRows) Pending(ctx context.Context, after archive.Position, limit int) ([]archive.Segment, error) {
	if p.on.Load() {
		panic("a fault of the program")
	}
	return p.Rows.Pending(ctx, after, limit)
}

// TestAPanicIsOneLinesAlone: others go on, and so does the line, without what it cannot bear.
func TestAPanicIsOneLinesAlone(t *testing.T) { synctest.Test(t, aPanicIsOneLinesAlone) }

func aPanicIsOneLinesAlone(t *testing.T) {
	d := newDesk(t)
	d.o.Local = panicking{d.local, "live/main/s1/bad.m4s"}
	rows := &panickingRows{Rows: d.rows}
	rows.on.Store(true)
	d.o.Rows = rows
	d.start()
	time.Sleep(3 * time.Second)
	rows.on.Store(false)
	for _, r := range []string{"source", "audio"} {
		d.file("s1", r)
		d.track("s1", r, 1)
	}
	bad := d.segment("s1", "source", 100)
	bad.Key = "live/main/s1/bad.m4s"
	d.publish(bad)
	d.publish(d.segment("s1", "source", 101))
	d.publish(d.segment("s1", "audio", 100))
	await(t, "the other line, and what follows in this one", func() bool { return d.rows.count("stored") == 2 })
	assert.Equal(t, 1, d.rows.count("pending"))
	assert.Zero(t, d.a.State().Waiting)
}

// TestWhatIsStoredIsNotedAfterAPanic: what had been told of is not forgotten with it.
func TestWhatIsStoredIsNotedAfterAPanic(t *testing.T) {
	synctest.Test(t, whatIsStoredIsNotedAfterAPanic)
}

func whatIsStoredIsNotedAfterAPanic(t *testing.T) {
	d := newDesk(t)
	rows := &panickingRows{Rows: d.rows}
	d.o.Rows = rows
	d.start()
	d.file("s1", "source")
	d.track("s1", "source", 1)
	time.Sleep(2 * time.Second)
	rows.on.Store(true)
	d.publish(d.segment("s1", "source", 100))
	await(t, "the object", func() bool { return d.bucket.text(archive.SegmentKey("main", "source", 1, 100)) != "" })
	time.Sleep(3 * time.Second)
	require.Zero(t, d.rows.count("stored"))
	rows.on.Store(false)
	await(t, "its row", func() bool { return d.rows.count("stored") == 1 })
}
