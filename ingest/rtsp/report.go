package rtsp

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"mediad/live"
)

// logEnding writes the one line about how a publication ended. Neither the key nor the URL, which may hold it, is ever in
// it.
func (p *publication) logEnding(cause error, peer live.Peer) {
	reason := live.ReasonOf(cause)
	p.mu.Lock()
	attrs := []slog.Attr{
		slog.String("reason", string(reason)),
		slog.String("session", sessionID(p.Publisher)),
		slog.String("encoder", peer.Encoder),
		slog.Duration("duration", p.now().Sub(p.began).Round(1e6)),
		slog.Uint64("bytes", p.bytes),
		slog.Int("units", p.units),
	}
	if p.bad > 0 {
		attrs = append(attrs, slog.Int("unreadable", p.bad))
	}
	if p.lost > 0 {
		attrs = append(attrs, slog.Uint64("lost", p.lost))
	}
	p.mu.Unlock()
	if detail := detailOf(cause); detail != "" {
		attrs = append(attrs, slog.String("error", detail))
	}
	level := slog.LevelWarn
	if reason.Clean() || reason == live.ReasonReplaced || reason == live.ReasonShuttingDown {
		level = slog.LevelInfo
	}
	p.log.LogAttrs(context.Background(), level, "rtsp: publication ended", attrs...)
}

// logLeft says what is not taken of a source, and why.
func (c *chosen) logLeft(log *slog.Logger) {
	switch {
	case c.noTranscoder && c.audioTrack == nil:
		log.Warn("rtsp: the sound is left out: it would have to be transcoded, which is not set up", "left", strings.Join(c.left, ", "))
	case len(c.left) > 0:
		log.Warn("rtsp: tracks are left out", "left", strings.Join(c.left, ", "))
	}
}

// detailOf is the cause behind a reason.
func detailOf(err error) string {
	var e *live.Error
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

func sessionID(p Publisher) string {
	if s := p.Session(); s != nil {
		return s.ID()
	}
	return ""
}
