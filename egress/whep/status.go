package whep

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"mediad/internal/rtc"
	"mediad/live"
)

// problem is what a player is told instead of an answer (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Code   string `json:"code"`

	retryAfter int // seconds; 0: it says nothing of that
}

var (
	// errStale is a PATCH for an ICE session that is over.
	errStale = errors.New("whep: entity tag of another ICE session")
	// errNoCodec is an offer without what is sent.
	errNoCodec = errors.New("whep: neither H.264 with packetization mode 1 nor Opus is wanted")
)

const (
	// retryLive is when to ask again for a stream that is not live: its beginning is seen soon.
	retryLive = 1
	// retryFull is when to come again where there was no room.
	retryFull = 5
)

func newProblem(status int, code, detail string) *problem {
	return &problem{Type: "urn:mediad:problem:" + code, Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// problemOf is what a player is told of err. Detail never has anything in it that came from outside.
func problemOf(err error) *problem {
	switch {
	case errors.Is(err, rtc.ErrOffer):
		return newProblem(http.StatusUnprocessableEntity, "sdp_invalid", "The SDP is not one that this server can answer.")
	case errors.Is(err, errNoCodec):
		// Not 406: by draft-ietf-wish-whep-03 4.2 that would bring an offer of ours.
		return newProblem(http.StatusUnprocessableEntity, string(live.ReasonCodecUnsupported),
			"Offer to receive H.264 (packetization-mode=1) or Opus.")
	case errors.Is(err, errStale):
		return newProblem(http.StatusPreconditionFailed, "etag_stale", "If-Match names an ICE session that is over.")
	case err == errBFrames: //nolint:errorlint // errors with one reason are alike; this is the one
		return newProblem(http.StatusUnprocessableEntity, "b_frames",
			"The encoder uses B-frames, which WebRTC cannot play. Play the HLS address, or have the streamer set Max B-frames to 0.")
	}
	r := live.ReasonOf(err)
	p := newProblem(statusOf(r), string(r), r.Text())
	switch p.Status {
	case http.StatusServiceUnavailable:
		p.retryAfter = retryFull
	case http.StatusNotFound:
		p.retryAfter = retryLive
	}
	return p
}

// statusOf is the status for a player that is not let in for r. How a session ended matters to nobody who comes after: it is not
// live.
func statusOf(r live.Reason) int {
	switch r {
	case live.ReasonStreamKeyInvalid:
		return http.StatusUnauthorized
	case live.ReasonStreamDisabled, live.ReasonKeyRevoked, live.ReasonPolicyLimit:
		return http.StatusForbidden
	case live.ReasonCodecUnsupported, live.ReasonMediaInvalid:
		return http.StatusUnprocessableEntity
	case live.ReasonShuttingDown, live.ReasonServerShutdown, live.ReasonOverloaded, live.ReasonAuthUnavailable, live.ReasonTooSlow:
		return http.StatusServiceUnavailable
	case live.ReasonProtocolError, live.ReasonIngestError, live.ReasonUnspecified:
		return http.StatusInternalServerError
	default:
		return http.StatusNotFound
	}
}

// write answers with p.
func (p *problem) write(w http.ResponseWriter) {
	h := w.Header()
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="whep"`)
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the peer has gone
}
