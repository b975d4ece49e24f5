package origin

import (
	"net/http"
	"strconv"
	"strings"
)

// fixedHeaders are header values made once: a header map takes slices, and one a header and request would be most of
// what a request allocates. Nobody writes to them.
type fixedHeaders struct {
	any, expose, nosniff                 []string
	playlist, video, audio, problem      []string
	jpeg, vtt                            []string
	gzip, varyEncoding, acceptRanges     []string
	allow, methods, allHeaders, longTime []string

	noStore, forSecond, immutable, private []string
	// maxAge has the values for 0 to 99 seconds: target durations are small.
	maxAge [100][]string
}

func newFixedHeaders() fixedHeaders {
	f := fixedHeaders{
		any: []string{"*"},
		// What players read of an answer: hls.js tunes in from Age and Date.
		expose:       []string{"Age, Date, ETag, Content-Length, Content-Range, Retry-After, X-Request-Id"},
		nosniff:      []string{"nosniff"},
		playlist:     []string{"application/vnd.apple.mpegurl"},
		video:        []string{"video/mp4"},
		audio:        []string{"audio/mp4"},
		jpeg:         []string{"image/jpeg"},
		vtt:          []string{"text/vtt; charset=utf-8"},
		problem:      []string{"application/problem+json"},
		gzip:         []string{"gzip"},
		varyEncoding: []string{"Accept-Encoding"},
		acceptRanges: []string{"bytes"},
		allow:        []string{"GET, HEAD, OPTIONS"},
		methods:      []string{"GET, HEAD, OPTIONS"},
		allHeaders:   []string{"*"},
		longTime:     []string{"86400"},
		noStore:      []string{"no-store"},
		immutable:    []string{"public, max-age=31536000, immutable"},
		private:      []string{"private, no-cache"},
	}
	for s := range f.maxAge {
		f.maxAge[s] = []string{"public, max-age=" + strconv.Itoa(s)}
	}
	f.forSecond = f.maxAge[1]
	return f
}

// seconds is the Cache-Control of an answer that may be kept for n seconds, at least one.
func (f *fixedHeaders) seconds(n int) []string {
	return f.maxAge[min(max(n, 1), len(f.maxAge)-1)]
}

// openToAll sets what every answer has: any page may play the stream and see how long that took. It is called when the answer is
// there, so that waiting for it weighs less.
func (h *Handler) openToAll(header http.Header) {
	header["Access-Control-Allow-Origin"] = h.fixed.any
	header["Access-Control-Expose-Headers"] = h.fixed.expose
	header["Timing-Allow-Origin"] = h.fixed.any
	header["X-Content-Type-Options"] = h.fixed.nosniff
}

// preflight answers the question of a browser whether a page may ask.
func (a *answer) preflight() {
	header, f := a.w.Header(), &a.h.fixed
	header["Access-Control-Allow-Methods"] = f.methods
	header["Access-Control-Allow-Headers"] = f.allHeaders
	header["Access-Control-Max-Age"] = f.longTime
	header["Allow"] = f.allow
	a.h.openToAll(header)
	a.w.WriteHeader(http.StatusNoContent)
	a.served(http.StatusNoContent, 0)
}

// acceptsGzip tells whether Accept-Encoding names gzip, or anything, and does not refuse it.
func acceptsGzip(header http.Header) bool {
	for _, line := range header["Accept-Encoding"] {
		for line != "" {
			var one string
			one, line, _ = strings.Cut(line, ",")
			name, weight, _ := strings.Cut(one, ";")
			name = strings.TrimSpace(name)
			if strings.EqualFold(name, "gzip") || name == "*" {
				return !refused(weight)
			}
		}
	}
	return false
}

// refused tells whether a weight such as "q=0.0" is nought.
func refused(weight string) bool {
	q, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(weight)), "q=")
	return ok && q != "" && strings.Trim(q, "0.") == ""
}

// gzipETag is the tag of the compressed form of what etag belongs to.
func gzipETag(etag string) string {
	return strings.TrimSuffix(etag, `"`) + `-gz"`
}

// matches tells whether an If-None-Match header names the tag (RFC 9110, 13.1.2: weak comparison).
func matches(header []string, etag string) bool {
	for _, line := range header {
		for line != "" {
			var one string
			one, line, _ = strings.Cut(line, ",") // our tags have no comma inside
			one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
			if one == etag || one == "*" {
				return true
			}
		}
	}
	return false
}
