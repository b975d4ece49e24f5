package whip

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"mediad/internal/rtc"
	"mediad/live"
)

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

// problemOf is what a peer is told of err. Detail never has anything in it that came from outside.
func problemOf(err error) *rtc.Problem {
	if err == nil {
		err = live.Refuse(live.ReasonIngestError, nil)
	}
	if codec := (*codecError)(nil); errors.As(err, &codec) {
		return rtc.NewProblem(http.StatusUnprocessableEntity, string(live.ReasonCodecUnsupported), codec.advice())
	}
	if p := rtc.ProblemOf(err); p != nil {
		return p
	}
	r := live.ReasonOf(err)
	p := rtc.NewProblem(statusOf(r), string(r), r.Text())
	switch p.Status {
	case http.StatusUnauthorized:
		// All that is wrong with a key sounds alike, so that nobody learns by trying which keys exist.
		return rtc.NewProblem(p.Status, string(live.ReasonStreamKeyInvalid), live.ReasonStreamKeyInvalid.Text())
	case http.StatusServiceUnavailable:
		p.RetryAfter = retryAfter
	}
	return p
}

// statusOf is the status for a publisher that is not let in for r.
func statusOf(r live.Reason) int {
	switch r {
	case live.ReasonStreamKeyInvalid, live.ReasonStreamDisabled, live.ReasonKeyRevoked:
		return http.StatusUnauthorized
	case live.ReasonTwoPublishers, live.ReasonReplaced, live.ReasonPublisherStopped, live.ReasonEndedByOwner,
		live.ReasonEndedByAdmin, live.ReasonViewerLeft:
		return http.StatusConflict
	case live.ReasonPolicyLimit, live.ReasonRefusedBySite, live.ReasonTokenInvalid, live.ReasonTokenExpired, live.ReasonRightsChanged: // the last three are players'
		return http.StatusForbidden
	case live.ReasonNotLive:
		return http.StatusNotFound
	case live.ReasonCodecUnsupported, live.ReasonMediaInvalid, live.ReasonProtocolError:
		return http.StatusUnprocessableEntity
	case live.ReasonFrameTooLarge, live.ReasonBitrateTooHigh:
		return http.StatusRequestEntityTooLarge
	case live.ReasonReadTimeout, live.ReasonConnectionLost, live.ReasonNoMedia:
		return http.StatusRequestTimeout
	case live.ReasonShuttingDown, live.ReasonServerShutdown, live.ReasonOverloaded, live.ReasonAuthUnavailable, live.ReasonHookUnavailable,
		live.ReasonResumeTimeout, live.ReasonTooSlow:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}
