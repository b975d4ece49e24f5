package rtsp

import (
	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"mediad/live"
)

// statusOf is the status of a request that is refused for r. RTSP has no word for the end of what goes on: a session
// is closed then.
func statusOf(r live.Reason) base.StatusCode {
	switch r {
	case live.ReasonStreamKeyInvalid:
		return base.StatusUnauthorized
	case live.ReasonNotLive:
		return base.StatusNotFound
	case live.ReasonStreamDisabled, live.ReasonKeyRevoked, live.ReasonRefusedBySite, live.ReasonEndedByAdmin, live.ReasonEndedByOwner,
		live.ReasonTokenInvalid, live.ReasonTokenExpired, live.ReasonRightsChanged:
		return base.StatusForbidden
	case live.ReasonTwoPublishers, live.ReasonReplaced:
		return base.StatusMethodNotValidInThisState
	case live.ReasonPolicyLimit, live.ReasonBitrateTooHigh, live.ReasonTooSlow:
		return base.StatusNotEnoughBandwidth
	case live.ReasonCodecUnsupported, live.ReasonMediaInvalid:
		return base.StatusUnsupportedMediaType
	case live.ReasonFrameTooLarge:
		return base.StatusRequestEntityTooLarge
	case live.ReasonAuthUnavailable, live.ReasonHookUnavailable, live.ReasonOverloaded, live.ReasonShuttingDown, live.ReasonServerShutdown:
		return base.StatusServiceUnavailable
	case live.ReasonConnectionLost, live.ReasonReadTimeout, live.ReasonNoMedia, live.ReasonResumeTimeout:
		return base.StatusRequestTimeout
	case live.ReasonProtocolError:
		return base.StatusBadRequest
	case live.ReasonPublisherStopped, live.ReasonViewerLeft:
		return base.StatusGone
	default: // ReasonIngestError, ReasonUnspecified
		return base.StatusInternalServerError
	}
}

// refusal is the response to a publisher that is not let in. All that is wrong with a key sounds alike, so that
// nobody learns by trying which keys exist.
func refusal(err error) *base.Response {
	r := live.ReasonOf(err)
	if r == live.ReasonStreamDisabled || r == live.ReasonKeyRevoked {
		r = live.ReasonStreamKeyInvalid
	}
	return respond(r)
}

// respond says a reason in the response's own words: they are all that a client shows.
func respond(r live.Reason) *base.Response {
	return &base.Response{StatusCode: statusOf(r), StatusMessage: r.Text()}
}

// ok is the response to what is granted.
func ok() *base.Response { return &base.Response{StatusCode: base.StatusOK} }
