package packager

import (
	"log/slog"
	"slices"
	"sync"

	"mediad/packager/cut"
)

const (
	// maxRows bounds the rows that wait for a sink that does not take them; then the oldest go. They stay in the journal, from
	// which the next process sends them, unless a later session of the stream has begun.
	maxRows = 20_000
	// rowsAtOnce is how many a sink is given at a time, so that it gets on when many have gathered.
	rowsAtOnce = 2000
)

// rowBatch gathers segment rows for the sink.
type rowBatch struct {
	sink SegmentSink
	log  *slog.Logger

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
}

func (b *rowBatch) add(r queuedRow) {
	if b.sink == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows = append(b.rows, r)
	if b.underWay == nil {
		b.underWay = make(map[string]int)
	}
	b.underWay[r.SessionID]++
	b.bound()
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

// has tells whether rows of a session are still under way.
func (b *rowBatch) has(session string) bool {
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
func (b *rowBatch) bound() {
	n := len(b.rows) - maxRows
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
	b.mu.Lock()
	rows, tracks := b.rows, b.tracks
	b.rows, b.tracks = nil, nil
	b.mu.Unlock()
	if len(tracks) > 0 { // first, so that no segment is known that cannot be decoded
		if err := b.sink.AddTracks(tracks); err != nil {
			b.wait(rows, tracks, err)
			return
		}
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

// wait keeps what the sink did not take for the next time.
func (b *rowBatch) wait(rows []queuedRow, tracks []TrackRow, err error) {
	b.log.Warn("segment rows wait", slog.Int("rows", len(rows)), slog.Any("error", err))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows, b.tracks = append(rows, b.rows...), append(tracks, b.tracks...)
	b.bound()
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
