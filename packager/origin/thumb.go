package origin

import (
	"net/http"
	"strconv"
)

// thumbFile is the name of a stream's newest picture.
const thumbFile = "thumb.jpg"

// thumbAge is how long it may be kept, in seconds: it is replaced each few.
const thumbAge = 2

// thumb answers the newest picture of a stream that has one.
func (a *answer) thumb() {
	h := a.h
	if h.thumbs == nil {
		a.problem(notFound, h.fixed.forSecond)
		return
	}
	jpeg, etag, ok := h.thumbs.Thumb(a.route.stream)
	if !ok {
		a.problem(notFound, h.fixed.forSecond)
		return
	}
	header := a.w.Header()
	header["Cache-Control"] = a.cached(h.fixed.seconds(thumbAge))
	header["Etag"] = []string{etag}
	if a.unchanged(etag) {
		return
	}
	header["Content-Type"] = h.fixed.jpeg
	header["Content-Length"] = []string{strconv.Itoa(len(jpeg))}
	a.bytes(http.StatusOK, jpeg)
}
