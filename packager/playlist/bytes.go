package playlist

import (
	"bytes"
	"compress/gzip"
	"hash/crc32"
	"strconv"
	"sync"
	"time"
)

// appendSeconds appends a whole number of microseconds as seconds with six decimals.
func appendSeconds(b []byte, micros int64) []byte {
	b = strconv.AppendInt(b, micros/1e6, 10)
	b = append(b, '.')
	return appendDigits(b, int(micros%1e6), 6)
}

// floorMicros is how EXTINF is rounded: down, so that a segment shorter than TARGETDURATION + 0.5 s stays so in print.
func floorMicros(d time.Duration) int64 { return int64(d / time.Microsecond) }

// ceilMicros is how PART-TARGET is rounded: up. Parts are printed as differences of rounded sums, which exceed their own
// length by less than a microsecond, and so never this.
func ceilMicros(d time.Duration) int64 {
	return int64((d + time.Microsecond - 1) / time.Microsecond)
}

// appendDate appends an RFC 3339 date in UTC with milliseconds. A window has one a segment, so it is not left to
// time.AppendFormat, which reads its layout every time.
func appendDate(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = appendDigits(b, year, 4)
	b = appendDigits(append(b, '-'), int(month), 2)
	b = appendDigits(append(b, '-'), day, 2)
	b = appendDigits(append(b, 'T'), hour, 2)
	b = appendDigits(append(b, ':'), minute, 2)
	b = appendDigits(append(b, ':'), second, 2)
	b = appendDigits(append(b, '.'), t.Nanosecond()/1e6, 3)
	return append(b, 'Z')
}

// appendDigits appends the last n decimal digits of v, which is not negative.
func appendDigits(b []byte, v, n int) []byte {
	b = append(b, "000000"[:n]...)
	for i := len(b) - 1; n > 0; i, n = i-1, n-1 {
		b[i] = byte('0' + v%10)
		v /= 10
	}
	return b
}

// etagOf is a quoted strong entity tag of the bytes: two checksums that processors compute in hardware. It tells versions of
// one URL apart, nothing rests on it being hard to forge.
func etagOf(p []byte) string {
	b := make([]byte, 0, 24)
	b = append(b, '"')
	b = strconv.AppendUint(b, uint64(crc32.ChecksumIEEE(p))<<32|uint64(crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli))), 16)
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
	return Document{Plain: plain, Gzip: compress(plain), ETag: etagOf(plain)}
}
