package transcode

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
)

// anyKey names the stream.
type anyKey struct{}

func (anyKey) AuthorizePublish(_ context.Context, key string, _ live.Peer) (live.Grant, error) {
	return live.Grant{Stream: key, StreamID: key}, nil
}

// byName keeps what it is told whatever the session.
type byName struct{ sink }

func (s *byName) Encoded(ctx context.Context, _ string, m media.Encoded) error {
	return s.sink.Encoded(ctx, "session", m)
}

// TestASessionOfAHub: what is published comes out in session time, and at its end nothing is left.
func TestASessionOfAHub(t *testing.T) {
	t.Parallel()
	path, pids := wrapper(t, "")
	track, film := second(t)
	out := &byName{sink{told: map[string][]media.Encoded{}}}
	l := NewLive(Options{FFmpeg: path, Ladder: &small, Sink: out, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	plans := make(chan media.Plan, 1) // of the one session
	h := live.NewHub(live.Options{Authorizer: anyKey{}, Run: func(ctx context.Context, s *live.Session) error {
		plans <- l.Plan(s, track, false)
		return l.Run(ctx, s)
	}})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = h.Run(ctx) })
	defer func() { cancel(); running.Wait() }()

	p, err := h.Publish(ctx, "film", live.Peer{})
	require.NoError(t, err)
	require.NoError(t, p.StartEpoch([media.Kinds]*media.Track{media.Video: track}, 500*time.Millisecond, time.Now(), "test"))
	fed := 0
	testx.WaitFor(t, "pictures of both rungs, and a reader's", func() bool {
		require.NoError(t, p.Write(film.next()))
		fed++
		return len(out.units("96p")) > 30 && len(out.units("64p")) > 30
	})
	require.Len(t, (<-plans).Rungs, 2)
	s, ok := h.Session("film")
	require.True(t, ok)
	r, err := l.Follow(s)
	require.NoError(t, err)
	m, err := r.Next(ctx)
	require.NoError(t, err)
	require.Equal(t, media.EncodedTrack, m.Kind)
	r.Close()
	got := out.units("64p")
	require.Zero(t, int64(got[1].PTS-got[0].PTS)%3000)
	require.Less(t, media.VideoTimescale.Duration(got[0].PTS), 5*time.Second, "session time begins with the session")
	require.NoError(t, h.End("film", live.ReasonEndedByOwner))
	testx.WaitFor(t, "the children are gone", func() bool {
		for _, pid := range pids() {
			if !gone(pid) {
				return false
			}
		}
		return true
	})
	testx.WaitFor(t, "nothing is known of it", func() bool { _, ok := l.Health(s.ID()); return !ok })
}
