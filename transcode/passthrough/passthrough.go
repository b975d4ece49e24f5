// Package passthrough makes rungs of what a publisher has encoded itself: nothing is decoded, and no child runs.
//
//	live.Session ── SubscribeLayers ──► Run ──► Sink (packager.Streams)
//
// It is pure but for its reader's waiting; Run is the caller's goroutine.
package passthrough

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strconv"

	"mediad/live"
	"mediad/media"
)

// Sink takes the units of rungs; *packager.Streams is one. It may wait. An error says that the session is over there.
type Sink interface {
	Encoded(ctx context.Context, session string, e media.Encoded) error
}

// Plan makes rungs of layers, the heaviest first, named by their height; none where there are no layers of use. source is the track that they go
// with. Of two layers with one name the first counts, and only H.264 does, which every player has.
func Plan(source *media.Track, layers []*media.Track) media.Plan {
	var p media.Plan
	for _, t := range layers {
		if t == nil || t.Codec != media.H264 || hasRung(p, name(t)) {
			continue
		}
		rate := t.FrameRate
		if rate.Den == 0 && source != nil {
			rate = source.FrameRate
		}
		p.Rungs = append(p.Rungs, media.Rung{Name: name(t), Width: t.Width, Height: t.Height, FrameRate: rate, Bitrate: usual(t, rate)})
	}
	slices.SortStableFunc(p.Rungs, func(a, b media.Rung) int { return cmp.Compare(b.Height, a.Height) })
	return p
}

func name(t *media.Track) string { return strconv.Itoa(t.Height) + "p" }

func hasRung(p media.Plan, name string) bool {
	return slices.ContainsFunc(p.Rungs, func(r media.Rung) bool { return r.Name == name })
}

// usual is the bit rate that encoders are set to for a size: a tenth of a bit a pixel. The real one is measured as it comes.
func usual(t *media.Track, rate media.Rational) int64 {
	fps := rate.Float()
	if fps == 0 {
		fps = 30
	}
	return int64(float64(t.Width*t.Height) * fps / 10)
}

// rung is one layer on its way, in one epoch.
type rung struct {
	name  string
	track *media.Track
	lost  bool // told as shed: it goes on with a key frame
	ended bool // not of use in this epoch
}

// Run hands a session's layers to sink, by a plan that Plan made of the session's first ones, until the session's end, which is nil, or ctx's. A
// rung that an epoch has no layer for is shed there, and one whose pictures are out of order, as rungs must not have B-frames.
func Run(ctx context.Context, s *live.Session, plan media.Plan, sink Sink, log *slog.Logger) error {
	sub := s.SubscribeLayers()
	defer sub.Close()
	r := &runner{id: s.ID(), plan: plan, sink: sink, log: log}
	for {
		ev, err := sub.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case ev.Kind == live.EventEpoch:
			err = r.begin(ctx, ev.Epoch)
		case ev.Kind == live.EventUnit:
			if drops := sub.Drops().Total(); drops > r.drops {
				r.drops = drops
				err = r.lose(ctx, &ev)
			}
			if err == nil {
				err = r.unit(ctx, &ev)
			}
		}
		if err != nil {
			return err
		}
	}
}

type runner struct {
	id    string
	plan  media.Plan
	sink  Sink
	log   *slog.Logger
	drops uint64
	rungs []rung // by layer − 1
}

func (r *runner) send(ctx context.Context, e media.Encoded) error {
	return r.sink.Encoded(ctx, r.id, e)
}

// begin tells the tracks of an epoch.
func (r *runner) begin(ctx context.Context, e *live.Epoch) error {
	r.rungs = make([]rung, len(e.Layers))
	there := map[string]bool{}
	for i, t := range e.Layers {
		r.rungs[i].ended = true
		if t == nil || t.Codec != media.H264 || !hasRung(r.plan, name(t)) || there[name(t)] {
			continue
		}
		there[name(t)] = true
		r.rungs[i] = rung{name: name(t), track: t}
		if err := r.send(ctx, media.Encoded{Kind: media.EncodedTrack, Rung: name(t), Epoch: e.ID, Track: t}); err != nil {
			return err
		}
	}
	for _, p := range r.plan.Rungs {
		if there[p.Name] {
			continue
		}
		if err := r.send(ctx, media.Encoded{Kind: media.EncodedShed, Rung: p.Name, Epoch: e.ID, At: e.Start}); err != nil {
			return err
		}
	}
	return nil
}

// lose says that something of some layer is missing before ev.
func (r *runner) lose(ctx context.Context, ev *live.Event) error {
	for i := range r.rungs {
		if g := &r.rungs[i]; !g.ended && !g.lost {
			if err := r.shed(ctx, g, ev); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *runner) shed(ctx context.Context, g *rung, ev *live.Event) error {
	g.lost = true
	at := media.VideoTimescale.Duration(ev.Unit.PTS)
	return r.send(ctx, media.Encoded{Kind: media.EncodedShed, Rung: g.name, Epoch: ev.Epoch.ID, At: at})
}

func (r *runner) unit(ctx context.Context, ev *live.Event) error {
	n := int(ev.Unit.Layer) - 1
	if n < 0 || n >= len(r.rungs) || r.rungs[n].ended {
		return nil
	}
	g := &r.rungs[n]
	if ev.Unit.PTS != ev.Unit.DTS {
		g.ended = true
		r.log.Warn("a layer has B-frames and is left out: turn them off in the encoder", "rung", g.name)
		return r.shed(ctx, g, ev)
	}
	if g.lost {
		if !ev.Unit.RandomAccess {
			return nil
		}
		g.lost = false
		if err := r.send(ctx, media.Encoded{Kind: media.EncodedRestore, Rung: g.name, Epoch: ev.Epoch.ID}); err != nil {
			return err
		}
	}
	return r.send(ctx, media.Encoded{Kind: media.EncodedUnit, Rung: g.name, Epoch: ev.Epoch.ID, Unit: ev.Unit})
}
