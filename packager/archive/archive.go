package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
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
	unread   bool  // rows are to be read
	failing  time.Time
	err      error // why, while failing is set
	rows     []noted
	ready    []*line // that may have something to do
}

// noted is what is stored, and when its row was first found not to be there.
type noted struct {
	Stored
	stream string
	epoch  int64
	early  time.Time
}

const (
	// rowsAtOnce is how many rows are marked in one transaction, which others wait for.
	rowsAtOnce = 1000
	// rowsLate is after how long a row does not come any more, though there is a database: it was deleted while its segment was stored, or
	// given up. Then the object goes, which nobody would find; a row that comes all the same is stored again after the next start.
	rowsLate = 10 * time.Minute
)

type lineName struct{ stream, rendition string }

// New returns an Archive that stores nothing until Run.
func New(o Options) *Archive {
	o = o.withDefaults()
	return &Archive{
		o: o, puts: make(chan struct{}, o.Puts), wake: make(chan struct{}, 1), lines: make(map[lineName]*line),
		overflow: true, unread: true, // what a former process left comes first
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
	l := a.line(t.Stream, t.Rendition)
	l.addInit(t)
	a.poke(l)
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
	if a.waiting >= a.o.MaxWaiting {
		a.overflow = true
	}
	if a.overflow || l.behind() {
		a.unread = true // it is read from the rows in its turn
		l.leave(s)
		return
	}
	a.take(s)
	a.poke(l)
}

// take queues a segment. mu is held.
func (a *Archive) take(s Segment) {
	if a.line(s.Stream, s.Rendition).add(s) {
		a.waiting++
	} else {
		a.data -= int64(len(s.Data))
	}
}

// Multivariant is told of a stream's multivariant playlist, nil when it is not on air any more.
func (a *Archive) Multivariant(stream string, plain []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.line(stream, "")
	l.setMain(plain)
	a.poke(l)
}

// End is told that a session is over: behind its last segment its playlists end.
func (a *Archive) End(stream, session string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, l := range a.lines {
		if name.stream == stream && name.rendition != "" {
			l.addEnd(session)
			a.poke(l)
		}
	}
}

// poke lets Run look at a line. mu is held.
func (a *Archive) poke(l *line) {
	if !l.ready {
		l.ready = true
		a.ready = append(a.ready, l)
	}
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
	for everyone := true; ; {
		if everyone {
			a.guard("read what is to be stored", func() { a.readPending(ctx) })
		}
		for _, l := range a.idleLines(everyone) {
			all.Go(func() { l.work(ctx) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
			everyone = false
		case <-tick.C:
			everyone = true
		}
	}
}

// idleLines are those that have something to do and nobody who does it; they are marked busy. Between ticks only lines that were told
// of something are looked at: there may be thousands. What is over and done is forgotten.
func (a *Archive) idleLines(everyone bool) (idle []*line) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.o.Now()
	look := func(l *line) {
		l.ready = false
		switch {
		case l.busy || now.Before(l.notBefore):
		case l.hasWork():
			l.busy = true
			idle = append(idle, l)
		case l.over:
			delete(a.lines, l.name)
		}
	}
	if everyone {
		for _, l := range a.lines {
			look(l)
		}
	} else {
		for _, l := range a.ready {
			look(l)
		}
	}
	clear(a.ready)
	a.ready = a.ready[:0]
	return idle
}

// readPending takes from the rows what lines do not have, once little waits.
func (a *Archive) readPending(ctx context.Context) {
	a.mu.Lock()
	due := a.unread && a.waiting < a.o.MaxWaiting/2
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
	a.overflow, a.unread = false, false
	now := a.o.Now()
	for _, l := range a.lines {
		if l.behind() && now.Sub(l.leftAt) > rowsLate {
			l.giveUpLeft()
		}
		a.unread = a.unread || l.behind() // its row is still to come
	}
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
		a.guard("note what is stored", func() { a.mark(context.WithoutCancel(ctx)) })
	}
}

// guard calls fn; a panic in it is logged, and the next tick tries again.
func (a *Archive) guard(what string, fn func()) {
	defer func() {
		if v := recover(); v != nil {
			a.o.Log.Error("archive: panic", slog.String("while", what), slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
		}
	}()
	fn()
}

func (a *Archive) mark(ctx context.Context) {
	a.mu.Lock()
	rows := a.rows
	a.rows = nil
	a.mu.Unlock()
	var again []noted
	defer func() { a.markAgain(append(again, rows...)) }() // also after a panic
	for len(rows) > 0 {
		now := rows[:min(len(rows), rowsAtOnce)]
		early, err := a.markSome(ctx, now)
		if err != nil {
			a.o.Log.Warn("what is stored is not noted yet", slog.Int("segments", len(rows)), slog.Any("error", err))
			return
		}
		again, rows = append(again, early...), rows[len(now):]
	}
}

// markAgain keeps for the next time what could not be noted.
func (a *Archive) markAgain(some []noted) {
	if len(some) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	// The oldest beyond a bound are forgotten: they are stored once more after a restart, under the same name.
	a.rows = append(some, a.rows...)
	if n := len(a.rows) - 2*a.o.MaxWaiting; n > 0 {
		a.rows = slices.Delete(a.rows, 0, n)
	}
}

// markSome marks a few, and returns those whose rows may still come.
func (a *Archive) markSome(ctx context.Context, some []noted) (early []noted, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	stored := make([]Stored, len(some))
	of := make(map[Stored]noted, len(some))
	for i, n := range some {
		stored[i] = n.Stored
		of[n.Stored] = n
	}
	without, err := a.o.Rows.MarkStored(ctx, stored)
	if err != nil {
		return nil, err
	}
	now := a.o.Now()
	var orphans []string
	for _, s := range without {
		n := of[s]
		if n.early.IsZero() {
			n.early = now
		}
		if now.Sub(n.early) < rowsLate {
			early = append(early, n)
		} else if !s.Lost {
			orphans = append(orphans, SegmentKey(n.stream, n.Rendition, n.epoch, n.MSN))
		}
	}
	if len(orphans) > 0 {
		if err := blob.DeleteAll(ctx, a.o.Bucket, orphans); err != nil {
			a.o.Log.Warn("objects whose rows are gone are not deleted: mediad doctor --orphans finds them", slog.Any("error", err))
		}
	}
	return early, nil
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

var errPanic = errors.New("archive: panic")

var errLost = fmt.Errorf("archive: the segment is not on the local disk any more: %w", blob.ErrNotExist)
