package whep

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
)

// TestPanicHoldsNothing: an offer whose answering fails leaves no broadcast, no place and no viewer behind.
func TestPanicHoldsNothing(t *testing.T) {
	s := newSite(t, Options{Log: discard(), Linger: time.Millisecond})
	track, units := pattern(10, 10)
	s.publish("main", videoOf(track)).write(units...)
	sockets := s.whep.o.RTC
	s.whep.o.RTC = nil // what comes of it is a panic
	res, _ := request(t, http.MethodPost, s.url+"/whep/main", "application/sdp", newPeer(t, videoKind).offer())
	s.whep.o.RTC = sockets
	require.Equal(t, http.StatusInternalServerError, res.StatusCode)
	testx.WaitFor(t, "the broadcast's end", func() bool {
		s.whep.mu.Lock()
		defer s.whep.mu.Unlock()
		return len(s.whep.broadcasts) == 0 && len(s.whep.entering) == 0
	})
}

// TestOffersBeingAnsweredCount for where they come from, as those do that have been.
func TestOffersBeingAnsweredCount(t *testing.T) {
	s := newSite(t, Options{
		MaxConnecting: 6, MaxConnectingPerAddr: 3, Log: discard(),
		Remote: func(r *http.Request) string { return r.Header.Get("Test-Remote") },
	})
	s.publish("main", videoOf(mediatest.H264Track(640, 360, 30, 1))) // without a picture: offers wait for what it is
	offer := newPeer(t, videoKind).offer()
	var refused atomic.Int32
	var asking sync.WaitGroup
	for range 6 {
		asking.Go(func() {
			res, _ := request(t, http.MethodPost, s.url+"/whep/main", "application/sdp", offer, "Test-Remote", "192.0.2.1:1")
			if res.StatusCode == http.StatusServiceUnavailable {
				refused.Add(1)
			}
		})
	}
	testx.WaitFor(t, "those over three to be refused", func() bool { return refused.Load() == 3 })
	res, _ := request(t, http.MethodPost, s.url+"/whep/main", "application/sdp", offer, "Test-Remote", "[2001:db8::1]:1")
	require.Equal(t, http.StatusCreated, res.StatusCode, "others are let in")
	asking.Wait()
}

// none has no rungs.
type none struct{}

func (none) Follow(*live.Session) (RungReader, error) { return nil, ErrNoRungs }

// TestWithoutRungs: where there could be some and are none, what the source has decides at once, and later.
func TestWithoutRungs(t *testing.T) {
	s := newSite(t, Options{Rungs: none{}})
	track, units := pattern(10, 10)
	pub := s.publish("main", videoOf(track))
	pub.write(units...)
	p := newPeer(t, videoKind)
	p.play(s, "main")
	testx.WaitFor(t, "pictures", func() bool { return p.seen() == 10 })
	pub.p.Close(live.ReasonConnectionLost)
	s.publish("main", videoOf(track)).write(mediatest.Video(mediatest.VideoPattern{Frames: 20, BFrames: 2})...)
	testx.WaitFor(t, "the viewer's end", func() bool { return len(s.watch.reasons()) == 1 })
	require.Equal(t, live.ReasonCodecUnsupported, s.watch.reasons()[0])
	res, body := request(t, http.MethodPost, s.url+"/whep/main", "application/sdp", newPeer(t, videoKind).offer())
	require.Equal(t, http.StatusUnprocessableEntity, res.StatusCode)
	require.Contains(t, body, `"code":"b_frames"`)
}

// TestEachTrackIsReportedAtOnce, so that a browser knows what sound belongs to what picture from the first on.
func TestEachTrackIsReportedAtOnce(t *testing.T) {
	v, _ := lone(t, Options{})
	require.False(t, v.video.untold())
	require.False(t, v.audio.untold())
	v.b.source.add(picture(0, true, 100))
	_, err := v.player.step(0)
	require.NoError(t, err)
	require.True(t, v.video.untold())
	require.NotNil(t, v.video.report(0, time.Now()))
	require.False(t, v.video.untold())
}

// TestEncoderThatFailsEndsItsBroadcast and nothing else.
func TestEncoderThatFailsEndsItsBroadcast(t *testing.T) {
	d := &dubber{}
	s := newSite(t, Options{Opus: broken{d}, Log: discard()})
	vt, at := mediatest.H264Track(640, 360, 30, 1), mediatest.AACTrack(44100, 2)
	_, units := pattern(10, 10)
	pub := s.publish("main", [media.Kinds]*media.Track{vt, at})
	pub.write(units...)
	p := newPeer(t, videoKind, audioKind)
	p.play(s, "main")
	testx.WaitFor(t, "pictures", func() bool { return p.seen() > 0 })
	pub.write(mediatest.Audio(mediatest.AudioPattern{Track: at, Frames: 5})...)
	testx.WaitFor(t, "the viewer's end", func() bool { return len(s.watch.reasons()) == 1 })
}

// broken makes encoders whose units cannot be taken.
type broken struct{ *dubber }

func (b broken) Encode(t *media.Track) (OpusEncoder, error) {
	e, err := b.dubber.Encode(t)
	return unread{e}, err
}

type unread struct{ OpusEncoder }

func (unread) Units() <-chan media.AccessUnit { panic("no units") }
