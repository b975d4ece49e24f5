package whep

import (
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"mediad/live"
	"mediad/media"
)

const (
	videoClock media.Timescale = 90000
	audioClock media.Timescale = 48000

	// history is how many packets can be sent again: a second of 10 Mbit/s. It is a power of two. Payloads are shared with everyone.
	history = 1024
	// maxResend is how many packets can be sent again at once, what a burst loses, and resendRate how many a second from then on:
	// a peer that asks for everything again and again gets no more than that.
	maxResend  = 128
	resendRate = history

	// playoutDelay is the header extension that bounds how long a peer may hold pictures, {min, max} in 12 bits each of 10 ms
	// (webrtc.org/experiments/rtp-hdrext/playout-delay).
	playoutDelay = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"

	// maxBadReports is how many reports in a row a peer may send that nobody can read.
	maxBadReports = 64
)

// atOnce says by playoutDelay that pictures are shown as they come. Without it a browser waits for what the source's own jitter may be, which
// is some 20 ms where an encoder puts sound and pictures in order. A page that wants them smooth says so by jitterBufferTarget.
var atOnce = []byte{0, 0, 0}

// sender is one track on its way to one peer: a webrtc.TrackLocal that packets are written to with their own sequence numbers.
type sender struct {
	kind   webrtc.RTPCodecType
	stream string
	pref   string // profile_idc and constraints that the peer should be told, hexadecimal; H.264

	mu      sync.Mutex // guards what follows
	out     webrtc.TrackLocalWriter
	ssrc    uint32
	pt      uint8
	delayID uint8 // of playoutDelay; 0: the peer does not know it
	seq     uint16
	offset  uint32 // of timestamps
	last    uint32 // timestamp that was sent last, without offset
	packets uint32
	octets  uint32
	head    rtp.Header // of the packet that is being written; write's alone
	sent    []sent     // by sequence number; nil: nothing is sent again
	resent  uint64
	again   bucket
	told    bool // a sender report was sent
}

// sent is a packet that may be sent again.
type sent struct {
	payload   []byte
	timestamp uint32
	seq       uint16
	marker    bool
	key       bool
}

func newSender(kind webrtc.RTPCodecType, stream string, t *media.Track) *sender {
	s := &sender{kind: kind, stream: stream, seq: uint16(rand.Uint32()), offset: rand.Uint32()}
	if kind == webrtc.RTPCodecTypeVideo {
		s.sent = make([]sent, history)
		if t != nil && t.Codec == media.H264 && len(t.Config) > 2 {
			const digits = "0123456789abcdef"
			s.pref = string([]byte{digits[t.Config[1]>>4], digits[t.Config[1]&15]})
		}
	}
	return s
}

// Bind implements webrtc.TrackLocal. It chooses among the payload types that were agreed on; browsers decode any profile under
// any, and one that names the source's own is the honest one.
func (s *sender) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	want := webrtc.MimeTypeOpus
	if s.kind == webrtc.RTPCodecTypeVideo {
		want = webrtc.MimeTypeH264
	}
	var chosen *webrtc.RTPCodecParameters
	codecs := c.CodecParameters()
	for i := range codecs {
		if !strings.EqualFold(codecs[i].MimeType, want) {
			continue
		}
		exact := s.pref != "" && strings.Contains(codecs[i].SDPFmtpLine, "profile-level-id="+s.pref)
		if chosen == nil || exact {
			chosen = &codecs[i]
		}
		if exact {
			break
		}
	}
	if chosen == nil {
		return webrtc.RTPCodecParameters{}, webrtc.ErrUnsupportedCodec
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out, s.ssrc, s.pt = c.WriteStream(), uint32(c.SSRC()), uint8(chosen.PayloadType)
	s.delayID = 0
	for _, e := range c.HeaderExtensions() {
		if e.URI == playoutDelay && s.kind == webrtc.RTPCodecTypeVideo {
			s.delayID = uint8(e.ID)
		}
	}
	return *chosen, nil
}

// Unbind implements webrtc.TrackLocal.
func (s *sender) Unbind(webrtc.TrackLocalContext) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = nil
	return nil
}

// ID implements webrtc.TrackLocal.
func (s *sender) ID() string { return s.kind.String() }

// RID implements webrtc.TrackLocal.
func (s *sender) RID() string { return "" }

// StreamID implements webrtc.TrackLocal. Both tracks have the same, which is what browsers synchronise by.
func (s *sender) StreamID() string { return s.stream }

// Kind implements webrtc.TrackLocal.
func (s *sender) Kind() webrtc.RTPCodecType { return s.kind }

// write sends a packet, key says of a key frame; timestamp is without offset. It belongs to one goroutine, and nothing keeps the header that it passes on.
func (s *sender) write(payload []byte, timestamp uint32, marker, key bool) error {
	s.mu.Lock()
	p := sent{payload: payload, timestamp: timestamp, seq: s.seq, marker: marker, key: key}
	out, h := s.header(&p)
	s.head = h
	s.seq++
	s.last = timestamp
	s.packets++
	s.octets += uint32(len(payload))
	if s.sent != nil {
		s.sent[p.seq%history] = p
	}
	s.mu.Unlock()
	if out == nil {
		return nil // it is not negotiated any more
	}
	_, err := out.WriteRTP(&s.head, payload)
	return err
}

// header is that of a packet; s.mu is held.
func (s *sender) header(p *sent) (webrtc.TrackLocalWriter, rtp.Header) {
	h := rtp.Header{
		Version: 2, Marker: p.marker, PayloadType: s.pt, SequenceNumber: p.seq, Timestamp: p.timestamp + s.offset, SSRC: s.ssrc,
	}
	if p.key && s.delayID != 0 {
		_ = h.SetExtension(s.delayID, atOnce) // it fits the one-byte form, and peers remember what it says
	}
	return s.out, h
}

// resend sends again what a NACK names, as far as it is there still and not too much.
func (s *sender) resend(n *rtcp.TransportLayerNack, now time.Duration) {
	for _, pair := range n.Nacks {
		left := true
		pair.Range(func(seq uint16) bool {
			left = s.resendOne(seq, now)
			return left
		})
		if !left {
			return
		}
	}
}

// resendOne sends one packet again if it is there still. It reports whether another may be.
func (s *sender) resendOne(seq uint16, now time.Duration) (more bool) {
	s.mu.Lock()
	if s.out == nil || s.sent == nil || s.sent[seq%history].payload == nil || s.sent[seq%history].seq != seq {
		s.mu.Unlock()
		return true
	}
	if !s.again.take(1, maxResend, resendRate, now) {
		s.mu.Unlock()
		return false
	}
	p := s.sent[seq%history]
	out, h := s.header(&p)
	s.resent++
	s.mu.Unlock()
	_, _ = out.WriteRTP(&h, p.payload) // what is lost again is asked for again
	return true
}

// lastTime is the timestamp that was sent last, false if nothing was.
func (s *sender) lastTime() (uint32, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last, s.packets > 0
}

// report is a sender report that says what timestamp belongs to session time at, which is wall on the clock. It is nil
// before the first packet.
func (s *sender) report(at time.Duration, wall time.Time) *rtcp.SenderReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.packets == 0 || s.out == nil {
		return nil
	}
	s.told = true
	clock := videoClock
	if s.kind == webrtc.RTPCodecTypeAudio {
		clock = audioClock
	}
	return &rtcp.SenderReport{
		SSRC: s.ssrc, NTPTime: ntp(wall), RTPTime: uint32(clock.Ticks(at)) + s.offset, PacketCount: s.packets, OctetCount: s.octets,
	}
}

// untold reports whether packets were sent that no sender report has put in time. A track that the peer did not want is nil.
func (s *sender) untold() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.packets > 0 && !s.told
}

// ntp is a time as RFC 3550 4 has it: seconds since 1900 in 32.32 bits.
func ntp(t time.Time) uint64 {
	const since1900 = 2208988800
	frac := uint64(t.Nanosecond()) << 32 / uint64(time.Second)
	return uint64(t.Unix()+since1900)<<32 | frac
}

// reports is where RTCP of a track is read; *webrtc.RTPSender is one.
type reports interface {
	Read(b []byte) (int, interceptor.Attributes, error)
}

// readReports reads RTCP of a track until the peer connection is closed. Unread, it would fill up. An error that is not the end is
// one report that pion could not read, which takes nothing from those that follow; whoever sends nothing else is ended.
func (v *viewer) readReports(r reports, s *sender) {
	buf := make([]byte, 1500)
	for bad := 0; ; {
		n, _, err := r.Read(buf)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
			return
		}
		var packets []rtcp.Packet
		if err == nil {
			packets, err = rtcp.Unmarshal(buf[:n])
		}
		if err != nil {
			if bad++; bad > maxBadReports {
				v.end(live.Refuse(live.ReasonProtocolError, err))
				return
			}
			continue
		}
		bad = 0
		for _, p := range packets {
			switch p := p.(type) {
			case *rtcp.TransportLayerNack:
				if s.owns(p.MediaSSRC) {
					s.resend(p, v.b.session.Now())
				}
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				if s.kind == webrtc.RTPCodecTypeVideo {
					v.pictureLost()
				}
			}
		}
	}
}

func (s *sender) owns(ssrc uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ssrc == ssrc
}
