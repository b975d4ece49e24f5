package rtsp

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

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
	if detail := live.Detail(cause); detail != "" {
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

func sessionID(p Publisher) string {
	if s := p.Session(); s != nil {
		return s.ID()
	}
	return ""
}

// logRefused writes the one line about a peer that was not let in.
func (h *handler) logRefused(peer live.Peer, err error, attrs ...any) {
	args := append([]any{"protocol", peer.Protocol, "peer", peer.Remote}, attrs...)
	h.s.o.Log.Warn("rtsp: refused", append(args, live.LogArgs(err)...)...)
}

// logPlayed writes the one line about a player that has played.
func (h *handler) logPlayed(s *session, err error) {
	if s.playing.IsZero() {
		return
	}
	args := []any{"protocol", s.peer.Protocol, "peer", s.peer.Remote, "stream", s.stream,
		"duration", h.s.o.Now().Sub(s.playing).Round(time.Millisecond).String()}
	h.s.o.Log.Info("rtsp: player ended", append(args, live.LogArgs(h.leftFor(s, err))...)...)
}

// leftFor is why a player's session ended.
func (h *handler) leftFor(s *session, err error) error {
	switch end := h.endOf(err); {
	case s.tooSlow.Load():
		return live.Refuse(live.ReasonTooSlow, nil)
	case live.ReasonOf(end) == live.ReasonPublisherStopped:
		return live.Refuse(live.ReasonViewerLeft, nil)
	case live.ReasonOf(end) == live.ReasonConnectionLost && errors.As(err, new(liberrors.ErrServerTerminated)):
		return live.Refuse(live.ReasonNotLive, nil) // its stream was closed below it
	default:
		return end
	}
}
