// Package governor decides when rungs are shed and when they come back, for all sessions of the process together: they share the
// machine's cores. It is pure: reports and the time go in, the number of shed rungs of each session is asked for.
//
//	Report(id, now, lag, busy) ──► lag, or what it will be at the next key frame, too high ──► one rung shed of who has most
//	                           └─► calm for long, and cores free ──► one rung back to who has most shed
//
// Lag is how long the oldest picture that went into the encoder has been waiting to come out of it: a burst of pictures that came
// late by themselves is not the encoder's fault.
//
// A rung that came back and had to be shed again makes the next one wait twice as long.
package governor

import "time"

// Options are the limits. The zero value of a field means its default.
type Options struct {
	// Limit is the lag that shall not be reached. Default 900 ms: a second is what is promised. Rungs can be shed without harm to
	// the others at key frames alone, so one is shed if the lag would reach the limit at the key frame after the next.
	Limit time.Duration
	// Floor is the lag below which nothing is shed, however fast it grows. Default 250 ms.
	Floor time.Duration
	// Settle is how long after a shed, once it has taken effect, lag is not judged: what waits must be worked off. Default 1.5 s.
	Settle time.Duration
	// CalmLag is below which a session counts as calm. Default 150 ms.
	CalmLag time.Duration
	// Calm is how long all must have been calm until a rung comes back; default 10 s, at most MaxCalm, default 2 min.
	Calm, MaxCalm time.Duration
	// Busy is the share of all cores that may be in use when a rung comes back. Default 0.7.
	Busy float64
}

func (o Options) withDefaults() Options {
	or := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	or(&o.Limit, 900*time.Millisecond)
	or(&o.Floor, 250*time.Millisecond)
	or(&o.Settle, 1500*time.Millisecond)
	or(&o.CalmLag, 150*time.Millisecond)
	or(&o.Calm, 10*time.Second)
	or(&o.MaxCalm, 2*time.Minute)
	if o.Busy <= 0 {
		o.Busy = 0.7
	}
	return o
}

// Report is what a session's encoder tells, at least a few times a second.
type Report struct {
	// Lag of the rung that is behind most.
	Lag time.Duration
	// ToKey is in how long the source's next key frame is expected, GOP how far they are apart: nothing changes in between.
	ToKey, GOP time.Duration
	// Overflow says that pictures were dropped in front of the encoder since the last report.
	Overflow bool
	// Shed is how many rungs are off by now.
	Shed int
	// Busy is the share of all cores in use, 0 to 1; negative: not known.
	Busy float64
}

// Governor holds what is known of all sessions. It has one user at a time.
type Governor struct {
	o        Options
	sessions map[string]*session
	calm     time.Duration // how long calm must last now
	since    time.Time     // since when all are calm
	restored time.Time     // when a rung last came back
	shed     time.Time     // when one was last shed
}

type session struct {
	rungs, keep int
	want        int // rungs that shall be off
	off         int // rungs that are
	settled     time.Time
	lag         time.Duration
	slope       float64 // of the lag, per second
	grew        int     // measurements in a row in which it grew
	reported    time.Time
	heard       time.Time // when the last report came: a session whose publisher is away has none, and no use for a core
}

// New returns a Governor of nobody.
func New(o Options) *Governor {
	o = o.withDefaults()
	return &Governor{o: o, sessions: map[string]*session{}, calm: o.Calm}
}

// Join adds a session with so many rungs, of which the last keep are never shed.
func (g *Governor) Join(id string, rungs, keep int, now time.Time) {
	g.sessions[id] = &session{rungs: rungs, keep: keep, settled: now.Add(g.o.Settle)}
	g.since = now // what it takes is not known yet
}

// Leave removes a session.
func (g *Governor) Leave(id string) { delete(g.sessions, id) }

// Shed is how many of a session's rungs, the heaviest, shall be off.
func (g *Governor) Shed(id string) int {
	if s := g.sessions[id]; s != nil {
		return s.want
	}
	return 0
}

// Report takes a session's report.
func (g *Governor) Report(id string, now time.Time, r Report) {
	s := g.sessions[id]
	if s == nil {
		return
	}
	s.heard = now
	s.measure(now, r.Lag)
	if r.Shed != s.off {
		s.off = r.Shed
		for _, o := range g.sessions { // the cores are all sessions'
			o.settled = now.Add(g.o.Settle)
			o.slope, o.grew, o.reported = 0, 0, time.Time{}
		}
	}
	if r.Lag > g.o.CalmLag || r.Overflow || s.off != s.want || r.Busy > g.o.Busy {
		g.since = now
	}
	if g.late(s, now, r) {
		g.shedOne(s, now)
		return
	}
	if now.Sub(g.since) >= g.calm {
		g.restoreOne(now)
	}
}

const (
	// smooth is over how long the growth of lag is measured, and growth how much it must be to be no noise. Twice in a row is more
	// than a hiccup of the machine.
	smooth = 500 * time.Millisecond
	growth = 20 * time.Millisecond
	twice  = 2
)

func (s *session) measure(now time.Time, lag time.Duration) {
	if s.reported.IsZero() {
		s.reported, s.lag = now, lag
		return
	}
	if lag < s.lag {
		s.reported, s.lag, s.grew = now, lag, 0
		return
	}
	if d := now.Sub(s.reported); d >= smooth && lag-s.lag >= growth {
		s.slope = float64(lag-s.lag) / float64(d)
		s.reported, s.lag = now, lag
		s.grew++
	}
}

// late reports whether the session needs help now.
func (g *Governor) late(s *session, now time.Time, r Report) bool {
	if s.want != s.off {
		return false // help is under way
	}
	if r.Overflow {
		return true
	}
	if s.grew == 0 || r.Lag < g.o.Floor || now.Before(s.settled) {
		return false // what has gathered is being worked off
	}
	grows := time.Duration(s.slope * float64(r.ToKey+r.GOP))
	return r.Lag >= g.o.Limit || s.grew >= twice && r.Lag+grows >= g.o.Limit
}

func (s *session) running() int { return s.rungs - s.want }

func (s *session) sheddable() bool { return s.running() > s.keep }

// shedOne sheds a rung of whoever has most; of those that have as many, of the one that asks.
func (g *Governor) shedOne(asks *session, now time.Time) {
	g.since = now
	if now.Sub(g.shed) < g.o.Settle && g.settling(now) {
		return // somebody gives one up already
	}
	victim := asks
	for _, s := range g.sessions {
		if s.active(now) && s.sheddable() && (!victim.sheddable() || s.running() > victim.running()) {
			victim = s
		}
	}
	if !victim.sheddable() {
		return
	}
	if !g.restored.IsZero() && now.Sub(g.restored) < g.o.MaxCalm {
		g.calm = min(2*g.calm, g.o.MaxCalm)
	} else {
		g.calm = g.o.Calm
	}
	victim.want++
	g.shed = now
}

// quiet is after how long without a report a session counts as away.
const quiet = time.Second

func (s *session) active(now time.Time) bool { return now.Sub(s.heard) < quiet }

// settling reports whether a rung was given up whose going has not taken effect.
func (g *Governor) settling(now time.Time) bool {
	for _, s := range g.sessions {
		if s.active(now) && s.want > s.off {
			return true
		}
	}
	return false
}

// restoreOne gives a rung back to who has most shed.
func (g *Governor) restoreOne(now time.Time) {
	var to *session
	for _, s := range g.sessions {
		if s.active(now) && s.want > 0 && (to == nil || s.want > to.want) {
			to = s
		}
	}
	if to == nil {
		return
	}
	to.want--
	g.restored, g.since = now, now
}
