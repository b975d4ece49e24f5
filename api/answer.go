package api

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// cachePublic is for anonymous reads of public data.
const cachePublic = "public, max-age=5, stale-while-revalidate=30"

// cachePrivate is for reads of who is signed in.
const cachePrivate = "private, no-cache"

// answer is an http.ResponseWriter that holds an answer until it is whole. Bodies here are some 100 KB at most.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newAnswer() *answer { return &answer{header: http.Header{}} }

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// take answers with a body that others may be answered with as well.
func (a *answer) take(status int, body []byte) {
	a.WriteHeader(status)
	a.body = *bytes.NewBuffer(slices.Clip(body))
}

// become makes another answer, which has headers already, this one.
func (a *answer) become(other *answer) {
	maps.Copy(other.header, a.header)
	other.take(cmp.Or(a.status, http.StatusOK), a.body.Bytes())
}

// reset forgets what was answered so far, but for the headers that every answer has.
func (a *answer) reset() {
	a.status = 0
	a.body.Reset()
	for _, name := range []string{"Etag", "Cache-Control", "Content-Type", "Content-Length", "Location"} {
		a.header.Del(name)
	}
}

// send completes the headers and sends the answer.
func (a *answer) send(w http.ResponseWriter, r *http.Request, note *routeNote) int {
	a.WriteHeader(http.StatusOK)
	h := a.header
	if h.Get("Content-Type") == "application/json" {
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	if a.status == http.StatusMethodNotAllowed {
		allowHead(h)
	}
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case a.status >= http.StatusBadRequest || note.noStore || !read:
		h.Set("Cache-Control", "no-store")
	case h.Get("Cache-Control") != "" || a.status != http.StatusOK:
	case note.signedIn:
		h.Set("Cache-Control", cachePrivate)
	default:
		h.Set("Cache-Control", cachePublic)
	}
	if version := h.Get("Etag"); strings.HasPrefix(version, `"v`) && a.status < http.StatusBadRequest {
		// The row's version, which If-Match names, and the bytes themselves, of which more than the row may have changed.
		h.Set("Etag", strings.TrimSuffix(version, `"`)+"-"+strings.TrimPrefix(entityTag(a.body.Bytes()), `"`))
	}
	if a.status == http.StatusOK && read {
		etag := h.Get("Etag")
		if etag == "" && !note.noStore {
			etag = entityTag(a.body.Bytes())
			h.Set("Etag", etag)
		}
		if etag != "" && matches(r.Header.Values("If-None-Match"), etag) {
			a.status = http.StatusNotModified
			h.Del("Content-Type")
			a.body.Reset()
		}
	}
	if a.status != http.StatusNotModified && a.status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(a.body.Len()))
	}
	for name, values := range h {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		// A write fails when the caller has gone; there is nobody to tell.
		_, _ = w.Write(a.body.Bytes())
	}
	return a.status
}

// entityTag names the bytes themselves, so it is strong on every node.
func entityTag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

// matches compares weakly, as RFC 9110 asks for If-None-Match.
func matches(headers []string, etag string) bool {
	for _, header := range headers {
		for candidate := range strings.SplitSeq(header, ",") {
			candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
			if candidate == etag || candidate == "*" {
				return true
			}
		}
	}
	return false
}

// allowHead adds what the edge makes of each GET.
func allowHead(h http.Header) {
	if allow := h.Get("Allow"); strings.Contains(allow, http.MethodGet) && !strings.Contains(allow, http.MethodHead) {
		h.Set("Allow", allow+", "+http.MethodHead)
	}
}
