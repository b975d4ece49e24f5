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
	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/amf0"
	"mediad/media/chunk"
	"mediad/media/mediatest"
)

// bench is a server with a hub, and what it logs.
type rig struct {
	hub  *ingesttest.Hub
	addr string
	log  *testx.Buffer
	stop func()
}

func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &rig{hub: ingesttest.NewHub("secret-key", "other-key"), log: &testx.Buffer{}}
	o.Log = slog.New(slog.NewTextHandler(io.MultiWriter(r.log, t.Output()), &slog.HandlerOptions{Level: slog.LevelDebug}))
	addr, wait := start(ctx, t, r.hub, o, false)
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
	require.NoError(t, c.open("live", amf0.Field{"fourCcList", []any{"hvc1", "av01", 5}}, amf0.Field{"capsEx", 15}, amf0.Field{"fpad", 0},
		amf0.Field{"videoFourCcInfoMap", amf0.Object{{"*", 4}}}))
	h, err := c.result(1)
	require.NoError(t, err)
	props := h.values[1].(map[string]any)
	require.Equal(t, []any{"avc1", "hvc1", "av01", "vp09", "mp4a", "Opus"}, props["fourCcList"])
	require.Equal(t, map[string]any{"mp4a": 4.0, "Opus": 4.0}, props["audioFourCcInfoMap"])
	require.Equal(t, float64(capsMultitrack|capsModEx|capsNanoOffset), props["capsEx"])
	require.Equal(t, "NetConnection.Connect.Success", h.values[2].(map[string]any)["code"])
	require.Contains(t, r.log.String(), "four_ccs=\"[hvc1 av01 *]\" caps_ex=15")
}

func TestCallsOfOlderEncodersAreAnswered(t *testing.T) {
	r := newRig(t, Options{})
	c := r.client(t)
	for i, name := range []string{"connect", "releaseStream", "FCPublish", "getStreamLength", "_checkbw", "createStream"} {
		var arg any
		if name == "connect" {
			arg = amf0.Object{{"app", "live"}}
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
	require.NoError(t, c.chunks(0, 2, 0, chunk.TypeUserControl, 0, []byte{0, 6, 1, 2, 3, 4}))
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
		got, err := amf0.NewReader(m.Payload).Text()
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
	require.Equal(t, status{"error", codePublishRejected, live.ReasonRefusedBySite.Text()}, refusalOf(live.ReasonRefusedBySite), "the key is good")
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
	require.NoError(t, w.send(2, chunk.Message{Type: chunk.TypeAck, Payload: be32(1)}))
	n, err := w.Write([]byte("whatever the library says"))
	require.NoError(t, err)
	require.Equal(t, len("whatever the library says"), n)
}
