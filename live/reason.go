package live

import (
	"errors"
	"fmt"
)

// Reason says, in one word, why a publisher was refused, why one was closed, or why a session ended. The words
// are part of the public contract (end_reason and the codes of disconnects); they never change meaning.
type Reason string

// What ends a publisher or a session as somebody wished.
const (
	ReasonPublisherStopped Reason = "publisher_stopped" // the encoder said that it is done
	ReasonViewerLeft       Reason = "viewer_left"       // a player said so
	ReasonEndedByOwner     Reason = "ended_by_owner"
	ReasonEndedByAdmin     Reason = "ended_by_admin"
	ReasonReplaced         Reason = "replaced" // another publisher took the stream over
	ReasonShuttingDown     Reason = "shutting_down"
	ReasonServerShutdown   Reason = "server_shutdown" // a session's end, where ReasonShuttingDown is a publisher's
)

// What is refused, or what ends a session by a rule.
const (
	ReasonStreamKeyInvalid Reason = "stream_key_invalid"
	ReasonStreamDisabled   Reason = "stream_disabled"
	ReasonKeyRevoked       Reason = "key_revoked"
	ReasonRefusedBySite    Reason = "refused_by_site" // a hook of the site says no; the key is good
	ReasonPolicyLimit      Reason = "policy_limit"
	ReasonTwoPublishers    Reason = "two_publishers" // the holder of the stream wins; see admission.go
	ReasonCodecUnsupported Reason = "codec_unsupported"
	ReasonAuthUnavailable  Reason = "auth_unavailable" // keys cannot be checked now
	ReasonHookUnavailable  Reason = "hook_unavailable" // a hook of the site, which decides too, could not be asked
	ReasonOverloaded       Reason = "overloaded"
	ReasonNotLive          Reason = "not_live"
	ReasonTokenInvalid     Reason = "playback_token_invalid" // a player's
	ReasonTokenExpired     Reason = "playback_token_expired"
	ReasonRightsChanged    Reason = "rights_changed" // who plays may no longer
)

// What drops a publisher: it may come back within the resume window.
const (
	ReasonConnectionLost Reason = "connection_lost"
	ReasonReadTimeout    Reason = "read_timeout"
	ReasonNoMedia        Reason = "no_media"
)

// What is somebody's fault.
const (
	ReasonProtocolError  Reason = "protocol_error"
	ReasonFrameTooLarge  Reason = "frame_too_large"
	ReasonBitrateTooHigh Reason = "bitrate_too_high"
	ReasonMediaInvalid   Reason = "media_invalid"
	ReasonIngestError    Reason = "ingest_error"      // our own pipeline failed
	ReasonResumeTimeout  Reason = "resume_timeout"    // nobody came back
	ReasonTooSlow        Reason = "too_slow"          // a player could not follow
	ReasonUnspecified    Reason = "unspecified_fault" // an error that carries no reason
)

// Class says how a reason is to be treated.
type Class uint8

// The classes of reasons.
const (
	ClassError   Class = iota // a fault of the peer, of the network's bytes or of ours; the publisher may return
	ClassDrop                 // the connection is gone without a word; the publisher may return
	ClassClean                // the publisher is done; the session ends soon
	ClassEnd                  // somebody or a rule ends it at once
	ClassRefusal              // never got in
)

func (c Class) String() string {
	switch c {
	case ClassError:
		return "error"
	case ClassDrop:
		return "drop"
	case ClassClean:
		return "clean"
	case ClassEnd:
		return "end"
	case ClassRefusal:
		return "refusal"
	default:
		return fmt.Sprintf("class(%d)", uint8(c))
	}
}

type reasonInfo struct {
	reason Reason
	class  Class
	text   string
}

// reasons is the one table; tests range over it, and so does every protocol's status.go.
var reasons = [...]reasonInfo{
	{ReasonPublisherStopped, ClassClean, "The encoder ended the broadcast."},
	{ReasonViewerLeft, ClassClean, "The viewer left."},
	{ReasonEndedByOwner, ClassEnd, "The owner of the stream ended the broadcast."},
	{ReasonEndedByAdmin, ClassEnd, "An administrator ended the broadcast."},
	{ReasonReplaced, ClassEnd, "Another encoder took this stream over."},
	{ReasonShuttingDown, ClassDrop, "The server is shutting down or restarting; connect again in a moment."},
	{ReasonServerShutdown, ClassEnd, "The server was shut down."},
	{ReasonStreamKeyInvalid, ClassRefusal, "The stream key is not valid."},
	{ReasonStreamDisabled, ClassEnd, "This stream is disabled."},
	{ReasonKeyRevoked, ClassEnd, "The stream key was revoked."},
	{ReasonRefusedBySite, ClassRefusal, "Refused by the site: its own rules do not allow this. Ask those who run it."},
	{ReasonPolicyLimit, ClassEnd, "A limit that was set for this stream has been reached."},
	{ReasonTwoPublishers, ClassRefusal, "Two encoders are fighting for this stream; the one that is on air keeps it. Stop the other one."},
	{ReasonCodecUnsupported, ClassError, "The codec that the encoder sends is not supported here."},
	{ReasonAuthUnavailable, ClassRefusal, "Stream keys cannot be checked at this moment; try again shortly."},
	{ReasonHookUnavailable, ClassRefusal, "The site could not be asked whether it allows this; try again shortly."},
	{ReasonOverloaded, ClassRefusal, "The server is at its limit; try again later."},
	{ReasonNotLive, ClassRefusal, "The stream is not live."},
	{ReasonTokenInvalid, ClassRefusal, "The playback token is not one for this stream."},
	{ReasonTokenExpired, ClassRefusal, "The playback token is good no more; ask for another."},
	{ReasonRightsChanged, ClassEnd, "Who may watch this stream has changed."},
	{ReasonConnectionLost, ClassDrop, "The connection to the encoder was lost."},
	{ReasonReadTimeout, ClassDrop, "The encoder sent nothing for too long."},
	{ReasonNoMedia, ClassDrop, "The encoder connected but sent no picture and no sound."},
	{ReasonProtocolError, ClassError, "The encoder broke the rules of the protocol."},
	{ReasonFrameTooLarge, ClassError, "The encoder sent a frame larger than the limit."},
	{ReasonBitrateTooHigh, ClassError, "The encoder sends more data than the limit allows."},
	{ReasonMediaInvalid, ClassError, "The encoder sent media that cannot be understood."},
	{ReasonIngestError, ClassError, "The server failed while it processed the broadcast."},
	{ReasonResumeTimeout, ClassDrop, "The encoder was lost and did not come back in time."},
	{ReasonTooSlow, ClassError, "The receiver could not keep up with the stream."},
	{ReasonUnspecified, ClassError, "An unexpected fault ended the connection."},
}

// Reasons returns every reason there is.
func Reasons() []Reason {
	out := make([]Reason, len(reasons))
	for i, r := range reasons {
		out[i] = r.reason
	}
	return out
}

func (r Reason) info() (reasonInfo, bool) {
	for _, i := range reasons {
		if i.reason == r {
			return i, true
		}
	}
	return reasonInfo{r, ClassError, "An unexpected fault ended the connection."}, false
}

// Text is a plain sentence for people. It never contains anything that came from outside.
func (r Reason) Text() string { i, _ := r.info(); return i.text }

// Class says how r is to be treated.
func (r Reason) Class() Class { i, _ := r.info(); return i.class }

// Clean reports whether a publisher that closes for r is done, so that the session ends soon. After any other
// reason it is held for the whole resume window.
func (r Reason) Clean() bool { return r.Class() == ClassClean }

// Error is an error with a reason. Error() is for logs; people are shown Reason.Text().
type Error struct {
	Reason Reason
	Err    error // may be nil
}

func (e *Error) Error() string {
	if e.Err == nil {
		return string(e.Reason)
	}
	return string(e.Reason) + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is compare reasons: errors.Is(err, live.Refuse(live.ReasonReplaced, nil)).
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Err == nil && t.Reason == e.Reason
}

// Refuse is an error with reason r; err, the detail for the log, may be nil.
func Refuse(r Reason, err error) error { return &Error{Reason: r, Err: err} }

// ReasonOf is the reason that err carries, ReasonUnspecified if it carries none, and empty if err is nil.
func ReasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ReasonUnspecified
}

// Detail is the cause behind err's reason, empty if there is none: who logs both says neither twice.
func Detail(err error) string {
	var e *Error
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &e):
		return err.Error()
	case e.Err == nil:
		return ""
	default:
		return e.Err.Error()
	}
}

// LogArgs is err for a line of log: its reason, and the cause behind that if there is one.
func LogArgs(err error) []any {
	args := []any{"reason", ReasonOf(err)}
	if d := Detail(err); d != "" {
		args = append(args, "error", d)
	}
	return args
}
