package rtmp

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/ingest/ingesttest"
	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/amf0"
	"mediad/media/chunk"
)

func TestWhatOtherServersDieOf(t *testing.T) {
	picture := func(c *client, ms uint32, seed byte) error {
		return c.sendVideo(ms, 0x17, 1, 0, nals(4, append([]byte{0x65, 0x88, 0x84}, fill(400, seed)...)))
	}
	for _, tc := range []struct {
		name string
		send func(c *client) error // sends exactly one picture, with seed 7
	}{
		{"empty messages", func(c *client) error {
			for _, typ := range []byte{chunk.TypeVideo, chunk.TypeAudio, chunk.TypeDataAMF0, chunk.TypeCommandAMF0} {
				if err := c.chunks(0, 6, 0, typ, c.streamID, nil); err != nil {
					return err
				}
			}
			return picture(c, 0, 7)
		}},
		{"abort in the middle of a message", func(c *client) error {
			half := c.Encode(0, 6, 0, chunk.TypeVideo, c.streamID, fill(400, 1))[:12+128]
			if err := c.raw(half); err != nil {
				return err
			}
			if err := c.chunks(0, 2, 0, chunk.TypeAbort, 0, be32(6)); err != nil {
				return err
			}
			return picture(c, 0, 7)
		}},
		{"aggregate", func(c *client) error {
			body := testx.Cat(0x17, 1, 0, 0, 0, nals(4, append([]byte{0x65, 0x88, 0x84}, fill(400, 7)...)))
			part := func(typ byte, ms uint32, b []byte) []byte {
				n := len(b)
				h := []byte{typ, byte(n >> 16), byte(n >> 8), byte(n), byte(ms >> 16), byte(ms >> 8), byte(ms), byte(ms >> 24), 0, 0, 0}
				return append(append(h, b...), be32(uint32(n+11))...)
			}
			return c.chunks(0, 6, 0, chunk.TypeAggregate, c.streamID, testx.Cat(part(chunk.TypeAudio, 0x01000000, testx.Cat(0xAF, 1, "x")), part(chunk.TypeVideo, 0x01000000, body)))
		}},
		{"AMF 3", func(c *client) error {
			if err := c.chunks(0, 3, 0, chunk.TypeDataAMF3, c.streamID, testx.Cat(0, amf0.Append(nil, "onMetaData", amf0.Object{{"framerate", 25}}))); err != nil {
				return err
			}
			if err := c.chunks(0, 3, 0, chunk.TypeCommandAMF3, 0, testx.Cat(0, amf0.Append(nil, "_checkbw", 0, nil))); err != nil {
				return err
			}
			return picture(c, 0, 7)
		}},
		{"unknown types", func(c *client) error {
			for _, typ := range []byte{0, 7, 10, 16, 19, 21, 23, 30, 255} {
				if err := c.chunks(0, 7, 0, typ, c.streamID, fill(200, typ)); err != nil {
					return err
				}
			}
			return picture(c, 0, 7)
		}},
		{"times beyond 24 bits", func(c *client) error { return picture(c, 16777216, 7) }},
		{"times beyond 24 bits, not repeated", func(c *client) error {
			c.NoRepeat = true
			return picture(c, 16777216, 7)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, Options{})
			c, pub := r.onAir(t)
			require.NoError(t, tc.send(c))
			require.NoError(t, picture(c, 16777216+33, 8))
			pub.AwaitUnits(t, media.Video, 2)
			units := pub.Units(media.Video)
			require.Equal(t, fill(400, 7), units[0].Data[7:])
			require.Equal(t, fill(400, 8), units[1].Data[7:])
			require.NoError(t, c.Stop())
			require.Equal(t, live.ReasonPublisherStopped, pub.AwaitClosed(t))
		})
	}
}

func TestPeerThatBreaksTheRulesIsTold(t *testing.T) {
	for _, tc := range []struct {
		name string
		send func(c *client) error
		want live.Reason
	}{
		{"too many chunk streams", func(c *client) error {
			for id := byte(3); id < 63; id++ {
				if err := c.chunks(0, id, 0, chunk.TypeAudio, 1, []byte{0xAF, 1, 9}); err != nil {
					return err
				}
			}
			for i := range byte(8) {
				// The server need not read them all.
				_ = c.raw([]byte{0, i, 0, 0, 0, 0, 0, 3, 8, 1, 0, 0, 0, 0xAF, 1, 9})
			}
			return nil
		}, live.ReasonProtocolError},
		{"codec", func(c *client) error { return c.chunks(0, 4, 0, chunk.TypeAudio, 1, testx.Cat(0x90, "ac-3")) }, live.ReasonCodecUnsupported},
		{"frame too large", func(c *client) error { return c.raw([]byte{6, 0, 0, 0, 1, 0, 1, chunk.TypeVideo, 1, 0, 0, 0, 0x17}) }, live.ReasonFrameTooLarge},
		{"nonsense as command", func(c *client) error { return c.chunks(0, 3, 0, chunk.TypeCommandAMF0, 0, []byte("nonsense")) }, live.ReasonProtocolError},
		{"no media", func(c *client) error { return nil }, live.ReasonNoMedia},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, Options{MaxFrame: 65536, FirstFrameTimeout: 500 * time.Millisecond, ReadTimeout: 10 * time.Second})
			c, pub := r.onAir(t)
			require.NoError(t, tc.send(c))
			require.Contains(t, c.Told(t.Context()), tc.want.Text())
			require.Equal(t, tc.want, pub.AwaitClosed(t))
			r.stop()
			lines := r.endings()
			require.Len(t, lines, 1)
			require.Contains(t, lines[0], "reason="+string(tc.want))
			require.Contains(t, lines[0], "stream=stream-of-secret-key")
		})
	}
}

func TestPlainPeerOnTheSecurePort(t *testing.T) {
	log := &testx.Buffer{}
	ctx, cancel := context.WithCancel(t.Context())
	addr, wait := start(ctx, t, ingesttest.NewHub(), Options{Log: slog.New(slog.NewTextHandler(log, nil))}, true)
	c := newClient(t)
	require.Error(t, c.dial(addr, false))
	c.Close()
	cancel()
	wait()
	require.Contains(t, log.String(), "reason=protocol_error")
	require.Contains(t, log.String(), "TLS")
}

func TestPanicEndsOneConnection(t *testing.T) {
	r := newRig(t, Options{})
	o := Options{Admit: func(ctx context.Context, q Request) (Publisher, Feed, error) {
		p, err := r.hub.Admit(ctx, q.Key, q.Peer)
		return p, bomb{p}, err
	}}.withDefaults()
	log := &testx.Buffer{}
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		newConn(&o, ours).run(t.Context())
	}()
	c := newClient(t)
	require.NoError(t, c.shake(theirs))
	require.NoError(t, c.open("live"))
	require.NoError(t, c.publish("secret-key"))
	pub := r.hub.Next(t, 0)
	require.NoError(t, c.configs())
	require.Contains(t, c.Told(t.Context()), live.ReasonIngestError.Text())
	require.Equal(t, live.ReasonIngestError, pub.AwaitEnd(t))
	c.Close()
	<-done
	require.Contains(t, log.String(), "reason=ingest_error")
}

func TestPeerThatTakesNothingIsCut(t *testing.T) {
	hub := ingesttest.NewHub("k")
	o := Options{Admit: admit(hub), WriteTimeout: time.Hour, ReadTimeout: time.Hour}.withDefaults()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		newConn(&o, ours).run(t.Context())
	}()
	peer := &deafConn{Conn: theirs, deaf: make(chan struct{}), closed: make(chan struct{})}
	c := newClient(t)
	require.NoError(t, c.shake(peer))
	require.NoError(t, c.open("live"))
	require.NoError(t, c.publish("k"))
	pub := hub.Next(t, 0)
	close(peer.deaf)
	// The server is stuck in its answer to the second of these at the latest.
	require.NoError(t, c.chunks(0, 2, 0, chunk.TypeUserControl, 0, []byte{0, 6, 1, 2, 3, 4}))
	require.NoError(t, c.chunks(0, 2, 0, chunk.TypeUserControl, 0, []byte{0, 6, 1, 2, 3, 4}))
	pub.End(live.Refuse(live.ReasonReplaced, nil))
	pub.AwaitEnd(t)
	c.Close()
	<-done
}

// deafConn reads nothing once deaf is closed.
type deafConn struct {
	net.Conn
	deaf, closed chan struct{}
}

func (c *deafConn) Read(p []byte) (int, error) {
	select {
	case <-c.deaf:
		<-c.closed
		return 0, net.ErrClosed
	default:
		return c.Conn.Read(p)
	}
}

func (c *deafConn) Close() error {
	close(c.closed)
	return c.Conn.Close()
}

// bomb is a feed with a fault.
type bomb struct{ *ingesttest.Publication }

func (bomb) Track(media.Kind, *media.Track) error { panic("a fault of ours") }
func (bomb) Flush()                               { panic("and another") }

func TestAcknowledgementsCountWhatIsOnTheWire(t *testing.T) {
	r := newRig(t, Options{})
	c, _ := r.onAir(t)
	const window = 20000
	require.NoError(t, c.chunks(0, 2, 0, chunk.TypeWindowAckSize, 0, be32(window)))
	c.setChunkSize(4096)
	sent := 0
	for range 40 {
		b := c.Encode(0, 6, 0, chunk.TypeVideo, c.streamID, testx.Cat(0x17, 1, 0, 0, 0, nals(4, append([]byte{0x65, 0x88}, fill(8000, 1)...))))
		sent += len(b)
		require.NoError(t, c.raw(b))
	}
	require.NoError(t, c.await(func() bool { return len(c.acks) > 0 && int(c.acks[len(c.acks)-1]) > sent-window }))
	c.mu.Lock()
	defer c.mu.Unlock()
	last := uint32(3073) // the handshake counts
	for _, a := range c.acks {
		require.Greater(t, a, last)
		require.LessOrEqual(t, int(a-last), sent+3073)
		last = a
	}
	require.LessOrEqual(t, int(last), sent+3073+4000, "more than was sent")
}
