package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mediad/api/stream"
	"mediad/configs/ladders"
	"mediad/egress/whep"
	"mediad/internal/metrics"
	"mediad/live"
	"mediad/media"
	"mediad/transcode"
)

// newLadder is what encodes the rungs of all sessions; nil where nothing does. The packager, which takes them, is made later.
func (n *node) newLadder(r prometheus.Registerer) (*transcode.Live, error) {
	name := n.config.Transcode.Ladder
	if name == "off" {
		return nil, nil
	}
	dir := ""
	if n.file != "" {
		dir = filepath.Join(filepath.Dir(n.file), "ladders")
	}
	l, err := ladders.Named(name, dir)
	if err != nil {
		return nil, fmt.Errorf("transcode.ladder: %w", err)
	}
	if installed(context.Background()) != nil {
		n.log.Warn("FFmpeg is not installed: viewers get the source as it is, in no other quality")
		return nil, nil
	}
	return transcode.NewLive(transcode.Options{
		Ladder: &l, HWAccel: n.config.Transcode.HWAccel, Sink: lateSink{n}, Observer: ladderObserver{metrics.NewLadder(r), n},
		Planned: func(session string) (media.Plan, bool) { return n.streams.Planned(session) }, Log: n.log, Now: n.now,
	}), nil
}

// encoding is what the packager has to know of the ladder; nil where nothing is encoded.
func (n *node) encoding() (
	plan func(s *live.Session, video *media.Track) media.Plan, encode func(ctx context.Context, s *live.Session) error,
) {
	if n.ladder == nil {
		return nil, nil
	}
	return n.ladder.Plan, n.ladder.Run
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
			state = "shed"
		}
		out = append(out, stream.HealthRung{Name: r.Name, State: state, LagMS: r.Lag.Milliseconds()})
	}
	return out
}

// rungs lets viewers by WebRTC have what is encoded; nil: nothing is.
func (n *node) rungs() whep.Rungs {
	if n.ladder == nil {
		return nil
	}
	return encodedRungs{n.ladder}
}

type encodedRungs struct{ ladder *transcode.Live }

func (r encodedRungs) Follow(s *live.Session) (whep.RungReader, error) {
	reader, err := r.ladder.Follow(s)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", whep.ErrNoRungs, err)
	}
	return reader, nil
}
