//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// broadcast publishes twice, with a loss of the publisher between, stops cleanly and returns the replay's id.
func (s *server) broadcast(t *testing.T, stream string, segments int, first, second source) string {
	t.Helper()
	for i, c := range []source{first, second} {
		p := s.publish(t, stream, c)
		s.waitLive(stream)
		before := s.media(stream, "source").last
		waitFor(t, 60*time.Second, "segments", func() bool { return s.media(stream, "source").last >= before+segments })
		p.kill([]syscall.Signal{syscall.SIGKILL, syscall.SIGTERM}[i])
	}
	return s.replay(t, stream, 20*time.Second)
}

// fetchFile gets a path into a file, and checks its length.
func (s *server) fetchFile(t *testing.T, path string) string {
	t.Helper()
	r, err := s.client.Get(s.url(path))
	require.NoError(t, err)
	defer r.Body.Close()
	require.Equal(t, http.StatusOK, r.StatusCode)
	name := filepath.Join(t.TempDir(), filepath.Base(path))
	f, err := os.Create(name)
	require.NoError(t, err)
	n, err := io.Copy(f, r.Body)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.Equal(t, r.ContentLength, n)
	return name
}

// packets are sizes and checksums of a track's packets.
func packets(t *testing.T, input, track string) []string {
	t.Helper()
	out, err := output(t, time.Minute, "ffmpeg", "-v", "error", "-i", input, "-map", track, "-c", "copy", "-f", "framecrc", "-")
	require.NoError(t, err, out)
	var list []string
	for line := range strings.SplitSeq(out, "\n") {
		if f := strings.Split(line, ","); len(f) >= 6 && !strings.HasPrefix(line, "#") {
			list = append(list, strings.TrimSpace(f[4])+strings.TrimSpace(f[5]))
		}
	}
	return list
}

// pictures are the checksums of what FFmpeg decodes, by their times in seconds.
func pictures(t *testing.T, args ...string) map[float64]string {
	t.Helper()
	args = append(append([]string{"-v", "error"}, args...), "-map", "0:v:0", "-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-f", "framemd5", "-")
	out, err := output(t, time.Minute, "ffmpeg", args...)
	require.NoError(t, err, out)
	seen := map[float64]string{}
	for line := range strings.SplitSeq(out, "\n") {
		if f := strings.Split(line, ","); len(f) == 6 && !strings.HasPrefix(line, "#") {
			pts, err := strconv.Atoi(strings.TrimSpace(f[2]))
			require.NoError(t, err)
			seen[float64(pts)/90000] = f[5]
		}
	}
	return seen
}

// TestDownload: a replay as one file is the replay: its packets, its length; every player finds every moment in it.
func TestDownload(t *testing.T) {
	t.Parallel()
	s := startServer(t, "MEDIAD_INGEST_RESUME_WINDOW=10s")
	c := source{gop: 30}
	id := s.broadcast(t, "pier", times(5, 20), c, c)
	playback := s.json("/api/v1/videos/" + id + "/playback")
	path := playback["download_url"].(string)
	require.Equal(t, "/vod/"+id+"/download.mp4", path)
	name := s.fetchFile(t, path)
	whole, err := os.ReadFile(name)
	require.NoError(t, err)
	length := s.json("/api/v1/videos/" + id)["duration_ms"].(float64) / 1000

	probe, err := output(t, time.Minute, "ffprobe", "-v", "error", "-show_entries", "format=duration,start_time", "-of", "json", name)
	require.NoError(t, err, probe)
	var got struct {
		Format struct {
			Duration string `json:"duration"`
			Start    string `json:"start_time"`
		} `json:"format"`
	}
	require.NoError(t, json.Unmarshal([]byte(probe), &got))
	told, err := strconv.ParseFloat(got.Format.Duration, 64)
	require.NoError(t, err)
	require.InDelta(t, length, told, 0.034, "within a frame")
	require.Equal(t, "0.000000", got.Format.Start)
	t.Logf("%d bytes, %.3f s, told as %.3f s", len(whole), length, told)

	for _, args := range [][]string{{}, {"-ss", fmt.Sprintf("%.2f", length/2)}, {"-ss", fmt.Sprintf("%.2f", length*0.9)}} {
		words, err := output(t, time.Minute, "ffmpeg", append(append([]string{"-v", "warning"}, args...), "-i", name, "-f", "null", "-")...)
		require.NoError(t, err, words)
		require.Empty(t, strings.TrimSpace(words), "it decodes without a word, from %v on", args)
	}
	main := s.url("/vod/" + id + "/index.m3u8")
	for _, track := range []string{"0:v:0", "0:a:0"} {
		file, hls := packets(t, name, track), packets(t, main, track)
		require.NotEmpty(t, file)
		require.Equal(t, hls, file, track)
	}
	// A seek shows the picture of that time: the one that decoding from the start shows then.
	all := pictures(t, "-i", name)
	for _, share := range []float64{0.15, 0.5, 0.8, 0.95} {
		at := length * share
		sought := pictures(t, "-copyts", "-ss", fmt.Sprintf("%.3f", at), "-i", name, "-frames:v", "1")
		require.Len(t, sought, 1)
		for pts, hash := range sought {
			require.Equal(t, all[pts], hash)
			if d := pts - at; d < -0.02 || d > 0.06 {
				t.Errorf("seek to %.3f shows the picture of %.3f", at, pts)
			}
		}
	}

	// Several seeks in a file that is read in pieces, forwards and back, begin with a key frame in front: FFmpeg begins a segment early
	// where the sound of one begins behind its key frame.
	jumps, err := output(t, time.Minute, "ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time", "-of", "csv=p=0",
		"-read_intervals", fmt.Sprintf("%.3f%%+#1,%.3f%%+#1,%.3f%%+#1,%.3f%%+#1", length*0.6, length*0.5, length*0.9, length*0.3), name)
	require.NoError(t, err, jumps)
	shares := []float64{0.6, 0.5, 0.9, 0.3}
	keys := strings.Fields(strings.ReplaceAll(jumps, ",", ""))
	require.Len(t, keys, len(shares), jumps)
	for i, key := range keys {
		pts, err := strconv.ParseFloat(key, 64)
		require.NoError(t, err)
		require.LessOrEqual(t, pts, length*shares[i]+0.04)
		require.Greater(t, pts, length*shares[i]-1.05-2)
	}
	t.Run("ranges", func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		var joined []byte
		for len(joined) < len(whole) {
			n := min(1+rng.IntN(len(whole)/5), len(whole)-len(joined))
			request, err := http.NewRequest(http.MethodGet, s.url(path), nil)
			require.NoError(t, err)
			request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", len(joined), len(joined)+n-1))
			r, err := s.client.Do(request)
			require.NoError(t, err)
			b, err := io.ReadAll(r.Body)
			r.Body.Close()
			require.NoError(t, err)
			require.Equal(t, http.StatusPartialContent, r.StatusCode)
			require.Len(t, b, n)
			joined = append(joined, b...)
		}
		require.Equal(t, whole, joined)
		r, err := s.client.Head(s.url(path))
		require.NoError(t, err)
		r.Body.Close()
		require.EqualValues(t, len(whole), r.ContentLength)
		require.Equal(t, `attachment; filename="pier.mp4"; filename*=UTF-8''pier.mp4`, r.Header.Get("Content-Disposition"))
	})
	t.Run("Chromium", func(t *testing.T) {
		out, err := exec.Command("node", scripts+"/file.mjs", s.url(path), "0.6", "0.5", "0.15", "0.2", "0.9", "0.6", "0.02", "0.13", "0.6", "0.3", "0.75").Output()
		require.NoError(t, err, string(out))
		var seen struct {
			Duration, End float64
			Width, Frames int
			Seeks         []struct{ Asked, Time, Picture float64 }
		}
		require.NoError(t, json.Unmarshal(out, &seen))
		require.InDelta(t, length, seen.Duration, 0.034)
		require.Equal(t, 640, seen.Width)
		require.Len(t, seen.Seeks, 11)
		for _, k := range seen.Seeks {
			assert.InDelta(t, k.Asked, k.Picture, 0.05, "the picture of that time")
		}
		require.InDelta(t, seen.Duration, seen.End, 0.1)
		require.Greater(t, float64(seen.Frames), length/4*25)
	})
	t.Run("mediainfo", func(t *testing.T) {
		if _, err := exec.LookPath("mediainfo"); err != nil {
			t.Skip("mediainfo is not installed")
		}
		out, err := output(t, time.Minute, "mediainfo", "--Output=JSON", name)
		require.NoError(t, err, out)
		var info struct {
			Media struct {
				Track []map[string]any `json:"track"`
			} `json:"media"`
		}
		require.NoError(t, json.Unmarshal([]byte(out), &info))
		require.Len(t, info.Media.Track, 3, out)
		require.NotContains(t, out, "IsTruncated")
		require.NotContains(t, out, "Conformance")
		require.Equal(t, "AVC", info.Media.Track[1]["Format"])
		require.Equal(t, "AAC", info.Media.Track[2]["Format"])
		told, err := strconv.ParseFloat(info.Media.Track[0]["Duration"].(string), 64)
		require.NoError(t, err, out)
		require.InDelta(t, length, told, 0.05)
	})
}

// TestDownloadOfChangedPicture: where the publisher came back with another size, there is no one file, and the answer says why.
func TestDownloadOfChangedPicture(t *testing.T) {
	long(t)
	t.Parallel()
	s := startServer(t, "MEDIAD_INGEST_RESUME_WINDOW=10s")
	id := s.broadcast(t, "quay", 2, source{gop: 30}, source{gop: 30, size: "320x240"})
	r, body := s.get("/vod/" + id + "/download.mp4")
	require.Equal(t, http.StatusConflict, r.StatusCode, body)
	require.Contains(t, body, `"code":"invalid_state"`)
	require.Regexp(t, `At \d+s the picture changes from avc1\.\w+ of 640x360 to avc1\.\w+ of 320x240`, body)
	require.NotContains(t, s.json("/api/v1/videos/"+id+"/playback"), "download_url")
	s.storyboard(t, id) // pictures there are nevertheless
}

var cue = regexp.MustCompile(`(?m)^(\S+) --> (\S+)\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)$`)

// storyboard waits for a replay's pictures, checks that the tiles cover it and exist, and returns its sheets.
func (s *server) storyboard(t *testing.T, id string) map[string]image.Image {
	t.Helper()
	waitFor(t, 60*time.Second, "the pictures", func() bool { return s.json("/api/v1/videos/" + id)["storyboard_url"] != nil })
	v := s.json("/api/v1/videos/" + id + "/playback")
	require.Equal(t, "/vod/"+id+"/thumb.jpg", v["thumbnail_url"])
	sheets := map[string]image.Image{}
	open := func(path string) image.Image {
		r, err := s.client.Get(s.url(path))
		require.NoError(t, err)
		defer r.Body.Close()
		require.Equal(t, http.StatusOK, r.StatusCode, path)
		require.Equal(t, "image/jpeg", r.Header.Get("Content-Type"))
		m, err := jpeg.Decode(r.Body)
		require.NoError(t, err)
		return m
	}
	thumb := open(v["thumbnail_url"].(string))
	require.Less(t, thumb.Bounds().Dx(), 641)
	require.Greater(t, bright(thumb), 20.0)
	r, text := s.get(v["storyboard_url"].(string))
	require.Equal(t, "text/vtt; charset=utf-8", r.Header.Get("Content-Type"))
	require.True(t, strings.HasPrefix(text, "WEBVTT\n"))
	end := "00:00:00.000"
	for _, c := range cue.FindAllStringSubmatch(text, -1) {
		require.Equal(t, end, c[1], "the cues follow each other")
		end = c[2]
		if sheets[c[3]] == nil {
			sheets[c[3]] = open("/vod/" + id + "/" + c[3])
		}
		var at [4]int
		for i := range at {
			at[i], _ = strconv.Atoi(c[4+i])
		}
		tile := image.Rect(at[0], at[1], at[0]+at[2], at[1]+at[3])
		require.True(t, tile.In(sheets[c[3]].Bounds()), "the tile exists")
		require.Greater(t, bright(sheets[c[3]].(*image.YCbCr).SubImage(tile)), 20.0, "and shows something")
	}
	var h, m int
	var sec float64
	_, err := fmt.Sscanf(strings.ReplaceAll(end, ":", " "), "%d %d %f", &h, &m, &sec)
	require.NoError(t, err)
	require.InDelta(t, s.json("/api/v1/videos/" + id)["duration_ms"].(float64)/1000, float64(h*3600+m*60)+sec, 0.0021, "to the end")
	return sheets
}

// bright is the mean brightness, 0 to 255.
func bright(m image.Image) float64 {
	sum, n := 0.0, 0.0
	for y := m.Bounds().Min.Y; y < m.Bounds().Max.Y; y++ {
		for x := m.Bounds().Min.X; x < m.Bounds().Max.X; x++ {
			sum += float64(color.GrayModel.Convert(m.At(x, y)).(color.Gray).Y)
			n++
		}
	}
	return sum / n
}

// TestStoryboard: pictures of a replay are there soon after its end, also where the server was killed before they were made.
func TestStoryboard(t *testing.T) {
	t.Parallel()
	s := startServer(t, "MEDIAD_INGEST_RESUME_WINDOW=10s")
	c := source{gop: 30, size: "1280x720"}
	id := s.broadcast(t, "lighthouse", times(4, 20), c, c)
	s.stop(syscall.SIGKILL)
	s.start()
	sheets := s.storyboard(t, id)
	require.Len(t, sheets, 1)
}

// TestSoundHasNoPictures: a broadcast without a picture can be downloaded and has no thumbnail.
func TestSoundHasNoPictures(t *testing.T) {
	long(t)
	t.Parallel()
	s := startServer(t, "MEDIAD_INGEST_RESUME_WINDOW=3s")
	p := s.publish(t, "radio", source{noV: true})
	s.waitLive("radio")
	before := s.media("radio", "audio").last
	waitFor(t, 30*time.Second, "segments", func() bool { return s.media("radio", "audio").last >= before+2 })
	p.kill(syscall.SIGTERM)
	id := s.replay(t, "radio", 20*time.Second)
	name := s.fetchFile(t, "/vod/"+id+"/download.mp4")
	words, err := output(t, time.Minute, "ffmpeg", "-v", "warning", "-i", name, "-f", "null", "-")
	require.NoError(t, err, words)
	require.Empty(t, strings.TrimSpace(words))
	require.Nil(t, s.json("/api/v1/videos/" + id)["thumbnail_url"])
	r, _ := s.get("/vod/" + id + "/thumb.jpg")
	require.Equal(t, http.StatusNotFound, r.StatusCode)
}
