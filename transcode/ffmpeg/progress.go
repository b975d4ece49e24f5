package ffmpeg

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Progress is what FFmpeg tells of itself twice a second.
type Progress struct {
	At      time.Time // when it was told; zero: never
	Frames  int64     // of the first output
	OutTime time.Duration
	Speed   float64 // media time a wall-clock second; below 1 a live child falls behind
	// Dropped and Repeated count pictures that a constant rate cost or took.
	Dropped, Repeated int64
	Ended             bool
}

// progressReader reads what -progress writes: lines of key=value, of which "progress" ends a block.
type progressReader struct {
	mu sync.Mutex // guards p
	p  Progress
}

func (r *progressReader) last() Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.p
}

// read reads f to its end and closes it; nil: there is nothing to read.
func (r *progressReader) read(f *os.File) {
	if f == nil {
		return
	}
	defer f.Close()
	var p Progress
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 256), maxLine)
	for lines.Scan() {
		if p.line(lines.Text()) {
			p.At = time.Now()
			r.mu.Lock()
			r.p = p
			r.mu.Unlock()
		}
	}
	_, _ = io.Copy(io.Discard, f) // a line beyond all bounds: no progress from here on
}

// line takes one line and reports whether it ended a block. Values that are not numbers ("N/A") leave what was there.
func (p *Progress) line(s string) (block bool) {
	key, value, ok := strings.Cut(s, "=")
	if !ok {
		return false
	}
	value = strings.TrimSpace(value)
	number := func(n *int64) {
		if v, err := strconv.ParseInt(value, 10, 64); err == nil {
			*n = v
		}
	}
	switch strings.TrimSpace(key) {
	case "frame":
		number(&p.Frames)
	case "drop_frames":
		number(&p.Dropped)
	case "dup_frames":
		number(&p.Repeated)
	case "out_time_us":
		us := int64(p.OutTime / time.Microsecond)
		number(&us)
		p.OutTime = time.Duration(us) * time.Microsecond
	case "speed":
		if v, err := strconv.ParseFloat(strings.TrimSuffix(value, "x"), 64); err == nil {
			p.Speed = v
		}
	case "progress":
		p.Ended = value == "end"
		return true
	}
	return false
}
