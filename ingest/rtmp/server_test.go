package rtmp

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/ingest/ingesttest"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
)

// bench is a server with a hub, and what it logs.
type rig struct {
	hub  *ingesttest.Hub
	addr string
	log  *lockedBuffer
	stop func()
}

func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &rig{hub: ingesttest.NewHub("secret-key", "other-key"), log: &lockedBuffer{}}
	o.Log = slog.New(slog.NewTextHandler(io.MultiWriter(r.log, t.Output()), &slog.HandlerOptions{Level: slog.LevelDebug}))
	addr, wait := start(t, ctx, r.hub, o, false)
	r.addr = addr
	r.stop = sync.OnceFunc(func() { cancel(); wait() })
	t.Cleanup(r.stop)
	return r
}

func (r *rig) client(t *testing.T) *client {
	t.Helper()
	c := newClient(t)
	t.Cleanup(c.Close)
	require.NoError(t, c.dial(r.addr, false))
	return c
}

// onAir is a client that publishes and has sent its configurations.
func (r *rig) onAir(t *testing.T) (*client, *ingesttest.Publication) {
	t.Helper()
	c := r.client(t)
	require.NoError(t, c.open("live"))
	require.NoError(t, c.publish("secret-key"))
	pub := r.hub.Next(t, 0)
	require.NoError(t, c.configs())
	return c, pub
}

// endings are the log lines about ends.
func (r *rig) endings() (out []string) {
	for l := range strings.Lines(r.log.String()) {
		if strings.Contains(l, "rtmp: connection ended") || strings.Contains(l, "rtmp: refused") {
			out = append(out, l)
		}
	}
	return out
}

func TestKeyMayStandInNameOrURL(t *testing.T) {
	r := newRig(t, Options{})
	for i, c := range []struct{ app, name string }{
		{"live", "secret-key"},
		{"live/", "secret-key"},
		{"live", "secret-key?obsConfigId=1&x=%zz"},
		{"live/secret-key", ""},
		{"live/secret-key", "whatever"},
		{"live/secret-key?a=b", "?c=d"},
		{"/live/secret-key/", "stream"},
	} {
		cl := r.client(t)
		require.NoError(t, cl.open(c.app), "%+v", c)
		require.NoError(t, cl.publish(c.name), "%+v", c)
		pub := r.hub.Next(t, i)
		require.Equal(t, "stream-of-secret-key", pub.Stream())
		require.NoError(t, cl.Stop())
		require.Equal(t, live.ReasonPublisherStopped, pub.AwaitClosed(t))
	}
}

func TestTargetKeepsParameters(t *testing.T) {
	got, err := parseTarget("live?a=1&b=2", "key?b=3&c=4")
	require.NoError(t, err)
	require.Equal(t, "key", got.Key)
	require.Equal(t, "a=1&b=3&c=4", got.Params.Encode())
	for _, c := range [][2]string{{"live", ""}, {"live", "?token=x"}, {"live/", "/"}} {
		_, err := parseTarget(c[0], c[1])
		require.ErrorIs(t, err, errNoKey, "%q", c)
	}
	for _, app := range []string{"", "vod", "lively", "live2/key", "app/live"} {
		_, err := parseTarget(app, "key")
		require.ErrorIs(t, err, errApplication, app)
	}
}

func TestOtherApplicationIsRefused(t *testing.T) {
	r := newRig(t, Options{})
	err := r.client(t).open("vod")
	require.ErrorContains(t, err, codeConnectRejected)
	require.ErrorContains(t, err, "rtmp://HOST/live")
	r.stop()
	require.Len(t, r.endings(), 1)
}

func TestPlayIsRefused(t *testing.T) {
	r := newRig(t, Options{})
	c := r.client(t)
	require.NoError(t, c.open("live"))
	_, err := c.call("play", c.streamID, nil, "secret-key")
	require.NoError(t, err)
	require.ErrorContains(t, c.status(0), codePlayFailed)
	require.Contains(t, c.Told(t.Context()), "HLS")
}

func TestConnectAnnouncesWhatWeHave(t *testing.T) {
	r := newRig(t, Options{})
	c := r.client(t)
	require.NoError(t, c.open("live", amfField{"fourCcList", []any{"hvc1", "av01", 5}}, amfField{"capsEx", 15}, amfField{"fpad", 0},
		amfField{"videoFourCcInfoMap", amfFields{{"*", 4}}}))
	h, err := c.result(1)
	require.NoError(t, err)
	props := h.values[1].(map[string]any)
	require.Equal(t, []any{"avc1", "hvc1", "av01", "vp09", "mp4a", "Opus"}, props["fourCcList"])
	require.Equal(t, map[string]any{"mp4a": 4.0, "Opus": 4.0}, props["audioFourCcInfoMap"])
	require.Equal(t, float64(capsModEx|capsNanoOffset), props["capsEx"])
	require.Equal(t, "NetConnection.Connect.Success", h.values[2].(map[string]any)["code"])
	require.Contains(t, r.log.String(), "four_ccs=\"[hvc1 av01 *]\" caps_ex=15")
}

func TestCallsOfOlderEncodersAreAnswered(t *testing.T) {
	r := newRig(t, Options{})
	c := r.client(t)
	for i, name := range []string{"connect", "releaseStream", "FCPublish", "getStreamLength", "_checkbw", "createStream"} {
		var arg any
		if name == "connect" {
			arg = amfFields{{"app", "live"}}
		}
		tx, err := c.call(name, 0, arg, "secret-key")
		require.NoError(t, err)
		require.Equal(t, i+1, tx)
		_, err = c.result(tx)
		require.NoError(t, err, name)
	}
	// Nobody waits for these.
	for _, name := range []string{"_result", "onBWDone", "something else"} {
		_, err := c.call(name, 0, nil)
		require.NoError(t, err)
	}
	// Ping request, in the form of a user control message.
	require.NoError(t, c.chunks(0, 2, 0, typeUserControl, 0, []byte{0, 6, 1, 2, 3, 4}))
	require.NoError(t, c.await(func() bool {
		for _, h := range c.heard {
			if h.name == "control 000701020304" {
				return true
			}
		}
		return false
	}))
	c.streamID = 1
	require.NoError(t, c.publish("secret-key"))
}

func TestSecondPublishOnOneConnection(t *testing.T) {
	r := newRig(t, Options{})
	c, one := r.onAir(t)
	require.NoError(t, c.Send(t.Context()))
	require.NoError(t, c.Stop())
	require.Equal(t, live.ReasonPublisherStopped, one.AwaitClosed(t))
	// A new message stream, as OBS would.
	require.NoError(t, c.createStream())
	require.NoError(t, c.publish("other-key"))
	two := r.hub.Next(t, 1)
	require.Equal(t, "stream-of-other-key", two.Stream())
	// The same message stream once more, without a word of farewell.
	require.NoError(t, c.publishAfterUnpublish("secret-key"))
	three := r.hub.Next(t, 2)
	require.Equal(t, live.ReasonPublisherStopped, two.AwaitClosed(t))
	require.NoError(t, c.configs())
	require.NoError(t, c.Send(t.Context()))
	three.AwaitUnits(t, media.Video, 10)
	// closeStream, then publish on it.
	_, err := c.call("closeStream", c.streamID, nil)
	require.NoError(t, err)
	require.Equal(t, live.ReasonPublisherStopped, three.AwaitClosed(t))
	require.NoError(t, c.publishAfterUnpublish("other-key"))
	four := r.hub.Next(t, 3)
	require.NoError(t, c.Stop())
	require.Equal(t, live.ReasonPublisherStopped, four.AwaitClosed(t))
	c.Close()
	r.stop()
	require.Len(t, r.endings(), 4, "one line for each publication")
}

// publishAfterUnpublish publishes where the last publication's end is told first.
func (c *client) publishAfterUnpublish(name string) error {
	if _, err := c.call("publish", c.streamID, nil, name, "live"); err != nil {
		return err
	}
	return c.await(func() bool {
		last := c.heard[len(c.heard)-1]
		info, _ := last.values[len(last.values)-1].(map[string]any)
		return last.name == "onStatus" && info["code"] == codePublishStart
	})
}

func TestWhatOtherServersDieOf(t *testing.T) {
	picture := func(c *client, ms uint32, seed byte) error {
		return c.sendVideo(ms, 0x17, 1, 0, nals(4, append([]byte{0x65, 0x88, 0x84}, fill(400, seed)...)))
	}
	for _, tc := range []struct {
		name string
		send func(c *client) error // sends exactly one picture, with seed 7
	}{
		{"empty messages", func(c *client) error {
			for _, typ := range []byte{typeVideo, typeAudio, typeDataAMF0, typeCommandAMF0} {
				if err := c.chunks(0, 6, 0, typ, c.streamID, nil); err != nil {
					return err
				}
			}
			return picture(c, 0, 7)
		}},
		{"abort in the middle of a message", func(c *client) error {
			half := c.encode(0, 6, 0, typeVideo, c.streamID, fill(400, 1))[:12+128]
			if err := c.raw(half); err != nil {
				return err
			}
			if err := c.chunks(0, 2, 0, typeAbort, 0, be32(6)); err != nil {
				return err
			}
			return picture(c, 0, 7)
		}},
		{"aggregate", func(c *client) error {
			body := cat(0x17, 1, 0, 0, 0, nals(4, append([]byte{0x65, 0x88, 0x84}, fill(400, 7)...)))
			part := func(typ byte, ms uint32, b []byte) []byte {
				n := len(b)
				h := []byte{typ, byte(n >> 16), byte(n >> 8), byte(n), byte(ms >> 16), byte(ms >> 8), byte(ms), byte(ms >> 24), 0, 0, 0}
				return append(append(h, b...), be32(uint32(n+11))...)
			}
			return c.chunks(0, 6, 0, typeAggregate, c.streamID, cat(part(typeAudio, 0x01000000, cat(0xAF, 1, "x")), part(typeVideo, 0x01000000, body)))
		}},
		{"AMF 3", func(c *client) error {
			if err := c.chunks(0, 3, 0, typeDataAMF3, c.streamID, cat(0, appendAMF(nil, "onMetaData", amfFields{{"framerate", 25}}))); err != nil {
				return err
			}
			if err := c.chunks(0, 3, 0, typeCommandAMF3, 0, cat(0, appendAMF(nil, "_checkbw", 0, nil))); err != nil {
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
			c.noRepeat = true
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
				if err := c.chunks(0, id, 0, typeAudio, 1, []byte{0xAF, 1, 9}); err != nil {
					return err
				}
			}
			for i := range byte(8) {
				if err := c.raw([]byte{0, i, 0, 0, 0, 0, 0, 3, 8, 1, 0, 0, 0, 0xAF, 1, 9}); err != nil {
					return nil // it need not read them all
				}
			}
			return nil
		}, live.ReasonProtocolError},
		{"codec", func(c *client) error { return c.chunks(0, 4, 0, typeAudio, 1, cat(0x90, "ac-3")) }, live.ReasonCodecUnsupported},
		{"frame too large", func(c *client) error { return c.raw([]byte{6, 0, 0, 0, 1, 0, 1, typeVideo, 1, 0, 0, 0, 0x17}) }, live.ReasonFrameTooLarge},
		{"nonsense as command", func(c *client) error { return c.chunks(0, 3, 0, typeCommandAMF0, 0, []byte("nonsense")) }, live.ReasonProtocolError},
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

func TestKeyIsNeverLogged(t *testing.T) {
	r := newRig(t, Options{})
	c, pub := r.onAir(t)
	require.NoError(t, c.Stop())
	pub.AwaitClosed(t)
	wrong := r.client(t)
	require.NoError(t, wrong.open("live/wrong-key"))
	require.ErrorContains(t, wrong.publish("x"), codeBadName)
	r.stop()
	require.NotContains(t, strings.ReplaceAll(r.log.String(), "stream-of-secret-key", ""), "secret-key")
	require.NotContains(t, r.log.String(), "wrong-key")
	require.Len(t, r.endings(), 2)
}

func TestPeerThatDoesNotPublishIsClosed(t *testing.T) {
	for _, tc := range []struct {
		name  string
		hello []byte
		want  live.Reason
	}{
		{"silent", nil, live.ReasonNoMedia},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), live.ReasonProtocolError},
		{"encrypted", []byte{6}, live.ReasonProtocolError},
		{"half a handshake", append([]byte{3}, make([]byte, 1000)...), live.ReasonNoMedia},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, Options{HandshakeTimeout: 300 * time.Millisecond})
			nc, err := net.Dial("tcp", r.addr)
			require.NoError(t, err)
			defer nc.Close()
			_, err = nc.Write(tc.hello)
			require.NoError(t, err)
			require.NoError(t, nc.SetReadDeadline(time.Now().Add(20*time.Second)))
			_, err = io.Copy(io.Discard, nc)
			require.NotErrorIs(t, err, context.DeadlineExceeded)
			r.stop()
			require.Len(t, r.endings(), 1)
			require.Contains(t, r.endings()[0], "reason="+string(tc.want))
		})
	}
}

func TestPlainPeerOnTheSecurePort(t *testing.T) {
	log := &lockedBuffer{}
	ctx, cancel := context.WithCancel(t.Context())
	addr, wait := start(t, ctx, ingesttest.NewHub(), Options{Log: slog.New(slog.NewTextHandler(log, nil))}, true)
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
	log := &lockedBuffer{}
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

// bomb is a feed with a fault.
type bomb struct{ *ingesttest.Publication }

func (bomb) Track(media.Kind, *media.Track) error { panic("a fault of ours") }
func (bomb) Flush()                               { panic("and another") }

func TestAcknowledgementsCountWhatIsOnTheWire(t *testing.T) {
	r := newRig(t, Options{})
	c, _ := r.onAir(t)
	const window = 20000
	require.NoError(t, c.chunks(0, 2, 0, typeWindowAckSize, 0, be32(window)))
	c.setChunkSize(4096)
	sent := 0
	for range 40 {
		b := c.encode(0, 6, 0, typeVideo, c.streamID, cat(0x17, 1, 0, 0, 0, nals(4, append([]byte{0x65, 0x88}, fill(8000, 1)...))))
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

func TestConnectionLimits(t *testing.T) {
	r := newRig(t, Options{MaxConnsPerAddr: 2})
	r.client(t)
	second := r.client(t)
	third := newClient(t)
	defer third.Close()
	require.Error(t, third.dial(r.addr, false))
	second.Close()
	require.Eventually(t, func() bool {
		c := newClient(t)
		defer c.Close()
		return c.dial(r.addr, false) == nil
	}, 20*time.Second, 10*time.Millisecond)
	require.Contains(t, r.log.String(), "overloaded=1")
}

func TestAddressesAreCountedByHost(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1:5":              "192.0.2.1/32",
		"[::ffff:192.0.2.1]:5":     "192.0.2.1/32",
		"[2001:db8:1:2:3:4:5:6]:5": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:5":         "fe80::/64",
	} {
		a, err := net.ResolveTCPAddr("tcp", addr)
		require.NoError(t, err)
		require.Equal(t, want, prefixOf(a).String())
	}
}

func TestServerNeedsAdmit(t *testing.T) {
	_, err := New(Options{})
	require.Error(t, err)
}

func TestEveryReasonHasAStatus(t *testing.T) {
	for _, r := range live.Reasons() {
		s := statusOf(r)
		require.NotEmpty(t, s.Code, r)
		require.Equal(t, r.Text(), s.Description)
		require.Equal(t, r.Clean(), s.Level == "status", r)
		m := s.message(1)
		got, err := newAMFReader(m.Payload).string()
		require.NoError(t, err)
		require.Equal(t, "onStatus", got)
	}
	require.Equal(t, codeBadName, statusOf(live.ReasonReplaced).Code)
	require.Equal(t, codeBadName, statusOf(live.ReasonTwoPublishers).Code)
	require.Equal(t, codePublishRejected, statusOf(live.ReasonFrameTooLarge).Code)
	require.Equal(t, codeAppShutdown, statusOf(live.ReasonShuttingDown).Code)
	// Whoever tries keys learns nothing.
	for _, r := range []live.Reason{live.ReasonStreamDisabled, live.ReasonKeyRevoked} {
		require.Equal(t, refusalOf(live.ReasonStreamKeyInvalid), refusalOf(r))
	}
}

func TestEveryConnectionIsClosedAtTheEnd(t *testing.T) {
	r := newRig(t, Options{})
	publishing, pub := r.onAir(t)
	connected := r.client(t)
	require.NoError(t, connected.open("live"))
	shaken := r.client(t)
	silent, err := net.Dial("tcp", r.addr)
	require.NoError(t, err)
	defer silent.Close()
	r.stop()
	require.Equal(t, live.ReasonShuttingDown, pub.AwaitClosed(t))
	for _, c := range []*client{publishing, connected, shaken} {
		c.Told(t.Context())
	}
	require.Contains(t, connected.Told(t.Context()), live.ReasonShuttingDown.Text())
	require.NoError(t, silent.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, err = silent.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}

func TestManyPublishersComeAndGo(t *testing.T) {
	r := newRig(t, Options{})
	track := mediatest.H264Track(640, 360, 30, 1)
	for i := range 200 {
		c := newClient(t)
		require.NoError(t, c.dial(r.addr, false))
		require.NoError(t, c.open("live"))
		require.NoError(t, c.publish("secret-key"))
		pub := r.hub.Next(t, i)
		require.NoError(t, c.sendVideo(0, 0x17, 0, 0, track.Config))
		require.NoError(t, c.sendVideo(0, 0x17, 1, 0, nals(4, idrNAL)))
		if i%2 == 0 {
			require.NoError(t, c.Stop())
		}
		c.Close()
		pub.AwaitClosed(t)
	}
}

func TestNothingWritesAfterTheLastWord(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	w := newWire(a, func(uint8) uint32 { return 1 }, 1)
	w.now, w.writeTimeout = time.Now, time.Second
	w.reply = 0
	go w.sendLast(statusChunks, publishStarted.message(1))
	head := make([]byte, 12)
	_, err := io.ReadFull(b, head)
	require.NoError(t, err)
	rest := make([]byte, binary.BigEndian.Uint32(append([]byte{0}, head[4:7]...)))
	_, err = io.ReadFull(b, rest[:min(128, len(rest))])
	require.NoError(t, err)
	require.True(t, bytes.Contains(rest, []byte("onStatus")))
	require.Eventually(t, func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.muted }, 20*time.Second, time.Millisecond)
	require.NoError(t, w.send(2, message{Type: typeAck, Payload: be32(1)}))
	n, err := w.Write([]byte("whatever the library says"))
	require.NoError(t, err)
	require.Equal(t, len("whatever the library says"), n)
}
