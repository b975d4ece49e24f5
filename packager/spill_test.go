package packager

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
	"mediad/store/blob"
	"mediad/store/blob/memory"
)

// take lets the sink take rows again.
func (s *rowSink) take(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = !on
}

// numbers are those of the rows of a session's rendition, and whether each came once and in order.
func (s *rowSink) numbers(session, rendition string) (got []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := make(map[uint64]bool) // a database ignores what it has
	for _, r := range s.rows {
		if r.SessionID == session && r.Rendition == rendition && !seen[r.MSN] {
			seen[r.MSN] = true
			got = append(got, r.MSN)
		}
	}
	return got
}

// TestRowsOutliveTheirSessionAndTheProcess while the sink is away: the journal is of the next session by then.
func TestRowsOutliveTheirSessionAndTheProcess(t *testing.T) {
	for _, wait := range []time.Duration{0, 2 * time.Minute} {
		tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
		sink := &rowSink{}
		sink.take(false)
		a := newAir(t, Options{Segments: sink})
		a.epoch(0, tr)
		a.units(tr, broadcast(tr, 20, mediatest.VideoPattern{GOP: 30}), 0)
		session := a.session.id
		var want []uint64
		for _, o := range a.session.renditions[media.Video].list {
			want = append(want, o.msn)
		}
		a.now = a.now.Add(wait)
		a.streams.rows.flush()
		a.end()
		a.stream.journal.stop()
		want = append(want, a.session.renditions[media.Video].list[len(want)].msn)
		a.goOn(tr)
		a.streams.rows.flush()
		require.True(t, a.streams.Unstored(session))

		left := objects(t, a.store)
		b, _ := a.after(a.now.Add(time.Second), left)
		require.True(t, b.streams.Unstored(session))
		b.streams.rows.flush()
		require.Zero(t, sink.len())
		sink.take(true)
		b.streams.rows.flush()
		require.Equal(t, want, sink.numbers(session, sourceName))
		require.NotEmpty(t, sink.numbers("s2", sourceName))
		require.NotEmpty(t, sink.tracks)
		require.False(t, b.streams.Unstored(session))
		require.NoError(t, b.store.List(t.Context(), spillFolder, func(i blob.Info) error { return fmt.Errorf("%s is left", i.Key) }))
	}
}

// TestManyRowsWait: more than memory holds, with a process in between, and a file that is torn.
func TestManyRowsWait(t *testing.T) {
	sink := &rowSink{}
	sink.take(false)
	store := memory.New(memory.Options{MaxBytes: 1 << 30})
	log := slog.New(slog.DiscardHandler)
	node := func() (*Streams, *Stream) {
		s := NewStreams(Options{Blobs: store, Segments: sink, Log: log})
		_, err := s.Recover(t.Context())
		require.NoError(t, err)
		st := s.stream("demo")
		st.newest = "s"
		return s, st
	}
	s, st := node()
	msn := uint64(0)
	add := func(n int) {
		for range n {
			msn++
			s.rows.add(queuedRow{SegmentRow: SegmentRow{SessionID: "s", Rendition: sourceName, MSN: msn, Start: s.o.Now()}, stream: st})
		}
	}
	for range 5 {
		add(maxRows / 2)
		s.rows.flush()
		require.LessOrEqual(t, len(s.rows.rows), maxRows)
	}
	last := s.rows.rows[0].MSN // from here on they are in memory, and in a journal
	s, st = node()
	msn = last - 1
	add(2 * maxRows)
	s.rows.flush()
	sink.take(true)
	s.rows.flush()
	got := sink.numbers("s", sourceName)
	require.Equal(t, int(msn), len(got))
	for i, n := range got {
		require.Equal(t, uint64(i+1), n)
	}
	require.False(t, s.Unstored("s"))

	torn := appendRecord(nil, recSpilledRow, encodeJSON(SegmentRow{SessionID: "torn", Rendition: sourceName, MSN: 7}))
	torn = append(torn, torn[:len(torn)/2]...)
	require.NoError(t, store.Put(t.Context(), spillFolder+"5", bytes.NewReader(torn), int64(len(torn)), blob.Meta{}))
	s, _ = node()
	s.rows.flush()
	require.Equal(t, []uint64{7}, sink.numbers("torn", sourceName))
	require.False(t, s.Unstored("torn"))
}

// badBlock is a disk on which an object cannot be read.
type badBlock struct {
	*memory.Store
	key string
}

func (b badBlock) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if key == b.key {
		return nil, errors.New("input/output error")
	}
	return b.Store.Open(ctx, key, offset, length)
}

// TestABadBlockKeepsNoRowsForEver: those behind it are stored after a while, and it stays for the next start.
func TestABadBlockKeepsNoRowsForEver(t *testing.T) {
	store := badBlock{memory.New(memory.Options{MaxBytes: 1 << 20}), spillFolder + "1"}
	for n := range 3 {
		b := appendRecord(nil, recSpilledRow, encodeJSON(SegmentRow{SessionID: "s", Rendition: sourceName, MSN: uint64(n)}))
		require.NoError(t, store.Put(t.Context(), spillFolder+strconv.Itoa(n), bytes.NewReader(b), int64(len(b)), blob.Meta{}))
	}
	sink := &rowSink{}
	s := NewStreams(Options{Blobs: store, Segments: sink, Log: slog.New(slog.DiscardHandler)})
	_, err := s.Recover(t.Context())
	require.NoError(t, err)
	for range maxUnusable - 1 {
		s.rows.flush()
	}
	require.Equal(t, []uint64{0}, sink.numbers("s", sourceName), "the disk may come back")
	require.True(t, s.Unstored("s"))
	s.rows.flush()
	require.Equal(t, []uint64{0, 2}, sink.numbers("s", sourceName))
	require.False(t, s.Unstored("s"))
	require.Equal(t, []string{spillFolder + "1"}, slices.Collect(maps.Keys(objects(t, store.Store))))
}

// panickingSink panics a few times.
type panickingSink struct {
	*rowSink
	left int
}

func (p *panickingSink) AddSegments(rows []SegmentRow) error {
	if p.left--; p.left >= 0 {
		panic("a fault of the program")
	}
	return p.rowSink.AddSegments(rows)
}

// TestRowsOutliveAPanic: nobody above would recover it.
func TestRowsOutliveAPanic(t *testing.T) {
	sink := &panickingSink{&rowSink{}, 2}
	s := NewStreams(Options{Blobs: memory.New(memory.Options{MaxBytes: 1 << 20}), Segments: sink, Log: slog.New(slog.DiscardHandler)})
	st := s.stream("demo")
	st.newest = "s"
	s.rows.addTrack(TrackRow{SessionID: "s", Rendition: sourceName})
	s.rows.add(queuedRow{SegmentRow: SegmentRow{SessionID: "s", Rendition: sourceName, MSN: 1}, stream: st})
	for range 3 {
		require.True(t, s.Unstored("s"))
		s.rows.flush()
	}
	require.Equal(t, []uint64{1}, sink.numbers("s", sourceName))
	require.Len(t, sink.tracks, 1)
	require.False(t, s.Unstored("s"))
}

// TestWhatTheDiskDoesNotTakeWaitsInMemory, within its bound.
func TestWhatTheDiskDoesNotTakeWaitsInMemory(t *testing.T) {
	sink := &rowSink{}
	sink.take(false)
	disk := &fullDisk{Store: memory.New(memory.Options{MaxBytes: 1 << 30}), full: true}
	s := NewStreams(Options{Blobs: disk, Segments: sink, Log: slog.New(slog.DiscardHandler)})
	st := s.stream("demo")
	for i := range 3 * maxRows / 2 {
		s.rows.add(queuedRow{SegmentRow: SegmentRow{SessionID: "s", Rendition: sourceName, MSN: uint64(i + 1)}, stream: st})
	}
	s.rows.flush()
	require.Equal(t, maxRows, len(s.rows.rows))
	disk.full = false
	s.rows.flush()
	require.Zero(t, len(s.rows.rows))
	sink.take(true)
	s.rows.flush()
	require.Equal(t, maxRows, len(sink.numbers("s", sourceName)))
	require.False(t, s.Unstored("s"))
}
