package packager

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
	"mediad/store/blob/memory"
)

type anyone struct{}

func (anyone) AuthorizePublish(_ context.Context, key string, _ live.Peer) (live.Grant, error) {
	return live.Grant{StreamID: "id-" + key, Stream: key, KeyID: "k"}, nil
}

type rowSink struct {
	mu     sync.Mutex
	rows   []SegmentRow
	tracks []TrackRow
	fail   bool
}

func (s *rowSink) AddSegments(rows []SegmentRow) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail {
		return errors.New("database is away")
	}
	s.rows = append(s.rows, rows...)
	return nil
}

func (s *rowSink) AddTracks(rows []TrackRow) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail {
		return errors.New("database is away")
	}
	s.tracks = append(s.tracks, rows...)
	return nil
}

func (s *rowSink) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.rows)
}

// TestHubRunsStreams publishes through a hub with real goroutines, while readers look, and restarts in between.
func TestHubRunsStreams(t *testing.T) {
	store := memory.New(memory.Options{MaxBytes: 1 << 30})
	sink := &rowSink{fail: true}
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	units := broadcast(tr, 5, mediatest.VideoPattern{GOP: 30})
	log := slog.New(slog.DiscardHandler)

	node := func() (*Streams, *live.Hub, func()) {
		s := NewStreams(Options{Blobs: store, Segments: sink, Log: log})
		restored, err := s.Recover(t.Context())
		require.NoError(t, err)
		h := live.NewHub(live.Options{Authorizer: anyone{}, Run: s.Run, LastEpoch: s.LastEpoch, Log: log})
		for _, r := range restored {
			_, err := h.Restore(r)
			require.NoError(t, err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { _ = h.Run(ctx) })
		wg.Go(func() { _ = s.RunJanitor(ctx) })
		return s, h, func() {
			stop, done := context.WithTimeout(context.Background(), 5*time.Second)
			defer done()
			require.NoError(t, h.Shutdown(stop))
			cancel()
			wg.Wait()
			s.Close()
		}
	}
	publish := func(h *live.Hub) *live.Publisher {
		p, err := h.Publish(t.Context(), "demo", live.Peer{Protocol: "test"})
		require.NoError(t, err)
		require.NoError(t, p.StartEpoch(tr, 0, time.Now(), "test"))
		for _, u := range units {
			require.NoError(t, p.Write(u))
		}
		return p
	}
	edge := func(s *Streams) uint64 {
		st, ok := s.Stream("demo")
		if !ok {
			return 0
		}
		r, ok := st.Rendition(sourceName)
		if !ok {
			return 0
		}
		return r.Window().LastMSN()
	}

	s, h, stop := node()
	p := publish(h)
	testx.WaitFor(t, "the stream", func() bool { return edge(s) > 0 })
	reader := make(chan error, 1)
	stopped := make(chan struct{})
	go func() { reader <- read(s, stopped) }()
	p.Close(live.ReasonConnectionLost)
	p = publish(h)
	testx.WaitFor(t, "two epochs", func() bool {
		st, _ := s.Stream("demo")
		r, _ := st.Rendition(sourceName)
		o := r.Window().Spec().Open
		return o != nil && o.Parts != nil && r.Window().Spec().Segments[0].Epoch != o.Epoch
	})
	stop()
	p.Close(live.ReasonConnectionLost)
	close(stopped)
	require.NoError(t, <-reader)
	last := edge(s)

	// The next process answers before anything runs, and the session goes on.
	s, h, stop = node()
	require.Equal(t, last, edge(s))
	p = publish(h)
	testx.WaitFor(t, "the third epoch", func() bool { return edge(s) > last })
	p.Close(live.ReasonConnectionLost)
	require.NoError(t, h.End("demo", live.ReasonStreamDisabled))
	testx.WaitFor(t, "the end", func() bool {
		st, _ := s.Stream("demo")
		r, _ := st.Rendition(sourceName)
		return r.Window().Spec().Ended
	})
	sink.mu.Lock()
	sink.fail = false
	sink.mu.Unlock()
	testx.WaitFor(t, "segment rows", func() bool { return sink.len() > 0 })
	stop()
	require.NotEmpty(t, sink.rows)
	decoded := make(map[string]bool)
	for i := range sink.tracks {
		_, err := sink.tracks[i].Track()
		require.NoError(t, err)
		decoded[fmt.Sprint(sink.tracks[i].Rendition, sink.tracks[i].Epoch)] = true
	}
	for i, r := range sink.rows {
		require.True(t, decoded[fmt.Sprint(r.Rendition, r.Epoch)], "the sink knows how to decode what it has a row of")
		require.Equal(t, "id-demo", r.StreamID)
		require.NotEmpty(t, r.Key)
		for _, o := range sink.rows[:i] {
			require.False(t, o.MSN == r.MSN && o.Rendition == r.Rendition, "each segment has one row")
		}
	}
}

// read follows the stream as a player does until it is stopped; by then the publisher must be away.
func read(s *Streams, stopped <-chan struct{}) error {
	st, ok := s.Stream("demo")
	if !ok {
		return errors.New("no stream")
	}
	for {
		r, ok := st.Rendition(sourceName)
		if !ok {
			return errors.New("no rendition")
		}
		w := r.Window()
		for _, seg := range w.Spec().Segments {
			if m, ok := r.Media(seg.Epoch, seg.MSN, -1); !ok || m.Size != seg.Bytes {
				return errors.New("a listed segment is not there")
			}
		}
		if _, ok := r.DVR(); !ok {
			return errors.New("no DVR playlist")
		}
		select {
		case <-w.Next():
		case <-stopped:
			if !r.Window().Spec().Away {
				return errors.New("not away after a shutdown")
			}
			return nil
		}
	}
}
