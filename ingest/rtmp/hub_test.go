package rtmp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/ingest"
	"mediad/live"
	"mediad/media"
)

// anyKey lets in every key but one, for the stream of its name.
type anyKey struct{}

func (anyKey) AuthorizePublish(_ context.Context, key string, _ live.Peer) (live.Grant, error) {
	if key == "wrong" {
		return live.Grant{}, live.Refuse(live.ReasonStreamKeyInvalid, nil)
	}
	return live.Grant{StreamID: "id-" + key, Stream: key, KeyID: "k-" + key}, nil
}

// recorder is a pipeline that keeps what a session brings.
type recorder struct {
	mu      sync.Mutex
	changed chan struct{}
	events  []live.Event
}

func (r *recorder) run(ctx context.Context, s *live.Session) error {
	sub := s.Subscribe(live.PackagerPolicy)
	defer sub.Close()
	for {
		e, err := sub.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.events = append(r.events, e)
		close(r.changed)
		r.changed = make(chan struct{})
		r.mu.Unlock()
	}
}

// await waits until cond holds for all events so far.
func (r *recorder) await(t *testing.T, what string, cond func([]live.Event) bool) []live.Event {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		events, changed := r.events[:len(r.events):len(r.events)], r.changed
		r.mu.Unlock()
		if cond(events) {
			return events
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("waited in vain for %s; %d events", what, len(events))
		}
	}
}

func count(events []live.Event, kind live.EventKind) (n int) {
	for _, e := range events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func TestMediaReachesASessionOfTheRealHub(t *testing.T) {
	rec := &recorder{changed: make(chan struct{})}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	hub := live.NewHub(live.Options{Authorizer: anyKey{}, Run: rec.run, Log: log})
	srv, err := New(Options{Admit: ToHub(hub, ingest.FeedOptions{Log: log}), Log: log})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = hub.Run(ctx) })
	wg.Go(func() { _ = srv.Serve(ctx, l) })
	defer func() { cancel(); wg.Wait() }()

	publish := func() *client {
		c := newClient(t)
		t.Cleanup(c.Close)
		require.NoError(t, c.dial(l.Addr().String(), false))
		c.setChunkSize(4096)
		require.NoError(t, c.open("live"))
		require.NoError(t, c.publish("stream"))
		require.NoError(t, c.configs())
		for range 60 {
			require.NoError(t, c.sendPair())
		}
		return c
	}
	units := func(n int) func([]live.Event) bool {
		return func(e []live.Event) bool { return count(e, live.EventUnit) >= n }
	}

	first := publish()
	rec.await(t, "units", units(100))
	status, ok := hub.Lookup("stream")
	require.True(t, ok)
	require.Equal(t, live.StateLive, status.State)
	require.Equal(t, "rtmp", status.Protocol)

	// A drop, and a return.
	first.Drop()
	rec.await(t, "the drop", func(e []live.Event) bool { return count(e, live.EventAway) == 1 })
	second := publish()
	rec.await(t, "units of the second epoch", units(200))

	// A takeover: the one before is told.
	third := publish()
	require.Equal(t, live.ReasonReplaced.Text(), second.Told(t.Context()))
	events := rec.await(t, "units of the third epoch", units(300))

	// A wrong key.
	wrong := newClient(t)
	t.Cleanup(wrong.Close)
	require.NoError(t, wrong.dial(l.Addr().String(), false))
	require.NoError(t, wrong.open("live"))
	require.ErrorContains(t, wrong.publish("wrong"), codeBadName)

	require.Equal(t, 3, count(events, live.EventEpoch))
	var epoch *live.Epoch
	fresh := false
	last := [media.Kinds]media.Ticks{}
	for _, e := range events {
		switch e.Kind {
		case live.EventEpoch:
			epoch, fresh = e.Epoch, true
			require.NotNil(t, epoch.Tracks[media.Video])
			require.NotNil(t, epoch.Tracks[media.Audio])
			require.Equal(t, "FMLE/3.0 (compatible; test)", epoch.Encoder)
			last = [media.Kinds]media.Ticks{-1 << 40, -1 << 40}
		case live.EventUnit:
			k := e.Unit.Kind
			require.Greater(t, e.Unit.DTS, last[k])
			last[k] = e.Unit.DTS
			if k == media.Video && fresh {
				fresh = false
				require.True(t, e.Unit.RandomAccess)
				require.Equal(t, epoch.Start, epoch.Tracks[k].Timescale.Duration(e.Unit.PTS))
			}
		default:
		}
	}
	require.NoError(t, third.Stop())
	rec.await(t, "the clean stop", func(e []live.Event) bool {
		n := len(e)
		return e[n-1].Kind == live.EventAway && e[n-1].Reason == live.ReasonPublisherStopped
	})
}
