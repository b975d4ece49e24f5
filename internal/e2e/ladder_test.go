//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/stamp"
	"mediad/internal/viewer"
)

// rungs are those of a source of 720 lines.
var rungs = []string{"480p", "360p", "240p"}

func startLadder(t *testing.T) *server { return startServer(t, "MEDIAD_TRANSCODE_LADDER=auto") }

// encoders are the server's FFmpeg children.
func (s *server) encoders() (pids []int) {
	s.t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(s.t, err)
	for _, file := range all {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has just ended
		}
		pid, rest, ok := strings.Cut(string(b), " (ffmpeg) ")
		if !ok {
			continue
		}
		if f := strings.Fields(rest); f[0] != "Z" && f[1] == strconv.Itoa(s.pid()) {
			n, err := strconv.Atoi(pid)
			require.NoError(s.t, err)
			pids = append(pids, n)
		}
	}
	return pids
}

type rungHealth struct {
	Name, State string
	LagMS       int64 `json:"lag_ms"`
}

func (s *server) ladder(stream string) []rungHealth {
	s.t.Helper()
	out, err := s.cli("stream", "health", stream, "--json")
	require.NoError(s.t, err, out)
	var h struct{ Ladder []rungHealth }
	require.NoError(s.t, json.Unmarshal([]byte(out), &h))
	return h.Ladder
}

// dates are when segments begin, by number.
func dates(t *testing.T, l listing) map[int]time.Time {
	t.Helper()
	out := map[int]time.Time{}
	n := l.first
	for line := range strings.SplitSeq(l.text, "\n") {
		if v, ok := strings.CutPrefix(line, "#EXT-X-PROGRAM-DATE-TIME:"); ok {
			at, err := time.Parse(time.RFC3339, v)
			require.NoError(t, err)
			out[n] = at
		}
		if line != "" && line[0] != '#' {
			n++
		}
	}
	return out
}

// TestLadder: a ladder that hlslint has nothing to say of, whose renditions have the same segments.
func TestLadder(t *testing.T) {
	s := startLadder(t)
	s.publish(t, "tower", source{size: "1280x720", gop: 30, bf: 2})
	s.waitLive("tower")
	_, master := s.get("/live/tower/index.m3u8")
	for _, name := range append([]string{"source"}, rungs...) {
		require.Contains(t, master, name+"/index.m3u8")
	}
	require.Contains(t, master, "RESOLUTION=854x480,FRAME-RATE=30.000")
	require.Regexp(t, `#EXT-X-STREAM-INF:[^\n]*CODECS="mp4a.40.2"[^\n]*\naudio/index.m3u8`, master, "sound alone")
	require.Equal(t, true, s.json("/api/v1/config")["features"].(map[string]any)["transcode"])
	out, err := s.cli("hlslint", "--strict", "--duration", (time.Duration(times(12, 60)) * time.Second).String(), s.url("/live/tower/index.m3u8"))
	require.NoError(t, err, out)

	for _, r := range s.ladder("tower") {
		t.Logf("%s %s, %d ms behind", r.Name, r.State, r.LagMS)
		require.Equal(t, "on", r.State)
	}
	lists := map[string]listing{}
	waitFor(t, 10*time.Second, "windows that begin alike: each moves on with its next part", func() bool {
		begins := map[int]bool{}
		for _, name := range append([]string{"source", "audio"}, rungs...) {
			lists[name] = s.media("tower", name)
			begins[lists[name].first] = true
		}
		return len(begins) == 1
	})
	at := dates(t, lists["source"])
	for name, l := range lists {
		require.Zero(t, l.gaps, name)
		for n, d := range dates(t, l) {
			if want, ok := at[n]; ok {
				require.LessOrEqual(t, d.Sub(want).Abs(), 34*time.Millisecond, "%s, segment %d", name, n)
			}
		}
	}
	for _, name := range rungs {
		probe, err := output(t, 30*time.Second, "ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=height,has_b_frames", "-of", "csv=p=0",
			s.url("/live/tower/"+name+"/index.m3u8"))
		require.NoError(t, err, probe)
		require.Equal(t, strings.TrimSuffix(name, "p")+",0", strings.SplitN(probe, "\n", 2)[0])
	}
	ffmpegDecodes(t, s.url("/live/tower/480p/index.m3u8"), "-map", "0:v:0")
	gstreamerDecodes(t, s.url("/live/tower/360p/index.m3u8"), 640*360)
}

// TestLadderOutlivesItsEncoder: FFmpeg is killed again and again. The source does not notice, the rungs come back.
func TestLadderOutlivesItsEncoder(t *testing.T) {
	s := startLadder(t)
	publisher := s.publish(t, "tower", source{size: "1280x720", gop: 30})
	s.waitLive("tower")
	for range times(2, 12) {
		if *soak {
			<-time.After(10 * time.Second) // the row of issue and design: every ten seconds
		}
		var pids []int
		waitFor(t, 30*time.Second, "an encoder", func() bool { pids = s.encoders(); return len(pids) > 0 })
		for _, pid := range pids {
			require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		}
		had := s.media("tower", "240p").last
		waitFor(t, 30*time.Second, "the rung to go on", func() bool { return s.media("tower", "240p").last >= had+2 })
	}
	waitFor(t, 60*time.Second, "whole segments of the rung", func() bool {
		l := s.media("tower", "240p")
		return strings.Count(tailLines(l.text, 30), "#EXT-X-GAP") == 0 && l.last-l.first > 3
	})
	l := s.media("tower", "source")
	require.Zero(t, l.gaps)
	require.Empty(t, l.discontinuities)
	out, err := s.cli("hlslint", "--duration", "6s", s.url("/live/tower/index.m3u8"))
	require.NoError(t, err, out)
	publisher.kill(syscall.SIGTERM)
	waitFor(t, 30*time.Second, "the encoder to be gone with its stream", func() bool { return len(s.encoders()) == 0 })

	s.publish(t, "again", source{size: "1280x720", gop: 30})
	s.waitLive("again")
	var pids []int
	waitFor(t, 30*time.Second, "an encoder", func() bool { pids = s.encoders(); return len(pids) > 0 })
	s.stop(syscall.SIGTERM)
	for _, pid := range pids {
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "an encoder is left behind by the server")
	}
}

func tailLines(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(len(lines)-n, 0):], "\n")
}

// slow lets the server's encoders run for one of so many slices of 20 ms until the returned function is called.
func (s *server) slow(slices int) (end func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	signal := func(sig syscall.Signal) {
		for _, pid := range s.encoders() {
			_ = syscall.Kill(pid, sig) // it may have ended
		}
	}
	go func() {
		defer close(stopped)
		defer signal(syscall.SIGCONT)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			if n%slices == 0 {
				signal(syscall.SIGCONT)
			} else {
				signal(syscall.SIGSTOP)
			}
		}
	}()
	end = sync.OnceFunc(func() { close(stop); <-stopped })
	s.t.Cleanup(end)
	return end
}

// TestLadderShedsRungsBeforeItIsLate: the encoder gets a fraction of the time that it needs. Rungs go, the source stays as it is, and when
// there is time again they come back.
func TestLadderShedsRungsBeforeItIsLate(t *testing.T) {
	s := startLadder(t)
	s.publish(t, "tower", source{size: "1280x720", gop: 30})
	s.waitLive("tower")
	waitFor(t, 30*time.Second, "the rung", func() bool { return s.media("tower", "480p").last >= s.media("tower", "480p").first+1 })
	numbers := s.watchNumbers("tower", rungs...)
	linted := make(chan error, 1)
	if *soak { // who had the rungs before one is shed sees it go and return
		go func() {
			out, err := s.cli("hlslint", "--duration", "60s", s.url("/live/tower/index.m3u8"))
			if err != nil {
				err = fmt.Errorf("%w: %s", err, out)
			}
			linted <- err
		}()
	} else {
		linted <- nil
	}
	faster := s.slow(4)
	var lag int64
	waitFor(t, 60*time.Second, "a rung to be shed", func() bool {
		all := s.ladder("tower")
		for _, r := range all {
			lag = max(lag, r.LagMS)
		}
		return all[0].State == "shed"
	})
	t.Logf("at most %d ms behind", lag)
	waitFor(t, 20*time.Second, "gaps for those who play it", func() bool { return s.media("tower", "480p").gaps > 0 })
	waitFor(t, 20*time.Second, "newcomers not to be sent there", func() bool {
		_, master := s.get("/live/tower/index.m3u8")
		return !strings.Contains(master, "480p/index.m3u8")
	})
	faster()
	// It comes back when a third of the machine is free, which others may use.
	waitFor(t, 4*time.Minute, "the rung to come back", func() bool {
		_, master := s.get("/live/tower/index.m3u8")
		return strings.Contains(master, "480p/index.m3u8")
	})
	numbers()
	l := s.media("tower", "source")
	require.Zero(t, l.gaps)
	require.Empty(t, l.discontinuities)
	require.Empty(t, s.media("tower", "480p").discontinuities)
	require.NoError(t, <-linted)
	out, err := s.cli("hlslint", "--duration", "6s", s.url("/live/tower/index.m3u8"))
	require.NoError(t, err, out)
}

// TestLadderAtAFractionOfItsTime: suddenly half, a quarter, a tenth. Rungs go before any is a second late, and the source is as it was.
func TestLadderAtAFractionOfItsTime(t *testing.T) {
	if !*soak {
		t.Skip("a machine that others use is late by itself; transcode/governor has a model")
	}
	for _, slices := range []int{2, 4, 10} {
		t.Run(strconv.Itoa(slices), func(t *testing.T) {
			s := startLadder(t)
			s.publish(t, "tower", source{size: "1280x720", gop: 60})
			s.waitLive("tower")
			waitFor(t, 30*time.Second, "the rung", func() bool { return s.media("tower", "480p").last >= s.media("tower", "480p").first+1 })
			highest := func(d time.Duration) (lag int64) {
				for end := time.Now().Add(d); time.Now().Before(end); {
					for _, r := range s.ladder("tower") {
						lag = max(lag, r.LagMS)
					}
				}
				return lag
			}
			before := highest(5 * time.Second)
			faster := s.slow(slices)
			lag := highest(20 * time.Second)
			var states []string
			for _, r := range s.ladder("tower") {
				states = append(states, r.Name+" "+r.State)
			}
			faster()
			t.Logf("at one part of %d: at most %d ms late, %d ms before, then %v", slices, lag, before, states)
			l := s.media("tower", "source")
			require.Zero(t, l.gaps)
			require.Empty(t, l.discontinuities)
			if before < 300 {
				require.LessOrEqual(t, lag, int64(1000))
			}
		})
	}
}

// TestPlayersPlayTheLadder without standing.
func TestPlayersPlayTheLadder(t *testing.T) {
	long(t)
	s := startLadder(t)
	film(t, s.rtmp, "play", stamp.Options{})
	s.waitLive("play")
	waitFor(t, 20*time.Second, "a window to play from", func() bool { l := s.media("play", "source"); return l.last-l.first >= 2 })
	for _, player := range []string{"hlsjs", "page"} {
		t.Run(player, func(t *testing.T) {
			screen := s.watch(t, player, "play")
			screen.awaitPlaying(20 * time.Second)
			begun, _ := screen.Last(0)
			long := float64(times(7, 60))
			screen.await(time.Duration(2*long)*time.Second, "enough of it", func(now viewer.Sample) bool {
				return now.CurrentTime >= begun.CurrentTime+long
			})
			screen.requireStalls(1)
			got := screen.finish()
			require.Greater(t, float64(got.Decoded), 20*long, "pictures")
			t.Logf("%d waits, %d stalls", got.Waits, got.Stalls)
		})
	}
}

// TestBFramesPlayByWHEPFromTheLadder: browsers cannot show them by WebRTC, so what is sent is a rung, which has none.
func TestBFramesPlayByWHEPFromTheLadder(t *testing.T) {
	long(t)
	s := startLadder(t)
	s.publish(t, "film", source{bf: 2, size: "1280x720", gop: 30})
	s.waitLive("film")
	c := s.watchWHEP(t, "film")
	c.awaitMore(5)
	require.Positive(t, c.finish().Decoded)
}
