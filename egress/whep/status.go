package whep

import (
	"errors"
	"net/http"

	"mediad/internal/rtc"
	"mediad/live"
)

// errNoCodec is an offer without what is sent.
var errNoCodec = errors.New("whep: neither H.264 with packetization mode 1 nor Opus is wanted")

const (
	// retryLive is when to ask again for a stream that is not live: its beginning is seen soon.
	retryLive = 1
	// retryFull is when to come again where there was no room.
	retryFull = 5
)

// problemOf is what a player is told of err. Detail never has anything in it that came from outside.
func problemOf(err error) *rtc.Problem {
	if err == nil {
		err = live.Refuse(live.ReasonUnspecified, nil)
	}
	if p := rtc.ProblemOf(err); p != nil {
		return p
	}
	switch {
	case errors.Is(err, errNoCodec):
		// Not 406: by draft-ietf-wish-whep-03 4.2 that would bring an offer of ours.
		return rtc.NewProblem(http.StatusUnprocessableEntity, string(live.ReasonCodecUnsupported),
			"Offer to receive H.264 (packetization-mode=1) or Opus.")
	case err == errBFrames: //nolint:errorlint // errors with one reason are alike; this is the one
		return rtc.NewProblem(http.StatusUnprocessableEntity, "b_frames",
			"The encoder uses B-frames, which WebRTC cannot play. Play the HLS address, or have the streamer set Max B-frames to 0.")
	}
	r := live.ReasonOf(err)
	p := rtc.NewProblem(statusOf(r), string(r), r.Text())
	switch p.Status {
	case http.StatusServiceUnavailable:
		p.RetryAfter = retryFull
	case http.StatusNotFound:
		p.RetryAfter = retryLive
	}
	return p
}

// statusOf is the status for a player that is not let in for r. How a session ended matters to nobody who comes after: it is not
// live.
func statusOf(r live.Reason) int {
	switch r {
	case live.ReasonStreamKeyInvalid:
		return http.StatusUnauthorized
	case live.ReasonStreamDisabled, live.ReasonKeyRevoked, live.ReasonRefusedBySite, live.ReasonPolicyLimit,
		live.ReasonTokenInvalid, live.ReasonTokenExpired, live.ReasonRightsChanged:
		return http.StatusForbidden
	case live.ReasonCodecUnsupported, live.ReasonMediaInvalid:
		return http.StatusUnprocessableEntity
	case live.ReasonShuttingDown, live.ReasonServerShutdown, live.ReasonOverloaded, live.ReasonAuthUnavailable,
		live.ReasonHookUnavailable, live.ReasonTooSlow:
		return http.StatusServiceUnavailable
	case live.ReasonProtocolError, live.ReasonIngestError, live.ReasonUnspecified:
		return http.StatusInternalServerError
	default:
		return http.StatusNotFound
	}
}
