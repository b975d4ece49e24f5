package whep

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	"mediad/internal/rtc"
	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
)

func TestMain(m *testing.M) { testx.Main(m) }

type anyKey struct{}

func (anyKey) AuthorizePublish(_ context.Context, key string, _ live.Peer) (live.Grant, error) {
	return live.Grant{Stream: key, StreamID: "id-" + key}, nil
}

// site is a server with a hub behind it.
type site struct {
	t     testing.TB
	hub   *live.Hub
	whep  *Server
	url   string
	watch *witness
}

func newSite(t testing.TB, o Options) *site {
	t.Helper()
	s := &site{t: t, hub: live.NewHub(live.Options{Authorizer: anyKey{}}), watch: &witness{}}
	sockets, err := rtc.Listen(rtc.Options{UDPAddr: "127.0.0.1:0"})
	require.NoError(t, err)
	o.RTC, o.Source, o.Observer = sockets, s.hub, s.watch
	if o.Log == nil && !testing.Short() {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	s.whep, err = New(o)
	require.NoError(t, err)
	web := httptest.NewServer(s.whep)
	s.url = web.URL
	t.Cleanup(func() {
		s.whep.Close()
		web.Close()
		http.DefaultClient.CloseIdleConnections()
		require.NoError(t, sockets.Close())
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		require.NoError(t, s.hub.Shutdown(ctx))
	})
	return s
}

// witness is an Observer that remembers.
type witness struct {
	mu     sync.Mutex
	counts []int
	ended  []live.Reason
	first  []time.Duration
}

func (w *witness) Viewers(_ string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts = append(w.counts, n)
}

func (w *witness) Ended(_ string, r live.Reason, _ time.Duration, _ uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = append(w.ended, r)
}

func (w *witness) FirstFrame(_ string, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.first = append(w.first, d)
}

func (w *witness) reasons() []live.Reason {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]live.Reason(nil), w.ended...)
}

// publisher writes units to a stream of the hub.
type publisher struct {
	t      testing.TB
	p      *live.Publisher
	tracks [media.Kinds]*media.Track
}

func (s *site) publish(stream string, tracks [media.Kinds]*media.Track) *publisher {
	s.t.Helper()
	p, err := s.hub.Publish(s.t.Context(), stream, live.Peer{Protocol: "test", Remote: "192.0.2.1:1"})
	require.NoError(s.t, err)
	require.NoError(s.t, p.StartEpoch(tracks, 0, time.Now(), "test"))
	return &publisher{t: s.t, p: p, tracks: tracks}
}

func (p *publisher) write(units ...media.AccessUnit) {
	p.t.Helper()
	for _, au := range units {
		require.NoError(p.t, p.p.Write(au))
	}
}

func videoOf(t *media.Track) [media.Kinds]*media.Track { return [media.Kinds]*media.Track{t, nil} }

// player of the tests: a WebRTC peer that puts pictures together again.
type peer struct {
	t        testing.TB
	url      string
	pc       *webrtc.PeerConnection
	location string
	etag     string
	readers  sync.WaitGroup

	mu       sync.Mutex
	pictures [][]byte // annex B
	stamps   []uint32
	seqs     []uint16
	sounds   [][]byte
	soundTS  []uint32
	reports  []*rtcp.SenderReport
	drop     func(seq int) bool // by count of video packets
	count    int
}

// drops loses packets on their way in, before NACK is made of it.
type drops struct {
	interceptor.NoOp
	p *peer
}

func (d *drops) NewInterceptor(string) (interceptor.Interceptor, error) { return d, nil }

func (d *drops) BindRemoteStream(info *interceptor.StreamInfo, r interceptor.RTPReader) interceptor.RTPReader {
	return interceptor.RTPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		for {
			n, at, err := r.Read(b, a)
			if err != nil || !strings.EqualFold(info.MimeType, webrtc.MimeTypeH264) {
				return n, at, err
			}
			d.p.mu.Lock()
			d.p.count++
			lost := d.p.drop != nil && d.p.drop(d.p.count)
			d.p.mu.Unlock()
			if !lost {
				return n, at, err
			}
		}
	})
}

func newPeer(t testing.TB, kinds ...webrtc.RTPCodecType) *peer {
	t.Helper()
	p := &peer{t: t}
	m, i := &webrtc.MediaEngine{}, &interceptor.Registry{}
	require.NoError(t, rtc.RegisterH264Opus(m))
	m.RegisterFeedback(webrtc.RTCPFeedback{Type: "nack"}, webrtc.RTPCodecTypeVideo)
	m.RegisterFeedback(webrtc.RTCPFeedback{Type: "nack", Parameter: "pli"}, webrtc.RTPCodecTypeVideo)
	i.Add(&drops{p: p})
	g, err := nack.NewGeneratorInterceptor(nack.GeneratorInterval(10 * time.Millisecond))
	require.NoError(t, err)
	i.Add(g)
	e := webrtc.SettingEngine{}
	e.SetIncludeLoopbackCandidate(true)
	e.DisableSRTPReplayProtection(true) // what is lost here was received
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	api := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(i), webrtc.WithSettingEngine(e))
	p.pc, err = api.NewPeerConnection(webrtc.Configuration{})
	require.NoError(t, err)
	for _, kind := range kinds {
		_, err := p.pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly})
		require.NoError(t, err)
	}
	p.pc.OnTrack(func(tr *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
		p.readers.Go(func() { p.read(tr) })
		p.readers.Go(func() { p.readRTCP(r) })
	})
	t.Cleanup(p.close)
	return p
}

func (p *peer) close() {
	_ = p.pc.GracefulClose()
	p.readers.Wait()
}

func (p *peer) readRTCP(r *webrtc.RTPReceiver) {
	for {
		packets, _, err := r.ReadRTCP()
		if err != nil {
			return
		}
		for _, pkt := range packets {
			if sr, ok := pkt.(*rtcp.SenderReport); ok {
				p.mu.Lock()
				p.reports = append(p.reports, sr)
				p.mu.Unlock()
			}
		}
	}
}

// read puts video packets in order, as a jitter buffer that waits for ever, and depacketises them.
func (p *peer) read(tr *webrtc.TrackRemote) {
	held := map[uint16]*rtp.Packet{}
	var next uint16
	some := false
	d := &codecs.H264Packet{}
	var picture []byte
	for {
		pkt, _, err := tr.ReadRTP()
		if err != nil {
			return
		}
		if tr.Kind() == webrtc.RTPCodecTypeAudio {
			p.mu.Lock()
			p.sounds, p.soundTS = append(p.sounds, pkt.Payload), append(p.soundTS, pkt.Timestamp)
			p.mu.Unlock()
			continue
		}
		if !some {
			some, next = true, pkt.SequenceNumber
		}
		held[pkt.SequenceNumber] = pkt
		for held[next] != nil {
			q := held[next]
			delete(held, next)
			next++
			b, err := d.Unmarshal(q.Payload)
			if err != nil {
				p.t.Errorf("packet: %v", err)
				return
			}
			picture = append(picture, b...)
			p.mu.Lock()
			p.seqs = append(p.seqs, q.SequenceNumber)
			if q.Marker {
				p.pictures, p.stamps = append(p.pictures, picture), append(p.stamps, q.Timestamp)
				picture = nil
			}
			p.mu.Unlock()
		}
	}
}

func (p *peer) offer() string {
	p.t.Helper()
	d, err := p.pc.CreateOffer(nil)
	require.NoError(p.t, err)
	done := webrtc.GatheringCompletePromise(p.pc)
	require.NoError(p.t, p.pc.SetLocalDescription(d))
	<-done
	return p.pc.LocalDescription().SDP
}

func (p *peer) play(s *site, stream string) *http.Response {
	p.t.Helper()
	res, body := request(p.t, http.MethodPost, s.url+"/whep/"+stream, "application/sdp", p.offer())
	if res.StatusCode != http.StatusCreated {
		return res
	}
	p.url, p.location, p.etag = s.url, res.Header.Get("Location"), res.Header.Get("ETag")
	require.NoError(p.t, p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: body}))
	return res
}

func request(t testing.TB, method, url, contentType, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(b)
}

func (p *peer) seen() int { p.mu.Lock(); defer p.mu.Unlock(); return len(p.pictures) }
func (p *peer) heard() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sounds)
}

// wantPicture is a unit as the depacketiser of the tests gives it: annex B, a key frame with its parameter sets.
func wantPicture(t *media.Track, au media.AccessUnit) []byte {
	var b bytes.Buffer
	put := func(nal []byte) { b.Write([]byte{0, 0, 0, 1}); b.Write(nal) }
	if au.RandomAccess {
		sps, pps := t.H264ParameterSets()
		put(sps[0])
		put(pps[0])
	}
	for d := au.Data; len(d) > 4; {
		n := int(d[0])<<24 | int(d[1])<<16 | int(d[2])<<8 | int(d[3])
		put(d[4 : 4+n])
		d = d[4+n:]
	}
	return b.Bytes()
}

// pattern is n pictures of 30 fps with a key frame every gop.
func pattern(n, gop int) (*media.Track, []media.AccessUnit) {
	t := mediatest.H264Track(640, 360, 30, 1)
	return t, mediatest.Video(mediatest.VideoPattern{Frames: n, GOP: gop, KeySize: 9000, Size: 2500})
}

const (
	videoKind = webrtc.RTPCodecTypeVideo
	audioKind = webrtc.RTPCodecTypeAudio
)

// loses tells the server that the peer cannot go on.
func (p *peer) loses() {
	p.t.Helper()
	ssrc := uint32(p.pc.GetReceivers()[0].Track().SSRC())
	require.NoError(p.t, p.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: ssrc}}))
}
