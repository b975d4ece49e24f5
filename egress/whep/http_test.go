package whep

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	"mediad/internal/rtc"
	"mediad/internal/testx"
	"mediad/live"
)

func TestHandshake(t *testing.T) {
	s := newSite(t, Options{})
	track, units := pattern(10, 10)
	s.publish("main", videoOf(track)).write(units...)
	p := newPeer(t, videoKind, audioKind)
	res := p.play(s, "main")
	require.Equal(t, http.StatusCreated, res.StatusCode)
	require.Equal(t, "application/sdp", res.Header.Get("Content-Type"))
	require.Regexp(t, `^/whep/main/[A-Z2-7]{26}$`, p.location)
	require.Regexp(t, `^"[A-Z2-7]{26}"$`, p.etag)
	require.Equal(t, "*", res.Header.Get("Access-Control-Allow-Origin"))
	for _, name := range []string{"Location", "ETag", "Link"} {
		require.Contains(t, res.Header.Get("Access-Control-Expose-Headers"), name)
	}
	testx.WaitFor(t, "pictures", func() bool { return p.seen() == 10 })

	// Trickle: a candidate more changes nothing.
	frag := "a=ice-ufrag:none\r\n"
	more := "m=video 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n"
	res, _ = request(t, http.MethodPatch, s.url+p.location, rtc.FragmentType, more, "If-Match", p.etag)
	require.Equal(t, http.StatusNoContent, res.StatusCode)
	res, _ = request(t, http.MethodPatch, s.url+p.location, rtc.FragmentType, "", "If-Match", `"other"`)
	require.Equal(t, http.StatusPreconditionFailed, res.StatusCode)
	res, _ = request(t, http.MethodPatch, s.url+p.location, rtc.FragmentType, "")
	require.Equal(t, http.StatusPreconditionRequired, res.StatusCode)
	res, _ = request(t, http.MethodPatch, s.url+p.location, rtc.FragmentType, frag, "If-Match", "*")
	require.Equal(t, http.StatusUnprocessableEntity, res.StatusCode, "half of the credentials")
	res, _ = request(t, http.MethodPatch, s.url+p.location, "text/plain", "", "If-Match", "*")
	require.Equal(t, http.StatusUnsupportedMediaType, res.StatusCode)

	// Restart.
	d, err := p.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: true})
	require.NoError(t, err)
	require.NoError(t, p.pc.SetLocalDescription(d))
	var b strings.Builder
	for line := range strings.Lines(p.pc.LocalDescription().SDP) {
		if strings.HasPrefix(line, "a=ice-ufrag") || strings.HasPrefix(line, "a=ice-pwd") {
			b.WriteString(line)
		}
		if b.Len() > 0 && strings.HasPrefix(line, "a=ice-pwd") {
			break
		}
	}
	res, body := request(t, http.MethodPatch, s.url+p.location, rtc.FragmentType, b.String(), "If-Match", "*")
	require.Equal(t, http.StatusOK, res.StatusCode, body)
	require.Contains(t, body, "a=ice-ufrag:")
	require.NotEqual(t, p.etag, res.Header.Get("ETag"))

	res, _ = request(t, http.MethodDelete, s.url+"/whep/other/"+p.location[len("/whep/main/"):], "", "")
	require.Equal(t, http.StatusNotFound, res.StatusCode)
	res, _ = request(t, http.MethodDelete, s.url+p.location, "", "")
	require.Equal(t, http.StatusOK, res.StatusCode)
	testx.WaitFor(t, "the viewer's end", func() bool { return len(s.watch.reasons()) == 1 })
	require.Equal(t, live.ReasonViewerLeft, s.watch.reasons()[0], "the publisher goes on")
	require.Zero(t, s.whep.Viewers("main"))
}

// TestPlayingEndsWithTheRight: connected or not.
func TestPlayingEndsWithTheRight(t *testing.T) {
	lost := make(chan struct{})
	s := newSite(t, Options{Authorize: func(context.Context, string, string, live.Peer) (<-chan struct{}, error) { return lost, nil }})
	track, units := pattern(10, 10)
	s.publish("main", videoOf(track)).write(units...)
	p := newPeer(t, videoKind, audioKind)
	require.Equal(t, http.StatusCreated, p.play(s, "main").StatusCode)
	testx.WaitFor(t, "pictures", func() bool { return p.seen() == 10 })
	close(lost)
	testx.WaitFor(t, "the viewer's end", func() bool { return len(s.watch.reasons()) == 1 })
	require.Equal(t, http.StatusCreated, newPeer(t, videoKind, audioKind).play(s, "main").StatusCode)
	testx.WaitFor(t, "the other's end", func() bool { return len(s.watch.reasons()) == 2 })
	require.Equal(t, []live.Reason{live.ReasonRightsChanged, live.ReasonRightsChanged}, s.watch.reasons())
}

func TestRefusals(t *testing.T) {
	s := newSite(t, Options{
		MaxViewers: 1,
		Authorize: func(_ context.Context, stream, token string, peer live.Peer) (<-chan struct{}, error) {
			if peer.Protocol != "whep" || !strings.HasPrefix(peer.Remote, "127.0.0.1:") {
				return nil, live.Refuse(live.ReasonUnspecified, nil)
			}
			switch {
			case stream == "secret" && token != "yes":
				return nil, live.Refuse(live.ReasonStreamKeyInvalid, nil)
			case stream == "broken":
				return nil, live.Refuse(live.ReasonAuthUnavailable, errors.New("no database"))
			case stream == "closed" && token == "":
				return nil, live.Refuse(live.ReasonNotLive, nil)
			case stream == "closed":
				return nil, live.Refuse(live.Reason(token), nil)
			}
			return nil, nil
		},
	})
	track, units := pattern(10, 10)
	s.publish("main", videoOf(track)).write(units...)
	good := newPeer(t, videoKind, audioKind).offer()
	sdpOf := func(from, to string) string { return strings.ReplaceAll(good, from, to) }
	others := strings.NewReplacer("H264", "VP8", "opus", "PCMU").Replace(good)
	for _, c := range []struct {
		name, method, path, contentType, body string
		status                                int
		code                                  string
	}{
		{"not live", "POST", "/whep/other", "application/sdp", good, 404, "not_live"},
		{"not live, and no SDP", "POST", "/whep/other", "application/sdp", "hello", 404, "not_live"},
		{"no type", "POST", "/whep/main", "", good, 415, "unsupported_media_type"},
		{"wrong type", "POST", "/whep/main", "application/json", good, 415, "unsupported_media_type"},
		{"too large", "POST", "/whep/main", "application/sdp", strings.Repeat("a", rtc.MaxSDP+1), 413, "payload_too_large"},
		{"no SDP", "POST", "/whep/main", "application/sdp", "hello", 422, "sdp_invalid"},
		{"empty", "POST", "/whep/main", "application/sdp", "", 422, "sdp_invalid"},
		{"no H.264, no Opus", "POST", "/whep/main", "application/sdp", others, 422, "codec_unsupported"},
		{"wants to send", "POST", "/whep/main", "application/sdp", sdpOf("a=recvonly", "a=sendonly"), 422, "codec_unsupported"},
		{"no fingerprint", "POST", "/whep/main", "application/sdp", sdpOf("a=fingerprint", "a=fingerless"), 422, "sdp_invalid"},
		{"no right", "POST", "/whep/secret", "application/sdp", good, 401, "stream_key_invalid"},
		{"no right, and no SDP", "POST", "/whep/secret", "application/sdp", "hello", 401, "stream_key_invalid"},
		{"right, but not live", "POST", "/whep/secret?token=yes", "application/sdp", good, 404, "not_live"},
		{"hidden", "POST", "/whep/closed", "application/sdp", good, 404, "not_live"},
		{"foreign token", "POST", "/whep/closed?token=playback_token_invalid", "application/sdp", good, 403, "playback_token_invalid"},
		{"expired token", "POST", "/whep/closed?token=playback_token_expired", "application/sdp", good, 403, "playback_token_expired"},
		{"rights unknown", "POST", "/whep/broken", "application/sdp", good, 503, "auth_unavailable"},
		{"GET", "GET", "/whep/main", "", "", 405, "method_not_allowed"},
		{"nobody", "DELETE", "/whep/main/AAAA", "", "", 404, "not_found"},
		{"too deep", "DELETE", "/whep/main/AAAA/b", "", "", 404, "not_found"},
		{"no stream", "POST", "/whep/", "application/sdp", good, 404, "not_found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, body := request(t, c.method, s.url+c.path, c.contentType, c.body)
			require.Equal(t, c.status, res.StatusCode, body)
			require.Contains(t, body, `"code":"`+c.code+`"`)
			path, _, _ := strings.Cut(c.path, "?")
			require.Contains(t, body, `"instance":"`+path+`"`)
			require.Contains(t, body, `"request_id":"`+res.Header.Get("X-Request-Id")+`"`)
			require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
			require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
			require.Equal(t, "*", res.Header.Get("Access-Control-Allow-Origin"))
			if c.code == "not_live" || c.status == 503 {
				require.NotEmpty(t, res.Header.Get("Retry-After"))
			}
		})
	}
	require.Zero(t, s.whep.Viewers("main"), "nothing is left of a refused offer")

	newPeer(t, videoKind).play(s, "main")
	res, body := request(t, http.MethodPost, s.url+"/whep/main", "application/sdp", newPeer(t, videoKind).offer())
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.Contains(t, body, `"code":"overloaded"`)

	res, _ = request(t, http.MethodOptions, s.url+"/whep/main", "", "")
	require.Equal(t, http.StatusNoContent, res.StatusCode)
	require.Equal(t, "OPTIONS, POST", res.Header.Get("Access-Control-Allow-Methods"))
	require.Contains(t, res.Header.Get("Access-Control-Allow-Headers"), "Content-Type")
	require.Equal(t, "application/sdp", res.Header.Get("Accept-Post"))
}

func TestViewersWhoDoNotConnectAreEnded(t *testing.T) {
	s := newSite(t, Options{ConnectTimeout: 50 * time.Millisecond})
	track, units := pattern(10, 10)
	s.publish("main", videoOf(track)).write(units...)
	p := newPeer(t, videoKind)
	res, _ := request(t, http.MethodPost, s.url+"/whep/main", "application/sdp", p.offer())
	require.Equal(t, http.StatusCreated, res.StatusCode)
	testx.WaitFor(t, "the viewer's end", func() bool { return len(s.watch.reasons()) == 1 })
	require.Equal(t, live.ReasonReadTimeout, s.watch.reasons()[0])
	require.Zero(t, s.whep.Viewers("main"))
}

// TestEveryReasonHasAStatus: nobody is told 200, or nothing.
func TestEveryReasonHasAStatus(t *testing.T) {
	for _, r := range live.Reasons() {
		p := problemOf(live.Refuse(r, errors.New("secret")))
		require.GreaterOrEqual(t, p.Status, 400, r)
		require.NotContains(t, p.Detail, "secret")
		require.NotEmpty(t, p.Code)
	}
	require.Equal(t, 403, problemOf(live.Refuse(live.ReasonRefusedBySite, nil)).Status)
	require.Equal(t, "b_frames", problemOf(errBFrames).Code)
	require.Equal(t, "codec_unsupported", problemOf(errCodec).Code)
}

// FuzzOffer gives offers to what judges them and, where that lets them through, to the parser and the negotiation of a peer
// connection, without its network.
func FuzzOffer(f *testing.F) {
	sockets, err := rtc.Listen(rtc.Options{UDPAddr: "127.0.0.1:0"})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = sockets.Close() })
	s, err := New(Options{RTC: sockets, Source: live.NewHub(live.Options{})})
	if err != nil {
		f.Fatal(err)
	}
	track, _ := pattern(1, 1)
	f.Add(browserOffer)
	f.Add(strings.ReplaceAll(browserOffer, "recvonly", "sendrecv"))
	f.Add(strings.ReplaceAll(browserOffer, "packetization-mode=1", "packetization-mode=0"))
	f.Add(strings.ReplaceAll(browserOffer, "a=mid:1", "a=mid:0"))
	f.Add("v=0\r\n")
	f.Fuzz(func(t *testing.T, offer string) {
		d, err := rtc.CheckOffer([]byte(offer))
		if err != nil {
			return
		}
		w, err := judge(d)
		if err != nil {
			return
		}
		m, i := &webrtc.MediaEngine{}, &interceptor.Registry{}
		if err := s.register(m, i, &viewer{}, false); err != nil {
			t.Fatal(err)
		}
		pc, err := sockets.NewSendingPeerConnection(m, i)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = pc.GracefulClose() }()
		send := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}
		for kind, wanted := range map[webrtc.RTPCodecType]bool{videoKind: w.video, audioKind: w.audio} {
			if !wanted {
				continue
			}
			if _, err := pc.AddTransceiverFromTrack(newSender(kind, "main", track), send); err != nil {
				t.Fatal(err)
			}
		}
		if pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}) == nil {
			_, _ = pc.CreateAnswer(nil) // an offer that cannot be answered is refused
		}
	})
}

// browserOffer is shaped like those of browsers.
const browserOffer = "v=0\r\n" +
	"o=- 1 2 IN IP4 127.0.0.1\r\n" +
	"s=-\r\n" +
	"t=0 0\r\n" +
	"a=group:BUNDLE 0 1\r\n" +
	"a=extmap-allow-mixed\r\n" +
	"a=msid-semantic: WMS\r\n" +
	"m=video 9 UDP/TLS/RTP/SAVPF 96 97 102\r\n" +
	"c=IN IP4 0.0.0.0\r\n" +
	"a=rtcp:9 IN IP4 0.0.0.0\r\n" +
	"a=ice-ufrag:abcd\r\n" +
	"a=ice-pwd:abcdefghijklmnopqrstuvwx\r\n" +
	"a=ice-options:trickle\r\n" +
	"a=fingerprint:sha-256 0D:C0:75:08:EE:68:9F:33:3B:67:C6:36:62:1B:DE:E2:5D:45:09:47:8F:0E:33:A5:84:4B:C2:C4:E7:5C:17:4A\r\n" +
	"a=setup:actpass\r\n" +
	"a=mid:0\r\n" +
	"a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n" +
	"a=recvonly\r\n" +
	"a=rtcp-mux\r\n" +
	"a=rtcp-rsize\r\n" +
	"a=rtpmap:96 VP8/90000\r\n" +
	"a=rtpmap:97 rtx/90000\r\n" +
	"a=fmtp:97 apt=96\r\n" +
	"a=rtpmap:102 H264/90000\r\n" +
	"a=rtcp-fb:102 nack\r\n" +
	"a=rtcp-fb:102 nack pli\r\n" +
	"a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n" +
	"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" +
	"c=IN IP4 0.0.0.0\r\n" +
	"a=ice-ufrag:abcd\r\n" +
	"a=ice-pwd:abcdefghijklmnopqrstuvwx\r\n" +
	"a=fingerprint:sha-256 0D:C0:75:08:EE:68:9F:33:3B:67:C6:36:62:1B:DE:E2:5D:45:09:47:8F:0E:33:A5:84:4B:C2:C4:E7:5C:17:4A\r\n" +
	"a=setup:actpass\r\n" +
	"a=mid:1\r\n" +
	"a=recvonly\r\n" +
	"a=rtcp-mux\r\n" +
	"a=rtpmap:111 opus/48000/2\r\n" +
	"a=fmtp:111 minptime=10;useinbandfec=1\r\n"
