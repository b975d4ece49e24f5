package governor_test

import (
	"time"

	"mediad/transcode/governor"
)

// machine is a simulation of children that share cores, each with what waits in front of it, as transcode has them: a frame's
// rungs are decided when the child gets it.
type machine struct {
	g     *governor.Governor
	now   time.Time
	cores float64       // what the children get of it, together
	total int           // what the machine has
	other float64       // cores that others use
	slice time.Duration // the children get their time in one piece of each slice; 0: evenly
	used  float64       // cores that the children use, averaged
	all   []*child
}

// child encodes one session. Costs are in cores.
type child struct {
	id      string
	base    float64
	rungs   []float64
	keep    int
	gop     time.Duration
	phase   time.Duration
	off     int
	queue   []frame
	inside  []frame
	made    time.Duration
	start   float64 // work until the first picture
	starts  bool
	arrived time.Duration // of media
	lag     time.Duration
	worst   time.Duration
	skipped int
	skip    bool
	changes int
	sheds   []time.Time
}

type frame struct {
	at   time.Time
	off  int
	left float64 // core seconds
	key  bool
}

const (
	tick   = time.Millisecond
	step   = time.Second / 30
	every  = 100 * time.Millisecond
	ahead  = 2
	atOnce = true
)

var begun = time.Unix(1_800_000_000, 0)

func newMachine(cores float64, all ...*child) *machine {
	m := &machine{g: governor.New(governor.Options{Cores: 2}), now: begun, cores: cores, total: 2, all: all}
	for _, c := range all {
		if c.gop == 0 {
			c.gop = 2 * time.Second
		}
		costs := governor.Costs{Base: 100 * c.base}
		for _, r := range c.rungs {
			costs.Rungs = append(costs.Rungs, 100*r)
		}
		c.arrived = c.phase
		m.g.Join(c.id, costs, c.keep, m.now)
	}
	return m
}

func (c *child) load(off int) float64 {
	sum := c.base
	for _, r := range c.rungs[off:] {
		sum += r
	}
	return sum
}

// run lets time pass.
func (m *machine) run(d time.Duration) {
	for end := m.now.Add(d); m.now.Before(end); m.now = m.now.Add(tick) {
		since := m.now.Sub(begun)
		for _, c := range m.all {
			if (since+c.phase)%step < tick {
				m.arrive(c)
			}
		}
		m.used += (m.work(since) - m.used) * tick.Seconds() / 2
		for _, c := range m.all {
			c.lag = c.waiting(m.now)
			c.worst = max(c.worst, c.lag)
		}
		if since%every < tick {
			for _, c := range m.all {
				m.report(c)
			}
		}
	}
}

func (c *child) waiting(now time.Time) time.Duration {
	switch {
	case len(c.inside) > 0:
		return now.Sub(c.inside[0].at)
	case len(c.queue) > 0:
		return now.Sub(c.queue[0].at)
	}
	return 0
}

// arrive gives a child its next picture.
func (m *machine) arrive(c *child) {
	c.arrived += step
	key := c.arrived%c.gop < step
	if key {
		o := m.g.Order(c.id)
		m.set(c, o.Shed, o.All)
		c.skip = false
	}
	if c.off < len(c.rungs) && !c.skip {
		c.queue = append(c.queue, frame{at: m.now, off: c.off, key: key})
	}
}

// set sheds rungs of what is queued from now on, or of all that the child does not have.
func (m *machine) set(c *child, off int, now bool) {
	if off == c.off {
		return
	}
	c.changes++
	if off < c.off {
		c.start, c.starts = 0.1, true
	} else {
		c.sheds = append(c.sheds, m.now)
	}
	c.off = off
	if now {
		for i := range c.queue {
			c.queue[i].off = off
		}
	}
	if off == len(c.rungs) {
		c.queue, c.inside = nil, nil
	}
}

// work lets the children work for a tick, and returns the cores that they used.
func (m *machine) work(since time.Duration) float64 {
	left := m.cores
	if m.slice > 0 {
		left = 0
		if float64(since%m.slice) < m.cores/1*float64(m.slice) {
			left = 1
		}
	}
	used := 0.0
	own := make([]float64, len(m.all)) // nobody has more than one core
	for range 2 {                      // who needs less leaves the rest to the others
		share := left / float64(len(m.all))
		for i, c := range m.all {
			got := min(share, 1-own[i]) * tick.Seconds()
			got -= c.work(got)
			own[i] += got / tick.Seconds()
			used += got / tick.Seconds()
			left -= got / tick.Seconds()
		}
	}
	return used
}

func (c *child) work(seconds float64) (rest float64) {
	d := min(c.start, seconds)
	c.start -= d
	for seconds -= d; ; {
		for len(c.inside) < ahead && len(c.queue) > 0 {
			f := c.queue[0]
			c.queue = c.queue[1:]
			f.left = c.load(f.off) * step.Seconds()
			c.inside = append(c.inside, f)
		}
		if len(c.inside) == 0 || seconds <= 0 {
			return seconds
		}
		d := min(c.inside[0].left, seconds)
		c.inside[0].left -= d
		if seconds -= d; c.inside[0].left <= 1e-9 {
			c.inside = c.inside[1:]
			c.made += step
			c.starts = false
		}
	}
}

func (m *machine) report(c *child) {
	m.g.Report(c.id, m.now, governor.Report{
		Lag: c.lag, Made: c.made, Inside: step * time.Duration(len(c.inside)), Frame: step, ToKey: c.gop - c.arrived%c.gop, GOP: c.gop,
		Starting: c.starts, Shed: c.off, Cores: c.load(c.off), Busy: min((m.used+m.other)/float64(m.total), 1),
	})
	o := m.g.Order(c.id)
	if o.Now && o.Shed > c.off {
		m.set(c, o.Shed, atOnce)
	}
	if o.Skip {
		c.skipped += len(c.queue)
		c.queue, c.skip = nil, true
	}
}
