package live

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/media"
)

func TestMain(m *testing.M) { testx.Main(m) }

// keys lets in whoever names a stream.
type keys struct{ grant Grant }

func (k keys) AuthorizePublish(_ context.Context, key string, _ Peer) (Grant, error) {
	if key == "wrong" {
		return Grant{}, Refuse(ReasonStreamKeyInvalid, nil)
	}
	if key == "broken" {
		return Grant{}, errors.New("no database")
	}
	g := k.grant
	g.Stream, g.StreamID, g.KeyID = key, "id-"+key, "key-"+key
	return g, nil
}

// witness is an Observer that remembers.
type witness struct {
	mu       sync.Mutex
	notices  []Notice
	units    int
	dropped  map[string]int
	repaired int
}

func (w *witness) Notice(n Notice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notices = append(w.notices, n)
}

func (w *witness) Unit(media.Kind, int) { w.mu.Lock(); defer w.mu.Unlock(); w.units++ }

func (w *witness) Repaired(_ string, n int) { w.mu.Lock(); defer w.mu.Unlock(); w.repaired += n }

func (w *witness) Dropped(where string, r DropReason, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dropped == nil {
		w.dropped = map[string]int{}
	}
	w.dropped[where+":"+r.String()] += n
}

func (w *witness) kinds() (out []NoticeKind) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.notices {
		out = append(out, n.Kind)
	}
	return out
}

func (w *witness) count(k NoticeKind) (n int) {
	for _, have := range w.kinds() {
		if have == k {
			n++
		}
	}
	return n
}

var (
	obs    = Peer{Protocol: "rtmp", Remote: "203.0.113.5:1234", Encoder: "obs"}
	ffmpeg = Peer{Protocol: "rtmp", Remote: "203.0.113.9:999", Encoder: "Lavf59"}
)

func videoTrack() *media.Track {
	return &media.Track{Kind: media.Video, Codec: media.H264, Timescale: media.VideoTimescale, Width: 1280, Height: 720, Config: []byte{1}}
}

func audioTrack() *media.Track {
	return &media.Track{Kind: media.Audio, Codec: media.AAC, Timescale: 48000, SampleRate: 48000, Channels: 2, FrameSamples: 1024, Config: []byte{2}}
}

func both() [media.Kinds]*media.Track {
	return [media.Kinds]*media.Track{videoTrack(), audioTrack()}
}

func videoOnly() [media.Kinds]*media.Track {
	return [media.Kinds]*media.Track{media.Video: videoTrack()}
}

func audioOnly() [media.Kinds]*media.Track {
	return [media.Kinds]*media.Track{media.Audio: audioTrack()}
}

// frame is picture n of a 30 fps source whose line begins at from.
func frame(from time.Duration, n int, key bool) media.AccessUnit {
	ts := media.VideoTimescale.Ticks(from) + media.Ticks(n)*3000
	return media.AccessUnit{Kind: media.Video, DTS: ts, PTS: ts, Duration: 3000, RandomAccess: key, Data: make([]byte, 1000)}
}

// sound is audio frame n of such a source.
func sound(from time.Duration, n int) media.AccessUnit {
	ts := media.Timescale(48000).Ticks(from) + media.Ticks(n)*1024
	return media.AccessUnit{Kind: media.Audio, DTS: ts, PTS: ts, Duration: 1024, RandomAccess: true, Data: make([]byte, 300)}
}

// encoder sends 30 fps with a key frame each second from where its line stands, in real time of the bubble.
type encoder struct {
	t    *testing.T
	p    *Publisher
	from time.Duration
	n    int
	open bool // its GOPs are
}

func connect(t *testing.T, h *Hub, stream string, peer Peer) *encoder {
	t.Helper()
	p, err := h.Publish(t.Context(), stream, peer)
	require.NoError(t, err)
	return &encoder{t: t, p: p, from: 10 * time.Hour}
}

func (e *encoder) start(tracks [media.Kinds]*media.Track) *encoder {
	e.t.Helper()
	e.from += time.Duration(e.n) * time.Second / 30
	e.n = 0
	require.NoError(e.t, e.p.StartEpoch(tracks, e.from, time.Now(), "test"))
	return e
}

// send sends for so long; it stops early, with the error, when the stream is lost.
func (e *encoder) send(d time.Duration) error {
	for range int((d + time.Millisecond) * 30 / time.Second) {
		if err := e.p.Write(frame(e.from, e.n, e.n%30 == 0)); err != nil {
			return err
		}
		e.n++
		time.Sleep(time.Second / 30)
	}
	return nil
}

func (e *encoder) mustSend(d time.Duration) *encoder {
	e.t.Helper()
	require.NoError(e.t, e.send(d))
	return e
}

// onAir is a publisher of stream that has sent for a second.
func onAir(t *testing.T, h *Hub, stream string, peer Peer) *encoder {
	t.Helper()
	return connect(t, h, stream, peer).start(videoOnly()).mustSend(time.Second)
}

func newHub(t *testing.T, o Options) *Hub {
	t.Helper()
	if o.Authorizer == nil {
		o.Authorizer = keys{}
	}
	return NewHub(o)
}

// running is newHub with Run, shut down at the test's end.
func running(t *testing.T, o Options) *Hub {
	t.Helper()
	h := newHub(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("hub: %v", err)
		}
	})
	return h
}

// drain reads everything until the subscription ends.
func drain(ctx context.Context, q *Subscriber) (out []Event, err error) {
	for {
		e, err := q.Next(ctx)
		if err != nil {
			return out, err
		}
		out = append(out, e)
	}
}

// recorder is a pipeline that keeps what it is told, by session.
type recorder struct {
	mu     sync.Mutex
	events map[string][]Event
	order  []string
}

func (r *recorder) run(ctx context.Context, s *Session) error {
	r.mu.Lock()
	r.order = append(r.order, s.ID())
	r.mu.Unlock()
	q := s.Subscribe(PackagerPolicy)
	defer q.Close()
	for {
		e, err := q.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		r.mu.Lock()
		if r.events == nil {
			r.events = map[string][]Event{}
		}
		r.events[s.ID()] = append(r.events[s.ID()], e)
		r.mu.Unlock()
	}
}

func (r *recorder) of(id string) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[id]
}

// kindsOf is the sequence of kinds without repeated units.
func kindsOf(events []Event) (out []EventKind) {
	for _, e := range events {
		if n := len(out); e.Kind == EventUnit && n > 0 && out[n-1] == EventUnit {
			continue
		}
		out = append(out, e.Kind)
	}
	return out
}

func state(h *Hub, stream string) State {
	s, ok := h.Lookup(stream)
	if !ok {
		return StateIdle
	}
	return s.State
}
