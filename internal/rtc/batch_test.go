package rtc

import (
	"bytes"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// socket is a UDP socket of the tests.
func socket(t testing.TB) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	require.NoError(t, c.SetReadBuffer(socketBuffer))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// datagrams are n that each say which they are.
func datagrams(sizes ...int) [][]byte {
	var out [][]byte
	for i, n := range sizes {
		out = append(out, bytes.Repeat([]byte{byte(i + 1)}, n))
	}
	return out
}

func receive(t testing.TB, c *net.UDPConn, n int) [][]byte {
	t.Helper()
	var out [][]byte
	b := make([]byte, 70_000)
	for range n {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(5*time.Second)))
		k, err := c.Read(b)
		require.NoError(t, err, "after %d", len(out))
		out = append(out, append([]byte(nil), b[:k]...))
	}
	return out
}

// TestBatch: every datagram arrives as it was written, in order, whatever their sizes, and whether or not the kernel cuts.
func TestBatch(t *testing.T) {
	var many []int
	for range 3*maxSegments + 5 {
		many = append(many, 1000)
	}
	for name, sizes := range map[string][]int{
		"even with a rest":     {1100, 1100, 1100, 700},
		"growing":              {100, 200, 300},
		"shrinking":            {300, 200, 100},
		"one":                  {1200},
		"slices":               {60, 1180, 1180, 900, 1190, 1190, 1190, 20},
		"over all bounds":      many,
		"more than a datagram": {30_000, 30_000, 30_000, 10},
	} {
		for _, unable := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				server, peer := newPacketConn(socket(t)), socket(t)
				b := &Batch{c: server, unable: unable}
				b.aim(addrOf(peer))
				want := datagrams(sizes...)
				b.Hold()
				for _, d := range want {
					n, err := server.WriteToAddrPort(d, addrOf(peer))
					require.NoError(t, err)
					require.Equal(t, len(d), n)
				}
				b.Send()
				require.Equal(t, want, receive(t, peer, len(want)))
				b.Close()
				require.Empty(t, server.batches)
			})
		}
	}
}

// TestBatchHoldsNobodyElse: other peers' datagrams go at once, and so do the peer's own when nothing is held or all is over.
func TestBatchHoldsNobodyElse(t *testing.T) {
	server, peer, other := newPacketConn(socket(t)), socket(t), socket(t)
	b := &Batch{c: server}
	b.aim(addrOf(peer))
	write := func(to *net.UDPConn) {
		t.Helper()
		_, err := server.WriteToAddrPort([]byte("hello"), addrOf(to))
		require.NoError(t, err)
	}
	b.Hold()
	write(other)
	receive(t, other, 1)
	write(peer)
	b.aim(addrOf(other)) // the peer has moved
	write(other)
	b.Send()
	receive(t, peer, 1)
	receive(t, other, 1)
	write(other)
	receive(t, other, 1)
	b.Hold()
	write(other)
	b.Close()
	receive(t, other, 1)
	b.Hold()
	b.aim(addrOf(other))
	write(other)
	receive(t, other, 1)
	require.Empty(t, server.batches)
}

// TestBatchOfManyWriters: those who write meanwhile lose nothing.
func TestBatchOfManyWriters(t *testing.T) {
	server, peer := newPacketConn(socket(t)), socket(t)
	b := &Batch{c: server}
	b.aim(addrOf(peer))
	const writers, each = 4, 50
	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() {
			for i := range each {
				_, _ = server.WriteToAddrPort(make([]byte, 100+i), addrOf(peer))
			}
		})
	}
	for range 20 {
		b.Hold()
		b.Send()
	}
	writing.Wait()
	b.Send()
	receive(t, peer, writers*each)
}

// TestBatchWithoutUDP gathers nothing.
func TestBatchWithoutUDP(t *testing.T) {
	s := listen(t, Options{TCPAddr: "127.0.0.1:0"})
	b := s.NewBatch(s.receiver(t))
	b.Hold()
	b.Send()
	b.Close()
}

// BenchmarkBatch sends a picture of ten packets, as a viewer of 2.5 Mbit/s gets 30 of a second.
func BenchmarkBatch(b *testing.B) {
	server, peer := newPacketConn(socket(b)), socket(b)
	packet := make([]byte, 1200)
	batch := &Batch{c: server}
	batch.aim(addrOf(peer))
	for name, gather := range map[string]bool{"gathered": true, "one by one": false} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if gather {
					batch.Hold()
				}
				for range 10 {
					if _, err := server.WriteToAddrPort(packet, addrOf(peer)); err != nil {
						b.Fatal(err)
					}
				}
				batch.Send()
			}
		})
	}
}
