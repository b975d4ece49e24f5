package origin

import (
	"math"
	"net/http"
	"strconv"
	"strings"
)

type rangeKind uint8

const (
	rangeNone    rangeKind = iota // nothing that we serve in part: the whole is the answer
	rangeOne                      // one range inside
	rangeOutside                  // one range that holds nothing
)

// parseRange reads a Range header (RFC 9110, 14.1.2) against a size. Several ranges, other units and what is malformed get the
// whole, as the standard allows.
func parseRange(s string, size int64) (from, length int64, kind rangeKind) {
	s, ok := strings.CutPrefix(s, "bytes=")
	if !ok {
		return 0, 0, rangeNone
	}
	first, last, ok := strings.Cut(strings.TrimSpace(s), "-")
	if !ok {
		return 0, 0, rangeNone
	}
	if first == "" { // the last so many bytes
		n, ok := digits(last)
		switch {
		case !ok:
			return 0, 0, rangeNone
		case n == 0 || size == 0:
			return 0, 0, rangeOutside
		}
		n = min(n, size)
		return size - n, n, rangeOne
	}
	from, ok = digits(first)
	if !ok {
		return 0, 0, rangeNone
	}
	end := int64(math.MaxInt64)
	if last != "" {
		if end, ok = digits(last); !ok || end < from {
			return 0, 0, rangeNone
		}
	}
	if from >= size {
		return 0, 0, rangeOutside
	}
	return from, min(end, size-1) - from + 1, rangeOne
}

func digits(s string) (int64, bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

func contentRange(from, length, size int64) string {
	b := make([]byte, 0, 64)
	b = append(b, "bytes "...)
	b = strconv.AppendInt(b, from, 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, from+length-1, 10)
	b = append(b, '/')
	return string(strconv.AppendInt(b, size, 10))
}

// ifRange tells whether a Range header holds: without If-Range, or where that is this tag. A date never is, as we send none.
func ifRange(header http.Header, etag string) bool {
	asked, ok := header["If-Range"]
	return !ok || len(asked) == 1 && asked[0] == etag
}
