package rtsp

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	ingest "mediad/ingest/rtsp"
	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
)

// player keeps the packets that it gets.
type player struct {
	lib  *gortsplib.Client
	info headers.RTPInfo
	over chan error // holds one: why the client ended

	mu      sync.Mutex
	changed chan struct{}
	pkts    [media.Kinds][]*rtp.Packet
}

func (s *station) play(name string, transport gortsplib.Transport) (*player, error) {
	p := &player{changed: make(chan struct{}), over: make(chan error, 1)}
	u, err := base.ParseURL(s.url(name))
	require.NoError(s.t, err)
	p.lib = &gortsplib.Client{Scheme: u.Scheme, Host: u.Host, Transport: &transport, OnResponse: func(res *base.Response) {
		_ = p.info.Unmarshal(res.Header["RTP-Info"])
	}}
	if err := p.lib.Start2(); err != nil {
		return nil, err
	}
	s.t.Cleanup(p.lib.Close)
	desc, _, err := p.lib.Describe(u)
	if err != nil {
		return nil, err
	}
	if err := p.lib.SetupAll(desc.BaseURL, desc.Medias); err != nil {
		return nil, err
	}
	p.lib.OnPacketRTPAny(func(m *description.Media, _ format.Format, pkt *rtp.Packet) {
		kind := media.Video
		if m.Type == description.MediaTypeAudio {
			kind = media.Audio
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.pkts[kind] = append(p.pkts[kind], pkt)
		close(p.changed)
		p.changed = make(chan struct{})
	})
	if _, err = p.lib.Play(nil); err != nil {
		return nil, err
	}
	go func() { p.over <- p.lib.Wait() }()
	return p, nil
}

// await waits until cond holds for the packets so far.
func (p *player) await(t *testing.T, cond func(pkts [media.Kinds][]*rtp.Packet) bool) [media.Kinds][]*rtp.Packet {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		p.mu.Lock()
		pkts, changed := p.pkts, p.changed
		p.mu.Unlock()
		if cond(pkts) {
			return pkts
		}
		select {
		case <-changed:
		case err := <-p.over:
			t.Fatal("the player was closed: ", err)
		case <-deadline:
			t.Fatal("waited in vain for packets")
		}
	}
}

// ended waits until the server has closed the player.
func (p *player) ended(t *testing.T) {
	t.Helper()
	select {
	case err := <-p.over:
		require.Error(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("the player is still there")
	}
}

func atLeast(n int) func([media.Kinds][]*rtp.Packet) bool {
	return func(p [media.Kinds][]*rtp.Packet) bool { return len(p[0]) >= n && len(p[1]) >= n }
}

func TestPlayerBeginsWithTheLastGOP(t *testing.T) {
	t.Parallel()
	s := newStation(t, Options{}, ingest.Options{})
	s.publish("cam", small(t))
	for range 5 { // wherever in the GOP
		p, err := s.play("cam", gortsplib.TransportTCP)
		require.NoError(t, err)
		pkts := p.await(t, atLeast(40))
		first := pkts[media.Video][0].Payload
		typ := first[0] & 0x1F
		require.Contains(t, []byte{7, 24}, typ, "parameter sets come first, alone or in one packet")
		for kind, list := range pkts {
			for i, pkt := range list[1:] {
				require.Equal(t, list[i].SequenceNumber+1, pkt.SequenceNumber, "%v packet %d", media.Kind(kind), i+1)
			}
		}
		require.Len(t, p.info, 2)
		var at [media.Kinds]time.Duration
		for k, e := range p.info {
			require.Equal(t, pkts[k][0].SequenceNumber, *e.SequenceNumber, "the response says where it begins")
			at[k] = [...]media.Timescale{90000, 48000}[k].Duration(media.Ticks(*e.Timestamp))
		}
		require.InDelta(t, float64(at[0]), float64(at[1]), float64(time.Millisecond), "one moment for both tracks")
		require.InDelta(t, int64(*p.info[0].Timestamp), int64(pkts[media.Video][0].Timestamp), 9000)
		p.lib.Close()
	}
}

func TestSoundAlone(t *testing.T) {
	t.Parallel()
	s := newStation(t, Options{}, ingest.Options{})
	c := small(t)
	var units []media.AccessUnit
	for _, u := range c.units {
		if u.Kind == media.Audio {
			units = append(units, u)
		}
	}
	s.publish("radio", clip{tracks: [media.Kinds]*media.Track{media.Audio: c.tracks[media.Audio]}, units: units})
	p, err := s.play("radio", gortsplib.TransportTCP)
	require.NoError(t, err)
	pkts := p.await(t, func(p [media.Kinds][]*rtp.Packet) bool { return len(p[media.Audio]) > 20 })
	require.Empty(t, pkts[media.Video])
}

func TestWhatIsNotLiveIsNotFound(t *testing.T) {
	t.Parallel()
	s := newStation(t, Options{}, ingest.Options{})
	for _, name := range []string{"nothing", "a/b", ""} {
		_, err := s.play(name, gortsplib.TransportTCP)
		var status liberrors.ErrClientBadStatusCode
		require.ErrorAs(t, err, &status, name)
		require.Equal(t, base.StatusNotFound, status.Code)
	}
	// Nor is what waits for its publisher.
	stop := s.publish("cam", small(t))
	stop(live.ReasonConnectionLost)
	_, err := s.play("cam", gortsplib.TransportTCP)
	require.ErrorContains(t, err, live.ReasonNotLive.Text())
}

func TestPlayRightsAreAskedWithTheToken(t *testing.T) {
	t.Parallel()
	s := newStation(t, Options{Authorize: func(_ context.Context, stream, token string, peer live.Peer) (<-chan struct{}, error) {
		if stream != "cam" || peer.Remote == "" || token != "good" {
			return nil, live.Refuse(live.ReasonStreamKeyInvalid, errors.New("no right"))
		}
		return nil, nil
	}}, ingest.Options{})
	s.publish("cam", small(t))
	_, err := s.play("cam", gortsplib.TransportTCP)
	var status liberrors.ErrClientBadStatusCode
	require.ErrorAs(t, err, &status)
	require.Equal(t, base.StatusUnauthorized, status.Code)
	p, err := s.play("cam?token=good", gortsplib.TransportTCP)
	require.NoError(t, err)
	p.await(t, atLeast(1))
	require.NotContains(t, s.log.String(), "good")
}

// TestPlayingEndsWithTheRight: for who plays by it, and for nobody else.
func TestPlayingEndsWithTheRight(t *testing.T) {
	t.Parallel()
	lost := make(chan struct{})
	s := newStation(t, Options{Authorize: func(_ context.Context, _, token string, _ live.Peer) (<-chan struct{}, error) {
		if token == "short" {
			return lost, nil
		}
		return nil, nil
	}}, ingest.Options{})
	s.publish("cam", small(t))
	short, err := s.play("cam?token=short", gortsplib.TransportTCP)
	require.NoError(t, err)
	long, err := s.play("cam", gortsplib.TransportTCP)
	require.NoError(t, err)
	short.await(t, atLeast(1))
	close(lost)
	require.Error(t, short.lib.Wait())
	testx.WaitFor(t, "a line that says why", func() bool { return strings.Contains(s.log.String(), string(live.ReasonRightsChanged)) })
	got := long.await(t, atLeast(1))
	long.await(t, atLeast(len(got[media.Video])+5))
}

func TestEpochOfTheSameCodecsGoesOn(t *testing.T) {
	t.Parallel()
	s := newStation(t, Options{}, ingest.Options{})
	stop := s.publish("cam", small(t))
	p, err := s.play("cam", gortsplib.TransportTCP)
	require.NoError(t, err)
	before := len(p.await(t, atLeast(10))[media.Video])
	stop(live.ReasonConnectionLost)
	large := makeClip(t, mediatest.EncodedPattern{Width: 640, Height: 360})
	s.publish("cam", large)
	sps, _ := large.tracks[media.Video].H264ParameterSets()
	pkts := p.await(t, func(p [media.Kinds][]*rtp.Packet) bool {
		for _, pkt := range p[media.Video][before:] {
			if strings.Contains(string(pkt.Payload), string(sps[0])) {
				return true
			}
		}
		return false
	})
	for i, pkt := range pkts[media.Video][1:] {
		require.Equal(t, pkts[media.Video][i].SequenceNumber+1, pkt.SequenceNumber)
	}
}

func TestEpochWithOtherTracksEndsPlayers(t *testing.T) {
	t.Parallel()
	s := newStation(t, Options{}, ingest.Options{})
	stop := s.publish("cam", small(t))
	p, err := s.play("cam", gortsplib.TransportTCP)
	require.NoError(t, err)
	p.await(t, atLeast(10))
	stop(live.ReasonConnectionLost)
	silent := small(t)
	silent.tracks[media.Audio] = mediatest.OpusTrack()
	silent.units = append([]media.AccessUnit(nil), silent.units...)
	for i := range silent.units {
		if u := &silent.units[i]; u.Kind == media.Audio {
			u.Data = []byte{0xFC, 0xFF, 0xFE} // 20 ms of silence
		}
	}
	s.publish("cam", silent)
	p.ended(t)
	p, err = s.play("cam", gortsplib.TransportTCP)
	require.NoError(t, err)
	p.await(t, atLeast(1))
}

func TestEndOfTheSessionClosesPlayers(t *testing.T) {
	t.Parallel()
	s := newStation(t, Options{}, ingest.Options{UDPAddr: freePair(t, "127.0.0.1")})
	s.publish("cam", small(t))
	byTCP, err := s.play("cam", gortsplib.TransportTCP)
	require.NoError(t, err)
	byUDP, err := s.play("cam", gortsplib.TransportUDP)
	require.NoError(t, err)
	byTCP.await(t, atLeast(1))
	byUDP.await(t, atLeast(1))
	require.NoError(t, s.hub.End("cam", live.ReasonEndedByOwner))
	byTCP.ended(t)
	byUDP.ended(t)
	_, err = s.play("cam", gortsplib.TransportTCP)
	require.Error(t, err)
}

func TestStreamWithoutPlayersEnds(t *testing.T) {
	t.Parallel()
	s := newStation(t, Options{Linger: 50 * time.Millisecond}, ingest.Options{})
	s.publish("cam", small(t))
	p, err := s.play("cam", gortsplib.TransportTCP)
	require.NoError(t, err)
	p.await(t, atLeast(1))
	p.lib.Close()
	require.Eventually(t, func() bool {
		s.streams.mu.Lock()
		defer s.streams.mu.Unlock()
		return len(s.streams.streams) == 0
	}, 20*time.Second, 10*time.Millisecond)
	p, err = s.play("cam", gortsplib.TransportTCP)
	require.NoError(t, err)
	p.await(t, atLeast(1))
}

func TestSlowPlayerIsDroppedAlone(t *testing.T) {
	t.Parallel()
	s := newStation(t, Options{}, ingest.Options{WriteQueue: 1024})
	s.publish("cam", makeClip(t, mediatest.EncodedPattern{Width: 1280, Height: 720, GOP: 5}))
	good, err := s.play("cam", gortsplib.TransportTCP)
	require.NoError(t, err)

	nc, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	defer nc.Close()
	require.NoError(t, nc.(*net.TCPConn).SetReadBuffer(4096))
	session := ""
	for _, req := range []string{
		"SETUP " + s.url("cam") + "/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n",
		"PLAY " + s.url("cam") + " RTSP/1.0\r\nCSeq: 2\r\nSession: %\r\n\r\n",
	} {
		_, err := nc.Write([]byte(strings.ReplaceAll(req, "%", session)))
		require.NoError(t, err)
		b := make([]byte, 2048)
		n, err := nc.Read(b)
		require.NoError(t, err)
		require.Contains(t, string(b[:n]), "200 OK")
		if _, rest, ok := strings.Cut(string(b[:n]), "Session: "); ok {
			session = rest[:32]
		}
	}
	require.Eventually(t, func() bool { return strings.Contains(s.log.String(), string(live.ReasonTooSlow)) },
		30*time.Second, 20*time.Millisecond)
	had := len(good.await(t, atLeast(1))[media.Video])
	pkts := good.await(t, func(p [media.Kinds][]*rtp.Packet) bool { return len(p[0]) > had+50 })
	for i, pkt := range pkts[media.Video][1:] {
		require.Equal(t, pkts[media.Video][i].SequenceNumber+1, pkt.SequenceNumber)
	}
}

// TestTheLogTellsOfPlayers: who plays, since when and why no more, and who was not let in.
func TestTheLogTellsOfPlayers(t *testing.T) {
	t.Parallel()
	s := newStation(t, Options{Authorize: func(_ context.Context, stream, _ string, _ live.Peer) (<-chan struct{}, error) {
		switch stream {
		case "private":
			return nil, live.Refuse(live.ReasonRefusedBySite, errors.New("no"))
		case "asked":
			return nil, live.Refuse(live.ReasonHookUnavailable, errors.New("broken"))
		}
		return nil, nil
	}}, ingest.Options{})
	stop := s.publish("cam", small(t))
	lines := func(words ...string) (n int) {
		for line := range strings.Lines(s.log.String()) {
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
				n++
			}
		}
		return n
	}
	for name, reason := range map[string]live.Reason{
		"private": live.ReasonRefusedBySite, "asked": live.ReasonHookUnavailable, "nowhere": live.ReasonNotLive,
	} {
		_, err := s.play(name, gortsplib.TransportTCP)
		require.Error(t, err)
		require.Equal(t, 1, lines("level=WARN", "rtsp: refused", "stream="+name, "reason="+string(reason)), s.log)
	}
	require.Zero(t, lines("error=\"refused_by_site"), "the reason is not told twice")
	for _, end := range []struct {
		by     func(p *player)
		reason live.Reason
	}{
		{func(p *player) { p.lib.Close() }, live.ReasonViewerLeft},
		{func(*player) { stop(live.ReasonEndedByOwner) }, live.ReasonNotLive},
	} {
		p, err := s.play("cam", gortsplib.TransportTCP)
		require.NoError(t, err)
		p.await(t, atLeast(1))
		end.by(p)
		testx.WaitFor(t, "the player's end in the log", func() bool {
			return lines("level=INFO", "rtsp: player ended", "stream=cam", "duration=", "reason="+string(end.reason)) == 1
		})
	}
	require.Equal(t, 2, lines("level=INFO", "rtsp: playing", "stream=cam", "transport=TCP"))
}
