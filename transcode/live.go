package transcode

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"mediad/live"
	"mediad/media"
	"mediad/transcode/ffmpeg"
	"mediad/transcode/governor"
	"mediad/transcode/ladder"
)

// Live encodes the rungs of all sessions.
type Live struct {
	o      Options
	chosen sync.Once
	hw     ffmpeg.Encoder

	mu       sync.Mutex // guards what follows
	sessions map[string]*session
	idle     []string // sessions that were planned and not run yet, oldest first
	gov      *governor.Governor
	load     load
}

// session is what is known of a session before, and while, it is encoded.
type session struct {
	id      string
	planned bool
	asked   media.Plan  // heaviest first
	plan    ladder.Plan // the same in the order in which rungs are shed
	running bool
	follow  *fan // nil until planned
	health  *health
}

// maxIdle bounds the sessions that were planned and are never run.
const maxIdle = 1024

// ErrNoRungs says that nothing is encoded of a session.
var ErrNoRungs = errors.New("transcode: no rungs")

// NewLive returns an encoder of nothing. It starts nothing.
func NewLive(o Options) *Live {
	o = o.withDefaults()
	return &Live{o: o, sessions: map[string]*session{}, gov: governor.New(o.Governor), load: newLoad()}
}

// Choose finds the encoder by trial, once, and returns its name: none, nvenc, vaapi or qsv. Who does not call it pays with the first
// session's first second.
func (l *Live) Choose(ctx context.Context) string {
	l.chosen.Do(func() {
		if l.o.HWAccel != "none" {
			l.hw = ffmpeg.Choose(context.WithoutCancel(ctx), l.o.FFmpeg, l.o.HWAccel, l.o.Log)
		}
	})
	return l.hw.String()
}

// Plan is what is encoded of a session. It is decided by the first who asks with a video track, and constant from then on; without
// a track, and before, it is empty. With lead it is what would be if a rung took the place of the source: that is not noted, it
// counts once Options.Planned says so.
func (l *Live) Plan(s *live.Session, video *media.Track, lead bool) media.Plan {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lead {
		if video == nil || l.o.Ladder == nil {
			return media.Plan{}
		}
		return ladder.Make(ladder.Source{Track: video, Lead: true}, *l.o.Ladder, ladder.Machine{Cores: l.o.Cores}).Plan
	}
	return l.planOf(s.ID(), video).asked
}

// planOf is the session with its plan, if there can be one; mu is held.
func (l *Live) planOf(id string, video *media.Track) *session {
	s := l.sessions[id]
	if s == nil {
		s = &session{id: id}
		l.sessions[id] = s
		l.idle = append(l.idle, id)
		if len(l.idle) > maxIdle {
			l.forgetOldest()
		}
	}
	if s.planned || video == nil {
		return s
	}
	m := ladder.Machine{Cores: l.o.Cores}
	if p, ok := l.o.Planned(id); ok {
		s.plan = ladder.For(p, video, m)
	} else if l.o.Ladder != nil {
		s.plan = ladder.Make(ladder.Source{Track: video}, *l.o.Ladder, m)
	}
	s.planned, s.asked = true, s.plan.Plan
	s.plan.Rungs = shedOrder(s.plan.Plan)
	s.follow = newFan(s.plan.Rungs)
	s.health = newHealth(s.plan.Rungs)
	return s
}

// shedOrder is the order in which rungs are shed: the heaviest first, but one that leads last.
func shedOrder(p media.Plan) []media.Rung {
	if !p.Leads || len(p.Rungs) == 0 {
		return p.Rungs
	}
	return append(slices.Clone(p.Rungs[1:]), p.Rungs[0])
}

func (l *Live) forgetOldest() {
	id := l.idle[0]
	l.idle = l.idle[1:]
	if s := l.sessions[id]; s != nil && !s.running {
		delete(l.sessions, id)
	}
}

// Run encodes a session until its end, or until the sink says that it is over, and returns nil then. It is called once a session.
func (l *Live) Run(ctx context.Context, s *live.Session) error {
	return l.run(ctx, s.ID(), s.Stream(), s.AskKeyFrame, s.Subscribe(live.EncoderPolicy))
}

// source is what is encoded: *live.Subscriber is one.
type source interface {
	Next(ctx context.Context) (live.Event, error)
	Drops() live.Drops
	Close()
}

func (l *Live) run(ctx context.Context, id, stream string, askKey func(), sub source) error {
	defer sub.Close()
	l.Choose(ctx)
	l.start(id)
	defer l.forget(id)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e := &encoder{
		l: l, id: id, stream: stream, askKey: askKey, sub: sub, stop: cancel,
		log: l.o.Log.With(slog.String("stream", stream), slog.String("session", id)),
	}
	defer e.close()
	return e.loop(ctx)
}

// start notes that a session is run. What was planned of it when nobody knew that a rung would lead counts no more.
func (l *Live) start(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s, p, ok := l.otherPlan(id); ok && (s.asked.Leads != p.Leads || !slices.Equal(s.asked.Rungs, p.Rungs)) {
		delete(l.sessions, id)
		s.follow.end()
	}
	l.planOf(id, nil).running = true
}

// otherPlan is a session that has a plan, and what Options.Planned says that it is to have; mu is held.
func (l *Live) otherPlan(id string) (*session, media.Plan, bool) {
	s := l.sessions[id]
	if s == nil || !s.planned {
		return nil, media.Plan{}, false
	}
	p, ok := l.o.Planned(id)
	return s, p, ok
}

// forget lets go of a session that was run.
func (l *Live) forget(id string) {
	l.mu.Lock()
	s := l.sessions[id]
	delete(l.sessions, id)
	l.gov.Leave(id)
	l.mu.Unlock()
	if s != nil && s.follow != nil {
		s.follow.end()
	}
}

// Follow begins to read what is encoded of a session: ErrNoRungs if that is nothing. The caller closes the reader.
func (l *Live) Follow(s *live.Session) (*Reader, error) { return l.followID(s.ID()) }

func (l *Live) followID(id string) (*Reader, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sessions[id]
	if s == nil || !s.planned || len(s.plan.Rungs) == 0 {
		return nil, ErrNoRungs
	}
	return s.follow.reader(), nil
}

// Health tells how the rungs of a session are, heaviest first, but one that leads last; false if it is not encoded.
func (l *Live) Health(id string) (Health, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sessions[id]
	if s == nil || s.health == nil {
		return Health{}, false
	}
	return s.health.tell(l.o.Now()), true
}

// govern reports to the governor and returns what is to be done.
func (l *Live) govern(id string, now time.Time, r governor.Report) governor.Order {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Busy = l.load.busy(now)
	l.gov.Report(id, now, r)
	return l.gov.Order(id)
}
