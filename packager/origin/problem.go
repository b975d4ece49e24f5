package origin

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
)

// problemKind is one way to fail, as api.md section 2 words it.
type problemKind struct {
	status     int
	code       string
	title      string
	detail     string
	retryAfter int // seconds; 0: not said
}

var (
	notFound           = problemKind{http.StatusNotFound, "not_found", "Not found", "There is nothing at this address.", 0}
	notLive            = problemKind{http.StatusNotFound, "not_found", "Not on air", "The stream is not on air.", 0}
	methodNotAllowed   = problemKind{http.StatusMethodNotAllowed, "method_not_allowed", "Method not allowed", "Media can only be read.", 0}
	invalidDirective   = problemKind{http.StatusBadRequest, "invalid_parameter", "Invalid delivery directive", "", 0}
	tokenInvalid       = problemKind{http.StatusForbidden, "playback_token_invalid", "Playback token not valid", "The playback token is not one for this. The API's playback has one for who may watch.", 0}
	tokenExpired       = problemKind{http.StatusForbidden, "playback_token_expired", "Playback token expired", "The playback token is good no more. The API's playback has another for who may watch.", 0}
	undecided          = problemKind{http.StatusServiceUnavailable, "unavailable", "Not known at the moment", "Who may watch cannot be told at the moment.", 1}
	rangeUnsatisfiable = problemKind{http.StatusRequestedRangeNotSatisfiable, "range_not_satisfiable", "Range not satisfiable", "The media is shorter than that.", 0}
	notOneFile         = problemKind{http.StatusConflict, "invalid_state", "Cannot be one file", "", 0}
	rateLimited        = problemKind{http.StatusTooManyRequests, "rate_limited", "Too many requests", "This part was asked for again and again.", 1}
	storageUnavailable = problemKind{http.StatusBadGateway, "storage_unavailable", "Storage unavailable", "The media cannot be read at the moment.", 0}
	heldTooLong        = problemKind{http.StatusServiceUnavailable, "unavailable", "Nothing new yet", "The media did not come in time.", 1}
	overloaded         = problemKind{http.StatusServiceUnavailable, "overloaded", "Too many are waiting", "The server holds as many requests as it can.", 1}
)

// problemBody is RFC 9457's.
type problemBody struct {
	Type         string `json:"type"`
	Title        string `json:"title"`
	Status       int    `json:"status"`
	Code         string `json:"code"`
	Detail       string `json:"detail"`
	Instance     string `json:"instance"`
	RequestID    string `json:"request_id"`
	RetryAfterMS int    `json:"retry_after_ms,omitempty"`
}

func (a *answer) problem(k problemKind, cache []string) { a.problemBecause(k, k.detail, cache) }

func (a *answer) problemBecause(k problemKind, detail string, cache []string) {
	header := a.w.Header()
	id := a.requestID()
	body := problemBody{
		Type: "urn:mediad:problem:" + k.code, Title: k.title, Status: k.status, Code: k.code, Detail: detail,
		Instance: a.instance(), RequestID: id,
	}
	if k.retryAfter > 0 {
		header["Retry-After"] = []string{strconv.Itoa(k.retryAfter)}
	}
	if k.status == http.StatusTooManyRequests {
		body.RetryAfterMS = k.retryAfter * 1000
	}
	// It is made of strings and numbers, which always have a JSON form.
	b, _ := json.Marshal(body)
	header["X-Request-Id"] = []string{id}
	header["Content-Type"] = a.h.fixed.problem
	header["Cache-Control"] = a.cached(cache)
	header["Content-Length"] = []string{strconv.Itoa(len(b))}
	a.bytes(k.status, b)
}

// requestID is the one that a handler in front gave, or the client's, or a new one.
func (a *answer) requestID() string {
	for _, id := range [...]string{a.w.Header().Get("X-Request-Id"), a.r.Header.Get("X-Request-Id")} {
		if validName(id) {
			return id
		}
	}
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
