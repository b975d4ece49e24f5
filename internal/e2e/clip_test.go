//go:build e2e

package e2e

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/stamp"
	"mediad/internal/viewer"
	"mediad/store/db"
)

// stamps are the stamps of all pictures that FFmpeg decodes of a file or playlist.
func stamps(t testing.TB, input string) (all []time.Time) {
	t.Helper()
	var out, words bytes.Buffer
	cmd := exec.Command("ffmpeg", "-v", "error", "-i", input, "-map", "0:v:0", "-fps_mode", "passthrough", "-enc_time_base:v", "1:90000",
		"-vf", "crop=iw:iw/64:0:0,scale=64:1:flags=area,format=gray", "-f", "rawvideo", "-")
	cmd.Stdout, cmd.Stderr = &out, &words
	require.NoError(t, cmd.Run(), words.String())
	require.Empty(t, words.String(), "it decodes without a word")
	for b := out.Bytes(); len(b) >= 64; b = b[64:] {
		at, ok := stamp.Read(b)
		require.True(t, ok, "picture %d has no stamp", len(all))
		all = append(all, at)
	}
	return all
}

var segmentOfEpoch = regexp.MustCompile(`^seg_(\d+)_`)

// filmed are the pictures that a live playlist lists, with the dates at which they are shown.
func (s *server) filmed(t testing.TB, stream string, fps int) (dates, stamped []time.Time) {
	t.Helper()
	_, text := s.get("/live/" + stream + "/source/dvr.m3u8")
	var at time.Time
	for line := range strings.SplitSeq(text, "\n") {
		if date, ok := strings.CutPrefix(line, "#EXT-X-PROGRAM-DATE-TIME:"); ok {
			var err error
			at, err = time.Parse(time.RFC3339Nano, date)
			require.NoError(t, err)
		}
		m := segmentOfEpoch.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		_, init := s.get("/live/" + stream + "/source/init_" + m[1] + ".mp4")
		_, media := s.get("/live/" + stream + "/source/" + line)
		file := filepath.Join(t.TempDir(), "segment.mp4")
		require.NoError(t, os.WriteFile(file, []byte(init+media), 0o600))
		for i, one := range stamps(t, file) {
			dates, stamped = append(dates, at.Add(time.Duration(i)*time.Second/time.Duration(fps))), append(stamped, one)
		}
	}
	return dates, stamped
}

// TestClip: a clip of a broadcast that goes on is there within 5 s, has the pictures between its ends and no others, and stays when the
// broadcast, its replay and the server that it was made beside are gone.
func TestClip(t *testing.T) {
	t.Parallel()
	s := startServer(t, "MEDIAD_INGEST_RESUME_WINDOW=2s", "MEDIAD_ADMIN_USERNAME=boss", "MEDIAD_ADMIN_PASSWORD="+adminPassword)
	c := film(t, s.rtmp, "tower", stamp.Options{GOP: 60})
	s.waitLive("tower")
	onAir := s.json("/api/v1/streams/tower")["session"].(map[string]any)
	session := onAir["id"].(string)
	began, err := time.Parse(time.RFC3339Nano, onAir["started_at"].(string))
	require.NoError(t, err)
	first := s.media("tower", "source").first
	waitFor(t, 30*time.Second, "12 s of it", func() bool { return s.media("tower", "source").last >= first+6 })

	const end, length = 9517 * time.Millisecond, 6050 * time.Millisecond
	asked := time.Now()
	out, err := s.cli("clip", "tower", "--quiet", "--end", end.String(), "--duration", length.String(), "--title", "A clip")
	require.NoError(t, err, out)
	id := strings.TrimSpace(out)
	page := "/vod/" + id + "/index.m3u8"
	r, text := s.get(page)
	require.Equal(t, 200, r.StatusCode, text)
	took := time.Since(asked)
	require.Less(t, took, 5*time.Second)
	v := s.json("/api/v1/videos/" + id)
	of := v["source"].(map[string]any)
	require.Equal(t, []any{"clip", session}, []any{of["kind"], of["session_id"]})
	require.InDelta(t, float64((end-length)/time.Millisecond), of["from_ms"], 34)
	require.InDelta(t, float64(end/time.Millisecond), of["to_ms"], 34)
	require.Equal(t, "A clip", v["title"])

	dates, stamped := s.filmed(t, "tower", 30)
	from, to := began.Add(end-length), began.Add(end)
	var want []time.Time
	for i, at := range dates {
		if !at.Before(from) && at.Before(to) {
			want = append(want, stamped[i])
		}
	}
	check := func() {
		t.Helper()
		got := stamps(t, s.url(page))
		require.Equal(t, want, got, "first %v instead of %v", got[0], want[0])
		lint, err := output(t, time.Minute, binary, "hlslint", s.url(page))
		require.NoError(t, err, lint)
	}
	check()
	require.InDelta(t, float64(len(want))*1000/30, v["duration_ms"], 1)
	_, list := s.get("/vod/" + id + "/source/index.m3u8")
	_, live := s.get("/live/tower/source/dvr.m3u8")
	referred := 0
	for line := range strings.SplitSeq(list, "\n") {
		if strings.HasPrefix(line, "seg_") && strings.Contains(live, line) {
			referred++
			_, ours := s.get("/vod/" + id + "/source/" + line)
			_, theirs := s.get("/live/tower/source/" + line)
			require.Equal(t, theirs, ours, "a whole segment is the same")
		}
	}
	require.GreaterOrEqual(t, referred, 1)
	t.Logf("ready %.2f s after it was asked for: %d pictures, %d whole segments", took.Seconds(), len(want), referred)

	for _, wrong := range [][]string{{"--duration", "1s"}, {"--end", "2h"}, {"--session", "none"}} {
		out, err := s.cli(append([]string{"clip", "tower"}, wrong...)...)
		require.Error(t, err, out)
	}
	// Over the API, up to the newest.
	boss := s.call(200, "POST", "/api/v1/auth/login", "", `{"login":"boss","password":"`+adminPassword+`"}`)["access_token"].(string)
	asked = time.Now()
	cut := s.call(201, "POST", "/api/v1/streams/tower/clips", boss, `{"title":"The newest","duration_ms":5000}`)
	waitFor(t, 5*time.Second, "it to be playable", func() bool {
		r, _ := s.get("/vod/" + cut["id"].(string) + "/index.m3u8")
		return r.StatusCode == http.StatusOK
	})
	t.Logf("playable %.2f s after it was asked for over the API", time.Since(asked).Seconds())
	require.InDelta(t, 5000, cut["duration_ms"], 34)

	c.kill()
	replay := s.replay(t, "tower", 20*time.Second)
	check()
	waitFor(t, 30*time.Second, "the clip's thumbnail", func() bool {
		r, body := s.get("/vod/" + id + "/thumb.jpg")
		return r.StatusCode == http.StatusOK && strings.HasPrefix(body, "\xff\xd8")
	})
	require.Equal(t, "/vod/"+id+"/thumb.jpg", s.json("/api/v1/videos/" + id)["thumbnail_url"])
	screen := s.watch(t, "hlsjs", page)
	screen.awaitPlaying(20 * time.Second)
	screen.await(40*time.Second, "its end", func(now viewer.Sample) bool { return now.CurrentTime > length.Seconds()-0.5 })
	screen.finish()

	// Retention takes the replay, and leaves what the clip is made of.
	s.stop(syscall.SIGTERM)
	database, err := db.Open(t.Context(), db.Options{Path: filepath.Join(s.dir, "mediad.db")})
	require.NoError(t, err)
	long := db.At(time.Now().AddDate(0, 0, -20))
	require.NoError(t, database.Tx(t.Context(), func(q db.Queries) error { return q.SetRecording(session, 0, db.RecordingMade, long) }))
	require.NoError(t, database.Close())
	s.start()
	waitFor(t, 20*time.Second, "the replay to go", func() bool {
		r, _ := s.get("/vod/" + replay + "/index.m3u8")
		return r.StatusCode == http.StatusNotFound
	})
	check()
}

// TestClipOfH265: the pictures between its ends, though the cut ends and the whole segments have parameter sets that their encoders number alike.
func TestClipOfH265(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	film(t, "", "tower", stamp.Options{GOP: 60, Output: []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
		"log-level=error:keyint=60:min-keyint=60:scenecut=0:bframes=0:pools=2", "-f", "rtsp", "-rtsp_transport", "tcp", "rtsp://" + s.rtsp + "/live/tower"}})
	s.waitLive("tower")
	onAir := s.json("/api/v1/streams/tower")["session"].(map[string]any)
	began, err := time.Parse(time.RFC3339Nano, onAir["started_at"].(string))
	require.NoError(t, err)
	first := s.media("tower", "source").first
	waitFor(t, 40*time.Second, "10 s of it", func() bool { return s.media("tower", "source").last >= first+5 })
	const end, length = 8517 * time.Millisecond, 5050 * time.Millisecond
	out, err := s.cli("clip", "tower", "--quiet", "--end", end.String(), "--duration", length.String())
	require.NoError(t, err, out)
	id := strings.TrimSpace(out)
	page := "/vod/" + id + "/index.m3u8"
	_, main := s.get(page)
	require.Contains(t, main, `CODECS="hvc1.`)
	dates, stamped := s.filmed(t, "tower", 30)
	var want []time.Time
	for i, at := range dates {
		if !at.Before(began.Add(end-length)) && at.Before(began.Add(end)) {
			want = append(want, stamped[i])
		}
	}
	require.NotEmpty(t, want)
	require.Equal(t, want, stamps(t, s.url(page)))
	lint, err := output(t, time.Minute, binary, "hlslint", s.url(page))
	require.NoError(t, err, lint)
}
