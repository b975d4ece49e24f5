package whip

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	"mediad/ingest/ingesttest"
	"mediad/internal/rtc"
	"mediad/internal/testx"
	"mediad/media"
)

// TestOfSimulcastTheLargestLayerIsTheSource: two layers under one m-line, told apart by RID.
func TestOfSimulcastTheLargestLayerIsTheSource(t *testing.T) {
	hub := ingesttest.NewHub("good")
	s := serve(t, Options{Admit: admit(hub)})
	c := &client{t: t, url: s.url, over: make(chan struct{})}
	m := &webrtc.MediaEngine{}
	require.NoError(t, rtc.RegisterH264Opus(m))
	require.NoError(t, webrtc.ConfigureSimulcastExtensionHeaders(m))
	e := webrtc.SettingEngine{}
	e.SetIncludeLoopbackCandidate(true)
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(&interceptor.Registry{}), webrtc.WithSettingEngine(e)).
		NewPeerConnection(webrtc.Configuration{})
	require.NoError(t, err)
	c.pc = pc
	t.Cleanup(c.Close)

	rids := []string{"l", "h"}
	var tracks []*webrtc.TrackLocalStaticRTP
	for _, rid := range rids {
		track, err := webrtc.NewTrackLocalStaticRTP(rtc.H264Capability(), "video", "test", webrtc.WithRTPStreamID(rid))
		require.NoError(t, err)
		tracks = append(tracks, track)
	}
	tr, err := pc.AddTransceiverFromTrack(tracks[0], webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	require.NoError(t, err)
	require.NoError(t, tr.Sender().AddEncoding(tracks[1]))

	offer, err := c.offer(nil)
	require.NoError(t, err)
	require.Contains(t, offer, "a=simulcast:send l;h")
	res, answer, err := c.do(t.Context(), http.MethodPost, s.url+"/whip", sdpType, offer, "Authorization", "Bearer good")
	require.NoError(t, err)
	require.Equal(t, 201, res.StatusCode, answer)
	require.Contains(t, answer, "a=simulcast:recv l;h")
	require.NoError(t, pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, c.connected(ctx))

	ids := map[string]uint8{}
	for _, h := range tr.Sender().GetParameters().HeaderExtensions {
		ids[h.URI] = uint8(h.ID)
	}
	layers := []*packets{newPackets(t, films[0]), newPackets(t, films[1])}
	pub := hub.Next(t, 0)
	testx.WaitFor(t, "the largest layer", func() bool {
		for i, l := range layers {
			for _, pkt := range l.next() {
				tagged := &rtp.Packet{Header: pkt.Header, Payload: pkt.Payload}
				require.NoError(t, tagged.SetExtension(ids[sdp.SDESMidURI], []byte(tr.Mid())))
				require.NoError(t, tagged.SetExtension(ids[sdp.SDESRTPStreamIDURI], []byte(rids[i])))
				require.NoError(t, tracks[i].WriteRTP(tagged))
			}
		}
		all := pub.Tracks(media.Video)
		return len(all) > 0 && all[len(all)-1].Width == 640
	})
	require.LessOrEqual(t, len(pub.Tracks(media.Video)), 2)
	require.True(t, pub.Without(media.Audio))
}
