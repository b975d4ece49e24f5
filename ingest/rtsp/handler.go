package rtsp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"mediad/live"
	"mediad/media"
)

// handler is what gortsplib calls, for one listener. A panic in it would be the end of the process: every method that does
// more than count is guarded.
type handler struct {
	s   *Server
	lib *gortsplib.Server
	ctx func() context.Context

	mu           sync.Mutex // guards the following
	publications map[*publication]struct{}
	dismissed    bool
}

var (
	_ gortsplib.ServerHandlerOnConnClose        = (*handler)(nil)
	_ gortsplib.ServerHandlerOnSessionOpen      = (*handler)(nil)
	_ gortsplib.ServerHandlerOnSessionClose     = (*handler)(nil)
	_ gortsplib.ServerHandlerOnRequest          = (*handler)(nil)
	_ gortsplib.ServerHandlerOnResponse         = (*handler)(nil)
	_ gortsplib.ServerHandlerOnDescribe         = (*handler)(nil)
	_ gortsplib.ServerHandlerOnAnnounce         = (*handler)(nil)
	_ gortsplib.ServerHandlerOnSetup            = (*handler)(nil)
	_ gortsplib.ServerHandlerOnPlay             = (*handler)(nil)
	_ gortsplib.ServerHandlerOnRecord           = (*handler)(nil)
	_ gortsplib.ServerHandlerOnPacketsLost      = (*handler)(nil)
	_ gortsplib.ServerHandlerOnDecodeError      = (*handler)(nil)
	_ gortsplib.ServerHandlerOnStreamWriteError = (*handler)(nil)
)

// session is what we know of a session of gortsplib. Its fields belong to the session's goroutine, but for the atomic
// ones.
type session struct {
	conn    *conn // that opened it
	peer    live.Peer
	entered bool // counted

	busy *conn // kept busy by what is played or published

	key    Request // of a publisher
	chosen chosen
	pub    atomic.Pointer[publication]

	play    Play
	stream  string
	playing time.Time // since when; zero: it never was
	tooSlow atomic.Bool
}

func (h *handler) session(ss *gortsplib.ServerSession) *session {
	s, _ := ss.UserData().(*session)
	return s
}

// guard turns a panic of f into a refusal.
func (h *handler) guard(what string, f func() *base.Response) (res *base.Response) {
	defer func() {
		if v := recover(); v != nil {
			h.s.o.Log.Error("rtsp: "+what, "error", panicked(v))
			res = respond(live.ReasonIngestError)
		}
	}()
	return f()
}

// OnConnClose is called by gortsplib.
func (h *handler) OnConnClose(ctx *gortsplib.ServerHandlerOnConnCloseCtx) {
	h.s.o.Log.Debug("rtsp: connection closed", "peer", connOf(ctx.Conn).RemoteAddr(), "error", ctx.Error)
}

// OnSessionOpen is called by gortsplib.
func (h *handler) OnSessionOpen(ctx *gortsplib.ServerHandlerOnSessionOpenCtx) {
	c := connOf(ctx.Conn)
	s := &session{conn: c, peer: live.Peer{Protocol: protocol, Remote: c.RemoteAddr().String()}}
	s.entered = h.s.sessions.enter(prefixOf(c.RemoteAddr()))
	ctx.Session.SetUserData(s)
	if !s.entered {
		ctx.Session.Close()
	}
}

// protocol is what the hub is told.
const protocol = "rtsp"

// connOf is the connection that we gave to gortsplib.
func connOf(sc *gortsplib.ServerConn) *conn {
	c, _ := sc.NetConn().(*conn)
	return c
}

// OnSessionClose is called by gortsplib.
func (h *handler) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	h.guard("at the end of a session", func() *base.Response {
		s := h.session(ctx.Session)
		if s == nil {
			return nil
		}
		if s.entered {
			h.s.sessions.leave(prefixOf(s.conn.RemoteAddr()))
		}
		if s.busy != nil {
			s.busy.end()
		}
		if s.play != nil {
			s.play.Close()
			h.logPlayed(s, ctx.Error)
		}
		if p := s.pub.Load(); p != nil {
			h.forget(p)
			p.logEnding(p.finish(h.endOf(ctx.Error)), s.peer)
		}
		return nil
	})
}

// endOf is why a session ended that was not hung up on.
func (h *handler) endOf(err error) error {
	var (
		torn  liberrors.ErrServerSessionTornDown
		timed liberrors.ErrServerSessionTimedOut
	)
	switch {
	case errors.As(err, &torn):
		return live.Refuse(live.ReasonPublisherStopped, nil)
	case errors.As(err, &timed):
		return live.Refuse(live.ReasonReadTimeout, nil)
	case h.ctx().Err() != nil:
		return live.Refuse(live.ReasonShuttingDown, nil)
	default:
		return live.Refuse(live.ReasonConnectionLost, err)
	}
}

// OnRequest is called by gortsplib before it looks at a request's body.
func (h *handler) OnRequest(sc *gortsplib.ServerConn, req *base.Request) {
	c := connOf(sc)
	c.touch()
	if len(req.Body) > h.s.o.MaxSDP {
		req.Body = nil // refused as no description
	}
	// A session belongs to the connection that it began on: gortsplib waits in its main loop for a session that is asked from
	// another one, which may be waiting for the hub.
	c.foreign = false
	if _, ok := req.Header["Session"]; ok && sc.Session() == nil {
		delete(req.Header, "Session")
		switch req.Method {
		case base.Setup, base.Announce, base.Options: // begin anew
		default:
			c.foreign = true
		}
	}
	// gortsplib lets GStreamer wait for a second with each track, which its publisher needs but its player does not.
	if t := req.Header["Transport"]; len(t) > 0 && !strings.Contains(strings.ToLower(t[0]), "record") {
		delete(req.Header, "User-Agent")
	}
}

// OnResponse is called by gortsplib before it sends a response.
func (h *handler) OnResponse(sc *gortsplib.ServerConn, res *base.Response) {
	c := connOf(sc)
	if c.foreign {
		res.StatusCode, res.StatusMessage = base.StatusSessionNotFound, ""
	}
	if strings.EqualFold(strings.Join(res.Header["Content-Type"], ""), "application/sdp") && prefixOf(c.RemoteAddr()).Addr().Is6() {
		// GStreamer takes the family of its UDP sockets from here, and gortsplib knows one.
		res.Body = bytes.Replace(res.Body, []byte("\nc=IN IP4 0.0.0.0\r"), []byte("\nc=IN IP6 ::\r"), 1)
	}
	if answer := c.answer; answer != nil {
		c.answer = nil
		h.guard("at the answer to a player", func() *base.Response {
			answer(res)
			return nil
		})
	}
}

// OnAnnounce is called by gortsplib.
func (h *handler) OnAnnounce(ctx *gortsplib.ServerHandlerOnAnnounceCtx) (*base.Response, error) {
	return h.guard("ANNOUNCE", func() *base.Response {
		s := h.session(ctx.Session)
		key, err := parsePath(ctx.Path)
		if err != nil {
			return &base.Response{StatusCode: base.StatusNotFound, StatusMessage: "Publish to rtsp://HOST/live/KEY."}
		}
		c, err := choose(ctx.Description, h.s.o.Transcoder != nil)
		if err != nil {
			h.logRefused(s.peer, err)
			return respond(live.ReasonOf(err))
		}
		if agent := ctx.Request.Header["User-Agent"]; len(agent) > 0 {
			s.peer.Encoder = cleanName(agent[0])
		}
		s.key, s.chosen = Request{Key: key, Params: parseQuery(ctx.Query), Peer: s.peer}, c
		return ok()
	}), nil
}

// OnSetup is called by gortsplib, for each track of who publishes or plays.
func (h *handler) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	var stream *gortsplib.ServerStream
	res := h.guard("SETUP", func() *base.Response {
		if ctx.Session.State() == gortsplib.ServerSessionStatePreRecord {
			return ok()
		}
		s := h.session(ctx.Session)
		if s.play == nil {
			play, err := h.open(ctx.Path, ctx.Query, s.peer)
			if err != nil {
				return respond(live.ReasonOf(err))
			}
			s.play = play
			s.stream, _ = parsePath(ctx.Path)
		}
		if name, err := parsePath(ctx.Path); err != nil || name != s.stream {
			return respond(live.ReasonProtocolError) // the right to play was asked for another one
		}
		stream = s.play.Stream()
		return ok()
	})
	if res.StatusCode != base.StatusOK {
		stream = nil
	}
	return res, stream, nil
}

// OnDescribe is called by gortsplib.
func (h *handler) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	var stream *gortsplib.ServerStream
	res := h.guard("DESCRIBE", func() *base.Response {
		c := connOf(ctx.Conn)
		play, err := h.open(ctx.Path, ctx.Query, live.Peer{Protocol: protocol, Remote: c.RemoteAddr().String()})
		if err != nil {
			return respond(live.ReasonOf(err))
		}
		defer play.Close()
		stream = play.Stream()
		return ok()
	})
	return res, stream, nil
}

func (h *handler) open(path, query string, peer live.Peer) (Play, error) {
	name, err := parsePath(path)
	if err != nil || h.s.o.Player == nil {
		err = live.Refuse(live.ReasonNotLive, err)
		h.logRefused(peer, err)
		return nil, err
	}
	ctx, cancel := context.WithTimeout(h.ctx(), h.s.o.IdleTimeout)
	defer cancel()
	play, err := h.s.o.Player.Open(ctx, h.lib, PlayRequest{Stream: name, Token: tokenOf(query), Peer: peer})
	if err != nil {
		h.logRefused(peer, err, "stream", name)
	}
	return play, err
}

// OnPlay is called by gortsplib, and again where a player asks twice.
func (h *handler) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	return h.guard("PLAY", func() *base.Response {
		s := h.session(ctx.Session)
		if ctx.Session.State() == gortsplib.ServerSessionStatePlay {
			return ok()
		}
		c := connOf(ctx.Conn)
		h.occupy(s, c)
		c.answer = s.play.Answered
		s.play.Begin(ctx.Session)
		s.playing = h.s.o.Now()
		h.s.o.Log.Info("rtsp: playing", "protocol", s.peer.Protocol, "peer", s.peer.Remote, "stream", s.stream,
			"transport", ctx.Session.SetuppedTransport().String())
		return ok()
	}), nil
}

// occupy keeps the connection open on which play or publish was asked for.
func (h *handler) occupy(s *session, c *conn) {
	c.begin()
	s.busy = c
}

// OnRecord is called by gortsplib.
func (h *handler) OnRecord(ctx *gortsplib.ServerHandlerOnRecordCtx) (*base.Response, error) {
	return h.guard("RECORD", func() *base.Response {
		s := h.session(ctx.Session)
		within, cancel := context.WithTimeout(h.ctx(), h.s.o.IdleTimeout)
		defer cancel()
		p, feed, err := h.s.o.Admit(within, s.key)
		if err != nil {
			h.logRefused(s.peer, err, "encoder", s.peer.Encoder)
			return refusal(err)
		}
		h.publish(s, ctx.Session, p, feed)
		h.occupy(s, connOf(ctx.Conn))
		return ok()
	}), nil
}

// publish begins a publication whose packets come from ss.
func (h *handler) publish(s *session, ss *gortsplib.ServerSession, p Publisher, feed Feed) {
	log := h.s.o.Log.With("protocol", s.peer.Protocol, "peer", s.peer.Remote, "stream", p.Stream())
	pub := newPublication(p, feed, s.chosen, h.limits(), log, h.s.o.Now, ss.Close)
	s.pub.Store(pub)
	s.chosen.bind(pub, ss)
	h.remember(pub)
	log.Info("rtsp: publishing", "encoder", s.peer.Encoder, "transport", ss.SetuppedTransport().String())
	s.chosen.logLeft(log)
}

func (h *handler) limits() *limits {
	o := &h.s.o
	return &limits{maxFrame: o.MaxFrame, firstTimeout: o.FirstFrameTimeout, readTimeout: o.ReadTimeout, transcoder: o.Transcoder}
}

// source is where packets come from: a session of the server, or a client.
type source interface {
	OnPacketRTP(m *description.Media, f format.Format, cb gortsplib.OnPacketRTPFunc)
	OnPacketRTCP(m *description.Media, cb gortsplib.OnPacketRTCPFunc)
}

// bind gives pub the packets of the chosen tracks.
func (c *chosen) bind(pub *publication, from source) {
	for kind, t := range [media.Kinds]*videoAudio{media.Video: c.video, media.Audio: c.audio} {
		if t == nil || media.Kind(kind) == media.Audio && pub.audio == nil {
			continue
		}
		from.OnPacketRTP(t.media, t.format, func(pkt *rtp.Packet) { pub.packet(media.Kind(kind), pkt) })
		from.OnPacketRTCP(t.media, func(pkt rtcp.Packet) { pub.report(media.Kind(kind), pkt) })
	}
}

// OnPacketsLost is called by gortsplib.
func (h *handler) OnPacketsLost(ctx *gortsplib.ServerHandlerOnPacketsLostCtx) {
	if s := h.session(ctx.Session); s != nil {
		if p := s.pub.Load(); p != nil {
			p.lostPackets(ctx.Lost)
		}
	}
}

// OnDecodeError is called by gortsplib for packets that are no RTP, of another source or of no track.
func (h *handler) OnDecodeError(*gortsplib.ServerHandlerOnDecodeErrorCtx) {}

// OnStreamWriteError is called by gortsplib, in the goroutine that writes to all players, for one whose queue is full.
func (h *handler) OnStreamWriteError(ctx *gortsplib.ServerHandlerOnStreamWriteErrorCtx) {
	if s := h.session(ctx.Session); s != nil && !s.tooSlow.Swap(true) {
		ctx.Session.Close()
	}
}

func (h *handler) remember(p *publication) {
	h.mu.Lock()
	h.publications[p] = struct{}{}
	late := h.dismissed
	h.mu.Unlock()
	if late {
		p.fail(live.Refuse(live.ReasonShuttingDown, nil))
	}
}

func (h *handler) forget(p *publication) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.publications, p)
}

// dismiss drops every publisher because the server shuts down.
func (h *handler) dismiss() {
	h.mu.Lock()
	h.dismissed = true
	var all []*publication
	for p := range h.publications {
		all = append(all, p)
	}
	h.mu.Unlock()
	for _, p := range all {
		p.fail(live.Refuse(live.ReasonShuttingDown, fmt.Errorf("rtsp: the listener closed")))
	}
}
