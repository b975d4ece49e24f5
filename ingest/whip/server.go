package whip

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"mediad/internal/rtc"
	"mediad/live"
	"mediad/media"
)

// Publisher is the hub's side of a publication; *live.Publisher is one. Close may be called after Done.
type Publisher interface {
	Done() <-chan struct{}
	Err() error
	Close(live.Reason)
	Stream() string
	Session() *live.Session
}

// Feed takes what is published; *ingest.Feed is one. An error of Track or Write ends the publication for its reason.
type Feed interface {
	Track(kind media.Kind, t *media.Track) error
	NoTrack(kind media.Kind)
	Write(au media.AccessUnit) error
	Flush()
}

// Request is a publisher who asks to be let in.
type Request struct {
	Key  string // never to be logged
	Peer live.Peer
}

// Options configures a Server. The zero value of a field means its default.
type Options struct {
	// RTC has the sockets that media comes by. Required. It is closed after the Server.
	RTC *rtc.Server

	// Admit asks whether a publisher may come in, and gives where its media goes. Required.
	Admit func(ctx context.Context, r Request) (Publisher, Feed, error)

	// Open lets POST /whip/{stream} publish without a key: the name in the path is taken for one. For development.
	Open bool

	// Remote is the address of who made a request, host:port; default its RemoteAddr. It is for servers behind a proxy.
	Remote func(r *http.Request) string

	// VP8 lets publishers in who have no better codec: somebody must make H.264 of it, since no player by HLS knows it.
	VP8 bool

	// MaxSessions is how many publishers there may be at once. Default 200. Each costs some 20 goroutines and 300 KiB.
	MaxSessions int
	// MaxConnecting is how many of them may not have connected yet. Default 50.
	MaxConnecting int

	// ConnectTimeout bounds the time from the offer to the first connection, default 10 s; FirstFrameTimeout from there to the
	// first picture or sound, default 10 s; ReadTimeout the silence that counts as gone, default 5 s: a peer that changes
	// networks has that long for an ICE restart. RequestTimeout bounds an HTTP request, default 10 s.
	ConnectTimeout, FirstFrameTimeout, ReadTimeout, RequestTimeout time.Duration

	// KeyFrameEvery is how far apart key frames are to be at most. Default 2 s, the length of a segment. Browsers send none on their own;
	// they are asked a tenth earlier, as the way there and back and the next picture take their time, and a segment without a key frame at its
	// end is cut in the middle. Short: each one costs the bits of many pictures. Long: so are the segments.
	KeyFrameEvery time.Duration

	// MaxFrame is the largest picture in bytes. Default and most: 16 MiB.
	MaxFrame int

	// Log; nil: nothing is logged.
	Log *slog.Logger
	// Now is the clock, monotonic as time.Now is, which is the default.
	Now func() time.Time
}

const maxFrame = 16 << 20

func (o Options) withDefaults() Options {
	duration := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	number := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	duration(&o.ConnectTimeout, 10*time.Second)
	duration(&o.FirstFrameTimeout, 10*time.Second)
	duration(&o.ReadTimeout, 5*time.Second)
	duration(&o.RequestTimeout, 10*time.Second)
	duration(&o.KeyFrameEvery, 2*time.Second)
	number(&o.MaxSessions, 200)
	number(&o.MaxConnecting, 50)
	number(&o.MaxFrame, maxFrame)
	o.MaxFrame = min(o.MaxFrame, maxFrame)
	if o.Remote == nil {
		o.Remote = func(r *http.Request) string { return r.RemoteAddr }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Server takes publishers in by WHIP. It is an http.Handler for /whip and everything below.
type Server struct {
	o Options

	mu       sync.Mutex // guards the following
	sessions map[string]*session
	entering int // offers that are being answered
	closed   bool
	running  sync.WaitGroup
}

// New returns a Server. Close ends it.
func New(o Options) (*Server, error) {
	if o.RTC == nil || o.Admit == nil {
		return nil, errors.New("whip: Options.RTC or Options.Admit is missing")
	}
	return &Server{o: o.withDefaults(), sessions: make(map[string]*session)}, nil
}

// Close lets nobody in any more, tells every publisher that the server is shutting down, and returns when the last is gone.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for _, sess := range s.sessions {
		sess.end(live.Refuse(live.ReasonShuttingDown, nil))
	}
	s.mu.Unlock()
	s.running.Wait()
}

// Sessions is how many publishers there are now.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// enter makes a place for an offer; leave gives it back, or to the session that came of it.
func (s *Server) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return live.Refuse(live.ReasonShuttingDown, nil)
	}
	connecting := s.entering
	for _, sess := range s.sessions {
		if sess.connecting() {
			connecting++
		}
	}
	if len(s.sessions)+s.entering >= s.o.MaxSessions || connecting >= s.o.MaxConnecting {
		err := fmt.Errorf("whip: %d sessions, %d of them connecting", len(s.sessions), connecting)
		return live.Refuse(live.ReasonOverloaded, err)
	}
	s.entering++
	s.running.Add(1)
	return nil
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entering--
	s.running.Done()
}

// start runs a session until its end.
func (s *Server) start(sess *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[sess.id] = sess
	if s.closed {
		sess.end(live.Refuse(live.ReasonShuttingDown, nil))
	}
	s.running.Go(func() {
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.sessions, sess.id)
		}()
		sess.run()
	})
}

func (s *Server) find(id string) (*session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sess, ok := s.sessions[id]
	return sess, ok
}

func (s *session) connecting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connected.IsZero()
}

// offered is what of an offer is published.
type offered struct {
	video, audio, h264 bool
	vp8                bool // and nothing that is better
	layers             int  // encodings of the picture, by simulcast; 0: there is none
}

// judge finds out what an offer has that we carry, and refuses one that has nothing of it, or more than one of a kind.
func judge(d *sdp.SessionDescription, vp8 bool) (offered, error) {
	var o offered
	for _, m := range d.MediaDescriptions {
		video := m.MediaName.Media == "video"
		if m.MediaName.Port.Value == 0 || !sends(m) {
			continue
		}
		if video && o.video || !video && o.audio {
			return o, fmt.Errorf("%w: more than one %s track", rtc.ErrOffer, m.MediaName.Media)
		}
		var names []string
		known, lastResort := false, false
		for _, a := range m.Attributes {
			if a.Key != "rtpmap" {
				continue
			}
			_, codec, _ := strings.Cut(a.Value, " ")
			name, _, _ := strings.Cut(codec, "/")
			names = append(names, name)
			switch strings.ToUpper(name) {
			case "H264":
				known, o.h264 = known || video, o.h264 || video
			case "AV1", "VP9":
				known = known || video
			case "VP8":
				lastResort = video && vp8
			case "OPUS":
				known = known || !video
			}
		}
		if !known && !lastResort {
			return o, &codecError{video: video, vp8: vp8, offered: names}
		}
		o.vp8 = o.vp8 || video && !known
		o.video, o.audio = o.video || video, o.audio || !video
		if video {
			o.layers = layersOf(m)
		}
	}
	if !o.video && !o.audio {
		return o, fmt.Errorf("%w: nothing is sent", rtc.ErrOffer)
	}
	return o, nil
}

func sends(m *sdp.MediaDescription) bool {
	_, receives := m.Attribute("recvonly")
	_, sleeps := m.Attribute("inactive")
	return !receives && !sleeps
}

// publish answers an offer and begins a session.
func (s *Server) publish(ctx context.Context, r Request, offer string, has offered) (*session, string, error) {
	m, i := &webrtc.MediaEngine{}, &interceptor.Registry{}
	if err := rtc.RegisterH264Opus(m); err != nil {
		return nil, "", err
	}
	// Browsers that know both would send what they name first; H.264 is what most can watch.
	if !has.h264 {
		others := rtc.RegisterAV1VP9
		if has.vp8 {
			others = rtc.RegisterVP8
		}
		m = &webrtc.MediaEngine{}
		if err := errors.Join(rtc.RegisterOpus(m), others(m)); err != nil {
			return nil, "", err
		}
	}
	if err := s.o.RTC.RegisterReceiver(m, i); err != nil {
		return nil, "", err
	}
	p, f, err := s.o.Admit(ctx, r)
	if err != nil {
		return nil, "", err
	}
	pc, err := s.o.RTC.NewPeerConnection(m, i)
	if err != nil {
		p.Close(live.ReasonIngestError)
		return nil, "", live.Refuse(live.ReasonIngestError, err)
	}
	log := s.o.Log.With("protocol", r.Peer.Protocol, "peer", r.Peer.Remote, "stream", p.Stream())
	sess := &session{
		id: rand.Text(), o: &s.o, log: log, pc: pc, pub: p, media: newPublication(&s.o, p, f, has, log),
		peer: r.Peer, began: s.o.Now(), ending: make(chan struct{}), gone: make(chan struct{}), etag: newTag(),
	}
	sess.watch()
	answer, err := rtc.Answer(ctx, pc, offer)
	if err != nil {
		sess.end(live.Refuse(live.ReasonProtocolError, err))
		sess.close()
		return nil, "", err
	}
	s.start(sess)
	log.Info("whip: publishing", "encoder", r.Peer.Encoder)
	return sess, answer, nil
}

// newTag is an entity tag of an ICE session.
func newTag() string { return `"` + rand.Text() + `"` }
