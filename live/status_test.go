package live

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
)

// mux writes what comes of a source in order of time: 30 fps with a key frame each gop pictures, and 48 kHz sound.
func (e *encoder) mux(d time.Duration, gop int, video, audio bool) {
	e.t.Helper()
	audioFrames := 0
	for n := range int((d + time.Millisecond) * 30 / time.Second) {
		if video {
			au := frame(e.from, n, n%gop == 0)
			au.OpenGOP = au.RandomAccess && e.open
			require.NoError(e.t, e.p.Write(au))
		}
		for ; audio && audioFrames*1024*30 < n*48000; audioFrames++ {
			require.NoError(e.t, e.p.Write(sound(e.from, audioFrames)))
		}
		time.Sleep(time.Second / 30)
	}
	e.from += d
}

func codes(s Status) (out []AlertCode) {
	for _, a := range s.Alerts {
		out = append(out, a.Code)
	}
	return out
}

func TestFigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := connect(t, h, "a", obs).start(both())
		e.mux(12*time.Second, 60, true, true)
		s := statusOf(h)
		require.Equal(t, StateLive, s.State)
		require.Equal(t, "id-a", s.StreamID)
		require.Equal(t, "key-a", s.KeyID)
		require.Equal(t, "rtmp", s.Protocol)
		require.Equal(t, 1, s.Epochs)
		require.Equal(t, 1280, s.Tracks[media.Video].Width)
		require.InDelta(t, 30, s.Video.FPS, 0.001)
		require.InEpsilon(t, 30*1000*8, s.Video.Bitrate.Last1s, 0.05)
		require.InEpsilon(t, 30*1000*8, s.Video.Bitrate.Last10s, 0.01)
		require.InEpsilon(t, 46.875*300*8, s.Audio.Bitrate.Last10s, 0.02)
		require.Equal(t, 2*time.Second, s.Video.LastGOP)
		require.Equal(t, 2*time.Second, s.Video.MeanGOP)
		require.Equal(t, 2*time.Second, s.Video.MaxGOP)
		require.Zero(t, s.Video.BFrames)
		require.InDelta(t, 0, float64(s.AVOffset), float64(50*time.Millisecond))
		require.EqualValues(t, 360, s.Video.Frames)
		require.InDelta(t, float64(12*time.Second), float64(s.MediaEnd), float64(50*time.Millisecond))
		require.Empty(t, s.Alerts)
		require.Len(t, h.Live(), 1)

		e.p.SetEncoder("obs-output module (libobs version 29.0.2)")
		require.Equal(t, "obs-output module (libobs version 29.0.2)", statusOf(h).Encoder)
		e.p.Repaired("rounded", 3)
		require.NoError(t, e.p.Write(frame(0, 0, true))) // back by hours
		s = statusOf(h)
		require.EqualValues(t, 3, s.Repairs)
		require.EqualValues(t, 1, s.Drops[DropNotMonotone])
		require.EqualValues(t, 1, s.Drops.Total())

		time.Sleep(5 * time.Second)
		s = statusOf(h)
		require.Zero(t, s.Video.FPS)
		require.Zero(t, s.Video.Bitrate.Last1s)
		require.InEpsilon(t, 30*1000*8/2, s.Video.Bitrate.Last10s, 0.05)
		require.NoError(t, h.End("a", ReasonEndedByOwner))
		require.Empty(t, h.Live())
	})
}

func TestBFramesAreSeen(t *testing.T) {
	p := newPictures(videoTrack(), 2*time.Second)
	// Shown: I0 B2 B3 B4 P1, decoded I P B B B.
	for gop := range media.Ticks(3) {
		for i, pts := range []media.Ticks{0, 4, 1, 2, 3} {
			dts := gop*5 + media.Ticks(i)
			p.add(&media.AccessUnit{DTS: dts * 3000, PTS: (gop*5 + pts + 1) * 3000, RandomAccess: i == 0}, 0)
		}
	}
	require.Equal(t, 3, p.bFrames)
	require.InDelta(t, 30, p.fps(), 0.001)
}

func TestFPSOfSlowSources(t *testing.T) {
	p := newPictures(videoTrack(), 2*time.Second)
	require.Zero(t, p.fps())
	p.add(&media.AccessUnit{}, 0)
	require.Zero(t, p.fps())
	p.add(&media.AccessUnit{DTS: 5 * 90000, PTS: 5 * 90000}, 0)
	require.InDelta(t, 0.2, p.fps(), 0.001, "a picture each five seconds")
}

func TestAlertGOPTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := connect(t, h, "a", obs).start(videoOnly())
		e.mux(2400*time.Millisecond, 1000, true, false)
		require.Empty(t, statusOf(h).Alerts)
		from := time.Now()
		e.mux(7*time.Second, 1000, true, false) // begins with a key frame: 2.4 s is well
		alerts := statusOf(h).Alerts
		require.Len(t, alerts, 1)
		require.Equal(t, AlertGOPTooLong, alerts[0].Code)
		require.Equal(t, SeverityWarning, alerts[0].Severity)
		require.Contains(t, alerts[0].Advice, "Settings → Output → Advanced → Keyframe Interval")
		require.InDelta(t, 2500, alerts[0].Since.Sub(from).Milliseconds(), 100)
		e.mux(2*time.Second, 30, true, false) // its first key frame ends a GOP of 7 s
		require.Empty(t, statusOf(h).Alerts, "the setting was changed")
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}

func TestAlertOfOpenGOPs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := connect(t, h, "a", obs).start(videoOnly())
		e.mux(2*time.Second, 30, true, false)
		require.Empty(t, statusOf(h).Alerts)
		e.open = true
		e.mux(2*time.Second, 30, true, false)
		alerts := statusOf(h).Alerts
		require.Len(t, alerts, 1)
		require.Equal(t, AlertGOPTooLong, alerts[0].Code)
		require.Contains(t, alerts[0].Advice, "open-gop")
		e.open = false
		e.mux(2*time.Second, 30, true, false)
		require.Empty(t, statusOf(h).Alerts, "the setting was changed")
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}

func TestAlertNetworkLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := connect(t, h, "a", obs).start(videoOnly())
		e.mux(time.Second, 30, true, false)
		require.Nil(t, statusOf(h).Network, "nobody has told")
		e.p.Network(Network{Packets: 1000, Lost: 10, RTT: 30 * time.Millisecond})
		s := statusOf(h)
		require.InDelta(t, 0.01, s.Network.LostShare, 1e-9)
		require.Equal(t, 30*time.Millisecond, s.Network.RTT)
		require.Empty(t, s.Alerts, "a little that is mended is usual")

		e.p.Network(Network{Packets: 2000, Lost: 60})
		s = statusOf(h)
		require.Equal(t, []AlertCode{AlertNetworkLoss}, codes(s))
		require.Equal(t, SeverityInfo, s.Alerts[0].Severity, "it is mended")

		e.p.Network(Network{Packets: 3000, Lost: 61, Missing: 4})
		s = statusOf(h)
		require.Equal(t, SeverityWarning, s.Alerts[0].Severity)
		require.Contains(t, s.Alerts[0].Advice, "latency")

		for i := range 12 {
			e.mux(time.Second, 30, true, false)
			e.p.Network(Network{Packets: uint64(4000 + 1000*i), Lost: 61, Missing: 4})
		}
		require.Empty(t, statusOf(h).Alerts, "it is over")
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}

func TestAlertsOfATrackThatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := connect(t, h, "a", obs).start(both())
		e.mux(time.Second, 30, true, true)
		e.mux(2900*time.Millisecond, 30, true, false)
		require.Empty(t, statusOf(h).Alerts)
		e.mux(time.Second, 30, true, false)
		require.Equal(t, []AlertCode{AlertAudioMissing}, codes(statusOf(h)))
		require.InDelta(t, 1000, statusOf(h).Alerts[0].Since.Sub(statusOf(h).StartedAt).Milliseconds(), 100)
		e.mux(time.Second, 30, true, true)
		require.Empty(t, statusOf(h).Alerts)
		e.mux(4*time.Second, 30, false, true)
		require.Equal(t, []AlertCode{AlertVideoMissing}, codes(statusOf(h)))
		time.Sleep(2 * time.Second)
		require.Empty(t, statusOf(h).Alerts, "nothing at all is another matter")
		e.start(videoOnly())
		e.mux(4*time.Second, 30, true, false)
		require.Equal(t, []AlertCode{AlertAudioMissing}, codes(statusOf(h)), "the session had sound")
		e.p.Close(ReasonConnectionLost)
		require.Empty(t, statusOf(h).Alerts)
		require.NoError(t, h.End("a", ReasonEndedByOwner))

		e = connect(t, h, "a", obs).start(videoOnly())
		e.mux(10*time.Second, 30, true, false)
		require.Empty(t, statusOf(h).Alerts, "silent by choice")
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}

func TestAlertOpusIsNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		tracks := both()
		tracks[media.Audio].Codec = media.Opus
		e := connect(t, h, "a", obs).start(tracks)
		e.mux(time.Second, 30, true, true)
		require.Equal(t, []AlertCode{AlertCodecUnsupported}, codes(statusOf(h)))
		require.NoError(t, h.End("a", ReasonEndedByOwner))
	})
}

func TestStartEpochRefusesWhatIsNoTrack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := running(t, Options{})
		e := connect(t, h, "a", obs)
		require.Equal(t, ReasonMediaInvalid, ReasonOf(e.p.Write(frame(0, 0, true))), "no epoch yet")
		for _, tracks := range [][media.Kinds]*media.Track{{}, {audioTrack(), videoTrack()}, {media.Video: &media.Track{}}} {
			require.Equal(t, ReasonMediaInvalid, ReasonOf(e.p.StartEpoch(tracks, 0, time.Now(), "test")))
		}
		require.Equal(t, StateStarting, state(h, "a"))
		e.p.Close(ReasonMediaInvalid)
	})
}

func TestRateOverTime(t *testing.T) {
	var r rate
	require.Zero(t, r.perSecond(time.Second, time.Hour))
	for at := time.Hour; at < time.Hour+5*time.Second; at += 10 * time.Millisecond {
		r.add(125, at)
	}
	end := time.Hour + 5*time.Second
	require.EqualValues(t, 100_000, r.perSecond(time.Second, end))
	require.EqualValues(t, 100_000, r.perSecond(10*time.Second, end), "what there is of ten seconds")
	require.EqualValues(t, 50_000, r.perSecond(time.Second, end+500*time.Millisecond))
	require.Zero(t, r.perSecond(10*time.Second, end+time.Hour))
	r.add(125, end+time.Hour)
	require.Zero(t, r.perSecond(time.Second, end+time.Hour))
	require.EqualValues(t, 1000, r.perSecond(time.Second, end+time.Hour+100*time.Millisecond))
}
