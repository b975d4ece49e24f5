//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/viewer"
)

// TestWHIPBearsABadNetwork: what is lost between a browser and the server is asked for again, so that next to nothing is missing, viewers see one
// session, and sound and picture stay together. The browser is as it comes: it goes by when the server says that each packet arrived, and on
// this path lowers its rate and its picture's size, as it does towards a browser.
func TestWHIPBearsABadNetwork(t *testing.T) {
	long(t) // two browsers encode at once; ingest/whip holds the bounds without
	s := startServer(t)
	args := []string{"--size", "640x384", "--bitrate", "800", "--clap"}
	camera := s.publishByWHIP(t, "clear", args...)
	s.waitLive("clear")
	onClear, _ := s.soundBehindPicture("clear")
	require.NoError(t, camera.Stop())

	p := bad(t, s.webrtc)
	camera = s.publishByWHIP(t, "moor", append(args, "--relay", p.addr())...)
	s.waitLive("moor")
	session := s.json("/api/v1/streams/moor")["session"].(map[string]any)["id"]
	first := s.media("moor", "source").first
	var h health
	waitFor(t, 60*time.Second, "the loss to be told of", func() bool {
		h = s.health(t, "moor")
		return h.Loss > 2 && len(h.Alerts) > 0
	})
	require.Less(t, h.Loss, 30.0, "per cent: most of what was merely overtaken is not lost")
	waitFor(t, 60*time.Second, "fifteen seconds", func() bool { return s.media("moor", "source").last-first >= 8 })
	require.Equal(t, session, s.json("/api/v1/streams/moor")["session"].(map[string]any)["id"])
	out, err := output(t, 60*time.Second, "ffmpeg", "-v", "repeat+error", "-i", s.url("/live/moor/index.m3u8"), "-t", "5", "-f", "null", "-")
	require.NoError(t, err, out)
	for line := range strings.Lines(out) {
		// The rate of pictures varies, which the muxer of nothing does not like.
		require.Contains(t, line, "non monotonically increasing dts to muxer", "every picture decodes")
	}
	var frames, settled int
	require.NoError(t, camera.Await(90*time.Second, "five seconds in a row with ten pictures and more", func(told viewer.Told) bool {
		if told.Type == "sent" {
			if settled++; told.Frames-frames < 10 {
				settled = 0
			}
			frames = told.Frames
		}
		return settled >= 5 && told.Frames > 300
	}))
	// A browser's sound and picture are some way apart before they are sent, and a clap is seen up to a picture late. Without that the same is
	// held to 40 ms in ingest/whip.
	moor, picture := s.soundBehindPicture("moor")
	t.Logf("sound behind picture: %v on a clear network, %v on this one, with a picture each %v", onClear, moor, picture)
	require.Less(t, picture, time.Second/5, "a slide show")
	require.Less(t, (moor - onClear).Abs(), 40*time.Millisecond+picture)

	require.NoError(t, camera.Stop())
	var packets, lost, missing int
	for line := range strings.SplitSeq(s.log.String(), "\n") {
		var ended struct {
			Msg, Stream string
			Packets     int `json:"video_packets"`
			Lost        int `json:"video_packets_lost"`
			Missing     int `json:"video_packets_missing"`
		}
		if json.Unmarshal([]byte(line), &ended) == nil && ended.Msg == "whip: session ended" && ended.Stream == "moor" {
			packets, lost, missing = ended.Packets, ended.Lost, ended.Missing
		}
	}
	t.Logf("of %d packets of pictures %d were lost, and %d are missing", packets, lost, missing)
	require.Greater(t, lost, packets/50)
	require.LessOrEqual(t, missing, packets/100)
}

// TestWHEPBearsABadNetwork: what is lost between the server and a browser is sent again when it asks, and the picture goes on.
func TestWHEPBearsABadNetwork(t *testing.T) {
	long(t)
	s := startServer(t)
	s.publish(t, "moor", source{gop: 30})
	s.waitLive("moor")
	p := bad(t, s.webrtc)
	c := s.playByWHEP(t, "moor", "--relay", p.addr())
	var played []viewer.Told
	require.NoError(t, c.Await(60*time.Second, "fifteen seconds", func(told viewer.Told) bool {
		if told.Type == "played" && told.Decoded > 0 {
			played = append(played, told)
		}
		return len(played) == 16
	}))
	last := played[len(played)-1]
	t.Logf("%+v", last)
	for i := 1; i < len(played); i++ {
		require.Greater(t, played[i].Decoded, played[i-1].Decoded, "the picture goes on in second %d: %+v", i, played)
	}
	require.Greater(t, last.Decoded-played[0].Decoded, 15*30*6/10, "pictures in fifteen seconds")
	require.Less(t, last.Frozen, 7.5, "seconds")
	require.Positive(t, last.NACKs)
	require.Less(t, last.Lost, last.Received/100, "what is lost comes again; the path loses a twentieth")
	require.NoError(t, c.Stop())
}

// playByWHEP plays a stream in a browser.
func (s *server) playByWHEP(t testing.TB, stream string, args ...string) *viewer.Camera {
	t.Helper()
	c, err := viewer.Film(viewer.CameraOptions{Script: "../../web/tests/e2e/whep.mjs", URL: s.url("/whep/" + stream), Args: args})
	require.NoError(t, err)
	t.Cleanup(c.Kill)
	require.NoError(t, c.Await(30*time.Second, "the connection", func(told viewer.Told) bool { return told.State == "connected" }))
	return c
}

// soundBehindPicture is by how much the sound of claps comes later than their picture, the median of ten seconds, and how often there is one.
func (s *server) soundBehindPicture(stream string) (behind, picture time.Duration) {
	s.t.Helper()
	waitFor(s.t, 30*time.Second, "four segments", func() bool { l := s.media(stream, "source"); return l.last-l.first >= 3 })
	dir := s.t.TempDir()
	pictures, sounds := filepath.Join(dir, "pictures"), filepath.Join(dir, "sounds")
	out, err := output(s.t, 60*time.Second, "ffmpeg", "-v", "error", "-i", s.url("/live/"+stream+"/index.m3u8"),
		"-map", "0:v", "-t", "10", "-vf", "signalstats,metadata=print:key=lavfi.signalstats.YAVG:file="+pictures, "-f", "null", "-",
		"-map", "0:a", "-t", "10", "-af",
		"asetnsamples=n=240,astats=metadata=1:reset=1,ametadata=print:key=lavfi.astats.Overall.RMS_level:file="+sounds, "-f", "null", "-")
	require.NoError(s.t, err, out)
	seen, n := risesOver(s.t, pictures, 170)
	heard, _ := risesOver(s.t, sounds, -30)
	var apart []time.Duration
	for _, v := range seen {
		for _, a := range heard {
			if d := a - v; d.Abs() < 400*time.Millisecond {
				apart = append(apart, d)
			}
		}
	}
	require.Greater(s.t, len(apart), 2, "claps: seen at %v, heard at %v", seen, heard)
	slices.Sort(apart)
	return apart[len(apart)/2], 10 * time.Second / time.Duration(n)
}

// risesOver are the times at which a value that FFmpeg printed comes over a bound, and how many values there are.
func risesOver(t testing.TB, file string, bound float64) (at []time.Duration, n int) {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	var now time.Duration
	over := true
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if _, v, ok := strings.Cut(lines.Text(), "pts_time:"); ok {
			seconds, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			require.NoError(t, err)
			now = time.Duration(seconds * float64(time.Second))
			continue
		}
		_, v, _ := strings.Cut(lines.Text(), "=")
		value, err := strconv.ParseFloat(v, 64) // silence is -inf
		require.NoError(t, err)
		n++
		if value > bound && !over {
			at = append(at, now)
		}
		over = value > bound
	}
	return at, n
}
