package whip

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	"mediad/ingest/ingesttest"
	"mediad/internal/rtc"
	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
)

// layered is a publication of a hub that takes layers too.
type layered struct {
	*ingesttest.Publication

	mu    sync.Mutex // guards the following
	told  map[uint8][]*media.Track
	units map[uint8][]media.AccessUnit
}

func newLayered(p *ingesttest.Publication) *layered {
	return &layered{Publication: p, told: map[uint8][]*media.Track{}, units: map[uint8][]media.AccessUnit{}}
}

func (l *layered) Layer(n uint8, t *media.Track) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told[n] = append(l.told[n], t)
}

func (l *layered) WriteLayer(au media.AccessUnit) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.units[au.Layer] = append(l.units[au.Layer], au)
	return nil
}

// layer is what came of one so far.
func (l *layered) layer(n uint8) ([]*media.Track, []media.AccessUnit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.told[n]), slices.Clone(l.units[n])
}

// some is the layer that was told of, 0 while none was: they count in the order in which they come.
func (l *layered) some() (n uint8) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n = range l.told {
		return n
	}
	return 0
}

// stage is a publication of simulcast without a network, and its clock.
type stage struct {
	*publication
	t     testing.TB
	out   *layered
	clock time.Duration
	peers []*peer
}

// peer is one layer as its sender has it. Its timestamps begin anywhere, and it comes late by so much.
type peer struct {
	packets
	v      *videoTrack
	late   time.Duration
	paused bool
}

// capture is when picture n is taken, in ticks since the first: cameras are no clocks.
func capture(n int) uint32 { return uint32(n*3000 + n*7919%700) }

func newStage(t testing.TB, lates ...time.Duration) *stage {
	hub := ingesttest.NewHub("good")
	p, err := hub.Admit(t.Context(), "good", live.Peer{})
	require.NoError(t, err)
	s := &stage{t: t, out: newLayered(p)}
	epoch := time.Now()
	o := Options{Now: func() time.Time { return epoch.Add(s.clock) }}.withDefaults()
	s.publication = newPublication(&o, p, s.out, offered{video: true, h264: true, layers: len(lates)}, slog.New(slog.DiscardHandler))
	s.clock = time.Second
	for i, late := range lates {
		films[i].load(t)
		s.peers = append(s.peers, &peer{
			packets: packets{film: films[i], start: uint32(1000003 * (i + 1)), seq: uint16(7 * i)},
			v:       s.addVideo(webrtc.MimeTypeH264, string(rune('a'+i)), uint32(i+1)), late: late,
		})
	}
	return s
}

// send sends picture n of every layer that is not paused, those first that are early.
func (s *stage) send(n int) {
	at := time.Second + time.Duration(n)*time.Second/30
	for _, p := range s.peers {
		if p.paused {
			continue
		}
		s.clock = max(s.clock, at+p.late)
		p.n = n
		p.start += capture(n) - uint32(n*3000)
		for _, pkt := range p.next() {
			require.NoError(s.t, s.packet(p.v, pkt, false))
		}
		p.start -= capture(n) - uint32(n*3000)
	}
	_, err := s.tick()
	require.NoError(s.t, err)
}

// report sends what senders say of their clocks at picture n, a little wrong, as their clocks count milliseconds.
func (s *stage) report(n int) {
	for i, p := range s.peers {
		wall := uint64(3_900_000_000)<<32 + uint64(capture(n))<<32/90000
		require.NoError(s.t, s.publication.report(p.v, &rtcp.SenderReport{SSRC: p.v.ssrc, NTPTime: wall, RTPTime: p.start + capture(n) + uint32(40*i)}))
	}
}

// requireSame wants each picture of a layer to be at the time of the source's.
func (s *stage) requireSame(n uint8) {
	at := map[media.Ticks]bool{}
	for _, au := range s.out.Units(media.Video) {
		at[au.PTS] = au.RandomAccess
	}
	_, units := s.out.layer(n)
	for i, au := range units {
		key, ok := at[au.PTS]
		require.True(s.t, ok, "picture %d of layer %d is none of the source's", i, n)
		require.Equal(s.t, key, au.RandomAccess)
	}
}

// TestLayersAreThoseOfTheSource: the largest is the source, once all are there, and the other's pictures have the source's times to the tick.
func TestLayersAreThoseOfTheSource(t *testing.T) {
	for name, reported := range map[string]bool{"by reports": true, "by arrival and key frames": false} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, 0, 60*time.Millisecond)
			for n := range 300 {
				s.send(n)
				if reported && n == 20 {
					s.report(n)
				}
				if reported && n == 19 {
					require.Empty(t, s.out.Units(media.Video), "not all are known")
				}
			}
			require.Len(t, s.out.Tracks(media.Video), 1)
			require.Equal(t, 640, s.out.Tracks(media.Video)[0].Width)
			tracks, units := s.out.layer(1)
			require.Len(t, tracks, 1)
			require.Equal(t, 320, tracks[0].Width)
			require.Greater(t, len(units), 80)
			if !reported {
				// Until the first key frames tell which pictures are the same.
				first := slices.IndexFunc(units, func(au media.AccessUnit) bool { return au.RandomAccess })
				s.out.units[1] = units[first:]
			}
			s.requireSame(1)
			_, none := s.out.layer(2)
			require.Empty(t, none)
		})
	}
}

// TestALayerThatPausesLeavesTheOthers: when the source stops the next one is it, and goes on as the rung that it was; the larger is the source
// again once it has come for a while.
func TestALayerThatPausesLeavesTheOthers(t *testing.T) {
	s := newStage(t, 0, 0)
	for n := range 900 {
		s.peers[1].paused = n >= 100 && n < 300
		s.send(n)
		if n%30 == 20 {
			s.report(n)
		}
	}
	var widths []int
	for _, track := range s.out.Tracks(media.Video) {
		widths = append(widths, track.Width)
	}
	require.Equal(t, []int{640, 320, 640}, widths)
	tracks, units := s.out.layer(1)
	require.Len(t, tracks, 1)
	s.requireSame(1)
	holes := func(units []media.AccessUnit) (n int) {
		for i := 1; i < len(units); i++ {
			if d := units[i].PTS - units[i-1].PTS; d > 9000 {
				n++
				require.Less(t, d, media.Ticks(90000*3/2))
			}
		}
		return n
	}
	require.Equal(t, 1, holes(s.out.Units(media.Video)), "until it is known that the source has gone")
	require.Equal(t, 1, holes(units), "with it")
}

// TestKeyFramesAreAskedForTogether, and not of a layer's account that does not come.
func TestKeyFramesAreAskedForTogether(t *testing.T) {
	s := newStage(t, 0, 0)
	ask := func() []uint32 {
		s.clock += time.Second
		ssrcs, err := s.tick()
		require.NoError(t, err)
		return ssrcs
	}
	for n := range 31 {
		s.send(n)
		s.report(n)
	}
	require.Nil(t, s.keyFrameDue(s.now()))
	s.wantKeyFrame()
	require.Equal(t, []uint32{1, 2}, ask())
	s.peers[1].paused = true
	s.peers[1].v.torn = true
	require.Nil(t, ask())
}

func TestLayersOfAnOffer(t *testing.T) {
	for value, want := range map[string]int{"send h;m;l": 3, "send h;~l": 1, "recv 1 send a": 1, "recv a": 0, "send": 0, "": 0} {
		m := &sdp.MediaDescription{Attributes: []sdp.Attribute{{Key: "simulcast", Value: value}}}
		require.Equal(t, want, layersOf(m), value)
	}
}

// TestSimulcast: two layers under one m-line, told apart by RID. The larger is the source, the other goes beside it, and each is asked for key
// frames.
func TestSimulcast(t *testing.T) {
	hub := ingesttest.NewHub("good")
	out := make(chan *layered, 1)
	s := serve(t, Options{Admit: func(ctx context.Context, r Request) (Publisher, Feed, error) {
		p, err := hub.Admit(ctx, r.Key, r.Peer)
		if err != nil {
			return nil, nil, err
		}
		l := newLayered(p)
		out <- l
		return p, l, nil
	}})
	c := &client{t: t, url: s.url, over: make(chan struct{})}
	m := &webrtc.MediaEngine{}
	require.NoError(t, rtc.RegisterH264Opus(m))
	require.NoError(t, webrtc.ConfigureSimulcastExtensionHeaders(m))
	e := webrtc.SettingEngine{}
	e.SetIncludeLoopbackCandidate(true)
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(&interceptor.Registry{}), webrtc.WithSettingEngine(e)).
		NewPeerConnection(webrtc.Configuration{})
	require.NoError(t, err)
	c.pc = pc
	t.Cleanup(c.Close)

	rids := []string{"l", "h"}
	var tracks []*webrtc.TrackLocalStaticRTP
	for _, rid := range rids {
		track, err := webrtc.NewTrackLocalStaticRTP(rtc.H264Capability(), "video", "test", webrtc.WithRTPStreamID(rid))
		require.NoError(t, err)
		tracks = append(tracks, track)
	}
	tr, err := pc.AddTransceiverFromTrack(tracks[0], webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	require.NoError(t, err)
	require.NoError(t, tr.Sender().AddEncoding(tracks[1]))

	offer, err := c.offer(nil)
	require.NoError(t, err)
	require.Contains(t, offer, "a=simulcast:send l;h")
	res, answer, err := c.do(t.Context(), http.MethodPost, s.url+"/whip", rtc.SDPType, offer, "Authorization", "Bearer good")
	require.NoError(t, err)
	require.Equal(t, 201, res.StatusCode, answer)
	require.Contains(t, answer, "a=simulcast:recv l;h")
	require.NoError(t, pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, c.connected(ctx))

	ids := map[string]uint8{}
	for _, h := range tr.Sender().GetParameters().HeaderExtensions {
		ids[h.URI] = uint8(h.ID)
	}
	var asked [2]atomic.Bool
	for i, ssrc := range tr.Sender().GetParameters().Encodings {
		c.readers.Go(func() {
			for {
				got, _, err := tr.Sender().ReadSimulcastRTCP(rids[i])
				if err != nil {
					return
				}
				for _, p := range got {
					if pli, ok := p.(*rtcp.PictureLossIndication); ok && pli.MediaSSRC == uint32(ssrc.SSRC) {
						asked[i].Store(true)
					}
				}
			}
		})
	}
	layers := []*packets{newPackets(t, films[0]), newPackets(t, films[1])}
	pub := <-out
	testx.WaitFor(t, "both layers, and a key frame of each to be asked for", func() bool {
		for i, l := range layers {
			for _, pkt := range l.next() {
				tagged := &rtp.Packet{Header: pkt.Header, Payload: pkt.Payload}
				require.NoError(t, tagged.SetExtension(ids[sdp.SDESMidURI], []byte(tr.Mid())))
				require.NoError(t, tagged.SetExtension(ids[sdp.SDESRTPStreamIDURI], []byte(rids[i])))
				require.NoError(t, tracks[i].WriteRTP(tagged))
			}
			require.NoError(t, pc.WriteRTCP([]rtcp.Packet{&rtcp.SenderReport{
				SSRC:    uint32(tr.Sender().GetParameters().Encodings[i].SSRC),
				NTPTime: 3_900_000_000<<32 + uint64(l.n)<<32/30, RTPTime: l.start + uint32(l.n)*3000,
			}}))
		}
		_, units := pub.layer(pub.some())
		return len(units) > 60 && asked[0].Load() && asked[1].Load()
	})
	require.Len(t, pub.Tracks(media.Video), 1)
	require.Equal(t, 640, pub.Tracks(media.Video)[0].Width)
	small, _ := pub.layer(pub.some())
	require.Equal(t, 320, small[0].Width)
	require.True(t, pub.Without(media.Audio))
	require.NoError(t, pc.GracefulClose())
	c.readers.Wait()
}
