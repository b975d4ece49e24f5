package playlist

import (
	"bytes"
	"compress/gzip"
	"strconv"
	"sync"
	"time"
)

// appendSeconds appends a whole number of microseconds as seconds with six decimals.
func appendSeconds(b []byte, micros int64) []byte {
	b = strconv.AppendInt(b, micros/1e6, 10)
	b = append(b, '.')
	for f, div := micros%1e6, int64(1e5); div > 0; div /= 10 {
		b = append(b, byte('0'+f/div%10))
	}
	return b
}

// floorMicros is how EXTINF is rounded: down, so that a segment shorter than TARGETDURATION + 0.5 s stays so in print.
func floorMicros(d time.Duration) int64 { return int64(d / time.Microsecond) }

// ceilMicros is how PART-TARGET is rounded: up. Parts are printed as differences of rounded sums, which exceed their own
// length by less than a microsecond, and so never this.
func ceilMicros(d time.Duration) int64 {
	return int64((d + time.Microsecond - 1) / time.Microsecond)
}

// appendDate appends an RFC 3339 date in UTC with milliseconds.
func appendDate(b []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
}

// etagOf is a quoted strong entity tag of the bytes: 64-bit FNV-1a, in hex. It tells versions of one URL apart, nothing
// rests on it being hard to forge.
func etagOf(p []byte, suffix string) string {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, c := range p {
		h = (h ^ uint64(c)) * prime
	}
	b := make([]byte, 0, 24)
	b = append(b, '"')
	b = strconv.AppendUint(b, h, 16)
	b = append(b, suffix...)
	return string(append(b, '"'))
}

// gzipWriters are shared by all windows: one is more than half a megabyte of tables, and is in use for a tenth of
// a millisecond. A writer has no state between uses.
var gzipWriters = sync.Pool{New: func() any {
	// The level is known to be valid, so there is no error to see. Higher levels save 5 % and cost three times as much.
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	return w
}}

func compress(p []byte) []byte {
	w := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(w)
	var b bytes.Buffer
	b.Grow(len(p)/4 + 64)
	w.Reset(&b)
	// Writing to a buffer cannot fail.
	_, _ = w.Write(p)
	_ = w.Close()
	return b.Bytes()
}

// NewDocument makes a document of a rendered playlist.
func NewDocument(plain []byte) Document {
	return Document{Plain: plain, Gzip: compress(plain), ETag: etagOf(plain, "")}
}
