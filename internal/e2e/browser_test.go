//go:build e2e

package e2e

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/stamp"
	"mediad/internal/viewer"
)

// The tests with a browser are not parallel: a player that waits for the processor cannot be told from one that waits for media.

// screen is a browser that plays until the test ends.
type screen struct {
	*viewer.Viewer
	t testing.TB
}

// faults are what a browser itself reports of an absent publisher or server, whoever asked: no problems of a page.
var faults = []string{"--allow", `Failed to load resource: .*(404|503|ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONTENT_LENGTH_MISMATCH)`}

// watch plays a stream by a stock player (hlsjs, videojs, shaka) or on our own page (page, embed).
func (s *server) watch(t testing.TB, player, stream string, args ...string) *screen {
	t.Helper()
	base, paths := s.url(""), map[string]string{"page": "/watch/" + stream, "embed": "/embed/" + stream, "whep": "/whep/" + stream}
	if slices.Contains(args, "--tls") {
		base = "https://" + s.https
	}
	path, ok := paths[player]
	if !ok {
		path = "/live/" + stream + "/index.m3u8"
	}
	if strings.HasPrefix(stream, "/") { // what is not live
		path = stream
	}
	v, err := viewer.Start(viewer.Options{Script: "../../web/tests/e2e/play.mjs", Player: player, URL: base + path, Args: args})
	require.NoError(t, err)
	t.Cleanup(v.Kill)
	return &screen{Viewer: v, t: t}
}

func (c *screen) await(within time.Duration, what string, cond func(viewer.Sample) bool) {
	c.t.Helper()
	require.NoError(c.t, c.Await(0, within, what, cond))
}

// awaitPlaying waits for pictures or sound that go on.
func (c *screen) awaitPlaying(within time.Duration) {
	c.t.Helper()
	var from viewer.Sample
	c.await(within, "playback", func(s viewer.Sample) bool {
		if from.Wall == 0 && s.First != nil {
			from = s
		}
		return from.Wall != 0 && (s.Decoded > from.Decoded+10 || s.Width == 0 && s.AudioBytes > from.AudioBytes)
	})
}

// awaitPictureAfter waits for the first picture that was made after a moment, and returns when it was shown.
func (c *screen) awaitPictureAfter(moment time.Time, within time.Duration) time.Time {
	c.t.Helper()
	e, err := c.AwaitEvent(within, "a picture made after "+moment.Format("15:04:05.000"), func(e viewer.Event) bool {
		return e.Type == "leap" && e.Made > moment.UnixMilli()
	})
	require.NoError(c.t, err)
	return e.Time()
}

// finish ends the playback; what no page of any test may show is asserted here.
func (c *screen) finish() viewer.Tab {
	c.t.Helper()
	summary, err := c.Stop()
	require.NoError(c.t, err)
	require.NotEmpty(c.t, summary.Tabs)
	for _, tab := range summary.Tabs {
		require.Empty(c.t, tab.Problems, "errors of the page")
		require.Empty(c.t, tab.Errors, "fatal errors of the player")
		require.Zero(c.t, tab.Network.Back, "a playlist was asked for a lower number than before")
	}
	return summary.Tabs[0]
}

// requireStalls fails where the picture stood more often than that, but for the machine's stalls: those in which the page's own
// timer stood as well.
func (c *screen) requireStalls(most int) {
	c.t.Helper()
	stalls := 0
	for _, e := range c.Events() {
		if e.Type != "stall" || e.Late >= 300 {
			continue
		}
		if stalls++; stalls > most {
			c.t.Errorf("the picture stood for %.0f ms with %.2f s of buffer, at %s", e.MS, e.Buffer, e.Time().Format("15:04:05.000"))
		}
	}
}

// camera publishes stamped pictures.
type camera struct {
	cancel context.CancelFunc
	ended  chan struct{}
}

// film publishes stamped pictures until kill or the test's end: to an RTMP address, or where the options say.
func film(t testing.TB, address, stream string, o stamp.Options) *camera {
	t.Helper()
	if o.Width == 0 {
		o.Width, o.Height, o.Bitrate = 640, 360, "800k"
	}
	if o.Output == nil {
		o.Output = []string{"-f", "flv", "rtmp://" + address + "/live/" + stream}
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &camera{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		_ = stamp.Publish(ctx, o, io.Discard) // a taken-over or refused encoder fails, as it should
	}()
	t.Cleanup(cancel)
	return c
}

// kill ends the encoder as kill -9 does and waits for it.
func (c *camera) kill() {
	c.cancel()
	<-c.ended
}

// watchNumbers polls the playlists of a stream's source, sound and further renditions until the returned function is called, which fails the test where a media sequence
// went back or a playlist was refused.
func (s *server) watchNumbers(stream string, further ...string) func() {
	stop, done := make(chan struct{}), make(chan []string)
	go func() {
		var wrong []string
		first := map[string]int{}
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			for _, rendition := range append([]string{"source", "audio"}, further...) {
				l, err := fetchListing(s.t, s.client, s.url("/live/"+stream+"/"+rendition+"/index.m3u8"))
				switch {
				case err != nil:
					wrong = append(wrong, err.Error())
				case l.first < first[rendition]:
					wrong = append(wrong, rendition+" went back:\n"+l.text)
				default:
					first[rendition] = l.first
				}
			}
			select {
			case <-stop:
				done <- wrong
				return
			case <-tick.C:
			}
		}
	}()
	return func() {
		s.t.Helper()
		close(stop)
		if wrong := <-done; len(wrong) > 0 {
			s.t.Errorf("media sequence:\n%s", strings.Join(wrong, "\n"))
		}
	}
}
