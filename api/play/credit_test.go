package play

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"mediad/store/db"
)

func TestCreditByTheClock(t *testing.T) {
	for name, c := range map[string]struct {
		known, says int64
		since       time.Duration
		want        int64
	}{
		"as the clock":                     {0, 15_000, 15 * time.Second, 15_000},
		"at twice the speed":               {0, 30_000, 15 * time.Second, 30_000},
		"faster than anybody":              {0, 31_000, 15 * time.Second, 30_000},
		"an hour at once":                  {0, 3_600_000, 0, 0},
		"an hour after a second":           {10_000, 3_600_000, time.Second, 12_000},
		"half of it paused":                {15_000, 22_000, 15 * time.Second, 22_000},
		"less than before":                 {15_000, 3_000, 15 * time.Second, 15_000},
		"the same beat again":              {15_000, 15_000, 0, 15_000},
		"what came too early counts later": {12_000, 15_000, 15 * time.Second, 15_000},
		"a clock that was set back":        {15_000, 30_000, -time.Minute, 15_000},
		"after a lost beat":                {15_000, 45_000, 30 * time.Second, 45_000},
	} {
		assert.Equal(t, c.want, credit(c.known, c.says, c.since), name)
	}
}

func TestNeeded(t *testing.T) {
	for duration, want := range map[int64]int64{0: 30_000, 5_000: 2_500, 5_001: 2_501, 59_999: 30_000, 60_000: 30_000, 3_600_000: 30_000} {
		assert.Equal(t, want, needed(duration), "%d", duration)
	}
}

// TestCreditIsNeverMoreThanTwiceTheClock whatever players say, and never falls; what two nodes know of a play joins in any order.
func TestCreditIsNeverMoreThanTwiceTheClock(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		began := time.UnixMilli(1_000_000)
		row := func() db.Play { return db.Play{UpdatedAt: db.At(began)} }
		alone, nodes := row(), []db.Play{row(), row()}
		now := began
		for range 30 {
			now = now.Add(time.Duration(r.IntN(30_000)) * time.Millisecond)
			b := Beat{WatchedMS: r.Int64N(1_000_000), State: playing, Stalls: r.Int64N(5)}
			before := alone.WatchedMS
			take(&alone, b, db.At(now))
			assert.GreaterOrEqual(t, alone.WatchedMS, before)
			assert.LessOrEqual(t, alone.WatchedMS, 2*now.Sub(began).Milliseconds())
			take(&nodes[r.IntN(2)], b, db.At(now))
		}
		one, other := merge(nodes[0], nodes[1]), merge(nodes[1], nodes[0])
		assert.Equal(t, one, other)
		assert.Equal(t, one, merge(one, nodes[0]))
		assert.LessOrEqual(t, one.WatchedMS, 2*now.Sub(began).Milliseconds())
		assert.Equal(t, alone.UpdatedAt, one.UpdatedAt)
	}
}
