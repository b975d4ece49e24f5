//go:build e2e

package whip

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/ingest/ingesttest"
	"mediad/internal/testx"
	"mediad/internal/viewer"
	"mediad/live"
	"mediad/media"
)

// TestChromiumPublishes: a browser publishes its camera, restarts ICE, changes its picture, and stops.
func TestChromiumPublishes(t *testing.T) {
	for _, c := range []struct {
		mime  string
		codec media.Codec
	}{{"video/H264", media.H264}, {"video/VP9", media.VP9}, {"video/AV1", media.AV1}, {"video/VP8", media.VP8}} {
		t.Run(c.mime, func(t *testing.T) {
			hub := ingesttest.NewHub("good")
			s := serve(t, Options{Admit: admit(hub), VP8: true})
			mux := http.NewServeMux()
			mux.Handle("/whip", s)
			mux.Handle("/whip/", s)
			mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
			web := httptest.NewServer(mux)
			defer web.Close()
			cam, err := viewer.Film(viewer.CameraOptions{
				Script: "../../web/tests/e2e/publish.mjs", URL: web.URL + "/whip", Key: "good",
				Args: []string{"--size", "640x360", "--codec", c.mime},
			})
			require.NoError(t, err)
			defer cam.Kill()
			connected := func(told viewer.Told) bool { return told.State == "connected" }
			require.NoError(t, cam.Await(30*time.Second, "a connection", connected))
			pub := hub.Next(t, 0)
			pub.AwaitUnits(t, media.Video, 150)
			track := pub.Tracks(media.Video)[0]
			require.Equal(t, c.codec, track.Codec)
			require.NotZero(t, track.Width)
			require.Equal(t, media.Opus, pub.Tracks(media.Audio)[0].Codec)

			// A key frame each two seconds, as they are asked for.
			last := pub.Units(media.Video)[0].PTS
			for _, au := range pub.Units(media.Video) {
				require.Less(t, au.PTS-last, media.Ticks(3*media.VideoTimescale))
				if au.RandomAccess {
					last = au.PTS
				}
			}
			// Both are in real time, and so are their ends.
			video, audio := pub.Units(media.Video), pub.Units(media.Audio)
			apart := media.VideoTimescale.Duration(video[len(video)-1].PTS) - media.Timescale(48000).Duration(audio[len(audio)-1].PTS)
			t.Logf("%d pictures, %d of sound, ends %v apart", len(video), len(audio), apart)
			require.Less(t, apart.Abs(), 500*time.Millisecond)

			require.NoError(t, cam.Say("restart"))
			require.NoError(t, cam.Await(20*time.Second, "the restart", func(told viewer.Told) bool { return told.Type == "restarted" }))
			pub.AwaitUnits(t, media.Video, len(pub.Units(media.Video))+60)
			require.NoError(t, cam.Say("size 320x180"))
			pub.AwaitTracks(t, media.Video, 2)
			require.NoError(t, cam.Stop())
			require.Equal(t, live.ReasonPublisherStopped, pub.AwaitClosed(t))
			testx.WaitFor(t, "no session", func() bool { return s.Sessions() == 0 })
		})
	}
}
