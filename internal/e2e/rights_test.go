//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/egress/whep/wheptest"
	"mediad/store/blob"
	"mediad/store/blob/s3"
	"mediad/store/blob/s3test"
)

// closedStream is a site with a stream for followers, on air, and who is what.
type closedStream struct {
	*server
	owner, fan, stranger string // access tokens
	key                  string
	camera               *process
}

// closedRights are the settings of such a site.
var closedRights = []string{"MEDIAD_INGEST_OPEN=false", "MEDIAD_AUTH_REGISTRATION=open", "MEDIAD_INGEST_RESUME_WINDOW=2s"}

func goOnAirClosed(t *testing.T, s *server) *closedStream {
	t.Helper()
	c := &closedStream{server: s}
	for name, to := range map[string]*string{"bert": &c.owner, "fan": &c.fan, "stranger": &c.stranger} {
		*to = s.call(201, "POST", "/api/v1/auth/register", "", fmt.Sprintf(`{"username":%q,"password":"correct horse battery"}`, name))["access_token"].(string)
	}
	s.call(200, "POST", "/api/v1/me/streamer", c.owner, "")
	made := s.call(201, "POST", "/api/v1/streams", c.owner, `{"slug":"club","title":"For friends","visibility":"followers","replay_visibility":"followers"}`)
	s.call(200, "PUT", "/api/v1/users/@bert/follow", c.fan, "")
	c.key = made["stream_key"].(string)
	c.camera = s.publish(t, c.key, source{gop: 30})
	playback := c.playback(c.fan)
	waitFor(t, 20*time.Second, "the stream to be live for who has a token", func() bool { return c.status(playback["hls_url"].(string)) == 200 })
	return c
}

func (s *closedStream) playback(token string) map[string]any {
	s.t.Helper()
	return s.call(200, "GET", "/api/v1/streams/club/playback", token, "")
}

// status is that of a GET of a path.
func (s *server) status(path string) int {
	s.t.Helper()
	r, _ := s.get(path)
	return r.StatusCode
}

// TestFollowersWatchByToken: real players of every protocol with a token, and nobody without; then it is taken from them.
func TestFollowersWatchByToken(t *testing.T) {
	t.Parallel()
	s := goOnAirClosed(t, startServer(t, closedRights...))
	playback := s.playback(s.fan)
	hls, token := playback["hls_url"].(string), playback["playback_token"].(string)
	base := strings.TrimSuffix(hls, "index.m3u8")
	assert.Equal(t, playback, s.playback(s.owner), "one cohort has one URL")
	s.call(404, "GET", "/api/v1/streams/club/playback", s.stranger, "")
	s.call(404, "GET", "/api/v1/streams/club/playback", "", "")

	for _, file := range []string{"index.m3u8", "dvr.m3u8", "source/index.m3u8", "audio/index.m3u8", "source/dvr.m3u8"} {
		require.Equal(t, 200, s.status(base+file), file)
		require.Equal(t, 404, s.status("/live/club/"+file), file)
		require.Equal(t, 403, s.status("/t/"+strings.Repeat("A", 32)+"/live/club/"+file), file)
	}
	_, list := s.get(base + "source/index.m3u8")
	named := readPlaylist(t, list)
	require.NotEmpty(t, named.segments)
	segment := "source/" + named.segments[len(named.segments)-1]
	r, _ := s.get(base + segment)
	require.Equal(t, 200, r.StatusCode)
	require.Equal(t, "public, max-age=60", r.Header.Get("Cache-Control"))
	require.Equal(t, 404, s.status("/live/club/"+segment))
	require.Equal(t, 404, s.status("/live/club/source/"+named.maps[0]))
	waitFor(t, 20*time.Second, "a thumbnail", func() bool { return s.status(base+"thumb.jpg") == 200 })
	require.Equal(t, 404, s.status("/live/club/thumb.jpg"))

	// The cookie, as a page of this site has it.
	ask, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url("/live/club/"+segment), nil)
	require.NoError(t, err)
	ask.AddCookie(&http.Cookie{Name: "mediad_pb", Value: token})
	answer, err := s.client.Do(ask)
	require.NoError(t, err)
	answer.Body.Close()
	require.Equal(t, 200, answer.StatusCode)
	require.Equal(t, "private, no-cache", answer.Header.Get("Cache-Control"))

	t.Run("players", func(t *testing.T) {
		t.Run("hls.js", func(t *testing.T) {
			t.Parallel()
			player := s.watch(t, "hlsjs", hls)
			player.awaitPlaying(30 * time.Second)
			player.awaitMore(3)
			player.finish()
		})
		t.Run("FFmpeg by HLS", func(t *testing.T) {
			t.Parallel()
			out, err := output(t, time.Minute, "ffmpeg", "-v", "error", "-i", s.url(hls), "-t", "3", "-map", "0:v:0", "-map", "0:a:0", "-f", "null", "-")
			require.NoError(t, err, out)
		})
		t.Run("RTSP", func(t *testing.T) {
			t.Parallel()
			out, err := output(t, time.Minute, "ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", "rtsp://"+s.rtsp+"/live/club?token="+token, "-t", "2", "-f", "framecrc", "-")
			require.NoError(t, err, out)
			require.Greater(t, strings.Count(out, "\n0,"), 30, "pictures")
			for ending, status := range map[string]string{"": "404", "?token=" + token[:31] + "-": "403"} {
				out, err = output(t, 30*time.Second, "ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", "rtsp://"+s.rtsp+"/live/club"+ending, "-t", "1", "-f", "null", "-")
				require.Error(t, err)
				require.Contains(t, out, status)
			}
		})
		t.Run("SRT", func(t *testing.T) {
			t.Parallel()
			out, err := output(t, time.Minute, "ffmpeg", "-v", "error", "-i", "srt://"+s.srt+"?streamid=read:club:"+token, "-t", "2", "-f", "framecrc", "-")
			require.NoError(t, err, out)
			require.Greater(t, strings.Count(out, "\n0,"), 30, "pictures")
			for _, ending := range []string{"", ":" + token[:31] + "-"} {
				_, err = output(t, 30*time.Second, "ffmpeg", "-v", "error", "-i", "srt://"+s.srt+"?streamid=read:club"+ending, "-t", "1", "-f", "null", "-")
				require.Error(t, err)
			}
		})
		t.Run("WHEP", func(t *testing.T) {
			t.Parallel()
			for _, o := range []wheptest.Options{{URL: s.url("/whep/club"), Bearer: token}, {URL: s.url(playback["whep_url"].(string))}} {
				p, err := wheptest.Play(t.Context(), o)
				require.NoError(t, err)
				waitFor(t, 20*time.Second, "pictures", func() bool { return p.Pictures() > 10 })
				p.Close()
			}
			_, err := wheptest.Play(t.Context(), wheptest.Options{URL: s.url("/whep/club")})
			require.ErrorContains(t, err, "404")
			_, err = wheptest.Play(t.Context(), wheptest.Options{URL: s.url("/whep/club"), Bearer: strings.Repeat("A", 32)})
			require.ErrorContains(t, err, "playback_token_invalid")
		})
	})
	s.takeAway(t, hls, token)
}

// takeAway changes who may watch under viewers of every kind: within five seconds nothing is left of what they had.
func (s *closedStream) takeAway(t *testing.T, hls, token string) {
	t.Helper()
	watching, err := wheptest.Play(t.Context(), wheptest.Options{URL: s.url("/whep/club"), Bearer: token})
	require.NoError(t, err)
	defer watching.Close()
	waitFor(t, 20*time.Second, "pictures", func() bool { return watching.Pictures() > 5 })
	players := []*process{
		spawn(t, "ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", "rtsp://"+s.rtsp+"/live/club?token="+token, "-f", "null", "-"),
		spawn(t, "ffmpeg", "-v", "error", "-i", "srt://"+s.srt+"?streamid=read:club:"+token, "-f", "null", "-"),
	}
	waitFor(t, 20*time.Second, "both to play", func() bool {
		log := s.log.String()
		return strings.Count(log, "rtsp: playing") >= 2 && strings.Count(log, "srt: playing") >= 2
	})
	list := strings.TrimSuffix(hls, "index.m3u8") + "source/index.m3u8"
	parked := make(chan int)
	go func() {
		// Far enough ahead to be held until it is refused.
		r, err := s.client.Get(s.url(fmt.Sprintf("%s?_HLS_msn=%d", list, s.newest(list)+2)))
		if err != nil {
			parked <- 0
			return
		}
		r.Body.Close()
		parked <- r.StatusCode
	}()
	changed := time.Now()
	s.call(200, "PATCH", "/api/v1/streams/club", s.owner, `{"visibility":"private"}`)
	require.Equal(t, 403, s.status(hls))
	require.Equal(t, 403, s.status(list))
	require.Equal(t, 404, s.status("/live/club/index.m3u8"))
	if status := <-parked; status != 200 { // it may have come just before
		require.Equal(t, 403, status)
	}
	for _, p := range players {
		select {
		case <-p.exited:
		case <-time.After(20 * time.Second):
			t.Fatal("a player plays on")
		}
	}
	waitFor(t, 20*time.Second, "the end of all three", func() bool { return strings.Count(s.log.String(), "rights_changed") >= 3 })
	t.Logf("all had ended %s after the change", time.Since(changed).Round(time.Millisecond))
	s.call(404, "GET", "/api/v1/streams/club/playback", s.fan, "")

	// For everybody, then for followers again: the plain address comes and goes.
	s.call(200, "PATCH", "/api/v1/streams/club", s.owner, `{"visibility":"public"}`)
	require.Equal(t, 200, s.status("/live/club/index.m3u8"))
	s.call(200, "PATCH", "/api/v1/streams/club", s.owner, `{"visibility":"followers"}`)
	require.Equal(t, 404, s.status("/live/club/index.m3u8"))
	require.Equal(t, 403, s.status(hls), "what was taken away stays so")
	require.Equal(t, 200, s.status(s.playback(s.fan)["hls_url"].(string)))
	require.NotContains(t, s.log.String(), token)
}

// newest is the number of the newest segment of a playlist; 0: it cannot be had.
func (s *server) newest(list string) int {
	r, body := s.get(list)
	if r.StatusCode != http.StatusOK {
		return 0
	}
	return readPlaylist(s.t, body).last
}

// TestReplayForFollowers: FFmpeg plays it by its token, as one file as well, until the owner blocks somebody.
func TestReplayForFollowers(t *testing.T) {
	t.Parallel()
	s := goOnAirClosed(t, startServer(t, closedRights...))
	list := strings.TrimSuffix(s.playback(s.fan)["hls_url"].(string), "index.m3u8") + "source/index.m3u8"
	first := s.newest(list)
	waitFor(t, 20*time.Second, "three segments", func() bool { return s.newest(list) >= first+2 })
	s.camera.kill(syscall.SIGINT)
	var id string
	waitFor(t, 30*time.Second, "the replay", func() bool {
		items := s.call(200, "GET", "/api/v1/streams/club/sessions", s.fan, "")["items"].([]any)
		if len(items) > 0 {
			id, _ = items[0].(map[string]any)["replay_video_id"].(string)
		}
		return id != ""
	})
	s.call(404, "GET", "/api/v1/videos/"+id+"/playback", s.stranger, "")
	playback := s.call(200, "GET", "/api/v1/videos/"+id+"/playback", s.fan, "")
	hls, file := playback["hls_url"].(string), playback["download_url"].(string)
	for _, url := range []string{hls, file} {
		out, err := output(t, time.Minute, "ffmpeg", "-v", "error", "-i", s.url(url), "-map", "0:v:0", "-map", "0:a:0", "-f", "null", "-")
		require.NoError(t, err, out)
		plain := "/" + strings.SplitN(url, "/", 4)[3]
		require.Equal(t, 404, s.status(plain))
		require.Equal(t, 403, s.status("/t/"+s.playback(s.fan)["playback_token"].(string)+plain), "the token of another item")
	}
	s.call(204, "PUT", "/api/v1/users/@stranger/block", s.owner, "")
	require.Equal(t, 403, s.status(hls))
	require.Equal(t, 403, s.status(file))
	require.Equal(t, 200, s.status(s.call(200, "GET", "/api/v1/videos/"+id+"/playback", s.fan, "")["hls_url"].(string)))
}

// TestClosedStreamInABucket: an open bucket has no playlists of it, while it is closed, and doctor says what the bucket shows.
func TestClosedStreamInABucket(t *testing.T) {
	t.Parallel()
	minio := s3test.Start(t, s3test.MinIO)
	o := s3.Options{Endpoint: minio.Endpoint, Bucket: "shelf", Region: s3test.Region, AccessKey: minio.AccessKey, SecretKey: minio.SecretKey, Addressing: "path"}
	bucket := openBucket(t, minio, o)
	s := goOnAirClosed(t, startServer(t, append([]string{
		"MEDIAD_BLOB_URL=s3://shelf?endpoint=" + o.Endpoint + "&region=" + o.Region + "&path_style=true", "MEDIAD_BLOB_ACCESS_KEY=" + o.AccessKey,
		"MEDIAD_BLOB_SECRET_KEY=" + o.SecretKey,
	}, closedRights...)...))
	stored := func() (n int) {
		require.NoError(t, bucket.List(t.Context(), "live/club/source/seg_", func(blob.Info) error { n++; return nil }))
		return n
	}
	listed := func() (n int) {
		for _, name := range []string{"index.m3u8", "source/index.m3u8", "audio/index.m3u8"} {
			if _, err := bucket.Stat(t.Context(), "live/club/"+name); err == nil {
				n++
			}
		}
		return n
	}
	waitFor(t, 30*time.Second, "three segments in the bucket", func() bool { return stored() >= 3 })
	require.Zero(t, listed())
	s.call(200, "PATCH", "/api/v1/streams/club", s.owner, `{"visibility":"public"}`)
	waitFor(t, 30*time.Second, "the playlists", func() bool { return listed() == 3 })
	s.call(200, "PATCH", "/api/v1/streams/club", s.owner, `{"visibility":"private"}`)
	waitFor(t, 30*time.Second, "the playlists to go", func() bool { return listed() == 0 })
	out, _ := s.cli("doctor") // the ports are in use
	require.Contains(t, out, "everybody may read what is below live/")
}

// TestViewersOfACohortShareACache: two viewers with a token cost the origin what one does, behind a cache and behind an edge, and who has none
// gets nothing from either.
func TestViewersOfACohortShareACache(t *testing.T) {
	t.Parallel()
	share := func(t *testing.T, d *delivery) {
		s := goOnAirClosed(t, d.server)
		base := strings.TrimSuffix(s.playback(s.fan)["hls_url"].(string), "index.m3u8")
		_, text := s.get(base + "source/index.m3u8")
		segment := "source/" + readPlaylist(t, text).segments[0]
		_, want := s.get(base + segment)
		for i, cached := range []string{"MISS", "HIT"} {
			r, body := d.ask("GET", base+segment)
			require.Equal(t, 200, r.StatusCode)
			require.Equal(t, want, body)
			require.Equal(t, cached, r.Header.Get("X-Cache"), "viewer %d", i)
			require.Equal(t, "public, max-age=60", r.Header.Get("Cache-Control"))
		}
		r, _ := d.ask("GET", "/live/club/"+segment)
		require.Equal(t, 404, r.StatusCode)
		r, _ = d.ask("GET", "/live/club/"+segment, "Cookie: mediad_pb="+strings.Split(base, "/")[2])
		require.Equal(t, 404, r.StatusCode, "caches know no cookies")
		r, body := d.ask("GET", "/t/"+strings.Repeat("A", 32)+"/live/club/"+segment)
		require.Equal(t, 403, r.StatusCode)
		require.Contains(t, body, "playback_token_invalid")
		out, err := output(t, time.Minute, "ffmpeg", "-v", "error", "-i", "http://"+d.cache.HTTP+base+"index.m3u8", "-t", "3", "-map", "0:v:0", "-map", "0:a:0", "-f", "null", "-")
		require.NoError(t, err, out)
	}
	throughCaches(t, share, closedRights...)
	if !*soak { // else it was among them
		t.Run("edge", func(t *testing.T) { share(t, behindEdge(t, t.TempDir(), closedRights...)) })
	}
}
