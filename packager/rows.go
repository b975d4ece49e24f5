package packager

import (
	"errors"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"mediad/packager/cut"
)

const (
	// maxRows bounds the rows that wait in memory for a sink that does not take them. More, what has waited for rowsOld, and what no journal
	// has any more as a later session of the stream has begun, waits on the disk. Where that takes none the oldest go: they stay in the
	// journal, from which the next process sends them.
	maxRows = 20_000
	// rowsOld is well within what the journal keeps.
	rowsOld = time.Minute
	// rowsAtOnce is how many a sink is given at a time, so that it gets on when many have gathered.
	rowsAtOnce = 2000
)

var errRowsPanic = errors.New("packager: panic")

// rowBatch gathers segment rows for the sink.
type rowBatch struct {
	sink  SegmentSink
	log   *slog.Logger
	spill *rowSpill // nil: there is none

	flushing sync.Mutex // one at a time
	mu       sync.Mutex // guards what follows
	rows     []queuedRow
	tracks   []TrackRow     // few: one a rendition and epoch; bounded as rows are
	underWay map[string]int // rows by session that are queued or being given to the sink
}

type queuedRow struct {
	SegmentRow
	stream *Stream
	line   cut.Line
	since  time.Time // when it was queued
}

func (b *rowBatch) add(r queuedRow) {
	if b.sink == nil {
		return
	}
	r.since = r.stream.owner.o.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows = append(b.rows, r)
	if b.underWay == nil {
		b.underWay = make(map[string]int)
	}
	b.underWay[r.SessionID]++
	b.bound(2 * maxRows) // who waits for the sink looks after them soon
}

// done notes that rows are under way no more. mu is held.
func (b *rowBatch) done(rows []queuedRow) {
	for i := range rows {
		id := rows[i].SessionID
		if b.underWay[id]--; b.underWay[id] == 0 {
			delete(b.underWay, id)
		}
	}
}

// has tells whether rows of a session are still under way, or may be.
func (b *rowBatch) has(session string) bool {
	if b.spill.some() {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.underWay[session] > 0
}

func (b *rowBatch) addTrack(r TrackRow) {
	if b.sink == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tracks = append(b.tracks, r)
	if n := len(b.tracks) - maxRows; n > 0 {
		b.tracks = slices.Delete(b.tracks, 0, n)
	}
}

// bound gives up the oldest rows of too many. mu is held.
func (b *rowBatch) bound(most int) {
	n := len(b.rows) - most
	if n <= 0 {
		return
	}
	for i := range b.rows[:n] {
		b.rows[i].stream.giveUpRows()
	}
	b.done(b.rows[:n])
	rest := copy(b.rows, b.rows[n:])
	clear(b.rows[rest:])
	b.rows = b.rows[:rest]
}

// flush gives the sink what is there. What it does not take comes again.
func (b *rowBatch) flush() {
	b.flushing.Lock()
	defer b.flushing.Unlock()
	var rows []queuedRow
	var tracks []TrackRow
	defer func() {
		if v := recover(); v != nil { // the process would end with it, and what is there would be gone
			b.log.Error("packager: panic", slog.String("while", "rows are stored"), slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			b.wait(rows, tracks, errRowsPanic)
		}
	}()
	if b.spill.some() {
		if err := b.spill.drain(b.give); err != nil {
			b.wait(nil, nil, err)
			return
		}
	}
	b.mu.Lock()
	rows, tracks = b.rows, b.tracks
	b.rows, b.tracks = nil, nil
	b.mu.Unlock()
	if len(tracks) > 0 { // first, so that no segment is known that cannot be decoded
		if err := b.sink.AddTracks(tracks); err != nil {
			b.wait(rows, tracks, err)
			return
		}
		tracks = nil
	}
	for len(rows) > 0 {
		now := rows[:min(len(rows), rowsAtOnce)]
		out := make([]SegmentRow, len(now))
		for i := range now {
			out[i] = now[i].SegmentRow
		}
		if err := b.sink.AddSegments(out); err != nil {
			b.wait(rows, nil, err)
			return
		}
		noteStored(now)
		b.mu.Lock()
		b.done(now)
		b.mu.Unlock()
		rows = rows[len(now):]
	}
}

// give gives the sink what waited on the disk.
func (b *rowBatch) give(tracks []TrackRow, rows []SegmentRow) error {
	if len(tracks) > 0 {
		if err := b.sink.AddTracks(tracks); err != nil {
			return err
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return b.sink.AddSegments(rows)
}

// wait keeps what the sink did not take for the next time.
func (b *rowBatch) wait(rows []queuedRow, tracks []TrackRow, err error) {
	b.mu.Lock()
	rows, tracks = append(rows, b.rows...), append(tracks, b.tracks...)
	b.rows, b.tracks = nil, nil
	b.mu.Unlock()
	b.log.Warn("segment rows wait", slog.Int("rows", len(rows)), slog.Any("error", err))
	n := spillable(rows)
	if n > 0 && b.spill != nil {
		if err := b.spill.add(tracks, rows[:n]); err != nil {
			b.log.Error("segment rows that wait are in memory alone: the disk does not take them", slog.Any("error", err))
			n = 0
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > 0 && b.spill != nil {
		b.done(rows[:n])
		rows, tracks = slices.Clone(rows[n:]), nil
	}
	b.rows, b.tracks = append(rows, b.rows...), append(tracks, b.tracks...)
	b.bound(maxRows)
}

// spillable is how many of the oldest rows are to wait on the disk.
func spillable(rows []queuedRow) (n int) {
	n = max(len(rows)-maxRows, 0)
	for i := len(rows) - 1; i >= n; i-- {
		if r := &rows[i]; r.stream.owner.o.Now().Sub(r.since) >= rowsOld || !r.stream.isNewest(r.SessionID) {
			return i + 1
		}
	}
	return n
}

// isNewest tells whether the journal is of that session.
func (st *Stream) isNewest(session string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.newest == session
}

// noteStored lets the journals know how far the sink is, once a rendition.
func noteStored(rows []queuedRow) {
	type line struct {
		stream *Stream
		line   cut.Line
	}
	to := make(map[line]uint64)
	for i := range rows {
		l := line{rows[i].stream, rows[i].line}
		to[l] = max(to[l], rows[i].MSN)
	}
	for l, msn := range to {
		if l.stream.sawRows(l.line, msn) {
			l.stream.journal.rows(l.line, msn)
		}
	}
}

// sawRows notes that the sink has the rows of a rendition up to msn, and reports whether it has them all.
func (st *Stream) sawRows(k cut.Line, msn uint64) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.rowsGiven || msn <= st.rowsTo[k] {
		return false
	}
	st.rowsTo[k] = msn
	return true
}

// giveUpRows notes that the sink will not get all rows from this process.
func (st *Stream) giveUpRows() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.rowsGiven = true
}

func (st *Stream) rowsStored() lines[uint64] {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.rowsTo
}
