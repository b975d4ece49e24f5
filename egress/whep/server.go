package whep

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/cc"
	"github.com/pion/interceptor/pkg/gcc"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"mediad/internal/rtc"
	"mediad/live"
	"mediad/media"
)

// firstEstimate is what a viewer is believed to have until it has said more: most sources are below, and who has less is heard
// within a second. maxEstimate is the most that is ever believed.
const (
	firstEstimate = 10_000_000
	maxEstimate   = 100_000_000
)

// Server plays streams by WHEP. It is an http.Handler for /whep/ and everything below.
type Server struct {
	o Options

	mu         sync.Mutex // guards the following
	viewers    map[string]*viewer
	counts     map[string]int // viewers by stream
	broadcasts map[*live.Session]*broadcast
	entering   map[netip.Prefix]int // offers that are being answered, by where they come from
	closed     bool
	running    sync.WaitGroup

	telling sync.Mutex // held while the Observer is told how many viewers there are, so that the newest number is told last
}

// New returns a Server. Close ends it.
func New(o Options) (*Server, error) {
	if o.RTC == nil || o.Source == nil {
		return nil, errors.New("whep: Options.RTC or Options.Source is missing")
	}
	return &Server{
		o: o.withDefaults(), viewers: map[string]*viewer{}, counts: map[string]int{}, broadcasts: map[*live.Session]*broadcast{},
		entering: map[netip.Prefix]int{},
	}, nil
}

// Close lets nobody in any more, ends every viewer, and returns when the last is gone.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for _, v := range s.viewers {
		v.end(live.Refuse(live.ReasonShuttingDown, nil))
	}
	for _, b := range s.broadcasts {
		if b.holders == 0 {
			b.cancel()
		}
	}
	s.mu.Unlock()
	s.running.Wait()
}

// Viewers is how many viewers a stream has now.
func (s *Server) Viewers(stream string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[stream]
}

// Each gives the viewers that a stream has now, each with a name of its own and its place. give must be quick, and not call the Server.
func (s *Server) Each(stream string, give func(id, place string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts[stream] == 0 {
		return
	}
	for _, v := range s.viewers {
		if v.b.session.Stream() == stream {
			give(v.name, v.place)
		}
	}
}

// enter makes a place for an offer of somebody from there; leave gives it back, or to the viewer that came of it.
func (s *Server) enter(from netip.Prefix) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return live.Refuse(live.ReasonShuttingDown, nil)
	}
	entering, same := 0, s.entering[from]
	for _, n := range s.entering {
		entering += n
	}
	connecting := entering
	for _, v := range s.viewers {
		if v.connecting() {
			connecting++
			if v.from == from {
				same++
			}
		}
	}
	if len(s.viewers)+entering >= s.o.MaxViewers || connecting >= s.o.MaxConnecting || same >= s.o.MaxConnectingPerAddr {
		return live.Refuse(live.ReasonOverloaded, fmt.Errorf("whep: %d viewers, %d of them connecting", len(s.viewers), connecting))
	}
	s.entering[from]++
	s.running.Add(1)
	return nil
}

func (s *Server) leave(from netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entering[from]--; s.entering[from] == 0 {
		delete(s.entering, from)
	}
	s.running.Done()
}

// tell tells the Observer how many viewers a stream has.
func (s *Server) tell(stream string) {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.o.Observer.Viewers(stream, s.Viewers(stream))
}

// hold returns the broadcast of a session, which goes on until it was released as often and Linger has passed.
func (s *Server) hold(session *live.Session) *broadcast {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.broadcasts[session]
	if b == nil {
		b = newBroadcast(s, session)
		s.broadcasts[session] = b
		ctx, cancel := context.WithCancel(context.Background())
		b.cancel = cancel
		s.running.Go(func() {
			b.run(ctx)
			s.forget(b)
		})
	}
	if b.lingers != nil {
		b.lingers.Stop()
	}
	b.holders++
	return b
}

func (s *Server) release(b *broadcast) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.holders--; b.holders > 0 {
		return
	}
	if s.closed || s.broadcasts[b.session] != b {
		b.cancel()
		return
	}
	b.lingers = time.AfterFunc(s.o.Linger, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if b.holders == 0 {
			b.cancel()
			s.drop(b)
		}
	})
}

// forget lets go of a broadcast that is over: whoever comes for its session begins a new one.
func (s *Server) forget(b *broadcast) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.lingers != nil {
		b.lingers.Stop()
	}
	s.drop(b)
}

// drop takes a broadcast out of those that viewers may join; s.mu is held.
func (s *Server) drop(b *broadcast) {
	if s.broadcasts[b.session] == b {
		delete(s.broadcasts, b.session)
	}
}

func (s *Server) find(id string) (*viewer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.viewers[id]
	return v, ok
}

// offer judges an offer and begins to play.
func (s *Server) offer(r *http.Request, stream string, body []byte) (*viewer, string, error) {
	began := s.o.Now()
	peer := live.Peer{Protocol: "whep", Remote: s.o.Remote(r), Encoder: r.UserAgent()}
	var lost <-chan struct{}
	var err error
	if s.o.Authorize != nil {
		if lost, err = s.o.Authorize(r.Context(), stream, token(r), peer); err != nil {
			return nil, "", err
		}
	}
	session, ok := s.o.Source.Session(stream)
	if !ok {
		return nil, "", live.Refuse(live.ReasonNotLive, nil)
	}
	d, err := rtc.CheckOffer(body)
	if err != nil {
		return nil, "", err
	}
	wants, err := judge(d)
	if err != nil {
		return nil, "", err
	}
	from := prefixOf(peer.Remote)
	if err := s.enter(from); err != nil {
		return nil, "", err
	}
	defer s.leave(from)
	b := s.hold(session)
	v := &viewer{
		id: rand.Text(), name: rand.Text(), from: from, place: s.o.Place(r), b: b, log: b.log.With("peer", peer.Remote), began: began, etag: newTag(),
		wake: make(chan struct{}, 1), joined: make(chan struct{}), ending: make(chan struct{}), barred: lost,
	}
	started := false
	defer func() { // after a panic as well: a broadcast that is held for ever would keep Close from ending
		if started {
			return
		}
		if v.batch != nil {
			v.batch.Close()
		}
		if v.pc != nil {
			_ = v.pc.GracefulClose()
			v.readers.Wait()
		}
		s.release(b)
	}()
	answer, err := s.answer(r.Context(), v, wants, string(body))
	if err != nil {
		return nil, "", err
	}
	started = true
	s.start(v)
	return v, answer, nil
}

// answer makes the peer connection of v.
func (s *Server) answer(ctx context.Context, v *viewer, w wants, offer string) (string, error) {
	track, err := v.b.playable(ctx)
	if err != nil && w.video {
		return "", err
	}
	v.b.session.AskKeyFrame() // it comes while the peer connects
	m, i := &webrtc.MediaEngine{}, &interceptor.Registry{}
	if err := s.register(m, i, v, w.video && v.b.mayChoose()); err != nil {
		return "", live.Refuse(live.ReasonUnspecified, err)
	}
	if v.pc, err = s.o.RTC.NewSendingPeerConnection(m, i); err != nil {
		return "", live.Refuse(live.ReasonUnspecified, err)
	}
	v.watch()
	v.batch = s.o.RTC.NewBatch(v.pc)
	add := func(kind webrtc.RTPCodecType, t *media.Track) (*sender, error) {
		out := newSender(kind, v.b.session.Stream(), t)
		init := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}
		tr, err := v.pc.AddTransceiverFromTrack(out, init)
		if err != nil {
			return nil, live.Refuse(live.ReasonUnspecified, err)
		}
		v.readers.Go(func() { v.safely(func() { v.readReports(tr.Sender(), out) }) })
		return out, nil
	}
	if w.video {
		if v.video, err = add(webrtc.RTPCodecTypeVideo, track); err != nil {
			return "", err
		}
	}
	if w.audio {
		if v.audio, err = add(webrtc.RTPCodecTypeAudio, nil); err != nil {
			return "", err
		}
	}
	return rtc.Answer(ctx, v.pc, offer)
}

// register registers what sending needs. What a peer can receive is estimated only where there is a choice.
func (s *Server) register(m *webrtc.MediaEngine, i *interceptor.Registry, v *viewer, choice bool) error {
	if err := rtc.RegisterH264Opus(m); err != nil {
		return err
	}
	m.RegisterFeedback(webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBNACK}, webrtc.RTPCodecTypeVideo)
	m.RegisterFeedback(webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBNACK, Parameter: "pli"}, webrtc.RTPCodecTypeVideo)
	if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: playoutDelay}, webrtc.RTPCodecTypeVideo); err != nil {
		return err
	}
	if !choice {
		return nil
	}
	f, err := cc.NewInterceptor(func() (cc.BandwidthEstimator, error) {
		return gcc.NewSendSideBWE(gcc.SendSideBWEInitialBitrate(firstEstimate), gcc.SendSideBWEMaxBitrate(maxEstimate),
			gcc.SendSideBWEPacer(gcc.NewNoOpPacer()))
	})
	if err != nil {
		return err
	}
	f.OnNewPeerConnection(func(_ string, e cc.BandwidthEstimator) { v.estimate = e.GetTargetBitrate })
	i.Add(f)
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		m.RegisterFeedback(webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBTransportCC}, kind)
	}
	return webrtc.ConfigureTWCCHeaderExtensionSender(m, i)
}

// start runs a viewer until its end.
func (s *Server) start(v *viewer) {
	stream := v.b.session.Stream()
	s.mu.Lock()
	s.viewers[v.id] = v
	s.counts[stream]++
	if s.closed {
		v.end(live.Refuse(live.ReasonShuttingDown, nil))
	}
	s.running.Add(1)
	s.mu.Unlock()
	if err := v.b.add(v); err != nil {
		v.end(err)
	}
	s.tell(stream)
	go func() {
		defer s.running.Done()
		v.safely(v.run)
		v.b.remove(v)
		s.mu.Lock()
		delete(s.viewers, v.id)
		if s.counts[stream]--; s.counts[stream] == 0 {
			delete(s.counts, stream)
		}
		s.mu.Unlock()
		s.release(v.b)
		s.tell(stream)
	}()
}

// wants is what an offer asks for.
type wants struct{ video, audio bool }

// judge finds out what an offer asks for of what is sent: H.264 of packetization mode 1, and Opus.
func judge(d *sdp.SessionDescription) (wants, error) {
	var w wants
	for _, m := range d.MediaDescriptions {
		if m.MediaName.Port.Value == 0 || !receives(m) {
			continue
		}
		if m.MediaName.Media == "video" {
			w.video = w.video || hasCodec(m, "H264/90000") && hasMode1(m)
		} else {
			w.audio = w.audio || hasCodec(m, "opus/48000/2")
		}
	}
	if !w.video && !w.audio {
		return w, errNoCodec
	}
	return w, nil
}

func receives(m *sdp.MediaDescription) bool {
	for _, a := range m.Attributes {
		if a.Key == "sendonly" || a.Key == "inactive" {
			return false
		}
	}
	return true
}

func hasCodec(m *sdp.MediaDescription, want string) bool {
	for _, a := range m.Attributes {
		if _, codec, _ := strings.Cut(a.Value, " "); a.Key == "rtpmap" && strings.EqualFold(codec, want) {
			return true
		}
	}
	return false
}

func hasMode1(m *sdp.MediaDescription) bool {
	for _, a := range m.Attributes {
		if a.Key == "fmtp" && strings.Contains(a.Value, "packetization-mode=1") {
			return true
		}
	}
	return false
}

// prefixOf is where somebody comes from, by host:port or the host alone; zero if it is no address.
func prefixOf(remote string) netip.Prefix {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		remote = host
	}
	ip, err := netip.ParseAddr(remote)
	if err != nil {
		return netip.Prefix{}
	}
	return rtc.Prefix(ip)
}

// newTag is an entity tag of an ICE session.
func newTag() string { return `"` + rand.Text() + `"` }
