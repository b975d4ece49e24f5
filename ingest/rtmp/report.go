package rtmp

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"mediad/live"
	"mediad/media"
	"mediad/media/amf0"
	"mediad/media/chunk"
)

// ending is what there is to say about the end of a publication, or of a connection without one.
type ending struct {
	err             error
	stream, session string
	encoder         string
	took            time.Duration
	bytes           uint64
	units, bad      int
	ignored         [media.Kinds]bool
}

// reasoned gives an error its reason.
func (c *conn) reasoned(err error) error {
	var (
		known *live.Error
		large *chunk.TooLargeError
		alert tls.AlertError        // the peer refuses our certificate
		plain tls.RecordHeaderError // it does not speak TLS
	)
	switch {
	case errors.As(err, &known):
		return err
	case errors.As(err, &large):
		if c.admitted && isMedia(large.Type) {
			return live.Refuse(live.ReasonFrameTooLarge, err)
		}
		return live.Refuse(live.ReasonProtocolError, err)
	case errors.Is(err, chunk.ErrProtocol), errors.Is(err, amf0.ErrMalformed), errors.As(err, &alert), errors.As(err, &plain):
		return live.Refuse(live.ReasonProtocolError, err)
	default:
		return live.Refuse(live.ReasonConnectionLost, err)
	}
}

// logEnding writes the one line about how a publication ended, or a connection that never came to one. Neither the
// key nor the URL, which may hold it, is ever in it.
func (c *conn) logEnding() {
	e := c.ended
	if e == nil {
		return
	}
	c.ended = nil
	reason := live.ReasonOf(e.err)
	attrs := []slog.Attr{slog.String("reason", string(reason))}
	if e.stream != "" {
		attrs = append(attrs, slog.String("stream", e.stream), slog.String("session", e.session))
	}
	attrs = append(attrs,
		slog.String("encoder", e.encoder),
		slog.Duration("duration", e.took.Round(1e6)),
		slog.Uint64("bytes", e.bytes),
		slog.Int("units", e.units))
	if e.bad > 0 {
		attrs = append(attrs, slog.Int("unreadable", e.bad))
	}
	for kind, ignored := range e.ignored {
		if ignored {
			attrs = append(attrs, slog.Bool("more_"+media.Kind(kind).String()+"_tracks_ignored", true))
		}
	}
	if detail := live.Detail(e.err); detail != "" {
		attrs = append(attrs, slog.String("error", detail))
	}
	level, text := slog.LevelWarn, "rtmp: connection ended"
	switch {
	case e.stream == "" && reason.Class() == live.ClassDrop:
		level = slog.LevelDebug // a probe of the port, or a change of mind
	case e.stream == "":
		text = "rtmp: refused"
	case reason.Clean(), reason == live.ReasonReplaced, reason == live.ReasonShuttingDown:
		level = slog.LevelInfo
	}
	c.log.LogAttrs(context.Background(), level, text, attrs...)
}

func sessionID(p Publisher) string {
	if s := p.Session(); s != nil {
		return s.ID()
	}
	return ""
}
