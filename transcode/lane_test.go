package transcode

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
)

func TestPicturesAreTakenApart(t *testing.T) {
	got, err := lengthPrefixed([]byte{0, 0, 0, 1, 9, 0x10, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 2, 0, 0, 1, 0x65, 3, 4, 0, 0, 1, 0x65, 5})
	require.NoError(t, err)
	require.Equal(t, []byte{0, 0, 0, 3, 0x65, 3, 4, 0, 0, 0, 2, 0x65, 5}, got)
	_, err = lengthPrefixed([]byte{0, 0, 1, 9, 0x10})
	require.ErrorIs(t, err, errNoTrack)
	_, err = rungTrack([]byte{0, 0, 1, 0x67, 1}, media.Rational{})
	require.ErrorIs(t, err, errNoTrack)
}

func FuzzLengthPrefixed(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x65, 3, 4})
	f.Add([]byte{0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if out, err := lengthPrefixed(b); err == nil {
			require.LessOrEqual(t, len(out), 2*len(b))
			require.False(t, bytes.HasPrefix(out, []byte{0, 0, 0, 0}), "no empty unit")
		}
		_, _ = rungTrack(b, media.Rational{Num: 30, Den: 1})
	})
}

func TestProcessorTimes(t *testing.T) {
	used, total := cpuTimes([]byte("cpu  10 20 30 400 50 6 7 8 9 0\ncpu0 1 2 3\n"))
	require.Equal(t, uint64(10+20+30+6+7+8), used)
	require.Equal(t, used+450, total)
	l := newLoad()
	now := time.Now()
	require.Negative(t, l.busy(now), "not known at once")
	require.LessOrEqual(t, l.busy(now.Add(loadEvery)), 1.0)
}

// TestAShedRungIsBackOnlyInTime: not with a picture that its viewers could not begin with, nor with one that comes late.
func TestAShedRungIsBackOnlyInTime(t *testing.T) {
	rung := media.Rung{Name: "96p", FrameRate: media.Rational{Num: 30, Den: 1}}
	out := &sink{told: map[string][]media.Encoded{}}
	e := &encoder{
		l: NewLive(Options{Sink: out}), id: "session", stream: "stream", log: slog.New(slog.DiscardHandler),
		s: &session{follow: newFan([]media.Rung{rung}), health: newHealth([]media.Rung{rung})},
	}
	l, track, at := newLane(e, 0, rung), &media.Track{}, media.Ticks(0)
	unit := func(key bool, late time.Duration) int {
		at += 3000
		u := media.AccessUnit{DTS: at, PTS: at, Duration: 3000, RandomAccess: key}
		require.NoError(t, l.unit(t.Context(), 1, track, u, media.VideoTimescale.Ticks(late)))
		return len(out.units(rung.Name))
	}
	require.Equal(t, 1, unit(true, 2*time.Second), "one that is not shed is not judged")
	l.leave(t.Context())
	require.Equal(t, 1, unit(true, backWithin+time.Millisecond), "late")
	require.Equal(t, 1, unit(false, 0), "nothing to begin with")
	l.leave(t.Context())
	require.Len(t, out.of(rung.Name, media.EncodedShed), 1, "it had not been back")
	require.Empty(t, out.of(rung.Name, media.EncodedRestore))
	require.Equal(t, 2, unit(true, backWithin))
	require.Len(t, out.of(rung.Name, media.EncodedRestore), 1)
	require.Equal(t, 3, unit(false, 2*time.Second))
}

func first(dropped int, _ bool) int { return dropped }

// TestAQueueThatIsFullGoesOnAtAKeyFrame by the clock and by size.
func TestAQueueThatIsFullGoesOnAtAKeyFrame(t *testing.T) {
	q, now := newQueue(), time.Unix(1_800_000_000, 0)
	key, more := media.AccessUnit{RandomAccess: true}, media.AccessUnit{}
	require.Zero(t, first(q.push(key, now)))
	require.Zero(t, first(q.push(more, now.Add(maxQueued))))
	require.Equal(t, 3, first(q.push(more, now.Add(maxQueued+1))))
	require.Equal(t, 1, first(q.push(more, now.Add(maxQueued+2))))
	require.Zero(t, first(q.push(key, now.Add(maxQueued+3))))
	big := media.AccessUnit{Data: make([]byte, maxQueuedBytes+1)}
	require.Equal(t, 2, first(q.push(big, now.Add(maxQueued+3))))
	q.close()
	require.Zero(t, first(q.push(key, now)))
	_, ok := q.pop(t.Context(), nil)
	require.False(t, ok)
}
