package srt

import (
	gosrt "github.com/datarhei/gosrt"

	"mediad/live"
)

// rejection is the code that a caller is refused with for r. SRT has no word for the end of what goes on.
func rejection(r live.Reason) gosrt.RejectionReason {
	switch r {
	case live.ReasonStreamKeyInvalid, live.ReasonStreamDisabled, live.ReasonKeyRevoked: // nobody learns which keys exist
		return gosrt.REJX_UNAUTHORIZED
	case live.ReasonEndedByAdmin, live.ReasonEndedByOwner:
		return gosrt.REJX_FORBIDDEN
	case live.ReasonNotLive:
		return gosrt.REJX_NOTFOUND
	case live.ReasonTwoPublishers, live.ReasonReplaced:
		return gosrt.REJX_CONFLICT
	case live.ReasonPolicyLimit, live.ReasonBitrateTooHigh, live.ReasonOverloaded, live.ReasonTooSlow:
		return gosrt.REJX_OVERLOAD
	case live.ReasonCodecUnsupported, live.ReasonMediaInvalid, live.ReasonFrameTooLarge:
		return gosrt.REJX_NOTSUP_MEDIA
	case live.ReasonAuthUnavailable, live.ReasonShuttingDown, live.ReasonServerShutdown:
		return gosrt.REJX_DOWN
	case live.ReasonProtocolError:
		return gosrt.REJX_BAD_REQUEST
	case live.ReasonPublisherStopped, live.ReasonConnectionLost, live.ReasonReadTimeout, live.ReasonNoMedia, live.ReasonResumeTimeout:
		return gosrt.REJ_CLOSE
	default: // ReasonIngestError, ReasonUnspecified
		return gosrt.REJX_ISE
	}
}
