package srt

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gosrt "github.com/datarhei/gosrt"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"mediad/ingest/ingesttest"
	"mediad/live"
	"mediad/media"
)

func TestMain(m *testing.M) {
	// gosrt's caller leaves its answer to nobody where it was refused; the server has no part in it.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/datarhei/gosrt.DialWithContext.func1"))
}

// film makes a transport stream with FFmpeg.
func film(t testing.TB, args ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "film.ts")
	all := append([]string{
		"-v", "error", "-f", "lavfi", "-i", "testsrc2=s=192x108:r=30", "-f", "lavfi", "-i", "sine=f=440:r=48000", "-t", "20",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "15", "-bf", "2", "-pix_fmt", "yuv420p", "-b:v", "300k", "-c:a", "aac",
	}, args...)
	out, err := exec.Command("ffmpeg", append(all, "-f", "mpegts", file)...).CombinedOutput()
	require.NoError(t, err, string(out))
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return b
}

var clips = struct {
	once              sync.Once
	usual, other, big []byte
}{}

func clip(t testing.TB) (usual, other, big []byte) {
	clips.once.Do(func() {
		clips.usual = film(t)
		clips.other = film(t, "-s", "128x72", "-output_ts_offset", "20", "-mpegts_start_pid", "0x200", "-mpegts_pmt_start_pid", "0x1200")
		// One key frame of raw quality, larger than the suite's limit.
		clips.big = film(t, "-s", "1920x1080", "-qp", "0", "-vf", "noise=alls=100:allf=t", "-frames:v", "3", "-output_ts_offset", "40")
	})
	return clips.usual, clips.other, clips.big
}

// relay is the way between a client and the server: it can be cut, and lose packets.
type relay struct {
	near, far *net.UDPConn
	cut       atomic.Bool
	lose      func(n int) bool // the n-th datagram to the server
	running   sync.WaitGroup
}

func newRelay(t testing.TB, to string, lose func(int) bool) *relay {
	t.Helper()
	addr, err := net.ResolveUDPAddr("udp", to)
	require.NoError(t, err)
	r := &relay{lose: lose}
	r.near, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	r.far, err = net.DialUDP("udp", nil, addr)
	require.NoError(t, err)
	var caller atomic.Pointer[net.UDPAddr]
	r.running.Go(func() {
		b := make([]byte, 2048)
		for i := 0; ; i++ {
			n, from, err := r.near.ReadFromUDP(b)
			if err != nil {
				return
			}
			caller.Store(from)
			if !r.cut.Load() && (r.lose == nil || !r.lose(i)) {
				_, _ = r.far.Write(b[:n])
			}
		}
	})
	r.running.Go(func() {
		b := make([]byte, 2048)
		for {
			n, err := r.far.Read(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if to := caller.Load(); err == nil && to != nil && !r.cut.Load() {
				_, _ = r.near.WriteToUDP(b[:n], to)
			}
		}
	})
	return r
}

func (r *relay) close() {
	_ = r.near.Close()
	_ = r.far.Close()
	r.running.Wait()
}

// client is a publisher by gosrt's own caller.
type client struct {
	t       testing.TB
	address string
	relay   *relay
	conn    gosrt.Conn
	rest    []byte
}

func (c *client) dial(ctx context.Context, streamID, passphrase string, lose func(int) bool) error {
	c.relay = newRelay(c.t, c.address, lose)
	cfg := gosrt.DefaultConfig()
	cfg.StreamId, cfg.Passphrase, cfg.ConnectionTimeout = streamID, passphrase, 5*time.Second
	conn, err := gosrt.DialWithContext(ctx, "srt", c.relay.near.LocalAddr().String(), cfg)
	if err != nil {
		return err
	}
	c.conn = conn
	c.rest, _, _ = clip(c.t)
	return nil
}

func (c *client) Publish(ctx context.Context, key string) error {
	return c.dial(ctx, "publish:"+key, "", nil)
}

// Send sends half a second of the clip.
func (c *client) Send(context.Context) error {
	n := min(len(c.rest), max(len(c.rest)/40, 20*1316)/1316*1316)
	err := c.write(c.rest[:n])
	c.rest = c.rest[n:]
	return err
}

func (c *client) write(b []byte) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(b) > 0 {
		n := min(len(b), 1316)
		if _, err := c.conn.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
		<-tick.C // as an encoder does, not all at once
	}
	return nil
}

func (c *client) SendFrame(int) error {
	_, _, big := clip(c.t)
	return c.write(big)
}

func (c *client) ChangeCodec(ctx context.Context) error {
	_, c.rest, _ = clip(c.t)
	return c.Send(ctx)
}

func (c *client) Stop() error { return c.conn.Close() }
func (c *client) Stall()      {}
func (c *client) Drop()       { c.relay.cut.Store(true) }

func (c *client) Told(ctx context.Context) string {
	done := make(chan struct{})
	go func() {
		defer close(done)
		var b [64]byte
		for {
			if _, err := c.conn.Read(b[:]); err != nil {
				return
			}
		}
	}()
	select {
	case <-done:
	case <-ctx.Done():
		c.t.Error("the server did not hang up")
	}
	return ""
}

func (c *client) Close() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
	if c.relay != nil {
		c.relay.close()
	}
}

// start runs a server on a free port.
func start(ctx context.Context, t testing.TB, hub *ingesttest.Hub, o Options) (address string, wait func()) {
	t.Helper()
	o.Admit = func(ctx context.Context, r Request) (Publisher, Feed, error) {
		p, err := hub.Admit(ctx, r.Key, r.Peer)
		if err != nil {
			return nil, nil, err
		}
		return p, p, nil
	}
	o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	s, err := New(o)
	require.NoError(t, err)
	l, err := Listen("127.0.0.1:0", ListenOptions{ReadTimeout: o.ReadTimeout})
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	return l.Addr().String(), sync.OnceFunc(func() {
		require.NoError(t, <-done)
		require.Zero(t, s.Connections())
	})
}

func TestConformance(t *testing.T) {
	clip(t)
	ingesttest.Run(t, ingesttest.Harness{
		Start: func(ctx context.Context, t testing.TB, hub *ingesttest.Hub, l ingesttest.Limits) (string, func()) {
			return start(ctx, t, hub, Options{MaxFrame: l.MaxFrame, ReadTimeout: l.ReadTimeout, FirstFrameTimeout: l.FirstFrameTimeout})
		},
		Publisher: func(t testing.TB, address string) ingesttest.Publisher { return &client{t: t, address: address} },
	})
}

// running is a server and its hub until the test ends.
func running(t *testing.T, o Options) (address string, hub *ingesttest.Hub) {
	ctx, cancel := context.WithCancel(context.Background())
	hub = ingesttest.NewHub("key")
	address, wait := start(ctx, t, hub, o)
	t.Cleanup(func() { cancel(); wait() })
	return address, hub
}

// dial calls and returns the error, which says with what code it was refused.
func dial(t *testing.T, address, streamID, passphrase string) error {
	c := &client{t: t, address: address}
	defer c.Close()
	return c.dial(t.Context(), streamID, passphrase, nil)
}

// spelt is a code as gosrt's caller says it, to the base of 32.
func spelt(code gosrt.RejectionReason) string {
	return "(" + strconv.FormatUint(uint64(code), 32) + ")"
}

func TestCallersAreRefusedByCode(t *testing.T) {
	address, _ := running(t, Options{})
	for id, code := range map[string]gosrt.RejectionReason{
		"publish:wrong": gosrt.REJX_UNAUTHORIZED, "": gosrt.REJX_BAD_REQUEST, "push:key": gosrt.REJX_BAD_REQUEST,
		"read:key": gosrt.REJX_NOTFOUND, "#!::m=bidirectional,r=key": gosrt.REJX_BAD_REQUEST,
	} {
		require.ErrorContains(t, dial(t, address, id, ""), spelt(code), id)
	}
	require.NoError(t, dial(t, address, "#!::m=publish,r=key", ""))
	require.Error(t, dial(t, address, "publish:key", "unexpected secret"))
}

func TestPassphrase(t *testing.T) {
	address, hub := running(t, Options{Passphrase: "a long secret"})
	require.Error(t, dial(t, address, "publish:key", "another secret"))
	require.Error(t, dial(t, address, "publish:key", ""))
	c := &client{t: t, address: address}
	defer c.Close()
	require.NoError(t, c.dial(t.Context(), "publish:key", "a long secret", nil))
	require.NoError(t, c.Send(t.Context()))
	hub.Next(t, 0).AwaitUnits(t, media.Video, 5)
	_, err := New(Options{Admit: func(context.Context, Request) (Publisher, Feed, error) { return nil, nil, nil }, Passphrase: "short"})
	require.Error(t, err)
}

// TestLostDatagramsAreAskedForAgain: with a twentieth of them lost on the way, every frame arrives.
func TestLostDatagramsAreAskedForAgain(t *testing.T) {
	address, hub := running(t, Options{})
	c := &client{t: t, address: address}
	defer c.Close()
	require.NoError(t, c.dial(t.Context(), "publish:key", "", func(n int) bool { return n > 20 && n%20 == 0 }))
	for range 8 {
		require.NoError(t, c.Send(t.Context()))
	}
	pub := hub.Next(t, 0)
	pub.AwaitUnits(t, media.Video, 80)
	units := pub.Units(media.Video)
	for i := 1; i < len(units); i++ {
		require.InDelta(t, 3000, int64(units[i].DTS-units[i-1].DTS), 1, "no frame is missing")
	}
	pub.AwaitNetwork(t, func(n live.Network) bool {
		return n.Lost > 0 && n.Repeated > 0 && n.Missing == 0 && n.Packets > n.Lost && n.Buffer == 120*time.Millisecond
	})
}

// TestWhatNeverComesIsToldOf: SRT does not count it.
func TestWhatNeverComesIsToldOf(t *testing.T) {
	var st gosrt.Statistics
	st.Accumulated = gosrt.StatisticsAccumulated{PktRecvUnique: 95, PktRecvLoss: 10, PktRecvLate: 4, PktRecvRetrans: 5}
	st.Instantaneous = gosrt.StatisticsInstantaneous{MsRTT: 12.5, MsRecvTsbPdDelay: 400}
	require.Equal(t, live.Network{
		RTT: 12500 * time.Microsecond, Buffer: 400 * time.Millisecond, Packets: 101, Lost: 10, Missing: 3, Repeated: 5,
	}, networkOf(st, 7), "of the seven lost long ago four came; the other three of ten may yet")
	require.Zero(t, networkOf(st, 2).Missing)
	require.Equal(t, time.Second, reportEvery(st))
	st.Instantaneous.MsRecvTsbPdDelay = 8000
	require.Equal(t, 8*time.Second, reportEvery(st))
}

// TestSoundThatIsLeftOutIsToldOfOnce: a program map may change for ever.
func TestSoundThatIsLeftOutIsToldOfOnce(t *testing.T) {
	var log strings.Builder
	pub := &publication{log: slog.New(slog.NewTextHandler(&log, nil))}
	for range 3 {
		require.NoError(t, pub.Unsupported(media.Audio, "AC-3"))
	}
	require.NoError(t, pub.Unsupported(media.Audio, "MP3"))
	require.Equal(t, 2, strings.Count(log.String(), "\n"))
}

func TestCallersAreLimited(t *testing.T) {
	address, _ := running(t, Options{MaxConnsPerAddr: 1})
	c := &client{t: t, address: address}
	defer c.Close()
	require.NoError(t, c.Publish(t.Context(), "key"))
	require.ErrorContains(t, dial(t, address, "publish:key", ""), spelt(gosrt.REJX_OVERLOAD))
}

func TestEveryReasonHasACode(t *testing.T) {
	for _, r := range live.Reasons() {
		require.Contains(t, codes, r)
	}
	require.Len(t, codes, len(live.Reasons()))
	require.Equal(t, rejection(live.ReasonStreamKeyInvalid), rejection(live.ReasonStreamDisabled), "which keys exist is not told")
	require.NotEqual(t, rejection(live.ReasonStreamKeyInvalid), rejection(live.ReasonRefusedBySite), "the key is good")
}

func TestStreamIDs(t *testing.T) {
	for id, want := range map[string]wish{
		"publish:mds_abc":               {publish: true, name: "mds_abc"},
		"publish:live/mds_abc":          {publish: true, name: "mds_abc"},
		"read:main":                     {name: "main"},
		"read:main:to:ken":              {name: "main", token: "to:ken"},
		"#!::r=main":                    {name: "main"},
		"#!::r=live/main,m=publish":     {publish: true, name: "main"},
		"#!::m=request,r=main,s=secret": {name: "main", token: "secret"},
	} {
		got, err := parseStreamID(id)
		require.NoError(t, err, id)
		got.params = nil
		require.Equal(t, want, got, id)
	}
	for _, id := range []string{"", "publish", "publish:", "publish:live/", "play:x", "#!::", "#!::r", "#!::m=publish", "read:a\nb"} {
		_, err := parseStreamID(id)
		require.Error(t, err, id)
	}
	w, err := parseStreamID("publish:key?a=1")
	require.NoError(t, err)
	require.Equal(t, "key", w.name)
	require.Equal(t, "1", w.params.Get("a"))
}

func FuzzStreamID(f *testing.F) {
	for _, id := range []string{"publish:key", "read:main:token", "#!::r=main,m=publish,x=y", "publish:k?a=b"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		w, err := parseStreamID(id)
		if err == nil {
			require.NotEmpty(t, w.name)
			require.LessOrEqual(t, len(w.name), maxStreamID)
		}
	})
}

// TestSocketHoldsABurst: what comes while nobody reads is there afterwards, as far as the system lets us have the room.
func TestSocketHoldsABurst(t *testing.T) {
	const datagram, overhead = 1316, 1 << 10 // what the system counts of one beside its bytes, about
	room := socketBuffer
	if b, err := os.ReadFile("/proc/sys/net/core/rmem_max"); err == nil {
		most, err := strconv.Atoi(strings.TrimSpace(string(b)))
		require.NoError(t, err)
		room = min(room, most)
	}
	l, err := (&net.ListenConfig{Control: roomy}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c, err := net.Dial("udp", l.LocalAddr().String())
	require.NoError(t, err)
	defer c.Close()
	n := room / (datagram + overhead)
	for range n {
		_, err := c.Write(make([]byte, datagram))
		require.NoError(t, err)
	}
	require.NoError(t, l.SetReadDeadline(time.Now().Add(10*time.Second)))
	for i := range n {
		_, _, err := l.ReadFrom(make([]byte, datagram))
		require.NoError(t, err, "datagram %d of %d", i, n)
	}
}
