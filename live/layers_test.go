package live

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
)

// layered is a hub with a session of one source and two layers, and a pipeline that waits for the end.
func layered(t *testing.T) (*Hub, *Publisher, *Session) {
	t.Helper()
	h := NewHub(Options{Authorizer: anyName{}, Run: func(ctx context.Context, s *Session) error {
		sub := s.Subscribe(PackagerPolicy)
		defer sub.Close()
		for {
			if _, err := sub.Next(ctx); err != nil {
				return nil
			}
		}
	}})
	t.Cleanup(func() { require.NoError(t, h.Shutdown(context.Background())) })
	p, err := h.Publish(t.Context(), "tower", Peer{Protocol: "rtmp", Remote: "192.0.2.1:1"})
	require.NoError(t, err)
	p.SetLayers([]*media.Track{mediatest.H264Track(1280, 720, 30, 1), mediatest.H264Track(640, 360, 30, 1)})
	require.NoError(t, p.StartEpoch([media.Kinds]*media.Track{mediatest.H264Track(1920, 1080, 30, 1)}, 0, time.Now(), "first"))
	s, ok := h.Session("tower")
	require.True(t, ok)
	return h, p, s
}

type anyName struct{}

func (anyName) AuthorizePublish(_ context.Context, key string, _ Peer) (Grant, error) {
	return Grant{StreamID: key, Stream: key, KeyID: key}, nil
}

func unitAt(layer uint8, i int, key bool) media.AccessUnit {
	at := media.Ticks(i * 3000)
	return media.AccessUnit{Kind: media.Video, Layer: layer, DTS: at, PTS: at, RandomAccess: key, Data: []byte{layer, byte(i)}}
}

func TestLayersReachThoseWhoAskAndNobodyElse(t *testing.T) {
	h, p, s := layered(t)
	player := s.Subscribe(PlayerPolicy)
	defer player.Close()
	const frames = 20
	for i := range frames {
		for layer := range uint8(3) {
			require.NoError(t, p.Write(unitAt(layer, i, i == 0)))
		}
	}
	late := s.SubscribeLayers(EncoderPolicy) // the first one: it has missed nothing
	defer late.Close()
	later := s.SubscribeLayers(EncoderPolicy)
	defer later.Close()
	require.NoError(t, p.Write(unitAt(1, frames, true)))
	require.NoError(t, p.Write(unitAt(3, frames, true))) // there is no such layer
	require.NoError(t, p.Write(unitAt(1, frames, true))) // nor does time stand still
	require.NoError(t, h.End("tower", ReasonEndedByOwner))

	end, key, ok := s.SourceMarks()
	require.True(t, ok)
	require.Equal(t, media.Ticks(frames*3000), end-key, "of the source alone, whose first picture was a key frame")

	read := func(q *Subscriber) (n [4]int) {
		for {
			e, err := q.Next(t.Context())
			if errors.Is(err, io.EOF) {
				return n
			}
			require.NoError(t, err)
			if e.Kind == EventUnit {
				n[e.Unit.Layer]++
				require.Len(t, e.Epoch.Layers, 2)
				require.Equal(t, e.Epoch.Start, media.VideoTimescale.Duration(e.Unit.PTS-media.Ticks(int(e.Unit.Data[1])*3000)), "by the source's constant")
			}
		}
	}
	require.Equal(t, [4]int{frames}, read(player))
	require.Equal(t, [4]int{0, frames + 1, frames}, read(late))
	require.Equal(t, [4]int{0, 1}, read(later))
}

// TestLayersCostTheSourceNothing: whoever reads them may sleep, and they may come as they like.
func TestLayersCostTheSourceNothing(t *testing.T) {
	_, p, s := layered(t)
	asleep := s.SubscribeLayers(EncoderPolicy)
	defer asleep.Close()
	player := s.Subscribe(PlayerPolicy)
	defer player.Close()
	for i := range 30 {
		big := unitAt(1, i, true)
		big.Data = make([]byte, 2<<20)
		require.NoError(t, p.Write(big))
		require.NoError(t, p.Write(unitAt(2, 1000-i, true)))
		require.NoError(t, p.Write(unitAt(0, i, i == 0)))
	}
	require.Positive(t, asleep.Drops().Total())
	require.Zero(t, player.Drops().Total())
	for i := -1; i < 30; i++ {
		e, err := player.Next(t.Context())
		require.NoError(t, err)
		if i >= 0 {
			require.Equal(t, byte(i), e.Unit.Data[1])
		}
	}
	status, ok := p.hub.Lookup("tower")
	require.True(t, ok)
	require.Equal(t, uint64(30), status.Video.Frames)
	require.Less(t, status.MediaEnd, 2*time.Second+status.Epoch.Start)
}
