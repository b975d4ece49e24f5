//go:build e2e

package e2e

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/stamp"
	"mediad/internal/viewer"
)

// do lets the viewer act and returns when it was done.
func (c *screen) do(line string) time.Time {
	c.t.Helper()
	from := time.Now()
	require.NoError(c.t, c.Do(line))
	e, err := c.AwaitEvent(20*time.Second, line, func(e viewer.Event) bool {
		return e.At >= from.UnixMilli() && (e.Type == "did" && e.Text == line || e.Type == "problem" && strings.HasPrefix(e.Text, line))
	})
	require.NoError(c.t, err)
	require.Equal(c.t, "did", e.Type, e.Text)
	return e.Time()
}

// awaitSegments waits for so many more.
func (s *server) awaitSegments(stream string, n int) {
	s.t.Helper()
	from := s.media(stream, "source").last
	waitFor(s.t, time.Duration(n)*4*time.Second+20*time.Second, "more segments", func() bool { return s.media(stream, "source").last >= from+n })
}

// made is the stamp of the picture that is shown.
func made(now viewer.Sample) time.Time {
	if now.Made == nil {
		return time.Time{}
	}
	return time.UnixMilli(*now.Made)
}

// awaitLeap waits for the first picture of another time that is shown from a moment on.
func (c *screen) awaitLeap(from time.Time, within time.Duration, what string) viewer.Event {
	c.t.Helper()
	e, err := c.AwaitEvent(within, what, func(e viewer.Event) bool {
		return e.Type == "leap" && e.At >= from.UnixMilli()
	})
	require.NoError(c.t, err)
	return e
}

// TestPageSeeksInTheDVR: 20 s back from the live edge by the keys and by the bar, and back to it, each within 3 s to the picture;
// what is shown is of the moment that was asked for, and at the edge the delay is as low as before. Who leaves in the middle is
// offered to go on there.
func TestPageSeeksInTheDVR(t *testing.T) {
	long(t)
	s := startServer(t, "MEDIAD_HLS_WINDOW=12s")
	film(t, s.rtmp, "dvr", stamp.Options{})
	s.waitLive("dvr")
	s.awaitSegments("dvr", 20)
	c := s.watch(t, "page", "dvr", faults...)
	c.awaitPlaying(20 * time.Second)
	near := func(now viewer.Sample) bool { return now.Way == "live" && now.Latency != nil && *now.Latency < 3 }
	c.await(15*time.Second, "the live edge", near)
	c.await(15*time.Second, "the API to be known", func(now viewer.Sample) bool { return now.Decoded > 150 })
	found := regexp.MustCompile(`PART-HOLD-BACK=([\d.]+)`).FindStringSubmatch(s.media("dvr", "source").text)
	require.NotNil(t, found)
	holdBack, err := strconv.ParseFloat(found[1], 64)
	require.NoError(t, err)
	for i := range times(2, 5) {
		c.await(10*time.Second, "pictures at the edge", func(now viewer.Sample) bool { return near(now) && now.Delay != nil })
		before, _ := c.Last(0)
		asked := c.do("seek -20")
		c.await(10*time.Second, "the DVR", func(now viewer.Sample) bool { return now.Way == "dvr" })
		back := c.awaitLeap(asked, 10*time.Second, "the picture of 20 s ago")
		took := back.Time().Sub(asked)
		// The bar ends PART-HOLD-BACK behind the live edge; the page plays a little nearer or farther, as its badge tells.
		farther := time.Duration((*before.Latency - holdBack) * float64(time.Second))
		want := made(before).Add(asked.Sub(time.UnixMilli(before.Wall)) + farther - 20*time.Second)
		off := time.UnixMilli(back.Made).Sub(want)
		t.Logf("seek %d: back after %d ms, %d ms off", i, took.Milliseconds(), off.Milliseconds())
		require.Less(t, took, 3*time.Second, "to the picture of 20 s ago")
		require.Less(t, math.Abs(off.Seconds()), 0.5, "seconds from the moment that was asked for")
		c.await(10*time.Second, "two seconds of it", func(now viewer.Sample) bool {
			return made(now).After(time.UnixMilli(back.Made).Add(2*time.Second)) && now.Way == "dvr"
		})

		asked = c.do("click [data-tone=far]")
		live := c.awaitLeap(asked, 10*time.Second, "the live picture")
		took = live.Time().Sub(asked)
		t.Logf("live %d: after %d ms, %d ms behind", i, took.Milliseconds(), live.At-live.Made)
		require.Less(t, took, 3*time.Second, "to the live picture")
		c.await(5*time.Second, "low latency again", near)
	}

	// Left in the middle, more than half a minute from either end, it is offered to go on there.
	s.awaitSegments("dvr", 12)
	c.do("seek 33")
	c.await(10*time.Second, "the DVR", func(now viewer.Sample) bool { return now.Way == "dvr" && now.Phase == "playing" })
	c.await(10*time.Second, "pictures of then", func(now viewer.Sample) bool { return now.Delay != nil && *now.Delay > 30_000 })
	left, _ := c.Last(0)
	c.do("reload")
	c.await(20*time.Second, "the offer at the live edge", func(now viewer.Sample) bool {
		return now.Way == "live" && strings.HasPrefix(now.Resume, "Resume at 0:3")
	})
	c.do("click [data-resume] button")
	c.await(10*time.Second, "pictures of where it was left", func(now viewer.Sample) bool {
		return now.Way == "dvr" && math.Abs(made(now).Sub(made(left)).Seconds()) < 4
	})
	c.finish()
}

// TestPageGoesOnAfterALongPause: paused for longer than the live window, playback goes on with the next picture, by the DVR.
func TestPageGoesOnAfterALongPause(t *testing.T) {
	long(t)
	s := startServer(t, "MEDIAD_HLS_WINDOW=12s")
	film(t, s.rtmp, "pause", stamp.Options{})
	s.waitLive("pause")
	c := s.watch(t, "page", "pause", faults...)
	c.awaitPlaying(20 * time.Second)
	c.await(15*time.Second, "the API to be known", func(now viewer.Sample) bool { return now.Decoded > 150 })
	c.do("press k")
	c.await(5*time.Second, "the pause", func(now viewer.Sample) bool { return now.Paused })
	paused, _ := c.Last(0)
	last := s.media("pause", "source").last
	waitFor(t, time.Minute, "the window to pass", func() bool { return s.media("pause", "source").first > last+2 })
	c.do("press k")
	c.await(15*time.Second, "playback in the DVR", func(now viewer.Sample) bool {
		return now.Way == "dvr" && now.Phase == "playing" && made(now).After(made(paused).Add(2*time.Second))
	})
	for _, e := range c.Events() {
		if e.Type == "leap" {
			require.Less(t, e.Made-e.Before, int64(1500), "milliseconds of the stream that were skipped")
		}
	}
	c.finish()
}

// TestPageInTheDVRSurvives the publisher's loss and return, which is a new epoch, and the end of the broadcast: it is played to
// its last picture, and then the replay is offered.
func TestPageInTheDVRSurvives(t *testing.T) {
	long(t)
	s := startServer(t, "MEDIAD_HLS_WINDOW=12s", "MEDIAD_INGEST_RESUME_WINDOW=6s")
	cam := film(t, s.rtmp, "survive", stamp.Options{})
	s.waitLive("survive")
	s.awaitSegments("survive", 16)
	c := s.watch(t, "page", "survive", faults...)
	c.awaitPlaying(20 * time.Second)
	c.await(15*time.Second, "the API to be known", func(now viewer.Sample) bool { return now.Decoded > 150 })
	c.do("seek -15")
	c.await(15*time.Second, "the DVR", func(now viewer.Sample) bool { return now.Way == "dvr" && now.Phase == "playing" })
	cam.kill()
	killed := time.Now()
	cam = film(t, s.rtmp, "survive", stamp.Options{})
	c.await(60*time.Second, "the pictures after the return", func(now viewer.Sample) bool {
		return now.Way == "dvr" && now.Phase == "playing" && made(now).After(killed.Add(2*time.Second))
	})
	cam.kill()
	over := time.Now()
	c.await(90*time.Second, "the last picture, and the slate", func(now viewer.Sample) bool {
		return now.Way == "dvr" && now.Phase == "ended" && now.Slate == "ended"
	})
	end, _ := c.Last(0)
	require.Less(t, over.Sub(made(end)).Seconds(), 2.5, "seconds of the broadcast that were not shown")
	c.await(30*time.Second, "the replay to be offered", func(now viewer.Sample) bool { return strings.HasPrefix(now.Replay, "/video/") })
	c.do("click .player [data-replay]")
	c.await(20*time.Second, "the replay", func(now viewer.Sample) bool {
		return now.Way == "video" && now.Phase == "playing" && strings.HasPrefix(now.Path, "/video/")
	})
	c.finish()
}

// TestPagePlaysAReplay: from its start to its end at twice the speed, from ?t=, and on from where it was left.
func TestPagePlaysAReplay(t *testing.T) {
	long(t)
	s := startServer(t, "MEDIAD_INGEST_RESUME_WINDOW=2s")
	p := s.publish(t, "past", source{})
	s.waitLive("past")
	s.awaitSegments("past", 36)
	p.kill(syscall.SIGTERM)
	id := s.replay(t, "past", 20*time.Second)
	length := s.json("/api/v1/videos/" + id)["duration_ms"].(float64) / 1000
	require.Greater(t, length, 68.0)

	c := s.watch(t, "page", "/video/"+id+"?t=40", faults...)
	c.await(20*time.Second, "playback from ?t=", func(now viewer.Sample) bool { return now.Phase == "playing" && now.CurrentTime > 41 })
	for _, e := range c.Events() {
		require.NotEqual(t, "problem", e.Type, e.Text)
	}
	first, _ := c.Last(0)
	require.Less(t, first.CurrentTime, 60.0)

	c.do("seek 33")
	c.await(10*time.Second, "the place", func(now viewer.Sample) bool {
		return now.Phase == "playing" && now.CurrentTime > 35 && now.CurrentTime < 40
	})
	c.do("goto " + s.url("/video/"+id))
	c.await(20*time.Second, "playback where it was left", func(now viewer.Sample) bool {
		return now.Path == "/video/"+id && now.Phase == "playing" && now.Resume != "" && now.CurrentTime > 32 && now.CurrentTime < 45
	})
	c.do("click [data-resume] button")
	c.await(10*time.Second, "the start", func(now viewer.Sample) bool { return now.Phase == "playing" && now.CurrentTime < 5 })
	for range 3 { // steps from 1 to 2 times as fast
		c.do("press >")
	}
	c.await(10*time.Second, "twice the speed", func(now viewer.Sample) bool { return now.Rate == 2 && now.Phase == "playing" })
	c.await(time.Duration(length+30)*time.Second, "its end", func(now viewer.Sample) bool {
		return now.Phase == "ended" && math.Abs(now.CurrentTime-length) < 0.5
	})
	c.do("reload")
	c.await(20*time.Second, "the start, since it was seen to its end", func(now viewer.Sample) bool {
		return now.Phase == "playing" && now.CurrentTime > 0.2 && now.CurrentTime < 6 && now.Resume == ""
	})
	c.finish()
}
