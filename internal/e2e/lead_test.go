//go:build e2e

package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/viewer"
)

// led are the renditions of a source of 360 lines that cannot be cut.
var led = []string{"360p", "240p"}

// openGOP are encoder arguments for key frames that later pictures refer back over.
const openGOP = "-x264-params open-gop=1:bframes=2:keyint=60:min-keyint=60:scenecut=0"

// TestLongAndOpenGOPs: a source whose key frames are 8 s apart, and one whose GOPs are open, are shown by what is encoded of them alone.
func TestLongAndOpenGOPs(t *testing.T) {
	for name, c := range map[string]source{
		"long": {gop: 240, bf: 2},
		"open": {gop: 60, bf: 2, video: openGOP},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "long" {
				long(t) // TestLongGOPsArePlayed has the like
			}
			s := startLadder(t)
			began := time.Now()
			s.publish(t, "far", c)
			s.waitLive("far")
			t.Logf("shown after %.1f s", time.Since(began).Seconds())
			_, master := s.get("/live/far/index.m3u8")
			require.NotContains(t, master, "source")
			for _, name := range led {
				require.Contains(t, master, name+"/index.m3u8")
			}
			out, err := s.cli("hlslint", "--strict", "--duration", (time.Duration(times(12, 60)) * time.Second).String(), s.url("/live/far/index.m3u8"))
			if s.overloaded() {
				t.Skip("the machine is too busy for the ladder")
			}
			require.NoError(t, err, out)
			s.requireKeyFrames("far", led...)
			first := s.media("far", led[0])
			require.Contains(t, first.text, "#EXT-X-TARGETDURATION:2\n")
			require.Contains(t, first.text, "#EXT-X-INDEPENDENT-SEGMENTS")
			at := dates(t, first)
			for _, name := range append([]string{"audio"}, led...) {
				l := s.media("far", name)
				require.Zero(t, l.gaps, name)
				require.Empty(t, l.discontinuities)
				for n, d := range dates(t, l) {
					if want, ok := at[n]; ok {
						require.LessOrEqual(t, d.Sub(want).Abs(), 34*time.Millisecond, "%s, segment %d", name, n)
					}
				}
			}
			health, err := s.cli("stream", "health", "far", "--json")
			require.NoError(t, err, health)
			require.Contains(t, health, "gop_too_long")
		})
	}
}

// overloaded tells whether the machine could not encode all that it should.
func (s *server) overloaded() (yes bool) {
	for line := range strings.SplitSeq(s.log.String(), "\n") {
		if strings.Contains(line, "ladder: rung shed") || strings.Contains(line, "too late for what waits") {
			s.t.Log(line)
			yes = true
		}
	}
	return yes
}

// requireKeyFrames has FFmpeg decode the beginning of every listed segment by itself.
func (s *server) requireKeyFrames(stream string, renditions ...string) {
	s.t.Helper()
	for _, name := range renditions {
		l := s.media(stream, name)
		require.NotEmpty(s.t, l.maps)
		_, init := s.get("/live/" + stream + "/" + name + "/" + l.maps[len(l.maps)-1])
		for _, uri := range l.segments {
			_, body := s.get("/live/" + stream + "/" + name + "/" + uri)
			file := filepath.Join(s.t.TempDir(), "segment.mp4")
			require.NoError(s.t, os.WriteFile(file, []byte(init+body), 0o600))
			out, err := output(s.t, 30*time.Second, "ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "frame=key_frame,pict_type",
				"-of", "csv=p=0", file)
			require.NoError(s.t, err, out)
			require.True(s.t, strings.HasPrefix(out, "1,I"), "%s %s begins with %q", name, uri, strings.SplitN(out, "\n", 2)[0])
		}
	}
}

// TestGoodGOPsAreLeftAlone: key frames each second or two change nothing, ladder or not.
func TestGoodGOPsAreLeftAlone(t *testing.T) {
	long(t)
	for _, gop := range []int{30, 60} {
		var after [2]time.Duration
		for i, ladder := range []string{"off", "auto"} {
			s := startServer(t, "MEDIAD_TRANSCODE_LADDER="+ladder)
			began := time.Now()
			s.publish(t, "near", source{gop: gop})
			s.waitLive("near")
			after[i] = time.Since(began)
			_, master := s.get("/live/near/index.m3u8")
			require.Contains(t, master, "source/index.m3u8")
			require.Contains(t, s.media("near", "source").text, "#EXT-X-TARGETDURATION:2\n")
		}
		t.Logf("GOP of %d pictures: shown after %v without a ladder, %v with one", gop, after[0].Round(time.Millisecond), after[1].Round(time.Millisecond))
	}
}

// TestLongGOPsArePlayed: hls.js does not stand, and when the encoder is killed what it had not made is made by the next.
func TestLongGOPsArePlayed(t *testing.T) {
	long(t)
	s := startLadder(t)
	s.publish(t, "far", source{gop: 240, bf: 2})
	s.waitLive("far")
	waitFor(t, 20*time.Second, "a window to play from", func() bool { l := s.media("far", led[0]); return l.last-l.first >= 2 })
	screen := s.watch(t, "hlsjs", "far")
	screen.awaitPlaying(20 * time.Second)
	begun, _ := screen.Last(0)
	long := float64(times(12, 60))
	screen.await(time.Duration(3*long)*time.Second, "enough of it", func(now viewer.Sample) bool { return now.CurrentTime >= begun.CurrentTime+long })
	if !s.overloaded() {
		screen.requireStalls(0)
	}
	pids := s.encoders()
	require.NotEmpty(t, pids)
	for _, pid := range pids {
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	waitFor(t, 20*time.Second, "another encoder", func() bool {
		return slices.ContainsFunc(s.encoders(), func(pid int) bool { return !slices.Contains(pids, pid) })
	})
	killed := s.media("far", led[0]).last
	waitFor(t, 30*time.Second, "the rung to go on", func() bool { return s.media("far", led[0]).last >= killed+3 })
	now, _ := screen.Last(0)
	screen.await(30*time.Second, "the player to go on", func(at viewer.Sample) bool { return at.CurrentTime >= now.CurrentTime+5 })
	screen.finish()
	lead := s.media("far", led[0])
	require.Zero(t, lead.gaps)
	require.Empty(t, lead.discontinuities)
	if s.overloaded() {
		t.Skip("the machine is too busy for the ladder: the other rungs are shed")
	}
	for _, name := range led {
		l := s.media("far", name)
		require.Zero(t, l.gaps, name)
		require.Empty(t, l.discontinuities, name)
	}
	s.requireKeyFrames("far", led...)
	out, err := s.cli("hlslint", "--strict", "--duration", "6s", s.url("/live/far/index.m3u8"))
	require.NoError(t, err, out)
}

// TestTheNextBroadcastIsLedAtOnce: a stream whose last broadcast had long GOPs is on air soon all the same, and has its rungs.
func TestTheNextBroadcastIsLedAtOnce(t *testing.T) {
	s := startServer(t, "MEDIAD_TRANSCODE_LADDER=auto", "MEDIAD_INGEST_RESUME_WINDOW=1s")
	p := s.publish(t, "again", source{gop: 120})
	s.waitLive("again")
	waitFor(t, 30*time.Second, "three segments", func() bool { l := s.media("again", led[0]); return l.last-l.first >= 3 })
	p.kill(syscall.SIGTERM)
	waitFor(t, 20*time.Second, "its end", func() bool { r, _ := s.get("/live/again/index.m3u8"); return r.StatusCode == http.StatusNotFound })
	began := time.Now()
	s.publish(t, "again", source{gop: 60})
	waitFor(t, 12*time.Second, "the next one", func() bool { // an encoder that is awaited in vain is given up after 15 s
		_, master := s.get("/live/again/index.m3u8")
		return strings.Contains(master, led[0]+"/index.m3u8") && strings.Contains(master, led[1]+"/index.m3u8")
	})
	t.Logf("shown after %.1f s", time.Since(began).Seconds())
}
