package rtc

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
)

// ErrStale is a PATCH for an ICE session that is over.
var ErrStale = errors.New("rtc: entity tag of another ICE session")

// Problem is what a peer is told instead of an answer (RFC 9457).
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Code   string `json:"code"`

	// RetryAfter is when to come again, in seconds; 0: nothing is said of that.
	RetryAfter int `json:"-"`
}

// NewProblem makes a problem of a status, a code for programs and a sentence for people.
func NewProblem(status int, code, detail string) *Problem {
	return &Problem{Type: "urn:mediad:problem:" + code, Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// ProblemOf is what is told of an error of this package; nil of any other.
func ProblemOf(err error) *Problem {
	switch {
	case errors.Is(err, ErrOffer):
		return NewProblem(http.StatusUnprocessableEntity, "sdp_invalid", "The SDP is not one that this server can answer.")
	case errors.Is(err, ErrStale):
		return NewProblem(http.StatusPreconditionFailed, "etag_stale", "If-Match names an ICE session that is over.")
	default:
		return nil
	}
}

// write answers with p; realm is of whom a right was asked.
func (p *Problem) write(w http.ResponseWriter, realm string) {
	h := w.Header()
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="`+realm+`"`)
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the peer has gone
}
