// Package governor decides when rungs are shed and when they come back, for all sessions of the process together: they share the
// machine's cores. It is pure: reports and the time go in, what shall be off of each session is asked for.
//
//	Report(id, now, …) ──► lag would reach the limit while the child makes what it holds ──► as many rungs off as its speed asks for, now
//	                   ├─► … or before the key frame after the next ──► the same, at the next key frame
//	                   └─► calm for long, and cores free for what the rung costs ──► one rung back to who has most off
//
// Lag is how long the oldest picture that went into the encoder has been waiting to come out of it: a burst of pictures that came
// late by themselves is not the encoder's fault. Speed is media time made a second: below 1 a child cannot keep up, and the share that
// it lacks is the share of its work that has to go. What waits in front of the child is made without the rungs that go, so that lag grows
// after the order only while the child makes what it already holds.
//
// A rung that came back and had to be shed again makes the next one wait twice as long, one that could stay half as long.
package governor

import "time"

// Options are the limits. The zero value of a field means its default.
type Options struct {
	// Limit is the lag that is acted against at once if it is foreseen. Default 600 ms: a second is what is promised, and what
	// is foreseen is off by what a child does in bursts.
	Limit time.Duration
	// Floor is the lag below which nothing is shed, however fast it grows. Default 250 ms.
	Floor time.Duration
	// Hopeless is the lag from which on what waits is not made any more where the child does not catch up, and the last rung goes if it
	// may. Default 900 ms.
	Hopeless time.Duration
	// Stuck is after how long above the floor a rung goes though lag does not grow. Default 4 s.
	Stuck time.Duration
	// CalmLag is below which a session counts as calm. Default 150 ms.
	CalmLag time.Duration
	// Calm is how long all must have been calm until a rung comes back; default 10 s, at most MaxCalm, default 2 min.
	Calm, MaxCalm time.Duration
	// Full is the share of all cores that may be in use once a rung is back. Default 0.95.
	Full float64
	// Cores is how many the machine has. Default 1.
	Cores int
}

func (o Options) withDefaults() Options {
	or := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	or(&o.Limit, 600*time.Millisecond)
	or(&o.Floor, 250*time.Millisecond)
	or(&o.Hopeless, 900*time.Millisecond)
	or(&o.Stuck, 4*time.Second)
	or(&o.CalmLag, 150*time.Millisecond)
	or(&o.Calm, 10*time.Second)
	or(&o.MaxCalm, 2*time.Minute)
	if o.Full <= 0 {
		o.Full = 0.95
	}
	o.Cores = max(o.Cores, 1)
	return o
}

// Costs say what a session takes, in any unit that is the same for all sessions.
type Costs struct {
	// Base is what it takes whatever is made of it: decoding.
	Base float64
	// Rungs, heaviest first.
	Rungs []float64
}

// Report is what a session's encoder tells, at least a few times a second.
type Report struct {
	// Lag of the rung that is behind most.
	Lag time.Duration
	// Made is the media time that came out of all rungs that run, since the session began; Inside is what the child holds.
	Made, Inside time.Duration
	// Frame is how long a picture lasts.
	Frame time.Duration
	// ToKey is in how long the source's next key frame is expected, GOP how far they are apart.
	ToKey, GOP time.Duration
	// Starting says that the child has made nothing yet: how fast it will be is not known.
	Starting bool
	// Overflow says that pictures were dropped in front of the encoder since the last report.
	Overflow bool
	// Shed is how many rungs are off by now.
	Shed int
	// Cores that the session takes with what runs; 0: not known.
	Cores float64
	// Busy is the share of all cores in use, 0 to 1; negative: not known.
	Busy float64
}

// Order is what is to be done to a session.
type Order struct {
	// Shed is how many of its rungs, the heaviest, shall be off.
	Shed int
	// Now says that they shall not go on until the next key frame.
	Now bool
	// All says that at the key frame they are not made of what waits in front of it either: that would take too long.
	All bool
	// Skip says that what waits in front of the encoder is to be given up, up to a key frame.
	Skip bool
}

// Governor holds what is known of all sessions. It has one user at a time.
type Governor struct {
	o        Options
	sessions map[string]*session
	calm     time.Duration // how long calm must last now
	since    time.Time     // since when all are calm
	busy     float64       // share of all cores in use, averaged
	told     time.Time     // when busy was told
	restored time.Time     // when a rung last came back, of which it is not known yet whether it can stay
	taken    time.Time     // when one was last shed
}

type session struct {
	costs     Costs
	keep      int
	want      Order
	off       int  // rungs that are
	forOthers bool // the last order was to help another
	lag       time.Duration
	unit      float64   // cores that one unit of the costs takes; 0: not known
	heard     time.Time // when the last report came: a session whose publisher is away has none, and no use for a core
	high      time.Time // since when lag is over the floor; zero: it is not
	speed     speed
}

// New returns a Governor of nobody.
func New(o Options) *Governor {
	o = o.withDefaults()
	return &Governor{o: o, sessions: map[string]*session{}, calm: o.Calm}
}

// Join adds a session, of whose rungs the last keep are never shed.
func (g *Governor) Join(id string, c Costs, keep int, now time.Time) {
	g.sessions[id] = &session{costs: c, keep: keep}
	g.since = now // what it takes is not known yet
}

// Leave removes a session.
func (g *Governor) Leave(id string) { delete(g.sessions, id) }

// Order is what is to be done to a session.
func (g *Governor) Order(id string) Order {
	if s := g.sessions[id]; s != nil {
		return s.want
	}
	return Order{}
}

// Report takes a session's report.
func (g *Governor) Report(id string, now time.Time, r Report) {
	s := g.sessions[id]
	if s == nil {
		return
	}
	s.heard, s.lag = now, r.Lag
	if s.want.Shed == r.Shed {
		s.want = Order{Shed: r.Shed}
	}
	if r.Shed != s.off {
		s.off = r.Shed
		g.changed(now, s, r)
	}
	if r.Cores > 0 {
		s.unit = r.Cores / s.load()
	}
	g.average(now, r.Busy)
	s.speed.note(now, r)
	if s.want.Skip = g.hopeless(s, r); s.want.Skip {
		s.speed.restart(now, r) // what the child has is late as well, and says nothing of what comes
	}
	if r.Lag < g.o.Floor {
		s.high = time.Time{}
	} else if s.high.IsZero() {
		s.high = now
	}
	if r.Lag > g.o.CalmLag || r.Overflow || s.off != s.want.Shed {
		g.since = now
	}
	if g.judge(s, now, r) {
		return
	}
	if to := g.neediest(now); to != nil && now.Sub(g.since) >= g.calm && g.fits(to) {
		if !g.restored.IsZero() { // the one before could stay
			g.calm = max(g.calm/2, g.o.Calm)
		}
		to.want = Order{Shed: to.want.Shed - 1}
		g.restored, g.since = now, now
	}
}

// changed: from here on all run at another speed.
func (g *Governor) changed(now time.Time, s *session, r Report) {
	for _, o := range g.sessions {
		o.speed.reset()
		o.high = time.Time{}
	}
	s.speed.restart(now, r)
}

// load is what the session takes with the rungs that run.
func (s *session) load() float64 {
	sum := s.costs.Base
	for _, c := range s.costs.Rungs[s.off:] {
		sum += c
	}
	return max(sum, 1e-9)
}

// What a child does in bursts looks now slower and now faster than it is.
const (
	// slowest is the lowest speed that is reckoned with.
	slowest = 0.1
	// enough is a speed at which what waits gets less.
	enough = 1.02
	// spare is how much more than what lacks is shed where there is no time for a second try.
	spare = 0.05
)

// judge sees whether the session needs help, and reports whether it does.
func (g *Governor) judge(s *session, now time.Time, r Report) bool {
	soon := s.want.Shed != s.off // help is under way, at the next key frame
	if soon && s.want.Now {
		return true
	}
	if r.Overflow && !r.Starting { // a child that takes long to start may be quick enough then
		if !soon && !now.Before(s.speed.by) {
			g.shed(s, now, 1, true, s.running() == 1)
		}
		return true
	}
	speed, known := s.speed.value()
	if s.want.Shed > s.off && !s.forOthers && (r.Lag < g.o.CalmLag || known && speed > 0) {
		s.want = Order{Shed: s.off} // it was a moment, or is seen better now
		soon = false
	}
	if r.Lag < g.o.Floor || r.Starting || known && speed >= enough {
		return false
	}
	if s.running() == 1 && r.Lag >= g.o.Hopeless && (!known || speed > 0) { // it gives up all that waits, so there was no hurry
		g.shed(s, now, 0, true, true)
		return true
	}
	if !known || s.running() == 1 {
		return false
	}
	if speed == 0 { // it hangs, or the machine sleeps: whether fewer rungs would help is not known
		if r.Lag >= g.o.Limit && !soon && s.sheddable() && s.speed.stood() {
			g.shed(s, now, 1, true, false)
		}
		return true
	}
	least := max(speed, slowest)
	atKey := r.Lag + time.Duration((1-speed)*float64(r.ToKey))
	s.want.All = time.Duration(float64(atKey)/least) >= g.o.Limit
	peak := r.Lag + time.Duration(float64(r.Inside)*(1/least-1))
	switch {
	case peak >= g.o.Limit:
		g.shed(s, now, max(speed-spare, 0), true, false)
	case soon:
	case peak+time.Duration((1-speed)*float64(r.ToKey+r.GOP)) >= g.o.Limit:
		g.shed(s, now, speed, false, false)
	case now.Sub(s.high) >= g.o.Stuck:
		g.shed(s, now, min(speed, 1-spare), false, false)
	default:
		return false
	}
	return true
}

// hopeless reports whether what waits is late and stays so.
func (g *Governor) hopeless(s *session, r Report) bool {
	speed, known := s.speed.value()
	if s.running() == 1 && s.keep == 0 {
		return false // the last one goes, and all that waits
	}
	return r.Lag >= g.o.Hopeless && known && speed > 0 && speed < enough && !r.Starting
}

func (s *session) running() int { return len(s.costs.Rungs) - s.want.Shed }

// sheddable reports whether a rung may go. The last one goes alone.
func (s *session) sheddable() bool { return s.running() > max(s.keep, 1) }

// shed takes rungs from whoever has most, of those that have as many from the one that asks, until the work left is what can be done at
// the speed that each has, the given one where it is not known: at least one. last: it is the last one of who asks.
func (g *Governor) shed(asks *session, now time.Time, speed float64, atOnce, last bool) {
	g.since = now
	affected := func(s *session) bool { return s == asks || s.active(now) && s.lag >= g.o.CalmLag }
	need, pending, took := 0.0, false, false
	for _, s := range g.sessions {
		if !affected(s) {
			continue
		}
		its := speed
		if v, known := s.speed.value(); known && s != asks {
			its = min(v, 1)
		}
		need += s.load() * (1 - its)
		for i := s.off; i < s.want.Shed; i++ {
			need -= s.costs.Rungs[i]
			s.want.Now = s.want.Now || atOnce
			pending = true
		}
	}
	for need > 0 || !pending && !took {
		victim := g.victim(asks, affected)
		if victim == nil && last && !took && asks.running() > asks.keep {
			victim = asks
		}
		if victim == nil && !pending && !took { // those that are late have nothing to give
			victim = g.victim(asks, func(s *session) bool { return s.active(now) })
		}
		if victim == nil {
			break
		}
		need -= victim.costs.Rungs[victim.want.Shed]
		victim.want.Shed++
		victim.forOthers = victim != asks
		victim.want.Now = victim.want.Now || atOnce
		took = true
	}
	if !took {
		return
	}
	switch {
	case !g.restored.IsZero() && now.Sub(g.restored) < g.o.MaxCalm:
		g.calm = min(2*g.calm, g.o.MaxCalm)
		g.restored = time.Time{} // one return fails once
	case now.Sub(g.taken) > g.o.MaxCalm:
		g.calm = g.o.Calm
	}
	g.taken = now
}

// victim is who has most rungs, of those that may have some taken.
func (g *Governor) victim(asks *session, may func(*session) bool) (v *session) {
	for _, s := range g.sessions {
		if !may(s) || !s.sheddable() {
			continue
		}
		if v == nil || s.running() > v.running() || s.running() == v.running() && s == asks {
			v = s
		}
	}
	return v
}

// quiet is after how long without a report a session counts as away.
const quiet = time.Second

func (s *session) active(now time.Time) bool { return now.Sub(s.heard) < quiet }

// neediest is who has most off.
func (g *Governor) neediest(now time.Time) (to *session) {
	for _, s := range g.sessions {
		if s.active(now) && s.want.Shed > 0 && (to == nil || s.want.Shed > to.want.Shed) {
			to = s
		}
	}
	return to
}

// busyOver is over how long the use of the cores is averaged.
const busyOver = 5 * time.Second

func (g *Governor) average(now time.Time, busy float64) {
	share := min(float64(now.Sub(g.told))/float64(busyOver), 1)
	g.busy += (max(busy, 0) - g.busy) * share
	g.told = now
}

// unknown is the share of the machine that a rung is taken to cost as long as nothing was measured.
const unknown = 0.2

// fits reports whether there are cores for the session's next rung.
func (g *Governor) fits(s *session) bool {
	cost := unknown
	if s.unit > 0 {
		cost = s.unit * s.costs.Rungs[s.want.Shed-1] / float64(g.o.Cores)
	}
	return g.busy+cost <= g.o.Full
}
