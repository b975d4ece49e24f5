package whip

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	"mediad/ingest"
	"mediad/ingest/ingesttest"
	"mediad/internal/rtc"
	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
)

// chromeOffer is as a browser makes it, cut to what matters.
const chromeOffer = "v=0\r\no=- 4215775240449105457 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS s\r\n" +
	"m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n" +
	"a=ice-options:trickle\r\na=fingerprint:sha-256 49:66:12:17:0D:1C:91:AE:57:4C:C6:36:DD:D5:97:D2:7D:62:C9:9A:7F:B9:A3:F4:70:03:E7:43:91:73:23:5E\r\n" +
	"a=setup:actpass\r\na=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=sendonly\r\na=msid:s a\r\na=rtcp-mux\r\n" +
	"a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=rtpmap:0 PCMU/8000\r\na=ssrc:3184 cname:x\r\n" +
	"m=video 9 UDP/TLS/RTP/SAVPF 96 102 45\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n" +
	"a=ice-options:trickle\r\na=fingerprint:sha-256 49:66:12:17:0D:1C:91:AE:57:4C:C6:36:DD:D5:97:D2:7D:62:C9:9A:7F:B9:A3:F4:70:03:E7:43:91:73:23:5E\r\n" +
	"a=setup:actpass\r\na=mid:1\r\na=sendonly\r\na=msid:s v\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\n" +
	"a=rtpmap:102 H264/90000\r\na=rtcp-fb:102 nack\r\na=rtcp-fb:102 nack pli\r\na=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f\r\n" +
	"a=rtpmap:45 AV1/90000\r\na=ssrc:2231 cname:x\r\n"

const auth = "Bearer good"

// ask makes a request of a service, without a peer behind it.
func (s *service) ask(t testing.TB, method, path, contentType, body string, header ...string) (*http.Response, string) {
	t.Helper()
	c := &client{t: t}
	res, text, err := c.do(t.Context(), method, s.url+path, contentType, body, header...)
	require.NoError(t, err)
	return res, text
}

func TestStatuses(t *testing.T) {
	hub := ingesttest.NewHub("good")
	s := serve(t, Options{Admit: admit(hub)})
	only := func(codec string) string {
		return strings.NewReplacer("H264/", codec+"/", "VP8/", codec+"/", "AV1/", codec+"/").Replace(chromeOffer)
	}
	_, video, _ := strings.Cut(chromeOffer, "m=video")
	long := chromeOffer + strings.Repeat("a=x\r\n", rtc.MaxSDP/5)
	for _, c := range []struct {
		name, method, path, contentType, body string
		header                                []string
		status                                int
		code                                  string
	}{
		{"no key", "POST", "/whip", rtc.SDPType, chromeOffer, nil, 401, "stream_key_invalid"},
		{"no key but a name", "POST", "/whip/main", rtc.SDPType, chromeOffer, nil, 401, "stream_key_invalid"},
		{"a wrong key", "POST", "/whip", rtc.SDPType, chromeOffer, []string{"Authorization", "Bearer bad"}, 401, "stream_key_invalid"},
		{"another scheme", "POST", "/whip", rtc.SDPType, chromeOffer, []string{"Authorization", "Basic Z29vZDo="}, 401, "stream_key_invalid"},
		{"no type", "POST", "/whip", "", chromeOffer, []string{"Authorization", auth}, 415, "unsupported_media_type"},
		{"JSON", "POST", "/whip", "application/json", "{}", []string{"Authorization", auth}, 415, "unsupported_media_type"},
		{"wants JSON", "POST", "/whip", rtc.SDPType, chromeOffer, []string{"Authorization", auth, "Accept", "application/json"}, 406, "not_acceptable"},
		{"too long", "POST", "/whip", rtc.SDPType, long, []string{"Authorization", auth}, 413, "payload_too_large"},
		{"empty", "POST", "/whip", rtc.SDPType, "", []string{"Authorization", auth}, 422, "sdp_invalid"},
		{"no SDP", "POST", "/whip", rtc.SDPType, "hello", []string{"Authorization", auth}, 422, "sdp_invalid"},
		{"only VP8", "POST", "/whip", rtc.SDPType, only("VP8"), []string{"Authorization", auth}, 422, "codec_unsupported"},
		{"receives", "POST", "/whip", rtc.SDPType, strings.ReplaceAll(chromeOffer, "a=sendonly", "a=recvonly"), []string{"Authorization", auth}, 422, "sdp_invalid"},
		{"two pictures", "POST", "/whip", rtc.SDPType, chromeOffer + "m=video" + video, []string{"Authorization", auth}, 422, "sdp_invalid"},
		{"GET", "GET", "/whip/main", "", "", nil, 405, "method_not_allowed"},
		{"PUT", "PUT", "/whip", "", "", nil, 405, "method_not_allowed"},
		{"too deep", "POST", "/whip/a/b", rtc.SDPType, chromeOffer, []string{"Authorization", auth}, 404, "not_found"},
		{"unknown session", "DELETE", "/whip/session/AAAA", "", "", nil, 404, "not_found"},
		{"unknown session", "PATCH", "/whip/session/AAAA", rtc.FragmentType, "", []string{"If-Match", "*"}, 404, "not_found"},
	} {
		t.Run(c.name+" "+c.method, func(t *testing.T) {
			res, text := s.ask(t, c.method, c.path, c.contentType, c.body, c.header...)
			require.Equal(t, c.status, res.StatusCode, text)
			require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
			require.Equal(t, "*", res.Header.Get("Access-Control-Allow-Origin"))
			var p rtc.Problem
			require.NoError(t, json.Unmarshal([]byte(text), &p))
			require.Equal(t, c.code, p.Code)
			require.Equal(t, c.status, p.Status)
			require.Equal(t, c.path, p.Instance)
			require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
			require.NotEmpty(t, p.RequestID)
			require.Equal(t, res.Header.Get("X-Request-Id"), p.RequestID)
			require.NotContains(t, text, "whip:", "a word for the log")
			if c.status == 401 {
				require.Contains(t, res.Header.Get("WWW-Authenticate"), "Bearer")
			}
			if c.status == 405 {
				require.NotEmpty(t, res.Header.Get("Allow"))
			}
		})
	}
	require.Zero(t, s.Sessions())
}

func TestEveryReasonHasAStatus(t *testing.T) {
	for _, r := range live.Reasons() {
		p := problemOf(live.Refuse(r, errors.New("secret")))
		require.GreaterOrEqual(t, p.Status, 400, r)
		require.NotEmpty(t, p.Title, r)
		require.NotContains(t, p.Detail, "secret")
		if r != live.ReasonIngestError && r != live.ReasonUnspecified {
			require.NotEqual(t, 500, p.Status, r)
		}
	}
	p := problemOf(live.Refuse(live.ReasonRefusedBySite, nil))
	require.Equal(t, 403, p.Status, "the key is good")
	require.Equal(t, live.ReasonRefusedBySite.Text(), p.Detail)
}

func TestOptions(t *testing.T) {
	s := serve(t, Options{Admit: admit(ingesttest.NewHub())})
	res, _ := s.ask(t, "OPTIONS", "/whip/main", "", "")
	require.Equal(t, 204, res.StatusCode)
	require.Equal(t, rtc.SDPType, res.Header.Get("Accept-Post"))
	require.Contains(t, res.Header.Get("Access-Control-Allow-Methods"), "POST")
	require.Contains(t, res.Header.Get("Access-Control-Allow-Headers"), "Authorization")
	res, _ = s.ask(t, "OPTIONS", "/whip/session/AAAA", "", "")
	require.Contains(t, res.Header.Get("Access-Control-Allow-Methods"), "PATCH")
	require.Equal(t, rtc.FragmentType, res.Header.Get("Accept-Patch"))
}

func TestAnOfferOfABrowserIsAnswered(t *testing.T) {
	hub := ingesttest.NewHub("good", "main")
	s := serve(t, Options{Admit: admit(hub), Open: true})
	res, answer := s.ask(t, "POST", "/whip", rtc.SDPType+"; charset=utf-8", chromeOffer, "Authorization", auth, "Accept", "application/sdp, */*;q=0.1")
	require.Equal(t, 201, res.StatusCode, answer)
	require.Equal(t, rtc.SDPType, res.Header.Get("Content-Type"))
	require.Regexp(t, `^/whip/session/[A-Z2-7]{26}$`, res.Header.Get("Location"))
	require.Regexp(t, `^"[A-Z2-7]{26}"$`, res.Header.Get("ETag"))
	require.Contains(t, answer, "a=recvonly")
	require.Contains(t, answer, "H264/90000")
	require.NotContains(t, answer, "AV1/90000", "H.264 comes first")
	require.Contains(t, answer, "opus/48000/2")
	require.Contains(t, answer, "a=rtcp-fb:102 nack pli")
	require.NotContains(t, answer, "VP8")

	// Without a key the name in the path publishes, where that is allowed.
	withoutH264 := strings.ReplaceAll(chromeOffer, "H264/90000", "VP9/90000")
	res, answer = s.ask(t, "POST", "/whip/main", rtc.SDPType, withoutH264)
	require.Equal(t, 201, res.StatusCode, answer)
	require.Contains(t, answer, "AV1/90000")
	require.Equal(t, "stream-of-main", hub.Next(t, 1).Stream())
}

// TestVP8IsTheLastResort: only where it is encoded again, and only from who has nothing better.
func TestVP8IsTheLastResort(t *testing.T) {
	hub := ingesttest.NewHub("good")
	s := serve(t, Options{Admit: admit(hub), VP8: true})
	res, answer := s.ask(t, "POST", "/whip", rtc.SDPType, chromeOffer, "Authorization", auth)
	require.Equal(t, 201, res.StatusCode, answer)
	require.NotContains(t, answer, "VP8")
	res, answer = s.ask(t, "POST", "/whip", rtc.SDPType, strings.ReplaceAll(chromeOffer, "H264/90000", "H265/90000"), "Authorization", auth)
	require.Equal(t, 201, res.StatusCode, answer)
	require.NotContains(t, answer, "VP8")
	require.Contains(t, answer, "AV1/90000")
	only := strings.NewReplacer("H264/90000", "H265/90000", "AV1/90000", "H265/90000").Replace(chromeOffer)
	res, answer = s.ask(t, "POST", "/whip", rtc.SDPType, only, "Authorization", auth)
	require.Equal(t, 201, res.StatusCode, answer)
	require.Contains(t, answer, "VP8/90000")
	require.Contains(t, answer, "opus/48000/2")
	none := strings.ReplaceAll(only, "VP8/90000", "H265/90000")
	res, answer = s.ask(t, "POST", "/whip", rtc.SDPType, none, "Authorization", auth)
	require.Equal(t, 422, res.StatusCode, answer)
	require.Contains(t, answer, "Offer H.264, AV1, VP9 or VP8 video.")
}

func TestWhoNeverConnectsIsGoneSoon(t *testing.T) {
	hub := ingesttest.NewHub("good", "other", "third")
	s := serve(t, Options{Admit: admit(hub), ConnectTimeout: 200 * time.Millisecond, MaxConnecting: 2})
	for _, key := range []string{"good", "other"} {
		res, text := s.ask(t, "POST", "/whip", rtc.SDPType, chromeOffer, "Authorization", "Bearer "+key)
		require.Contains(t, []int{201, 503}, res.StatusCode, text)
	}
	require.Equal(t, live.ReasonNoMedia, hub.Next(t, 0).AwaitEnd(t))
	testx.WaitFor(t, "no session", func() bool { return s.Sessions() == 0 })
}

func TestThereIsABoundOfSessions(t *testing.T) {
	for _, o := range []Options{{MaxSessions: 1}, {MaxConnecting: 1}} {
		hub := ingesttest.NewHub("good", "other")
		o.Admit = admit(hub)
		s := serve(t, o)
		res, text := s.ask(t, "POST", "/whip", rtc.SDPType, chromeOffer, "Authorization", auth)
		require.Equal(t, 201, res.StatusCode, text)
		res, text = s.ask(t, "POST", "/whip", rtc.SDPType, chromeOffer, "Authorization", "Bearer other")
		require.Equal(t, 503, res.StatusCode)
		require.NotEmpty(t, res.Header.Get("Retry-After"))
		require.Contains(t, text, "overloaded")
	}
}

func TestAPanicCostsOneRequest(t *testing.T) {
	s := serve(t, Options{Admit: func(context.Context, Request) (Publisher, Feed, error) { panic("here") }})
	res, text := s.ask(t, "POST", "/whip", rtc.SDPType, chromeOffer, "Authorization", auth)
	require.Equal(t, 500, res.StatusCode)
	require.NotContains(t, text, "here")
	require.Zero(t, s.entering)
}

func TestPatchTricklesAndRestarts(t *testing.T) {
	hub := ingesttest.NewHub("good")
	s := serve(t, Options{Admit: admit(hub)})
	c := onAir(t, s, "good")
	require.NoError(t, c.Send(t.Context()))
	pub := hub.Next(t, 0)
	pub.AwaitUnits(t, media.Video, 5)

	patch := func(body, match string) (*http.Response, string) {
		res, text, err := c.do(t.Context(), "PATCH", c.location, rtc.FragmentType, body, "If-Match", match)
		require.NoError(t, err)
		return res, text
	}
	trickle := "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n"
	res, text := patch(trickle, c.etag)
	require.Equal(t, 204, res.StatusCode, text)
	res, _ = patch(trickle, "")
	require.Equal(t, 428, res.StatusCode)
	res, _ = patch(trickle, `"another"`)
	require.Equal(t, 412, res.StatusCode)
	res, _ = patch("nonsense", c.etag)
	require.Equal(t, 422, res.StatusCode)

	// The restart: new credentials there, new ones back, media goes on.
	offer, err := c.offer(&webrtc.OfferOptions{ICERestart: true})
	require.NoError(t, err)
	var fragment strings.Builder
	for line := range strings.Lines(offer) {
		if strings.HasPrefix(line, "a=ice-") || strings.HasPrefix(line, "m=") || strings.HasPrefix(line, "a=mid") || strings.HasPrefix(line, "a=candidate") {
			fragment.WriteString(line)
		}
	}
	res, text = patch(fragment.String(), "*")
	require.Equal(t, 200, res.StatusCode, text)
	require.Equal(t, rtc.FragmentType, res.Header.Get("Content-Type"))
	require.NotEqual(t, c.etag, res.Header.Get("ETag"))
	back, err := rtc.ParseFragment([]byte(text))
	require.NoError(t, err)

	// A WHIP client makes the answer of the old one and the fragment.
	old := c.pc.CurrentRemoteDescription().SDP
	var answer strings.Builder
	for line := range strings.Lines(old) {
		switch {
		case strings.HasPrefix(line, "a=ice-ufrag:"):
			line = "a=ice-ufrag:" + back.Ufrag + "\r\n"
		case strings.HasPrefix(line, "a=ice-pwd:"):
			line = "a=ice-pwd:" + back.Pwd + "\r\n"
		}
		answer.WriteString(line)
	}
	require.NoError(t, c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer.String()}))
	n := len(pub.Units(media.Video))
	testx.WaitFor(t, "media after the restart", func() bool {
		require.NoError(t, c.sendPair())
		return len(pub.Units(media.Video)) > n+20
	})
	res, _ = patch(trickle, c.etag)
	require.Equal(t, 412, res.StatusCode, "the tag of the ICE session before")
	require.NoError(t, c.Stop())
	require.Equal(t, live.ReasonPublisherStopped, pub.AwaitClosed(t))
	require.Error(t, c.Stop(), "it is gone")
}

// TestLossLeavesVideoThatDecodes: every twentieth packet is lost on the way, also of those that are sent again.
func TestLossLeavesVideoThatDecodes(t *testing.T) {
	hub := ingesttest.NewHub("good")
	s := serve(t, Options{Admit: admit(hub)})
	c := onAir(t, s, "good", func(c *client) { c.loss = 5 })
	pace := time.NewTicker(time.Second / 120)
	defer pace.Stop()
	for range 180 {
		<-pace.C
		require.NoError(t, c.sendPair())
	}
	pub := hub.Next(t, 0)
	pub.AwaitUnits(t, media.Video, 90) // half of them come through whatever is lost; mostly all do
	pub.AwaitNetwork(t, func(n live.Network) bool { return n.Lost > 0 && n.Lost < n.Packets/4 && n.Missing <= n.Lost })
	require.NoError(t, c.Stop())
	pub.AwaitClosed(t)

	var h264 bytes.Buffer
	for _, au := range pub.Units(media.Video) {
		for d := au.Data; len(d) > 4; {
			n := int(d[0])<<24 | int(d[1])<<16 | int(d[2])<<8 | int(d[3])
			h264.Write([]byte{0, 0, 0, 1})
			h264.Write(d[4 : 4+n])
			d = d[4+n:]
		}
	}
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-xerror", "-f", "h264", "-i", "pipe:0", "-f", "null", "-")
	cmd.Stdin = &h264
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Empty(t, string(out))
	t.Logf("%d of 180 pictures", len(pub.Units(media.Video)))
}

// anyKey lets in every key, for the stream of its name.
type anyKey struct{}

func (anyKey) AuthorizePublish(_ context.Context, key string, _ live.Peer) (live.Grant, error) {
	return live.Grant{StreamID: "id-" + key, Stream: key, KeyID: "k-" + key}, nil
}

func TestTheRealHubGetsMediaAndMayAskForKeyFrames(t *testing.T) {
	hub := live.NewHub(live.Options{Authorizer: anyKey{}, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = hub.Run(ctx) })
	defer func() { cancel(); wg.Wait() }()
	s := serve(t, Options{Admit: ToHub(hub, ingest.FeedOptions{})})
	c := onAir(t, s, "main")
	testx.WaitFor(t, "the stream to be live", func() bool {
		require.NoError(t, c.sendPair())
		status, _ := hub.Lookup("main")
		return status.State == live.StateLive
	})
	status, _ := hub.Lookup("main")
	require.Equal(t, "whip", status.Protocol)
	require.Equal(t, media.H264, status.Tracks[media.Video].Codec)
	require.Equal(t, media.Opus, status.Tracks[media.Audio].Codec)
	before := c.plis.Load()
	session, ok := hub.Session("main")
	require.True(t, ok)
	session.AskKeyFrame()
	testx.WaitFor(t, "a PLI", func() bool { return c.plis.Load() > before })

	// Another one takes over; the first is told by the end of its connection.
	second := onAir(t, s, "main")
	<-c.over
	// A peer is told by DTLS, whose handshake ends a moment later here than there.
	testx.WaitFor(t, "the connection", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, sess := range s.sessions {
			if sess.connecting() {
				return false
			}
		}
		return true
	})
	s.Close()
	<-second.over
	res, _ := s.ask(t, "POST", "/whip", rtc.SDPType, chromeOffer, "Authorization", auth)
	require.Equal(t, 503, res.StatusCode)
}

func FuzzOffer(f *testing.F) {
	f.Add([]byte(chromeOffer))
	f.Add([]byte(strings.ReplaceAll(chromeOffer, "a=sendonly", "a=sendrecv\r\na=rid:h send\r\na=rid:l send\r\na=simulcast:send h;l")))
	f.Add([]byte("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"))
	f.Add([]byte("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"))
	sockets, err := rtc.Listen(rtc.Options{UDPAddr: "127.0.0.1:0"})
	require.NoError(f, err)
	hub := ingesttest.NewHub("good")
	s, err := New(Options{RTC: sockets, Admit: admit(hub)})
	require.NoError(f, err)
	f.Cleanup(func() { s.Close(); _ = sockets.Close() })
	f.Fuzz(func(t *testing.T, offer []byte) {
		r := httptest.NewRequest(http.MethodPost, "/whip", bytes.NewReader(offer))
		r.Header.Set("Content-Type", rtc.SDPType)
		r.Header.Set("Authorization", auth)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusCreated:
			w2 := httptest.NewRecorder()
			s.ServeHTTP(w2, httptest.NewRequest(http.MethodDelete, w.Header().Get("Location"), nil))
			if w2.Code != http.StatusOK {
				t.Fatalf("DELETE: %d", w2.Code)
			}
		case http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
		default:
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
	})
}
