package playlist

import (
	"sync"
	"sync/atomic"
)

// Window is one state of a media playlist, immutable but for what it remembers of its own renderings. Every method may
// be called from any goroutine.
type Window struct {
	spec Spec
	next chan struct{}

	mu         sync.Mutex // guards what follows, until next is closed
	superseded bool
	successor  *Window

	// wanted has a bit for each rendering that someone asked for. Supersede makes the same ones of the next window
	// before anyone wakes, so that waiters find bytes and do not queue for the one who makes them.
	wanted   atomic.Uint32
	rendered [renderings]rendering
}

// renderings is how many ways there are to send a window: full or delta, plain or gzip.
const renderings = 4

type rendering struct {
	once sync.Once
	body []byte
	etag string
}

// NewWindow makes the window of a spec. It renders nothing yet.
func NewWindow(s Spec) *Window {
	return &Window{spec: s, next: make(chan struct{})}
}

// Spec is what the window was made of; the caller must not write to what it refers to.
func (w *Window) Spec() *Spec { return &w.spec }

// LastMSN is the number of the newest complete segment, 0 if there is none.
func (w *Window) LastMSN() uint64 {
	if n := len(w.spec.Segments); n > 0 {
		return w.spec.Segments[n-1].MSN
	}
	return 0
}

// Edge is the newest part, as a rendition report tells it: its segment, complete or not, and its index there, -1 if
// that segment has no parts.
func (w *Window) Edge() (msn uint64, part int) {
	if o := w.spec.Open; o != nil && len(o.Parts) > 0 {
		return o.MSN, len(o.Parts) - 1
	}
	if n := len(w.spec.Segments); n > 0 {
		s := w.spec.Segments[n-1]
		return s.MSN, len(s.Parts) - 1
	}
	return 0, -1
}

// Has tells whether the playlist is at least as far as the given part; part -1 asks for the complete segment. A part
// beyond the end of its complete segment means the first of the next (6.2.5.2). Everything older than the window is
// there as far as this question goes.
func (w *Window) Has(msn uint64, part int) bool {
	segs := w.spec.Segments
	if len(segs) == 0 {
		return false
	}
	last := segs[len(segs)-1]
	switch {
	case msn < last.MSN:
		return true
	case msn == last.MSN:
		if part < len(last.Parts) || len(last.Parts) == 0 {
			return true
		}
		msn, part = msn+1, 0
	}
	o := w.spec.Open
	return part >= 0 && o != nil && o.MSN >= msn && (o.MSN > msn || len(o.Parts) > part)
}

// Next is closed once this window is superseded.
func (w *Window) Next() <-chan struct{} { return w.next }

// Successor is the window that superseded this one, once Next is closed; nil if there will be none.
func (w *Window) Successor() *Window { return w.successor }

// Supersede wakes everyone who waits on Next. The caller has stored next where new requests look for it; nil says
// that the playlist is no more. Calling it again does nothing.
func (w *Window) Supersede(next *Window) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.superseded {
		return
	}
	w.superseded, w.successor = true, next
	if next != nil {
		next.prepare(w.wanted.Load())
	}
	close(w.next)
}

func (w *Window) prepare(wanted uint32) {
	for i := range w.rendered {
		if wanted&(1<<i) != 0 {
			w.render(i)
		}
	}
}

// Render is the playlist as bytes, which the caller must not write to.
func (w *Window) Render(skip Skip, gzip bool) []byte {
	return w.want(skip, gzip).body
}

// ETag is the strong entity tag, with its quotes, of what Render returns for the same arguments.
func (w *Window) ETag(skip Skip, gzip bool) string {
	return w.want(skip, gzip).etag
}

func (w *Window) want(skip Skip, gzip bool) *rendering {
	i := w.index(skip, gzip)
	if bit := uint32(1) << i; w.wanted.Load()&bit == 0 {
		w.wanted.Or(bit)
	}
	return w.render(i)
}

// index places a rendering in w.rendered: bit 0 for delta, bit 1 for gzip.
func (w *Window) index(skip Skip, gzip bool) int {
	i := 0
	if skip != SkipNo && w.skippable() > 0 {
		i = 1
	}
	if gzip {
		i |= 2
	}
	return i
}

func (w *Window) render(i int) *rendering {
	r := &w.rendered[i]
	r.once.Do(func() {
		if i&2 == 0 {
			r.body = w.appendPlaylist(make([]byte, 0, w.sizeHint()), i&1 != 0)
			r.etag = etagOf(r.body)
			return
		}
		plain := w.render(i &^ 2)
		r.body = compress(plain.body)
		r.etag = plain.etag[:len(plain.etag)-1] + `-gz"`
	})
	return r
}
