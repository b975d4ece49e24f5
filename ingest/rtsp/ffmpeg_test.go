package rtsp

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/ingest"
	"mediad/ingest/ingesttest"
	"mediad/live"
	"mediad/media"
)

// ffmpeg publishes a picture with B-frames and a tone until it is told to stop.
type ffmpeg struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   bytes.Buffer
}

func startFFmpeg(t *testing.T, args string) *ffmpeg {
	f := &ffmpeg{cmd: exec.Command("ffmpeg", strings.Fields("-v error -re -f lavfi -i testsrc2=size=320x180:rate=30 "+
		"-f lavfi -i sine=frequency=440:sample_rate=48000 "+args)...)}
	f.cmd.Stderr = &f.out
	var err error
	f.stdin, err = f.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, f.cmd.Start())
	t.Cleanup(func() {
		_ = f.cmd.Process.Kill()
		_ = f.cmd.Wait()
		if t.Failed() {
			t.Log(f.out.String())
		}
	})
	return f
}

const encode = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 30 -bf 2 -b_strategy 0 -threads 1 -c:a aac -b:a 64k "

func TestFFmpegPublishes(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"tcp", "udp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			o := Options{}
			if transport == "udp" {
				o.UDPAddr = freePair(t)
			}
			r := newRig(t, o)
			f := startFFmpeg(t, encode+"-f rtsp -rtsp_transport "+transport+" rtsp://"+r.addr+"/live/good-key?token=x")
			pub := r.hub.Next(t, 0)
			pub.AwaitUnits(t, media.Video, 60)
			pub.AwaitUnits(t, media.Audio, 60)
			_, err := io.WriteString(f.stdin, "q")
			require.NoError(t, err)
			require.Equal(t, live.ReasonPublisherStopped, pub.AwaitClosed(t))
			checkOrder(t, pub)
			require.Regexp(t, "^Lavf", pub.Peer.Encoder)
			require.Equal(t, "rtsp", pub.Peer.Protocol)
			require.NotContains(t, strings.ReplaceAll(r.log.String(), "stream-of-good-key", ""), "good-key")
		})
	}
}

// checkOrder judges what a source at a constant rate became.
func checkOrder(t *testing.T, pub *ingesttest.Publication) {
	t.Helper()
	require.Len(t, pub.Tracks(media.Video), 1)
	v, a := pub.Units(media.Video), pub.Units(media.Audio)
	require.True(t, v[0].RandomAccess)
	reordered := false
	for i, u := range v {
		require.GreaterOrEqual(t, u.PTS, u.DTS)
		if i > 0 {
			require.InDelta(t, 3000, int(u.DTS-v[i-1].DTS), 2, "picture %d", i)
			reordered = reordered || u.PTS < v[i-1].PTS
		}
	}
	require.True(t, reordered, "the source has B-frames")
	require.Equal(t, 2*3000, int(v[0].PTS-v[0].DTS))
	for i, u := range a[1:] {
		require.InDelta(t, 1024, int(u.DTS-a[i].DTS), 10, "frame %d", i+1)
	}
	// Both begin at 0, but for the encoder's priming.
	apart := pub.Tracks(media.Audio)[0].Timescale.Duration(a[0].PTS) - media.VideoTimescale.Duration(v[0].PTS)
	require.InDelta(t, 0, apart.Seconds(), 0.04, "sound and picture lie as in the source")
}

// anyKey lets in every key for the stream of its name.
type anyKey struct{}

func (anyKey) AuthorizePublish(_ context.Context, key string, _ live.Peer) (live.Grant, error) {
	return live.Grant{StreamID: "id-" + key, Stream: key, KeyID: "k-" + key}, nil
}

func TestMediaReachesASessionOfTheRealHub(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	hub := live.NewHub(live.Options{Authorizer: anyKey{}, Log: log})
	srv, err := New(Options{Admit: ToHub(hub, ingest.FeedOptions{Log: log}), Log: log})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = hub.Run(ctx) })
	wg.Go(func() { _ = srv.Serve(ctx, l) })
	defer func() { cancel(); wg.Wait() }()

	hevc := "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=15:bframes=2 -pix_fmt yuv420p -c:a libopus "
	startFFmpeg(t, hevc+"-f rtsp -rtsp_transport tcp rtsp://"+l.Addr().String()+"/live/stream")
	require.Eventually(t, func() bool {
		s, ok := hub.Lookup("stream")
		return ok && s.State == live.StateLive && s.Video.Frames > 40 && s.Audio.Frames > 40
	}, 20*time.Second, 20*time.Millisecond)
	s, _ := hub.Lookup("stream")
	require.Equal(t, media.H265, s.Tracks[media.Video].Codec)
	require.Equal(t, media.Opus, s.Tracks[media.Audio].Codec)
	require.Equal(t, "rtsp", s.Protocol)
	require.Positive(t, s.Video.BFrames)
	require.Equal(t, 1, s.Epochs)
	require.Zero(t, s.Drops.Total())
}
