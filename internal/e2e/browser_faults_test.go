//go:build e2e

package e2e

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/stamp"
	"mediad/internal/viewer"
)

// TestPictureReturnsWithThePublisher: killed and back after 2 s, again and again, while our page and stock hls.js play. Nobody
// touches them, numbers never go back, and the picture is there within twice the bounds of design 3.2 after the first frame.
func TestPictureReturnsWithThePublisher(t *testing.T) {
	s := startServer(t)
	tap, err := viewer.NewTap(s.rtmp)
	require.NoError(t, err)
	t.Cleanup(tap.Close)
	cam := film(t, tap.Addr(), "return", stamp.Options{})
	s.waitLive("return")
	<-tap.FirstFrame()
	most := map[string]time.Duration{"page": 2 * time.Second, "hlsjs": 5 * time.Second}
	screens := map[string]*screen{}
	for player := range most {
		screens[player] = s.watch(t, player, "return", faults...)
	}
	for _, c := range screens {
		c.awaitPlaying(30 * time.Second)
	}
	numbers := s.watchNumbers("return")
	for i := range times(3, 10) {
		last := s.media("return", "source").last
		waitFor(t, 15*time.Second, "two more segments", func() bool { return s.media("return", "source").last >= last+2 })
		cam.kill()
		killed := time.Now()
		<-time.After(2 * time.Second) // the length of the absence is what is tested
		cam = film(t, tap.Addr(), "return", stamp.Options{})
		var arrived time.Time
		select {
		case arrived = <-tap.FirstFrame():
		case <-time.After(20 * time.Second):
			t.Fatal("the publisher did not come back")
		}
		for player, c := range screens {
			took := c.awaitPictureAfter(killed, 20*time.Second).Sub(arrived)
			t.Logf("return %d: %s shows it %d ms after the first frame", i, player, took.Milliseconds())
			if took > most[player] {
				t.Errorf("return %d: %s took %s, more than %s", i, player, took, most[player])
			}
		}
	}
	numbers()
	for player, c := range screens {
		got := c.finish()
		require.Positive(t, got.AudioBytes, player)
	}
}

// TestPageOutlivesTheServer: kill -9 and restart while our page plays; the publisher comes back by itself, as encoders do.
func TestPageOutlivesTheServer(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	cam := film(t, s.rtmp, "outlive", stamp.Options{})
	s.waitLive("outlive")
	c := s.watch(t, "page", "outlive", faults...)
	c.awaitPlaying(20 * time.Second)
	for range times(1, 5) {
		last := s.media("outlive", "source").last
		waitFor(t, 15*time.Second, "two more segments", func() bool { return s.media("outlive", "source").last >= last+2 })
		s.stop(syscall.SIGKILL)
		cam.kill()
		killed := time.Now()
		c.await(10*time.Second, "the page to notice", func(now viewer.Sample) bool { return now.Phase != "playing" })
		s.start()
		cam = film(t, s.rtmp, "outlive", stamp.Options{})
		shown := c.awaitPictureAfter(killed, 20*time.Second)
		c.await(5*time.Second, "the page to play", func(now viewer.Sample) bool { return now.Phase == "playing" && now.Slate == "" })
		t.Logf("dark for %d ms", shown.Sub(killed).Milliseconds())
	}
	c.finish()
}

// TestPageFollowsATakeover: another encoder with another size takes the stream over while the first still sends.
func TestPageFollowsATakeover(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	film(t, s.rtmp, "take", stamp.Options{})
	s.waitLive("take")
	c := s.watch(t, "page", "take", faults...)
	c.awaitPlaying(20 * time.Second)
	now, _ := c.Last(0)
	require.Equal(t, 640, now.Width)
	film(t, s.rtmp, "take", stamp.Options{Width: 384, Height: 216, Bitrate: "400k"})
	began := time.Now()
	c.await(20*time.Second, "the other size", func(now viewer.Sample) bool { return now.Width == 384 })
	t.Logf("the other picture is there %d ms after its encoder's start", time.Since(began).Milliseconds())
	begun, _ := c.Last(0)
	c.await(15*time.Second, "three seconds of it", func(now viewer.Sample) bool { return now.Decoded > begun.Decoded+90 })
	c.finish()
}

// TestPageLivesThroughSessions: opened before anybody publishes, it starts by itself; it says when the broadcast is over and
// starts again with the next one.
func TestPageLivesThroughSessions(t *testing.T) {
	t.Parallel()
	s := startServer(t, "MEDIAD_INGEST_RESUME_WINDOW=2s")
	if r, _ := s.get("/live/later/index.m3u8"); r.StatusCode != http.StatusNotFound {
		t.Fatalf("a stream that nobody has published: %s", r.Status)
	}
	c := s.watch(t, "page", "later", faults...)
	c.await(15*time.Second, "the slate of a stream that nobody knows", func(now viewer.Sample) bool { return now.Slate == "unknown" })
	for range 2 {
		before, _ := c.Last(0)
		p := s.publish(t, "later", source{gop: 30})
		c.await(30*time.Second, "the picture", func(now viewer.Sample) bool {
			return now.Decoded > before.Decoded+30 && now.Phase == "playing" && now.Slate == ""
		})
		p.kill(syscall.SIGINT) // FFmpeg stops cleanly
		c.await(30*time.Second, "the slate that says it is over", func(now viewer.Sample) bool {
			return now.Phase == "ended" && now.Slate == "ended"
		})
	}
	c.finish()
}
