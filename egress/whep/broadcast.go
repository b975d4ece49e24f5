package whep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"mediad/live"
	"mediad/media"
)

// decideWithin bounds the wait for what a source is, when the first viewer comes: what is known of it comes at once.
const decideWithin = time.Second

// retryEvery is how long it takes until what ended too early is begun again: the reading of rungs, an Opus encoder.
const retryEvery = time.Second

// What a source's own pictures cannot be played for.
var (
	errBFrames = live.Refuse(live.ReasonCodecUnsupported, errors.New("whep: the source has B-frames"))
	errCodec   = live.Refuse(live.ReasonCodecUnsupported, errors.New("whep: the source is not H.264"))
)

// broadcast is a session on its way to its viewers. It is made for the first and ends soon after the last, or with the session.
type broadcast struct {
	s       *Server
	session *live.Session
	log     *slog.Logger
	cancel  context.CancelFunc
	decided chan struct{} // closed when it is known whether the source can be played
	source  *layer
	sound   sound

	listeners atomic.Int32 // viewers that hear
	onAir     atomic.Int64 // the epoch that comes in; 0: none does

	unfit atomic.Uint64 // pictures that could not be packetised

	holders int         // guarded by Server.mu
	lingers *time.Timer // likewise: ends it once nobody has held it for long; nil: somebody always has

	mu      sync.Mutex // guards what follows
	viewers map[*viewer]struct{}
	verdict error // why the source's own pictures cannot be played
	isKnown bool  // decided is closed
	// dismissed says that viewers were sent away for verdict, which is logged once.
	dismissed bool
	video     *media.Track
	began     time.Duration // session time of the epoch's first sample
	rungs     []*layer      // heaviest first
	noRungs   bool          // Rungs.Follow has found none
	over      error         // why it is over, once it is
	asked     chan struct{} // closed when Rungs was asked once; nil: it was
	newLayer  chan struct{} // closed when a rung has its first key frame; nil: there are some

	// Of the goroutine that reads the session.
	track      *media.Track // nil: pictures are not packetised
	packetizer packetizer
	order      reorder
	pending    []live.Event // pictures until their order is known
	last       [media.Kinds]struct {
		epoch int64
		dts   media.Ticks
		some  bool
	}
}

func newBroadcast(s *Server, session *live.Session) *broadcast {
	b := &broadcast{
		s: s, session: session, log: s.o.Log.With("stream", session.Stream(), "session", session.ID()),
		decided: make(chan struct{}), asked: make(chan struct{}), newLayer: make(chan struct{}),
		source: newLayer("source", true), viewers: map[*viewer]struct{}{},
	}
	if s.o.Rungs == nil {
		b.noRungs, b.asked = true, nil
	}
	b.sound = sound{b: b, out: newLayer("audio", false)}
	return b
}

// run reads the session until it is over or nobody is left.
func (b *broadcast) run(ctx context.Context) {
	var rungs sync.WaitGroup
	if b.s.o.Rungs != nil {
		rungs.Go(func() { b.guard("rungs", func() error { return b.followRungs(ctx) }) })
	}
	b.guard("session", func() error { return b.follow(ctx) })
	b.sound.stop()
	b.cancel()
	rungs.Wait()
}

// guard ends the broadcast where f has failed: nobody else is harmed.
func (b *broadcast) guard(what string, f func() error) {
	err := func() (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("whep: panic: %v\n%s", v, debug.Stack())
				b.log.Error("whep: a broadcast failed", "reading", what, "error", err)
			}
		}()
		return f()
	}()
	if err != nil {
		b.end(err)
	}
}

// end ends every viewer.
func (b *broadcast) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over == nil {
		b.over = err
	}
	b.know()
	for v := range b.viewers {
		v.end(err)
	}
}

// follow reads the session until its end, which is an error as well.
func (b *broadcast) follow(ctx context.Context) error {
	for {
		err := b.subscribe(ctx)
		if live.ReasonOf(err) != live.ReasonTooSlow {
			return err
		}
		// This process has had no time for us. What was lost is a jump to the next key frame.
		b.log.Warn("whep: too slow for the session")
	}
}

func (b *broadcast) subscribe(ctx context.Context) error {
	sub := b.session.Subscribe(live.PlayerPolicy)
	defer sub.Close()
	end := live.ReasonUnspecified
	for {
		e, err := sub.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return live.Refuse(end, nil)
		case ctx.Err() != nil:
			return live.Refuse(live.ReasonShuttingDown, nil)
		case err != nil:
			return err
		}
		switch e.Kind {
		case live.EventEpoch:
			b.epoch(e.Epoch)
		case live.EventUnit:
			b.unit(&e)
		case live.EventAway:
			b.away()
		case live.EventEnd:
			end = e.Reason
		case live.EventNudge: // nobody nudges
		}
	}
}

// epoch prepares for what comes.
func (b *broadcast) epoch(e *live.Epoch) {
	b.onAir.Store(e.ID)
	b.track, b.order, b.pending = nil, reorder{}, nil
	video := e.Tracks[media.Video]
	b.mu.Lock()
	b.video, b.began = video, e.Start
	if video != nil {
		b.source.pixels = video.Width * video.Height
	}
	b.mu.Unlock()
	switch {
	case video == nil:
		b.decide(nil)
	case video.Codec != media.H264:
		b.decide(errCodec)
	default:
		b.track, b.packetizer = video, newPacketizer(video)
	}
	b.sound.epoch(e.Tracks[media.Audio])
}

// away: the publisher is gone for now. Viewers keep the last picture.
func (b *broadcast) away() {
	b.onAir.Store(0)
	b.sound.stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.know()
}

// unit takes the next unit.
func (b *broadcast) unit(e *live.Event) {
	// After a subscription that was too slow, or by several ways, units may come that are known.
	last := &b.last[e.Unit.Kind]
	if last.some && last.epoch == e.Epoch.ID && e.Unit.DTS <= last.dts {
		return
	}
	last.some, last.epoch, last.dts = true, e.Epoch.ID, e.Unit.DTS
	if e.Unit.Kind == media.Audio {
		b.sound.unit(e)
		return
	}
	if b.track == nil {
		return
	}
	switch b.order.add(&e.Unit) {
	case orderMixed:
		b.track, b.pending = nil, nil
		b.source.clear()
		b.decide(errBFrames)
	case orderUnknown:
		b.pending = append(b.pending, *e)
	default:
		for i := range b.pending {
			b.picture(&b.pending[i])
		}
		b.pending = nil
		b.picture(e)
		b.decide(nil)
	}
}

func (b *broadcast) picture(e *live.Event) {
	if f := b.frame(&b.packetizer, b.track, &e.Unit, e.ArrivedAt); f != nil {
		f.epoch = e.Epoch.ID
		b.source.add(f)
	}
}

// frame packetises a picture; nil if it cannot be.
func (b *broadcast) frame(p *packetizer, t *media.Track, au *media.AccessUnit, at time.Duration) *frame {
	payloads, err := p.payloads(au)
	if err != nil {
		if b.unfit.Add(1) == 1 {
			b.log.Warn("whep: a picture is not played", "error", err)
		}
		return nil
	}
	f := newFrame(payloads, media.Rescale(au.PTS, t.Timescale, videoClock), at)
	f.key, f.disposable = au.RandomAccess, au.Disposable
	return f
}

// decide says whether the source's own pictures can be played. Where they cannot, nor any rung, viewers are sent away.
func (b *broadcast) decide(why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if why == nil && b.verdict == nil && b.isKnown {
		return
	}
	if why != nil && b.verdict == nil {
		b.log.Debug("whep: the source itself cannot be played", "error", why)
	}
	b.verdict, b.dismissed = why, b.dismissed && why != nil
	b.source.off.Store(why != nil)
	b.know()
	b.dismiss()
	for v := range b.viewers {
		v.wakeUp()
	}
}

// dismiss ends viewers who will never see anything; mu is held.
func (b *broadcast) dismiss() {
	if b.verdict == nil || !b.barren() {
		return
	}
	if !b.dismissed {
		b.dismissed = true
		b.log.Info("whep: viewers by WebRTC see no picture: the source cannot be played, and no rung is there instead", "error", b.verdict)
	}
	for v := range b.viewers {
		if v.video != nil {
			v.end(b.verdict)
		}
	}
}

// barren reports whether there is no rung of the session and will be none while its epoch lasts; mu is held. What is encoded is
// known soon after an epoch's beginning.
func (b *broadcast) barren() bool {
	for _, l := range b.rungs {
		if !l.off.Load() {
			return false
		}
	}
	return b.s.o.Rungs == nil || b.noRungs && b.session.Now()-b.began >= retryEvery
}

// mayChoose reports whether a viewer has, or may soon have, a choice of layers.
func (b *broadcast) mayChoose() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.barren()
}

// know closes decided; b.mu is held.
func (b *broadcast) know() {
	if !b.isKnown {
		b.isKnown = true
		close(b.decided)
	}
}

// playable waits until it is known what there is to see, and says why it cannot be shown. Where nothing has come of it yet, who
// waits is shown it when it does.
func (b *broadcast) playable(ctx context.Context) (*media.Track, error) {
	soon, cancel := context.WithTimeout(ctx, decideWithin)
	defer cancel()
	select {
	case <-b.decided:
	case <-soon.Done():
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	asked := b.asked
	b.mu.Unlock()
	if asked != nil {
		select {
		case <-asked:
		case <-soon.Done():
		}
	}
	b.mu.Lock()
	why, over, track, wait, barren := b.verdict, b.over, b.video, b.newLayer, b.barren()
	b.mu.Unlock()
	if over != nil {
		return nil, live.Refuse(live.ReasonNotLive, over)
	}
	if why == nil {
		return track, nil
	}
	if barren {
		return nil, why
	}
	if wait != nil {
		select {
		case <-wait:
		case <-soon.Done():
			return nil, why
		}
	}
	return nil, nil
}

// layers lists what can be shown now, heaviest first.
func (b *broadcast) layers(into []*layer) []*layer {
	b.mu.Lock()
	defer b.mu.Unlock()
	into = into[:0]
	source := b.verdict == nil
	for _, l := range b.rungs {
		if source && l.pixels <= b.source.pixels {
			into, source = append(into, b.source), false
		}
		if !l.off.Load() {
			into = append(into, l)
		}
	}
	if source {
		into = append(into, b.source)
	}
	return into
}

// add takes a viewer, unless it is over.
func (b *broadcast) add(v *viewer) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over != nil {
		return b.over
	}
	b.viewers[v] = struct{}{}
	return nil
}

func (b *broadcast) remove(v *viewer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.viewers, v)
}
