package edge

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// answer gives out what q asks for, from memory, disk or the origin.
func (h *Handler) answer(w *sending, r *http.Request, q request) Result {
	if o := h.memory.get(q.key, h.now()); o != nil {
		h.send(w, r, q, o, Hit)
		return Hit
	}
	if h.fromDisk(w, r, q) {
		return Hit
	}
	f, o, began, err := h.join(q, viewer{h.clientIP(r), h.via(r.Header["Via"])})
	result := Collapsed
	switch {
	case began:
		result = Miss
	case o != nil:
		h.send(w, r, q, o, Hit)
		return Hit
	case err != nil:
		h.fail(w, r, err)
		return Own
	}
	if o, err = h.wait(r.Context(), f, h.limits.flightTime(q)); err != nil {
		h.fail(w, r, err)
		return result
	}
	if o.private {
		h.pass(w, r)
		return Through
	}
	h.send(w, r, q, o, result)
	return result
}

// wait waits for a flight no longer than a viewer may, wherever the flight stood when he came.
func (h *Handler) wait(ctx context.Context, f *flight, longest time.Duration) (*object, error) {
	if h.waiting.Add(1) > int64(h.limits.Waiting) {
		h.waiting.Add(-1)
		return nil, errBusy
	}
	h.observer.Waiting(1)
	defer func() {
		h.waiting.Add(-1)
		h.observer.Waiting(-1)
	}()
	late := time.NewTimer(longest)
	defer late.Stop()
	select {
	case <-f.done:
		return f.object, f.err
	case <-late.C:
		return nil, errNoAnswer
	case <-ctx.Done():
		return nil, errStopping // or the viewer left, and nobody reads it
	}
}

// fromDisk answers from disk and tells whether it did.
func (h *Handler) fromDisk(w *sending, r *http.Request, q request) bool {
	if q.kind == Playlist {
		return false
	}
	f := h.disk.open(q.key)
	if f == nil {
		return false
	}
	defer func() { _ = f.f.Close() }() // it was only read
	if !f.head.fresh(h.now()) {
		return false
	}
	h.media(w, r, f.head, &diskBody{File: f.f, size: f.size}, f.size, Hit)
	return true
}

// fail answers where there is nothing to give out.
func (h *Handler) fail(w *sending, r *http.Request, err error) {
	p := originGone
	switch {
	case errors.Is(err, errStopping), errors.Is(err, context.Canceled):
		p = stopping
	case errors.Is(err, errBusy):
		p = overloaded
	case timedOut(err):
		p = originSlow
	}
	w.within(0)
	refuse(w, r, p)
}

// send gives an object out.
func (h *Handler) send(w *sending, r *http.Request, q request, o *object, result Result) {
	if q.kind != Playlist && o.status == http.StatusOK {
		h.media(w, r, o, memoryBody(o.body), int64(len(o.body)), result)
		return
	}
	header := w.Header()
	h.head(header, o, result)
	body := o.body
	if etag := header.Get("Etag"); o.zipped != nil {
		if acceptsGzip(r.Header) {
			body = o.zipped
			header.Set("Content-Encoding", "gzip")
		} else if plain, ok := strings.CutSuffix(etag, zippedTag); ok {
			header["Etag"] = []string{plain + `"`}
		} else {
			delete(header, "Etag") // it is that of the other form
		}
	}
	w.within(int64(len(body)))
	if etag := header.Get("Etag"); etag != "" && o.status == http.StatusOK && matches(r.Header["If-None-Match"], etag) {
		delete(header, "Content-Encoding")
		delete(header, "Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if o.status != http.StatusNoContent {
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(o.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the viewer has gone: nobody is left to tell
	}
}

// zippedTag is how mediad's entity tags of compressed answers end; without it they are those of the plain ones.
const zippedTag = `-gz"`

// media gives out what was not compressed, whole or in part: Range, If-Range, If-None-Match and HEAD are net/http's business.
func (h *Handler) media(w *sending, r *http.Request, o *object, body sized, size int64, result Result) {
	h.head(w.Header(), o, result)
	w.within(size)
	http.ServeContent(w, r, "", time.Time{}, body)
}

// head sets what an object and its age say.
func (h *Handler) head(header http.Header, o *object, result Result) {
	for name, values := range o.header {
		header[name] = values
	}
	header["Age"] = []string{o.age(h.now())}
	header["X-Cache"] = []string{strings.ToUpper(result.String())}
}

// acceptsGzip tells whether Accept-Encoding names gzip, or anything, and does not refuse it.
func acceptsGzip(header http.Header) bool {
	for _, line := range header["Accept-Encoding"] {
		for one := range strings.SplitSeq(line, ",") {
			name, weight, _ := strings.Cut(one, ";")
			if name = strings.TrimSpace(name); strings.EqualFold(name, "gzip") || name == "*" {
				q, given := strings.CutPrefix(strings.ToLower(strings.TrimSpace(weight)), "q=")
				return !given || strings.Trim(q, "0.") != ""
			}
		}
	}
	return false
}

// matches tells whether an If-None-Match header names the tag (RFC 9110, 13.1.2: weak comparison).
func matches(asked []string, etag string) bool {
	etag = strings.TrimPrefix(etag, "W/")
	for _, line := range asked {
		for one := range strings.SplitSeq(line, ",") { // mediad's tags have no comma inside
			if one = strings.TrimPrefix(strings.TrimSpace(one), "W/"); one == etag || one == "*" {
				return true
			}
		}
	}
	return false
}
