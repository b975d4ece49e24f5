package rtsp

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/sdp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"mediad/ingest"
	"mediad/ingest/ingesttest"
	"mediad/live"
	"mediad/media"
)

func feedOptions() ingest.FeedOptions { return ingest.FeedOptions{} }

// sdps are descriptions as clients and cameras send them.
var sdps = []string{
	"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n" +
		"a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z0LADNkDxWhAAAADAEAAAAwDxQqS,aMuMsg==; profile-level-id=42C00C\r\na=control:streamid=0\r\n" +
		"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/2\r\n" +
		"a=fmtp:97 profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3; config=119056E500\r\na=control:streamid=1\r\n",
	"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\na=control:0\r\n" +
		"m=audio 0 RTP/AVP 8\r\na=control:1\r\nm=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\na=control:2\r\n",
	"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=audio 0 RTP/AVP 96\r\na=rtpmap:96 MP4A-LATM/48000/2\r\n" +
		"a=fmtp:96 profile-level-id=15; cpresent=0; config=400023203fc0\r\na=control:0\r\n",
	"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=audio 0 RTP/AVP 96\r\na=rtpmap:96 MP4A-LATM/90000\r\na=fmtp:96 cpresent=1\r\na=control:0\r\n",
	"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=audio 0 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\na=control:0\r\n",
	"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:0\r\nm=audio 0 RTP/AVP 0\r\na=control:1\r\n",
}

func parseSDP(b []byte) (*description.Session, error) {
	var s sdp.SessionDescription
	if err := s.Unmarshal(b); err != nil {
		return nil, err
	}
	var d description.Session
	return &d, d.Unmarshal(&s)
}

// FuzzDescription looks for a panic on the way from a description to tracks, and from packets to units.
func FuzzDescription(f *testing.F) {
	for _, s := range sdps {
		f.Add([]byte(s), []byte{0x65, 1, 2, 3}, []byte{0, 16, 0, 8, 1})
	}
	f.Fuzz(func(t *testing.T, b, video, audio []byte) {
		desc, err := parseSDP(b)
		if err != nil {
			return
		}
		c, err := choose(desc, len(b)%2 == 0)
		if err != nil {
			return
		}
		hub := ingesttest.NewHub("k")
		p, err := hub.Admit(t.Context(), "k", live.Peer{})
		require.NoError(t, err)
		o := &limits{maxFrame: 1 << 20, firstTimeout: time.Hour, readTimeout: time.Hour, transcoder: &fakeTranscoder{}}
		pub := newPublication(p, p, c, o, slog.New(slog.DiscardHandler), time.Now, func() {})
		for i := range 8 {
			header := rtp.Header{Marker: i%2 == 1, SequenceNumber: uint16(i), Timestamp: uint32(i/2) * 3000}
			if pub.video != nil {
				pub.packet(media.Video, &rtp.Packet{Header: header, Payload: video[min(i, len(video)):]})
			}
			if pub.audio != nil {
				pub.packet(media.Audio, &rtp.Packet{Header: header, Payload: audio[min(i, len(audio)):]})
			}
		}
		if err := pub.finish(live.Refuse(live.ReasonPublisherStopped, nil)); live.ReasonOf(err) == live.ReasonIngestError {
			t.Fatal(err)
		}
	})
}

// FuzzPath looks for names that a path should not give.
func FuzzPath(f *testing.F) {
	f.Add("/live/key", "token=a")
	f.Add("/live/a/b", "%%")
	f.Fuzz(func(t *testing.T, path, query string) {
		if name, err := parsePath(path); err == nil {
			require.NotEmpty(t, name)
			require.LessOrEqual(t, len(name), maxName)
			require.NotContains(t, name, "/")
		}
		require.LessOrEqual(t, len(tokenOf(query)), maxToken)
		require.LessOrEqual(t, len(cleanName(query)), maxEncoderName)
	})
}

// FuzzRequests sends bytes to a server, which must outlive them.
func FuzzRequests(f *testing.F) {
	const head = "rtsp://127.0.0.1/live/good-key RTSP/1.0\r\nCSeq: 1\r\n"
	f.Add([]byte("OPTIONS " + head + "\r\n"))
	f.Add([]byte("DESCRIBE " + head + "\r\n"))
	f.Add([]byte("PLAY " + head + "Session: x\r\n\r\n"))
	for _, s := range sdps[:2] {
		f.Add(announce("good-key", s, 0))
	}
	f.Add(append(announce("good-key", sdps[4], 0), append([]byte("SETUP "+head+"Transport: RTP/AVP/TCP;unicast;interleaved=0-1;mode=record\r\n\r\n"+
		"RECORD "+head+"\r\n"), []byte{'$', 0, 0, 13, 0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xFC}...)...))
	hub := ingesttest.NewHub("good-key")
	addr, wait := start(f.Context(), f, hub, Options{IdleTimeout: 50 * time.Millisecond, ReadTimeout: 50 * time.Millisecond,
		FirstFrameTimeout: 50 * time.Millisecond, Log: slog.New(slog.DiscardHandler), Player: nobody{}})
	f.Cleanup(wait)
	f.Fuzz(func(t *testing.T, b []byte) {
		nc, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		defer nc.Close()
		require.NoError(t, nc.SetDeadline(time.Now().Add(10*time.Second)))
		_, _ = nc.Write(b)
		_ = nc.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, nc)
	})
}

func announce(key, body string, length int) []byte {
	if length == 0 {
		length = len(body)
	}
	var b bytes.Buffer
	b.WriteString("ANNOUNCE rtsp://127.0.0.1/live/" + key + " RTSP/1.0\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: ")
	b.WriteString(itoa(length) + "\r\n\r\n" + body)
	return b.Bytes()
}
