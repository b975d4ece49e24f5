package whip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"mediad/internal/rtc"
	"mediad/live"
)

const (
	// keyFramePause is how long nobody is asked again for a key frame: the last one is on its way.
	keyFramePause = 500 * time.Millisecond

	// tickEvery is how often a session looks at what is due.
	tickEvery = 20 * time.Millisecond
)

// session is one peer. Its life is: negotiated (Server.post) → run, until somebody calls end → closed.
type session struct {
	id    string
	o     *Options
	log   *slog.Logger
	pc    *webrtc.PeerConnection
	pub   Publisher
	media *publication
	peer  live.Peer
	began time.Time

	once   sync.Once // guards the following
	ending chan struct{}
	cause  error         // why it ends; readable once ending is closed
	gone   chan struct{} // closed when the hub knows that it has ended

	negotiation sync.Mutex // guards the following
	etag        string

	mu        sync.Mutex // guards the following
	connected time.Time  // zero: never
	closed    bool       // no reader may begin
	readers   sync.WaitGroup
}

// end makes run return; the first cause is kept.
func (s *session) end(err error) {
	s.once.Do(func() {
		if err == nil {
			err = live.Refuse(live.ReasonUnspecified, nil)
		}
		s.cause = err
		close(s.ending)
	})
}

// watch sets what pion calls. It comes before the offer is taken.
func (s *session) watch() {
	s.pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			s.mu.Lock()
			if s.connected.IsZero() {
				s.connected = s.o.Now()
			}
			s.mu.Unlock()
		case webrtc.PeerConnectionStateFailed:
			s.end(live.Refuse(live.ReasonConnectionLost, errors.New("whip: ICE or DTLS failed")))
		case webrtc.PeerConnectionStateClosed:
			s.end(live.Refuse(live.ReasonConnectionLost, errGone))
		default:
		}
	})
	s.pc.OnTrack(func(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
		defer func() {
			if v := recover(); v != nil {
				s.end(panicked(v))
			}
		}()
		s.track(t, r)
	})
}

// track begins to read a track.
func (s *session) track(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
	var v *videoTrack
	if t.Kind() == webrtc.RTPCodecTypeVideo {
		if v = s.media.addVideo(t.Codec().MimeType, t.RID(), uint32(t.SSRC())); v == nil {
			return
		}
	} else if s.media.addAudio() == nil {
		return
	}
	s.log.Debug("whip: track", "kind", t.Kind(), "codec", t.Codec().MimeType, "rid", t.RID(), "ssrc", t.SSRC())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.readers.Go(func() { s.readPackets(t, v) })
	s.readers.Go(func() { s.readReports(r, t.RID(), v) })
}

func (s *session) readPackets(t *webrtc.TrackRemote, v *videoTrack) {
	for {
		pkt, attributes, err := t.ReadRTP()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe):
			return
		case err != nil:
			// A packet that is too short or of a payload type that was not agreed on.
			select {
			case <-s.ending:
				return
			default:
			}
			if s.unreadable(err) {
				return
			}
			continue
		}
		if err := s.media.packet(v, pkt, attributes.Get(webrtc.AttributeRtxSsrc) != nil); err != nil {
			s.end(err)
			return
		}
	}
}

// unreadable reports whether a packet that pion cannot read is one too many.
func (s *session) unreadable(err error) bool {
	err = s.media.do(func() error { return s.media.tolerate(live.Refuse(live.ReasonMediaInvalid, err)) })
	if err != nil {
		s.end(err)
	}
	return err != nil
}

// readReports reads what the peer reports, which also keeps pion's interceptors going.
func (s *session) readReports(r *webrtc.RTPReceiver, rid string, v *videoTrack) {
	for {
		var packets []rtcp.Packet
		var err error
		if rid == "" {
			packets, _, err = r.ReadRTCP()
		} else {
			packets, _, err = r.ReadSimulcastRTCP(rid)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
			return
		}
		if err != nil {
			select {
			case <-s.ending:
				return
			default:
			}
			if s.unreadable(err) {
				return
			}
			continue
		}
		for _, p := range packets {
			sr, ok := p.(*rtcp.SenderReport)
			if !ok || v != nil && sr.SSRC != v.ssrc {
				continue
			}
			if err := s.media.report(v, sr); err != nil {
				s.end(err)
				return
			}
		}
	}
}

// keyFrameWanter is a Publisher that passes on who wants a key frame; *live.Publisher is one.
type keyFrameWanter interface{ KeyFrameAsked() <-chan struct{} }

// run carries the session to its end.
func (s *session) run() {
	var asked <-chan struct{}
	if w, ok := s.pub.(keyFrameWanter); ok {
		asked = w.KeyFrameAsked()
	}
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for done := false; !done; {
		select {
		case <-s.ending:
			done = true
		case <-s.pub.Done():
			s.end(s.pub.Err())
		case <-asked:
			s.media.wantKeyFrame()
			s.tick()
		case <-t.C:
			s.tick()
		}
	}
	s.close()
}

// tick does what is due.
func (s *session) tick() {
	ssrcs, err := s.media.tick()
	if err == nil {
		err = s.late()
	}
	if err != nil {
		s.end(err)
		return
	}
	feedback := s.media.nacks()
	for _, ssrc := range ssrcs {
		feedback = append(feedback, &rtcp.PictureLossIndication{MediaSSRC: ssrc})
	}
	if len(feedback) == 0 {
		return
	}
	if err := s.pc.WriteRTCP(feedback); err != nil {
		s.log.Debug("whip: asking for what is lost", "error", err)
	}
}

// late is why the session took too long with something.
func (s *session) late() error {
	s.mu.Lock()
	connected := s.connected
	s.mu.Unlock()
	now := s.o.Now()
	if connected.IsZero() {
		if now.Sub(s.began) >= s.o.ConnectTimeout {
			return live.Refuse(live.ReasonNoMedia, fmt.Errorf("whip: no connection within %v", s.o.ConnectTimeout))
		}
		return nil
	}
	return s.media.silence(now.Sub(connected))
}

// close ends everything, in order: no more packets, what is held back, the hub, the log.
func (s *session) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	// The peer is told by DTLS that this is the end.
	if err := s.pc.GracefulClose(); err != nil {
		s.log.Debug("whip: close", "error", err)
	}
	s.readers.Wait()
	defer close(s.gone)
	defer s.pub.Close(live.ReasonOf(s.cause))
	if fault := s.media.finish(); fault != nil {
		s.log.Error("whip: at the end of a broadcast", "error", fault)
	}
	s.logEnding()
}

func (s *session) logEnding() {
	reason := live.ReasonOf(s.cause)
	bytes, units, bad, pictures := s.media.figures()
	attrs := []slog.Attr{
		slog.String("reason", string(reason)), slog.String("session", sessionID(s.pub)), slog.String("encoder", s.peer.Encoder),
		slog.Duration("duration", s.o.Now().Sub(s.began).Round(time.Millisecond)),
		slog.Uint64("bytes", bytes), slog.Int("units", units),
	}
	if pictures.lost > 0 { // sound is not asked for again
		attrs = append(attrs, slog.Uint64("video_packets", pictures.packets), slog.Uint64("video_packets_lost", pictures.lost),
			slog.Uint64("video_packets_missing", pictures.missing))
	}
	if bad > 0 {
		attrs = append(attrs, slog.Int("unreadable", bad))
	}
	if detail := live.Detail(s.cause); detail != "" {
		attrs = append(attrs, slog.String("error", detail))
	}
	level := slog.LevelWarn
	if reason.Clean() || reason == live.ReasonReplaced || reason == live.ReasonShuttingDown {
		level = slog.LevelInfo
	}
	s.log.LogAttrs(context.Background(), level, "whip: session ended", attrs...)
}

func sessionID(p Publisher) string {
	if s := p.Session(); s != nil {
		return s.ID()
	}
	return ""
}

// Patch implements rtc.Peer: it takes candidates, which nothing needs, or restarts ICE.
func (s *session) Patch(ctx context.Context, f rtc.Fragment, match string) (answer, etag string, err error) {
	s.negotiation.Lock()
	defer s.negotiation.Unlock()
	remote := s.pc.RemoteDescription()
	if remote == nil {
		return "", "", live.Refuse(live.ReasonIngestError, errors.New("whip: no offer"))
	}
	if match != "*" && match != s.etag {
		return "", s.etag, rtc.ErrStale
	}
	if !f.Restarts(remote.SDP) {
		return "", s.etag, nil
	}
	if answer, err = f.Restart(ctx, s.pc); err != nil {
		return "", s.etag, err
	}
	s.etag = newTag()
	s.log.Info("whip: ICE restarted")
	return answer, s.etag, nil
}
