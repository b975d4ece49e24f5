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

// appendDuration appends a length of media as seconds with nine decimals.
func appendDuration(b []byte, d time.Duration) []byte {
	b = strconv.AppendInt(b, int64(d/time.Second), 10)
	b = append(b, '.')
	nanos := int(d % time.Second)
	return appendDigits(appendDigits(b, nanos/1e3, 6), nanos%1e3, 3)
}

// stretched is a length of media as it is printed: a ten-millionth longer than it is.
//
// Shaka Player, up to 5.2.12 at least, reckons for each part where its samples belong on the timeline: by the sum of what the
// playlist says, less the time in the samples. It resets its source buffer where that is a millisecond or more off from what
// it has set, and it sets a millisecond more than it has reckoned (shaka-player #10589). So the last bit of its sums decides,
// at each part, whether the pictures up to the next key frame are lost: most of a stream that is older than two minutes. Sums
// that run ahead of the samples stay under the millisecond, and those that fall behind, as by rounding down, are above it.
// This is 20 ns for a part, far above the last bit, and 9 ms for a day, far below what clocks of sources are off by; and the
// reset that is due after 2 ms comes once in five hours.
//
// What is shorter than TARGETDURATION + 0.5 s stays so in print.
func stretched(d time.Duration) time.Duration {
	const half = time.Second / 2
	return min(d+d/1e7, (d+half).Truncate(time.Second)+half-1)
}

// ceilMicros is how PART-TARGET is rounded: up, so that no printed part is longer.
func ceilMicros(d time.Duration) int64 {
	return int64((stretched(d) + time.Microsecond - 1) / time.Microsecond)
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
