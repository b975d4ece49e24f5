//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestReadersDecodeTheStream pulls one live stream with every player that runs without a screen.
func TestReadersDecodeTheStream(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.publish(t, "readers", source{bf: 2})
	s.waitLive("readers")
	url := s.url("/live/readers/index.m3u8")

	t.Run("ffprobe", func(t *testing.T) {
		out, err := exec.Command("ffprobe", "-v", "error", "-show_streams", "-of", "json", url).CombinedOutput()
		require.NoError(t, err, string(out))
		var probed struct {
			Streams []struct {
				CodecName string `json:"codec_name"`
				Width     int    `json:"width"`
				Rate      string `json:"r_frame_rate"`
			} `json:"streams"`
		}
		require.NoError(t, json.Unmarshal(out, &probed))
		require.GreaterOrEqual(t, len(probed.Streams), 2)
		codecs := map[string]bool{}
		for _, one := range probed.Streams {
			codecs[one.CodecName] = true
			if one.CodecName == "h264" {
				require.Equal(t, 640, one.Width)
				require.Equal(t, "30/1", one.Rate)
			}
		}
		require.True(t, codecs["h264"] && codecs["aac"], string(out))
	})
	t.Run("ffmpeg decodes without a word", func(t *testing.T) {
		ffmpegDecodes(t, url, "-map", "0:v:0", "-map", "0:a:0")
	})
	t.Run("gstreamer", func(t *testing.T) { gstreamerDecodes(t, url, 640*360) })
	t.Run("vlc", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "out.ts")
		out, err := output(t, 60*time.Second, "runuser", "-u", "nobody", "--", "true")
		_ = out
		user := []string{}
		if err == nil && os.Getuid() == 0 {
			user = []string{"runuser", "-u", "nobody", "--"} // VLC refuses to run as root
			require.NoError(t, os.Chmod(filepath.Dir(filepath.Dir(file)), 0o777))
			require.NoError(t, os.Chmod(filepath.Dir(file), 0o777))
		}
		args := append(slices.Clone(user), "cvlc", "-q", "--no-audio", "--run-time=8", url, "--sout", "#std{access=file,mux=ts,dst="+file+"}", "vlc://quit")
		out, err = output(t, 90*time.Second, args[0], args[1:]...)
		require.NoError(t, err, out)
		probe, err := output(t, 20*time.Second, "ffprobe", "-v", "error", "-count_packets", "-select_streams", "v", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", file)
		require.NoError(t, err, probe)
		counts := strings.Fields(probe) // of the stream, once in its program and once alone
		require.NotEmpty(t, counts)
		pictures, err := strconv.Atoi(counts[0])
		require.NoError(t, err, probe)
		require.Greater(t, pictures, 60, "less than two seconds")
	})
}

// ffmpegDecodes fails where FFmpeg has anything to say of eight seconds of a playlist.
func ffmpegDecodes(t *testing.T, url string, what ...string) {
	t.Helper()
	args := append([]string{"-v", "repeat+warning", "-i", url, "-t", "8"}, what...)
	out, err := output(t, 60*time.Second, "ffmpeg", append(args, "-f", "null", "-")...)
	require.NoError(t, err, out)
	for line := range strings.SplitSeq(out, "\n") {
		// FFmpeg 5.1 tells of every LL-HLS attribute that it does not know.
		if line == "" || strings.Contains(line, "unsupported") || strings.Contains(line, "not supported") || strings.Contains(line, "Skip") {
			continue
		}
		t.Errorf("ffmpeg: %s", line)
	}
}

// gstreamerDecodes fails where GStreamer makes fewer than 50 pictures of so many pixels of a playlist.
func gstreamerDecodes(t *testing.T, url string, pixels int64) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "frames")
	out, err := output(t, 60*time.Second, "gst-launch-1.0", "-q", "uridecodebin3", "uri="+url, "name=d", "d.", "!", "video/x-raw", "!",
		"identity", "eos-after=60", "!", "filesink", "location="+file)
	require.NoError(t, err, out)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Greater(t, info.Size(), 50*pixels*3/2, "less than 50 decoded pictures")
}

func TestAudioOnlyAndVideoOnlyStreamsPlay(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.publish(t, "sound", source{noV: true})
	s.publish(t, "picture", source{noA: true})
	for stream, want := range map[string]string{"sound": "audio", "picture": "video"} {
		s.waitLive(stream)
		out, err := output(t, 30*time.Second, "ffmpeg", "-v", "error", "-i", s.url("/live/"+stream+"/index.m3u8"), "-t", "4", "-f", "null", "-")
		require.NoError(t, err, out)
		require.Empty(t, strings.TrimSpace(out))
		kinds, err := output(t, 30*time.Second, "ffprobe", "-v", "error", "-show_entries", "stream=codec_type", "-of", "csv=p=0", s.url("/live/"+stream+"/index.m3u8"))
		require.NoError(t, err, kinds)
		require.Equal(t, []string{want}, unique(strings.Fields(kinds)))
	}
}

func unique(words []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, w := range words {
		if !seen[w] {
			seen[w] = true
			out = append(out, w)
		}
	}
	return out
}

func TestLintFindsNothingInAMinute(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.publish(t, "lint", source{size: "1280x720", bf: 2})
	s.waitLive("lint")
	out, err := s.cli("hlslint", "--strict", "--duration", (time.Duration(times(25, 60)) * time.Second).String(), s.url("/live/lint/index.m3u8"))
	require.NoError(t, err, out)
}
