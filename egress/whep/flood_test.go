package whep

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/live"
)

// rogue is a track that a viewer sends packets of, of any stream.
type rogue struct{ out chan webrtc.TrackLocalWriter }

func (r rogue) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	r.out <- c.WriteStream()
	return c.CodecParameters()[0], nil
}
func (rogue) Unbind(webrtc.TrackLocalContext) error { return nil }
func (rogue) ID() string                            { return "rogue" }
func (rogue) RID() string                           { return "" }
func (rogue) StreamID() string                      { return "rogue" }
func (rogue) Kind() webrtc.RTPCodecType             { return videoKind }

// TestViewerWhoSendsStreamsIsEnded: each stream that a peer names costs memory, so it may not name many.
func TestViewerWhoSendsStreamsIsEnded(t *testing.T) {
	s := newSite(t, Options{})
	track, units := pattern(10, 10)
	s.publish("main", videoOf(track)).write(units...)
	p := newPeer(t)
	r := rogue{make(chan webrtc.TrackLocalWriter, 1)}
	both := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendrecv}
	_, err := p.pc.AddTransceiverFromTrack(r, both)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, p.play(s, "main").StatusCode)
	testx.WaitFor(t, "pictures", func() bool { return p.seen() == 10 })
	out := <-r.out
	n := uint32(0)
	testx.WaitFor(t, "the viewer's end", func() bool {
		n++
		_, _ = out.WriteRTP(&rtp.Header{Version: 2, PayloadType: 96, SSRC: 1000 + n, SequenceNumber: uint16(n)}, []byte{1, 2, 3})
		return len(s.watch.reasons()) == 1
	})
	require.Equal(t, live.ReasonConnectionLost, s.watch.reasons()[0])
}

// TestOffersAreBounded: who offers and never connects takes no place from others for long, and no more than there are.
func TestOffersAreBounded(t *testing.T) {
	var remote atomic.Value
	remote.Store("192.0.2.1:1")
	s := newSite(t, Options{
		MaxConnecting: 6, MaxConnectingPerAddr: 3, ConnectTimeout: time.Second, Log: discard(),
		Remote: func(*http.Request) string { return remote.Load().(string) },
	})
	track, units := pattern(10, 10)
	s.publish("main", videoOf(track)).write(units...)
	offer := newPeer(t, videoKind).offer()
	let := func() (in int) {
		for range 10 {
			res, _ := request(t, http.MethodPost, s.url+"/whep/main", "application/sdp", offer)
			if res.StatusCode == http.StatusCreated {
				in++
			}
		}
		return in
	}
	if began := time.Now(); let() != 3 && time.Since(began) < time.Second {
		t.Fatal("three of one address")
	}
	remote.Store("[2001:db8::1]:1")
	require.Positive(t, let(), "others are let in")
	require.LessOrEqual(t, s.whep.Viewers("main"), 6)
	testx.WaitFor(t, "their end", func() bool { return s.whep.Viewers("main") == 0 })
	require.Equal(t, http.StatusCreated, newPeer(t, videoKind).play(s, "main").StatusCode)
}

// TestBroadcastLingers: the next viewer finds it, and after the last it ends by itself.
func TestBroadcastLingers(t *testing.T) {
	s := newSite(t, Options{Linger: 500 * time.Millisecond})
	track, units := pattern(10, 10)
	s.publish("main", videoOf(track)).write(units...)
	running := func() *broadcast {
		s.whep.mu.Lock()
		defer s.whep.mu.Unlock()
		for _, b := range s.whep.broadcasts {
			return b
		}
		return nil
	}
	leave := func(p *peer) {
		t.Helper()
		res, _ := request(t, http.MethodDelete, s.url+p.location, "", "")
		require.Equal(t, http.StatusOK, res.StatusCode)
		testx.WaitFor(t, "the viewer's end", func() bool { return s.whep.Viewers("main") == 0 })
	}
	p := newPeer(t, videoKind)
	p.play(s, "main")
	testx.WaitFor(t, "pictures", func() bool { return p.seen() == 10 })
	first := running()
	leave(p)
	require.Same(t, first, running())
	p = newPeer(t, videoKind)
	p.play(s, "main")
	require.Same(t, first, running())
	testx.WaitFor(t, "pictures", func() bool { return p.seen() == 10 })
	leave(p)
	testx.WaitFor(t, "its end", func() bool { return running() == nil })
}
