package ffmpeg

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	// maxLine is where a message is cut; FFmpeg's own have about a hundred bytes.
	maxLine = 400
	// keptLines is how many of the last messages are told with the child's end.
	keptLines = 5
	// maxLogRate is how many bytes of messages a second a child may write in the long run, and maxLogBurst how many at once. A
	// source with errors in every picture makes about 20 KB a second; ten times that is a child gone wild.
	maxLogRate  = 200 << 10
	maxLogBurst = 1 << 20
	// loggedEvery is how often a message is passed on to our log; the others are counted.
	loggedEvery = time.Second
)

// logReader reads a child's standard error.
type logReader struct {
	log *slog.Logger

	mu   sync.Mutex // guards last
	last []string

	passed     time.Time // when a message was last passed on
	suppressed int       // since then
}

// read reads until the end. It returns false, and stops reading, if there is too much of it.
func (l *logReader) read(r io.Reader) bool {
	br := bufio.NewReaderSize(r, maxLine)
	began, got, inside := time.Now(), 0, false
	for {
		part, more, err := br.ReadLine()
		if err != nil {
			if l.suppressed > 0 {
				l.log.Warn("ffmpeg: more messages", "messages", l.suppressed)
			}
			return true
		}
		if got += len(part) + 1; got > maxLogBurst+int(time.Since(began).Seconds()*maxLogRate) {
			return false
		}
		if !inside { // the rest of a long line is of no use
			l.line(part)
		}
		inside = more
	}
}

// discard reads on, so that a child that is being killed does not wait for us.
func (l *logReader) discard(r io.Reader) { _, _ = io.Copy(io.Discard, r) }

func (l *logReader) line(b []byte) {
	text := strings.ToValidUTF8(string(bytes.TrimSpace(b)), "?")
	if text == "" {
		return
	}
	l.mu.Lock()
	if len(l.last) == keptLines {
		l.last = append(l.last[:0], l.last[1:]...)
	}
	l.last = append(l.last, text)
	l.mu.Unlock()
	now := time.Now()
	if now.Sub(l.passed) < loggedEvery {
		l.suppressed++
		return
	}
	l.log.Warn("ffmpeg: "+text, "suppressed", l.suppressed)
	l.passed, l.suppressed = now, 0
}

// lastWords are the newest messages.
func (l *logReader) lastWords() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.last, " | ")
}
