package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"mediad/ingest/ingesttest"
	"mediad/ingest/rtmp"
	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/amf0"
	"mediad/media/chunk"
	"mediad/media/mediatest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const key = "secret-key"

type anyKey struct{}

func (anyKey) AuthorizePublish(_ context.Context, key string, _ live.Peer) (live.Grant, error) {
	return live.Grant{StreamID: "id-" + key, Stream: key, KeyID: "k-" + key}, nil
}

// film is a clip with its tracks.
type film struct {
	tracks [media.Kinds]*media.Track
	units  []media.AccessUnit
}

// clip is two seconds of pictures with B-frames and sound that decode.
func clip(t *testing.T) (f film) {
	t.Helper()
	f.tracks[0], f.tracks[1], f.units = mediatest.Encoded(t, mediatest.EncodedPattern{FPS: media.Rational{Num: 30000, Den: 1001}, BFrames: 2, GOP: 30})
	return f
}

// rig is a stream that is on air and forwarded.
type rig struct {
	t      *testing.T
	hub    *live.Hub
	pub    *live.Publisher
	relays *Relays
	log    *testx.Buffer
	stop   func()

	change  chan film
	playing sync.WaitGroup
}

// onAir begins to publish f over and over again, at its own pace, and to forward it to targets.
func onAir(t *testing.T, f film, o Options, targets ...string) *rig {
	t.Helper()
	r := &rig{t: t, log: &testx.Buffer{}, change: make(chan film)}
	for _, target := range targets {
		o.Routes = append(o.Routes, "tower="+target)
	}
	if o.RetryMin == 0 {
		o.RetryMin, o.RetryMax = 10*time.Millisecond, 100*time.Millisecond
	}
	o.Log = slog.New(slog.NewTextHandler(io.MultiWriter(r.log, t.Output()), &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	r.relays, err = New(o)
	require.NoError(t, err)
	r.hub = live.NewHub(live.Options{Authorizer: anyKey{}})
	t.Cleanup(func() { require.NoError(t, r.hub.Shutdown(context.Background())) })
	r.pub, err = r.hub.Publish(t.Context(), "tower", live.Peer{Protocol: "rtmp", Remote: "192.0.2.1:1"})
	require.NoError(t, err)
	require.NoError(t, r.pub.StartEpoch(f.tracks, 0, time.Now(), "first"))
	s, ok := r.hub.Session("tower")
	require.True(t, ok)
	ctx, cancel := context.WithCancel(t.Context())
	unfollow := r.relays.Follow(ctx, s)
	r.stop = sync.OnceFunc(func() {
		cancel()
		unfollow()
		r.playing.Wait()
		r.relays.Wait()
	})
	t.Cleanup(r.stop)
	r.playing.Go(func() { r.play(ctx, f) })
	return r
}

func (r *rig) play(ctx context.Context, f film) {
	began, offset := time.Now(), time.Duration(0)
	for {
		var end time.Duration
		for _, u := range f.units {
			scale := f.tracks[u.Kind].Timescale
			at := offset + scale.Duration(u.DTS)
			end = max(end, at+40*time.Millisecond)
			u.DTS += scale.Ticks(offset)
			u.PTS += scale.Ticks(offset)
			select {
			case <-ctx.Done():
				return
			case f = <-r.change:
				if r.pub.StartEpoch(f.tracks, 0, time.Now(), "change") != nil {
					return
				}
				began, end = time.Now(), 0
			case <-time.After(time.Until(began.Add(at))):
				if r.pub.Write(u) != nil {
					return
				}
				continue
			}
			break
		}
		offset = end
	}
}

// become makes the publisher go on with another film, in a new epoch.
func (r *rig) become(f film) { r.change <- f }

func (r *rig) status(n int) Status { return r.relays.Status("tower")[n] }

func (r *rig) await(what string, n int, cond func(Status) bool) Status {
	r.t.Helper()
	var s Status
	testx.WaitFor(r.t, what, func() bool { s = r.status(n); return cond(s) })
	return s
}

func isLive(s Status) bool { return s.State == StateLive }

// server is a mediad's RTMP door with a hub behind it.
func server(t *testing.T, addr string, secure bool) (hub *ingesttest.Hub, at string, stop func()) {
	t.Helper()
	hub = ingesttest.NewHub(key, "other-key")
	s, err := rtmp.New(rtmp.Options{
		Admit: func(ctx context.Context, r rtmp.Request) (rtmp.Publisher, rtmp.Feed, error) {
			p, err := hub.Admit(ctx, r.Key, r.Peer)
			if err != nil {
				return nil, nil, err
			}
			return p, p, nil
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	require.NoError(t, err)
	l, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	at = l.Addr().String()
	if secure {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{testx.Certificate(t)}})
	}
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(ctx, l) })
	stop = sync.OnceFunc(func() { cancel(); serving.Wait() })
	t.Cleanup(stop)
	return hub, at, stop
}

// TestAnotherServerGetsWhatIsPublished: every unit at its time, new decoder configurations with a new epoch, and the word that it is over.
func TestAnotherServerGetsWhatIsPublished(t *testing.T) {
	hub, addr, _ := server(t, "127.0.0.1:0", false)
	f := clip(t)
	r := onAir(t, f, Options{}, "rtmp://"+addr+"/live/"+key)
	pub := hub.Next(t, 0)
	pub.AwaitUnits(t, media.Video, 60)
	pub.AwaitUnits(t, media.Audio, 60)
	s := r.await("the state", 0, isLive)
	require.Equal(t, uint64(1), s.Attempts)
	require.Positive(t, s.Bytes)
	require.Zero(t, s.Drops)
	require.Empty(t, s.Error+s.Note)
	for k, want := range f.tracks {
		require.Len(t, pub.Tracks(media.Kind(k)), 1)
		require.True(t, want.Same(pub.Tracks(media.Kind(k))[0]))
	}
	got := pub.Units(media.Video)
	var sent []media.AccessUnit
	for _, u := range f.units {
		if u.Kind == media.Video {
			sent = append(sent, u)
		}
	}
	for i, u := range sent {
		require.Equal(t, u.Data, got[i].Data)
		require.InDelta(t, int64(u.DTS-sent[0].DTS), int64(got[i].DTS), 90, "picture %d", i)
		require.InDelta(t, int64(u.PTS-u.DTS), int64(got[i].PTS-got[i].DTS), 90, "picture %d", i)
		require.Equal(t, u.RandomAccess, got[i].RandomAccess)
	}

	other := film{units: f.units}
	other.tracks[0], other.tracks[1] = mediatest.H264Track(1280, 720, 30, 1), f.tracks[1]
	r.become(other)
	pub.AwaitTracks(t, media.Video, 2)
	require.NoError(t, r.hub.End("tower", live.ReasonEndedByOwner))
	require.Equal(t, live.ReasonPublisherStopped, pub.AwaitClosed(t))
	r.stop()
	require.Equal(t, StateIdle, r.status(0).State)
	require.NotContains(t, r.log.String(), key)
}

// TestCodecsOfEnhancedRTMP go to a server that names them.
func TestCodecsOfEnhancedRTMP(t *testing.T) {
	hub, addr, _ := server(t, "127.0.0.1:0", false)
	f := film{}
	f.tracks[0] = vp9(t)
	f.tracks[1] = mediatest.OpusTrack()
	for i := range 50 {
		f.units = append(f.units,
			media.AccessUnit{Kind: media.Video, DTS: media.Ticks(i * 1800), PTS: media.Ticks(i * 1800), RandomAccess: true, Data: vp9Key},
			media.AccessUnit{Kind: media.Audio, DTS: media.Ticks(i * 960), PTS: media.Ticks(i * 960), Duration: 960, RandomAccess: true, Data: []byte{0xfc, 0xff, 0xfe}})
	}
	r := onAir(t, f, Options{}, "rtmp://"+addr+"/live/"+key)
	pub := hub.Next(t, 0)
	pub.AwaitUnits(t, media.Video, 10)
	pub.AwaitUnits(t, media.Audio, 10)
	r.await("the state", 0, isLive)
	require.Equal(t, media.VP9, pub.Tracks(media.Video)[0].Codec)
	require.Equal(t, f.tracks[1].Config, pub.Tracks(media.Audio)[0].Config)
	require.Equal(t, vp9Key, pub.Units(media.Video)[0].Data)
}

// vp9Key is a key frame's header, of 320x180.
var vp9Key = []byte{0x82, 0x49, 0x83, 0x42, 0, 0x13, 0xF0, 0x0B, 0x30}

func vp9(t *testing.T) *media.Track {
	t.Helper()
	track, err := media.NewVP9([]byte{1, 0, 0, 0, 0, 10, 0x82, 1, 1, 1, 0, 0})
	require.NoError(t, err)
	return track.WithSize(320, 180)
}

// TestTargetDiesAndReturns: the relay is back with a key frame and its decoder configurations.
func TestTargetDiesAndReturns(t *testing.T) {
	hub, addr, stop := server(t, "127.0.0.1:0", false)
	r := onAir(t, clip(t), Options{}, "rtmp://"+addr+"/live/"+key)
	hub.Next(t, 0).AwaitUnits(t, media.Video, 10)
	stop()
	s := r.await("the loss", 0, func(s Status) bool { return s.State == StateWaiting })
	require.NotEmpty(t, s.Error)
	require.False(t, s.RetryAt.IsZero())
	hub, _, _ = server(t, addr, false)
	pub := hub.Next(t, 0)
	pub.AwaitUnits(t, media.Video, 10)
	require.True(t, pub.Units(media.Video)[0].RandomAccess)
	s = r.await("the state", 0, isLive)
	require.GreaterOrEqual(t, s.Attempts, uint64(2))
}

// TestPublisherLeavesAndReturns: the target keeps its connection.
func TestPublisherLeavesAndReturns(t *testing.T) {
	hub, addr, _ := server(t, "127.0.0.1:0", false)
	f := clip(t)
	r := onAir(t, f, Options{}, "rtmp://"+addr+"/live/"+key)
	pub := hub.Next(t, 0)
	pub.AwaitUnits(t, media.Video, 10)
	r.pub.Close(live.ReasonConnectionLost)
	r.playing.Wait()
	before := len(pub.Units(media.Video))
	var err error
	r.pub, err = r.hub.Publish(t.Context(), "tower", live.Peer{Protocol: "rtmp", Remote: "192.0.2.1:2"})
	require.NoError(t, err)
	require.NoError(t, r.pub.StartEpoch(f.tracks, 0, time.Now(), "return"))
	ctx, cancel := context.WithCancel(t.Context())
	r.playing.Go(func() { r.play(ctx, f) })
	pub.AwaitUnits(t, media.Video, before+10)
	cancel()
	r.playing.Wait()
	units := pub.Units(media.Video)
	for i := 1; i < len(units); i++ {
		require.Greater(t, units[i].DTS, units[i-1].DTS)
	}
	require.Equal(t, uint64(1), r.status(0).Attempts)
}

// TestTargetThatRefuses is tried again, ever more seldom, and its reason is told without the key.
func TestTargetThatRefuses(t *testing.T) {
	hub, addr, _ := server(t, "127.0.0.1:0", false)
	r := onAir(t, clip(t), Options{RetryMin: 5 * time.Millisecond, RetryMax: 20 * time.Millisecond}, "rtmp://"+addr+"/live/wrong-secret")
	s := r.await("attempts", 0, func(s Status) bool { return s.Attempts >= 4 && s.State == StateWaiting })
	require.GreaterOrEqual(t, hub.Refused(), 3)
	require.Contains(t, s.Error, "NetStream.Publish.BadName")
	require.NotContains(t, s.Error+s.Target+r.log.String(), "wrong-secret")
}

// TestNobodyListens: the stream goes on.
func TestNobodyListens(t *testing.T) {
	r := onAir(t, clip(t), Options{DialTimeout: 100 * time.Millisecond}, "rtmp://"+testx.FreeAddr(t)+"/live/"+key, "srt://"+testx.FreeAddr(t)+"?streamid="+key)
	for n := range 2 {
		s := r.await("attempts", n, func(s Status) bool { return s.Attempts >= 2 && s.State == StateWaiting })
		require.NotEmpty(t, s.Error)
		require.NotContains(t, s.Error, key)
	}
}

// answering is a server that answers a caller's connections one after the other, each as the next function does; the last one stays.
func answering(t *testing.T, answers ...func(c net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); serving.Wait() })
	serving.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			answers[min(n, len(answers)-1)](c)
			_ = c.Close()
		}
	})
	return l.Addr().String()
}

// TestTargetThatHangsUp while it is called is tried again: at the connection, after the handshake, and where a key is refused without a word.
func TestTargetThatHangsUp(t *testing.T) {
	after := func(command string) func(net.Conn) { return func(c net.Conn) { accept(c, answers{hangUp: command}) } }
	addr := answering(t, func(net.Conn) {}, after("connect"), after("createStream"), after("publish"))
	r := onAir(t, clip(t), Options{}, "rtmp://"+addr+"/live/"+key)
	r.await("attempts", 0, func(s Status) bool { return s.Attempts >= 6 })
	for _, once := range []string{"connect: ", "createStream: ", "publish: "} { // the last one again and again
		require.Equal(t, 1, strings.Count(r.log.String(), `level=WARN msg="relay: no connection" stream=tower target=rtmp://`+addr+`/live/… error="`+once), once)
	}
	require.Contains(t, r.log.String(), `level=DEBUG msg="relay: no connection"`)
}

// TestErrorsOfCallsThatNobodyWaitsFor: many servers do not know FCPublish, and some say so after they have made the stream.
func TestErrorsOfCallsThatNobodyWaitsFor(t *testing.T) {
	addr := answering(t, func(c net.Conn) {
		accept(c, answers{unknown: "FCPublish"})
		_, _ = io.Copy(io.Discard, c)
	})
	r := onAir(t, clip(t), Options{}, "rtmp://"+addr+"/live/"+key)
	s := r.await("the state", 0, func(s Status) bool { return s.State == StateLive || s.Error != "" })
	require.Empty(t, s.Error)
}

// TestGoodbyeNamesTheStream, and waits until the target has read it, though the target has words of its own.
func TestGoodbyeNamesTheStream(t *testing.T) {
	said := make(chan string, 100)
	addr := answering(t, func(c net.Conn) {
		in := accept(c, answers{})
		for {
			m, err := in.Next()
			if err != nil {
				close(said)
				return
			}
			if m.Type == chunk.TypeCommandAMF0 {
				name, values, err := command(m.Payload)
				if err != nil {
					return
				}
				said <- fmt.Sprint(name, " ", last(values))
				_, _ = c.Write(chunk.Append(nil, 3, chunk.Message{Type: chunk.TypeCommandAMF0, Payload: amf0.Append(nil, "onBye", 0)}, chunk.DefaultSize))
			}
		}
	})
	r := onAir(t, clip(t), Options{}, "rtmp://"+addr+"/live/"+key)
	r.await("the state", 0, isLive)
	require.NoError(t, r.hub.End("tower", live.ReasonEndedByOwner))
	var got []string
	for s := range said {
		got = append(got, s)
	}
	require.Equal(t, []string{"FCUnpublish " + key, "deleteStream 1"}, got)
}

// TestFirstPictureIsSent also where sound of a later time has come first.
func TestFirstPictureIsSent(t *testing.T) {
	ours, theirs := net.Pipe()
	l := &rtmpLink{stream: 1}
	l.sender = sender{nc: ours, timeout: time.Second, now: time.Now, wrote: func(int) {}, size: chunk.DefaultSize}
	f := clip(t)
	l.epoch, l.carried = &live.Epoch{Tracks: f.tracks}, [media.Kinds]bool{true, true}
	var got []chunk.Message
	var reading sync.WaitGroup
	reading.Go(func() {
		in := chunk.NewReader(bufio.NewReader(theirs), func(uint8) uint32 { return chunk.MaxSize }, chunk.MaxSize)
		for {
			m, err := in.Next()
			if err != nil {
				return
			}
			got = append(got, m)
		}
	})
	sound, picture := f.tracks[media.Audio].Timescale, f.tracks[media.Video].Timescale
	for _, au := range []media.AccessUnit{
		{Kind: media.Audio, DTS: sound.Ticks(time.Second), Data: []byte{1}},
		{Kind: media.Video, DTS: picture.Ticks(950 * time.Millisecond), PTS: picture.Ticks(1010 * time.Millisecond), RandomAccess: true, Data: []byte{2}},
		{Kind: media.Audio, DTS: sound.Ticks(980 * time.Millisecond), Data: []byte{3}},
		{Kind: media.Video, DTS: picture.Ticks(1040 * time.Millisecond), PTS: picture.Ticks(1040 * time.Millisecond), Data: []byte{4}},
	} {
		require.NoError(t, l.write(&au))
	}
	require.NoError(t, ours.Close())
	reading.Wait()
	var times []int
	for _, m := range got {
		times = append(times, int(m.Type), int(m.Timestamp))
	}
	require.Equal(t, []int{chunk.TypeAudio, 0, chunk.TypeVideo, 0, chunk.TypeVideo, 40}, times)
	require.Equal(t, []byte{0x17, 1, 0, 0, 10, 2}, got[1].Payload)
}

// TestPausesGrow also where each attempt lasts long, as it does where nobody answers.
func TestPausesGrow(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	o := Options{RetryMin: 8 * time.Millisecond, RetryMax: time.Second, Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Minute)
		return now
	}}
	addr := answering(t, func(net.Conn) {})
	r := onAir(t, clip(t), o, "rtmp://"+addr+"/live/"+key)
	r.await("attempts", 0, func(s Status) bool { return s.Attempts >= 4 })
	require.Regexp(t, `retry_in=(1[6-9]|[23]\d)ms`, r.log.String(), "four times the first at the third")
}

// TestPanicCostsOneConnection, which is closed.
func TestPanicCostsOneConnection(t *testing.T) {
	hub, addr, _ := server(t, "127.0.0.1:0", false)
	var convert atomic.Int32
	o := Options{Convert: func(s *live.Subscriber) Subscription {
		if convert.Add(1) == 1 {
			panic("broken: " + key)
		}
		return s
	}}
	f := clip(t)
	legacy := answering(t, func(c net.Conn) {
		accept(c, answers{})
		_, _ = io.Copy(io.Discard, c)
	})
	r := onAir(t, f, o, "rtmp://"+legacy+"/live/"+key, "rtmp://"+addr+"/live/"+key)
	hub.Next(t, 0).AwaitUnits(t, media.Video, 10)
	s := r.await("the state", 0, func(s Status) bool { return s.State == StateLive && s.Attempts == 2 })
	require.Equal(t, "internal error", s.Error)
	require.NotContains(t, r.log.String(), key)
	require.ErrorContains(t, r.relays.byStream["tower"][0].guard(func() error { panic("x") }), "internal")
}

// TestServerThatIsOurselves is not called: what is forwarded to it would come round for ever.
func TestServerThatIsOurselves(t *testing.T) {
	hub, addr, _ := server(t, "127.0.0.1:0", false)
	a, err := net.ResolveTCPAddr("tcp", addr)
	require.NoError(t, err)
	r := onAir(t, clip(t), Options{OwnPorts: []int{a.Port}}, "rtmp://"+addr+"/live/"+key)
	s := r.await("attempts", 0, func(s Status) bool { return s.Attempts >= 2 && s.State == StateWaiting })
	require.Equal(t, errSelf.Error(), s.Error)
	require.Zero(t, hub.Refused())
}

// TestCertificates: one that nobody vouches for is refused, unless the target's URL says otherwise.
func TestCertificates(t *testing.T) {
	hub, addr, _ := server(t, "127.0.0.1:0", true)
	r := onAir(t, clip(t), Options{}, "rtmps://"+addr+"/live/"+key, "rtmps://"+addr+"/live/other-key#tls_verify=0")
	hub.Next(t, 0).AwaitUnits(t, media.Video, 10)
	r.await("the state", 1, isLive)
	s := r.await("the refusal", 0, func(s Status) bool { return s.Attempts >= 2 && s.State == StateWaiting })
	require.Contains(t, s.Error, "certificate")
	require.Equal(t, "stream-of-other-key", hub.Next(t, 0).Stream())
}

// TestSessionThatEndsWhileItsTargetIsAwaited ends its relay at once.
func TestSessionThatEndsWhileItsTargetIsAwaited(t *testing.T) {
	r := onAir(t, clip(t), Options{RetryMin: time.Hour, RetryMax: time.Hour}, "rtmp://"+testx.FreeAddr(t)+"/live/"+key)
	r.await("the wait", 0, func(s Status) bool { return s.State == StateWaiting })
	require.NoError(t, r.hub.End("tower", live.ReasonEndedByOwner))
	r.stop()
	require.Equal(t, StateIdle, r.status(0).State)
}

func TestTargets(t *testing.T) {
	for address, want := range map[string]target{
		"rtmp://a.example/live2/k-e-y": {
			scheme: "rtmp", host: "a.example:1935", server: "a.example", shown: "rtmp://a.example/live2/…",
			app: "live2", key: "k-e-y", tcURL: "rtmp://a.example/live2", secrets: []string{"k-e-y"},
		},
		"rtmps://a.example/app/inst/key?s=1&x=2#tls_verify=0": {
			scheme: "rtmps", host: "a.example:443", server: "a.example", shown: "rtmps://a.example/app/…",
			app: "app/inst", key: "key?s=1&x=2", tcURL: "rtmps://a.example/app/inst", insecure: true, secrets: []string{"s=1&x=2", "inst"},
		},
		"srt://[::1]:8890?streamid=publish:k-e-y&passphrase=long-enough-it-is&pbkeylen=32&latency=200000&pkt_size=1316&mode=caller&transtype=live": {
			scheme: "srt", host: "[::1]:8890", server: "::1", shown: "srt://[::1]:8890",
			streamID: "publish:k-e-y", passphrase: "long-enough-it-is", keyLength: 32, latency: 200 * time.Millisecond,
		},
	} {
		got, err := parseTarget(address)
		require.NoError(t, err, address)
		if want.secrets == nil {
			require.ElementsMatch(t, []string{"publish:k-e-y", "k-e-y", "long-enough-it-is"}, got.secrets)
			got.secrets = nil
		}
		require.Equal(t, want, got)
	}
	for _, bad := range []string{
		"rtmp://host/secret", "rtmp://host/live/", "rtmp:///live/secret", "rtmp://user:secret@host/live/x", "http://host/live/secret",
		"rtmps://host/live/secret#tls_verify=1", "rtmp://host/live/secret#tls_verify=0", "srt://host?streamid=secret", "srt://host:1?passphrase=secret",
		"srt://host:1?pbkeylen=secret", "srt://host:1?latency=secret", "srt://host:1?mode=listener&streamid=secret", "srt://host:1?transtype=file&streamid=secret",
		"srt://host:1?latnecy=secret", "srt://host:1?streamid=" + strings.Repeat("secret", 100), "rtmp://ho st/live/secret", "srt://host:1?%zz=secret",
	} {
		_, err := New(Options{Routes: []string{"tower=" + bad}})
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "secret", bad)
	}
	_, err := New(Options{Routes: []string{"rtmp://host/live/secret"}})
	require.Error(t, err)
	none, err := New(Options{})
	require.NoError(t, err)
	require.Empty(t, none.All())
}

func TestWhatTargetsSayIsMadeFit(t *testing.T) {
	target, err := parseTarget("rtmp://a.example/live/k-e-y")
	require.NoError(t, err)
	require.Equal(t, "publish … is  taken", target.redact("publish k-e-y is\n\x00taken"))
	require.LessOrEqual(t, len(target.redact(strings.Repeat("é", 1000))), 304)

	// Whatever of a target's URL may be a key is found, however the target spells it.
	for address, says := range map[string]string{
		"rtmp://a.example/live/hidden-1/anything":                           "no hidden-1",
		"rtmp://a.example/live/key?token=hidden-2%21&short=1":               "token hidden-2! or hidden-2%21 is old",
		"rtmp://a.example/live/hidden%2D3":                                  "no hidden-3, hidden%2D3",
		"rtmp://a.example/live/hidd?auth=hidden-4":                          "hidden-4 is unknown",
		"srt://a.example:1?streamid=%23!::m=publish,r=live/hidden-5,u=some": "publish of hidden-5",
	} {
		target, err := parseTarget(address)
		require.NoError(t, err)
		require.NotContains(t, target.shown, "hidden", address)
		got := target.redact(says)
		require.NotContains(t, got, "hidden", address)
		require.NotRegexp(t, `-\d|en-|2D`, got, address)
	}
}
