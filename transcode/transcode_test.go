package transcode

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/configs/ladders"
	"mediad/internal/testx"
	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
)

func TestMain(m *testing.M) { testx.Main(m) }

// feed stands for a live.Subscriber.
type feed struct {
	events chan live.Event
	epoch  *live.Epoch
}

func newFeed() *feed { return &feed{events: make(chan live.Event)} }

func (f *feed) Next(ctx context.Context) (live.Event, error) {
	select {
	case ev, ok := <-f.events:
		if !ok {
			return live.Event{}, io.EOF
		}
		return ev, nil
	case <-ctx.Done():
		return live.Event{}, ctx.Err()
	}
}
func (f *feed) Drops() (d live.Drops) { return d }
func (f *feed) Close()                {}

func (f *feed) begin(id int64, video *media.Track) {
	f.epoch = &live.Epoch{ID: id, Tracks: [media.Kinds]*media.Track{media.Video: video}}
	f.events <- live.Event{Kind: live.EventEpoch, Epoch: f.epoch}
}

func (f *feed) unit(au media.AccessUnit) {
	f.events <- live.Event{Kind: live.EventUnit, Epoch: f.epoch, Unit: au}
}

// end ends the session.
func (f *feed) end() {
	f.events <- live.Event{Kind: live.EventEnd}
	close(f.events)
}

// sink keeps what it is told.
type sink struct {
	mu   sync.Mutex
	told map[string][]media.Encoded
	gone bool
	each func(media.Encoded) // nil: nobody looks
}

func (s *sink) Encoded(_ context.Context, session string, m media.Encoded) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone || session != "session" {
		return errors.New("no such session")
	}
	if s.each != nil {
		s.each(m)
	}
	s.told[m.Rung] = append(s.told[m.Rung], m)
	return nil
}

func (s *sink) of(rung string, kind media.EncodedKind) (out []media.Encoded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.told[rung] {
		if m.Kind == kind {
			out = append(out, m)
		}
	}
	return out
}

func (s *sink) units(rung string) (out []media.AccessUnit) {
	for _, m := range s.of(rung, media.EncodedUnit) {
		out = append(out, m.Unit)
	}
	return out
}

// stage is a Live with one session that is fed by hand.
type stage struct {
	*feed
	l    *Live
	sink *sink
	done chan error
}

// small are two rungs that cost little.
var small = ladders.Ladder{Rungs: []ladders.Rung{
	{Name: "96p", Lines: 96, Kbps30: 200, Kbps60: 300}, {Name: "64p", Lines: 64, Kbps30: 100, Kbps60: 150},
}}

func newStage(t testing.TB, o Options) *stage {
	t.Helper()
	s := &stage{feed: newFeed(), sink: &sink{told: map[string][]media.Encoded{}}, done: make(chan error, 1)}
	o.Sink = s.sink
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	if o.Ladder == nil {
		o.Ladder = &small
	}
	if o.Governor.Floor == 0 { // a busy machine is not what is looked at
		o.Governor.Floor, o.Governor.Hopeless = time.Hour, time.Hour
	}
	s.l = NewLive(o)
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { s.done <- s.l.run(ctx, "session", "stream", func() {}, s.feed) })
	t.Cleanup(func() { cancel(); run.Wait() })
	return s
}

func (s *stage) finish(t testing.TB) {
	t.Helper()
	s.end()
	require.NoError(t, <-s.done)
}

func pts(units []media.AccessUnit) (out []media.Ticks) {
	for _, u := range units {
		out = append(out, u.PTS)
	}
	slices.Sort(out)
	return out
}

func keys(units []media.AccessUnit) (out []media.Ticks) {
	for _, u := range units {
		if u.RandomAccess {
			out = append(out, u.PTS)
		}
	}
	return out
}

// clip makes pictures of 192x128; the units of video alone.
func clip(t testing.TB, p mediatest.EncodedPattern) (*media.Track, []media.AccessUnit) {
	t.Helper()
	p.Width, p.Height, p.NoAudio = 192, 128, true
	if p.Start == 0 {
		p.Start = 90000
	}
	track, _, units := mediatest.Encoded(t, p)
	return track, units
}

// TestTimesAndKeyFramesAreTheSources at several rates, with and without B-frames.
func TestTimesAndKeyFramesAreTheSources(t *testing.T) {
	for name, p := range map[string]mediatest.EncodedPattern{
		"30":          {Frames: 61},
		"29.97":       {FPS: media.Rational{Num: 30000, Den: 1001}, GOP: 17, Frames: 95},
		"23.976":      {FPS: media.Rational{Num: 24000, Den: 1001}, Frames: 60},
		"60, at 26 h": {FPS: media.Rational{Num: 60, Den: 1}, Frames: 131, Start: 26 * 3600 * 90000},
		"B-frames":    {BFrames: 2, Frames: 64, GOP: 16},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			track, units := clip(t, p)
			s := newStage(t, Options{})
			s.begin(7, track)
			for _, u := range units {
				s.unit(u)
			}
			s.finish(t)
			for _, rung := range []string{"96p", "64p"} {
				got := s.sink.units(rung)
				require.Equal(t, pts(units), pts(got), rung)
				require.Equal(t, keys(units), keys(got), rung)
				tracks := s.sink.of(rung, media.EncodedTrack)
				require.Len(t, tracks, 1)
				require.Equal(t, int64(7), tracks[0].Epoch)
				require.Equal(t, ratio(track.FrameRate, p.FPS), tracks[0].Track.FrameRate)
				check(t, tracks[0].Track, got)
			}
		})
	}
}

func ratio(r, or media.Rational) media.Rational {
	if r.Num == 0 {
		return or
	}
	return r
}

// check looks at every picture as a packager would.
func check(t *testing.T, track *media.Track, units []media.AccessUnit) {
	t.Helper()
	for i, u := range units {
		require.Equal(t, u.DTS, u.PTS)
		if i > 0 {
			require.Greater(t, u.DTS, units[i-1].DTS)
			require.LessOrEqual(t, u.Duration, u.DTS-units[i-1].DTS)
		}
		class, err := media.ClassifyUnit(track, u.Data)
		require.NoError(t, err)
		require.Equal(t, u.RandomAccess, class.RandomAccess)
	}
}
