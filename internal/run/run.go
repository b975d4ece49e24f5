// Package run starts the long-lived parts of a program in order and stops them in reverse.
//
//	start:  database ─► hub ─► listeners
//	stop:   listeners ─► hub ─► database      each waited for before the next is told
package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// Group is an ordered set of tasks. The zero value is ready to use; Add everything, then Run once.
type Group struct {
	// Log is told when a task fails or is slow to stop; nil: nothing is logged.
	Log *slog.Logger
	// StopTimeout is how long each task may take to stop before Run goes on with the next and reports it. Default 15 s.
	StopTimeout time.Duration

	tasks []*task
}

type task struct {
	name   string
	run    func(context.Context) error
	cancel context.CancelFunc
	done   chan struct{}
	err    error // readable once done is closed
}

// Add adds a task. run blocks until its ctx ends or it fails; a nil before ctx ended means that the task had nothing
// more to do, and the others go on.
func (g *Group) Add(name string, run func(ctx context.Context) error) {
	g.tasks = append(g.tasks, &task{name: name, run: run, done: make(chan struct{})})
}

// Run starts all tasks and returns when all have stopped: because ctx ended, or because one failed (an error or a
// panic), which stops the others. The error joins all failures; ending because ctx ended is none.
func (g *Group) Run(ctx context.Context) error {
	if g.Log == nil {
		g.Log = slog.New(slog.DiscardHandler)
	}
	if g.StopTimeout <= 0 {
		g.StopTimeout = 15 * time.Second
	}
	failed := make(chan struct{}, len(g.tasks)) // one token a task, so nobody waits
	for _, t := range g.tasks {
		// Not derived from ctx: each is told to stop in its turn.
		var tctx context.Context
		tctx, t.cancel = context.WithCancel(context.WithoutCancel(ctx))
		go func() {
			defer close(t.done)
			t.err = guard(tctx, t.run)
			if t.err != nil && !stopping(tctx, t.err) {
				g.Log.Error("task failed", slog.String("task", t.name), slog.Any("error", t.err))
				failed <- struct{}{}
			}
		}()
	}
	g.wait(ctx, failed)
	return g.stop()
}

// wait returns when ctx ended, a task failed, or all have returned.
func (g *Group) wait(ctx context.Context, failed <-chan struct{}) {
	all := make(chan struct{})
	go func() {
		defer close(all)
		for _, t := range g.tasks {
			<-t.done
		}
	}()
	select {
	case <-ctx.Done():
	case <-failed:
	case <-all:
	}
}

// stop tells the tasks to stop, the last added first, and waits for each.
func (g *Group) stop() error {
	var errs []error
	for i := len(g.tasks) - 1; i >= 0; i-- {
		t := g.tasks[i]
		t.cancel()
		timer := time.NewTimer(g.StopTimeout)
		select {
		case <-t.done:
			if t.err != nil && !errors.Is(t.err, context.Canceled) {
				errs = append(errs, fmt.Errorf("%s: %w", t.name, t.err))
			}
		case <-timer.C:
			errs = append(errs, fmt.Errorf("%s: did not stop within %s", t.name, g.StopTimeout))
			g.Log.Error("task does not stop", slog.String("task", t.name))
		}
		timer.Stop()
	}
	return errors.Join(errs...)
}

func stopping(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, context.Canceled)
}

func guard(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f(ctx)
}
