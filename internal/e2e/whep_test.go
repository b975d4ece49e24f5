//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/stamp"
	"mediad/internal/viewer"
)

// watchWHEP plays a stream by WHEP and waits until pictures move and the sound has a level.
func (s *server) watchWHEP(t testing.TB, stream string) *screen {
	t.Helper()
	c := s.watch(t, "whep", stream, faults...)
	c.awaitPlaying(30 * time.Second)
	c.await(30*time.Second, "sound with a level", func(now viewer.Sample) bool { return now.Energy != nil && *now.Energy > 0.001 })
	return c
}

// awaitMore waits until a viewer has played for so many seconds more.
func (c *screen) awaitMore(seconds float64) {
	c.t.Helper()
	begun, _ := c.Last(0)
	c.await(30*time.Second, "more pictures", func(now viewer.Sample) bool { return now.CurrentTime > begun.CurrentTime+seconds })
}

// judgeWHEP prints what was measured and holds it to bounds that a busy machine keeps; make bench judges closer.
func (c *screen) judgeWHEP() {
	c.t.Helper()
	tab := c.finish()
	require.NotNil(c.t, tab.Delay.P50)
	require.NotNil(c.t, tab.First)
	require.NotNil(c.t, tab.Requested)
	first := *tab.First - *tab.Requested
	c.t.Logf("delay p50 %.0f ms, p95 %.0f ms; first picture %.0f ms after the request", *tab.Delay.P50, *tab.Delay.P95, first)
	require.Less(c.t, *tab.Delay.P50, 1000.0, "milliseconds")
	require.Less(c.t, first, 3000.0, "milliseconds")
}

// encodes reports whether a child of the server makes sound by that encoder of FFmpeg's.
func (s *server) encodes(encoder string) bool {
	s.t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(s.t, err)
	for _, file := range lines {
		// A process may be gone by now.
		line, _ := os.ReadFile(file)
		status, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "status"))
		ours := strings.Contains(string(status), fmt.Sprintf("\nPPid:\t%d\n", s.pid()))
		if ours && strings.Contains(string(line), "\x00"+encoder+"\x00") {
			return true
		}
	}
	return false
}

// TestBrowserPlaysRTMPByWHEP: pictures move, the sound, which is AAC, has a level, and both are soon there and not late. Opus is made
// while somebody hears it and no longer.
func TestBrowserPlaysRTMPByWHEP(t *testing.T) {
	s := startServer(t)
	film(t, s.rtmp, "talk", stamp.Options{})
	s.waitLive("talk")
	require.False(t, s.encodes("libopus"))
	c := s.watchWHEP(t, "talk")
	require.True(t, s.encodes("libopus"))
	c.awaitMore(5)
	c.judgeWHEP()
	waitFor(t, 20*time.Second, "the encoder's end", func() bool { return !s.encodes("libopus") })
	r, err := s.client.Get("http://" + s.admin + "/metrics")
	require.NoError(t, err)
	defer r.Body.Close()
	metrics, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Contains(t, string(metrics), "mediad_whep_ended_total{reason=")
	require.Contains(t, string(metrics), "mediad_whep_first_frame_seconds_count 1")
}

// TestBrowserPlaysWHIPByWHEP: from browser to browser.
func TestBrowserPlaysWHIPByWHEP(t *testing.T) {
	s := startServer(t)
	s.publishByWHIP(t, "booth", "--size", "640x384", "--bitrate", "800")
	s.waitLive("booth")
	c := s.watchWHEP(t, "booth")
	c.awaitMore(5)
	c.judgeWHEP()
}

// TestPublisherMovesUnderWHEP: from RTMP, whose AAC is made into Opus, to a browser with Opus and another size of picture, which
// dies, and to another encoder, while a viewer plays on by one connection. When he dies as well he is missed.
func TestPublisherMovesUnderWHEP(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	film(t, s.rtmp, "move", stamp.Options{})
	s.waitLive("move")
	c := s.watchWHEP(t, "move")
	heard := func(what string, width int) {
		t.Helper()
		c.await(40*time.Second, what, func(now viewer.Sample) bool { return now.Width == width })
		begun, _ := c.Last(0)
		c.await(40*time.Second, what+" with sound", func(now viewer.Sample) bool {
			return *now.Energy > *begun.Energy+0.01 && now.CurrentTime > begun.CurrentTime+2
		})
	}
	browser := s.publishByWHIP(t, "move", "--size", "320x192", "--bitrate", "400")
	heard("the browser's picture", 320)
	browser.Kill()
	killed := time.Now()
	film(t, s.rtmp, "move", stamp.Options{Width: 1280, Height: 720})
	heard("the next encoder's picture", 1280)
	last, _ := c.Last(0)
	require.Greater(t, *last.Made, killed.UnixMilli())
	viewers := s.json("/api/v1/streams/move")["viewers"]
	require.EqualValues(t, 1, viewers, "one and the same viewer")
	c.Kill()
	waitFor(t, 30*time.Second, "the viewer's end", func() bool { return s.json("/api/v1/streams/move")["viewers"] == 0.0 })
}

// TestPublisherReturnsUnderWHEP: while he is away nothing is decoded, although the browser asks for a picture again and again, and what
// he sends when he is back is seen at once.
func TestPublisherReturnsUnderWHEP(t *testing.T) {
	s := startServer(t)
	tap, err := viewer.NewTap(s.rtmp)
	require.NoError(t, err)
	t.Cleanup(tap.Close)
	publisher := film(t, tap.Addr(), "back", stamp.Options{})
	<-tap.FirstFrame()
	s.waitLive("back")
	c := s.watchWHEP(t, "back")
	publisher.kill()
	killed := time.Now()
	last, since := 0, time.Now()
	c.await(30*time.Second, "pictures to stand for a second", func(now viewer.Sample) bool {
		if now.Decoded != last {
			last, since = now.Decoded, time.Now()
		}
		return time.Since(since) > time.Second
	})
	c.await(30*time.Second, "the time in which a browser asks", func(now viewer.Sample) bool {
		require.Equal(t, last, now.Decoded, "nothing is played again")
		return time.Since(since) > 8*time.Second
	})
	film(t, tap.Addr(), "back", stamp.Options{})
	arrived := <-tap.FirstFrame()
	leap, err := c.AwaitEvent(20*time.Second, "the picture", func(e viewer.Event) bool { return e.Type == "leap" && e.Made > killed.UnixMilli() })
	require.NoError(t, err)
	t.Logf("the first picture was shown %s after the first frame arrived", leap.Time().Sub(arrived))
	require.Less(t, leap.Time().Sub(arrived), 3*time.Second)
}

// TestBFramesAreRefusedByWHEP: the player is told why, the streamer by an alert, and HLS goes on.
func TestBFramesAreRefusedByWHEP(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.publish(t, "film", source{bf: 2})
	s.waitLive("film")
	offer, err := os.ReadFile("testdata/offer.sdp")
	require.NoError(t, err)
	r, err := s.client.Post(s.url("/whep/film"), "application/sdp", bytes.NewReader(offer))
	require.NoError(t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnprocessableEntity, r.StatusCode, string(body))
	require.Contains(t, string(body), `"code":"b_frames"`)
	health, err := s.cli("stream", "health", "film")
	require.NoError(t, err, health)
	require.Contains(t, health, "b_frames_webrtc")
	require.Equal(t, "/whep/film", s.json("/api/v1/streams/film/playback")["whep_url"])
}

// TestG711IsHeard: a camera's telephone sound becomes AAC for HLS, and Opus of that for viewers by WebRTC.
func TestG711IsHeard(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	args := []string{"-hide_banner", "-loglevel", "warning", "-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30",
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=8000", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency",
		"-pix_fmt", "yuv420p", "-g", "30", "-c:a", "pcm_mulaw", "-ar", "8000", "-ac", "1", "-f", "rtsp", "-rtsp_transport", "tcp"}
	spawn(t, "ffmpeg", append(args, "rtsp://"+s.rtsp+"/live/cam")...)
	s.waitLive("cam")
	waitFor(t, 20*time.Second, "three segments", func() bool { l := s.media("cam", "source"); return l.last-l.first >= 2 })
	out, err := output(t, 60*time.Second, "ffmpeg", "-hide_banner", "-i", s.url("/live/cam/index.m3u8"), "-t", "3", "-map", "0:a:0",
		"-af", "volumedetect", "-f", "null", "-")
	require.NoError(t, err, out)
	require.Contains(t, out, "Audio: aac")
	require.Regexp(t, `mean_volume: -(1\d|2[0-4])\.`, out, "the tone of 440 Hz, which sine makes at -21 dB")
	s.watchWHEP(t, "cam").finish()
}
