package archive

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"mediad/store/blob"
)

// Archive takes segments for a bucket. Segment, Track, Multivariant and End never wait.
type Archive struct {
	o    Options
	puts chan struct{} // tokens: one a put
	wake chan struct{} // holds one token: a line has something to do

	mu       sync.Mutex // guards what follows
	lines    map[lineName]*line
	waiting  int   // segments in lines
	data     int64 // bytes of those that are only in memory
	overflow bool  // some are in the rows alone: until those are read all go there, so that the order stays
	failing  time.Time
	err      error // why, while failing is set
	rows     []Stored
}

type lineName struct{ stream, rendition string }

// New returns an Archive that stores nothing until Run.
func New(o Options) *Archive {
	o = o.withDefaults()
	return &Archive{
		o: o, puts: make(chan struct{}, o.Puts), wake: make(chan struct{}, 1), lines: make(map[lineName]*line),
		overflow: true, // what a former process left comes first
	}
}

// State is how an Archive is doing.
type State struct {
	// Waiting is how many segments are still to be stored, as far as they are known here.
	Waiting int
	// FailingSince is zero while objects are stored, or nothing is to be.
	FailingSince time.Time
	// Err is why.
	Err error
}

// State tells how it is doing.
func (a *Archive) State() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	return State{Waiting: a.waiting, FailingSince: a.failing, Err: a.err}
}

// Track is told of an init segment, before the segments that need it. It may be told again.
func (a *Archive) Track(t Track) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.line(t.Stream, t.Rendition).addInit(t)
	a.poke()
}

// Segment is told of a segment that is complete. One that waits already is not taken twice.
func (a *Archive) Segment(s Segment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.line(s.Stream, s.Rendition)
	if len(s.Data) > 0 {
		if a.data+int64(len(s.Data)) > a.o.MaxData {
			s.Data = nil // it is lost, and found to be in its turn
		}
		a.data += int64(len(s.Data))
	}
	if a.overflow || a.waiting >= a.o.MaxWaiting {
		a.overflow = true // it is read from the rows in its turn
		l.leave(s)
		return
	}
	a.take(s)
	a.poke()
}

// take queues a segment. mu is held.
func (a *Archive) take(s Segment) {
	if a.line(s.Stream, s.Rendition).add(s) {
		a.waiting++
	}
}

// Multivariant is told of a stream's multivariant playlist, nil when it is not on air any more.
func (a *Archive) Multivariant(stream string, plain []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.line(stream, "").setMain(plain)
	a.poke()
}

// End is told that a session is over: behind its last segment its playlists end.
func (a *Archive) End(stream, session string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, l := range a.lines {
		if name.stream == stream && name.rendition != "" {
			l.addEnd(session)
		}
	}
	a.poke()
}

func (a *Archive) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// line is that of a rendition, new if need be. mu is held.
func (a *Archive) line(stream, rendition string) *line {
	name := lineName{stream, rendition}
	l := a.lines[name]
	if l == nil {
		l = &line{a: a, name: name}
		a.lines[name] = l
	}
	return l
}

// Run stores what it is told of, and first what the rows say was not stored, until ctx ends.
func (a *Archive) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { a.markRows(ctx) })
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		a.readPending(ctx)
		for _, l := range a.idleLines() {
			all.Go(func() { l.work(ctx) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
		case <-tick.C:
		}
	}
}

// idleLines are those that have something to do and nobody who does it; they are marked busy. What is over and done is forgotten.
func (a *Archive) idleLines() (idle []*line) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.o.Now()
	for name, l := range a.lines {
		switch {
		case l.busy || now.Before(l.notBefore):
		case l.hasWork():
			l.busy = true
			idle = append(idle, l)
		case l.over:
			delete(a.lines, name)
		}
	}
	return idle
}

// readPending takes from the rows what lines do not have, once little waits.
func (a *Archive) readPending(ctx context.Context) {
	a.mu.Lock()
	due := a.overflow && a.waiting < a.o.MaxWaiting/2
	a.mu.Unlock()
	if !due {
		return
	}
	const page = 1000
	known := make(map[string][]Track) // by session
	for after := (Position{}); ; {
		some, err := a.o.Rows.Pending(ctx, after, page)
		if err != nil {
			if ctx.Err() == nil {
				a.o.Log.Warn("what is to be stored is not known yet", slog.Any("error", err))
			}
			return
		}
		for i := range some {
			s := &some[i]
			after = Position{Session: s.Session, Rendition: s.Rendition, MSN: s.MSN}
			if _, ok := known[s.Session]; !ok {
				tracks, err := a.o.Rows.Inits(ctx, s.Session)
				if err != nil {
					return
				}
				known[s.Session] = tracks
				for _, t := range tracks {
					a.Track(t)
				}
			}
			a.mu.Lock()
			full := a.waiting >= a.o.MaxWaiting
			if !full {
				a.take(*s)
			}
			a.mu.Unlock()
			if full {
				return // and overflow stays set
			}
		}
		if len(some) < page {
			break
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.lines {
		if l.newest() < l.left {
			return // its row is still to come
		}
	}
	a.overflow = false
}

// markRows tells the rows what is stored, each second, and last when ctx ends.
func (a *Archive) markRows(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for done := false; !done; {
		select {
		case <-ctx.Done():
			done = true
		case <-tick.C:
		}
		a.mark(context.WithoutCancel(ctx))
	}
}

func (a *Archive) mark(ctx context.Context) {
	a.mu.Lock()
	rows := a.rows
	a.rows = nil
	a.mu.Unlock()
	if len(rows) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	early, err := a.o.Rows.MarkStored(ctx, rows)
	if err != nil {
		a.o.Log.Warn("what is stored is not noted yet", slog.Int("segments", len(rows)), slog.Any("error", err))
		early = rows
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	// Beyond a bound they are forgotten: such segments are stored once more after a restart, under the same name.
	if len(a.rows)+len(early) <= 2*a.o.MaxWaiting {
		a.rows = append(early, a.rows...)
	}
}

// put writes an object of bytes.
func (a *Archive) put(ctx context.Context, key string, b []byte, m blob.Meta) error {
	return a.within(ctx, func(ctx context.Context) error {
		return a.o.Bucket.Put(ctx, key, bytes.NewReader(b), int64(len(b)), m)
	})
}

// within runs one request to the bucket, when it is its turn, and notes whether the bucket can be used.
func (a *Archive) within(ctx context.Context, do func(context.Context) error) error {
	select {
	case a.puts <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-a.puts }()
	limited, cancel := context.WithTimeout(ctx, a.o.PutTimeout)
	defer cancel()
	err := do(limited)
	if ctx.Err() == nil {
		a.note(err)
	}
	return err
}

// note keeps the state, and logs its changes.
func (a *Archive) note(err error) {
	a.mu.Lock()
	was := a.failing
	switch {
	case err == nil:
		a.failing, a.err = time.Time{}, nil
	case was.IsZero():
		a.failing, a.err = a.o.Now(), err
	default:
		a.err = err
	}
	waiting := a.waiting
	a.mu.Unlock()
	switch {
	case err != nil:
		a.o.Observer.ArchiveFailed()
		if was.IsZero() {
			a.o.Log.Error("segments cannot be stored in the bucket; they wait on the local disk", slog.Any("error", err))
		}
	case !was.IsZero():
		a.o.Log.Info("segments are stored in the bucket again", slog.Duration("after", a.o.Now().Sub(was)), slog.Int("waiting", waiting))
	}
}

var errLost = fmt.Errorf("archive: the segment is not on the local disk any more: %w", blob.ErrNotExist)
