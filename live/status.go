package live

import (
	"log/slog"
	"time"

	"mediad/media"
)

// state is the stream's state for the world; st.mu is held.
func (st *stream) state() State {
	switch {
	case st.session == nil && st.holder == nil:
		return StateIdle
	case st.session == nil || !st.begun:
		return StateStarting
	case !st.until.IsZero():
		return StateReconnecting
	default:
		return StateLive
	}
}

func (st *stream) status() Status {
	st.mu.Lock()
	defer st.mu.Unlock()
	now := st.hub.o.Now()
	out := Status{Stream: st.name, StreamID: st.id, State: st.state(), Now: now, Takeovers: st.takeovers}
	if p := st.holder; p != nil {
		out.Protocol, out.Encoder, out.Remote = p.peer.Protocol, p.encoderName(), p.peer.Remote
		out.PeerEncoder, out.KeyID, out.ConnectedAt = p.peer.Encoder, p.grant.KeyID, p.connected
		if n, known := p.network.figures(); known {
			out.Network = &n
		}
	}
	if st.session != nil {
		out.AwaySince, out.ResumeUntil = st.away, st.until
		st.session.describe(&out, now)
	}
	if st.contest.fighting(now) {
		out.Alerts = append(out.Alerts, Alert{Code: AlertTwoPublishers, Severity: SeverityError, Since: st.contest.firstRefused, Advice: adviceTwo.to(anyEncoder)})
	}
	return out
}

// describe fills in what the session knows.
func (s *Session) describe(out *Status, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock(at)
	out.SessionID, out.StartedAt = s.id, s.start
	out.Epochs, out.Epoch = s.index+1, s.epoch
	out.MediaEnd = s.line.mediaEnd()
	out.Repairs, out.Drops = s.repairs, s.drops
	if s.epoch != nil {
		out.Tracks = s.epoch.Tracks
	}
	v, a := &s.meters[media.Video], &s.meters[media.Audio]
	out.Video = VideoFigures{Frames: v.frames, Bytes: v.bytes, Bitrate: v.rate.snapshot(now), BFrames: s.pictures.bFrames,
		Jitter: time.Duration(v.jitter), KeyFrameDue: s.pictures.long}
	out.Audio = AudioFigures{Frames: a.frames, Bytes: a.bytes, Bitrate: a.rate.snapshot(now)}
	out.Video.LastGOP, out.Video.MeanGOP, out.Video.MaxGOP = s.pictures.gops()
	if v.some && now-v.arrived <= fpsWindow {
		out.Video.FPS = s.pictures.fps()
	}
	out.AVOffset = s.offset()
	out.Alerts = s.alerts(now)
}

// forget closes a stream that was idle for long and reports whether it did; the caller takes it off the map.
func (st *stream) forget() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed || st.session != nil || st.holder != nil || st.hub.o.Now().Sub(st.idleSince) < st.hub.o.IdleTimeout {
		return false
	}
	if st.previous != nil {
		select {
		case <-st.previous.done:
		default:
			return false
		}
	}
	st.closed = true
	st.notice(Notice{Kind: StreamForgotten}, nil)
	return true
}

// logAlerts logs each alert once when it rises and once when it has gone.
func (st *stream) logAlerts() {
	s := st.status()
	var now map[AlertCode]bool
	for _, a := range s.Alerts {
		if now == nil {
			now = map[AlertCode]bool{}
		}
		now[a.Code] = true
	}
	st.mu.Lock()
	before := st.told
	st.told = now
	st.mu.Unlock()
	for c := range now {
		if !before[c] {
			st.hub.o.Log.Warn("stream alert", slog.String("stream", st.name), slog.String("session", s.SessionID), slog.String("alert", string(c)))
		}
	}
	for c := range before {
		if !now[c] {
			st.hub.o.Log.Info("stream alert is over", slog.String("stream", st.name), slog.String("alert", string(c)))
		}
	}
}
