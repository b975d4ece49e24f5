package packager

import (
	"log/slog"
	"slices"
	"sync"
)

// maxRows bounds the rows that wait for a sink that does not take them; then the oldest go.
const maxRows = 20_000

// rowBatch gathers segment rows for the sink.
type rowBatch struct {
	sink SegmentSink
	log  *slog.Logger

	flushing sync.Mutex // one at a time
	mu       sync.Mutex // guards rows
	rows     []SegmentRow
}

func (b *rowBatch) add(r SegmentRow) {
	if b.sink == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows = append(b.rows, r)
	if n := len(b.rows) - maxRows; n > 0 {
		b.rows = slices.Delete(b.rows, 0, n)
	}
}

// flush gives the sink what is there. What it does not take comes again.
func (b *rowBatch) flush() {
	b.flushing.Lock()
	defer b.flushing.Unlock()
	b.mu.Lock()
	rows := b.rows
	b.rows = nil
	b.mu.Unlock()
	if len(rows) == 0 {
		return
	}
	if err := b.sink.AddSegments(rows); err != nil {
		b.log.Warn("segment rows wait", slog.Int("rows", len(rows)), slog.Any("error", err))
		b.mu.Lock()
		b.rows = append(rows, b.rows...)
		if n := len(b.rows) - maxRows; n > 0 {
			b.rows = slices.Delete(b.rows, 0, n)
		}
		b.mu.Unlock()
	}
}
