package whep

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestChooser(t *testing.T) {
	rates := []int{5_000_000, 2_500_000, 800_000}
	var c chooser
	now := time.Duration(0)
	at := func(d time.Duration, current, estimate int) int {
		now += d
		return c.pick(rates, current, estimate, now)
	}
	require.Equal(t, 0, at(2*time.Second, 0, 10_000_000), "what fits stays")
	require.Equal(t, 0, at(time.Second, 0, 4_800_000), "what nearly fits as well")
	require.Equal(t, 2, at(time.Second, 0, 2_600_000), "down to what fits with room")
	require.Equal(t, 2, at(500*time.Millisecond, 2, 100_000), "there is nothing below")
	require.Equal(t, 2, at(firstTry-time.Second, 2, 1_200_000), "no try before its time")
	require.Equal(t, 1, at(time.Second, 2, 1_200_000), "then one step up is tried")
	require.Equal(t, 1, at(settle/2, 1, 1_200_000), "the estimate has not heard of it yet")
	require.Equal(t, 2, at(settle, 1, 1_200_000), "the try failed")
	require.Equal(t, 2, at(firstTry, 2, 1_200_000), "so that the next comes later")
	require.Equal(t, 1, at(firstTry, 2, 1_200_000))
	require.Equal(t, 1, at(goodFor, 1, 2_500_000), "it lasted, but there is no room for more")
	require.Equal(t, 0, at(time.Second, 1, 3_000_000))

	require.Equal(t, 1, (&chooser{}).pick(rates[:2], 5, 0, time.Minute), "fewer layers than there were")
	require.Equal(t, 0, (&chooser{}).pick([]int{0, 0}, 0, 10_000, time.Minute), "rates that are not known yet say nothing")
}

func TestPacer(t *testing.T) {
	var p pacer
	sent := 0
	for p.send(1200, time.Second) == 0 {
		sent += 1200
	}
	require.InDelta(t, burst, sent, 2400)
	// From then on no more than the pace.
	now, total := time.Second, 0
	for total < 1_000_000 {
		if wait := p.send(1200, now); wait > 0 {
			require.GreaterOrEqual(t, wait, paceStep)
			now += wait
		}
		total += 1200
	}
	require.InDelta(t, float64(total)/pace, (now - time.Second).Seconds(), 0.02)
	require.Zero(t, p.send(1200, now+time.Second))
}
