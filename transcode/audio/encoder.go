package audio

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"mediad/media"
)

const (
	// queued is how many units wait for the child: a second of the usual ones. The oldest are dropped, which is a hole.
	queued = 50
	// ahead is how many units wait for the reader: a second and more.
	ahead = 64

	// A child that ends sooner than quickly after its start counts as failing. It is not started again before firstWait has passed,
	// and each failure that follows doubles that, up to lastWait.
	quickly   = 5 * time.Second
	firstWait = time.Second
	lastWait  = 10 * time.Second
)

// Encoder makes sound of one codec into that of another, one track of it. It has a child process as long as there is input; one
// that dies or hangs is started again. Write and Close belong to one goroutine, Units to another.
type Encoder struct {
	o     *Options
	log   *slog.Logger
	job   job
	began time.Time // of clock
	in    chan media.AccessUnit
	out   chan media.AccessUnit // closed when everything is out

	stop     context.CancelFunc
	run      sync.WaitGroup
	finished sync.Once

	last media.Ticks // DTS of the newest unit that was given away; the reader's
}

// newEncoder begins. Nothing is given away that lies at or before after, at 48 kHz.
func newEncoder(o *Options, j job, after media.Ticks) *Encoder {
	ctx, stop := context.WithCancel(context.Background())
	e := &Encoder{
		o: o, log: o.Log.With("sound", j.name), job: j, began: o.Now(), stop: stop,
		in: make(chan media.AccessUnit, o.queue), // see queued
		// The reader must not wait for the packager while the packager waits for pictures: see ahead.
		out:  make(chan media.AccessUnit, ahead),
		last: after,
	}
	e.run.Go(func() {
		defer close(e.out)
		e.loop(ctx)
	})
	return e
}

// Write queues a unit, in the track's timescale. It never waits; false says that an older one was dropped for it.
func (e *Encoder) Write(au media.AccessUnit) bool {
	all := true
	for {
		select {
		case e.in <- au:
			return all
		default:
		}
		select {
		case <-e.in: // the hole that it leaves is seen by its timestamp
			all = false
		default:
		}
	}
}

// Units brings what is made of it, at a timescale of 48 kHz. It is closed after finish or Close. Who does not read stops the child.
func (e *Encoder) Units() <-chan media.AccessUnit { return e.out }

// finish ends the input: what the child still has comes, and then Units is closed. Nothing is written after.
func (e *Encoder) finish() { e.finished.Do(func() { close(e.in) }) }

// Close ends it at once and waits.
func (e *Encoder) Close() {
	e.stop()
	e.run.Wait()
}

// loop runs children until the input ends.
func (e *Encoder) loop(ctx context.Context) {
	var next *media.AccessUnit
	wait := firstWait
	for {
		if next == nil {
			au, ok := e.take(ctx)
			if !ok {
				return
			}
			next = &au
		}
		began := e.o.Now()
		var err error
		next, err = e.child(ctx, *next)
		if ctx.Err() != nil || err == nil && next == nil {
			return
		}
		if err == nil {
			continue // a hole
		}
		e.log.Warn("sound: the encoder ended and is started again", "error", err)
		if e.o.Now().Sub(began) > quickly {
			wait = firstWait
			continue
		}
		pause := time.NewTimer(wait)
		wait = min(2*wait, lastWait)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
	}
}

func (e *Encoder) take(ctx context.Context) (media.AccessUnit, bool) {
	select {
	case au, ok := <-e.in:
		return au, ok
	case <-ctx.Done():
		return media.AccessUnit{}, false
	}
}
