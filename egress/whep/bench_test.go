package whep

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// BenchmarkPacketize makes a picture of 10 KB into packets, which is done once for all viewers.
func BenchmarkPacketize(b *testing.B) {
	track, _ := pattern(1, 1)
	p := newPacketizer(track)
	au := unit(false, nal(1, 10_000))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.payloads(au); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSend sends packets to a peer over SRTP and loopback: packets/s is what a core that does nothing else sends, the peer's
// own work beside it.
func BenchmarkSend(b *testing.B) {
	s := newSite(b, Options{Log: discard()})
	track, units := pattern(2, 2)
	pub := s.publish("main", videoOf(track))
	pub.write(units...)
	p := newPeer(b, videoKind)
	require.Equal(b, 201, p.play(s, "main").StatusCode)
	testx.WaitFor(b, "pictures", func() bool { return p.seen() == 2 })
	s.whep.mu.Lock()
	var v *viewer
	for _, v = range s.whep.viewers {
	}
	s.whep.mu.Unlock()
	payload := nal(1, maxPayload)
	b.ReportAllocs()
	begin := time.Now()
	for i := 0; b.Loop(); i++ {
		if err := v.video.write(payload, uint32(i), true, false); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "packets/s")
}
