package rtsp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"mediad/live"
)

// The transports that a camera can be asked for.
const (
	TransportAuto = "auto" // UDP, and TCP where nothing comes
	TransportUDP  = "udp"
	TransportTCP  = "tcp"
)

// PullOptions configures a Puller. The zero value of a field means its default.
type PullOptions struct {
	// Name is the stream that the camera publishes to. Required.
	Name string
	// URL is the camera's: rtsp://user:pass@HOST/path, or rtsps. Required. Neither it nor the credentials in it are logged.
	URL string
	// Transport is one of the constants; default TransportAuto.
	Transport string

	// Admit lets the camera publish to stream Name, without a key. Required. It may take a while, but not longer than ctx.
	Admit func(ctx context.Context, name string, peer live.Peer) (Publisher, Feed, error)
	// Transcoder takes sound that is carried no further as it is, such as G.711; nil: such sound is left out.
	Transcoder Transcoder

	// Ourselves reports whether HOST:PORT is this server: then nothing is pulled, as a stream would feed on itself. Nil: it never is.
	Ourselves func(ctx context.Context, addr string) bool

	// TLSConfig is for rtsps; cameras sign their certificates themselves.
	TLSConfig *tls.Config

	// ConnectTimeout bounds connecting, and each request until the camera plays. Default 10 s.
	ConnectTimeout time.Duration
	// FirstFrameTimeout is how long the camera may then send nothing. Default 10 s.
	FirstFrameTimeout time.Duration
	// ReadTimeout is the silence that counts as gone. Default 5 s.
	ReadTimeout time.Duration
	// MinRetry and MaxRetry are how long it waits before it connects again: twice as long each time that nothing came,
	// a quarter more or less. Default 1 s and 30 s.
	MinRetry, MaxRetry time.Duration
	// MaxFrame is the largest picture or frame of sound, in bytes. Default and most: 8 MiB.
	MaxFrame int

	// Log; nil: nothing is logged.
	Log *slog.Logger
	// Now is the clock, monotonic as time.Now is, which is the default.
	Now func() time.Time
}

// Puller takes a stream from a camera, and goes back to it as often as need be.
type Puller struct {
	o    PullOptions
	url  *base.URL
	said string // the fault that was logged last
}

// NewPuller returns a Puller; it starts nothing.
func NewPuller(o PullOptions) (*Puller, error) {
	if o.Name == "" || o.Admit == nil {
		return nil, errors.New("rtsp: PullOptions.Name or Admit is missing")
	}
	u, err := base.ParseURL(o.URL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("rtsp: the URL of source %q is not of the form rtsp://user:password@host/path", o.Name)
	}
	switch o.Transport {
	case "":
		o.Transport = TransportAuto
	case TransportAuto, TransportUDP, TransportTCP:
	default:
		return nil, fmt.Errorf("rtsp: transport %q of source %q is none of auto, udp, tcp", o.Transport, o.Name)
	}
	for d, v := range map[*time.Duration]time.Duration{
		&o.ConnectTimeout: 10 * time.Second, &o.FirstFrameTimeout: 10 * time.Second, &o.ReadTimeout: 5 * time.Second,
		&o.MinRetry: time.Second, &o.MaxRetry: 30 * time.Second,
	} {
		if *d <= 0 {
			*d = v
		}
	}
	if o.MaxFrame <= 0 || o.MaxFrame > maxFrame {
		o.MaxFrame = maxFrame
	}
	if o.Ourselves == nil {
		o.Ourselves = func(context.Context, string) bool { return false }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	// Some cameras take the password in the path or the query: neither is logged.
	o.Log = o.Log.With("source", o.Name, "camera", u.Scheme+"://"+u.Host)
	return &Puller{o: o, url: u}, nil
}

// Run pulls until ctx ends; its cause, where it carries a live.Reason, is why the publication ends then.
func (p *Puller) Run(ctx context.Context) {
	delay := p.o.MinRetry
	for ctx.Err() == nil {
		came, err := p.pull(ctx)
		if ctx.Err() != nil {
			return
		}
		p.say(err)
		if came {
			delay = p.o.MinRetry
		}
		wait := time.NewTimer(delay*3/4 + rand.N(delay/2+1))
		select {
		case <-wait.C:
		case <-ctx.Done():
		}
		wait.Stop()
		delay = min(2*delay, p.o.MaxRetry)
	}
}

// say logs a fault, unless it is the one that was logged last: a camera that is switched off stays so for days.
func (p *Puller) say(err error) {
	text := faultOf(err, p.url.User != nil)
	level := slog.LevelWarn
	if text == p.said {
		level = slog.LevelDebug
	}
	p.said = text
	args := []any{"error", live.Detail(err)}
	if status := (liberrors.ErrClientBadStatusCode{}); errors.As(err, &status) {
		args = append(args, "status", int(status.Code))
	} else if r := live.ReasonOf(err); r != live.ReasonUnspecified {
		args = append(args, "reason", r)
	}
	p.o.Log.Log(context.Background(), level, "rtsp: "+text, args...)
}

// faultOf is what is wrong, in words that say what to do; user tells whether the source's URL has one.
func faultOf(err error, user bool) string {
	const wantsUser = "the camera asks for a user and a password: put them into the source's URL, rtsp://user:password@host/path"
	var (
		status liberrors.ErrClientBadStatusCode
		login  liberrors.ErrClientAuthSetup
	)
	switch {
	case errors.Is(err, errSelf):
		return "the source is this server itself, and nothing is pulled from it: take the source out, or correct its URL"
	case errors.As(err, &login):
		return "the camera asks for a way of logging in that is not known here: choose digest or basic in its settings"
	case !errors.As(err, &status):
		switch live.ReasonOf(err) {
		case live.ReasonTwoPublishers:
			return "somebody else publishes to the camera's stream"
		case live.ReasonCodecUnsupported:
			return "the camera sends no codec that is supported: set it to H.264 or H.265"
		case live.ReasonConnectionLost, live.ReasonReadTimeout, live.ReasonNoMedia:
			return "the camera is gone or cannot be reached"
		default:
			return "the camera's stream ended"
		}
	case status.Code == base.StatusUnauthorized && !user:
		return wantsUser
	case status.Code == base.StatusUnauthorized:
		return "the camera refuses the user or the password: correct the source's URL"
	case status.Code == base.StatusForbidden:
		return "the camera does not let this user see that: give it the right in the camera's settings, or correct the source's URL"
	case status.Code == base.StatusNotFound:
		return "the camera knows no such path, or sends nothing there now: correct the path in the source's URL, or start that stream"
	case status.Code == base.StatusUnsupportedTransport:
		return "the camera refuses the transport: begin the source's URL with rtsp+tcp://, or with rtsp:// to try both"
	}
	return fmt.Sprintf("the camera answers with status %d", status.Code)
}

// pull connects once, and returns when that is over. It reports whether media came.
func (p *Puller) pull(outer context.Context) (came bool, err error) {
	if p.isSelf(outer) {
		return false, errSelf
	}
	ctx, cancel := context.WithCancel(outer)
	var pub atomic.Pointer[publication]
	c := p.client(&pub)
	if err := c.Start2(); err != nil {
		cancel()
		return false, lost(err)
	}
	closed := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(closed)
		c.Close()
	})
	defer func() {
		cancel()
		<-closed // before this no packet comes any more
		if pub := pub.Load(); pub != nil {
			err = pub.finish(endOf(outer, err))
			pub.mu.Lock()
			came = pub.units > 0
			pub.mu.Unlock()
			pub.logEnding(err, p.peer())
		}
	}()
	pulled, err := p.play(ctx, c, cancel)
	if pulled != nil {
		pub.Store(pulled)
	}
	if err != nil {
		return false, err
	}
	p.said = ""
	return true, lost(c.Wait())
}

// errSelf is a source that is this server.
var errSelf = errors.New("rtsp: the source is this server itself")

func (p *Puller) isSelf(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, p.o.ConnectTimeout)
	defer cancel()
	addr := p.url.Host
	if p.url.Port() == "" {
		port := "554"
		if p.url.Scheme == "rtsps" {
			port = "322"
		}
		addr = net.JoinHostPort(p.url.Hostname(), port)
	}
	return p.o.Ourselves(ctx, addr)
}

// endOf is why a publication ended that was not hung up on.
func endOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); live.ReasonOf(cause) != live.ReasonUnspecified && cause != nil {
		return cause
	}
	if ctx.Err() != nil {
		return live.Refuse(live.ReasonShuttingDown, nil)
	}
	return err
}

func (p *Puller) peer() live.Peer {
	return live.Peer{Protocol: p.url.Scheme, Remote: p.url.Host, Encoder: "camera"}
}

func (p *Puller) client(pub *atomic.Pointer[publication]) *gortsplib.Client {
	c := &gortsplib.Client{
		Scheme: p.url.Scheme, Host: p.url.Host,
		ReadTimeout: p.o.ConnectTimeout, WriteTimeout: p.o.ConnectTimeout, TLSConfig: p.o.TLSConfig, UserAgent: "mediad",
		OnTransportSwitch: func(err error) { p.o.Log.Info("rtsp: the camera is asked by TCP", "error", err) },
		OnDecodeError:     func(error) {}, // what is no RTP, of another source or of no track
		OnPacketsLost: func(n uint64) {
			if pub := pub.Load(); pub != nil {
				pub.lostPackets(n)
			}
		},
	}
	udp, tcp := gortsplib.TransportUDP, gortsplib.TransportTCP
	switch p.o.Transport {
	case TransportUDP:
		c.Transport = &udp
	case TransportTCP:
		c.Transport = &tcp
	}
	return c
}

// play asks the camera for its tracks and begins to publish them. The publication, if there is one, must be finished
// whatever the error.
func (p *Puller) play(ctx context.Context, c *gortsplib.Client, stop func()) (*publication, error) {
	desc, _, err := c.Describe(p.url)
	if err != nil {
		return nil, lost(err)
	}
	chosen, err := choose(desc, p.o.Transcoder != nil)
	if err != nil {
		return nil, err
	}
	for _, t := range []*videoAudio{chosen.video, chosen.audio} {
		if t == nil {
			continue
		}
		if _, err := c.Setup(baseOf(desc, p.url), t.media, 0, 0); err != nil {
			return nil, lost(err)
		}
	}
	within, cancel := context.WithTimeout(ctx, p.o.ConnectTimeout)
	defer cancel()
	pub, feed, err := p.o.Admit(within, p.o.Name, p.peer())
	if err != nil {
		return nil, err
	}
	l := &limits{
		maxFrame: p.o.MaxFrame, firstTimeout: p.o.FirstFrameTimeout, readTimeout: p.o.ReadTimeout, transcoder: p.o.Transcoder,
	}
	begun := newPublication(pub, feed, chosen, l, p.o.Log.With("stream", pub.Stream()), p.o.Now, stop)
	chosen.bind(begun, c)
	if _, err := c.Play(nil); err != nil {
		return begun, lost(err)
	}
	p.o.Log.Info("rtsp: pulling", "stream", pub.Stream())
	chosen.logLeft(p.o.Log)
	return begun, nil
}

func baseOf(desc *description.Session, u *base.URL) *base.URL {
	if desc.BaseURL != nil {
		return desc.BaseURL
	}
	return u
}

// lost is an error of the connection with its reason.
func lost(err error) error { return live.Refuse(live.ReasonConnectionLost, err) }
