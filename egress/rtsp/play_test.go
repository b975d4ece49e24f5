package rtsp

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	feed "mediad/ingest"
	ingest "mediad/ingest/rtsp"
	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ntsc = media.Rational{Num: 30000, Den: 1001}

type clip struct {
	tracks [media.Kinds]*media.Track
	units  []media.AccessUnit
}

func makeClip(t testing.TB, p mediatest.EncodedPattern) (c clip) {
	p.FPS = ntsc
	c.tracks[0], c.tracks[1], c.units = mediatest.Encoded(t, p)
	return c
}

var (
	smallOnce sync.Once
	smallClip clip
)

// small is a picture with B-frames and sound, made once.
func small(t testing.TB) clip {
	smallOnce.Do(func() { smallClip = makeClip(t, mediatest.EncodedPattern{BFrames: 2, GOP: 30}) })
	return smallClip
}

type anyKey struct{}

func (anyKey) AuthorizePublish(_ context.Context, key string, _ live.Peer) (live.Grant, error) {
	return live.Grant{StreamID: "id-" + key, Stream: key, KeyID: "k-" + key}, nil
}

// station is a hub with RTSP in front of it.
type station struct {
	t       *testing.T
	hub     *live.Hub
	streams *Streams
	addr    string
	log     *testx.Buffer
	wg      sync.WaitGroup
}

func newStation(t *testing.T, o Options, in ingest.Options) *station {
	return newStationAt(t, "127.0.0.1", o, in)
}

func newStationAt(t *testing.T, host string, o Options, in ingest.Options) *station {
	s := &station{t: t, log: &testx.Buffer{}}
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.hub = live.NewHub(live.Options{Authorizer: anyKey{}, Log: log})
	o.Source, o.Log = s.hub, log
	var err error
	s.streams, err = New(o)
	require.NoError(t, err)
	in.Admit, in.Player, in.Log = ingest.ToHub(s.hub, feed.FeedOptions{Log: log}), s.streams, log
	srv, err := ingest.New(in)
	require.NoError(t, err)
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	require.NoError(t, err)
	s.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var servers sync.WaitGroup
	servers.Go(func() {
		if err := srv.Serve(ctx, l); err != nil {
			t.Error(err)
		}
	})
	s.wg.Go(func() { _ = s.hub.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		servers.Wait()
		s.streams.Close()
		s.wg.Wait()
		if t.Failed() {
			t.Log(s.log.String())
		}
	})
	return s
}

func (s *station) url(name string) string { return "rtsp://" + s.addr + "/live/" + name }

// publish loops a clip on a stream at its own pace until the end of the test, or until stop is called.
func (s *station) publish(name string, c clip) (stop func(live.Reason)) {
	p, err := s.hub.Publish(context.Background(), name, live.Peer{Protocol: "test", Remote: "127.0.0.1:1"})
	require.NoError(s.t, err)
	over := make(chan live.Reason)
	done := make(chan struct{})
	began := make(chan struct{})
	go func() {
		defer close(done)
		var once sync.Once
		var base, end time.Duration
		start := time.Now()
		f := feed.NewFeed(feed.FeedOptions{Publisher: p})
		for k, t := range c.tracks {
			if t == nil {
				f.NoTrack(media.Kind(k))
			} else if f.Track(media.Kind(k), t) != nil {
				return
			}
		}
		for i := 0; ; i++ {
			if i == len(c.units) {
				i, base = 0, end
			}
			au := c.units[i]
			scale := c.tracks[au.Kind].Timescale
			at := base + scale.Duration(au.DTS)
			end = max(end, base+scale.Duration(au.DTS)+time.Second*1001/30000)
			au.DTS, au.PTS = au.DTS+scale.Ticks(base), au.PTS+scale.Ticks(base)
			select {
			case r := <-over:
				p.Close(r)
				return
			case <-time.After(time.Until(start.Add(at))):
			}
			if f.Write(au) != nil {
				p.Close(live.ReasonConnectionLost)
				return
			}
			if p.Session() != nil {
				once.Do(func() { close(began) })
			}
		}
	}()
	<-began
	var once sync.Once
	stop = func(r live.Reason) {
		once.Do(func() {
			select {
			case over <- r:
			case <-done:
			}
			<-done
		})
	}
	s.t.Cleanup(func() { stop(live.ReasonPublisherStopped) })
	return stop
}

func run(t *testing.T, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(out), err
}

// pairs are the ports that freePair gave out.
var pairs sync.Map

func freePair(t *testing.T, host string) string {
	for range 100 {
		a, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
		require.NoError(t, err)
		port := a.LocalAddr().(*net.UDPAddr).Port &^ 1
		_ = a.Close()
		ok := true
		for _, p := range []int{port, port + 1} {
			c, err := net.ListenPacket("udp", net.JoinHostPort(host, strconv.Itoa(p)))
			if err != nil {
				ok = false
				break
			}
			_ = c.Close()
		}
		if _, taken := pairs.LoadOrStore(port, true); ok && !taken {
			return net.JoinHostPort(host, strconv.Itoa(port))
		}
	}
	t.Fatal("no pair of ports is free")
	return ""
}

func TestFFmpegPlays(t *testing.T) {
	t.Parallel()
	s := newStation(t, Options{}, ingest.Options{UDPAddr: freePair(t, "127.0.0.1")})
	s.publish("cam", small(t))
	for _, transport := range []string{"tcp", "udp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "out.mp4")
			out, err := run(t, "ffmpeg", "-v", "error", "-rtsp_transport", transport, "-i", s.url("cam"),
				"-t", "2", "-c", "copy", "-f", "mp4", file)
			require.NoError(t, err, out)
			frames, err := run(t, "ffprobe", "-v", "error", "-select_streams", "v", "-count_frames", "-show_entries",
				"stream=nb_read_frames,has_b_frames", "-of", "csv=p=0", file)
			require.NoError(t, err, frames)
			f := strings.Split(strings.TrimSpace(frames), ",")
			require.Equal(t, "2", f[0], frames)
			n, _ := strconv.Atoi(f[1])
			require.Greater(t, n, 40, frames)
			audio, err := run(t, "ffprobe", "-v", "error", "-select_streams", "a", "-count_packets", "-show_entries",
				"stream=codec_name,nb_read_packets", "-of", "csv=p=0", file)
			require.NoError(t, err, audio)
			require.Contains(t, audio, "aac")
			if transport == "tcp" {
				require.NotContains(t, out, "error", "every picture decodes from the first")
			}
		})
	}
}

func TestWhatIsPublishedByRTSPIsPlayedByRTSP(t *testing.T) {
	t.Parallel()
	s := newStation(t, Options{}, ingest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	var publisher sync.WaitGroup
	publisher.Go(func() {
		_ = exec.CommandContext(ctx, "ffmpeg", strings.Fields("-v error -re -f lavfi -i testsrc2=size=320x180:rate=30 "+
			"-f lavfi -i sine=sample_rate=48000 -c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=15:bframes=2 "+
			"-pix_fmt yuv420p -c:a libopus -f rtsp -rtsp_transport tcp "+s.url("hevc"))...).Run()
	})
	defer func() { cancel(); publisher.Wait() }()
	require.Eventually(t, func() bool {
		st, ok := s.hub.Lookup("hevc")
		return ok && st.Video.Frames > 5
	}, 20*time.Second, 20*time.Millisecond)
	out, err := run(t, "ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", s.url("hevc"), "-t", "1", "-f", "framecrc", "-")
	require.NoError(t, err, out)
	require.Greater(t, strings.Count(out, "\n0,"), 20, out)
	require.Greater(t, strings.Count(out, "\n1,"), 20, out)
}

func TestGStreamerPlays(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("gst-launch-1.0"); err != nil {
		t.Skip("GStreamer is not installed")
	}
	for _, c := range [][2]string{{"127.0.0.1", "tcp"}, {"127.0.0.1", "udp"}, {"::1", "udp"}} {
		t.Run(c[1]+" to "+c[0], func(t *testing.T) {
			t.Parallel()
			s := newStationAt(t, c[0], Options{}, ingest.Options{UDPAddr: freePair(t, c[0])})
			s.publish("cam", small(t))
			file := filepath.Join(t.TempDir(), "out.h264")
			out, err := run(t, "gst-launch-1.0", "-q", "rtspsrc", "location="+s.url("cam"), "protocols="+c[1], "latency=200",
				"!", "application/x-rtp,media=video", "!", "rtph264depay", "!", "h264parse", "!", "video/x-h264,stream-format=byte-stream,alignment=au",
				"!", "identity", "eos-after=40", "!", "filesink", "location="+file)
			require.NoError(t, err, out)
			info, err := os.Stat(file)
			require.NoError(t, err)
			require.Greater(t, info.Size(), int64(1000))
			probe, err := run(t, "ffprobe", "-v", "quiet", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", file)
			require.NoError(t, err, probe)
			n, _ := strconv.Atoi(strings.TrimSpace(probe))
			require.Greater(t, n, 20, probe)
		})
	}
}
