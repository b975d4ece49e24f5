// Package wheptest plays streams by WHEP without a screen: tests and benchmarks use it, the server does not.
//
//	Play ── offer, answer ──► server
//	  ▲ SRTP ◄──────────────────┘   Limit loses what a narrow link would; one goroutine a track reads and counts
package wheptest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"mediad/internal/rtc"
)

const (
	answerWithin = 10 * time.Second
	// maxAnswer bounds an answer in bytes.
	maxAnswer = 256 << 10
	// pending is how many packets may be missing before one is given up.
	pending = 256
)

// Options say what is played. URL is required.
type Options struct {
	// URL is where offers are posted to.
	URL string
	// Bearer is the token that is shown there; "": none.
	Bearer string
	// Sound asks for sound as well.
	Sound bool
	// Blind counts packets and does not look into them, which costs least.
	Blind bool
	// Limit is what the link carries, in bits a second; what is over is lost. 0: everything.
	Limit int
}

// Player plays one stream until Close.
type Player struct {
	o  Options
	pc *webrtc.PeerConnection

	packets, bytes, pictures, keys atomic.Uint64
	sounds                         atomic.Uint64
	height                         atomic.Int64
	narrow                         narrow
	ended                          chan struct{}
	end                            sync.Once
	readers                        sync.WaitGroup
}

// Play offers, and returns once the answer is taken; the connection and pictures follow.
func Play(ctx context.Context, o Options) (*Player, error) {
	p := &Player{o: o, ended: make(chan struct{}), narrow: narrow{rate: o.Limit}}
	if err := p.connect(ctx); err != nil {
		if p.pc != nil {
			_ = p.pc.GracefulClose()
		}
		return nil, fmt.Errorf("wheptest: %w", err)
	}
	return p, nil
}

func (p *Player) connect(ctx context.Context) error {
	m, i := &webrtc.MediaEngine{}, &interceptor.Registry{}
	if err := p.register(m, i); err != nil {
		return err
	}
	e := webrtc.SettingEngine{}
	e.SetIncludeLoopbackCandidate(true)
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	e.DisableSRTPReplayProtection(true) // what the link has lost was received
	var err error
	api := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(i), webrtc.WithSettingEngine(e))
	if p.pc, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		return err
	}
	kinds := []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo}
	if p.o.Sound {
		kinds = append(kinds, webrtc.RTPCodecTypeAudio)
	}
	for _, kind := range kinds {
		only := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}
		if _, err := p.pc.AddTransceiverFromKind(kind, only); err != nil {
			return err
		}
	}
	p.pc.OnTrack(func(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
		p.readers.Go(func() { p.read(t) })
		p.readers.Go(func() { // unread, reports would fill up
			for {
				if _, _, err := r.ReadRTCP(); err != nil {
					return
				}
			}
		})
	})
	p.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateFailed || s == webrtc.PeerConnectionStateClosed {
			p.end.Do(func() { close(p.ended) })
		}
	})
	offer, err := p.pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(offer); err != nil {
		return err
	}
	<-gathered
	answer, err := post(ctx, p.o, p.pc.LocalDescription().SDP)
	if err != nil {
		return err
	}
	return p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer})
}

// register registers what browsers have: NACK, PLI, receiver reports and transport-wide feedback.
func (p *Player) register(m *webrtc.MediaEngine, i *interceptor.Registry) error {
	if err := rtc.RegisterH264Opus(m); err != nil {
		return err
	}
	m.RegisterFeedback(webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBNACK}, webrtc.RTPCodecTypeVideo)
	m.RegisterFeedback(webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBNACK, Parameter: "pli"}, webrtc.RTPCodecTypeVideo)
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		m.RegisterFeedback(webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBTransportCC}, kind)
		if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: sdp.TransportCCURI}, kind); err != nil {
			return err
		}
	}
	i.Add(&p.narrow)
	feedback, err := twcc.NewSenderInterceptor()
	if err != nil {
		return err
	}
	again, err := nack.NewGeneratorInterceptor()
	if err != nil {
		return err
	}
	reports, err := report.NewReceiverInterceptor()
	if err != nil {
		return err
	}
	i.Add(feedback)
	i.Add(again)
	i.Add(reports)
	return nil
}

func post(ctx context.Context, o Options, offer string) (answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.URL, strings.NewReader(offer))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/sdp")
	if o.Bearer != "" {
		r.Header.Set("Authorization", "Bearer "+o.Bearer)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err == nil && res.StatusCode != http.StatusCreated {
		err = fmt.Errorf("%s: %s", res.Status, body)
	}
	return string(body), err
}

// read takes a track's packets until the end.
func (p *Player) read(t *webrtc.TrackRemote) {
	var line line
	buf := make([]byte, 1500)
	var packet rtp.Packet
	for {
		n, _, err := t.Read(buf)
		if err != nil {
			return
		}
		if t.Kind() == webrtc.RTPCodecTypeAudio {
			p.sounds.Add(1)
			continue
		}
		p.packets.Add(1)
		p.bytes.Add(uint64(n))
		if p.o.Blind {
			continue
		}
		if err := packet.Unmarshal(buf[:n]); err != nil {
			continue
		}
		if line.take(&packet, p.picture) {
			_ = p.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(t.SSRC())}}) // the connection is gone
		}
	}
}

// picture looks at one that has come whole.
func (p *Player) picture(annexB []byte) {
	p.pictures.Add(1)
	var units h264.AnnexB
	if err := units.Unmarshal(annexB); err != nil {
		return
	}
	for _, nal := range units {
		switch h264.NALUType(nal[0] & 0x1f) {
		case h264.NALUTypeIDR:
			p.keys.Add(1)
			return
		case h264.NALUTypeSPS:
			var sps h264.SPS
			if sps.Unmarshal(nal) == nil {
				p.height.Store(int64(sps.Height()))
			}
		default:
		}
	}
}

// Packets is how many packets of pictures have come, and Bytes their size with headers.
func (p *Player) Packets() uint64 { return p.packets.Load() }

// Bytes is the size of Packets.
func (p *Player) Bytes() uint64 { return p.bytes.Load() }

// Pictures is how many pictures have come whole, in order.
func (p *Player) Pictures() uint64 { return p.pictures.Load() }

// Sounds is how many packets of sound have come.
func (p *Player) Sounds() uint64 { return p.sounds.Load() }

// Height is that of the newest key frame's pictures; 0: none has come.
func (p *Player) Height() int { return int(p.height.Load()) }

// Limit changes what the link carries; see Options.
func (p *Player) Limit(bits int) { p.narrow.set(bits) }

// Ended is closed when the connection is gone.
func (p *Player) Ended() <-chan struct{} { return p.ended }

// Close ends the playing and waits.
func (p *Player) Close() error {
	err := p.pc.GracefulClose()
	p.readers.Wait()
	if errors.Is(err, webrtc.ErrConnectionClosed) {
		return nil
	}
	return err
}

// line puts packets in order and together to pictures.
type line struct {
	held    map[uint16]*rtp.Packet
	next    uint16
	some    bool
	broken  bool // something is missing up to the next key frame
	parts   codecs.H264Packet
	picture []byte
}

// take takes a packet and calls whole for each picture that it completes. It reports whether something was lost.
func (l *line) take(p *rtp.Packet, whole func([]byte)) (lost bool) {
	if !l.some {
		l.some, l.next, l.held = true, p.SequenceNumber, map[uint16]*rtp.Packet{}
	}
	if int16(p.SequenceNumber-l.next) < 0 {
		return false
	}
	l.held[p.SequenceNumber] = &rtp.Packet{Header: p.Header, Payload: append([]byte(nil), p.Payload...)}
	for len(l.held) > pending && l.held[l.next] == nil {
		l.next++
		lost, l.broken = true, true
	}
	for l.held[l.next] != nil {
		q := l.held[l.next]
		delete(l.held, l.next)
		l.next++
		b, err := l.parts.Unmarshal(q.Payload)
		if err != nil {
			l.broken = true
		}
		l.picture = append(l.picture, b...)
		if !q.Marker {
			continue
		}
		if !l.broken {
			whole(l.picture)
		}
		l.picture, l.broken = l.picture[:0], false
	}
	return lost
}

// narrow is an interceptor that loses what a link of some rate cannot carry: a router with a short queue.
type narrow struct {
	interceptor.NoOp

	mu   sync.Mutex // guards the following
	rate int        // bits a second; 0: it loses nothing
	left float64    // bits
	at   time.Time
}

func (n *narrow) set(rate int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rate = rate
}

// queue is how much of a second the router keeps.
const queue = 0.1

func (n *narrow) carries(bytes int, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.rate == 0 {
		return true
	}
	n.left = min(n.left+now.Sub(n.at).Seconds()*float64(n.rate), queue*float64(n.rate))
	n.at = now
	if n.left < 0 {
		return false
	}
	n.left -= float64(bytes * 8)
	return true
}

// NewInterceptor implements interceptor.Factory.
func (n *narrow) NewInterceptor(string) (interceptor.Interceptor, error) { return n, nil }

// BindRemoteStream implements interceptor.Interceptor.
func (n *narrow) BindRemoteStream(_ *interceptor.StreamInfo, r interceptor.RTPReader) interceptor.RTPReader {
	return interceptor.RTPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		for {
			size, at, err := r.Read(b, a)
			if err != nil || n.carries(size, time.Now()) {
				return size, at, err
			}
		}
	})
}
