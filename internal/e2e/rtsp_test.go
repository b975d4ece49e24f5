//go:build e2e

package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRTSPPublishAndPlay: FFmpeg publishes by both transports, viewers see it by HLS, FFmpeg and GStreamer by RTSP; a wrong key is
// refused before media is taken.
func TestRTSPPublishAndPlay(t *testing.T) {
	t.Parallel()
	s := startServer(t, "MEDIAD_INGEST_RESUME_WINDOW=2s")
	for _, transport := range []string{"tcp", "udp"} {
		t.Run(transport, func(t *testing.T) {
			stream := "by-" + transport
			camera := spawn(t, "ffmpeg", append(source{bf: 2, gop: 30}.encode(), "-f", "rtsp", "-rtsp_transport", transport, "rtsp://"+s.rtsp+"/live/"+stream)...)
			s.waitLive(stream)
			waitFor(t, 20*time.Second, "three segments", func() bool { l := s.media(stream, "source"); return l.last-l.first >= 2 })
			out, err := output(t, 60*time.Second, "ffmpeg", "-v", "error", "-i", s.url("/live/"+stream+"/index.m3u8"), "-t", "3", "-map", "0:v:0", "-map", "0:a:0", "-f", "null", "-")
			require.NoError(t, err, out)
			require.Empty(t, out)

			out, err = output(t, 60*time.Second, "ffmpeg", "-v", "error", "-rtsp_transport", transport, "-i", "rtsp://"+s.rtsp+"/live/"+stream,
				"-t", "3", "-f", "framecrc", "-")
			require.NoError(t, err, out)
			require.Greater(t, strings.Count(out, "\n0,"), 60, "pictures by RTSP")

			health, err := s.cli("stream", "health", stream)
			require.NoError(t, err, health)
			require.Contains(t, health, "rtsp from 127.0.0.x")
			require.Contains(t, health, "b_frames_webrtc")
			camera.kill(syscall.SIGINT)
			waitFor(t, 20*time.Second, "the session's end after a TEARDOWN", func() bool {
				return s.json("/api/v1/streams/" + stream)["state"] == "idle"
			})
		})
	}
	t.Run("gstreamer", func(t *testing.T) {
		s.publish(t, "gst", source{gop: 30})
		s.waitLive("gst")
		out, err := output(t, 60*time.Second, "gst-launch-1.0", "-q", "rtspsrc", "location=rtsp://"+s.rtsp+"/live/gst", "protocols=tcp", "latency=0",
			"name=r", "r.", "!", "rtph264depay", "!", "h264parse", "!", "avdec_h264", "!", "identity", "eos-after=60", "!", "fakesink")
		require.NoError(t, err, out)
	})
	t.Run("wrong key", func(t *testing.T) {
		closed := startServer(t, "MEDIAD_INGEST_OPEN=false")
		out, err := output(t, 30*time.Second, "ffmpeg", append(source{}.encode(), "-f", "rtsp", "-rtsp_transport", "tcp", "rtsp://"+closed.rtsp+"/live/mds_wrong")...)
		require.Error(t, err)
		require.Contains(t, out, "401 The stream key is not valid")
	})
}

// TestCameraIsPulled: a camera that dies and comes back is pulled again, in one session; its credentials are in no log.
func TestCameraIsPulled(t *testing.T) {
	t.Parallel()
	camera := startServer(t)
	film := camera.publish(t, "cam", source{gop: 30})
	camera.waitLive("cam")
	s := startServer(t, "MEDIAD_SOURCES=door=rtsp+tcp://user:hunter2@"+camera.rtsp+"/live/cam")
	s.waitLive("door")
	waitFor(t, 20*time.Second, "two segments", func() bool { l := s.media("door", "source"); return l.last > l.first })
	session := s.json("/api/v1/streams/door")["session"].(map[string]any)["id"]

	film.kill(syscall.SIGKILL)
	before := s.media("door", "source")
	camera.publish(t, "cam", source{gop: 30, size: "384x216"})
	waitFor(t, 40*time.Second, "the camera's new size", func() bool {
		now := s.media("door", "source")
		require.GreaterOrEqual(t, now.first, before.first)
		return len(now.maps) > 1 && now.last > before.last+1
	})
	require.Equal(t, session, s.json("/api/v1/streams/door")["session"].(map[string]any)["id"])
	require.NotContains(t, s.log.String(), "hunter2")
	out, err := s.cli("hlslint", "--duration", "5s", s.url("/live/door/index.m3u8"))
	require.NoError(t, err, out)
}
