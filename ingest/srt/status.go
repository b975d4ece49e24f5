package srt

import (
	gosrt "github.com/datarhei/gosrt"

	"mediad/live"
)

// codes are what callers are refused with. SRT has no word for the end of what goes on.
var codes = map[live.Reason]gosrt.RejectionReason{
	// Nobody learns which keys exist.
	live.ReasonStreamKeyInvalid: gosrt.REJX_UNAUTHORIZED,
	live.ReasonStreamDisabled:   gosrt.REJX_UNAUTHORIZED,
	live.ReasonKeyRevoked:       gosrt.REJX_UNAUTHORIZED,

	live.ReasonRefusedBySite: gosrt.REJX_FORBIDDEN, // the key is good

	live.ReasonTokenInvalid:  gosrt.REJX_FORBIDDEN,
	live.ReasonTokenExpired:  gosrt.REJX_FORBIDDEN,
	live.ReasonRightsChanged: gosrt.REJX_FORBIDDEN,

	live.ReasonEndedByAdmin: gosrt.REJX_FORBIDDEN,
	live.ReasonEndedByOwner: gosrt.REJX_FORBIDDEN,

	live.ReasonNotLive: gosrt.REJX_NOTFOUND,

	live.ReasonTwoPublishers: gosrt.REJX_CONFLICT,
	live.ReasonReplaced:      gosrt.REJX_CONFLICT,

	live.ReasonPolicyLimit:    gosrt.REJX_OVERLOAD,
	live.ReasonBitrateTooHigh: gosrt.REJX_OVERLOAD,
	live.ReasonOverloaded:     gosrt.REJX_OVERLOAD,
	live.ReasonTooSlow:        gosrt.REJX_OVERLOAD,

	live.ReasonCodecUnsupported: gosrt.REJX_NOTSUP_MEDIA,
	live.ReasonMediaInvalid:     gosrt.REJX_NOTSUP_MEDIA,
	live.ReasonFrameTooLarge:    gosrt.REJX_NOTSUP_MEDIA,

	live.ReasonAuthUnavailable: gosrt.REJX_DOWN,
	live.ReasonHookUnavailable: gosrt.REJX_DOWN,
	live.ReasonShuttingDown:    gosrt.REJX_DOWN,
	live.ReasonServerShutdown:  gosrt.REJX_DOWN,

	live.ReasonProtocolError: gosrt.REJX_BAD_REQUEST,

	live.ReasonPublisherStopped: gosrt.REJ_CLOSE,
	live.ReasonViewerLeft:       gosrt.REJ_CLOSE,
	live.ReasonConnectionLost:   gosrt.REJ_CLOSE,
	live.ReasonReadTimeout:      gosrt.REJ_CLOSE,
	live.ReasonNoMedia:          gosrt.REJ_CLOSE,
	live.ReasonResumeTimeout:    gosrt.REJ_CLOSE,

	live.ReasonIngestError: gosrt.REJX_ISE,
	live.ReasonUnspecified: gosrt.REJX_ISE,
}

// rejection is the code that a caller is refused with for r.
func rejection(r live.Reason) gosrt.RejectionReason {
	if code, ok := codes[r]; ok {
		return code
	}
	return gosrt.REJX_ISE
}
