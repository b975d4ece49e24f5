package transcode

import (
	"context"
	"log/slog"
	"time"

	"mediad/media"
)

// Bounds of what is kept of a source whose rung leads: its key frames may be far apart, and what begins at a key frame only is not
// seen until then. A longer GOP is not kept.
const (
	maxResume      = 30 * time.Second
	maxResumeBytes = 24 << 20
	// settled is how far into a GOP the one before is no longer needed: all that a child may be behind.
	settled = 2 * time.Second
	// decodeWithin is how long a busy machine may take to decode a picture: a core makes some hundreds a second.
	decodeWithin = 15 * time.Millisecond
	// usefulFor is how long a run must have lasted to be given up for being late: the next one has to decode the GOP once more.
	usefulFor = 3 * time.Second
)

// recent is what a child needs to go on where the one before stopped: the pictures since a key frame. A child that goes on decodes
// them, and makes what was not made yet.
type recent struct {
	units []media.AccessUnit
	bytes int
	key   int         // where the newest key frame is
	shown media.Ticks // the greatest PTS
	last  *run        // the run before, whose rest is awaited
	// before is one in front of the newest, whose rest comes first.
	before *run
	from   media.Ticks // what is presented before it is given up, if skip
	skip   bool
}

// add keeps a picture.
func (k *recent) add(au *media.AccessUnit) {
	if au.RandomAccess {
		k.drop(k.key)
		k.key = len(k.units)
	} else if len(k.units) == 0 {
		return
	}
	k.units = append(k.units, *au)
	k.bytes += len(au.Data)
	if k.shown = max(k.shown, au.PTS); len(k.units) == 1 {
		k.shown = au.PTS
	}
	if k.key > 0 && au.DTS-k.units[k.key].DTS > media.VideoTimescale.Ticks(settled) {
		k.drop(k.key)
	}
	if k.bytes > maxResumeBytes || au.DTS-k.units[0].DTS > media.VideoTimescale.Ticks(maxResume) {
		k.drop(len(k.units))
	}
}

// drop lets go of the oldest n.
func (k *recent) drop(n int) {
	for i := range n {
		k.bytes -= len(k.units[i].Data)
	}
	left := copy(k.units, k.units[n:])
	clear(k.units[left:])
	k.units, k.key = k.units[:left], max(k.key-n, 0)
}

// giveUp ends the run at once: what it still has is too late to be worth it. It goes on with the picture that comes next.
func (e *encoder) giveUp() {
	if len(e.recent.units) == 0 {
		return
	}
	e.log.Warn("ladder: too late for what waits, going on with what comes")
	e.recent.from, e.recent.skip = e.recent.shown+1, true
	if b := e.recent.before; b != nil {
		b.child.Kill()
	}
	e.cur.child.Kill()
	e.cut()
}

// resume starts a run that goes on where the last one stopped, once all that that made is told.
func (e *encoder) resume(ctx context.Context, au *media.AccessUnit, now time.Time) {
	k, first := &e.recent, e.shed
	if len(k.units) == 0 {
		return
	}
	if k.last != nil {
		select {
		case <-k.last.over:
		default:
			return
		}
		first = k.last.first
	}
	again := &resumption{units: k.units}
	for _, l := range e.lanes[first:] { // nobody sends there any more
		if l.epoch == e.epoch.ID {
			again.made, again.after = true, max(again.after, l.newest)
		}
	}
	if k.skip && (!again.made || k.from > again.after) {
		again.made, again.after = true, k.from-1
	}
	// Of two GOPs the newer is enough if nothing is missing of the one before.
	if k.key > 0 && again.made && k.units[k.key].PTS <= again.after {
		again.units = k.units[k.key:]
	}
	k.last, k.skip = nil, false
	e.log.Debug("ladder: going on within a GOP", slog.Int("decoded_again", len(again.units)))
	e.start(ctx, au, again, now)
}

// resumption is how a run goes on.
type resumption struct {
	units []media.AccessUnit // from a key frame on; what comes next follows them
	made  bool               // pictures of the epoch were
	after media.Ticks        // the newest of them
}

// aim lets a job make what was not made, and returns by what its times are off then.
func (a *resumption) aim(j *job, e *encoder, step media.Ticks) media.Ticks {
	first := a.units[0].PTS
	if a.made {
		first = a.after + step
		from := a.after + step/2 + offset
		j.from = &from
	}
	if j.pace != paceConstant {
		return offset
	}
	// A constant rate begins with its first picture at 0.
	at := e.onGrid(first, j.rungs[0].FrameRate)
	j.moved = at + offset
	if j.from == nil {
		from := first + offset - step/2
		j.from = &from
	}
	return -at
}
