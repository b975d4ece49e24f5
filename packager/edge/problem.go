package edge

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
)

// problem is one way to fail, as api.md section 2 words it.
type problem struct {
	status        int
	code          string
	title, detail string
	cache         string
	retryAfter    int // seconds; 0: not said
}

const (
	noStore   = "no-store"
	forSecond = "public, max-age=1"
)

var (
	notFound         = problem{http.StatusNotFound, "not_found", "Not found", "There is nothing at this address.", forSecond, 0}
	methodNotAllowed = problem{http.StatusMethodNotAllowed, "method_not_allowed", "Method not allowed", "Media can only be read.", noStore, 0}
	originGone       = problem{http.StatusBadGateway, "origin_unavailable", "Origin unavailable", "The server behind this one cannot be reached at the moment.", noStore, 1}
	originSlow       = problem{http.StatusGatewayTimeout, "origin_unavailable", "Origin unavailable", "The server behind this one does not answer in time.", noStore, 1}
	overloaded       = problem{http.StatusServiceUnavailable, "overloaded", "Too many are waiting", "The server holds as many requests as it can.", noStore, 1}
	stopping         = problem{http.StatusServiceUnavailable, "unavailable", "Stopping", "The server is stopping.", noStore, 1}
	loopDetected     = problem{http.StatusLoopDetected, "loop_detected", "Loop", "The request came back to the server that had passed it on.", noStore, 0}
)

// problemBody is RFC 9457's.
type problemBody struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	Instance  string `json:"instance"`
	RequestID string `json:"request_id"`
}

// refuse answers with a problem.
func refuse(w http.ResponseWriter, r *http.Request, p problem) {
	id := r.Header.Get("X-Request-Id")
	if !named(id, maxName, "._-") {
		var b [12]byte
		_, _ = rand.Read(b[:]) // never fails
		id = hex.EncodeToString(b[:])
	}
	// It is made of strings and numbers, which always have a JSON form.
	body, _ := json.Marshal(problemBody{
		Type: "urn:mediad:problem:" + p.code, Title: p.title, Status: p.status, Code: p.code, Detail: p.detail, Instance: r.URL.EscapedPath(), RequestID: id,
	})
	header := w.Header()
	if p.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	header.Set("X-Request-Id", id)
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", p.cache)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	openToAll(header)
	w.WriteHeader(p.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the viewer has gone: nobody is left to tell
	}
}

// openToAll lets any page see the answer, as the origin does for media.
func openToAll(header http.Header) {
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Access-Control-Expose-Headers", "Age, Date, ETag, Content-Length, Content-Range, Retry-After, X-Request-Id")
	header.Set("Timing-Allow-Origin", "*")
	header.Set("X-Content-Type-Options", "nosniff")
}

// preflight answers the question of a browser whether a page may ask.
func preflight(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
	header.Set("Access-Control-Allow-Headers", "*")
	header.Set("Access-Control-Max-Age", "86400")
	header.Set("Allow", "GET, HEAD, OPTIONS")
	openToAll(header)
	w.WriteHeader(http.StatusNoContent)
}
