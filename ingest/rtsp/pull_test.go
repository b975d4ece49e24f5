package rtsp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/stretchr/testify/require"

	"mediad/ingest/ingesttest"
	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
)

// camera is a server of its own, with a password.
type camera struct {
	t      testing.TB
	srv    *gortsplib.Server
	stream *gortsplib.ServerStream
	source *rtpSource
	addr   string

	mu    sync.Mutex
	by    []gortsplib.Transport
	ready chan struct{} // closed once there is a stream
	stop  chan struct{}
	done  chan struct{}
}

func startCamera(t testing.TB, addr string, udp bool) *camera {
	return startCameraTLS(t, addr, udp, nil)
}

// startCameraTLS starts one that speaks rtsps if secure is set.
func startCameraTLS(t testing.TB, addr string, udp bool, secure *tls.Config) *camera {
	c := &camera{t: t, source: newRTPSource(t, smallClip(t)), ready: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{})}
	c.srv = &gortsplib.Server{Handler: c, RTSPAddress: addr, TLSConfig: secure}
	if udp {
		c.srv.UDPRTPAddress = freePair(t)
		c.srv.UDPRTCPAddress, _ = rtcpAddr(c.srv.UDPRTPAddress)
	}
	c.srv.Listen = func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		if err == nil {
			c.addr = l.Addr().String()
		}
		return l, err
	}
	require.NoError(t, c.srv.Start())
	c.stream = &gortsplib.ServerStream{Server: c.srv, Desc: c.source.desc()}
	require.NoError(t, c.stream.Initialize())
	close(c.ready)
	go c.send()
	return c
}

// send plays the clip at its own pace.
func (c *camera) send() {
	defer close(c.done)
	start := time.Now()
	for {
		kind, pkts, pts := c.source.next()
		select {
		case <-c.stop:
			return
		case <-time.After(time.Until(start.Add(pts - 100*time.Millisecond))):
		}
		for _, p := range pkts {
			_ = c.stream.WritePacketRTPWithNTP(c.source.medi[kind], p, start.Add(pts))
		}
	}
}

func (c *camera) close() {
	close(c.stop)
	<-c.done
	c.stream.Close()
	c.srv.Close()
}

func (c *camera) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	<-c.ready
	if !ctx.Conn.VerifyCredentials(ctx.Request, "admin", "pa55word") {
		return &base.Response{StatusCode: base.StatusUnauthorized}, nil, liberrors.ErrServerAuth{}
	}
	if ctx.Path != "/main" {
		return &base.Response{StatusCode: base.StatusNotFound}, nil, nil
	}
	return ok(), c.stream, nil
}

func (c *camera) OnSetup(*gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return ok(), c.stream, nil
}

func (c *camera) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by = append(c.by, *ctx.Session.SetuppedTransport())
	return ok(), nil
}

// puller runs a Puller until the end of the test.
func puller(t *testing.T, o PullOptions) (*ingesttest.Hub, *testx.Buffer, func(error)) {
	t.Helper()
	hub, log := ingesttest.NewHub("cam"), &testx.Buffer{}
	o.Name = "cam"
	o.Admit = func(ctx context.Context, name string, peer live.Peer) (Publisher, Feed, error) {
		p, err := hub.Admit(ctx, name, peer)
		if err != nil {
			return nil, nil, err
		}
		return p, p, nil
	}
	o.MinRetry, o.MaxRetry = 20*time.Millisecond, 100*time.Millisecond
	o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p, err := NewPuller(o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	stop := func(err error) { cancel(err); <-done }
	t.Cleanup(func() {
		stop(nil)
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return hub, log, stop
}

func TestPullFromACameraThatGoesAndComesBack(t *testing.T) {
	t.Parallel()
	smallClip(t)
	for _, transport := range []string{TransportTCP, TransportUDP, TransportAuto} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			cam := startCamera(t, "127.0.0.1:0", transport == TransportUDP)
			hub, log, stop := puller(t, PullOptions{URL: "rtsp://admin:pa55word@" + cam.addr + "/main", Transport: transport, ReadTimeout: 2 * time.Second})
			first := hub.Next(t, 0)
			first.AwaitUnits(t, media.Video, 10)
			first.AwaitUnits(t, media.Audio, 10)
			require.Equal(t, live.Peer{Protocol: "rtsp", Remote: cam.addr, Encoder: "camera"}, first.Peer)
			cam.close()
			require.Contains(t, []live.Reason{live.ReasonConnectionLost, live.ReasonReadTimeout}, first.AwaitClosed(t))
			log.Await(t, "the camera is gone or cannot be reached")

			cam = startCamera(t, cam.addr, transport == TransportUDP)
			defer cam.close()
			second := hub.Next(t, 1)
			second.AwaitUnits(t, media.Video, 10)
			cam.mu.Lock()
			want := gortsplib.TransportTCP
			if transport == TransportUDP {
				want = gortsplib.TransportUDP
			}
			require.Equal(t, []gortsplib.Transport{want}, cam.by)
			cam.mu.Unlock()
			stop(live.Refuse(live.ReasonPublisherStopped, nil))
			require.Equal(t, live.ReasonPublisherStopped, second.AwaitClosed(t), "the cause that it was stopped for")
			require.NotContains(t, log.String(), "pa55word")
		})
	}
}

// TestPullByTLS: a camera with a certificate of its own making is pulled from by rtsps where that certificate is trusted, and
// not where it is not.
func TestPullByTLS(t *testing.T) {
	t.Parallel()
	https := httptest.NewUnstartedServer(nil)
	https.StartTLS()
	defer https.Close()
	cam := startCameraTLS(t, "127.0.0.1:0", false, &tls.Config{Certificates: https.TLS.Certificates})
	defer cam.close()
	url := "rtsps://admin:pa55word@" + cam.addr + "/main"

	trusted := x509.NewCertPool()
	trusted.AddCert(https.Certificate())
	hub, log, stop := puller(t, PullOptions{URL: url, TLSConfig: &tls.Config{RootCAs: trusted, ServerName: "example.com"}})
	first := hub.Next(t, 0)
	first.AwaitUnits(t, media.Video, 10)
	first.AwaitUnits(t, media.Audio, 10)
	stop(live.Refuse(live.ReasonPublisherStopped, nil))
	require.Equal(t, live.ReasonPublisherStopped, first.AwaitClosed(t))
	require.NotContains(t, log.String(), "pa55word")

	_, log, _ = puller(t, PullOptions{URL: url, TLSConfig: &tls.Config{RootCAs: x509.NewCertPool()}})
	log.Await(t, "certificate")
}

func TestWhatACameraRefusesIsSaidOnce(t *testing.T) {
	t.Parallel()
	cam := startCamera(t, "127.0.0.1:0", false)
	defer cam.close()
	for url, want := range map[string]string{
		"rtsp://admin:wr0ng@" + cam.addr + "/main":     "refuses the user or the password",
		"rtsp://" + cam.addr + "/main":                 "asks for a user and a password: put them into",
		"rtsp://admin:pa55word@" + cam.addr + "/other": "knows no such path, or sends nothing there now",
	} {
		_, log, stop := puller(t, PullOptions{URL: url, Transport: TransportTCP})
		require.Eventually(t, func() bool { return strings.Count(log.String(), want) >= 3 }, 20*time.Second, 10*time.Millisecond)
		stop(nil)
		require.Equal(t, 1, strings.Count(log.String(), "level=WARN"))
		require.NotContains(t, log.String(), "connection_lost", "it answered")
		for _, secret := range []string{"wr0ng", "pa55word", "admin"} {
			require.NotContains(t, log.String(), secret)
		}
	}
}

// TestNothingIsPulledFromThisServer: a stream would feed on itself.
func TestNothingIsPulledFromThisServer(t *testing.T) {
	t.Parallel()
	cam := startCamera(t, "127.0.0.1:0", false)
	defer cam.close()
	asked := make(chan string, 100)
	hub, log, stop := puller(t, PullOptions{URL: "rtsp://admin:pa55word@" + cam.addr + "/main", Transport: TransportTCP,
		Ourselves: func(_ context.Context, addr string) bool {
			select {
			case asked <- addr:
			default:
			}
			return true
		}})
	for range 3 {
		require.Equal(t, cam.addr, <-asked)
	}
	stop(nil)
	require.Equal(t, 1, strings.Count(log.String(), "level=WARN"))
	require.Contains(t, log.String(), "this server itself")
	require.Zero(t, hub.Refused())
	cam.mu.Lock()
	require.Empty(t, cam.by)
	cam.mu.Unlock()
}

func TestFaultsOfACameraSayWhatToDo(t *testing.T) {
	answer := func(code base.StatusCode) error { return lost(liberrors.ErrClientBadStatusCode{Code: code}) }
	for want, err := range map[string]error{
		"rtsp+tcp://":              answer(base.StatusUnsupportedTransport),
		"the right":                answer(base.StatusForbidden),
		"digest or basic":          lost(liberrors.ErrClientAuthSetup{Err: context.Canceled}),
		"gone or cannot":           lost(context.Canceled),
		"answers with status 500":  answer(base.StatusInternalServerError),
		"refuses the user or the ": answer(base.StatusUnauthorized),
	} {
		require.Contains(t, faultOf(err, true), want)
	}
}

func TestWhatIsPulledReachesTheRealHub(t *testing.T) {
	t.Parallel()
	cam := startCamera(t, "127.0.0.1:0", false)
	defer cam.close()
	hub := live.NewHub(live.Options{Authorizer: anyKey{}})
	p, err := NewPuller(PullOptions{Name: "yard", URL: "rtsp://admin:pa55word@" + cam.addr + "/main", Transport: TransportTCP,
		Admit: Pulled(hub.Publish, feedOptions())})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = hub.Run(ctx) })
	wg.Go(func() { p.Run(ctx) })
	defer func() { cancel(); wg.Wait() }()
	require.Eventually(t, func() bool {
		s, ok := hub.Lookup("yard")
		return ok && s.State == live.StateLive && s.Video.Frames > 20 && s.Audio.Frames > 20
	}, 20*time.Second, 20*time.Millisecond)
}

func TestPullOptionsAreChecked(t *testing.T) {
	admit := func(context.Context, string, live.Peer) (Publisher, Feed, error) { return nil, nil, nil }
	for _, o := range []PullOptions{
		{URL: "rtsp://x/y", Admit: admit}, {Name: "cam", URL: "rtsp://x/y"}, {Name: "cam", URL: "http://admin:secret@x", Admit: admit},
		{Name: "cam", URL: "rtsp://admin:sec%ret@x", Admit: admit}, {Name: "cam", URL: "rtsp://x/y", Admit: admit, Transport: "tcpp"},
	} {
		_, err := NewPuller(o)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "secret")
		require.NotContains(t, err.Error(), "sec%ret")
	}
}
