// Package passthrough makes rungs of what a publisher has encoded itself: nothing is decoded, and no child runs.
//
//	live.Session ─┬─ SubscribeLayers ──► Run ──► Sink (packager.Streams)
//	              └─ SubscribeLayers ──► Reader ──► who looks for the rungs (viewers by WebRTC)
//
// Run, and a Reader's Next, are the caller's goroutine; each has one more that wakes it, and waits for it.
package passthrough

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

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

const (
	// silent is how far a layer may be behind the source before its rung is shed: a browser leaves layers out for as long as the network is too
	// narrow for them. Lost packets are awaited, and asked for again, for half of that.
	silent = 700 * time.Millisecond
	// lookEvery is how often that is looked at.
	lookEvery = 200 * time.Millisecond
	// near is how far a layer's key frame may be from the source's to be the same picture.
	near = media.Ticks(media.VideoTimescale) / 100
	// maxMisses is how many of the source's key frames in a row a layer may be without before it is of no use.
	maxMisses = 3
)

// rung is one layer on its way, in one epoch.
type rung struct {
	name   string
	track  *media.Track
	end    media.Ticks // PTS of the newest unit; at first the epoch's start
	key    media.Ticks // PTS of the newest key frame; at first the epoch's start
	begun  bool        // it has had a key frame
	misses int         // key frames of the source that it had none with, in a row
	silent bool        // it was behind when it was last looked at, and nothing has come since
	lost   bool        // told as shed: it goes on with a key frame
	ended  bool        // not of use in this epoch
}

// Run hands a session's layers to sink, by a plan that Plan made of the session's first ones, until the session's end, which is nil, or ctx's.
//
// Rungs are cut where the source is, so a rung is shed where an epoch has no layer for it, where the source goes on and its layer does not, and where
// the source has a key frame and its layer has none; it comes back with the layer's next key frame. One whose key frames are never the source's, or
// whose pictures are out of order, as rungs must not have B-frames, is left out until the next epoch.
func Run(ctx context.Context, s *live.Session, plan media.Plan, sink Sink, log *slog.Logger) error {
	sub := s.SubscribeLayers(live.EncoderPolicy)
	defer sub.Close()
	defer lookRegularly(sub)()
	r := &runner{id: s.ID(), plan: plan, sink: sink, log: log, source: s.SourceMarks}
	for {
		ev, err := sub.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = r.event(ctx, &ev, sub.Drops)
		}
		if err != nil {
			return err
		}
	}
}

// Reader brings a session's layers as rungs, as they come. Its methods belong to one goroutine.
type Reader struct {
	sub  *live.Subscriber
	r    runner
	out  []media.Encoded // that Next has not returned yet
	stop func()
}

// Follow begins to read the layers of a session; false if it has none of use. An epoch's layers are rungs whether or not an earlier one
// had them, and need not be cut where the source is. The caller closes the reader.
func Follow(s *live.Session, log *slog.Logger) (*Reader, bool) {
	if len(Plan(nil, s.Layers()).Rungs) == 0 {
		return nil, false
	}
	f := &Reader{sub: s.SubscribeLayers(live.PlayerPolicy)}
	f.r = runner{id: s.ID(), sink: f, log: log, source: s.SourceMarks, follows: true}
	f.stop = sync.OnceFunc(lookRegularly(f.sub))
	return f, true
}

// Encoded implements Sink.
func (f *Reader) Encoded(_ context.Context, _ string, e media.Encoded) error {
	f.out = append(f.out, e)
	return nil
}

// Next waits for the next; io.EOF at the session's end, a live.Error with ReasonTooSlow if it was not called often enough.
func (f *Reader) Next(ctx context.Context) (media.Encoded, error) {
	for len(f.out) == 0 {
		ev, err := f.sub.Next(ctx)
		if err == nil {
			err = f.r.event(ctx, &ev, f.sub.Drops)
		}
		if err != nil {
			return media.Encoded{}, err
		}
	}
	e := f.out[0]
	f.out[0] = media.Encoded{} // let go of the unit
	if f.out = f.out[1:]; len(f.out) == 0 {
		f.out = nil
	}
	return e, nil
}

// Close ends the reading. It may be called more than once.
func (f *Reader) Close() {
	f.stop()
	f.sub.Close()
}

// lookRegularly makes sub.Next return each lookEvery, until the returned function is called.
func lookRegularly(sub *live.Subscriber) (stop func()) {
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		t := time.NewTicker(lookEvery)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				sub.Nudge()
			}
		}
	})
	return func() {
		close(done)
		running.Wait()
	}
}

type runner struct {
	id      string
	plan    media.Plan
	sink    Sink
	log     *slog.Logger
	source  func() (end, key media.Ticks, ok bool)
	follows bool // the plan takes in what an epoch brings, and nothing is cut where the source is
	drops   uint64
	epoch   *live.Epoch // that goes on
	rungs   []rung      // by layer − 1
}

func (r *runner) event(ctx context.Context, ev *live.Event, drops func() live.Drops) error {
	switch ev.Kind {
	case live.EventEpoch:
		return r.begin(ctx, ev.Epoch)
	case live.EventNudge:
		return r.look(ctx)
	case live.EventAway:
		r.epoch = nil // nobody is missed
	case live.EventUnit:
		if n := drops().Total(); n > r.drops {
			r.drops = n
			if err := r.lose(ctx, ev); err != nil {
				return err
			}
		}
		return r.unit(ctx, ev)
	default:
	}
	return nil
}

func (r *runner) send(ctx context.Context, e media.Encoded) error {
	return r.sink.Encoded(ctx, r.id, e)
}

// begin tells the tracks of an epoch.
func (r *runner) begin(ctx context.Context, e *live.Epoch) error {
	r.epoch, r.rungs = e, make([]rung, len(e.Layers))
	start := media.VideoTimescale.Ticks(e.Start)
	there := map[string]bool{}
	if r.follows {
		for _, p := range Plan(e.Tracks[media.Video], e.Layers).Rungs {
			if !hasRung(r.plan, p.Name) {
				r.plan.Rungs = append(r.plan.Rungs, p)
			}
		}
	}
	for i, t := range e.Layers {
		r.rungs[i].ended = true
		if t == nil || t.Codec != media.H264 || !hasRung(r.plan, name(t)) || there[name(t)] {
			continue
		}
		there[name(t)] = true
		r.rungs[i] = rung{name: name(t), track: t, end: start, key: start}
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

// look sheds rungs whose layer is silent while the source is not.
func (r *runner) look(ctx context.Context) error {
	end, _, ok := r.source()
	if !ok || r.epoch == nil {
		return nil
	}
	for i := range r.rungs {
		g := &r.rungs[i]
		was := g.silent
		g.silent = media.VideoTimescale.Duration(end-g.end) >= silent
		if g.ended || g.lost || !was || !g.silent {
			continue
		}
		r.log.Info("a layer does not come any more", "rung", g.name)
		if err := r.shed(ctx, g, g.end); err != nil {
			return err
		}
	}
	return nil
}

// lose says that something of some layer is missing before ev.
func (r *runner) lose(ctx context.Context, ev *live.Event) error {
	for i := range r.rungs {
		if g := &r.rungs[i]; !g.ended && !g.lost {
			if err := r.shed(ctx, g, ev.Unit.PTS); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *runner) shed(ctx context.Context, g *rung, at media.Ticks) error {
	g.lost = true
	return r.send(ctx, media.Encoded{Kind: media.EncodedShed, Rung: g.name, Epoch: r.epoch.ID, At: media.VideoTimescale.Duration(at)})
}

// leave sheds a rung for the rest of the epoch.
func (r *runner) leave(ctx context.Context, g *rung, at media.Ticks, why string) error {
	r.log.Warn(why, "rung", g.name)
	g.ended = true
	if g.lost {
		return nil
	}
	return r.shed(ctx, g, at)
}

// misses reports whether the source has a key frame at or before the unit with which g has none.
func (r *runner) misses(g *rung, au *media.AccessUnit) bool {
	_, key, ok := r.source()
	if !ok || key <= g.key+near || key > au.PTS {
		return false
	}
	g.key = key // it is counted once
	g.misses++
	return true
}

func (r *runner) unit(ctx context.Context, ev *live.Event) error {
	n := int(ev.Unit.Layer) - 1
	if r.epoch == nil || n < 0 || n >= len(r.rungs) || r.rungs[n].ended {
		return nil
	}
	g, at := &r.rungs[n], ev.Unit.PTS
	g.end, g.silent = max(g.end, at), false
	switch {
	case at != ev.Unit.DTS:
		return r.leave(ctx, g, at, "a layer has B-frames and is left out: turn them off in the encoder")
	case ev.Unit.RandomAccess:
		if _, key, ok := r.source(); ok && at-key <= near && key-at <= near {
			g.misses = 0
		}
		g.key = at
	case !r.follows && r.misses(g, &ev.Unit):
		if g.misses == maxMisses {
			return r.leave(ctx, g, at, "a layer has other key frames than the source and is left out: let the encoder align them")
		}
		if !g.lost {
			return r.shed(ctx, g, at)
		}
	}
	if !ev.Unit.RandomAccess && (g.lost || !g.begun) {
		return nil
	}
	g.begun = true
	if g.lost {
		g.lost = false
		if err := r.send(ctx, media.Encoded{Kind: media.EncodedRestore, Rung: g.name, Epoch: ev.Epoch.ID}); err != nil {
			return err
		}
	}
	return r.send(ctx, media.Encoded{Kind: media.EncodedUnit, Rung: g.name, Epoch: ev.Epoch.ID, Unit: ev.Unit})
}
