package transcode

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"mediad/live"
	"mediad/media"
	"mediad/transcode/governor"
	"mediad/transcode/ladder"
)

const (
	// reportEvery is how often the governor is told of a session's lag.
	reportEvery = 100 * time.Millisecond
	// lived is how long a child must have run for its end not to count as one more failure in a row.
	lived = 10 * time.Second
	// firstWait is how long a second child in a row waits; it doubles up to maxWait.
	firstWait = 500 * time.Millisecond
	maxWait   = 10 * time.Second
	// drainWithin bounds how long the end of a session waits for what is still in its child and its sink.
	drainWithin = 5 * time.Second
	// usualGOP is taken while a source has shown one key frame only.
	usualGOP = 2 * time.Second
)

// encoder encodes one session. All but over and now belongs to the goroutine of loop.
type encoder struct {
	l          *Live
	id, stream string
	askKey     func()
	sub        source
	stop       context.CancelFunc
	log        *slog.Logger
	over       atomic.Bool    // the sink says that the session is over
	now        atomic.Int64   // ID of the epoch
	owned      sync.WaitGroup // goroutines of runs

	s       *session // nil until the plan is made
	plan    ladder.Plan
	lanes   []*lane
	epoch   *live.Epoch
	cur     *run
	shed    int // rungs that are off: the first ones
	want    governor.Order
	made    time.Duration // media time, by the runs before cur
	cost    cost
	pace    pace
	begun   bool        // the epoch had a key frame
	grid    media.Ticks // a time that pictures of a constant rate have in this epoch, once gridded
	gridded bool
	drops   uint64
	lost    bool // pictures were dropped since the last report
	report  time.Time
	told    time.Time // when the observer heard of lag

	recent recent // of a session that is led by a rung

	failures int
	retryAt  time.Time
	keyPTS   media.Ticks
	gop      time.Duration
}

func (e *encoder) loop(ctx context.Context) error {
	for {
		ev, err := e.sub.Next(ctx)
		switch {
		case e.over.Load():
			return nil
		case errors.Is(err, io.EOF):
			e.drain(ctx)
			return nil
		case err != nil:
			return err
		}
		switch ev.Kind {
		case live.EventEpoch:
			e.cut()
			e.begin(ev.Epoch)
		case live.EventUnit:
			if ev.Unit.Kind == media.Video && e.s != nil && e.epoch != nil {
				e.unit(ctx, &ev.Unit)
			}
		case live.EventAway, live.EventEnd:
			e.cut()
			e.epoch = nil
		case live.EventNudge: // nobody nudges
		}
	}
}

// begin takes an epoch.
func (e *encoder) begin(epoch *live.Epoch) {
	e.epoch, e.begun, e.gridded, e.pace, e.gop = nil, false, false, paceSource, usualGOP
	e.recent = recent{}
	track := epoch.Tracks[media.Video]
	if track == nil {
		return
	}
	if e.s == nil {
		e.l.mu.Lock()
		e.s = e.l.planOf(e.id, track)
		e.plan = e.s.plan
		e.l.gov.Join(e.id, costs(track, e.plan.Rungs), e.plan.Keep, e.l.o.Now())
		e.l.mu.Unlock()
		for i, r := range e.plan.Rungs {
			e.lanes = append(e.lanes, newLane(e, i, r))
		}
	}
	if len(e.plan.Rungs) > 0 {
		e.epoch = epoch
		e.now.Store(epoch.ID)
	}
}

// unit takes a picture.
func (e *encoder) unit(ctx context.Context, au *media.AccessUnit) {
	now := e.l.o.Now()
	e.watch(now)
	if au.RandomAccess {
		e.keyFrame(ctx, au, now)
	}
	if e.cur == nil && e.begun && e.plan.Leads && !now.Before(e.retryAt) {
		e.resume(ctx, au, now)
	}
	if e.cur != nil {
		n, full := e.cur.queue.push(*au, now)
		if n == 0 {
			e.cur.times.fed(au.PTS, now)
		}
		e.lost = e.lost || full
		e.dropped(n)
		if full && e.plan.Leads {
			e.giveUp()
		}
	}
	if e.plan.Leads {
		e.recent.add(au)
	}
	if now.Sub(e.report) >= reportEvery {
		e.report = now
		e.govern(ctx, au, now)
	}
}

// keyFrame begins a run where one is due.
func (e *encoder) keyFrame(ctx context.Context, au *media.AccessUnit, now time.Time) {
	if e.begun && au.PTS > e.keyPTS {
		e.gop = media.VideoTimescale.Duration(au.PTS - e.keyPTS)
	}
	p := e.paceOf(au)
	e.begun, e.keyPTS = true, au.PTS
	if e.cur != nil && (p != e.pace || e.want.Shed < e.shed) {
		e.cut()
		e.recent = recent{before: e.recent.last} // the next one begins here
	}
	e.pace = p
	e.apply(ctx, e.want.All)
	if e.cur == nil && e.shed < len(e.lanes) && !now.Before(e.retryAt) && len(e.recent.units) == 0 {
		e.start(ctx, au, nil, now)
	}
}

// paceOf says how a run that begins with au keeps time: as the source does if it comes at the plan's rate.
func (e *encoder) paceOf(au *media.AccessUnit) pace {
	rate := e.plan.Rungs[0].FrameRate
	t := e.epoch.Tracks[media.Video]
	if au.Duration == 0 {
		if !e.begun && t.FrameRate.Num != 0 && ladder.Rate(t) == rate && t.FrameRate == rate {
			return paceSource // the firewall has not seen enough to vouch for what the bitstream promises
		}
		return paceConstant
	}
	off := int64(au.Duration)*int64(rate.Num) - 90000*int64(rate.Den)
	if max(off, -off) > int64(rate.Num) { // over a tick
		return paceConstant
	}
	return paceSource
}

// apply makes e.shed what the governor wants: from the picture on that comes next, or of all that the child does not have yet.
func (e *encoder) apply(ctx context.Context, atOnce bool) {
	want := e.want.Shed
	if want > e.shed && e.cur != nil {
		e.cur.shed(want, atOnce)
		if want == len(e.lanes) {
			if atOnce {
				e.dropped(e.cur.skip())
			}
			e.cut()
		}
	}
	for ; e.shed < want; e.shed++ {
		e.lanes[e.shed].goes(ctx)
	}
	e.shed = want // those that come back say so themselves, once they are in time
}

func (e *encoder) dropped(pictures int) {
	if pictures > 0 {
		e.l.o.Observer.Dropped(e.stream, pictures)
	}
}

// start starts a run with au, or one that goes on.
func (e *encoder) start(ctx context.Context, au *media.AccessUnit, again *resumption, now time.Time) {
	r, err := startRun(ctx, e, au, again, now)
	if err != nil {
		e.log.Warn("ladder: FFmpeg cannot be started: no rungs are encoded; tried again at a next key frame", slog.Any("error", err))
		e.failed(now, 0)
		return
	}
	e.cur = r
}

// cut ends the run: what it was given comes out, in front of what the next one makes.
func (e *encoder) cut() {
	if r := e.cur; r != nil {
		r.queue.close()
		made, _, _ := r.times.made()
		e.made += made
		e.recent.last = r
		e.cur = nil
	}
}

// watch sees to a child that died or hangs.
func (e *encoder) watch(now time.Time) {
	r := e.cur
	if r == nil {
		return
	}
	if r.ended() {
		e.cut()
		e.log.Warn("ladder: the encoder ended and is started again at the next key frame", slog.Any("error", r.child.Err()))
		e.failed(now, now.Sub(r.began))
		return
	}
	if since, waits := r.times.silence(now); waits && since > e.l.o.hang+r.grace {
		e.log.Warn("ladder: the encoder makes nothing of its input", slog.Duration("since", since))
		r.child.Kill() // seen above with the next picture
	}
}

// failed counts a child that ran for so long.
func (e *encoder) failed(now time.Time, ran time.Duration) {
	if ran >= lived {
		e.failures = 0
	}
	e.failures++
	e.retryAt = now
	if e.failures > 1 {
		e.retryAt = now.Add(min(firstWait<<min(e.failures-2, 10), maxWait))
	}
	e.s.health.restart()
	e.l.o.Observer.Restarted(e.stream)
	e.askKey()
}

// govern tells the governor how the session is, and does what it says.
func (e *encoder) govern(ctx context.Context, au *media.AccessUnit, now time.Time) {
	var total uint64
	for _, n := range e.sub.Drops() {
		total += n
	}
	r := governor.Report{
		Shed: e.shed, GOP: e.gop, Frame: time.Duration(float64(time.Second) / e.plan.Rungs[0].FrameRate.Float()), Overflow: e.lost || total != e.drops,
		ToKey: max(e.gop-media.VideoTimescale.Duration(au.PTS-e.keyPTS), 0), Made: e.made,
	}
	e.lost, e.drops = false, total
	if e.cur != nil {
		var made time.Duration
		r.Lag = e.cur.times.lag(now)
		made, r.Inside, r.Starting = e.cur.times.made()
		r.Made += made
	}
	tell := now.Sub(e.told) >= time.Second
	if tell {
		e.told = now
		r.Cores = e.cost.measure(e.cur, e.shed, now)
	}
	had := e.want.Shed
	if e.want = e.l.govern(e.id, now, r); e.want.Shed != had {
		e.log.Debug("ladder: the governor's order", slog.Int("shed", e.want.Shed), slog.Bool("now", e.want.Now),
			slog.Duration("lag", r.Lag), slog.Bool("dropped", r.Overflow))
	}
	if e.want.Now && e.want.Shed > e.shed {
		e.apply(ctx, true)
	}
	switch {
	case !e.want.Skip || e.cur == nil:
	case e.plan.Leads:
		if now.Sub(e.cur.began) >= usefulFor+e.cur.grace {
			e.giveUp()
			e.askKey()
		}
	default:
		if n := e.cur.skip(); n > 0 {
			e.log.Warn("ladder: too late for what waits, going on at a key frame", slog.Duration("lag", r.Lag), slog.Int("pictures", n))
			e.dropped(n)
			e.askKey()
		}
	}
	for i, l := range e.lanes {
		state, lag := StateRestarting, time.Duration(0)
		switch {
		case i < e.shed, l.shed.Load():
			state = StateShed
		case e.cur != nil:
			state, lag = StateRunning, e.cur.times.behind(i-e.cur.first)
		}
		e.s.health.rung(i, state, lag)
		if tell && state == StateRunning {
			e.l.o.Observer.Lag(e.stream, l.rung.Name, lag)
		}
	}
}

// drain waits until all that was fed is out.
func (e *encoder) drain(ctx context.Context) {
	e.cut()
	patience := time.NewTimer(drainWithin)
	defer patience.Stop()
	for _, l := range e.lanes {
		select {
		case <-l.last:
		case <-ctx.Done():
			return
		case <-patience.C:
			return
		}
	}
}

// close ends everything and waits for it.
func (e *encoder) close() {
	e.stop()
	e.cut()
	e.owned.Wait()
}
