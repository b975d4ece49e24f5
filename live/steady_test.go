package live

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
)

// second sends one of video at 30 fps; its pictures have the given bytes, those of key frames others.
func (e *encoder) second(key bool, keySize, size int) {
	e.t.Helper()
	for n := range 30 {
		au := frame(e.from, n, key && n == 0)
		au.Data = make([]byte, size)
		if au.RandomAccess {
			au.Data = make([]byte, keySize)
		}
		require.NoError(e.t, e.p.Write(au))
		time.Sleep(time.Second / 30)
	}
	e.from += time.Second
}

// said are the lines of a log that have some words in them.
func said(log *strings.Builder, words string) (n int) {
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, words) {
			n++
		}
	}
	return n
}

func TestAlertsDoNotComeAndGoWithEachSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &strings.Builder{}
		h := running(t, Options{Log: slog.New(slog.NewTextHandler(log, nil))})
		e := connect(t, h, "a", obs).start(videoOnly())
		told := func(c AlertCode) bool {
			for _, a := range statusOf(h).Alerts {
				if a.Code == c {
					return true
				}
			}
			return false
		}
		// A still picture: most bits are in the key frame that each second second has.
		for n := range 40 {
			e.second(n%2 == 0, 200_000, 1000)
			require.False(t, told(AlertBitrateUnstable), "second %d", n)
		}
		// The network takes less than a third for a while.
		for n := range 8 {
			e.second(n%2 == 0, 60_000, 300)
		}
		require.True(t, told(AlertBitrateUnstable))
		for n := range 40 {
			e.second(n%2 == 1, 200_000, 1000)
		}
		require.False(t, told(AlertBitrateUnstable))

		s := e.p.Session()
		late := func(seconds int, lag ...time.Duration) (times int) {
			for n := range seconds {
				s.Encoding(lag[n%len(lag)], 0)
				e.second(n%2 == 0, 200_000, 1000)
				if told(AlertLadderLagging) {
					times++
				}
			}
			return times
		}
		const some, much = 100 * time.Millisecond, 600 * time.Millisecond
		require.Zero(t, late(20, some, much), "a moment")
		require.Positive(t, late(5, much))
		require.Equal(t, 20, late(20, much, some), "still the same trouble")
		late(12, some)
		require.False(t, told(AlertLadderLagging))
		require.NoError(t, h.End("a", ReasonEndedByOwner))
		synctest.Wait()
		for _, c := range []AlertCode{AlertBitrateUnstable, AlertLadderLagging} {
			require.Equal(t, 1, said(log, "alert="+string(c)+"\n")-said(log, `"stream alert is over" stream=a alert=`+string(c)), "%s\n%s", c, log)
			require.Equal(t, 1, said(log, `"stream alert is over" stream=a alert=`+string(c)), "%s\n%s", c, log)
		}
	})
}

func TestAlertSaysSinceWhenItsConditionHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := connect(t, h, "a", obs).start(videoOnly())
		e.second(true, 1000, 1000)
		from := time.Now()
		e.p.Session().Encoding(time.Second, 0)
		for range 5 {
			e.second(true, 1000, 1000)
		}
		alerts := statusOf(h).Alerts
		require.Equal(t, []AlertCode{AlertLadderLagging}, codes(statusOf(h)))
		require.InDelta(t, 0, alerts[0].Since.Sub(from).Seconds(), 1.1)
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}

func TestAlertPictureThatIsNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		tracks := both()
		tracks[media.Video].Codec = media.VP8
		e := connect(t, h, "a", Peer{Protocol: "whip", Remote: "192.0.2.1:1", Encoder: "Mozilla/5.0"}).start(tracks)
		e.mux(time.Second, 30, true, true)
		require.Empty(t, statusOf(h).Alerts, "a rung may stand in for it")
		e.p.Session().Unshown(statusOf(h).Epoch.ID)
		s := statusOf(h)
		require.Equal(t, []AlertCode{AlertCodecUnsupported}, codes(s))
		require.Equal(t, SeverityError, s.Alerts[0].Severity)
		require.Contains(t, s.Alerts[0].Advice, "a browser that has H.264")
		e.start(both())
		e.mux(time.Second, 30, true, true)
		require.Empty(t, statusOf(h).Alerts, "now it sends another")
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}

// TestRungsThatAreBackAreNotMissed: who reads that all are on is not told below it that some are not.
func TestRungsThatAreBackAreNotMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := connect(t, h, "a", obs).start(videoOnly())
		e.second(true, 1000, 1000)
		e.p.Session().Encoding(0, 2)
		require.Contains(t, codes(statusOf(h)), AlertRungShed)
		e.p.Session().Encoding(0, 1)
		require.Contains(t, codes(statusOf(h)), AlertRungShed)
		e.p.Session().Encoding(0, 0)
		require.NotContains(t, codes(statusOf(h)), AlertRungShed)
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}
