package whep

import (
	"net/http"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
)

func TestJoinPlaysOffTheLastGOPThenLive(t *testing.T) {
	s := newSite(t, Options{})
	track, units := pattern(60, 30)
	pub := s.publish("main", videoOf(track))
	pub.write(units[:45]...) // the second key frame is number 30
	p := newPeer(t, videoKind, audioKind)
	require.Equal(t, http.StatusCreated, p.play(s, "main").StatusCode)
	testx.WaitFor(t, "the last GOP", func() bool { return p.seen() == 15 })
	pub.write(units[45:]...)
	testx.WaitFor(t, "live pictures", func() bool { return p.seen() == 30 })

	p.mu.Lock()
	defer p.mu.Unlock()
	for i, got := range p.pictures {
		require.Equal(t, wantPicture(track, units[30+i]), got, "picture %d", i)
	}
	for i := 1; i < 15; i++ {
		require.Equal(t, uint32(replayStep), p.stamps[i]-p.stamps[i-1], "what was there is played off")
	}
	for i := 15; i < 30; i++ {
		require.Equal(t, uint32(3000), p.stamps[i]-p.stamps[i-1], "what comes keeps its time")
	}
	for i := 1; i < len(p.seqs); i++ {
		require.Equal(t, p.seqs[i-1]+1, p.seqs[i])
	}
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	require.Len(t, s.watch.first, 1)
	require.Less(t, s.watch.first[0], 5*time.Second)
}

func TestLostPacketsAreSentAgain(t *testing.T) {
	s := newSite(t, Options{})
	track, units := pattern(150, 30)
	pub := s.publish("main", videoOf(track))
	pub.write(units[:10]...)
	p := newPeer(t, videoKind)
	p.drop = func(n int) bool { return n > 3 && n%7 == 0 && n < 250 }
	p.play(s, "main")
	testx.WaitFor(t, "the beginning", func() bool { return p.seen() > 3 })
	for i := 10; i < len(units); i++ {
		pub.write(units[i])
		if i%5 == 0 {
			testx.WaitFor(t, "pictures", func() bool { return p.seen() >= i-5 })
		}
	}
	testx.WaitFor(t, "every picture", func() bool { return p.seen() == 150 })
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range units {
		require.Equal(t, wantPicture(track, units[i]), p.pictures[i], "picture %d", i)
	}
}

func TestViewersGoOnWithTheNextPublisher(t *testing.T) {
	s := newSite(t, Options{})
	track, units := pattern(40, 10)
	pub := s.publish("main", videoOf(track))
	pub.write(units[:15]...)
	p := newPeer(t, videoKind)
	p.play(s, "main")
	testx.WaitFor(t, "pictures", func() bool { return p.seen() == 5 })
	pub.p.Close(live.ReasonConnectionLost)

	other := mediatest.H264Track(1280, 720, 30, 1)
	again := s.publish("main", videoOf(other))
	again.write(units[:20]...)
	testx.WaitFor(t, "pictures of the next publisher", func() bool { return p.seen() == 25 })
	p.mu.Lock()
	defer p.mu.Unlock()
	require.Equal(t, wantPicture(other, units[0]), p.pictures[5], "with its own parameter sets")
	require.GreaterOrEqual(t, int32(p.stamps[5]-p.stamps[4]), int32(3000), "time goes on")
	require.Equal(t, 1, s.whep.Viewers("main"))
}

func TestSessionEndEndsViewers(t *testing.T) {
	s := newSite(t, Options{})
	track, units := pattern(10, 10)
	pub := s.publish("main", videoOf(track))
	pub.write(units...)
	p := newPeer(t, videoKind)
	p.play(s, "main")
	testx.WaitFor(t, "pictures", func() bool { return p.seen() == 10 })
	require.NoError(t, s.hub.End("main", live.ReasonEndedByOwner))
	testx.WaitFor(t, "the viewer's end", func() bool { return len(s.watch.reasons()) == 1 })
	require.Equal(t, live.ReasonEndedByOwner, s.watch.reasons()[0])
	require.Zero(t, s.whep.Viewers("main"))
	res, _ := request(t, http.MethodDelete, s.url+p.location, "", "")
	require.Equal(t, http.StatusNotFound, res.StatusCode)
}

func TestBFramesAreRefused(t *testing.T) {
	s := newSite(t, Options{})
	track := mediatest.H264Track(640, 360, 30, 1)
	pub := s.publish("main", videoOf(track))
	pub.write(mediatest.Video(mediatest.VideoPattern{Frames: 20, BFrames: 2})...)
	p := newPeer(t, videoKind)
	res, body := request(t, http.MethodPost, s.url+"/whep/main", "application/sdp", p.offer())
	require.Equal(t, http.StatusUnprocessableEntity, res.StatusCode)
	require.Contains(t, body, `"code":"b_frames"`)
}

func TestBFramesThatComeLaterEndViewers(t *testing.T) {
	s := newSite(t, Options{})
	track, units := pattern(10, 10)
	pub := s.publish("main", videoOf(track))
	pub.write(units...)
	p := newPeer(t, videoKind)
	p.play(s, "main")
	testx.WaitFor(t, "pictures", func() bool { return p.seen() == 10 })
	pub.p.Close(live.ReasonConnectionLost)
	again := s.publish("main", videoOf(track))
	again.write(mediatest.Video(mediatest.VideoPattern{Frames: 20, BFrames: 2})...)
	testx.WaitFor(t, "the viewer's end", func() bool { return len(s.watch.reasons()) == 1 })
	require.Equal(t, live.ReasonCodecUnsupported, s.watch.reasons()[0])
	require.Equal(t, 10, p.seen())
}

// TestAnotherCodecEndsViewers: who comes for it is told why, and who comes when it is gone is let in again.
func TestAnotherCodecEndsViewers(t *testing.T) {
	s := newSite(t, Options{})
	track, units := pattern(10, 10)
	pub := s.publish("main", videoOf(track))
	pub.write(units...)
	p := newPeer(t, videoKind)
	p.play(s, "main")
	testx.WaitFor(t, "pictures", func() bool { return p.seen() == 10 })
	pub.p.Close(live.ReasonConnectionLost)

	vp9, err := media.NewVP9([]byte{0, 31, 0x82, 1, 1, 1, 0, 0})
	require.NoError(t, err)
	other := s.publish("main", videoOf(vp9.WithSize(640, 360)))
	testx.WaitFor(t, "the viewer's end", func() bool { return len(s.watch.reasons()) == 1 })
	require.Equal(t, live.ReasonCodecUnsupported, s.watch.reasons()[0])
	res, body := request(t, http.MethodPost, s.url+"/whep/main", "application/sdp", newPeer(t, videoKind).offer())
	require.Equal(t, http.StatusUnprocessableEntity, res.StatusCode)
	require.Contains(t, body, `"code":"codec_unsupported"`)
	other.p.Close(live.ReasonConnectionLost)

	s.publish("main", videoOf(track)).write(units...)
	again := newPeer(t, videoKind)
	testx.WaitFor(t, "to be let in", func() bool { return again.play(s, "main").StatusCode == http.StatusCreated })
	testx.WaitFor(t, "pictures", func() bool { return again.seen() == 10 })
}

func TestOpusIsHeardInTime(t *testing.T) {
	s := newSite(t, Options{})
	vt, video := pattern(90, 30)
	at := mediatest.OpusTrack()
	sound := mediatest.Audio(mediatest.AudioPattern{Track: at, Frames: 150})
	units := mediatest.Interleave(vt, at, video, sound)
	pub := s.publish("main", [media.Kinds]*media.Track{vt, at})
	pub.write(units[:50]...)
	p := newPeer(t, videoKind, audioKind)
	p.play(s, "main")
	testx.WaitFor(t, "pictures", func() bool { return p.seen() > 0 })
	testx.WaitFor(t, "sound", func() bool { return p.heard() > 0 })
	pictures := 0
	for i, au := range units {
		if au.Kind == media.Video {
			pictures++
		}
		if i < 50 {
			continue
		}
		pub.write(au) // slowly: lost sound is not sent again
		if i%10 == 0 {
			testx.WaitFor(t, "pictures", func() bool { return p.seen() >= pictures-1 })
		}
	}
	testx.WaitFor(t, "every picture", func() bool { return p.seen() == pictures })
	testx.WaitFor(t, "all sound", func() bool { return p.heard() >= 118 })
	testx.WaitFor(t, "reports of both tracks", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.reports) >= 4
	})

	// By the reports the last picture and the last sound are as far apart as their units are.
	p.mu.Lock()
	defer p.mu.Unlock()
	var v, a *rtcp.SenderReport
	for _, tr := range p.pc.GetReceivers() {
		for _, r := range p.reports {
			if uint32(tr.Track().SSRC()) != r.SSRC {
				continue
			}
			if tr.Track().Kind() == videoKind {
				v = r
			} else {
				a = r
			}
		}
	}
	require.NotNil(t, v)
	require.NotNil(t, a)
	wall := func(r *rtcp.SenderReport, ts uint32, clock media.Timescale) float64 {
		return float64(r.NTPTime)/(1<<32) + float64(int32(ts-r.RTPTime))/float64(clock)
	}
	lastPicture := wall(v, p.stamps[len(p.stamps)-1], videoClock)
	lastSound := wall(a, p.soundTS[len(p.soundTS)-1], audioClock)
	want := float64(video[len(video)-1].PTS)/90000 - float64(sound[len(sound)-1].PTS)/48000
	require.InDelta(t, want, lastPicture-lastSound, 0.002)
}

func TestPLIBringsTheGOPAgain(t *testing.T) {
	s := newSite(t, Options{})
	track, units := pattern(40, 100)
	pub := s.publish("main", videoOf(track))
	pub.write(units[:20]...)
	p := newPeer(t, videoKind)
	p.play(s, "main")
	testx.WaitFor(t, "the last GOP", func() bool { return p.seen() == 20 })
	time.Sleep(replayEvery) // a replay follows another no sooner
	p.loses()
	testx.WaitFor(t, "the GOP again", func() bool { return p.seen() == 40 })
	pub.write(units[20:]...)
	testx.WaitFor(t, "live pictures", func() bool { return p.seen() == 60 })
	p.mu.Lock()
	defer p.mu.Unlock()
	require.Equal(t, wantPicture(track, units[0]), p.pictures[20])
	for i := 1; i < len(p.stamps); i++ {
		require.Positive(t, int32(p.stamps[i]-p.stamps[i-1]), "time goes on")
	}
}
