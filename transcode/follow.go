package transcode

import (
	"context"
	"io"
	"sync"
	"time"

	"mediad/media"
)

// Bounds of a reader's queue, and of what is kept of each rung for those who come late.
const (
	maxBehind      = time.Second // of media, of one rung
	maxBehindBytes = 8 << 20     // of all rungs, beyond what a reader begins with
	maxKeptBytes   = 2 << 20     // of one rung
	maxKept        = 5 * time.Second
	maxTold        = 4096 // of everything
)

// fan hands what is encoded of a session to any number of readers. It never waits for one.
type fan struct {
	mu      sync.Mutex // guards what follows
	rungs   []kept
	readers map[*Reader]struct{}
	ended   bool
}

// kept is what a late reader begins with: a rung's track, and its pictures from the newest key frame on.
type kept struct {
	name  string
	track *media.Encoded
	gop   []media.Encoded
	bytes int
	shed  bool
}

func newFan(rungs []media.Rung) *fan {
	f := &fan{readers: map[*Reader]struct{}{}, rungs: make([]kept, len(rungs))}
	for i, r := range rungs {
		f.rungs[i].name = r.Name
	}
	return f
}

// publish tells all readers.
func (f *fan) publish(i int, m media.Encoded) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rungs[i].keep(&m)
	for r := range f.readers {
		r.offer(i, m)
	}
}

func (k *kept) keep(m *media.Encoded) {
	drop := func() {
		clear(k.gop)
		k.gop, k.bytes = k.gop[:0], 0
	}
	switch m.Kind {
	case media.EncodedTrack:
		k.track = m
		drop()
	case media.EncodedShed:
		k.shed = true
		drop()
	case media.EncodedRestore:
		k.shed = false
	case media.EncodedUnit:
		if m.Unit.RandomAccess {
			drop()
		} else if len(k.gop) == 0 {
			return
		}
		k.bytes += len(m.Unit.Data)
		if k.bytes > maxKeptBytes || len(k.gop) > 0 && m.Unit.DTS-k.gop[0].Unit.DTS > media.VideoTimescale.Ticks(maxKept) {
			drop()
			return
		}
		k.gop = append(k.gop, *m)
	}
}

// reader begins to read.
func (f *fan) reader() *Reader {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := &Reader{fan: f, wake: make(chan struct{}, 1), rungs: make([]following, len(f.rungs)), ended: f.ended}
	for i := range f.rungs {
		k := &f.rungs[i]
		r.rungs[i].skipping = len(k.gop) == 0
		if k.shed {
			r.queue = append(r.queue, media.Encoded{Kind: media.EncodedShed, Rung: k.name})
		}
		if k.track != nil {
			r.queue = append(r.queue, *k.track)
		}
		for _, m := range k.gop {
			r.push(i, m)
			r.rungs[i].late = m.Unit.DTS - r.rungs[i].first
		}
	}
	r.begun = r.bytes
	if !f.ended {
		f.readers[r] = struct{}{}
	}
	return r
}

// end says that nothing follows.
func (f *fan) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	for r := range f.readers {
		r.mu.Lock()
		r.ended = true
		r.token()
		r.mu.Unlock()
	}
	clear(f.readers)
}

// Reader reads all rungs of a session: each begins with its track and its newest key frame. When it is slow, pictures of a rung are
// dropped up to that rung's next key frame. It has one reader; Close may be called from anywhere.
type Reader struct {
	fan  *fan
	wake chan struct{} // holds one token

	mu    sync.Mutex // guards what follows
	queue []media.Encoded
	bytes int
	begun int // bytes that it began with and has not taken yet
	rungs []following
	ended bool
}

// following is how far a reader is with one rung.
type following struct {
	skipping bool        // up to the next key frame
	first    media.Ticks // DTS of the oldest picture that is queued
	queued   int
	late     media.Ticks // what a new reader had to begin with, until it has taken it
}

// Next waits for the next: io.EOF when nothing can follow.
func (r *Reader) Next(ctx context.Context) (media.Encoded, error) {
	for {
		r.mu.Lock()
		if len(r.queue) > 0 {
			m := r.queue[0]
			r.queue[0] = media.Encoded{}
			r.queue = r.queue[1:]
			r.taken(&m)
			r.mu.Unlock()
			return m, nil
		}
		ended := r.ended
		r.mu.Unlock()
		if ended {
			return media.Encoded{}, io.EOF
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return media.Encoded{}, ctx.Err()
		}
	}
}

// taken notes that m has left the queue; mu is held.
func (r *Reader) taken(m *media.Encoded) {
	if m.Kind != media.EncodedUnit {
		return
	}
	r.bytes -= len(m.Unit.Data)
	r.begun = max(r.begun-len(m.Unit.Data), 0)
	w := r.of(m.Rung)
	w.queued--
	w.first = m.Unit.DTS // about: the next one's is not far
	if w.queued == 0 {
		w.late = 0
	}
}

func (r *Reader) of(rung string) *following {
	for i := range r.fan.rungs {
		if r.fan.rungs[i].name == rung {
			return &r.rungs[i]
		}
	}
	return &following{} // there is no other
}

// Close ends the reading.
func (r *Reader) Close() {
	r.fan.mu.Lock()
	delete(r.fan.readers, r)
	r.fan.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue, r.bytes, r.ended = nil, 0, true
	r.token()
}

func (r *Reader) token() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// offer takes what a rung tells, or drops it.
func (r *Reader) offer(i int, m media.Encoded) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	defer r.token()
	if m.Kind != media.EncodedUnit {
		if r.queue = append(r.queue, m); len(r.queue) > maxTold { // a few an epoch: nobody reads
			r.queue, r.bytes, r.ended = nil, 0, true
		}
		return
	}
	w := &r.rungs[i]
	late := w.queued > 0 && m.Unit.DTS-w.first > w.late+media.VideoTimescale.Ticks(maxBehind)
	if late || r.bytes+len(m.Unit.Data) > maxBehindBytes+r.begun {
		r.drop(m.Rung)
		w.skipping = true
	}
	if w.skipping && !m.Unit.RandomAccess {
		return
	}
	w.skipping = false
	r.push(i, m)
}

// push queues a picture; mu is held, or nobody else has r yet.
func (r *Reader) push(i int, m media.Encoded) {
	w := &r.rungs[i]
	if w.queued == 0 {
		w.first = m.Unit.DTS
	}
	w.queued++
	r.bytes += len(m.Unit.Data)
	r.queue = append(r.queue, m)
}

// drop takes a rung's pictures out of the queue; mu is held.
func (r *Reader) drop(rung string) {
	left := r.queue[:0]
	for _, m := range r.queue {
		if m.Kind == media.EncodedUnit && m.Rung == rung {
			r.taken(&m)
			continue
		}
		left = append(left, m)
	}
	clear(r.queue[len(left):])
	r.queue = left
}
