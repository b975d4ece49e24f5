package rtmp

import (
	"errors"

	"mediad/live"
	"mediad/media/amf0"
	"mediad/media/chunk"
)

// status is what an encoder is told: an info object of onStatus, or of the answer to connect.
type status struct {
	Level, Code, Description string
}

// Codes of NetConnection and NetStream, as encoders know them.
const (
	codePublishStart    = "NetStream.Publish.Start"
	codeBadName         = "NetStream.Publish.BadName"
	codePublishRejected = "NetStream.Publish.Rejected"
	codeUnpublish       = "NetStream.Unpublish.Success"
	codeStreamFailed    = "NetStream.Failed"
	codePlayFailed      = "NetStream.Play.Failed"
	codeConnectRejected = "NetConnection.Connect.Rejected"
	codeAppShutdown     = "NetConnection.Connect.AppShutdown"
	codeConnectClosed   = "NetConnection.Connect.Closed"
)

var (
	publishStarted = status{"status", codePublishStart, "Publishing."}
	playRefused    = status{"error", codePlayFailed, "This server does not play by RTMP: watch the stream by HLS or WebRTC."}
	wrongApp       = status{"error", codeConnectRejected, "Publish to rtmp://HOST/live with the stream key, or to rtmp://HOST/live/KEY."}
)

// statusOf is what an encoder is told when its publication ends for r, or is not accepted.
func statusOf(r live.Reason) status {
	var code string
	switch r {
	case live.ReasonPublisherStopped, live.ReasonViewerLeft:
		return status{"status", codeUnpublish, r.Text()}
	case live.ReasonStreamKeyInvalid, live.ReasonStreamDisabled, live.ReasonKeyRevoked,
		live.ReasonTwoPublishers, live.ReasonReplaced, live.ReasonNotLive:
		// What concerns the name that was published under.
		code = codeBadName
	case live.ReasonShuttingDown, live.ReasonServerShutdown:
		code = codeAppShutdown
	case live.ReasonOverloaded, live.ReasonAuthUnavailable, live.ReasonHookUnavailable:
		code = codeConnectRejected
	case live.ReasonConnectionLost, live.ReasonReadTimeout, live.ReasonNoMedia:
		code = codeConnectClosed
	case live.ReasonIngestError, live.ReasonUnspecified, live.ReasonResumeTimeout:
		code = codeStreamFailed
	default: // ReasonRefusedBySite, and what is wrong with the media
		code = codePublishRejected
	}
	return status{"error", code, r.Text()}
}

// refusalOf is what an encoder is told that was not let in. All that is wrong with a key sounds alike, so that nobody
// learns by trying which keys exist.
func refusalOf(r live.Reason) status {
	if r == live.ReasonStreamDisabled || r == live.ReasonKeyRevoked {
		r = live.ReasonStreamKeyInvalid
	}
	return statusOf(r)
}

// endOf is statusOf with what the streamer can do about it, where the error says more than its reason.
func endOf(err error) status {
	s := statusOf(live.ReasonOf(err))
	if c := (*codecError)(nil); errors.As(err, &c) {
		s.Description += " " + c.advice()
	}
	return s
}

// message is s as an onStatus of message stream id.
func (s status) message(id uint32) chunk.Message {
	return chunk.Message{Type: chunk.TypeCommandAMF0, Stream: id, Payload: amf0.Append(nil, "onStatus", 0, nil, amf0.Object{
		{"level", s.Level},
		{"code", s.Code},
		{"description", s.Description},
	})}
}

// codecError is a codec or a feature that is not taken. Name is one of ours, never a string from outside.
type codecError struct {
	Name string // "MP3"
	Use  string // what the encoder should be set to
}

func (e *codecError) Error() string { return "rtmp: " + e.Name + " is not supported" }

func (e *codecError) advice() string {
	return "It sends " + e.Name + "; set it to " + e.Use + "."
}

// refuseCodec is the error for a codec that is not taken.
func refuseCodec(name, use string) error {
	return live.Refuse(live.ReasonCodecUnsupported, &codecError{Name: name, Use: use})
}
