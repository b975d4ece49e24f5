package rtsp

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"mediad/ingest/ingesttest"
	"mediad/internal/testx"
	"mediad/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	smallClip(t)
	largeClip(t)
	for _, udp := range []bool{false, true} {
		t.Run(map[bool]string{false: "TCP", true: "UDP"}[udp], func(t *testing.T) {
			t.Parallel()
			ingesttest.Run(t, ingesttest.Harness{
				Start: func(ctx context.Context, t testing.TB, hub *ingesttest.Hub, l ingesttest.Limits) (string, func()) {
					o := limited(l)
					if udp {
						o.UDPAddr = freePair(t)
					}
					return start(ctx, t, hub, o)
				},
				Publisher: func(t testing.TB, addr string) ingesttest.Publisher {
					c := &client{t: t, addr: addr}
					if udp {
						return struct { // a frame of a megabyte does not arrive in one piece
							ingesttest.Publisher
							ingesttest.Staller
							ingesttest.Changer
						}{c.by(gortsplib.TransportUDP), c, c}
					}
					return c.by(gortsplib.TransportTCP)
				},
			})
		})
	}
}

func limited(l ingesttest.Limits) Options {
	return Options{MaxFrame: l.MaxFrame, ReadTimeout: l.ReadTimeout, FirstFrameTimeout: l.FirstFrameTimeout}
}

func admit(hub *ingesttest.Hub) func(context.Context, Request) (Publisher, Feed, error) {
	return func(ctx context.Context, r Request) (Publisher, Feed, error) {
		p, err := hub.Admit(ctx, r.Key, r.Peer)
		if err != nil {
			return nil, nil, err
		}
		return p, p, nil
	}
}

// start serves on a free port until ctx ends.
func start(ctx context.Context, t testing.TB, hub *ingesttest.Hub, o Options) (string, func()) {
	t.Helper()
	o.Admit = admit(hub)
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	srv, err := New(o)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(ctx, l); err != nil {
			t.Error(err)
		}
	}()
	return l.Addr().String(), func() { <-done }
}

// pairs are the ports that freePair gave out.
var pairs sync.Map

// freePair is an address whose port is even and free, and so is the one behind it.
func freePair(t testing.TB) string {
	t.Helper()
	for range 100 {
		a, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		port := a.LocalAddr().(*net.UDPAddr).Port
		_ = a.Close()
		if port%2 != 0 {
			port--
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		rtcp, err := rtcpAddr(addr)
		require.NoError(t, err)
		if _, taken := pairs.LoadOrStore(port, true); !taken && free(addr) && free(rtcp) {
			return addr
		}
	}
	t.Fatal("no pair of ports is free")
	return ""
}

func free(addr string) bool {
	p, err := net.ListenPacket("udp", addr)
	if err == nil {
		_ = p.Close()
	}
	return err == nil
}

// client is a scripted publisher.
type client struct {
	t         testing.TB
	addr      string
	transport gortsplib.Transport
	lib       *gortsplib.Client
	source    *rtpSource

	mu sync.Mutex
	nc net.Conn
}

func (c *client) by(t gortsplib.Transport) *client {
	c.transport = t
	return c
}

func (c *client) Publish(ctx context.Context, key string) error {
	c.source = newRTPSource(c.t, smallClip(c.t))
	c.lib = &gortsplib.Client{
		Transport: &c.transport, WriteQueueSize: 4096, UserAgent: "test \x00 client",
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, address)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.nc = nc
			return nc, err
		},
		OnDecodeError: func(error) {},
	}
	if err := c.lib.StartRecording("rtsp://"+c.addr+"/live/"+key, c.source.desc()); err != nil {
		c.lib = nil
		return err
	}
	return ctx.Err()
}

func (c *client) Send(ctx context.Context) error {
	for range 60 {
		if err := c.sendUnit(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (c *client) sendUnit() error {
	kind, pkts, _ := c.source.next()
	for _, p := range pkts {
		if err := c.lib.WritePacketRTP(c.source.medi[kind], p); err != nil {
			return err
		}
	}
	if c.transport == gortsplib.TransportUDP {
		time.Sleep(time.Millisecond) // does not outrun the socket's buffer
	}
	return nil
}

func (c *client) Stop() error {
	c.lib.Close()
	return nil
}

func (c *client) Drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.nc.Close()
}

func (c *client) Told(ctx context.Context) string {
	said := make(chan error, 1)
	go func() { said <- c.lib.Wait() }()
	// A client that publishes by UDP sees the end of its connection only when it uses it.
	select {
	case err := <-said:
		return err.Error()
	case <-ctx.Done():
		return ctx.Err().Error()
	}
}

func (c *client) Stall() {}

func (c *client) SendFrame(n int) error {
	pkts, err := c.source.video.Encode([][]byte{bytes.Repeat([]byte{0x65}, n)})
	if err != nil {
		return err
	}
	for _, p := range pkts {
		if err := c.lib.WritePacketRTP(c.source.medi[media.Video], p); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) ChangeCodec(ctx context.Context) error {
	c.source.change(largeClip(c.t))
	return c.Send(ctx)
}

func (c *client) Close() {
	if c.lib != nil {
		c.lib.Close()
	}
}

// rig is a server with a hub and its log.
type rig struct {
	hub  *ingesttest.Hub
	addr string
	log  *testx.Buffer
}

func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	r := &rig{hub: ingesttest.NewHub("good-key"), log: &testx.Buffer{}}
	o.Log = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ctx, cancel := context.WithCancel(context.Background())
	var wait func()
	r.addr, wait = start(ctx, t, r.hub, o)
	t.Cleanup(func() {
		cancel()
		wait()
		if t.Failed() {
			t.Log(r.log.String())
		}
	})
	return r
}
