//go:build e2e

package e2e

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/stamp"
	"mediad/internal/viewer"
)

// replay waits for the replay of a stream's newest session and returns its id.
func (s *server) replay(t testing.TB, stream string, within time.Duration) (id string) {
	t.Helper()
	waitFor(t, within, "the replay", func() bool {
		items := s.json("/api/v1/streams/" + stream + "/sessions?limit=1&x=" + strconv.FormatInt(time.Now().UnixNano(), 36))["items"].([]any)
		if len(items) == 0 {
			return false
		}
		id, _ = items[0].(map[string]any)["replay_video_id"].(string)
		return id != ""
	})
	return id
}

// named remembers every segment that a live playlist ever named, by rendition, until stop is called.
func (s *server) named(t testing.TB, stream string, renditions ...string) (stop func() map[string]map[string]bool) {
	t.Helper()
	seen := make(map[string]map[string]bool)
	for _, r := range renditions {
		seen[r] = make(map[string]bool)
	}
	done, finished := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			for _, r := range renditions {
				resp, err := s.client.Get(s.url("/live/" + stream + "/" + r + "/index.m3u8"))
				if err != nil {
					continue
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil {
					continue
				}
				text := string(body)
				if resp.StatusCode != http.StatusOK {
					continue
				}
				for line := range strings.SplitSeq(text, "\n") {
					if strings.HasPrefix(line, "seg_") {
						seen[r][line] = true
					}
				}
			}
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	return func() map[string]map[string]bool {
		close(done)
		<-finished
		return seen
	}
}

// checkRecordings has doctor hold rows, files, the bucket and playlists against each other. What no row names is swept, as an
// administrator would; nothing else may be wrong.
func (s *server) checkRecordings(t testing.TB) {
	t.Helper()
	const agree, playlists = "none: rows, files and bucket agree", ", 0 of them do not agree with their rows"
	out, _ := s.cli("doctor", "--orphans") // it has other things to say of a test's server
	require.NotContains(t, out, "are missing", "segments are not where their rows say")
	require.NotContains(t, out, "is not in the bucket")
	require.Contains(t, out, playlists, out)
	for line := range strings.SplitSeq(out, "\n") {
		if strings.Contains(line, "  orphans ") || strings.Contains(line, "  playlists ") {
			t.Log(strings.TrimSpace(line))
		}
	}
	if strings.Contains(out, agree) {
		return
	}
	out, _ = s.cli("doctor", "--orphans", "--fix")
	require.Contains(t, out, "mended:")
	out, _ = s.cli("doctor", "--orphans")
	require.Contains(t, out, agree, out)
	require.Contains(t, out, playlists, out)
}

// requireListed: every segment that a live playlist named is in the replay, and none twice.
func (s *server) requireListed(t testing.TB, id string, seen map[string]map[string]bool) {
	t.Helper()
	for rendition, names := range seen {
		r, text := s.get("/vod/" + id + "/" + rendition + "/index.m3u8")
		require.Equal(t, 200, r.StatusCode)
		require.Contains(t, text, "#EXT-X-ENDLIST")
		count := make(map[string]int)
		for line := range strings.SplitSeq(text, "\n") {
			if strings.HasPrefix(line, "seg_") {
				count[line]++
			}
		}
		for name := range names {
			require.Equal(t, 1, count[name], "%s of %s was in a live playlist", name, rendition)
		}
		for name, n := range count {
			require.Equal(t, 1, n, name)
		}
	}
}

// TestServerKilledAtRandomPoints: whatever it was doing, all that viewers were told of is in the replay, and nothing is left over.
func TestServerKilledAtRandomPoints(t *testing.T) {
	t.Parallel()
	s := startServer(t, "MEDIAD_INGEST_RESUME_WINDOW=5s")
	stop := s.named(t, "torn", "source", "audio")
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	p := s.publish(t, "torn", source{gop: 30})
	s.waitLive("torn")
	kills := times(3, 50)
	for i := range kills {
		at := time.Duration(rnd.Int64N(int64(4 * time.Second)))
		t.Logf("kill %d, %s after the publisher came", i, at)
		<-time.After(at)
		s.stop(syscall.SIGKILL)
		p.kill(syscall.SIGKILL)
		s.start()
		p = s.publish(t, "torn", source{gop: 30})
	}
	before := s.media("torn", "source").last
	waitFor(t, 20*time.Second, "two segments", func() bool { return s.media("torn", "source").last >= before+2 })
	p.kill(syscall.SIGTERM)
	id := s.replay(t, "torn", 20*time.Second)
	seen := stop()
	s.requireListed(t, id, seen)
	s.checkRecordings(t)
	lint, err := output(t, time.Minute, binary, "hlslint", s.url("/vod/"+id+"/index.m3u8"))
	require.NoError(t, err, lint)
	t.Logf("%d kills, %d segments named live", kills, len(seen["source"]))
}

// TestReplay: a broadcast whose publisher was lost and whose server was killed is watched again from its first to its last picture, each once; at a
// loss a frame more or less is all that may be off.
func TestReplay(t *testing.T) {
	t.Parallel()
	s := startServer(t, "MEDIAD_INGEST_RESUME_WINDOW=3s")
	stop := s.named(t, "tower", "source", "audio")
	kills := times(2, 20)
	for i := range kills {
		c := film(t, s.rtmp, "tower", stamp.Options{GOP: 60})
		s.waitLive("tower")
		before := s.media("tower", "source").last
		waitFor(t, 20*time.Second, "three segments", func() bool { return s.media("tower", "source").last >= before+3 })
		c.kill()
		if i%2 == 0 {
			s.stop(syscall.SIGKILL)
			s.start()
		}
	}
	c := film(t, s.rtmp, "tower", stamp.Options{GOP: 60})
	before := s.media("tower", "source").last
	waitFor(t, 20*time.Second, "two segments", func() bool { return s.media("tower", "source").last >= before+2 })
	c.kill()
	id := s.replay(t, "tower", 20*time.Second)
	seen := stop()
	s.requireListed(t, id, seen)
	s.checkRecordings(t)
	main := s.url("/vod/" + id + "/index.m3u8")
	lint, err := output(t, time.Minute, binary, "hlslint", main)
	require.NoError(t, err, lint)

	listed := 0.0
	_, text := s.get("/vod/" + id + "/source/index.m3u8")
	for line := range strings.SplitSeq(text, "\n") {
		if d, ok := strings.CutPrefix(line, "#EXTINF:"); ok {
			sec, err := strconv.ParseFloat(strings.TrimSuffix(d, ","), 64)
			require.NoError(t, err)
			listed += sec
		}
	}
	errors, err := output(t, 2*time.Minute, "ffmpeg", "-v", "error", "-i", main, "-map", "0:v:0", "-map", "0:a:0",
		"-fps_mode", "passthrough", "-enc_time_base:v", "1:90000", "-f", "null", "-") // in frames, pictures on both sides of a join may be one
	require.NoError(t, err, errors)
	require.Empty(t, strings.TrimSpace(errors), "it decodes without a word")
	probe, err := output(t, time.Minute, "ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "json", main)
	require.NoError(t, err, probe)
	var got struct {
		Format struct {
			Duration string `json:"duration"`
		} `json:"format"`
	}
	require.NoError(t, json.Unmarshal([]byte(probe), &got))
	length, err := strconv.ParseFloat(got.Format.Duration, 64)
	require.NoError(t, err)
	require.InDelta(t, listed, length, 0.1)
	joins := strings.Count(text, "#EXT-X-DISCONTINUITY\n")
	require.Equal(t, kills, joins)
	pictures := stamps(t, main)
	for i := 1; i < len(pictures); i++ {
		require.False(t, pictures[i].Before(pictures[i-1]), "picture %d goes back", i)
	}
	const picture, frame = 1.0 / 30, 1024.0 / 48000
	require.InDelta(t, listed, float64(len(pictures))*picture, float64(joins+1)*picture, "pictures")
	probe, err = output(t, time.Minute, "ffprobe", "-v", "error", "-count_packets", "-select_streams", "a:0", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", main)
	require.NoError(t, err, probe)
	first, _, _ := strings.Cut(probe, "\n") // it says so once a variant
	packets, err := strconv.Atoi(strings.Trim(first, ", "))
	require.NoError(t, err, probe)
	require.InDelta(t, listed, float64(packets)*frame, float64(joins+1)*(picture+frame), "sound")
	v := s.json("/api/v1/videos/" + id)
	require.InDelta(t, listed*1000, v["duration_ms"], 2, "the API's length is the playlist's")
	t.Logf("%d kills, %.1f s of media, %d segments named live", kills, listed, len(seen["source"]))

	screen := s.watch(t, "hlsjs", "/vod/"+id+"/index.m3u8")
	screen.awaitPlaying(20 * time.Second)
	begun, _ := screen.Last(0)
	require.Less(t, begun.CurrentTime, 5.0, "it begins at its start")
	screen.await(time.Duration(length*1.5+20)*time.Second, "its end", func(now viewer.Sample) bool { return now.CurrentTime > listed-0.5 })
	tab := screen.finish()
	require.Greater(t, float64(tab.Decoded), 0.9*float64(len(pictures)), "from its start to its end")
}
