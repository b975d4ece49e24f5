package relay

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/ingest/ingesttest"
	"mediad/ingest/srt"
	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
)

// program runs until the test ends, or until it does.
func program(t *testing.T, name string, args ...string) (exited <-chan error, said fmt.Stringer) {
	t.Helper()
	cmd := exec.Command(name, args...)
	out := &testx.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = time.Second
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	var waiting sync.WaitGroup
	waiting.Go(func() { ended <- cmd.Wait() })
	t.Cleanup(func() { _ = cmd.Process.Kill(); waiting.Wait() })
	return ended, out
}

func within(t *testing.T, exited <-chan error, said fmt.Stringer) {
	t.Helper()
	select {
	case err := <-exited:
		require.NoError(t, err, said.String())
	case <-time.After(30 * time.Second):
		t.Fatal("the program goes on: " + said.String())
	}
}

// frames decodes a file and counts what comes out; a fault in it is one of the test.
func frames(t *testing.T, file, stream string) int {
	t.Helper()
	var out, fault bytes.Buffer
	cmd := exec.Command("ffprobe", "-v", "error", "-select_streams", stream, "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", file)
	cmd.Stdout, cmd.Stderr = &out, &fault
	require.NoError(t, cmd.Run(), fault.String())
	require.Empty(t, fault.String())
	n := 0
	_, err := fmt.Sscan(strings.Trim(strings.Fields(out.String())[0], ","), &n)
	require.NoError(t, err, out.String())
	return n
}

// TestFFmpegTakesIt: by RTMP, listening as a server.
func TestFFmpegTakesIt(t *testing.T) {
	addr, file := testx.FreeAddr(t), filepath.Join(t.TempDir(), "got.flv")
	exited, said := program(t, "ffmpeg", "-v", "error", "-listen", "1", "-f", "flv", "-i", "rtmp://"+addr+"/live/"+key, "-t", "3", "-c", "copy", file)
	r := onAir(t, clip(t), Options{}, "rtmp://"+addr+"/live/"+key)
	r.await("the state", 0, isLive)
	within(t, exited, said)
	require.Greater(t, frames(t, file, "v"), 60)
	require.Greater(t, frames(t, file, "a"), 100)
}

// TestNginxTakesIt, and is not asked again about a codec that it does not take, before that changes.
func TestNginxTakesIt(t *testing.T) {
	const module = "/usr/lib/nginx/modules/ngx_rtmp_module.so"
	if _, err := os.Stat(module); err != nil {
		t.Skip("nginx-rtmp is not installed")
	}
	dir, addr := t.TempDir(), testx.FreeAddr(t)
	config := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(config, []byte(strings.NewReplacer("MODULE", module, "DIR", dir, "ADDR", addr).Replace(`
user root;
daemon off;
master_process off;
worker_processes 1;
pid DIR/nginx.pid;
error_log DIR/error.log warn;
load_module MODULE;
events {}
rtmp { server { listen ADDR; application live { live on; record all; record_path DIR; record_suffix .flv; } } }
`)), 0o600))
	program(t, "nginx", "-c", config, "-p", dir, "-e", filepath.Join(dir, "error.log"))
	testx.WaitForServer(t, addr)

	var f film
	f.tracks[0] = vp9(t)
	for i := range 50 {
		f.units = append(f.units, media.AccessUnit{Kind: media.Video, DTS: media.Ticks(i * 1800), PTS: media.Ticks(i * 1800), RandomAccess: true, Data: vp9Key})
	}
	r := onAir(t, f, Options{RetryMin: time.Millisecond, RetryMax: time.Millisecond}, "rtmp://"+addr+"/live/"+key)
	s := r.await("the refusal", 0, func(s Status) bool { return s.State == StateWaiting && s.Error != "" })
	require.Equal(t, "the target does not take VP9", s.Error)
	require.True(t, s.RetryAt.IsZero())
	require.Equal(t, uint64(1), s.Attempts)

	f = clip(t)
	f.tracks[1] = mediatest.OpusTrack()
	for i := range f.units {
		if f.units[i].Kind == media.Audio {
			f.units[i].Data = []byte{0xfc, 0xff, 0xfe}
		}
	}
	r.become(f)
	s = r.await("the state", 0, isLive)
	require.Equal(t, uint64(2), s.Attempts)
	require.Equal(t, "without sound: the target does not take Opus", s.Note)
	r.await("media", 0, func(s Status) bool { return s.Bytes > 300_000 })
	require.NoError(t, r.hub.End("tower", live.ReasonEndedByOwner))
	r.stop()
	file := filepath.Join(dir, key+".flv")
	testx.WaitFor(t, "the recording", func() bool { return recorded(file) })
	require.Greater(t, frames(t, file, "v"), 30)
}

// recorded reports whether nothing has a file open any more.
func recorded(file string) bool {
	s, err := os.Stat(file)
	if err != nil || s.Size() == 0 {
		return false
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && to == file {
			return false
		}
	}
	return true
}

// TestFFmpegTakesItBySRT, encrypted.
func TestFFmpegTakesItBySRT(t *testing.T) {
	for name, query := range map[string]string{"plain": "", "encrypted": "&passphrase=correct-horse&pbkeylen=32"} {
		t.Run(name, func(t *testing.T) {
			addr, file := testx.FreeAddr(t), filepath.Join(t.TempDir(), "got.mkv")
			exited, said := program(t, "ffmpeg", "-v", "error", "-f", "mpegts", "-i", "srt://"+addr+"?mode=listener"+query, "-t", "3", "-c", "copy", file)
			r := onAir(t, clip(t), Options{}, "srt://"+addr+"?streamid=publish:"+key+"&latency=100000"+query)
			r.await("the state", 0, isLive)
			within(t, exited, said)
			require.Greater(t, frames(t, file, "v"), 60)
			require.Greater(t, frames(t, file, "a"), 100)
		})
	}
}

// srtServer is a mediad's SRT door with a hub behind it.
func srtServer(t *testing.T) (hub *ingesttest.Hub, addr string, stop func()) {
	t.Helper()
	hub = ingesttest.NewHub(key)
	s, err := srt.New(srt.Options{Admit: func(ctx context.Context, r srt.Request) (srt.Publisher, srt.Feed, error) {
		p, err := hub.Admit(ctx, r.Key, r.Peer)
		if err != nil {
			return nil, nil, err
		}
		return p, p, nil
	}})
	require.NoError(t, err)
	l, err := srt.Listen("127.0.0.1:0", srt.ListenOptions{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(ctx, l) })
	stop = sync.OnceFunc(func() { cancel(); serving.Wait() })
	t.Cleanup(stop)
	return hub, l.Addr().String(), stop
}

// TestAnotherServerGetsItBySRT under its key; one that has left is found out, one that refuses says why.
func TestAnotherServerGetsItBySRT(t *testing.T) {
	hub, addr, stop := srtServer(t)
	f := clip(t)
	r := onAir(t, f, Options{DialTimeout: time.Second}, "srt://"+addr+"?streamid=publish:"+key, "srt://"+addr+"?streamid=publish:wrong-secret")
	pub := hub.Next(t, 0)
	pub.AwaitUnits(t, media.Video, 20)
	pub.AwaitUnits(t, media.Audio, 20)
	r.await("the state", 0, isLive)
	require.Equal(t, media.AAC, pub.Tracks(media.Audio)[0].Codec)
	s := r.await("the refusal", 1, func(s Status) bool { return s.Attempts >= 2 && s.State == StateWaiting })
	require.NotEmpty(t, s.Error)
	stop()
	r.await("the loss", 0, func(s Status) bool { return s.State == StateWaiting })
	require.NotContains(t, r.log.String(), key)
	require.NotContains(t, r.log.String(), "wrong-secret")
}

// TestTargetThatRefusesManyTimesOver by SRT leaves nothing behind either: TestMain looks.
func TestTargetThatRefusesManyTimesOver(t *testing.T) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); serving.Wait() })
	serving.Go(func() {
		b := make([]byte, 1500)
		for {
			n, from, err := l.ReadFrom(b)
			if err != nil {
				return
			}
			if n < 64 {
				continue
			}
			// Of a handshake: to whom, its type, and who asks (draft-sharabayko-srt 3.2.1).
			to, typ, asks := b[12:16], b[36:40], b[40:44]
			copy(to, asks)
			binary.BigEndian.PutUint32(typ, 1003)
			for range 20 {
				_, _ = l.WriteTo(b[:64], from)
			}
		}
	})
	r := onAir(t, clip(t), Options{DialTimeout: time.Second}, "srt://"+l.LocalAddr().String()+"?streamid=publish:"+key)
	s := r.await("the refusal", 0, func(s Status) bool { return s.Attempts >= 2 && s.State == StateWaiting })
	require.NotEmpty(t, s.Error)
}

// TestCodecThatNoTransportStreamHas is not tried for ever.
func TestCodecThatNoTransportStreamHas(t *testing.T) {
	_, addr, _ := srtServer(t)
	var f film
	f.tracks[0] = vp9(t)
	f.units = []media.AccessUnit{{RandomAccess: true, Data: vp9Key}}
	r := onAir(t, f, Options{RetryMin: time.Millisecond, RetryMax: time.Millisecond}, "srt://"+addr+"?streamid=publish:"+key)
	s := r.await("the refusal", 0, func(s Status) bool { return s.State == StateWaiting && s.Error != "" })
	require.Equal(t, "the target does not take VP9", s.Error)
	require.Equal(t, uint64(1), s.Attempts)
}

// heavy is a film of large pictures, which fill every buffer soon: of a socket within a second. A queue has room for 32 of them, so that a target
// that reads misses none on a busy machine.
func heavy(t *testing.T) (f film) {
	t.Helper()
	f.tracks[0] = mediatest.H264Track(1920, 1080, 30, 1)
	f.units = mediatest.Video(mediatest.VideoPattern{Frames: 60, GOP: 10})
	for i := range f.units {
		u := &f.units[i]
		u.Data = append(u.Data[:len(u.Data):len(u.Data)], make([]byte, 1<<18)...)
	}
	return f
}

// TestTargetThatStalls: it accepts, and then reads no more. The stream does not feel it, and the target is given up.
func TestTargetThatStalls(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	held := make(chan struct{})
	t.Cleanup(func() { close(held); _ = l.Close(); serving.Wait() })
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				accept(c, answers{})
				<-held
			})
		}
	})
	good, addr, _ := server(t, "127.0.0.1:0", false)
	f := heavy(t)
	r := onAir(t, f, Options{WriteTimeout: 300 * time.Millisecond}, "rtmp://"+l.Addr().String()+"/live/"+key, "rtmp://"+addr+"/live/"+key)
	s := r.await("the stall", 0, func(s Status) bool { return s.Attempts >= 2 && s.Error != "" })
	require.Equal(t, errStalled.Error(), s.Error)
	pub := good.Next(t, 0)
	pub.AwaitUnits(t, media.Video, 30)
	units := pub.Units(media.Video)
	for i := 1; i < 30; i++ {
		require.InDelta(t, 3000, int64(units[i].DTS-units[i-1].DTS), 90, "the other target misses nothing")
	}
	require.Zero(t, r.status(1).Drops)
}

// TestTargetThatSaysNothing is given up in time.
func TestTargetThatSaysNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // connects, as the system does that; nobody accepts
	require.NoError(t, err)
	defer l.Close()
	r := onAir(t, clip(t), Options{DialTimeout: 100 * time.Millisecond}, "rtmp://"+l.Addr().String()+"/live/"+key)
	s := r.await("attempts", 0, func(s Status) bool { return s.Attempts >= 2 && s.State == StateWaiting })
	require.Equal(t, "the target does not answer in time", s.Error)
}
