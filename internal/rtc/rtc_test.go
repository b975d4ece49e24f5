package rtc

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
)

func TestMain(m *testing.M) { testx.Main(m) }

func listen(t *testing.T, o Options) *Server {
	t.Helper()
	o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	s, err := Listen(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func (s *Server) receiver(t *testing.T) *webrtc.PeerConnection {
	t.Helper()
	m, r := &webrtc.MediaEngine{}, &interceptor.Registry{}
	require.NoError(t, RegisterH264Opus(m))
	require.NoError(t, RegisterAV1VP9(m))
	require.NoError(t, s.RegisterReceiver(m, r))
	pc, err := s.NewPeerConnection(m, r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = pc.GracefulClose() })
	return pc
}

// peer is a plain client that offers one picture track, over the networks named.
func peer(t *testing.T, networks ...webrtc.NetworkType) (*webrtc.PeerConnection, string) {
	t.Helper()
	e := webrtc.SettingEngine{}
	e.SetIncludeLoopbackCandidate(true)
	e.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() })
	e.SetNetworkTypes(networks)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(e)).NewPeerConnection(webrtc.Configuration{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = pc.GracefulClose() })
	track, err := webrtc.NewTrackLocalStaticSample(H264Capability(), "video", "test")
	require.NoError(t, err)
	_, err = pc.AddTrack(track)
	require.NoError(t, err)
	return pc, offer(t, pc, nil)
}

func offer(t *testing.T, pc *webrtc.PeerConnection, o *webrtc.OfferOptions) string {
	t.Helper()
	d, err := pc.CreateOffer(o)
	require.NoError(t, err)
	done := webrtc.GatheringCompletePromise(pc)
	require.NoError(t, pc.SetLocalDescription(d))
	<-done
	return pc.LocalDescription().SDP
}

func accept(t *testing.T, pc *webrtc.PeerConnection, answer string) {
	t.Helper()
	require.NoError(t, pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}))
}

func connected(t *testing.T, pc *webrtc.PeerConnection) {
	t.Helper()
	testx.WaitFor(t, "a connection", func() bool { return pc.ConnectionState() == webrtc.PeerConnectionStateConnected })
}

func TestPeersConnectOverEachTransport(t *testing.T) {
	for _, c := range []struct {
		name    string
		o       Options
		network webrtc.NetworkType
	}{
		{"UDP on IPv4", Options{UDPAddr: "127.0.0.1:0"}, webrtc.NetworkTypeUDP4},
		{"UDP on every address", Options{UDPAddr: ":0"}, webrtc.NetworkTypeUDP4},
		{"TCP on every address", Options{TCPAddr: ":0"}, webrtc.NetworkTypeTCP4},
		{"TCP behind the same server", Options{UDPAddr: ":0", TCPAddr: ":0"}, webrtc.NetworkTypeTCP4},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := listen(t, c.o)
			server := s.receiver(t)
			client, sdp := peer(t, c.network)
			_, err := CheckOffer([]byte(sdp))
			require.NoError(t, err)
			answer, err := Answer(t.Context(), server, sdp)
			require.NoError(t, err)
			require.Contains(t, answer, "a=ice-lite")
			accept(t, client, answer)
			connected(t, client)
			connected(t, server)
		})
	}
}

// TestWhatIsSentAgainHasAStreamOfItsOwn: each codec of pictures that is agreed on is so with the packets that are sent again.
func TestWhatIsSentAgainHasAStreamOfItsOwn(t *testing.T) {
	s := listen(t, Options{UDPAddr: "127.0.0.1:0"})
	_, sdp := peer(t, webrtc.NetworkTypeUDP4)
	answer, err := Answer(t.Context(), s.receiver(t), sdp)
	require.NoError(t, err)
	codecs, again := 0, 0
	for line := range strings.Lines(answer) {
		pt, name, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "a=rtpmap:"), " ")
		switch name {
		case "H264/90000", "VP9/90000", "AV1/90000":
			codecs++
			require.Contains(t, answer, "apt="+pt+"\r\n", "%s: %s", name, answer)
		case "rtx/90000":
			again++
		}
	}
	require.Greater(t, codecs, 2)
	require.Equal(t, codecs, again)
}

func TestIceRestartGoesOnWithTheConnection(t *testing.T) {
	s := listen(t, Options{UDPAddr: "127.0.0.1:0"})
	server := s.receiver(t)
	client, sdp := peer(t, webrtc.NetworkTypeUDP4)
	answer, err := Answer(t.Context(), server, sdp)
	require.NoError(t, err)
	accept(t, client, answer)
	connected(t, client)

	again := offer(t, client, &webrtc.OfferOptions{ICERestart: true})
	f, err := ParseFragment([]byte(fragmentOf(again)))
	require.NoError(t, err)
	require.True(t, f.Restarts(server.RemoteDescription().SDP))
	back, err := f.Restart(t.Context(), server)
	require.NoError(t, err)
	ours, err := ParseFragment([]byte(back))
	require.NoError(t, err)
	require.NotContains(t, answer, ours.Ufrag)
	require.Positive(t, ours.Candidates)
	require.Contains(t, back, "a=ice-lite")

	accept(t, client, server.LocalDescription().SDP)
	connected(t, client)
	testx.WaitFor(t, "ICE", func() bool {
		s := client.ICEConnectionState()
		return s == webrtc.ICEConnectionStateConnected || s == webrtc.ICEConnectionStateCompleted
	})
	connected(t, server)
	require.False(t, f.Restarts(server.RemoteDescription().SDP))
}

func TestIceRestartsLeaveNothingBehind(t *testing.T) {
	s := listen(t, Options{UDPAddr: "127.0.0.1:0", TCPAddr: "127.0.0.1:0"})
	server := s.receiver(t)
	client, sdp := peer(t, webrtc.NetworkTypeUDP4)
	answer, err := Answer(t.Context(), server, strings.ReplaceAll(sdp, "\r\n", "\n"))
	require.NoError(t, err)
	accept(t, client, answer)
	connected(t, client)
	connected(t, server)
	restart := func(n int) {
		f := Fragment{Ufrag: fmt.Sprintf("ufrag%d", n), Pwd: strings.Repeat("p", 24)}
		require.True(t, f.Restarts(server.RemoteDescription().SDP))
		_, err := f.Restart(t.Context(), server)
		require.NoError(t, err)
		require.False(t, f.Restarts(server.RemoteDescription().SDP))
	}
	restart(0)
	before := runtime.NumGoroutine()
	for n := range 30 {
		restart(n + 1)
	}
	testx.WaitFor(t, "the goroutines of earlier ICE sessions to end", func() bool { return runtime.NumGoroutine() <= before+5 })
}

func TestPublicAddressesAreToldBesidesOurs(t *testing.T) {
	s := listen(t, Options{UDPAddr: ":0", TCPAddr: ":0", PublicAddrs: []string{"203.0.113.7", "2001:db8::7"}})
	_, sdp := peer(t, webrtc.NetworkTypeUDP4)
	answer, err := Answer(t.Context(), s.receiver(t), sdp)
	require.NoError(t, err)
	require.Contains(t, answer, "203.0.113.7")
	require.Contains(t, answer, " 127.0.0.1 ")
	require.Contains(t, answer, "tcptype passive")
}

// A client of pion takes no IPv6 loopback address: only what it is told can be looked at.
func TestIPv6IsTold(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here")
	}
	_ = l.Close()
	s := listen(t, Options{UDPAddr: "[::1]:0"})
	_, sdp := peer(t, webrtc.NetworkTypeUDP4)
	answer, err := Answer(t.Context(), s.receiver(t), sdp)
	require.NoError(t, err)
	require.Contains(t, answer, " ::1 ")
}

func TestWhatCannotBeConfiguredIsRefused(t *testing.T) {
	for _, o := range []Options{
		{}, {UDPAddr: "nowhere"}, {TCPAddr: "127.0.0.1:99999"}, {UDPAddr: ":0", PublicAddrs: []string{"example.net"}},
		{UDPAddr: ":0", ICEServers: []string{"http://example.net"}},
	} {
		_, err := Listen(o)
		require.Error(t, err, "%+v", o)
	}
}

func TestIceServers(t *testing.T) {
	h := http.Header{}
	s := listen(t, Options{UDPAddr: "127.0.0.1:0", ICEServers: []string{"stun:stun.example.net:3478", `turn:us%22er:pass@[2001:db8::1]:3478?transport=tcp`}})
	s.AddLinks(h)
	require.Equal(t, []string{
		`<stun:stun.example.net:3478>; rel="ice-server"`,
		`<turn:[2001:db8::1]:3478?transport=tcp>; rel="ice-server"; username="us\"er"; credential="pass"; credential-type="password"`,
	}, h["Link"])
	for _, bad := range []string{"", "stun:", "stun:u:p@host:1", "turn:host:1", "turn:u:p@host?transport=sctp", "stun:host/path", "stun:a>b"} {
		_, err := ParseICEServer(bad)
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "u:p")
	}
}

func TestTCPConnectionsAreLimitedAndEndWithTheServer(t *testing.T) {
	s, err := Listen(Options{TCPAddr: "127.0.0.1:0", MaxTCP: 2})
	require.NoError(t, err)
	var open []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", s.TCPAddr().String())
		require.NoError(t, err)
		open = append(open, c)
	}
	testx.WaitFor(t, "two connections", func() bool {
		s.listener.mu.Lock()
		defer s.listener.mu.Unlock()
		return len(s.listener.conns) == 2
	})
	third, err := net.Dial("tcp", s.TCPAddr().String())
	require.NoError(t, err)
	gone(t, third)
	began := time.Now()
	require.NoError(t, s.Close())
	require.Less(t, time.Since(began), firstSTUN, "it waited for those who said nothing")
	for _, c := range open {
		gone(t, c)
	}
}

func gone(t *testing.T, c net.Conn) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err := c.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "still open")
	_ = c.Close()
}

func TestOffersAreJudged(t *testing.T) {
	_, good := peer(t, webrtc.NetworkTypeUDP4)
	for name, bad := range map[string]string{
		"nothing":      "",
		"no SDP":       "hello",
		"no media":     strings.SplitN(good, "m=", 2)[0],
		"ice-lite":     strings.Replace(good, "t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n", 1),
		"data":         strings.Replace(good, "m=video", "m=application", 1),
		"no ufrag":     strings.ReplaceAll(good, "a=ice-ufrag", "a=other"),
		"no print":     strings.ReplaceAll(good, "a=fingerprint", "a=other"),
		"too long":     good + strings.Repeat("a=x\r\n", MaxSDP/5),
		"attributes":   good + strings.Repeat("a=x\r\n", maxAttributes),
		"candidates":   good + strings.Repeat("a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n", maxCandidates),
		"many of them": good + strings.Repeat("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", maxSections),
	} {
		_, err := CheckOffer([]byte(bad))
		require.ErrorIs(t, err, ErrOffer, name)
	}
	for _, bad := range []string{"x", "a=ice-ufrag:abcd\r\n", "a=ice-ufrag:ab\r\na=ice-pwd:0123456789012345678901\r\n",
		"a=ice-ufrag:ab\x00d\r\na=ice-pwd:0123456789012345678901\r\n", strings.Repeat("a=candidate:1\r\n", maxCandidates+1)} {
		_, err := ParseFragment([]byte(bad))
		require.ErrorIs(t, err, ErrOffer, bad)
	}
}

func FuzzFragment(f *testing.F) {
	f.Add([]byte("a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n" +
		"a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw\r\na=end-of-candidates\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := ParseFragment(b)
		if err == nil && fr.Candidates > maxCandidates {
			t.Fatal("too many")
		}
		_ = fragmentOf(string(b))
	})
}
