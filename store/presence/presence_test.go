package presence_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/store/presence"
	"mediad/store/presence/presencetest"
)

func TestMain(m *testing.M) { testx.Main(m) }

func TestLocal(t *testing.T) {
	presencetest.Run(t, func(*testing.T) (a, b presence.Set) {
		l := presence.NewLocal(nil)
		return l, l
	})
}

// TestTheWindowToTheNanosecond is by a clock that stands still.
func TestTheWindowToTheNanosecond(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := presence.NewLocal(func() time.Time { return now })
	require.NoError(t, l.Tell(t.Context(), []presence.Sign{presencetest.Beat("v", "n", 0), presencetest.Playlist("m", 0)}))
	now = now.Add(presence.Window)
	assert.Equal(t, presence.Counts{Viewers: 1, Estimated: 1}, presencetest.Count(t, l))
	require.NoError(t, l.Tell(t.Context(), []presence.Sign{presencetest.Playlist("n", 0)}))
	assert.Equal(t, presence.Counts{Viewers: 1, Estimated: 1}, presencetest.Count(t, l), "the place of a viewer asks")
	now = now.Add(1)
	assert.Equal(t, presence.Counts{}, presencetest.Count(t, l), "and asks no more after the last beat")
	now = now.Add(presence.Window)
	assert.Equal(t, presence.Counts{}, presencetest.Count(t, l))
}

// TestAFloodOfStreams: nobody fills the memory with names, and who has left makes room.
func TestAFloodOfStreams(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := presence.NewLocal(func() time.Time { return now })
	tell := func(stream string) int {
		require.NoError(t, l.Tell(t.Context(), []presence.Sign{{Stream: stream, Kind: presence.Beat, Who: "v", Net: "n"}}))
		counts, err := l.Count(t.Context(), []string{stream})
		require.NoError(t, err)
		return counts[stream].Viewers
	}
	for i := range 10_000 {
		require.Equal(t, 1, tell(fmt.Sprint("s", i)))
	}
	assert.Zero(t, tell("one more"))
	assert.Equal(t, 1, tell("s1"))
	now = now.Add(3 * presence.Window)
	assert.Equal(t, 1, tell("one more"))
}
