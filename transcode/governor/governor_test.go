package governor_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/transcode/governor"
)

func TestMain(m *testing.M) { testx.Main(m) }

func TestNothingHappensOnAMachineThatKeepsUp(t *testing.T) {
	c := &child{id: "a", rungs: []float64{0.3, 0.3, 0.3}}
	newMachine(1, c).run(10 * time.Minute)
	require.Zero(t, c.changes)
}

// heights of ladders' rungs, the source's first.
var heights = []int{1440, 1080, 720, 480, 360, 240}

// anyChild is one of the ladders that there are, whose rungs take up to twice more or less than their size says.
func anyChild(rnd *rand.Rand, id string) *child {
	from := rnd.IntN(3)
	to := from + 2 + rnd.IntN(len(heights)-from-1)
	size := func(lines int) float64 { return float64(lines*lines) / (720 * 720) * 0.2 }
	c := &child{id: id, base: size(heights[from]) / 2, gop: time.Second/2 + time.Duration(rnd.Int64N(int64(7*time.Second)))}
	c.phase = time.Duration(rnd.Int64N(int64(c.gop)))
	if rnd.IntN(2) == 0 {
		from-- // browsers cannot play it: there is a rung of its own size, and one stays
		c.keep = 1
	}
	for _, lines := range heights[from+1 : to] {
		c.rungs = append(c.rungs, size(lines)*(0.5+1.5*rnd.Float64()))
	}
	return c
}

// TestLagStaysBelowASecond whenever capacity drops to no less than what the last rung takes, of however many rungs of whatever
// cost, with key frames however far apart, evenly or in slices.
func TestLagStaysBelowASecond(t *testing.T) {
	const cases = 150
	worst, extra := time.Duration(0), 0
	for seed := range uint64(cases) {
		rnd := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's
		c := anyChild(rnd, "a")
		least, most := c.load(len(c.rungs)-1), c.load(0)
		factor := 0.9 / most // a child has one core
		c.base *= factor
		for i := range c.rungs {
			c.rungs[i] *= factor
		}
		least, most = least*factor, most*factor
		m := newMachine(1, c)
		m.run(3*time.Second + time.Duration(rnd.Int64N(int64(c.gop))))
		require.Zero(t, c.changes)
		m.cores = least + rnd.Float64()*(most-least)
		if rnd.IntN(3) == 0 {
			m.slice = time.Duration(20+rnd.IntN(180)) * time.Millisecond
		}
		m.run(30 * time.Second)
		need := 0
		for c.load(need) > m.cores && need < len(c.rungs)-c.keep {
			need++
		}
		worst, extra = max(worst, c.worst), extra+c.off-need
		if c.worst > time.Second || c.skipped > 0 {
			t.Errorf("seed %d: %.2f of %.2f cores, %d rungs, GOP %v, slice %v: %v late, %d off of %d, %d skipped", seed, m.cores, most, len(c.rungs),
				c.gop, m.slice, c.worst, c.off, need, c.skipped)
		}
	}
	t.Logf("at most %v, %d rungs more than needed", worst, extra)
	require.Less(t, extra, cases/2)
}

// ladder is the usual one of 720 lines, which takes 0.4 cores.
func ladder(id string) *child {
	return &child{id: id, base: 0.15, rungs: []float64{0.14, 0.075, 0.035}, keep: 0}
}

// TestASleepOfTheMachineShedsNothing though all be late by it: nobody is too slow.
func TestASleepOfTheMachineShedsNothing(t *testing.T) {
	c := ladder("a")
	m := newMachine(1, c)
	for range 20 {
		m.run(3 * time.Second)
		m.cores = 0
		m.run(550 * time.Millisecond)
		m.cores = 1
	}
	require.Zero(t, c.changes)
	require.Zero(t, c.skipped)
}

// TestAChildThatStandsLosesOneRung and no more until it moves: whoever watches it will end it.
func TestAChildThatStandsLosesOneRung(t *testing.T) {
	c := ladder("a")
	m := newMachine(1, c)
	m.run(3 * time.Second)
	m.cores = 0
	m.run(10 * time.Second)
	require.Equal(t, 1, c.off)
}

// TestARungComesBackWhereOthersAreBusy, if what it costs is free.
func TestARungComesBackWhereOthersAreBusy(t *testing.T) {
	for _, other := range []float64{0, 0.7 * 2, 0.9 * 2} {
		c := ladder("a")
		m := newMachine(1, c)
		m.run(3 * time.Second)
		m.cores = 0.3
		m.run(5 * time.Second)
		require.Equal(t, 1, c.off)
		m.cores, m.other = 1, other
		m.run(5 * time.Second)
		require.Equal(t, 1, c.off, "not at once")
		m.run(30 * time.Second)
		require.Equal(t, other+c.load(0) > 0.95*2, c.off == 1, "%v cores by others", other)
	}
}

// TestItDoesNotFlap: with cores that look free and are not, a rung that comes back has to go again, ever more rarely, without harm.
func TestItDoesNotFlap(t *testing.T) {
	c := ladder("a")
	m := newMachine(0.3, c)
	m.run(10 * time.Minute)
	require.LessOrEqual(t, c.changes, 16)
	require.Less(t, c.worst, time.Second)
	require.Zero(t, c.skipped)
	for i, at := range c.sheds[2:] {
		require.Greater(t, at.Sub(c.sheds[i+1]), 17*time.Second)
	}
}

func TestWhoHasMostRungsShedsFirst(t *testing.T) {
	few := &child{id: "few", rungs: []float64{0.24}}
	many := &child{id: "many", rungs: []float64{0.24, 0.24, 0.24, 0.24}, phase: time.Second}
	m := newMachine(1, few, many)
	m.run(time.Minute)
	require.Zero(t, few.changes)
	require.Positive(t, many.off)
	require.Less(t, max(few.worst, many.worst), time.Second)
	m.cores = 0.4
	m.run(10 * time.Second)
	require.Equal(t, 4, few.off+many.off, "one rung is what it carries")
	m.cores = 2
	m.run(10 * time.Minute)
	require.Zero(t, few.off+many.off)
}

// TestManyAreHelpedAtOnce: they share what there is, and lose it together.
func TestManyAreHelpedAtOnce(t *testing.T) {
	var all []*child
	for i := range 6 {
		c := ladder(string(rune('a' + i)))
		c.phase = time.Duration(i) * 300 * time.Millisecond
		all = append(all, c)
	}
	m := newMachine(2.5, all...)
	m.total = 4
	m.run(5 * time.Second)
	m.cores = 1.2
	m.run(20 * time.Second)
	least, most := 3, 0
	for _, c := range all {
		require.Less(t, c.worst, time.Second)
		require.Zero(t, c.skipped)
		least, most = min(least, c.off), max(most, c.off)
	}
	require.LessOrEqual(t, most-least, 1, "fairly")
}

func TestWhatMustStayStays(t *testing.T) {
	c := ladder("a")
	c.keep = 1
	m := newMachine(0.01, c)
	m.run(time.Minute)
	require.Equal(t, 2, c.off)
	m.g.Leave("a")
	m.g.Report("a", m.now, governor.Report{Overflow: true})
	require.Zero(t, m.g.Order("a"))
}

func TestAnOverflowShedsAtOnceAndOnce(t *testing.T) {
	g, now := governor.New(governor.Options{}), begun
	g.Join("a", governor.Costs{Rungs: []float64{3, 2, 1}}, 0, now)
	for range 10 {
		now = now.Add(every)
		g.Report("a", now, governor.Report{Overflow: true})
	}
	require.Equal(t, governor.Order{Shed: 1, Now: true}, g.Order("a"), "no second one before the first has taken effect")
}

// TestWhoIsAwayIsPassedOver: rungs of a session that encodes nothing free no core.
func TestWhoIsAwayIsPassedOver(t *testing.T) {
	g, now := governor.New(governor.Options{}), begun
	g.Join("away", governor.Costs{Rungs: []float64{5, 4, 3, 2, 1}}, 0, now)
	g.Join("busy", governor.Costs{Rungs: []float64{2, 1}}, 0, now)
	g.Report("away", now, governor.Report{Lag: time.Second})
	now = now.Add(time.Minute)
	g.Report("busy", now, governor.Report{Overflow: true, Busy: 1})
	require.Equal(t, 1, g.Order("busy").Shed)
	require.Zero(t, g.Order("away").Shed)
}
