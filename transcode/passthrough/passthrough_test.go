package passthrough

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPlanOfLayers(t *testing.T) {
	source := mediatest.H264Track(1920, 1080, 60, 1)
	p := Plan(source, []*media.Track{
		mediatest.H264Track(640, 360, 30, 1), nil, mediatest.H264Track(1280, 720, 60, 1), mediatest.H264Track(1024, 720, 60, 1), mediatest.AACTrack(48000, 2),
	})
	require.Len(t, p.Rungs, 2)
	require.Equal(t, "720p", p.Rungs[0].Name)
	require.Equal(t, 1280, p.Rungs[0].Width)
	require.Equal(t, "360p", p.Rungs[1].Name)
	require.Equal(t, media.Rational{Num: 30, Den: 1}, p.Rungs[1].FrameRate)
	require.InDelta(t, 691_200, p.Rungs[1].Bitrate, 1)
	require.Empty(t, Plan(source, nil).Rungs)
}

type anyKey struct{}

func (anyKey) AuthorizePublish(_ context.Context, key string, _ live.Peer) (live.Grant, error) {
	return live.Grant{StreamID: key, Stream: key, KeyID: key}, nil
}

// script keeps what it is told, as text.
type script struct{ lines []string }

func (s *script) Encoded(_ context.Context, _ string, e media.Encoded) error {
	kind := map[media.EncodedKind]string{media.EncodedTrack: "track", media.EncodedUnit: "unit", media.EncodedShed: "shed", media.EncodedRestore: "restore"}[e.Kind]
	if e.Kind == media.EncodedUnit {
		kind = fmt.Sprintf("unit %d", e.Unit.Data[0])
	}
	s.lines = append(s.lines, e.Rung+" "+kind)
	return nil
}

// TestLayersBecomeRungs: units as they come; a rung is shed where an epoch is without its layer, and where its pictures are out of order.
func TestLayersBecomeRungs(t *testing.T) {
	h := live.NewHub(live.Options{Authorizer: anyKey{}})
	defer func() { require.NoError(t, h.Shutdown(context.Background())) }()
	p, err := h.Publish(t.Context(), "tower", live.Peer{Protocol: "rtmp", Remote: "192.0.2.1:1"})
	require.NoError(t, err)
	source, big, small := mediatest.H264Track(1920, 1080, 30, 1), mediatest.H264Track(1280, 720, 30, 1), mediatest.H264Track(640, 360, 30, 1)
	begin := func(layers ...*media.Track) {
		p.SetLayers(layers)
		require.NoError(t, p.StartEpoch([media.Kinds]*media.Track{source}, 0, time.Now(), "test"))
	}
	n := byte(0)
	unit := func(layer uint8, at, shown int, key bool) {
		n++
		require.NoError(t, p.Write(media.AccessUnit{Kind: media.Video, Layer: layer, DTS: media.Ticks(at * 3000), PTS: media.Ticks(shown * 3000), RandomAccess: key, Data: []byte{n}}))
	}
	begin(big, small)
	s, ok := h.Session("tower")
	require.True(t, ok)
	plan := Plan(source, s.Layers())
	out := &script{}
	var running sync.WaitGroup
	var failed error
	running.Go(func() { failed = Run(t.Context(), s, plan, out, slog.New(slog.DiscardHandler)) })
	unit(0, 0, 0, true)
	unit(1, 0, 0, true)
	unit(2, 0, 0, true)
	unit(1, 1, 1, false)
	unit(2, 1, 3, false) // out of order
	unit(2, 2, 2, false)
	begin(small)
	unit(0, 0, 0, true)
	unit(1, 0, 0, true)
	require.NoError(t, h.End("tower", live.ReasonEndedByOwner))
	running.Wait()
	require.NoError(t, failed)
	require.Equal(t, []string{
		"720p track", "360p track", "720p unit 2", "360p unit 3", "720p unit 4", "360p shed",
		"360p track", "720p shed", "360p unit 8",
	}, out.lines)
}

// runs is a runner for one layer, and the source beside it.
type runs struct {
	*runner
	t        *testing.T
	epoch    *live.Epoch
	out      script
	end, key media.Ticks
}

func newRuns(t *testing.T) *runs {
	r := &runs{t: t, epoch: &live.Epoch{ID: 1, Layers: []*media.Track{mediatest.H264Track(640, 360, 30, 1)}}}
	r.runner = &runner{
		sink: &r.out, log: slog.New(slog.DiscardHandler), plan: media.Plan{Rungs: []media.Rung{{Name: "360p"}}},
		source: func() (end, key media.Ticks, ok bool) { return r.end, r.key, true },
	}
	require.NoError(t, r.begin(t.Context(), r.epoch))
	return r
}

func (r *runs) event(i byte, at int, key bool) *live.Event {
	ticks := media.Ticks(at * 3000)
	return &live.Event{Kind: live.EventUnit, Epoch: r.epoch, Unit: media.AccessUnit{Layer: 1, DTS: ticks, PTS: ticks, RandomAccess: key, Data: []byte{i}}}
}

// frame is one of the source and one of the layer.
func (r *runs) frame(at int, sourceKey, key bool) {
	r.end = media.Ticks(at*3000 + 3000)
	if sourceKey {
		r.key = media.Ticks(at * 3000)
	}
	require.NoError(r.t, r.unit(r.t.Context(), r.event(byte(at), at, key)))
}

// TestWhatIsLostIsShed until the next key frame.
func TestWhatIsLostIsShed(t *testing.T) {
	r := newRuns(t)
	require.NoError(t, r.unit(t.Context(), r.event(1, 1, true)))
	require.NoError(t, r.lose(t.Context(), r.event(2, 2, false)))
	require.NoError(t, r.unit(t.Context(), r.event(2, 2, false)))
	require.NoError(t, r.unit(t.Context(), r.event(3, 3, true)))
	require.Equal(t, []string{"360p track", "360p unit 1", "360p shed", "360p restore", "360p unit 3"}, r.out.lines)
}

// TestALayerThatPausesIsShed, though not while its pictures are merely queued, nor where the source stands as well.
func TestALayerThatPausesIsShed(t *testing.T) {
	r := newRuns(t)
	r.frame(0, true, true)
	r.end += 10 * 3000
	require.NoError(t, r.look(t.Context()))
	r.end += 20 * 3000
	require.NoError(t, r.look(t.Context()))
	require.NoError(t, r.unit(t.Context(), r.event(1, 1, false)))
	require.NoError(t, r.look(t.Context()))
	require.Len(t, r.out.lines, 3)
	require.NoError(t, r.look(t.Context()))
	require.NoError(t, r.look(t.Context()))
	r.frame(60, false, false)
	r.frame(61, true, true)
	require.Equal(t, []string{"360p track", "360p unit 0", "360p unit 1", "360p shed", "360p restore", "360p unit 61"}, r.out.lines)
}

// TestALayerIsCutWhereTheSourceIs: without a key frame there its rung is shed, and if it never has one it is left out.
func TestALayerIsCutWhereTheSourceIs(t *testing.T) {
	r := newRuns(t)
	r.frame(0, true, true)
	r.frame(1, false, false)
	r.frame(2, true, false) // missed
	r.frame(3, false, true)
	r.frame(4, true, true)
	require.Equal(t, []string{"360p track", "360p unit 0", "360p unit 1", "360p shed", "360p restore", "360p unit 3", "360p unit 4"}, r.out.lines)
	for i := range maxMisses {
		r.frame(10+10*i, true, false)
		r.frame(11+10*i, false, true)
	}
	r.frame(60, true, true)
	require.Equal(t, "360p shed", r.out.lines[len(r.out.lines)-1], "until the next epoch")
}

// TestFollowedLayers: every epoch's layers are rungs, each from its first key frame on, and who follows takes nothing from Run.
func TestFollowedLayers(t *testing.T) {
	h := live.NewHub(live.Options{Authorizer: anyKey{}, Run: func(ctx context.Context, _ *live.Session) error {
		<-ctx.Done()
		return nil
	}})
	defer func() { require.NoError(t, h.Shutdown(context.Background())) }()
	p, err := h.Publish(t.Context(), "tower", live.Peer{Protocol: "rtmp", Remote: "192.0.2.1:1"})
	require.NoError(t, err)
	source, big, small := mediatest.H264Track(1920, 1080, 30, 1), mediatest.H264Track(1280, 720, 30, 1), mediatest.H264Track(640, 360, 30, 1)
	begin := func(layers ...*media.Track) {
		p.SetLayers(layers)
		require.NoError(t, p.StartEpoch([media.Kinds]*media.Track{source}, 0, time.Now(), "test"))
	}
	n := byte(0)
	unit := func(layer uint8, at int, key bool) {
		n++
		require.NoError(t, p.Write(media.AccessUnit{Kind: media.Video, Layer: layer, DTS: media.Ticks(at * 3000), PTS: media.Ticks(at * 3000), RandomAccess: key, Data: []byte{n}}))
	}
	begin()
	unit(0, 0, true)
	s, ok := h.Session("tower")
	require.True(t, ok)
	_, ok = Follow(s, slog.New(slog.DiscardHandler))
	require.False(t, ok, "there are no layers")
	begin(big, small)
	unit(0, 0, true)
	unit(1, 0, true)
	unit(2, 0, true)
	f, ok := Follow(s, slog.New(slog.DiscardHandler))
	require.True(t, ok)
	defer f.Close()
	unit(1, 1, true)
	unit(2, 1, false) // before its key frame
	unit(2, 2, true)
	begin(mediatest.H264Track(854, 480, 30, 1), small)
	unit(0, 0, true)
	unit(1, 0, true)
	first := s.SubscribeLayers(live.EncoderPolicy)
	defer first.Close()
	require.NoError(t, h.End("tower", live.ReasonEndedByOwner))
	out := &script{}
	for {
		e, err := f.Next(t.Context())
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			break
		}
		require.NoError(t, out.Encoded(t.Context(), "", e))
	}
	require.Equal(t, []string{
		"720p track", "360p track", "720p unit 5", "360p unit 7",
		"480p track", "360p track", "720p shed", "480p unit 9",
	}, out.lines)
	var units []byte
	for {
		ev, err := first.Next(t.Context())
		if err != nil {
			break
		}
		if ev.Kind == live.EventUnit {
			units = append(units, ev.Unit.Data[0])
		}
	}
	require.Equal(t, []byte{3, 4, 5, 6, 7, 9}, units)
}
