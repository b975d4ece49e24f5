package packager

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"mediad/store/blob"
)

// logFile is one file of a rendition: segments one after another.
type logFile struct {
	n      int
	key    string
	refs   int // segments in it that may still be fetched; touched by the session's goroutine only
	begun  int // segments that were begun in it, without one that did not go on
	closed bool
}

func logKey(stream, session, rendition string, n int) string {
	return fmt.Sprintf("live/%s/%s/%s-%d.m4s", stream, session, rendition, n)
}

// partLog writes a rendition's segments to files. When the disk refuses, segments stay in memory until it takes them
// again. It belongs to the session's goroutine.
type partLog struct {
	store    blob.Appender
	prefix   func(n int) string
	log      *slog.Logger
	next     int // number of the next file
	cur      *logFile
	out      blob.AppendFile
	since    time.Duration // media time at which cur began
	failed   bool
	failedAt time.Time
	fallback func(on bool)
	trash    func(key string)
	drop     func(key string) // of a file that never had a segment: no row names it, so nobody else would delete it
}

// begin prepares for a segment that starts at the given media time. It returns the file and the offset there, or nil
// if the segment must stay in memory.
func (l *partLog) begin(ctx context.Context, now time.Time, start time.Duration) (*logFile, int64) {
	if l.failed && now.Sub(l.failedAt) < retryDisk {
		return nil, 0
	}
	if l.cur != nil && start-l.since >= fileSpan {
		l.close()
	}
	if l.cur == nil {
		f := &logFile{n: l.next, key: l.prefix(l.next)}
		l.next++
		out, err := l.store.Append(ctx, f.key, 0)
		if err != nil {
			l.fail(now, err)
			return nil, 0
		}
		l.cur, l.out, l.since = f, out, start
	}
	l.cur.refs++
	l.cur.begun++
	return l.cur, l.out.Size()
}

// write appends to the segment begun last.
func (l *partLog) write(now time.Time, b []byte) error {
	if _, err := l.out.Write(b); err != nil {
		l.cur.refs--
		l.cur.begun--
		l.close()
		l.fail(now, err)
		return err
	}
	if l.failed {
		l.failed = false
		l.log.Info("segments are written to disk again")
		l.fallback(false)
	}
	return nil
}

func (l *partLog) fail(now time.Time, err error) {
	l.failedAt = now
	if !l.failed {
		l.failed = true
		l.log.Error("segments stay in memory: cannot write them", slog.Any("error", err))
		l.fallback(true)
	}
}

// close ends the current file.
func (l *partLog) close() {
	if l.cur == nil {
		return
	}
	if err := l.out.Close(); err != nil {
		l.log.Warn("close part log", slog.String("object", l.cur.key), slog.Any("error", err))
	}
	f := l.cur
	f.closed = true
	l.cur, l.out = nil, nil
	switch {
	case f.begun == 0:
		l.drop(f.key)
	case f.refs == 0:
		l.trash(f.key)
	}
}

// release lets go of a segment; the file goes with its last one.
func (l *partLog) release(f *logFile) {
	if f == nil {
		return
	}
	f.refs--
	if f.refs == 0 && f.closed {
		l.trash(f.key)
	}
}
