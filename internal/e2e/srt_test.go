//go:build e2e

package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSRTPublish: FFmpeg publishes by SRT, viewers see it by HLS; a publisher that is killed and comes back with another codec and
// size goes on in one session.
func TestSRTPublish(t *testing.T) {
	t.Parallel()
	s := startServer(t, "MEDIAD_SRT_PASSPHRASE=correct-horse")
	to := "srt://" + s.srt + "?pkt_size=1316&passphrase=correct-horse&streamid=publish:field"
	camera := spawn(t, "ffmpeg", append(source{bf: 2, gop: 30}.encode(), "-f", "mpegts", to)...)
	s.waitLive("field")
	waitFor(t, 20*time.Second, "three segments", func() bool { l := s.media("field", "source"); return l.last-l.first >= 2 })
	session := s.json("/api/v1/streams/field")["session"].(map[string]any)["id"]
	out, err := output(t, 60*time.Second, "ffmpeg", "-v", "error", "-i", s.url("/live/field/index.m3u8"), "-t", "3", "-map", "0:v:0", "-map", "0:a:0", "-f", "null", "-")
	require.NoError(t, err, out)
	require.Empty(t, out)

	out, err = s.cli("hlslint", "--duration", "5s", s.url("/live/field/index.m3u8"))
	require.NoError(t, err, out)

	camera.kill(syscall.SIGKILL)
	before := s.media("field", "source")
	hevc := source{gop: 30, size: "384x216", video: "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=30:min-keyint=30:scenecut=0:bframes=0"}
	spawn(t, "ffmpeg", append(hevc.encode(), "-f", "mpegts", to)...)
	waitFor(t, 40*time.Second, "the other codec", func() bool {
		now := s.media("field", "source")
		return len(now.maps) > 1 && now.last > before.last+1
	})
	require.Equal(t, session, s.json("/api/v1/streams/field")["session"].(map[string]any)["id"])

	out, err = output(t, 30*time.Second, "ffmpeg", append(source{}.encode(), "-f", "mpegts", "srt://"+s.srt+"?passphrase=wrong-battery&streamid=publish:field")...)
	require.Error(t, err, out)
}

// TestSRTPlay: FFmpeg plays by SRT what was published by RTMP, with B-frames, in sync; a stream that is not live is refused.
func TestSRTPlay(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.publish(t, "tower", source{bf: 2, gop: 30})
	s.waitLive("tower")
	out, err := output(t, 60*time.Second, "ffmpeg", "-v", "error", "-i", "srt://"+s.srt+"?streamid=read:tower", "-t", "4", "-f", "framecrc", "-")
	require.NoError(t, err, out)
	require.Greater(t, strings.Count(out, "\n0,"), 90, "pictures")
	require.Greater(t, strings.Count(out, "\n1,"), 120, "frames of sound")
	_, err = output(t, 30*time.Second, "ffmpeg", "-v", "error", "-i", "srt://"+s.srt+"?streamid=read:nobody", "-t", "1", "-f", "null", "-")
	require.Error(t, err)
	gst, err := output(t, 60*time.Second, "gst-launch-1.0", "-q", "srtsrc", "uri=srt://"+s.srt+"?streamid=read:tower", "!", "tsdemux", "!", "h264parse",
		"!", "avdec_h264", "!", "identity", "eos-after=60", "!", "fakesink")
	require.NoError(t, err, gst)
}
