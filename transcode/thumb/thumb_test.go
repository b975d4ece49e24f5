package thumb

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/jpeg"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
)

func TestMain(m *testing.M) { testx.Main(m) }

// TestWithoutFFmpegNothingIsTried: it is noted once, whatever is published. The server says it aloud.
func TestWithoutFFmpegNothingIsTried(t *testing.T) {
	var log bytes.Buffer
	p := New(Options{FFmpeg: "/nonexistent/ffmpeg", Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	require.Equal(t, 1, strings.Count(log.String(), "not installed"))
	p.Run(t.Context(), nil)
	p.Run(t.Context(), nil)
	require.Equal(t, 1, strings.Count(log.String(), "\n"))
}

// still is one key frame as MP4 has it, made by FFmpeg.
func still(t testing.TB, box string, makeTrack func([]byte) (*media.Track, error), args ...string) keyFrame {
	t.Helper()
	file := filepath.Join(t.TempDir(), "still.mp4")
	all := append([]string{"-v", "error", "-f", "lavfi"}, args...)
	out, err := exec.Command("ffmpeg", append(all, "-frames:v", "1", file)...).CombinedOutput()
	require.NoError(t, err, string(out))
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	body := func(name string) []byte {
		i := bytes.Index(b, []byte(name))
		require.Positive(t, i, name)
		return b[i+4 : i-4+int(binary.BigEndian.Uint32(b[i-4:]))]
	}
	track, err := makeTrack(body(box))
	require.NoError(t, err)
	return keyFrame{track: track, unit: media.AccessUnit{Kind: media.Video, Data: body("mdat"), RandomAccess: true}}
}

// bright is the share of the picture's points that are not dark.
func bright(m image.Image) float64 {
	n, all := 0, 0
	for y := m.Bounds().Min.Y; y < m.Bounds().Max.Y; y += 4 {
		for x := m.Bounds().Min.X; x < m.Bounds().Max.X; x += 4 {
			r, g, b, _ := m.At(x, y).RGBA()
			if all++; max(r, g, b) > 0x4000 {
				n++
			}
		}
	}
	return float64(n) / float64(all)
}

func TestEveryCodecMakesAPicture(t *testing.T) {
	for name, c := range map[string]struct {
		box       string
		makeTrack func([]byte) (*media.Track, error)
		args      []string
		size      image.Point
	}{
		"H.264": {"avcC", media.NewH264, []string{"-i", "testsrc2=s=1280x720", "-c:v", "libx264", "-pix_fmt", "yuv420p"}, image.Pt(640, 360)},
		"H.265": {"hvcC", media.NewH265, []string{
			"-i", "testsrc2=s=1280x720", "-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p10le",
		}, image.Pt(640, 360)},
		"AV1":     {"av1C", media.NewAV1, []string{"-i", "testsrc2=s=854x480", "-c:v", "libaom-av1", "-cpu-used", "8", "-pix_fmt", "yuv420p"}, image.Pt(640, 358)},
		"VP9":     {"vpcC", media.NewVP9, []string{"-i", "testsrc2=s=320x240", "-c:v", "libvpx-vp9", "-pix_fmt", "yuv420p"}, image.Pt(320, 240)},
		"upright": {"avcC", media.NewH264, []string{"-i", "testsrc2=s=360x640", "-c:v", "libx264", "-pix_fmt", "yuv420p"}, image.Pt(360, 640)},
		"wide points": {"avcC", media.NewH264, []string{
			"-i", "testsrc2=s=720x576,setsar=4/3", "-c:v", "libx264", "-pix_fmt", "yuv420p",
		}, image.Pt(640, 384)},
	} {
		t.Run(name, func(t *testing.T) {
			p := New(Options{Timeout: time.Minute})
			b, err := p.encode(t.Context(), still(t, c.box, c.makeTrack, c.args...))
			require.NoError(t, err)
			m, err := jpeg.Decode(bytes.NewReader(b))
			require.NoError(t, err)
			require.Equal(t, c.size, m.Bounds().Size())
			require.Greater(t, bright(m), 0.5)
			require.Less(t, len(b), 100_000)
		})
	}
}

// TestVP8MakesAPicture: MP4 has no place for it.
func TestVP8MakesAPicture(t *testing.T) {
	out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x240", "-c:v", "libvpx", "-pix_fmt", "yuv420p",
		"-frames:v", "1", "-f", "ivf", "-").Output()
	require.NoError(t, err)
	track, err := media.NewVP8([]byte{0, 41, 0x82, 2, 2, 2, 0, 0})
	require.NoError(t, err)
	k := keyFrame{track: track.WithSize(320, 240), unit: media.AccessUnit{Kind: media.Video, Data: out[44:], RandomAccess: true}}
	b, err := New(Options{Timeout: time.Minute}).encode(t.Context(), k)
	require.NoError(t, err)
	m, err := jpeg.Decode(bytes.NewReader(b))
	require.NoError(t, err)
	require.Equal(t, image.Pt(320, 240), m.Bounds().Size())
	require.Greater(t, bright(m), 0.5)
}

func TestRubbishMakesNoPicture(t *testing.T) {
	k := still(t, "avcC", media.NewH264, "-i", "testsrc2=s=320x180", "-c:v", "libx264")
	k.unit.Data = append([]byte{0, 0, 0, 8}, bytes.Repeat([]byte{0x65}, 8)...)
	_, err := New(Options{Timeout: time.Minute}).encode(t.Context(), k)
	require.Error(t, err)
}

type open struct{}

func (open) AuthorizePublish(_ context.Context, key string, _ live.Peer) (live.Grant, error) {
	return live.Grant{Stream: key, StreamID: "id"}, nil
}

// TestPicturesFollowTheStream: the first comes at once, another with another key frame, none is left at the end, and where all
// children are busy the stream keeps what it has.
func TestPicturesFollowTheStream(t *testing.T) {
	p := New(Options{Every: time.Millisecond, AtOnce: 1, Timeout: time.Minute, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	var running sync.WaitGroup
	hub := live.NewHub(live.Options{Authorizer: open{}, Run: func(ctx context.Context, s *live.Session) error {
		ctx, stop := context.WithCancel(ctx)
		running.Go(func() { p.Run(ctx, s) })
		defer stop()
		sub := s.Subscribe(live.PackagerPolicy)
		defer sub.Close()
		for {
			if _, err := sub.Next(ctx); err != nil {
				return nil
			}
		}
	}})
	video, audio, units := mediatest.Encoded(t, mediatest.EncodedPattern{GOP: 20, Frames: 59})
	pub, err := hub.Publish(t.Context(), "main", live.Peer{Protocol: "test"})
	require.NoError(t, err)
	require.NoError(t, pub.StartEpoch([media.Kinds]*media.Track{media.Video: video, media.Audio: audio}, 0, time.Now(), "test"))

	var tags []string
	for _, au := range units {
		if au.RandomAccess && au.Kind == media.Video {
			busy := len(tags) == 1
			if busy {
				p.slots <- struct{}{}
			}
			require.NoError(t, pub.Write(au))
			if !busy {
				testx.WaitFor(t, "a picture", func() bool {
					one, ok := p.Newest("main")
					return ok && (len(tags) == 0 || one.ETag != tags[len(tags)-1])
				})
			}
			one, _ := p.Newest("main")
			tags = append(tags, one.ETag)
			if busy {
				<-p.slots
			}
			continue
		}
		require.NoError(t, pub.Write(au))
	}
	require.Len(t, tags, 3)
	require.Equal(t, tags[0], tags[1])
	one, _ := p.Newest("main")
	require.Positive(t, one.At)

	require.NoError(t, hub.End("main", live.ReasonEndedByOwner))
	running.Wait()
	_, ok := p.Newest("main")
	require.False(t, ok)
	require.NoError(t, hub.Shutdown(t.Context()))
}

// BenchmarkPicture tells what a picture of 1080p costs, children included.
func BenchmarkPicture(b *testing.B) {
	k := still(b, "avcC", media.NewH264, "-i", "testsrc2=s=1920x1080,noise=alls=20:allf=t", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-b:v", "6M")
	p := New(Options{})
	for b.Loop() {
		if _, err := p.encode(context.Background(), k); err != nil {
			b.Fatal(err)
		}
	}
}
