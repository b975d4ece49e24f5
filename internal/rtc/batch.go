package rtc

import (
	"net"
	"net/netip"
	"sync"

	"github.com/pion/webrtc/v4"
)

const (
	// maxSegments is how many packets the kernel takes in one call (UDP_MAX_SEGMENTS of Linux), maxBatch how many bytes: a
	// datagram's limit, less its headers.
	maxSegments = 64
	maxBatch    = 65_000
)

// packetConn is the UDP socket that all peers share. What is written to a peer whose Batch is held is gathered there.
type packetConn struct {
	*net.UDPConn

	mu      sync.RWMutex // guards the following
	batches map[netip.AddrPort]*Batch
}

func newPacketConn(c *net.UDPConn) *packetConn {
	return &packetConn{UDPConn: c, batches: map[netip.AddrPort]*Batch{}}
}

// ReadFromAddrPort implements ice.AddrPortReaderWriter.
func (c *packetConn) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	return c.ReadFromUDPAddrPort(b)
}

// WriteToAddrPort implements ice.AddrPortReaderWriter.
func (c *packetConn) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	c.mu.RLock()
	batch := c.batches[unmapped(to)]
	c.mu.RUnlock()
	if batch != nil && batch.add(b, to) {
		return len(b), nil
	}
	return c.WriteToUDPAddrPort(b, to)
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// Batch gathers the packets on their way to one peer: those of one size that are written between Hold and Send go to the kernel in
// one call, which is most of what sending costs (UDP_SEGMENT). Where there is no UDP between, or the kernel cannot, they go one by
// one as ever. What is lost of it is lost as any datagram. Its methods belong to one goroutine; others may write meanwhile.
type Batch struct {
	c *packetConn

	mu     sync.Mutex // guards the following
	at     netip.AddrPort
	to     netip.AddrPort // as it is written to
	held   bool
	over   bool
	unable bool    // the kernel cannot on the way to this peer
	buf    *[]byte // taken while there is something in it
	size   int     // of a packet; the last one may be shorter
	n      int     // packets
}

var batchBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, maxBatch)
	return &b
}}

// NewBatch makes the batch of a peer. It comes before the offer is taken, and is closed before the peer connection.
func (s *Server) NewBatch(pc *webrtc.PeerConnection) *Batch {
	b := &Batch{c: s.conn}
	if s.conn == nil {
		return b
	}
	pc.SCTP().Transport().ICETransport().OnSelectedCandidatePairChange(func(pair *webrtc.ICECandidatePair) {
		var at netip.AddrPort
		if ip, err := netip.ParseAddr(pair.Remote.Address); err == nil && pair.Remote.Protocol == webrtc.ICEProtocolUDP {
			at = unmapped(netip.AddrPortFrom(ip, pair.Remote.Port))
		}
		b.aim(at)
	})
	return b
}

// aim makes at the peer's address; zero: none that datagrams go to.
func (b *Batch) aim(at netip.AddrPort) {
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.c.batches[b.at] == b {
		delete(b.c.batches, b.at)
	}
	if b.at = at; at.IsValid() && !b.over {
		b.c.batches[at] = b
	}
}

// Hold gathers from here on.
func (b *Batch) Hold() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = canSegment && b.at.IsValid() && !b.over && !b.unable
}

// Send sends what was gathered.
func (b *Batch) Send() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = false
	b.flush()
}

// Close sends what was gathered and gathers no more.
func (b *Batch) Close() {
	if b.c == nil {
		return
	}
	b.mu.Lock()
	b.over = true
	b.mu.Unlock()
	b.Send()
	b.aim(netip.AddrPort{})
}

// add takes a packet, unless nothing is held.
func (b *Batch) add(p []byte, to netip.AddrPort) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.held || len(p) > maxBatch || len(p) == 0 {
		return false
	}
	if b.n > 0 && (len(p) > b.size || to != b.to || len(*b.buf)+len(p) > maxBatch) {
		b.flush()
	}
	if b.n == 0 {
		b.buf, _ = batchBuffers.Get().(*[]byte)
		b.size, b.to = len(p), to
	}
	*b.buf = append(*b.buf, p...)
	b.n++
	if len(p) < b.size || b.n == maxSegments {
		b.flush()
	}
	return true
}

// flush sends what is there; mu is held.
func (b *Batch) flush() {
	if b.n == 0 {
		return
	}
	all := *b.buf
	if b.n > 1 && !b.unable {
		b.unable = !b.c.writeSegments(all, b.size, b.to)
	}
	if b.n == 1 || b.unable {
		for len(all) > 0 {
			n := min(b.size, len(all))
			_, _ = b.c.WriteToUDPAddrPort(all[:n], b.to) // a datagram may be lost
			all = all[n:]
		}
	}
	*b.buf = (*b.buf)[:0]
	batchBuffers.Put(b.buf)
	b.buf, b.n = nil, 0
}
