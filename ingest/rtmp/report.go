package rtmp

import (
	"context"
	"log/slog"

	"mediad/live"
)

// logEnding writes the one line about how a publication ended, or a connection that never came to one. Neither the
// key nor the URL, which may hold it, is ever in it.
func (c *conn) logEnding() {
	e := c.ended
	if e == nil {
		return
	}
	c.ended = nil
	reason := live.ReasonOf(e.err)
	attrs := []slog.Attr{
		slog.String("reason", string(reason)),
		slog.String("stream", e.stream),
		slog.String("session", e.session),
		slog.String("encoder", e.encoder),
		slog.Duration("duration", e.took.Round(1e6)),
		slog.Uint64("bytes", e.bytes),
		slog.Int("units", e.units),
	}
	if e.bad > 0 {
		attrs = append(attrs, slog.Int("unreadable", e.bad))
	}
	if detail := detailOf(e.err); detail != "" {
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

// detailOf is the cause behind a reason.
func detailOf(err error) string {
	if e, ok := err.(*live.Error); ok {
		if e.Err == nil {
			return ""
		}
		return e.Err.Error()
	}
	return err.Error()
}

func sessionID(p Publisher) string {
	if s := p.Session(); s != nil {
		return s.ID()
	}
	return ""
}
