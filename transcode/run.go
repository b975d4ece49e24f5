package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"mediad/media"
	"mediad/transcode/ffmpeg"
	"mediad/transcode/nut"
)

// offset is added to times on the way into a child and taken off behind it: NUT has no negative ones, and what follows a key frame in
// decoding order may be presented before it.
const offset media.Ticks = 10 * 90000

// flushWithin is how long a child may take for what it still has when its input has ended.
const flushWithin = 2 * time.Second

// run is one child's life: from a key frame to the next at which something changes.
type run struct {
	child  *ffmpeg.Child
	queue  *queue
	times  *times
	began  time.Time
	first  int           // index of its heaviest rung
	start  media.Ticks   // PTS of the key frame that it begins with
	shift  media.Ticks   // added to times on the way in
	back   media.Ticks   // subtracted on the way out
	over   chan struct{} // closed when all that it made is told
	made   *media.Ticks  // what is presented up to there is only decoded; nil: nothing is
	grace  time.Duration // how long it may take for what it only decodes
	broken atomic.Bool   // its output makes no sense
}

// startRun starts a child that begins with au, or where one is to go on, with what led there.
func startRun(ctx context.Context, e *encoder, au *media.AccessUnit, again *resumption, now time.Time) (*run, error) {
	track := e.epoch.Tracks[media.Video]
	header, err := nutHeader(track)
	if err != nil {
		return nil, err
	}
	lanes := e.lanes[e.shed:]
	j := job{source: track, rungs: e.plan.Rungs[e.shed:], preset: e.plan.Preset, encoder: e.l.hw, pace: e.pace, leads: e.plan.Leads}
	step := media.Ticks(90000 * int64(j.rungs[0].FrameRate.Den) / int64(j.rungs[0].FrameRate.Num))
	start, shift, back := au.PTS, offset, offset
	switch {
	case again != nil:
		back = again.aim(&j, e, step)
		start = again.units[0].PTS
	case e.pace == paceConstant:
		shift = -e.onGrid(au.PTS, j.rungs[0].FrameRate)
		back = shift
	default:
	}
	child, err := ffmpeg.Start(ffmpeg.Options{
		Path: e.l.o.FFmpeg, Args: j.args(), Pipes: len(lanes), WriteTimeout: e.l.o.hang, Log: e.log,
	})
	if err != nil {
		return nil, err
	}
	r := &run{
		child: child, queue: newQueue(), times: newTimes(len(lanes), au.PTS-step, step, now), began: now, first: e.shed,
		start: start, shift: shift, back: back, over: make(chan struct{}),
	}
	if e.plan.Leads {
		r.queue.most = maxQueuedLead
	}
	if again != nil {
		if again.made {
			r.made = &again.after
		}
		r.grace = time.Duration(len(again.units)) * decodeWithin
		for i := range again.units {
			r.queue.push(again.units[i], now)
		}
	}
	out := output{epoch: e.epoch.ID, step: step, pace: e.pace}
	var reading sync.WaitGroup
	for i, l := range lanes {
		before, done := l.turn()
		r.times.onEnd(i, func() { _ = child.Pipe(i).SetReadDeadline(now) })
		reading.Go(func() {
			defer close(done)
			r.guard(e.log, func() { r.read(ctx, l, i, before, out) })
		})
	}
	e.owned.Go(func() {
		defer context.AfterFunc(ctx, child.Kill)()
		r.guard(e.log, func() { r.feed(ctx, header) })
		r.queue.close()
		child.CloseInput()
		patience := time.AfterFunc(flushWithin, child.Kill)
		reading.Wait() // before Close, which takes the pipes away with what is in them
		patience.Stop()
		close(r.over)
		child.Close()
	})
	return r, nil
}

// guard ends the run where do panics: nobody else's rungs, and not the source, are harmed.
func (r *run) guard(log *slog.Logger, do func()) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("ladder: a panic", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			r.broken.Store(true)
			r.child.Kill()
		}
	}()
	do()
}

// shed leaves rungs out, the first ones, from what is queued next on, or from what the child is given next.
func (r *run) shed(off int, atOnce bool) {
	r.queue.shed(off-r.first, atOnce)
	r.times.leave(off - r.first)
}

// skip gives up what waits in front of the child, up to a key frame. It returns how many pictures that were.
func (r *run) skip() int {
	n, upTo := r.queue.skip()
	r.times.skipped(upTo)
	return n
}

// onGrid is the nearest of the times that pictures of a constant rate have in this epoch. All its runs share them.
func (e *encoder) onGrid(at media.Ticks, rate media.Rational) media.Ticks {
	if !e.gridded {
		e.gridded, e.grid = true, at
	}
	step := 90000 * int64(rate.Den) // times rate.Num
	n := (int64(at-e.grid)*int64(rate.Num) + step/2) / step
	return e.grid + media.Ticks(n*step/int64(rate.Num))
}

// output is what a run's pictures have in common.
type output struct {
	epoch int64
	step  media.Ticks
	pace  pace
}

// nutHeader begins a child's input. H.264 and H.265 go in as MP4 has them: FFmpeg sees by the configuration that lengths stand before
// NAL units.
func nutHeader(t *media.Track) ([]byte, error) {
	name, err := nut.FourCC(t.Codec)
	if err != nil {
		return nil, err
	}
	s := nut.Stream{
		Class: nut.Video, FourCC: name, TimeBase: media.Rational{Num: 1, Den: marks * uint32(t.Timescale)},
		Width: t.Width, Height: t.Height,
	}
	if t.Codec != media.VP9 && t.Codec != media.VP8 {
		s.Extra = t.Config
	}
	return nut.AppendHeader(nil, s), nil
}

// ended reports whether the child is gone, or of no use.
func (r *run) ended() bool {
	select {
	case <-r.child.Done():
		return true
	default:
		return r.broken.Load()
	}
}

// feed gives the child what is queued until the queue is closed.
func (r *run) feed(ctx context.Context, header []byte) {
	b := header
	for {
		r.times.wait(ctx, r.child.Done())
		next, ok := r.queue.pop(ctx, r.child.Done())
		if !ok {
			return
		}
		au := &next.au
		if au.PTS < r.start {
			continue // of an open GOP
		}
		at := au.PTS + r.shift
		if au.PTS == r.start {
			at = max(at, 0) // rounded up
		}
		if at < 0 {
			continue // presented before the key frame that this child begins with: nobody can decode it
		}
		b = nut.AppendFrameHeader(b, int64(at)*marks+int64(next.off), au.RandomAccess, len(au.Data))
		b = append(b, au.Data...)
		if again := r.made; again == nil || au.PTS > *again {
			r.times.gave(au.PTS, next.off)
		}
		if _, err := r.child.Write(b); err != nil {
			r.child.Kill()
			return
		}
		b = b[:0]
	}
}

// read passes on what the child makes of one rung, once it is this run's turn.
func (r *run) read(ctx context.Context, l *lane, i int, before <-chan struct{}, out output) {
	pipe := r.child.Pipe(i)
	defer func() { _, _ = io.Copy(io.Discard, pipe) }() // a full pipe stops the child for all rungs
	select {
	case <-before:
	case <-ctx.Done():
		return
	}
	err := r.pass(ctx, l, i, pipe, out)
	if errors.Is(err, errShed) {
		l.leave(ctx)
	}
	r.times.onEnd(i, func() {})
	_ = pipe.SetReadDeadline(time.Time{})
	if errors.Is(err, nut.ErrInvalid) || errors.Is(err, errNoTrack) {
		l.e.log.Warn("ladder: output that makes no sense", slog.String("rung", l.rung.Name), slog.Any("error", err))
		r.broken.Store(true)
		r.child.Kill()
	}
}

// future is how far ahead of its input a child's output may be: at a constant rate it repeats pictures at its end.
const future = 5 * 90000

// errShed says that no picture of a rung follows.
var errShed = errors.New("shed")

func (r *run) pass(ctx context.Context, l *lane, i int, pipe io.Reader, out output) error {
	d, err := nut.NewReader(pipe)
	if err != nil {
		return err
	}
	stream := d.Streams()[0]
	track, err := rungTrack(stream.Extra, l.rung.FrameRate)
	if err != nil {
		return err
	}
	var late media.Ticks
	for n := 0; ; n++ {
		f, err := d.Next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return errShed
		}
		if err != nil {
			return err
		}
		at := media.Ticks(f.PTS)
		if stream.TimeBase.Den != uint32(media.VideoTimescale) || stream.TimeBase.Num != 1 {
			at = media.Rescale(at*media.Ticks(stream.TimeBase.Num), media.Timescale(stream.TimeBase.Den), media.VideoTimescale)
		}
		at -= r.back
		if f.Stream != 0 || at > r.times.newestIn()+future {
			return fmt.Errorf("%w: stream %d, %d ticks ahead of what went in", nut.ErrInvalid, f.Stream, at-r.times.newestIn())
		}
		if out.pace == paceConstant && r.queue.over() && at > r.times.newestIn()+out.step/2 {
			continue // at the end of its input FFmpeg may repeat the last picture, where the next run's first is to be
		}
		if n == 0 {
			late = l.after(out.epoch, at, out.step, out.pace)
		}
		if n == 0 || out.pace == paceConstant {
			at += late
		}
		last, behind := r.times.over(i, at)
		if behind {
			return errShed
		}
		data, err := lengthPrefixed(f.Data)
		if err != nil {
			return err
		}
		u := media.AccessUnit{Kind: media.Video, DTS: at, PTS: at, Duration: out.step, RandomAccess: f.Key, Data: data}
		if err := l.unit(ctx, out.epoch, track, u, r.times.newestIn()-at); err != nil {
			return err
		}
		r.times.came(i, at, l.e.l.o.Now())
		if last {
			return errShed
		}
	}
}
