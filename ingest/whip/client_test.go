package whip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	"mediad/ingest/ingesttest"
	"mediad/internal/rtc"
	"mediad/internal/testx"
	"mediad/media"
	"mediad/media/mediatest"
)

func TestMain(m *testing.M) { testx.Main(m) }

// film is two seconds that decode, of one size or another, made once.
type film struct {
	once  sync.Once
	w, h  int
	track *media.Track
	units []media.AccessUnit
}

var films = [2]*film{{w: 320, h: 180}, {w: 640, h: 360}}

func (f *film) load(t testing.TB) {
	f.once.Do(func() {
		track, _, units := mediatest.Encoded(t, mediatest.EncodedPattern{Width: f.w, Height: f.h, GOP: 15, Frames: 59})
		f.track = track
		for _, au := range units {
			if au.Kind == media.Video {
				f.units = append(f.units, au)
			}
		}
	})
}

// annexB is a picture as an encoder for WebRTC gives it out, with parameter sets before a key frame.
func (f *film) annexB(i int) []byte {
	au := f.units[i%len(f.units)]
	var b bytes.Buffer
	put := func(nal []byte) { b.Write([]byte{0, 0, 0, 1}); b.Write(nal) }
	if au.RandomAccess {
		sps, pps := f.track.H264ParameterSets()
		put(sps[0])
		put(pps[0])
	}
	for d := au.Data; len(d) > 4; {
		n := int(d[0])<<24 | int(d[1])<<16 | int(d[2])<<8 | int(d[3])
		if nal := d[4 : 4+n]; nal[0]&0x1F == 1 || nal[0]&0x1F == nalIDR {
			put(nal)
		}
		d = d[4+n:]
	}
	return b.Bytes()
}

// packets cuts pictures into RTP.
type packets struct {
	film      *film
	payloader codecs.H264Payloader
	seq       uint16
	start     uint32 // timestamp of the first picture
	n         int    // pictures so far
}

func (p *packets) next() []*rtp.Packet {
	ts := p.start + uint32(p.n)*3000
	payloads := p.payloader.Payload(1100, p.film.annexB(p.n))
	p.n++
	return p.wrap(payloads, ts)
}

func (p *packets) wrap(payloads [][]byte, ts uint32) []*rtp.Packet {
	var out []*rtp.Packet
	for i, payload := range payloads {
		p.seq++
		out = append(out, &rtp.Packet{
			Header:  rtp.Header{Version: 2, SequenceNumber: p.seq, Timestamp: ts, Marker: i == len(payloads)-1},
			Payload: payload,
		})
	}
	return out
}

// sound is the n-th Opus packet: 20 ms of stereo, with its number inside.
func sound(n int, seq uint16, start uint32) *rtp.Packet {
	return &rtp.Packet{
		Header:  rtp.Header{Version: 2, SequenceNumber: seq, Timestamp: start + uint32(n)*960},
		Payload: []byte{0xFC, byte(n >> 8), byte(n), 0xFE},
	}
}

// lossy drops packets on their way out, also those that are sent again.
type lossy struct {
	interceptor.NoOp
	percent int
}

func (l *lossy) NewInterceptor(string) (interceptor.Interceptor, error) { return l, nil }

func (l *lossy) BindLocalStream(_ *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	return interceptor.RTPWriterFunc(func(h *rtp.Header, b []byte, a interceptor.Attributes) (int, error) {
		if rand.IntN(100) < l.percent {
			return len(b), nil
		}
		return w.Write(h, b, a)
	})
}

// client is a WHIP publisher.
type client struct {
	t      testing.TB
	url    string
	loss   int
	offers func(string) string // changes the offer

	pc           *webrtc.PeerConnection
	video, audio *webrtc.TrackLocalStaticRTP
	location     string
	etag         string
	pictures     packets
	frames       int
	plis         atomic.Int32
	readers      sync.WaitGroup
	over         chan struct{}
	overOnce     sync.Once
}

func newClient(t testing.TB, url string) *client {
	films[0].load(t)
	return &client{t: t, url: url, over: make(chan struct{}), pictures: packets{film: films[0], start: rand.Uint32(), seq: uint16(rand.Uint32())}}
}

func (c *client) connect() error {
	m, r := &webrtc.MediaEngine{}, &interceptor.Registry{}
	if err := rtc.RegisterH264Opus(m); err != nil {
		return err
	}
	m.RegisterFeedback(webrtc.RTCPFeedback{Type: "nack"}, webrtc.RTPCodecTypeVideo)
	m.RegisterFeedback(webrtc.RTCPFeedback{Type: "nack", Parameter: "pli"}, webrtc.RTPCodecTypeVideo)
	if c.loss > 0 {
		r.Add(&lossy{percent: c.loss})
	}
	responder, err := nack.NewResponderInterceptor()
	if err != nil {
		return err
	}
	r.Add(responder)
	e := webrtc.SettingEngine{}
	e.SetIncludeLoopbackCandidate(true)
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	api := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(r), webrtc.WithSettingEngine(e))
	if c.pc, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		return err
	}
	c.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateClosed || s == webrtc.PeerConnectionStateFailed {
			c.overOnce.Do(func() { close(c.over) })
		}
	})
	if c.video, err = webrtc.NewTrackLocalStaticRTP(rtc.H264Capability(), "video", "test"); err != nil {
		return err
	}
	if c.audio, err = webrtc.NewTrackLocalStaticRTP(rtc.OpusCapability(), "audio", "test"); err != nil {
		return err
	}
	for _, track := range []webrtc.TrackLocal{c.video, c.audio} {
		tr, err := c.pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		if err != nil {
			return err
		}
		c.readers.Go(func() {
			for {
				packets, _, err := tr.Sender().ReadRTCP()
				if err != nil {
					return
				}
				for _, p := range packets {
					if _, ok := p.(*rtcp.PictureLossIndication); ok {
						c.plis.Add(1)
					}
				}
			}
		})
	}
	return nil
}

func (c *client) offer(o *webrtc.OfferOptions) (string, error) {
	d, err := c.pc.CreateOffer(o)
	if err != nil {
		return "", err
	}
	done := webrtc.GatheringCompletePromise(c.pc)
	if err := c.pc.SetLocalDescription(d); err != nil {
		return "", err
	}
	<-done
	return c.pc.LocalDescription().SDP, nil
}

func (c *client) do(ctx context.Context, method, url, contentType, body string, header ...string) (*http.Response, string, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return res, string(text), err
}

// Publish offers and waits for the connection.
func (c *client) Publish(ctx context.Context, key string) error {
	if err := c.connect(); err != nil {
		return err
	}
	sdp, err := c.offer(nil)
	if err != nil {
		return err
	}
	if c.offers != nil {
		sdp = c.offers(sdp)
	}
	res, text, err := c.do(ctx, http.MethodPost, c.url+"/whip", rtc.SDPType, sdp, "Authorization", "Bearer "+key)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusCreated {
		return fmt.Errorf("%s: %s", res.Status, text)
	}
	c.location, c.etag = c.url+res.Header.Get("Location"), res.Header.Get("ETag")
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: text}); err != nil {
		return err
	}
	return c.connected(ctx)
}

func (c *client) connected(ctx context.Context) error {
	for c.pc.ConnectionState() != webrtc.PeerConnectionStateConnected {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.over:
			return errors.New("closed while connecting")
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}

// sendPair sends a picture and its sound.
func (c *client) sendPair() error {
	for _, p := range c.pictures.next() {
		if err := c.video.WriteRTP(p); err != nil {
			return err
		}
	}
	for c.frames*20 < c.pictures.n*1000/30 {
		if err := c.audio.WriteRTP(sound(c.frames, uint16(c.frames), 7)); err != nil {
			return err
		}
		c.frames++
	}
	return nil
}

// Send sends a second, in the pace of media where the packets might be lost.
func (c *client) Send(ctx context.Context) error {
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for range 30 {
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := c.sendPair(); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) Stop() error {
	res, _, err := c.do(context.Background(), http.MethodDelete, c.location, "", "")
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return err
}

// Drop hangs up without DELETE.
func (c *client) Drop() { _ = c.pc.GracefulClose() }

func (c *client) Told(ctx context.Context) string {
	select {
	case <-c.over:
		return "closed"
	case <-ctx.Done():
		return "not closed"
	}
}

func (c *client) Stall() {}

func (c *client) SendFrame(n int) error {
	nal := append([]byte{0, 0, 0, 1, 0x41}, bytes.Repeat([]byte{0xAB}, n)...)
	for _, p := range c.pictures.wrap(c.pictures.payloader.Payload(1100, nal), c.pictures.start+uint32(c.pictures.n)*3000) {
		// A burst of a megabyte would not fit into socket buffers.
		if p.SequenceNumber%64 == 0 {
			time.Sleep(time.Millisecond)
		}
		if err := c.video.WriteRTP(p); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) ChangeCodec(context.Context) error {
	films[1].load(c.t)
	p := &c.pictures
	c.pictures = packets{film: films[1], start: p.start + uint32(p.n)*3000, seq: p.seq}
	return c.sendPair()
}

func (c *client) Close() {
	if c.pc != nil {
		_ = c.pc.GracefulClose()
	}
	c.readers.Wait()
}

// service is a Server behind HTTP.
type service struct {
	*Server
	url string
}

func serve(t testing.TB, o Options) *service {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	sockets, err := rtc.Listen(rtc.Options{UDPAddr: "127.0.0.1:0", Log: log})
	require.NoError(t, err)
	o.RTC, o.Log = sockets, log
	s, err := New(o)
	require.NoError(t, err)
	web := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Close()
		web.Close()
		require.NoError(t, sockets.Close())
		http.DefaultClient.CloseIdleConnections()
	})
	return &service{s, web.URL}
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

func TestConformance(t *testing.T) {
	ingesttest.Run(t, ingesttest.Harness{
		Start: func(ctx context.Context, t testing.TB, hub *ingesttest.Hub, l ingesttest.Limits) (string, func()) {
			s := serve(t, Options{Admit: admit(hub), MaxFrame: l.MaxFrame, ReadTimeout: l.ReadTimeout, FirstFrameTimeout: l.FirstFrameTimeout})
			done := make(chan struct{})
			go func() {
				defer close(done)
				<-ctx.Done()
				s.Close()
			}()
			return s.url, func() { <-done }
		},
		Publisher:   func(t testing.TB, url string) ingesttest.Publisher { return newClient(t, url) },
		ReadTimeout: time.Second,
	})
}

// onAir is a publisher that is connected.
func onAir(t testing.TB, s *service, key string, set ...func(*client)) *client {
	t.Helper()
	c := newClient(t, s.url)
	for _, f := range set {
		f(c)
	}
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, c.Publish(ctx, key))
	return c
}
