//go:build e2e

package e2e

import (
	"encoding/json"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// path is a way between a client and a server, by UDP, that loses and delays datagrams in both directions, as netem does but
// without rights or a kernel module. Delays differ, so datagrams overtake each other.
type path struct {
	near, far *net.UDPConn
	loss      float64       // share
	jitter    time.Duration // each datagram is delayed by up to this

	mu     sync.Mutex // guards the following
	caller *net.UDPAddr
	closed bool
	timers sync.WaitGroup // datagrams on their way
}

// bad puts a path with 5 % loss and 100 ms of jitter before a UDP port.
func bad(t testing.TB, to string) *path {
	t.Helper()
	addr, err := net.ResolveUDPAddr("udp", to)
	require.NoError(t, err)
	p := &path{loss: 0.05, jitter: 100 * time.Millisecond}
	p.near, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	p.far, err = net.DialUDP("udp", nil, addr)
	require.NoError(t, err)
	var reading sync.WaitGroup
	reading.Go(func() {
		p.carry(p.near, func(b []byte) { _, _ = p.far.Write(b) })
	})
	reading.Go(func() {
		p.carry(p.far, func(b []byte) {
			p.mu.Lock()
			to := p.caller
			p.mu.Unlock()
			if to != nil {
				_, _ = p.near.WriteToUDP(b, to)
			}
		})
	})
	t.Cleanup(func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		_, _ = p.near.Close(), p.far.Close()
		reading.Wait()
		p.timers.Wait()
	})
	return p
}

// addr is where a client finds the server.
func (p *path) addr() string { return p.near.LocalAddr().String() }

// carry takes datagrams from one side to the other until it is closed.
func (p *path) carry(from *net.UDPConn, send func([]byte)) {
	var b [2048]byte
	for {
		n, caller, err := from.ReadFromUDP(b[:])
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return
		}
		if err == nil && from == p.near {
			p.caller = caller
		}
		if err == nil && rand.Float64() >= p.loss {
			datagram := append([]byte(nil), b[:n]...)
			p.timers.Add(1)
			time.AfterFunc(rand.N(p.jitter), func() {
				defer p.timers.Done()
				send(datagram)
			})
		}
		p.mu.Unlock()
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
//
// WHIP's loss is under test in ingest/whip, where a client can lose packets: a browser goes to the address in the answer, past any
// path that is put before it. WHEP joins here once its client is one of ours.
func TestSRTBearsABadNetwork(t *testing.T) {
	t.Parallel()
	s := startServer(t, "MEDIAD_SRT_LATENCY=800ms")
	p := bad(t, s.srt)
	spawn(t, "ffmpeg", append(source{gop: 30}.encode(), "-f", "mpegts", "srt://"+p.addr()+"?pkt_size=1316&latency=800000&streamid=publish:moor")...)
	s.waitLive("moor")
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
