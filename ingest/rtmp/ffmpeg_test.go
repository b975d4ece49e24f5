package rtmp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/ingest/ingesttest"
	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
)

func TestConformanceOfFFmpeg(t *testing.T) {
	for _, secure := range []bool{false, true} {
		scheme := map[bool]string{false: "rtmp", true: "rtmps"}[secure]
		t.Run(scheme, func(t *testing.T) {
			ingesttest.Run(t, ingesttest.Harness{
				Start: func(ctx context.Context, t testing.TB, hub *ingesttest.Hub, l ingesttest.Limits) (string, func()) {
					return start(ctx, t, hub, limited(l), secure)
				},
				Publisher: func(t testing.TB, addr string) ingesttest.Publisher {
					return &ffmpeg{t: t, url: scheme + "://" + addr + "/live/"}
				},
				ReadTimeout: 5 * time.Second,
			})
		})
	}
}

// TestFFmpegCrosses24Bits publishes across 16 777 215 ms, where a stream is 4 h 39 min old: from there on every chunk
// has an extended timestamp.
func TestFFmpegCrosses24Bits(t *testing.T) {
	r := newRig(t, Options{})
	out, err := exec.Command("ffmpeg", strings.Fields("-v error -f lavfi -i testsrc2=size=640x360:rate=30 -f lavfi -i sine=sample_rate=48000 "+
		"-t 3 -c:v libx264 -preset ultrafast -g 30 -threads 1 -pix_fmt yuv420p -c:a aac -output_ts_offset 16776 -f flv rtmp://"+r.addr+"/live/secret-key")...).CombinedOutput()
	require.NoError(t, err, string(out))
	pub := r.hub.Next(t, 0)
	require.Equal(t, live.ReasonPublisherStopped, pub.AwaitClosed(t))
	units := pub.Units(media.Video)
	require.Len(t, units, 90)
	const edge = 0xFFFFFF * 90
	require.Less(t, units[0].DTS, media.Ticks(edge))
	require.Greater(t, units[89].DTS, media.Ticks(edge))
	for i, u := range units[1:] {
		require.InDelta(t, 3000, int(u.DTS-units[i].DTS), 90, "picture %d", i+1)
	}
	require.Greater(t, len(pub.Units(media.Audio)), 130)
	require.NotContains(t, r.log.String(), "unreadable")
}

// ffmpeg is the real program, publishing a test picture with a tone.
type ffmpeg struct {
	t   testing.TB
	url string

	cmd    *exec.Cmd
	stdin  io.WriteCloser
	output testx.Buffer
	exited chan struct{}
}

func (f *ffmpeg) args(key string) []string {
	return strings.Fields("-hide_banner -v info -stats_period 0.1 -re " +
		"-f lavfi -i testsrc2=size=320x180:rate=30 -f lavfi -i sine=frequency=440:sample_rate=48000 " +
		"-c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g 30 -b:v 300k -threads 1 -c:a aac -b:a 64k " +
		"-f flv " + f.url + key)
}

// Publish starts ffmpeg. It is let in once it reports frames, and refused once it ends.
func (f *ffmpeg) Publish(ctx context.Context, key string) error {
	f.cmd = exec.Command("ffmpeg", f.args(key)...)
	f.cmd.Stderr = &f.output
	var err error
	if f.stdin, err = f.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := f.cmd.Start(); err != nil {
		return err
	}
	f.exited = make(chan struct{})
	go func() {
		defer close(f.exited)
		_ = f.cmd.Wait()
	}()
	return f.progress(ctx, 1)
}

// progress waits until ffmpeg has reported n more times.
func (f *ffmpeg) progress(ctx context.Context, n int) error {
	const mark = "frame="
	want := strings.Count(f.output.String(), mark) + n
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for strings.Count(f.output.String(), mark) < want {
		select {
		case <-f.exited:
			return fmt.Errorf("ffmpeg ended: %s", f.output.String())
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

func (f *ffmpeg) Send(ctx context.Context) error { return f.progress(ctx, 2) }

func (f *ffmpeg) Stop() error {
	if _, err := io.WriteString(f.stdin, "q"); err != nil {
		return err
	}
	select {
	case <-f.exited:
		return nil
	case <-time.After(20 * time.Second):
		return errors.New("ffmpeg does not stop")
	}
}

func (f *ffmpeg) Drop() { _ = f.cmd.Process.Kill() }

func (f *ffmpeg) Stall() { _ = f.cmd.Process.Signal(syscall.SIGSTOP) }

func (f *ffmpeg) Told(ctx context.Context) string {
	select {
	case <-f.exited:
	case <-ctx.Done():
	}
	return f.output.String()
}

func (f *ffmpeg) Close() {
	if f.exited == nil {
		return
	}
	_ = f.cmd.Process.Kill()
	<-f.exited
	if f.t.Failed() {
		f.t.Log(f.output.String())
	}
}
