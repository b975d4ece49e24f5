package rtc

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// ErrStale is a PATCH for an ICE session that is over.
var ErrStale = errors.New("rtc: entity tag of another ICE session")

// Problem is what a peer is told instead of an answer (RFC 9457). Codes are those of the API where it has one for the same.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`

	// Instance and RequestID are filled in when it is written.
	Instance  string `json:"instance"`
	RequestID string `json:"request_id"`

	// MaxBytes is how long a body may be that was too long; 0: it was not that.
	MaxBytes int `json:"max_bytes,omitempty"`
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
		return NewProblem(http.StatusPreconditionFailed, "version_mismatch", "If-Match names an ICE session that is over.")
	default:
		return nil
	}
}

// write answers r with p; realm is of whom a right was asked.
func (p *Problem) write(w http.ResponseWriter, r *http.Request, realm string) {
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
	body := *p
	body.Instance, body.RequestID = instance(r.URL.EscapedPath()), h.Get(requestIDHeader)
	_ = json.NewEncoder(w).Encode(body) // the peer has gone
}

const requestIDHeader = "X-Request-Id"

var requestIDRule = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// requestID is the one that a handler in front gave, or the peer's, or a new one.
func requestID(w http.ResponseWriter, r *http.Request) string {
	for _, id := range []string{w.Header().Get(requestIDHeader), r.Header.Get(requestIDHeader)} {
		if requestIDRule.MatchString(id) {
			return id
		}
	}
	return strings.ToLower(rand.Text())
}

// instance is a path as problems have it: of a stream key, which does not belong there, nothing but its end comes back.
func instance(path string) string {
	i := strings.LastIndexByte(path, '/') + 1
	if name := path[i:]; strings.HasPrefix(name, "mds_") {
		return path[:i] + "***" + name[len(name)-4:]
	}
	return path
}
