package live

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
)

func TestSlowEncoderGoesOnAtTheNextKeyFrameForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := connect(t, h, "a", obs).start(videoOnly())
		q := e.p.Session().Subscribe(EncoderPolicy)
		defer q.Close()
		for range 8 {
			e.mustSend(1200 * time.Millisecond)
			got := units(taken(q))
			require.LessOrEqual(t, len(got), 31, "never more than a second")
			if len(got) > 0 {
				require.True(t, got[0].RandomAccess)
			}
			e.mustSend(time.Second)
			taken(q)
		}
		require.Positive(t, q.Drops()[DropQueueFull])
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}

func TestKeyFrameIsAskedForAtMostTwiceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := onAir(t, h, "a", obs)
		s := e.p.Session()
		asked := 0
		for range 20 {
			s.AskKeyFrame()
			select {
			case <-e.p.KeyFrameAsked():
				asked++
			default:
			}
			time.Sleep(100 * time.Millisecond)
		}
		require.Equal(t, 4, asked)
		found, ok := h.Session("a")
		require.True(t, ok)
		require.Same(t, s, found)
		e.p.Close(ReasonConnectionLost)
		s.AskKeyFrame() // nobody is there to be asked
		_, ok = h.Session("a")
		require.True(t, ok, "it is held")
		require.NoError(t, h.End("a", ReasonEndedByOwner))
		_, ok = h.Session("a")
		require.False(t, ok)
		_, ok = h.Session("b")
		require.False(t, ok)
	})
}

func TestAlertsOfTheFigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{SoundConverted: true})
		tracks := both()
		tracks[media.Audio].Codec = media.Opus
		tracks[media.Video].FrameRate = media.Rational{Num: 30, Den: 1}
		tracks[media.Video].Width, tracks[media.Video].Height = 1920, 1080
		e := connect(t, h, "a", obs).start(tracks)
		e.mux(14*time.Second, 30, true, true)
		require.Equal(t, []AlertCode{AlertBitrateLow}, codes(statusOf(h)), "240 kbit/s at 1920x1080")
		since := statusOf(h).Alerts[0].Since
		e.mux(time.Second, 30, true, true)
		require.Equal(t, since, statusOf(h).Alerts[0].Since, "told since when")

		e.p.Repaired("rounded", 1)
		require.NotContains(t, codes(statusOf(h)), AlertTimestampsRepaired, "one is nothing to tell")
		for range repairedOften - 1 {
			e.p.Repaired("rounded", 1)
		}
		require.Contains(t, codes(statusOf(h)), AlertTimestampsRepaired)
		e.mux(31*time.Second, 30, true, true)
		require.NotContains(t, codes(statusOf(h)), AlertTimestampsRepaired)
		for range repairedOften {
			e.p.Repaired("rounded", 1)
			e.mux(7*time.Second, 30, true, true)
			require.NotContains(t, codes(statusOf(h)), AlertTimestampsRepaired, "now and then")
		}

		for _, gop := range []time.Duration{1, 2, 1, 2, 1, 2, 1} { // seconds; each mux begins with a key frame
			e.mux(gop*time.Second, 1000, true, true)
		}
		require.Contains(t, codes(statusOf(h)), AlertGOPIrregular)
		e.mux(8*time.Second, 30, true, true)
		require.NotContains(t, codes(statusOf(h)), AlertGOPIrregular)
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}

func TestAlertsSayWhatToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		tracks := both()
		tracks[media.Video].FrameRate = media.Rational{Num: 60, Den: 1} // and 30 come
		e := connect(t, h, "a", obs).start(tracks)
		e.mux(13*time.Second, 30, true, true)
		got := statusOf(h).Alerts
		require.Contains(t, codes(statusOf(h)), AlertFPSDrop)
		for _, a := range got {
			require.Contains(t, a.Advice, ". ", "what is so, and what to do")
			require.NotEmpty(t, a.Severity)
		}
		e.mux(2*time.Second, 30, false, true)
		require.NotContains(t, codes(statusOf(h)), AlertFPSDrop, "that nothing comes is another alert")
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}
