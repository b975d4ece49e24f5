package srt

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"mediad/ingest/srt"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
	"mediad/media/mpegts"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type anyKey struct{}

func (anyKey) AuthorizePublish(_ context.Context, key string, _ live.Peer) (live.Grant, error) {
	return live.Grant{StreamID: "id-" + key, Stream: key, KeyID: "k-" + key}, nil
}

// kept is a Sink that keeps everything.
type kept struct {
	tracks [media.Kinds][]*media.Track
	units  [media.Kinds][]media.AccessUnit
}

func (k *kept) Track(kind media.Kind, t *media.Track) error {
	k.tracks[kind] = append(k.tracks[kind], t)
	return nil
}
func (k *kept) NoTrack(media.Kind) {}
func (k *kept) Write(au media.AccessUnit) error {
	k.units[au.Kind] = append(k.units[au.Kind], au)
	return nil
}
func (k *kept) Unsupported(media.Kind, string) error { return io.ErrUnexpectedEOF }

// onAir is a session of a hub with a clip of real pictures with B-frames.
func onAir(t *testing.T) (h *live.Hub, p *live.Publisher, tracks [media.Kinds]*media.Track, units []media.AccessUnit) {
	t.Helper()
	h = live.NewHub(live.Options{Authorizer: anyKey{}})
	t.Cleanup(func() { require.NoError(t, h.Shutdown(context.Background())) })
	p, err := h.Publish(t.Context(), "tower", live.Peer{Protocol: "rtmp", Remote: "192.0.2.1:1"})
	require.NoError(t, err)
	tracks[0], tracks[1], units = mediatest.Encoded(t, mediatest.EncodedPattern{FPS: media.Rational{Num: 30000, Den: 1001}, BFrames: 2, GOP: 30})
	return h, p, tracks, units
}

func begin(t *testing.T, p *live.Publisher, tracks [media.Kinds]*media.Track, units []media.AccessUnit) {
	t.Helper()
	for _, u := range units {
		if u.Kind == media.Video {
			require.NoError(t, p.StartEpoch(tracks, media.VideoTimescale.Duration(u.PTS), time.Now(), "first"))
			return
		}
	}
}

func open(t *testing.T, h *live.Hub, o Options) srt.Play {
	t.Helper()
	o.Source = h
	players, err := New(o)
	require.NoError(t, err)
	p, err := players.Open(t.Context(), srt.PlayRequest{Stream: "tower"})
	require.NoError(t, err)
	return p
}

// datagrams keeps what is sent, and checks that it fits SRT.
type datagrams struct {
	t   *testing.T
	mu  sync.Mutex
	all bytes.Buffer
}

func (d *datagrams) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(b) > datagram || len(b)%mpegts.PacketSize != 0 {
		d.t.Errorf("a datagram of %d bytes", len(b))
	}
	return d.all.Write(b)
}

// TestPlayerGetsWhatWasPublished: every unit since the key frame it began with, at its time, over two epochs.
func TestPlayerGetsWhatWasPublished(t *testing.T) {
	h, p, tracks, units := onAir(t)
	begin(t, p, tracks, units)
	var got datagrams
	got.t = t
	var playing sync.WaitGroup
	play := open(t, h, Options{})
	defer play.Close()
	var runErr error
	playing.Go(func() { runErr = play.Run(t.Context(), &got) })
	send := func() {
		for _, u := range units {
			require.NoError(t, p.Write(u))
		}
	}
	send()
	begin(t, p, tracks, units)
	send()
	require.NoError(t, h.End("tower", live.ReasonEndedByOwner))
	playing.Wait()
	require.NoError(t, runErr)

	k := &kept{}
	d := mpegts.New(mpegts.Options{Sink: k})
	require.NoError(t, d.Write(got.all.Bytes()))
	require.NoError(t, d.Flush())
	require.Zero(t, d.Stats().Broken)
	for kind := range media.Kind(media.Kinds) {
		require.Equal(t, tracks[kind].Codec, k.tracks[kind][0].Codec)
		require.Equal(t, tracks[kind].SampleRate, k.tracks[kind][0].SampleRate)
		require.Equal(t, tracks[kind].Width, k.tracks[kind][0].Width)
		var want []media.AccessUnit
		for _, u := range units {
			if u.Kind == kind {
				want = append(want, u)
			}
		}
		require.GreaterOrEqual(t, len(k.units[kind]), 2*len(want)-10, kind.String())
		for i := 1; i < len(want)-5; i++ {
			was := media.Rescale(want[i].PTS-want[i-1].PTS, tracks[kind].Timescale, media.VideoTimescale)
			is := media.Rescale(k.units[kind][i].PTS-k.units[kind][i-1].PTS, k.tracks[kind][0].Timescale, media.VideoTimescale)
			require.InDelta(t, int64(was), int64(is), 3, "%v %d", kind, i)
		}
	}
}

func TestWhoMayNotPlayIsRefused(t *testing.T) {
	h, p, tracks, units := onAir(t)
	players, err := New(Options{Source: h, Authorize: func(_ context.Context, _, token string, _ live.Peer) (<-chan struct{}, error) {
		if token != "secret" {
			return nil, live.Refuse(live.ReasonStreamKeyInvalid, nil)
		}
		return nil, nil
	}})
	require.NoError(t, err)
	_, err = players.Open(t.Context(), srt.PlayRequest{Stream: "tower", Token: "guess"})
	require.Equal(t, live.ReasonStreamKeyInvalid, live.ReasonOf(err))
	_, err = players.Open(t.Context(), srt.PlayRequest{Stream: "tower", Token: "secret"})
	require.Equal(t, live.ReasonNotLive, live.ReasonOf(err))
	begin(t, p, tracks, units)
	play, err := players.Open(t.Context(), srt.PlayRequest{Stream: "tower", Token: "secret"})
	require.NoError(t, err)
	play.Close()
}

// TestPlayingEndsWithTheRight: whoever plays is told why in the log.
func TestPlayingEndsWithTheRight(t *testing.T) {
	h, p, tracks, units := onAir(t)
	begin(t, p, tracks, units)
	lost := make(chan struct{})
	play := open(t, h, Options{Authorize: func(context.Context, string, string, live.Peer) (<-chan struct{}, error) { return lost, nil }})
	defer play.Close()
	done := make(chan error)
	go func() { done <- play.Run(t.Context(), io.Discard) }()
	close(lost)
	require.Equal(t, live.ReasonRightsChanged, live.ReasonOf(<-done))
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestAPlayerWhoseConnectionBreaksEnds(t *testing.T) {
	h, p, tracks, units := onAir(t)
	begin(t, p, tracks, units)
	play := open(t, h, Options{})
	defer play.Close()
	for _, u := range units {
		require.NoError(t, p.Write(u))
	}
	require.ErrorIs(t, play.Run(t.Context(), broken{}), io.ErrClosedPipe)
}

// TestTheFirstPicturesArePaced: the caller's queue drops what it has no room for.
func TestTheFirstPicturesArePaced(t *testing.T) {
	began := time.Now()
	p := &paced{ctx: t.Context(), w: io.Discard}
	_, err := p.Write(make([]byte, 500*datagram))
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), (500-burst)*pace)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.ctx = ctx
	_, err = p.Write(make([]byte, 2000*datagram))
	require.ErrorIs(t, err, context.Canceled)
}
