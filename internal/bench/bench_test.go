//go:build bench

package bench

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// binary is what `make build` leaves; MEDIAMTX names a MediaMTX binary to measure beside it.
const binary = "../../bin/mediad"

// samples are the reference streams of design 3.2, encoded once a run: 1280x720 at 30 fps, a key frame a second, AAC.
var (
	sample      = sync.OnceValues(func() (string, error) { return encode("2500k") })
	smallSample = sync.OnceValues(func() (string, error) { return encode("1250k") }) // segments of about 320 KB
)

func encode(bitrate string) (string, error) {
	dir, err := os.MkdirTemp("", "mediad-bench")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "sample.flv")
	out, err := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30",
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "30", "-vf", "noise=alls=12:allf=t", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency",
		"-pix_fmt", "yuv420p", "-b:v", bitrate, "-minrate", bitrate, "-maxrate", bitrate, "-bufsize", bitrate, "-nal-hrd", "cbr", "-g", "30", "-keyint_min", "30", "-sc_threshold", "0",
		"-c:a", "aac", "-b:a", "128k", "-ac", "2", file).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ffmpeg: %w: %s", err, out)
	}
	return file, nil
}

// publish sends the sample in a loop at its own pace until the test ends.
func publish(t *testing.T, peer *Peer, stream string) *Process {
	t.Helper()
	file, err := sample()
	require.NoError(t, err)
	return publishFile(t, peer, stream, file)
}

func publishFile(t *testing.T, peer *Peer, stream, file string) *Process {
	t.Helper()
	p, err := Start("ffmpeg", nil, "ffmpeg", "-hide_banner", "-loglevel", "error", "-re", "-stream_loop", "-1", "-i", file, "-c", "copy", "-f", "flv", peer.RTMP+stream)
	require.NoError(t, err)
	t.Cleanup(p.Stop)
	return p
}

// peers starts what a row compares, ours first.
func peers(t *testing.T, names ...string) []*Peer {
	t.Helper()
	var out []*Peer
	for _, name := range names {
		var p *Peer
		var err error
		switch name {
		case "mediad":
			p, err = StartMediad(binary, t.TempDir())
		case "mediamtx":
			path := os.Getenv("MEDIAMTX")
			if path == "" {
				t.Logf("MediaMTX is not measured: MEDIAMTX names no binary")
				continue
			}
			p, err = StartMediaMTX(path, t.TempDir())
		case "mediad webrtc":
			p, err = StartMediadWebRTC(binary, t.TempDir())
		case "mediad all":
			p, err = StartMediadAll(binary, t.TempDir())
		case "mediamtx all":
			path := os.Getenv("MEDIAMTX")
			if path == "" {
				t.Logf("MediaMTX is not measured: MEDIAMTX names no binary")
				continue
			}
			p, err = StartMediaMTXAll(path, t.TempDir())
		case "mediamtx webrtc":
			path := os.Getenv("MEDIAMTX")
			if path == "" {
				t.Logf("MediaMTX is not measured: MEDIAMTX names no binary")
				continue
			}
			p, err = StartMediaMTXWebRTC(path, t.TempDir())
		case "nginx-rtmp":
			p, err = StartNginx(t.TempDir(), true, t.TempDir())
		case "nginx-rtmp without HLS":
			p, err = StartNginx(t.TempDir(), false, t.TempDir())
		}
		require.NoError(t, err)
		p.Name = name
		t.Cleanup(p.Stop)
		waitHTTP(t, p)
		out = append(out, p)
	}
	return out
}

func waitHTTP(t *testing.T, p *Peer) {
	t.Helper()
	eventually(t, 20*time.Second, p.Name+" to listen", func() bool {
		r, err := http.Get("http://" + p.HTTP + "/")
		if err == nil {
			r.Body.Close()
		}
		return err == nil
	})
}

func eventually(t *testing.T, within time.Duration, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(within); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s", within, what)
		}
	}
}

func waitPlaylist(t *testing.T, p *Peer, stream string) {
	t.Helper()
	eventually(t, 30*time.Second, p.Name+" to have a playlist", func() bool {
		r, err := http.Get("http://" + p.HTTP + p.Playlist(stream))
		if err != nil {
			return false
		}
		defer r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// pass lets wall time go by: what is measured here is load over time.
func pass(d time.Duration) { <-time.After(d) }

// row prints one line of the report: ours, theirs, and the ratio.
func row(what string, peer *Peer, value float64, unit string, ours float64) {
	ratio := ""
	if value != 0 && peer.Name != "mediad" {
		ratio = fmt.Sprintf("mediad is %.2f of it", ours/value)
	}
	fmt.Printf("BENCH  %-34s %-24s %10.3f %-6s %s\n", what, peer.Name, value, unit, ratio)
}

// cpuOver is the processor time that p uses in d.
func cpuOver(p *Process, d time.Duration) time.Duration {
	before := p.CPU()
	pass(d)
	return p.CPU() - before
}

func TestPublisherMinute(t *testing.T) {
	const window = 30 * time.Second // a tick of the kernel's account is 1/100 s
	ours := 0.0
	for _, name := range []string{"mediad", "mediamtx", "nginx-rtmp", "nginx-rtmp without HLS"} {
		t.Run(name, func(t *testing.T) {
			for _, p := range peers(t, name) {
				publish(t, p, "bench")
				if name != "nginx-rtmp without HLS" {
					waitPlaylist(t, p, "bench")
				}
				pass(3 * time.Second)
				minute := cpuOver(p.Process, window).Seconds() * float64(time.Minute/window)
				if name == "mediad" {
					ours = minute
				}
				row("CPU a publisher-minute", p, minute, "s", ours)
			}
		})
	}
}

// crowd runs n viewers of a stream for d and returns what they saw.
func crowd(t *testing.T, p *Peer, stream string, n int, d time.Duration) *Counts {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	renditions, cookie, err := Renditions(ctx, p.HTTP, p.Playlist(stream))
	require.NoError(t, err)
	var c Counts
	var wg sync.WaitGroup
	for range n {
		for _, path := range renditions {
			wg.Go(func() { Watch(ctx, p.HTTP, path, cookie, &c) })
		}
	}
	pass(d)
	cancel()
	wg.Wait()
	return &c
}

func TestViewerMinute(t *testing.T) {
	const viewers, window = 60, 20 * time.Second
	ours := 0.0
	for _, name := range []string{"mediad", "mediamtx"} {
		t.Run(name, func(t *testing.T) {
			for _, p := range peers(t, name) {
				publish(t, p, "bench")
				waitPlaylist(t, p, "bench")
				pass(3 * time.Second)
				alone := cpuOver(p.Process, 5*time.Second).Seconds() / 5
				before, began := p.CPU(), time.Now()
				c := crowd(t, p, "bench", viewers, window)
				took := time.Since(began).Seconds()
				used := (p.CPU() - before).Seconds() - alone*took
				minute := used / viewers / took * 60
				if name == "mediad" {
					ours = minute
				}
				row("CPU an LL-HLS viewer-minute", p, minute, "s", ours)
				fmt.Printf("BENCH    %d viewers, %d requests, %d parts, %.1f Mbit/s a viewer, %d errors, %d stalls\n", viewers, c.Requests.Load(), c.Parts.Load(),
					float64(c.Bytes.Load())*8/1e6/viewers/took, c.Errors.Load(), c.Stalls.Load())
			}
		})
	}
}

func TestCleanViewers(t *testing.T) {
	ours := 0.0
	for _, name := range []string{"mediad", "mediamtx"} {
		t.Run(name, func(t *testing.T) {
			for _, p := range peers(t, name) {
				publish(t, p, "bench")
				waitPlaylist(t, p, "bench")
				pass(5 * time.Second)
				clean := 0
				for _, n := range []int{500, 1000, 1500, 2000, 2500, 3000} {
					c := crowd(t, p, "bench", n, 12*time.Second)
					fmt.Printf("BENCH    %-24s %5d viewers: %d parts, %d stalls, %d errors\n", name, n, c.Parts.Load(), c.Stalls.Load(), c.Errors.Load())
					if e := c.LastError.Load(); e != nil {
						fmt.Printf("BENCH      %s\n", *e)
					}
					if c.Errors.Load() > 0 || c.Stalls.Load() > int64(n)/100 {
						break
					}
					clean = n
				}
				if name == "mediad" {
					ours = float64(clean)
				}
				row("clean viewers on these cores", p, float64(clean), "", ours)
			}
		})
	}
}

func TestMemoryPerStream(t *testing.T) {
	const streams = 20
	ours := 0.0
	for _, name := range []string{"mediad", "mediamtx"} {
		t.Run(name, func(t *testing.T) {
			for _, p := range peers(t, name) {
				pass(2 * time.Second)
				idle := p.RSS()
				for i := range streams {
					publish(t, p, fmt.Sprintf("bench%d", i))
				}
				for i := range streams {
					waitPlaylist(t, p, fmt.Sprintf("bench%d", i))
				}
				pass(40 * time.Second)
				each := float64(p.RSS()-idle) / streams / (1 << 20)
				if name == "mediad" {
					ours = each
				}
				row("memory a stream", p, each, "MiB", ours)
			}
		})
	}
}

func TestSegmentFromDisk(t *testing.T) {
	const requests = 8000
	files := t.TempDir()
	// Several at a time, as behind a CDN: what a server pays for waking up from idleness is not the price of a segment.
	const together = 8
	measure := func(p *Peer, path string) (float64, int) {
		var one Counts
		k := &conn{host: p.HTTP}
		_, err := k.get(context.Background(), path, false, &one)
		k.close()
		require.NoError(t, err)
		var c Counts
		before := p.CPU()
		var wg sync.WaitGroup
		for range together {
			wg.Go(func() {
				k := &conn{host: p.HTTP}
				defer k.close()
				for range requests / together {
					if _, err := k.get(context.Background(), path, false, &c); err != nil {
						c.fail(err)
					}
				}
			})
		}
		wg.Wait()
		require.Zero(t, c.Errors.Load())
		return (p.CPU() - before).Seconds() * 1000 / requests, int(one.Bytes.Load())
	}
	p := peers(t, "mediad")[0]
	file, err := smallSample()
	require.NoError(t, err)
	publisher := publishFile(t, p, "bench", file)
	waitPlaylist(t, p, "bench")
	pass(12 * time.Second)
	renditions, _, err := Renditions(context.Background(), p.HTTP, p.Playlist("bench"))
	require.NoError(t, err)
	video := renditions[len(renditions)-1]
	body, err := (&conn{host: p.HTTP}).get(context.Background(), video, true, &Counts{})
	require.NoError(t, err)
	segment := ""
	for line := range strings.SplitSeq(string(body), "\n") {
		if strings.HasPrefix(line, "seg_") {
			segment = resolve(video, line)
			break
		}
	}
	require.NotEmpty(t, segment)
	publisher.Stop()
	ours, size := measure(p, segment)
	row(fmt.Sprintf("CPU a segment of %d KB", size/1000), p, ours, "ms", ours)

	require.NoError(t, os.WriteFile(filepath.Join(files, "seg.m4s"), bytes.Repeat([]byte{7}, size), 0o644))
	require.NoError(t, os.Chmod(files, 0o755))
	nginx, err := StartNginx(t.TempDir(), false, files)
	require.NoError(t, err)
	nginx.Name = "nginx static"
	t.Cleanup(nginx.Stop)
	waitHTTP(t, nginx)
	theirs, _ := measure(nginx, "/files/seg.m4s")
	row(fmt.Sprintf("CPU a segment of %d KB", size/1000), nginx, theirs, "ms", ours)
}
