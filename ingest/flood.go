package ingest

import (
	"log/slog"
	"time"
)

// floodEvery is how often a Flood writes at most.
const floodEvery = time.Second

// Flood turns a flood of events into at most one log line a second, with a count by kind. It is used from one goroutine.
type Flood struct {
	log     *slog.Logger
	now     func() time.Time
	message string

	counts []floodCount // by kind, in order of appearance; kept at 0 between lines
	total  int
	last   time.Time
}

type floodCount struct {
	kind string
	n    int
}

// NewFlood returns a Flood that logs message at warn level.
func NewFlood(log *slog.Logger, now func() time.Time, message string) *Flood {
	return &Flood{log: log, now: now, message: message}
}

// Add counts an event. The first of a quiet second is logged at once, those that follow with the first event after
// that second or by Flush. Kinds are few and fixed: they are never forgotten.
func (f *Flood) Add(kind string) {
	found := false
	for i := range f.counts {
		if f.counts[i].kind == kind {
			f.counts[i].n++
			found = true
			break
		}
	}
	if !found {
		f.counts = append(f.counts, floodCount{kind, 1})
	}
	f.total++
	if now := f.now(); f.last.IsZero() || now.Sub(f.last) >= floodEvery {
		f.last = now
		f.Flush()
	}
}

// Flush logs what was counted since the last line, if anything.
func (f *Flood) Flush() {
	if f.total == 0 {
		return
	}
	attrs := make([]any, 0, len(f.counts))
	for i := range f.counts {
		if c := &f.counts[i]; c.n > 0 {
			attrs = append(attrs, slog.Int(c.kind, c.n))
			c.n = 0
		}
	}
	f.total = 0
	f.log.Warn(f.message, attrs...)
}
