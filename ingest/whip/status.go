package whip

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"mediad/internal/rtc"
	"mediad/live"
)

// problem is what a publisher is told instead of an answer (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Code   string `json:"code"`

	headers map[string]string
}

// errStale is a PATCH for an ICE session that is over.
var errStale = errors.New("whip: entity tag of another ICE session")

// codecError is an offer without a codec that we carry. What was offered is for the log.
type codecError struct {
	video   bool
	vp8     bool // it would have been taken
	offered []string
}

func (e *codecError) Error() string {
	return fmt.Sprintf("whip: no codec that is carried among %.200q", strings.Join(e.offered, " "))
}

func (e *codecError) advice() string {
	switch {
	case e.video && e.vp8:
		return "Offer H.264, AV1, VP9 or VP8 video."
	case e.video:
		return "Offer H.264, AV1 or VP9 video. VP8 is taken only where the server encodes qualities itself (transcode.ladder): no HLS player knows it."
	}
	return "Offer Opus audio."
}

// retryAfter is when one may come back whom we had no room for, in seconds.
const retryAfter = 5

func newProblem(status int, code, detail string) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// problemOf is what a peer is told of err. Detail never has anything in it that came from outside.
func problemOf(err error) *problem {
	var codec *codecError
	switch {
	case errors.As(err, &codec):
		return newProblem(http.StatusUnprocessableEntity, string(live.ReasonCodecUnsupported), codec.advice())
	case errors.Is(err, rtc.ErrOffer):
		return newProblem(http.StatusUnprocessableEntity, "sdp_invalid", "The SDP is not one that this server can answer.")
	case errors.Is(err, errStale):
		return newProblem(http.StatusPreconditionFailed, "etag_stale", "If-Match names an ICE session that is over.")
	}
	r := live.ReasonOf(err)
	p := newProblem(statusOf(r), string(r), r.Text())
	switch p.Status {
	case http.StatusUnauthorized:
		// All that is wrong with a key sounds alike, so that nobody learns by trying which keys exist.
		p.Code, p.Detail = string(live.ReasonStreamKeyInvalid), live.ReasonStreamKeyInvalid.Text()
		p.headers = map[string]string{"WWW-Authenticate": `Bearer realm="whip"`}
	case http.StatusServiceUnavailable:
		p.headers = map[string]string{"Retry-After": strconv.Itoa(retryAfter)}
	}
	return p
}

// statusOf is the status for a publisher that is not let in for r.
func statusOf(r live.Reason) int {
	switch r {
	case live.ReasonStreamKeyInvalid, live.ReasonStreamDisabled, live.ReasonKeyRevoked:
		return http.StatusUnauthorized
	case live.ReasonTwoPublishers, live.ReasonReplaced, live.ReasonPublisherStopped, live.ReasonEndedByOwner,
		live.ReasonEndedByAdmin:
		return http.StatusConflict
	case live.ReasonPolicyLimit:
		return http.StatusForbidden
	case live.ReasonNotLive:
		return http.StatusNotFound
	case live.ReasonCodecUnsupported, live.ReasonMediaInvalid, live.ReasonProtocolError:
		return http.StatusUnprocessableEntity
	case live.ReasonFrameTooLarge, live.ReasonBitrateTooHigh:
		return http.StatusRequestEntityTooLarge
	case live.ReasonReadTimeout, live.ReasonConnectionLost, live.ReasonNoMedia:
		return http.StatusRequestTimeout
	case live.ReasonShuttingDown, live.ReasonServerShutdown, live.ReasonOverloaded, live.ReasonAuthUnavailable,
		live.ReasonResumeTimeout, live.ReasonTooSlow:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// write answers with p.
func (p *problem) write(w http.ResponseWriter) {
	h := w.Header()
	for name, value := range p.headers {
		h.Set(name, value)
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the peer has gone
}
