package passthrough

import (
	"context"
	"fmt"
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

// TestWhatIsLostIsShed until the next key frame.
func TestWhatIsLostIsShed(t *testing.T) {
	out := &script{}
	r := &runner{sink: out, log: slog.New(slog.DiscardHandler), plan: media.Plan{Rungs: []media.Rung{{Name: "360p"}}}}
	e := &live.Epoch{ID: 1, Layers: []*media.Track{mediatest.H264Track(640, 360, 30, 1)}}
	require.NoError(t, r.begin(t.Context(), e))
	ev := func(i byte, key bool) *live.Event {
		return &live.Event{Kind: live.EventUnit, Epoch: e, Unit: media.AccessUnit{Layer: 1, RandomAccess: key, Data: []byte{i}}}
	}
	require.NoError(t, r.unit(t.Context(), ev(1, true)))
	require.NoError(t, r.lose(t.Context(), ev(2, false)))
	require.NoError(t, r.unit(t.Context(), ev(2, false)))
	require.NoError(t, r.unit(t.Context(), ev(3, true)))
	require.Equal(t, []string{"360p track", "360p unit 1", "360p shed", "360p restore", "360p unit 3"}, out.lines)
}
