package rtsp

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/pion/rtcp"
	"github.com/stretchr/testify/require"

	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
)

func TestPaths(t *testing.T) {
	for path, want := range map[string]string{
		"/live/key": "key", "/live/key/": "key", "/live/a.b-c_1": "a.b-c_1", "/live/日本": "日本",
		"/live/": "", "/live": "", "/live//": "", "/live/a/b": "", "/other/key": "", "live/key": "", "": "", "/live/a\x00b": "",
		"/live/" + strings.Repeat("k", maxName+1): "", "/live/\xff": "",
	} {
		got, err := parsePath(path)
		require.Equal(t, want, got, path)
		require.Equal(t, want == "", err != nil, path)
	}
	require.Equal(t, "abc", tokenOf("x=1&token=abc"))
	require.Equal(t, "abc", tokenOf("token=abc/"), "clients put a slash behind a query")
	require.Empty(t, tokenOf("%zz"))
	require.Empty(t, tokenOf("token="+strings.Repeat("x", maxToken+1)))
	require.Equal(t, "test  client", cleanName("test \x00 client\n"))
}

func TestEveryReasonHasAStatus(t *testing.T) {
	want := map[live.Reason]base.StatusCode{
		live.ReasonStreamKeyInvalid: 401, live.ReasonNotLive: 404, live.ReasonStreamDisabled: 403, live.ReasonKeyRevoked: 403,
		live.ReasonEndedByAdmin: 403, live.ReasonEndedByOwner: 403, live.ReasonTwoPublishers: 455, live.ReasonReplaced: 455,
		live.ReasonPolicyLimit: 453, live.ReasonBitrateTooHigh: 453, live.ReasonTooSlow: 453, live.ReasonCodecUnsupported: 415,
		live.ReasonMediaInvalid: 415, live.ReasonFrameTooLarge: 413, live.ReasonAuthUnavailable: 503, live.ReasonOverloaded: 503,
		live.ReasonShuttingDown: 503, live.ReasonServerShutdown: 503, live.ReasonConnectionLost: 408, live.ReasonReadTimeout: 408,
		live.ReasonNoMedia: 408, live.ReasonResumeTimeout: 408, live.ReasonProtocolError: 400, live.ReasonPublisherStopped: 410,
		live.ReasonIngestError: 500, live.ReasonHookUnavailable: 503, live.ReasonViewerLeft: 410, live.ReasonRefusedBySite: 403, live.ReasonUnspecified: 500,
		live.ReasonTokenInvalid: 403, live.ReasonTokenExpired: 403, live.ReasonRightsChanged: 403,
	}
	for _, r := range live.Reasons() {
		require.Contains(t, want, r, "a new reason needs a status")
		require.Equal(t, want[r], statusOf(r), r)
		res := respond(r)
		require.Equal(t, r.Text(), res.StatusMessage)
		_, err := res.Marshal()
		require.NoError(t, err)
	}
	wrong := refusal(live.Refuse(live.ReasonStreamKeyInvalid, nil))
	for _, r := range []live.Reason{live.ReasonKeyRevoked, live.ReasonStreamDisabled} {
		require.Equal(t, wrong, refusal(live.Refuse(r, nil)), "all that is wrong with a key sounds alike")
	}
	require.NotEqual(t, wrong, refusal(live.Refuse(live.ReasonRefusedBySite, nil)), "the key is good")
	require.EqualValues(t, 500, refusal(errors.New("no reason")).StatusCode)
}

func TestDecodeTimesRunOnThePicturesOwnTimes(t *testing.T) {
	for _, b := range []int{0, 1, 2} {
		video, _, units := mediatest.Encoded(t, mediatest.EncodedPattern{FPS: ntsc, BFrames: b, GOP: 30, NoAudio: true})
		sps, _ := video.H264ParameterSets()
		_, known := reorderDepth(media.H264, sps[0])
		require.True(t, known)
		for name, times := range map[string]decodeTimes{"parameter set": newDecodeTimes(video, sps[0]), "slices": bySlices(t, video, sps[0])} {
			last := media.Ticks(-1 << 40)
			for i, au := range units {
				dts, err := times.dts(nalsOf(au.Data), au.PTS)
				if err != nil && name == "slices" && i < 4 {
					continue // until it knows that pictures are reordered
				}
				require.NoError(t, err, "%s: %d B-frames, picture %d", name, b, i)
				require.Greater(t, dts, last)
				require.LessOrEqual(t, dts, au.PTS)
				if name == "parameter set" && i > 0 {
					require.InDelta(t, 3003, int(dts-last), 1, "picture %d", i)
				}
				last = dts
			}
		}
	}
}

// bySlices is what is done where the parameter set does not tell.
func bySlices(t *testing.T, video *media.Track, sps []byte) decodeTimes {
	blind := *video
	blind.Codec = media.H264
	times := newDecodeTimes(&blind, append([]byte{sps[0]}, 0xFF))
	p, ok := times.(*pictureOrder)
	require.True(t, ok)
	p.sps = sps
	return p
}

func TestReorderOutOfOrder(t *testing.T) {
	r := &reorder{depth: 1, frame: 3000}
	for _, pts := range []media.Ticks{90000, 99000, 93000, 96000} {
		_, err := r.dts(nil, pts)
		require.NoError(t, err)
	}
	_, err := r.dts(nil, 91000) // shown before what was decoded for it
	require.ErrorIs(t, err, errOrder)
	dts, err := r.dts(nil, 90000*3600) // the clock jumped
	require.NoError(t, err)
	require.EqualValues(t, 90000*3600-r.depth*3000, dts)
	// Whatever comes, DTS rises and PTS is not before it.
	rnd := rand.New(rand.NewPCG(1, 2))
	last := dts
	for range 10000 {
		pts := last + media.Ticks(rnd.IntN(30000)) - 3000
		if dts, err := r.dts(nil, pts); err == nil {
			require.Greater(t, dts, last)
			require.LessOrEqual(t, dts, pts)
			last = dts
		}
	}
}

func TestADepthThatIsToldTooSmallCostsAFewPictures(t *testing.T) {
	for _, b := range []int{1, 2, 4} {
		units := mediatest.Video(mediatest.VideoPattern{Frames: 300, GOP: 60, BFrames: b, Start: 900000})
		r, lost, last := &reorder{frame: 3000}, 0, media.Ticks(0)
		for i, au := range units {
			dts, err := r.dts(nil, au.PTS)
			if err != nil {
				lost++
				require.Less(t, i, 30)
				continue
			}
			require.Greater(t, dts, last)
			require.LessOrEqual(t, dts, au.PTS)
			last = dts
		}
		require.LessOrEqual(t, lost, b)
	}
}

// wall is a sender report that says that timestamp is at a moment of the sender's clock.
func wall(at time.Duration, timestamp uint32) *rtcp.SenderReport {
	const y2020 = 3786825600
	at += y2020 * time.Second
	return &rtcp.SenderReport{NTPTime: uint64(at/time.Second)<<32 | uint64(at%time.Second)<<32/uint64(time.Second), RTPTime: timestamp}
}

func newTimeline() *timeline {
	l := &timeline{}
	l.setRate(media.Video, 90000)
	l.setRate(media.Audio, 48000)
	return l
}

func TestTracksLieWhereTheyArriveUntilReportsCome(t *testing.T) {
	l := newTimeline()
	const v, a = 0xFFFFFF00, 1000 // video wraps
	require.EqualValues(t, 90000, l.place(media.Video, v, 0))
	require.EqualValues(t, 48000+4800, l.place(media.Audio, a, 100*time.Millisecond))
	// In truth the sound is 250 ms late: it belongs to the first picture.
	l.report(media.Video, wall(0, v))
	require.EqualValues(t, 48000+4800, l.place(media.Audio, a, 100*time.Millisecond), "one report says nothing")
	l.report(media.Audio, wall(-150*time.Millisecond, a))
	require.InDelta(t, 48000-7200, int(l.place(media.Audio, a, 100*time.Millisecond)), 1)
	wrapped := uint32(v)
	wrapped += 90000
	require.EqualValues(t, 180000, l.place(media.Video, wrapped, time.Second), "the picture stays where it is")
}

func TestReportsThatComeFirstAreHeeded(t *testing.T) {
	l := newTimeline()
	l.report(media.Video, wall(0, 5000))
	l.report(media.Audio, wall(0, 7000))
	require.EqualValues(t, 90000, l.place(media.Video, 5000, 0))
	require.InDelta(t, 48000+4800, int(l.place(media.Audio, 7000+4800, 0)), 1, "100 ms behind the picture, though it arrived with it")
	l = newTimeline()
	l.report(media.Video, wall(0, 5000))
	l.report(media.Audio, wall(0, 7000))
	require.EqualValues(t, 48000, l.place(media.Audio, 7000, 0))
	require.InDelta(t, 90000+9000, int(l.place(media.Video, 5000+9000, 0)), 1)
}

func TestAClockThatIsSetMovesNothing(t *testing.T) {
	l := newTimeline()
	v, a := uint32(0), uint32(0)
	place := func() media.Ticks {
		l.place(media.Video, v, l.clocks[0].rate.Duration(media.Ticks(v)))
		return l.place(media.Audio, a, l.clocks[1].rate.Duration(media.Ticks(a)))
	}
	place()
	var set time.Duration
	for i := range 20 {
		v, a = v+90000, a+48000
		at := time.Duration(i+1) * time.Second
		l.report(media.Video, wall(at+set, v))
		if i == 10 {
			set = 3 * time.Second // between the two reports
		}
		l.report(media.Audio, wall(at+set, a))
		require.EqualValues(t, 48000+a, place(), "second %d", i)
	}
	// A drift is followed, once two reports agree.
	for i := range 3 {
		l.report(media.Video, wall(time.Hour, v))
		l.report(media.Audio, wall(time.Hour+50*time.Millisecond, a))
		require.InDelta(t, int(48000+a+[]uint32{0, 2400, 2400}[i]), int(place()), 1)
	}
	// Clocks that differ by years say nothing.
	l.report(media.Video, wall(0, v))
	l.report(media.Audio, wall(20*time.Hour, a))
	require.InDelta(t, int(48000+a+2400), int(place()), 1)
}

func TestASourceWhoseClockJumpsIsPutBack(t *testing.T) {
	l := newTimeline()
	l.place(media.Video, 0, 0)
	l.report(media.Video, wall(0, 0))
	require.EqualValues(t, 2*90000, l.place(media.Video, 90000*3600, time.Second))
	require.EqualValues(t, 3*90000, l.place(media.Video, 90000*3601, 2*time.Second))
}

func TestRTCPHasThePortBehind(t *testing.T) {
	for addr, want := range map[string]string{":8000": ":8001", "[::1]:9000": "[::1]:9001", ":8001": "", ":0": "", "8000": "", ":99998": ""} {
		got, err := rtcpAddr(addr)
		require.Equal(t, want, got)
		require.Equal(t, want == "", err != nil, addr)
	}
	_, err := New(Options{})
	require.Error(t, err)
	_, err = New(Options{Admit: ToHub(nil, feedOptions()), WriteQueue: 100})
	require.Error(t, err)
	_, err = New(Options{Admit: ToHub(nil, feedOptions()), UDPAddr: ":8001"})
	require.Error(t, err)
}

func TestTally(t *testing.T) {
	c := tally{max: 3, maxPerAddr: 2, byAddr: map[netip.Prefix]int{}}
	a, b := netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("10.0.0.2/32")
	require.True(t, c.enter(a))
	require.True(t, c.enter(a))
	require.False(t, c.enter(a))
	require.True(t, c.enter(b))
	require.False(t, c.enter(b))
	c.leave(a)
	require.True(t, c.enter(b))
	require.Equal(t, 3, c.count())
}
