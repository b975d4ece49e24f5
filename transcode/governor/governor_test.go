package governor_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/transcode/governor"
)

func TestMain(m *testing.M) { testx.Main(m) }

// machine encodes at a speed that falls with the rungs that run: cost is what one rung takes of it.
type machine struct {
	g    *governor.Governor
	now  time.Time
	cost float64
	ids  []string
	lag  map[string]time.Duration
	off  map[string]int
	all  map[string]int
	max  time.Duration
}

func newMachine(cost float64, sessions map[string]int, order ...string) *machine {
	m := &machine{
		g: governor.New(governor.Options{}), now: time.Unix(1_800_000_000, 0), cost: cost, ids: order,
		lag: map[string]time.Duration{}, off: map[string]int{}, all: sessions,
	}
	for _, id := range order {
		m.g.Join(id, sessions[id], 0, m.now)
	}
	return m
}

const (
	tick = 33 * time.Millisecond
	gop  = 2 * time.Second
)

// run lets time pass; a key frame comes every gop.
func (m *machine) run(d time.Duration) {
	for end := m.now.Add(d); m.now.Before(end); m.now = m.now.Add(tick) {
		load := 0.0
		for _, id := range m.ids {
			load += m.cost * float64(m.all[id]-m.off[id])
		}
		left := m.now.UnixNano() % int64(gop)
		for _, id := range m.ids {
			if load > 1 {
				m.lag[id] += time.Duration(float64(tick) * (1 - 1/load))
			} else {
				m.lag[id] = max(m.lag[id]-time.Duration(float64(tick)*(1/max(load, 0.1)-1)), 5*time.Millisecond)
			}
			if left < int64(tick) {
				m.off[id] = m.g.Shed(id)
			}
			m.max = max(m.max, m.lag[id])
			m.g.Report(id, m.now, governor.Report{
				Lag: m.lag[id], ToKey: gop - time.Duration(left), GOP: gop, Shed: m.off[id], Busy: min(load, 1),
			})
		}
	}
}

func TestNothingHappensOnAMachineThatKeepsUp(t *testing.T) {
	m := newMachine(0.3, map[string]int{"a": 3}, "a")
	m.run(10 * time.Minute)
	require.Zero(t, m.g.Shed("a"))
}

func TestLagStaysBelowASecond(t *testing.T) {
	for _, cost := range []float64{0.35, 0.4, 0.45} {
		m := newMachine(cost, map[string]int{"a": 3}, "a")
		m.run(time.Minute)
		require.Equal(t, 1, m.off["a"], "cost %v", cost)
		require.Less(t, m.max, time.Second, "cost %v", cost)
		require.Less(t, m.lag["a"], 100*time.Millisecond)
	}
}

func TestARungComesBackWhenTheMachineIsFree(t *testing.T) {
	m := newMachine(0.45, map[string]int{"a": 3}, "a")
	m.run(20 * time.Second)
	require.Equal(t, 1, m.off["a"])
	m.cost = 0.25
	m.run(5 * time.Second)
	require.Equal(t, 1, m.off["a"], "not at once")
	m.run(20 * time.Second)
	require.Zero(t, m.off["a"])
}

// TestItDoesNotFlap: with cores that look free and are not, a rung that comes back has to go again, ever more rarely.
func TestItDoesNotFlap(t *testing.T) {
	m := newMachine(0.34, map[string]int{"a": 3}, "a") // 0.68 without one: free enough; 1.02 with it: too much
	changes, last := 0, 0
	for range 600 {
		m.run(time.Second)
		if m.off["a"] != last {
			changes, last = changes+1, m.off["a"]
		}
	}
	require.LessOrEqual(t, changes, 16, "in ten minutes")
	require.Less(t, m.max, 1100*time.Millisecond)
}

func TestWhoHasMostRungsShedsFirst(t *testing.T) {
	m := newMachine(0.24, map[string]int{"few": 1, "many": 4}, "few", "many")
	m.run(time.Minute)
	require.Zero(t, m.off["few"])
	require.Equal(t, 1, m.off["many"])
	m.cost = 0.6
	m.run(time.Minute)
	require.Equal(t, 1, m.all["few"]-m.off["few"]+m.all["many"]-m.off["many"], "one rung is what it carries")
	m.cost = 0.05
	m.run(5 * time.Minute)
	require.Zero(t, m.off["few"]+m.off["many"])
}

func TestWhatMustStayStays(t *testing.T) {
	g := governor.New(governor.Options{})
	now := time.Unix(1_800_000_000, 0)
	g.Join("a", 3, 1, now)
	for range 1000 {
		now = now.Add(tick)
		g.Report("a", now, governor.Report{Lag: 2 * time.Second, Overflow: true, Shed: g.Shed("a"), Busy: 1})
	}
	require.Equal(t, 2, g.Shed("a"))
	g.Leave("a")
	g.Report("a", now, governor.Report{Overflow: true})
	require.Zero(t, g.Shed("a"))
}

func TestAnOverflowShedsAtOnceAndOnce(t *testing.T) {
	g := governor.New(governor.Options{})
	now := time.Unix(1_800_000_000, 0)
	g.Join("a", 3, 0, now)
	for range 10 {
		now = now.Add(tick)
		g.Report("a", now, governor.Report{Overflow: true})
	}
	require.Equal(t, 1, g.Shed("a"), "no second one before the first has taken effect")
}

// TestWhoIsAwayIsPassedOver: rungs of a session that encodes nothing free no core.
func TestWhoIsAwayIsPassedOver(t *testing.T) {
	g := governor.New(governor.Options{})
	now := time.Unix(1000, 0)
	g.Join("away", 5, 0, now)
	g.Join("busy", 2, 0, now)
	g.Report("away", now, governor.Report{})
	now = now.Add(time.Minute)
	g.Report("busy", now, governor.Report{Overflow: true, Busy: 1})
	if got := g.Shed("busy"); got != 1 {
		t.Fatalf("%d of the busy one's rungs are shed, not 1", got)
	}
	if got := g.Shed("away"); got != 0 {
		t.Fatalf("%d of the away one's rungs are shed", got)
	}
}
