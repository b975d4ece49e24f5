//go:build e2e

package e2e

import (
	"encoding/json"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// path is a way between clients and a server, by UDP, that loses and delays datagrams in both directions, as netem does but
// without rights or a kernel module. Delays differ, so datagrams overtake each other. Each client has an address of its own before the
// server, as behind a NAT: a browser asks from several.
type path struct {
	to     *net.UDPAddr
	near   *net.UDPConn
	loss   float64       // share
	jitter time.Duration // each datagram is delayed by up to this

	reading sync.WaitGroup
	timers  sync.WaitGroup // datagrams on their way
	mu      sync.Mutex     // guards the following
	far     map[netip.AddrPort]*net.UDPConn
	closed  bool
}

// maxCallers bounds the clients of a path.
const maxCallers = 64

// bad puts a path with 5 % loss and 100 ms of jitter before a UDP port.
func bad(t testing.TB, to string) *path {
	t.Helper()
	p := &path{loss: 0.05, jitter: 100 * time.Millisecond, far: map[netip.AddrPort]*net.UDPConn{}}
	var err error
	p.to, err = net.ResolveUDPAddr("udp", to)
	require.NoError(t, err)
	p.near, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	p.reading.Go(func() {
		p.carry(p.near, func(caller netip.AddrPort) func([]byte) {
			far := p.farOf(caller)
			if far == nil {
				return nil
			}
			return func(b []byte) { _, _ = far.Write(b) }
		})
	})
	t.Cleanup(func() {
		p.mu.Lock()
		p.closed = true
		_ = p.near.Close()
		for _, far := range p.far {
			_ = far.Close()
		}
		p.mu.Unlock()
		p.reading.Wait()
		p.timers.Wait()
	})
	return p
}

// addr is where a client finds the server.
func (p *path) addr() string { return p.near.LocalAddr().String() }

// farOf is a client's address before the server; nil if there is none.
func (p *path) farOf(caller netip.AddrPort) *net.UDPConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if far := p.far[caller]; far != nil || p.closed || len(p.far) == maxCallers {
		return far
	}
	far, err := net.DialUDP("udp", nil, p.to)
	if err != nil {
		return nil
	}
	p.far[caller] = far
	p.reading.Go(func() {
		p.carry(far, func(netip.AddrPort) func([]byte) {
			return func(b []byte) { _, _ = p.near.WriteToUDPAddrPort(b, caller) }
		})
	})
	return far
}

// carry takes datagrams from one side to the other until it is closed.
func (p *path) carry(from *net.UDPConn, way func(caller netip.AddrPort) func([]byte)) {
	var b [2048]byte
	for {
		n, caller, err := from.ReadFromUDPAddrPort(b[:])
		p.mu.Lock()
		closed := p.closed
		p.mu.Unlock()
		if closed {
			return
		}
		if err != nil || rand.Float64() < p.loss {
			continue
		}
		if send := way(caller); send != nil {
			datagram := append([]byte(nil), b[:n]...)
			p.timers.Add(1)
			time.AfterFunc(rand.N(p.jitter), func() {
				defer p.timers.Done()
				send(datagram)
			})
		}
	}
}

// health is what is known of the way to a publisher.
type health struct {
	RTT        float64 `json:"rtt_ms"`
	Loss       float64 `json:"loss_pct"`
	Unrepaired float64 `json:"unrepaired_pct"`
	Dropped    int     `json:"dropped_frames"`
	Alerts     []struct{ Code, Severity string }
}

func (s *server) health(t testing.TB, stream string) (h health) {
	t.Helper()
	out, err := s.cli("stream", "health", "--json", stream)
	require.NoError(t, err, out)
	require.NoError(t, json.Unmarshal([]byte(out), &h), out)
	return h
}

// TestSRTBearsABadNetwork: with a latency of four round trips nothing of the loss is left, viewers see one session without a break,
// and the streamer is told.
func TestSRTBearsABadNetwork(t *testing.T) {
	s := startServer(t, "MEDIAD_SRT_LATENCY=800ms")
	p := bad(t, s.srt)
	// Where the server's last word of the handshake is lost, gosrt does not say it again, and libsrt waits for it: a streamer calls once more.
	var caller *process
	var called time.Time
	waitFor(t, time.Minute, "moor to be live", func() bool {
		if time.Since(called) > 10*time.Second {
			if caller != nil {
				caller.kill(syscall.SIGKILL)
			}
			called = time.Now()
			caller = spawn(t, "ffmpeg", append(source{gop: 30}.encode(), "-f", "mpegts",
				"srt://"+p.addr()+"?pkt_size=1316&latency=800000&streamid=publish:moor")...)
		}
		r, _ := s.get("/live/moor/index.m3u8")
		return r.StatusCode == http.StatusOK
	})
	session := s.json("/api/v1/streams/moor")["session"].(map[string]any)["id"]
	var h health
	waitFor(t, 60*time.Second, "the loss to be told of", func() bool {
		h = s.health(t, "moor")
		return h.Loss > 2 && h.RTT > 20 && len(h.Alerts) > 0
	})
	waitFor(t, 60*time.Second, "eight segments", func() bool { l := s.media("moor", "source"); return l.last-l.first >= 7 })
	h = s.health(t, "moor")
	require.Zero(t, h.Unrepaired, "%+v", h)
	require.Zero(t, h.Dropped, "%+v", h)
	require.Contains(t, h.Alerts, struct{ Code, Severity string }{"network_loss", "info"})
	require.Equal(t, session, s.json("/api/v1/streams/moor")["session"].(map[string]any)["id"])
	require.Len(t, s.media("moor", "source").maps, 1, "no epoch but the first")
	out, err := output(t, 60*time.Second, "ffmpeg", "-v", "error", "-i", s.url("/live/moor/index.m3u8"), "-t", "5", "-f", "null", "-")
	require.NoError(t, err, out)
	require.Empty(t, out, "every picture decodes")
}
