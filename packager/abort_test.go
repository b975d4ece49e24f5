package packager

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
	"mediad/store/blob"
	"mediad/store/blob/memory"
)

// trap is a store whose files panic once they have grown to a size.
type trap struct {
	*memory.Store
	size int64
}

type trapFile struct {
	blob.AppendFile
	size int64
}

func (d *trap) Append(ctx context.Context, key string, truncate int64) (blob.AppendFile, error) {
	f, err := d.Store.Append(ctx, key, truncate)
	return &trapFile{f, d.size}, err
}

func (f *trapFile) Write(p []byte) (int, error) {
	if f.Size() > f.size {
		panic("trap")
	}
	return f.AppendFile.Write(p)
}

func TestPanicEndsTheSessionForItsViewers(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	told := make(chan string, 100)
	s := NewStreams(Options{Archive: archiveEnds{told: told}, Blobs: &trap{memory.New(memory.Options{MaxBytes: 1 << 30}), 60_000}})
	h := live.NewHub(live.Options{Authorizer: anyone{}, Run: s.Run})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = h.Run(ctx) }()
	defer func() { cancel(); <-done; s.Close() }()

	p, err := h.Publish(ctx, "demo", live.Peer{Protocol: "test"})
	require.NoError(t, err)
	require.NoError(t, p.StartEpoch(tr, 0, time.Now(), "test"))
	for _, u := range broadcast(tr, 30, mediatest.VideoPattern{GOP: 30, Size: 200}) {
		if p.Write(u) != nil {
			break
		}
	}
	testx.WaitFor(t, "the end", func() bool {
		st, ok := s.Stream("demo")
		if !ok {
			return false
		}
		_, on := st.Multivariant(false)
		return !on
	})
	st, _ := s.Stream("demo")
	last := uint64(0)
	for _, name := range []string{sourceName, audioName} {
		w := mustRendition(t, st, name).Window()
		require.True(t, w.Spec().Ended)
		last = max(last, w.LastMSN())
	}
	require.Greater(t, st.numbers().NextMSN, last)
	testx.WaitFor(t, "the publisher to be told", func() bool { return p.Err() != nil })
	require.Equal(t, live.ReasonIngestError, live.ReasonOf(p.Err()))
	require.Equal(t, "off air", <-told)
	require.Equal(t, "end", <-told)
}

// archiveEnds tells what an archive hears of ends.
type archiveEnds struct {
	nowhere
	told chan string
}

func (a archiveEnds) Multivariant(_ string, plain []byte) {
	if plain == nil {
		a.told <- "off air"
	}
}

func (a archiveEnds) End(string, string) { a.told <- "end" }
