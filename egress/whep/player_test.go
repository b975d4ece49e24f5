package whep

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
)

// wire is where a sender's packets go.
type wire struct {
	mu      sync.Mutex
	headers []rtp.Header
	bytes   int
}

func (w *wire) WriteRTP(h *rtp.Header, payload []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.headers = append(w.headers, *h)
	w.bytes += len(payload)
	return len(payload), nil
}

func (w *wire) Write(b []byte) (int, error) { return len(b), nil }

// bound is a context that a sender is bound by without a peer connection.
type bound struct{ out webrtc.TrackLocalWriter }

func (b bound) CodecParameters() []webrtc.RTPCodecParameters {
	h264 := func(profile string, pt webrtc.PayloadType) webrtc.RTPCodecParameters {
		c := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, SDPFmtpLine: "profile-level-id=" + profile}
		return webrtc.RTPCodecParameters{RTPCodecCapability: c, PayloadType: pt}
	}
	opus := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}
	return []webrtc.RTPCodecParameters{
		{RTPCodecCapability: opus, PayloadType: 111}, h264("42e01f", 96), h264("64001f", 98),
	}
}
func (bound) HeaderExtensions() []webrtc.RTPHeaderExtensionParameter { return nil }
func (bound) SSRC() webrtc.SSRC                                      { return 7 }
func (bound) SSRCRetransmission() webrtc.SSRC                        { return 0 }
func (bound) SSRCForwardErrorCorrection() webrtc.SSRC                { return 0 }
func (b bound) WriteStream() webrtc.TrackLocalWriter                 { return b.out }
func (bound) ID() string                                             { return "" }
func (bound) RTCPReader() interceptor.RTCPReader                     { return nil }

// lone is a viewer without a peer connection, of a broadcast that is fed by hand.
func lone(t testing.TB, o Options) (*viewer, *wire) {
	t.Helper()
	hub := live.NewHub(live.Options{Authorizer: anyKey{}})
	t.Cleanup(func() { _ = hub.Shutdown(context.Background()) })
	p, err := hub.Publish(context.Background(), "main", live.Peer{})
	require.NoError(t, err)
	track, units := pattern(1, 1)
	require.NoError(t, p.StartEpoch(videoOf(track), 0, time.Now(), "test"))
	require.NoError(t, p.Write(units[0]))
	w := &wire{}
	b := newBroadcast(&Server{o: o.withDefaults()}, p.Session())
	v := &viewer{
		b: b, log: b.log, wake: make(chan struct{}, 1), ending: make(chan struct{}), video: newSender(videoKind, "main", track),
	}
	_, err = v.video.Bind(bound{w})
	require.NoError(t, err)
	v.player.v = v
	return v, w
}

func picture(n int, key bool, size int) *frame {
	f := newFrame([][]byte{make([]byte, size)}, media.Ticks(n)*3000, time.Duration(n)*time.Second/30)
	f.key = key
	return f
}

func TestSenderNamesTheSourcesProfile(t *testing.T) {
	v, w := lone(t, Options{})
	v.b.source.add(picture(1, true, 100))
	_, err := v.player.step(0)
	require.NoError(t, err)
	require.Equal(t, uint8(98), w.headers[0].PayloadType, "the source is High")
}

// TestSlowViewer: one that cannot be sent fast enough goes on at key frames, and is given up at the third time.
func TestSlowViewer(t *testing.T) {
	v, w := lone(t, Options{})
	p := &v.player
	n := 0
	add := func(seconds int) {
		for range seconds * 30 {
			v.b.source.add(picture(n, n%30 == 0, 1000))
			n++
		}
	}
	add(1)
	_, err := p.step(0)
	require.NoError(t, err)
	require.Equal(t, 30, len(w.headers))
	for i := 1; i <= 2; i++ {
		add(10) // meanwhile nothing was sent
		_, err = p.step(time.Duration(i) * time.Second)
		require.NoError(t, err)
		require.Equal(t, i, p.skipped)
		require.Equal(t, 30+i*30, len(w.headers), "the newest GOP and nothing older")
		require.LessOrEqual(t, len(v.b.source.frames), 92, "a slow reader costs nothing")
	}
	add(10)
	_, err = p.step(3 * time.Second)
	require.Equal(t, live.ReasonTooSlow, live.ReasonOf(err))

	// Long after, it would have been forgiven.
	p.skips = p.skips[:2]
	add(10)
	_, err = p.step(time.Minute)
	require.NoError(t, err)
	for i := 1; i < len(w.headers); i++ {
		require.Positive(t, int32(w.headers[i].Timestamp-w.headers[i-1].Timestamp))
		require.Equal(t, w.headers[i-1].SequenceNumber+1, w.headers[i].SequenceNumber)
	}
}

// TestLongGOP: what is over the bounds is not kept, and whoever comes then waits for the next key frame.
func TestLongGOP(t *testing.T) {
	v, w := lone(t, Options{})
	for n := range 2000 {
		v.b.source.add(picture(n, n == 0, 20000))
	}
	require.LessOrEqual(t, v.b.source.bytes, maxLayerBytes)
	require.LessOrEqual(t, len(v.b.source.frames), maxFrames)
	_, err := v.player.step(0)
	require.NoError(t, err)
	require.Empty(t, w.headers)
	v.b.source.add(picture(2000, false, 100))
	v.b.source.add(picture(2001, true, 100))
	v.b.source.add(picture(2002, false, 100))
	_, err = v.player.step(time.Second)
	require.NoError(t, err)
	require.Len(t, w.headers, 2)
}

// TestKeyFrameCutsThePlayingOffShort: it is the better beginning.
func TestKeyFrameCutsThePlayingOffShort(t *testing.T) {
	v, w := lone(t, Options{})
	for n := range 100 {
		v.b.source.add(picture(n, n == 0, 20000))
	}
	wait, err := v.player.step(0)
	require.NoError(t, err)
	require.Positive(t, wait, "two megabytes do not go at once")
	sent := len(w.headers)
	require.Less(t, sent, 10)
	v.b.source.add(picture(100, true, 20000))
	_, err = v.player.step(wait)
	require.NoError(t, err)
	require.Equal(t, sent+1, len(w.headers))
	require.Equal(t, uint32(300000), w.headers[sent].Timestamp-v.video.offset)
}

func TestSendingAllocatesLittle(t *testing.T) {
	v, w := lone(t, Options{})
	n := 0
	v.b.source.add(picture(n, true, 1000))
	require.LessOrEqual(t, testing.AllocsPerRun(500, func() {
		n++
		f := picture(n, n%30 == 0, 1000)
		v.b.source.add(f)
		if _, err := v.player.step(f.at); err != nil {
			t.Fatal(err)
		}
		w.headers = w.headers[:0]
	}), 6.0, "three are the frame, and one is the header")
}

// clip is a Rungs with what a test gives it.
type clip struct{ ch chan media.Encoded }

func (c *clip) Follow(*live.Session) (RungReader, error) { return c, nil }
func (c *clip) Close()                                   {}
func (c *clip) Next(ctx context.Context) (media.Encoded, error) {
	select {
	case e, ok := <-c.ch:
		if !ok {
			return media.Encoded{}, io.EOF
		}
		return e, nil
	case <-ctx.Done():
		return media.Encoded{}, ctx.Err()
	}
}

// TestRungsStandInForBFrames: pictures of a source with B-frames come from the rung, and go on from another when it is shed.
func TestRungsStandInForBFrames(t *testing.T) {
	rungs := &clip{ch: make(chan media.Encoded, 200)}
	s := newSite(t, Options{Rungs: rungs})
	pub := s.publish("main", videoOf(mediatest.H264Track(1280, 720, 30, 1)))
	pub.write(mediatest.Video(mediatest.VideoPattern{Frames: 20, BFrames: 2})...)
	big, small := mediatest.H264Track(640, 360, 30, 1), mediatest.H264Track(320, 180, 30, 1)
	units := mediatest.Video(mediatest.VideoPattern{Frames: 60, GOP: 10})
	send := func(rung string, t *media.Track, units []media.AccessUnit) {
		if t != nil {
			rungs.ch <- media.Encoded{Kind: media.EncodedTrack, Rung: rung, Track: t}
		}
		for _, au := range units {
			rungs.ch <- media.Encoded{Kind: media.EncodedUnit, Rung: rung, Unit: au}
		}
	}
	rungs.ch <- media.Encoded{Kind: media.EncodedTrack, Rung: "audio", Track: mediatest.AACTrack(48000, 2)}
	send("180p", small, units[:20])
	send("360p", big, units[:20])
	p := newPeer(t, videoKind)
	require.Equal(t, 201, p.play(s, "main").StatusCode)
	testx.WaitFor(t, "pictures of a rung", func() bool { return p.seen() >= 10 })
	p.mu.Lock()
	first := p.pictures[0]
	p.mu.Unlock()
	require.Equal(t, wantPicture(big, units[10]), first, "the heavier of the two")

	seen := p.seen()
	rungs.ch <- media.Encoded{Kind: media.EncodedShed, Rung: "360p"}
	send("180p", nil, units[20:40])
	testx.WaitFor(t, "pictures of the other", func() bool { return p.seen() >= seen+10 })
	p.mu.Lock()
	defer p.mu.Unlock()
	sets, _ := small.H264ParameterSets()
	require.Contains(t, string(p.pictures[seen]), string(sets[0]), "it begins with a key frame of its own")
	for i := 1; i < len(p.stamps); i++ {
		require.Positive(t, int32(p.stamps[i]-p.stamps[i-1]), "time goes on")
	}
}

// dubber is an Opus that says of each unit when it is.
type dubber struct {
	mu      sync.Mutex
	running int
	started int
}

type dub struct {
	d    *dubber
	out  chan media.AccessUnit
	once sync.Once
}

func (d *dubber) Encode(*media.Track) (OpusEncoder, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running++
	d.started++
	return &dub{d: d, out: make(chan media.AccessUnit, 100)}, nil
}

func (e *dub) Write(au media.AccessUnit) bool {
	au.PTS = media.Rescale(au.PTS, 44100, 48000)
	e.out <- au
	return true
}
func (e *dub) Units() <-chan media.AccessUnit { return e.out }
func (e *dub) Close() {
	e.once.Do(func() {
		close(e.out)
		e.d.mu.Lock()
		e.d.running--
		e.d.mu.Unlock()
	})
}

func (d *dubber) runs() int { d.mu.Lock(); defer d.mu.Unlock(); return d.running }

// TestOtherSoundIsEncodedWhileSomebodyHears and no longer.
func TestOtherSoundIsEncodedWhileSomebodyHears(t *testing.T) {
	d := &dubber{}
	s := newSite(t, Options{Opus: d})
	vt, video := pattern(60, 30)
	at := mediatest.AACTrack(44100, 2)
	sound := mediatest.Audio(mediatest.AudioPattern{Track: at, Frames: 80})
	pub := s.publish("main", [media.Kinds]*media.Track{vt, at})
	pub.write(video[:30]...)
	pub.write(sound[:20]...)
	mute := newPeer(t, videoKind)
	mute.play(s, "main")
	testx.WaitFor(t, "pictures", func() bool { return mute.seen() > 0 })
	pub.write(sound[20:30]...)
	require.Zero(t, d.runs(), "nobody hears")

	p := newPeer(t, videoKind, audioKind)
	p.play(s, "main")
	testx.WaitFor(t, "a listener", func() bool { return p.seen() > 0 })
	pub.write(sound[30:]...)
	testx.WaitFor(t, "sound", func() bool { return p.heard() == 50 })
	p.mu.Lock()
	require.Equal(t, sound[30].Data, p.sounds[0])
	require.InDelta(t, 1114.5, p.soundTS[1]-p.soundTS[0], 1, "1024 samples of 44.1 kHz at 48 kHz")
	p.mu.Unlock()
	require.NoError(t, s.hub.End("main", live.ReasonEndedByOwner))
	testx.WaitFor(t, "the encoder's end", func() bool { return d.runs() == 0 })
	require.Equal(t, 1, d.started)
}

// TestManyViewersShareThePackets: every viewer's packets have the same payload in memory.
func TestManyViewersShareThePackets(t *testing.T) {
	s := newSite(t, Options{Log: discard()})
	track, units := pattern(30, 30)
	pub := s.publish("main", videoOf(track))
	pub.write(units[:5]...)
	const n = 50
	var peers []*peer
	for range n {
		p := newPeer(t, videoKind)
		require.Equal(t, 201, p.play(s, "main").StatusCode)
		peers = append(peers, p)
	}
	for _, p := range peers {
		testx.WaitFor(t, "the beginning", func() bool { return p.seen() == 5 })
	}
	for i := 5; i < len(units); i++ {
		pub.write(units[i])
		for _, p := range peers[:3] {
			testx.WaitFor(t, "a picture", func() bool { return p.seen() >= i })
		}
	}
	for _, p := range peers {
		testx.WaitFor(t, "all pictures", func() bool { return p.seen() == 30 })
	}
	require.Equal(t, n, s.whep.Viewers("main"))

	s.whep.mu.Lock()
	require.Len(t, s.whep.broadcasts, 1)
	payloads := map[*byte]int{}
	for _, v := range s.whep.viewers {
		v.video.mu.Lock()
		for _, p := range v.video.sent {
			if p.payload != nil {
				payloads[&p.payload[0]]++
			}
		}
		v.video.mu.Unlock()
	}
	s.whep.mu.Unlock()
	for _, times := range payloads {
		require.Equal(t, n, times)
	}
}
