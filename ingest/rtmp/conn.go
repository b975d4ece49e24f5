package rtmp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yutopp/go-rtmp"
	rtmpmsg "github.com/yutopp/go-rtmp/message"

	"mediad/live"
	"mediad/media/chunk"
)

const (
	// maxEarlyMessage bounds messages until a publisher is accepted: commands have some hundred bytes.
	maxEarlyMessage = 64 << 10
	// maxEarlyPending bounds all unfinished ones together until then.
	maxEarlyPending = 256 << 10
	// maxOtherMessage bounds what is not audio or video: the onMetaData of a file that is pushed can hold the
	// position of every key frame.
	maxOtherMessage = 1 << 20
)

// errIdle ends a connection that stopped publishing and did nothing more.
var errIdle = live.Refuse(live.ReasonReadTimeout, errors.New("rtmp: idle after the end of the broadcast"))

// conn is one peer. Its life is run (logs, once) → runInner (go-rtmp and its end) → publish (one publication).
type conn struct {
	o    *Options
	log  *slog.Logger
	peer live.Peer
	wire *wire
	gate gate

	// admit asks the hub; it is bound to the connection's context.
	admit    func(Request) (Publisher, Feed, error)
	watchers sync.WaitGroup
	stream   atomic.Uint32 // message stream that is published on, for a last word

	// The rest belongs to go-rtmp's reading goroutine, and to run once that has ended.
	began    time.Time
	admitted bool // a key was accepted once
	pub      *publication
	over     chan struct{} // closed when pub ends
	waiting  bool          // for the first access unit of pub
	ended    *ending       // not logged yet
	said     bool          // the encoder stopped, which was logged; nothing came after
	closed   bool
}

func newConn(o *Options, nc net.Conn) *conn {
	c := &conn{o: o, peer: live.Peer{Protocol: "rtmp", Remote: nc.RemoteAddr().String()}, began: o.Now()}
	if _, ok := nc.(*tls.Conn); ok {
		c.peer.Protocol = "rtmps"
	}
	c.log = o.Log.With("protocol", c.peer.Protocol, "peer", c.peer.Remote)
	c.wire = newWire(nc, c.limit, maxEarlyPending)
	c.wire.readTimeout, c.wire.writeTimeout, c.wire.now = o.ReadTimeout, o.WriteTimeout, o.Now
	c.wire.receive, c.wire.failed = c.receive, c.failed
	c.wire.enter(o.HandshakeTimeout, live.Refuse(live.ReasonNoMedia, fmt.Errorf("rtmp: nothing published within %v", o.HandshakeTimeout)))
	c.gate.wire = c.wire
	c.wire.sent = c.gate.sent
	return c
}

// run carries the connection to its end. It returns when the socket is closed, and cancelling ctx makes it so.
func (c *conn) run(ctx context.Context) {
	c.runInner(ctx)
	c.logEnding()
}

func (c *conn) runInner(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	dismissed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(dismissed)
		c.dismiss(live.Refuse(live.ReasonShuttingDown, nil))
	})
	defer func() {
		if !stop() {
			<-dismissed
		}
		cancel()
		c.watchers.Wait()
	}()
	c.admit = func(r Request) (Publisher, Feed, error) {
		ctx, cancel := context.WithTimeout(ctx, c.o.HandshakeTimeout)
		defer cancel()
		return c.o.Admit(ctx, r)
	}

	// go-rtmp serves listeners only, each connection in a goroutine that nobody waits for; and it spins when a
	// listener fails before its Close. A listener with this one connection makes both sound: Serve returns when go-rtmp
	// has closed the connection.
	_ = c.wire.SetWriteDeadline(c.o.Now().Add(c.o.HandshakeTimeout)) // of the TLS handshake, which writes in a read
	l := newOneListener(c.wire)
	srv := rtmp.NewServer(&rtmp.ServerConfig{OnConnect: func(nc net.Conn) (io.ReadWriteCloser, *rtmp.ConnConfig) {
		return nc, c.libraryConfig()
	}})
	c.wire.closed = func() { _ = srv.Close() }
	_ = srv.Serve(l) // always ErrClosed
}

func (c *conn) libraryConfig() *rtmp.ConnConfig {
	return &rtmp.ConnConfig{
		Handler: &handler{c: c},
		// Encoders that do the handshake of Flash 9 do not echo what they were sent.
		SkipHandshakeVerification: true,
		ControlState: rtmp.StreamControlStateConfig{
			DefaultAckWindowSize:       ackWindow,
			DefaultBandwidthWindowSize: ackWindow,
			DefaultBandwidthLimitType:  rtmpmsg.LimitTypeDynamic,
			MaxChunkStreams:            16,
			MaxMessageStreams:          maxMessageStreams,
		},
		// Logger stays nil, which silences go-rtmp: it logs stream keys.
	}
}

// handler is what go-rtmp calls; what is not here has been answered before it.
type handler struct {
	rtmp.DefaultHandler
	c *conn
}

func (h *handler) OnPublish(ctx *rtmp.StreamContext, _ uint32, cmd *rtmpmsg.NetStreamPublish) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = h.c.failed(panicked(v))
		}
	}()
	if err := h.c.publish(ctx.StreamID, cmd.PublishingName); err != nil {
		return h.c.failed(err)
	}
	h.c.gate.published[ctx.StreamID] = true
	return nil
}

func (h *handler) OnClose() {
	_ = h.c.failed(live.Refuse(live.ReasonProtocolError, errors.New("rtmp: command out of order")))
}

// limit is the longest message that is taken now.
func (c *conn) limit(typ uint8) uint32 {
	switch {
	case !c.admitted:
		return maxEarlyMessage
	case isMedia(typ):
		return uint32(c.o.MaxFrame)
	default:
		return maxOtherMessage
	}
}

func isMedia(typ uint8) bool {
	return typ == chunk.TypeAudio || typ == chunk.TypeVideo || typ == chunk.TypeAggregate
}

// receive takes every message of the peer.
func (c *conn) receive(m chunk.Message) error {
	switch m.Type {
	case chunk.TypeVideo, chunk.TypeAudio:
		if c.pub == nil {
			return nil // the rest of what was under way when the encoder stopped
		}
		if err := c.pub.media(m); err != nil {
			return err
		}
		if c.waiting && c.pub.units > 0 {
			c.waiting = false
			c.wire.enter(0, nil)
		}
		return nil
	case chunk.TypeAggregate:
		return split(m, c.receive)
	case chunk.TypeDataAMF3:
		return c.receive(chunk.Message{Type: chunk.TypeDataAMF0, Stream: m.Stream, Timestamp: m.Timestamp, Payload: m.Payload[1:]})
	case chunk.TypeDataAMF0:
		if c.pub != nil {
			c.pub.data(m.Payload)
		}
		return nil
	case chunk.TypeCommandAMF3:
		return c.receive(chunk.Message{Type: chunk.TypeCommandAMF0, Stream: m.Stream, Timestamp: m.Timestamp, Payload: m.Payload[1:]})
	case chunk.TypeCommandAMF0:
		return c.command(m)
	default:
		return c.gate.control(m)
	}
}

// command works off a command, or lets go-rtmp do it.
func (c *conn) command(m chunk.Message) error {
	cmd, err := parseCommand(m)
	if err != nil {
		return live.Refuse(live.ReasonProtocolError, err)
	}
	if c.gate.connect == nil && cmd.name != "connect" {
		return live.Refuse(live.ReasonProtocolError, errors.New("rtmp: command before connect"))
	}
	switch cmd.name {
	case "connect":
		return c.connect(cmd)
	case "createStream":
		c.gate.pass(cmd, 0, nil)
	case "publish":
		return c.publishCommand(cmd)
	case "play", "play2":
		c.wire.sendLast(statusChunks, playRefused.message(cmd.stream))
		return live.Refuse(live.ReasonProtocolError, errors.New("rtmp: asked to play"))
	case "deleteStream":
		id := cmd.number()
		if err := c.stopped(id); err != nil {
			return err
		}
		c.gate.deleteStream(cmd, id)
	case "closeStream":
		return c.stopped(m.Stream)
	case "FCUnpublish":
		if err := c.gate.answer(cmd, nil); err != nil {
			return err
		}
		return c.stopped(0)
	case "getStreamLength":
		return c.gate.answer(cmd, 0)
	case "releaseStream", "FCPublish", "_checkbw", "checkBandwidth", "setPeerInfo", "ping":
		return c.gate.answer(cmd, nil)
	}
	return nil // results of calls that we never made, and what vendors have added
}

func (c *conn) connect(cmd command) error {
	if c.gate.connect != nil {
		return nil
	}
	info, err := parseConnect(cmd.transaction, cmd.args)
	if err != nil {
		return live.Refuse(live.ReasonProtocolError, err)
	}
	if _, _, err := parseApp(info.App); err != nil {
		c.wire.sendLast(commandChunks, chunk.Message{Type: chunk.TypeCommandAMF0, Payload: info.refusal(wrongApp)})
		return live.Refuse(live.ReasonProtocolError, err)
	}
	c.gate.connect = &info
	c.peer.Encoder = info.FlashVer
	c.log.Debug("rtmp: connect", "encoder", info.FlashVer, "four_ccs", info.FourCCs, "caps_ex", info.CapsEx)
	c.gate.passConnect(cmd)
	return nil
}

// publishCommand leaves the first publish of a message stream to go-rtmp, which then answers no other one.
func (c *conn) publishCommand(cmd command) error {
	name := cmd.text()
	if !c.gate.open(cmd.stream) {
		return live.Refuse(live.ReasonProtocolError, fmt.Errorf("rtmp: publish on message stream %d, which is not open", cmd.stream))
	}
	if !c.gate.published[cmd.stream] {
		c.gate.pass(cmd, cmd.stream, nil, name, "live")
		return nil
	}
	if err := c.publish(cmd.stream, name); err != nil {
		return err
	}
	return c.wire.send(statusChunks, publishStarted.message(cmd.stream))
}

// publish asks the hub and begins a publication. One that is under way on this connection is over then.
func (c *conn) publish(stream uint32, name string) error {
	if err := c.stopped(0); err != nil {
		return err
	}
	c.said = false
	c.stream.Store(stream)
	t, err := parseTarget(c.gate.connect.App, name)
	if err != nil {
		err = live.Refuse(live.ReasonStreamKeyInvalid, err)
	} else {
		var p Publisher
		var f Feed
		if p, f, err = c.admit(Request{Key: t.Key, Params: t.Params, Peer: c.peer}); err == nil {
			c.begin(stream, p, f)
			return nil
		}
	}
	c.wire.sendLast(statusChunks, refusalOf(live.ReasonOf(err)).message(stream))
	return err
}

func (c *conn) begin(stream uint32, p Publisher, f Feed) {
	c.pub = newPublication(p, f, stream, c.peer.Encoder, c.o.Now())
	c.admitted, c.waiting = true, true
	c.wire.enter(c.o.FirstFrameTimeout, live.Refuse(live.ReasonNoMedia, nil))
	c.wire.in.MaxPending = c.o.MaxFrame + maxOtherMessage
	over := make(chan struct{})
	c.over = over
	c.watchers.Go(func() {
		select {
		case <-over:
		case <-p.Done():
			select {
			case <-over: // Done because we closed it
			default:
				c.dismiss(p.Err())
			}
		}
	})
	c.log.Info("rtmp: publishing", "stream", p.Stream(), "encoder", c.peer.Encoder)
}

// stopped is the encoder's word that it is done with a message stream; 0 is any.
func (c *conn) stopped(stream uint32) error {
	if c.pub == nil || stream != 0 && stream != c.pub.stream {
		return nil
	}
	id := c.pub.stream
	c.unpublish(live.Refuse(live.ReasonPublisherStopped, nil))
	c.logEnding()
	c.said = true
	c.wire.enter(c.o.HandshakeTimeout, errIdle)
	return c.wire.send(statusChunks, statusOf(live.ReasonPublisherStopped).message(id))
}

// unpublish ends the publication, if there is one.
func (c *conn) unpublish(err error) {
	p := c.pub
	if p == nil {
		return
	}
	c.pub = nil
	close(c.over)
	if fault := p.finish(live.ReasonOf(err)); fault != nil {
		c.log.Error("rtmp: at the end of a broadcast", "stream", p.Stream(), "error", fault)
	}
	c.ended = &ending{
		err: err, stream: p.Stream(), session: sessionID(p.Publisher), encoder: p.encoder,
		took: c.o.Now().Sub(p.began), bytes: c.wire.received, units: p.units, bad: p.bad, ignored: p.ignored,
	}
}

// dismiss ends the connection from outside: the encoder is told why, and gone within a second.
func (c *conn) dismiss(err error) {
	if err == nil {
		err = live.Refuse(live.ReasonUnspecified, nil)
	}
	c.wire.dismiss(endOf(err).message(c.stream.Load()), err)
}

// failed ends the connection from inside, once. What it returns is for go-rtmp, which has no say in it any more.
func (c *conn) failed(err error) error {
	if c.closed {
		return io.EOF
	}
	c.closed = true
	err = c.reasoned(err)
	if r := live.ReasonOf(err); r.Class() != live.ClassDrop || r == live.ReasonNoMedia {
		c.wire.sendLast(statusChunks, endOf(err).message(c.stream.Load()))
	}
	switch {
	case c.pub != nil:
		c.unpublish(err)
	case !c.said:
		c.ended = &ending{err: err, encoder: c.peer.Encoder, took: c.o.Now().Sub(c.began), bytes: c.wire.received}
	}
	return io.EOF
}
