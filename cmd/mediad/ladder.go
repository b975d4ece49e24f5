package main

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mediad/api/stream"
	"mediad/egress/whep"
	"mediad/internal/metrics"
	"mediad/live"
	"mediad/media"
	"mediad/transcode"
	"mediad/transcode/passthrough"
)

// newLadder is what encodes the rungs of all sessions; nil where nothing does. The packager, which takes them, is made later.
func (n *node) newLadder(ctx context.Context, r prometheus.Registerer) *transcode.Live {
	if n.config.Transcode.Rungs == nil {
		return nil
	}
	if installed(ctx) != nil {
		return nil
	}
	l := transcode.NewLive(transcode.Options{
		Ladder: n.config.Transcode.Rungs, HWAccel: n.config.Transcode.HWAccel, Sink: lateSink{n}, Planned: n.plans.of,
		Observer: ladderObserver{metrics.NewLadder(r), n}, Log: n.log, Now: n.now,
	})
	if hw := l.Choose(ctx); hw != "none" {
		n.log.Info("qualities are encoded in hardware", "encoder", hw)
	}
	return l
}

// plans are those of the sessions whose rungs are made. A session that goes on after a restart keeps the plan that it had.
type plans struct{ bySession sync.Map }

func (p *plans) of(session string) (media.Plan, bool) {
	v, ok := p.bySession.Load(session)
	if !ok {
		return media.Plan{}, false
	}
	return v.(media.Plan), true
}

// plan decides what rungs a session has: those that its publisher has encoded itself, else the ladder's. With lead it is the plan whose
// first rung takes the place of the source; a publisher's encodings never do, as their key frames are his too.
func (n *node) plan(s *live.Session, video *media.Track, lead bool) media.Plan {
	if p := passthrough.Plan(video, s.Layers()); len(p.Rungs) > 0 {
		if lead {
			return media.Plan{}
		}
		return p
	}
	if n.ladder == nil {
		return media.Plan{}
	}
	return n.ladder.Plan(s, video, lead)
}

// encode makes a session's rungs, until its end.
func (n *node) encode(ctx context.Context, s *live.Session, plan media.Plan) error {
	if !plan.Leads && layersFit(plan, passthrough.Plan(nil, s.Layers())) {
		return passthrough.Run(ctx, s, plan, n.streams, n.log.With("stream", s.Stream(), "session", s.ID()))
	}
	if n.ladder == nil {
		return nil
	}
	n.plans.bySession.Store(s.ID(), plan)
	defer n.plans.bySession.Delete(s.ID())
	return n.ladder.Run(ctx, s)
}

// layersFit tells whether a publisher's own encodings are all that the plan has. After a restart it may be another publisher's.
func layersFit(plan, layers media.Plan) bool {
	for _, r := range plan.Rungs {
		if !slices.ContainsFunc(layers.Rungs, func(l media.Rung) bool { return l.Name == r.Name && l.Width == r.Width && l.Height == r.Height }) {
			return false
		}
	}
	return true
}

// lateSink is the packager, which is made after who encodes.
type lateSink struct{ n *node }

func (s lateSink) Encoded(ctx context.Context, session string, e media.Encoded) error {
	return s.n.streams.Encoded(ctx, session, e)
}

// ladderObserver lets the streamer's alerts know what the metrics do.
type ladderObserver struct {
	*metrics.Ladder
	n *node
}

// Lag implements transcode.Observer.
func (o ladderObserver) Lag(stream, rung string, lag time.Duration) {
	o.Ladder.Lag(stream, rung, lag)
	o.tell(stream)
}

// Shed implements transcode.Observer.
func (o ladderObserver) Shed(stream, rung string, shed bool) {
	o.Ladder.Shed(stream, rung, shed)
	o.tell(stream)
}

func (o ladderObserver) tell(stream string) {
	s, ok := o.n.hub.Session(stream)
	if !ok {
		return
	}
	h, ok := o.n.ladder.Health(s.ID())
	if !ok {
		return
	}
	var lag time.Duration
	shed := 0
	for _, r := range h.Rungs {
		lag = max(lag, r.Lag)
		if r.State == transcode.StateShed {
			shed++
		}
	}
	s.Encoding(lag, shed)
}

// rungShed is how a rung is told of that is left out.
const rungShed = "shed"

// rungHealth is how the rungs of a stream's session are.
func (n *node) rungHealth(session string) []stream.HealthRung {
	if n.ladder == nil {
		return nil
	}
	h, _ := n.ladder.Health(session)
	out := make([]stream.HealthRung, 0, len(h.Rungs))
	for _, r := range h.Rungs {
		state := "on"
		if r.State == transcode.StateShed {
			state = rungShed
		}
		out = append(out, stream.HealthRung{Name: r.Name, State: state, LagMS: r.Lag.Milliseconds()})
	}
	return out
}

// rungs lets viewers by WebRTC have what is encoded, by the server or by the publisher itself.
type rungs struct {
	ladder *transcode.Live // nil: the server encodes nothing
	log    *slog.Logger
}

func (r rungs) Follow(s *live.Session) (whep.RungReader, error) {
	if r.ladder != nil {
		if reader, err := r.ladder.Follow(s); err == nil {
			return reader, nil
		}
	}
	if reader, ok := passthrough.Follow(s, r.log.With("stream", s.Stream(), "session", s.ID())); ok {
		return reader, nil
	}
	return nil, whep.ErrNoRungs // no typed nil
}
