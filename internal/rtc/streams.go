package rtc

import (
	"io"
	"sync/atomic"

	"github.com/pion/interceptor"
	"github.com/pion/transport/v5/packetio"
	"github.com/pion/webrtc/v4"
)

const (
	// maxStreams is how many streams a peer may send packets of, those of RTP and of RTCP counted apart: pictures in three layers
	// with their repair, and sound, take some twenty. Each costs memory as long as the peer is there, and the peer names them.
	maxStreams = 64

	// What is kept of a stream until it is read, in bytes; more is dropped. Nobody reads RTP of a peer that is only sent to.
	keepRTP    = 1_000_000
	keepUnread = 2_000
	keepRTCP   = 100_000
)

// streams makes the buffers of one peer's streams, and ends the peer that has too many.
type streams struct {
	rtp   int // bytes kept of each
	count atomic.Int32
	flood func() // called once
}

// packets is a buffer as pion wants one; of each packet it keeps what was noted of it too.
type packets struct{ *packetio.Buffer }

func (p packets) Read(b []byte) (int, error) {
	n, _, err := p.Buffer.Read(b, nil)
	return n, err
}

func (p packets) Write(b []byte) (int, error) { return p.Buffer.Write(b, nil) }

func (p packets) ReadWithAttributes(b []byte, a packetio.Attributes) (int, packetio.Attributes, error) {
	return p.Buffer.Read(b, a)
}

func (p packets) WriteWithAttributes(b []byte, a packetio.Attributes) (int, error) {
	return p.Buffer.Write(b, a)
}

func (s *streams) buffer(kind packetio.BufferPacketType, _ uint32) io.ReadWriteCloser {
	b := packets{packetio.NewBuffer()}
	n := s.count.Add(1)
	switch {
	case n > maxStreams:
		b.SetLimitSize(keepUnread)
	case kind == packetio.RTPBufferPacket:
		b.SetLimitSize(s.rtp)
	default:
		b.SetLimitSize(keepRTCP)
	}
	if n == maxStreams+1 {
		s.flood()
	}
	return b
}

// NewPeerConnection makes a PeerConnection over the sockets of s. The caller ends it by GracefulClose, before s is closed. It is
// closed when its peer sends more streams than any honest one.
func (s *Server) NewPeerConnection(m *webrtc.MediaEngine, i *interceptor.Registry) (*webrtc.PeerConnection, error) {
	return s.newPeerConnection(m, i, keepRTP)
}

// NewSendingPeerConnection is NewPeerConnection for a peer whose RTP nobody reads.
func (s *Server) NewSendingPeerConnection(m *webrtc.MediaEngine, i *interceptor.Registry) (*webrtc.PeerConnection, error) {
	return s.newPeerConnection(m, i, keepUnread)
}

func (s *Server) newPeerConnection(m *webrtc.MediaEngine, i *interceptor.Registry, keep int) (*webrtc.PeerConnection, error) {
	var made atomic.Pointer[webrtc.PeerConnection]
	of := &streams{rtp: keep, flood: func() {
		s.log.Warn("rtc: a peer is sent away: it sends too many streams")
		// It is pion's reader that found out, which its Close waits for.
		s.closing.Go(func() {
			if pc := made.Load(); pc != nil {
				_ = pc.Close()
			}
		})
	}}
	settings := s.settings
	settings.BufferFactory = of.buffer
	api := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(i), webrtc.WithSettingEngine(settings))
	pc, err := api.NewPeerConnection(webrtc.Configuration{BundlePolicy: webrtc.BundlePolicyMaxBundle})
	made.Store(pc)
	return pc, err
}
