package stream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTriesAreBoundedAndNoneIsForgotten: whoever comes again and again costs a row now and then, which says how often they came.
func TestTriesAreBoundedAndNoneIsForgotten(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tries := NewTries(func() time.Time { return now })
	told := 0
	note := func(d Disconnect) {
		told++
		if _, times, more := strings.Cut(d.Detail, "It was so "); more {
			var n int
			_, err := fmt.Sscanf(times, "%d", &n)
			require.NoError(t, err)
			told += n
		}
	}
	const count = 1000
	rows := 0
	for i := range count {
		d, noted := tries.Count(Disconnect{StreamID: "a", Remote: fmt.Sprintf("203.0.113.%d:%d", i%250, i), Refused: true, Detail: "no."})
		if noted {
			rows++
			note(d)
		}
		now = now.Add(20 * time.Millisecond)
	}
	require.LessOrEqual(t, rows, 7, "five at once, and one each ten seconds")
	_, noted := tries.Count(Disconnect{StreamID: "b", Remote: "203.0.113.1:1", Refused: true})
	require.True(t, noted, "another stream's are others")
	_, noted = tries.Count(Disconnect{StreamID: "a", Remote: "198.51.100.1:1", Refused: true})
	require.True(t, noted, "and so are those of another network")
	_, noted = tries.Count(Disconnect{StreamID: "a", Remote: "203.0.113.1:1"})
	require.True(t, noted, "and who had been let in")

	now = now.Add(refusedFrom.each)
	for _, d := range tries.Due() {
		rows++
		note(d)
	}
	require.Equal(t, count, told)
	require.Empty(t, tries.Due())
	now = now.Add(time.Hour)
	tries.Due()
	require.Empty(t, tries.known, "who does not come any more is forgotten")
}

// TestTriesFromEverywhereAreBounded: many addresses together are no way around it, and neither do they fill the memory.
func TestTriesFromEverywhereAreBounded(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tries := NewTries(func() time.Time { return now })
	rows := 0
	for i := range 2 * maxTries {
		if _, noted := tries.Count(Disconnect{StreamID: "a", Remote: fmt.Sprintf("10.%d.%d.1:1", i>>8, i&255), Refused: true}); noted {
			rows++
		}
	}
	require.Equal(t, refusedAll.burst, rows)
	require.LessOrEqual(t, len(tries.known), maxTries)
	require.Len(t, tries.Rest(), 1)
	rows = 0
	for range 100 {
		if _, noted := tries.Count(Disconnect{StreamID: "c", Remote: "10.0.0.1:1"}); noted {
			rows++
		}
	}
	require.Zero(t, rows, "there is no room, and nobody is written without a bound")
}
