package replay

import (
	"container/list"
	"context"
	"sync"
	"time"
)

const (
	// checkAfter is how long a video is shown without asking whether it may still be: what is deleted is gone within 5 s.
	checkAfter = 3 * time.Second
	// maxSegments bounds what is kept in memory, in segments of all renditions: some 300 bytes each with their playlists, so 120 MB. A video
	// of twelve hours in five renditions has 108 000.
	maxSegments = 400_000
	// maxLoads is how many are read at once: each may be of any size.
	maxLoads = 4
)

// LibraryOptions configures a Library. Both functions are required.
type LibraryOptions struct {
	// Load reads a recording. Its error is handed to who asked.
	Load func(ctx context.Context, id string) (Recording, error)
	// Check tells, by an error, that a video is no longer there to be seen.
	Check func(ctx context.Context, id string) error
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Library keeps the videos that are watched, up to maxSegments; the one that was watched longest ago goes first. Its
// methods may be called from any goroutine.
type Library struct {
	o     LibraryOptions
	loads chan struct{} // tokens: one a load

	mu       sync.Mutex // guards what follows
	entries  map[string]*list.Element
	recent   *list.List // of *entry, the newest in front
	segments int
}

// entry is one video. Who loads it holds busy; the others wait there, or until their request ends.
type entry struct {
	id      string
	busy    chan struct{} // holds one token while somebody loads or checks
	video   *Video        // guarded by busy
	checked time.Time     // guarded by busy
	weight  int           // guarded by Library.mu
}

// NewLibrary returns an empty Library.
func NewLibrary(o LibraryOptions) *Library {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Library{o: o, loads: make(chan struct{}, maxLoads), entries: make(map[string]*list.Element), recent: list.New()}
}

// Video finds a video: as Load and Check answer, or ErrEmpty.
func (l *Library) Video(ctx context.Context, id string) (*Video, error) {
	e := l.entry(id)
	select {
	case e.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-e.busy }()
	if e.video != nil {
		if l.o.Now().Sub(e.checked) < checkAfter {
			return e.video, nil
		}
		if err := l.o.Check(ctx, id); err != nil {
			if ctx.Err() == nil {
				l.forget(e)
			}
			return nil, err
		}
		e.checked = l.o.Now()
		return e.video, nil
	}
	v, err := l.load(ctx, id)
	if err != nil {
		l.forget(e)
		return nil, err
	}
	e.video, e.checked = v, l.o.Now()
	l.weigh(e, v.segmentCount)
	return v, nil
}

func (l *Library) load(ctx context.Context, id string) (*Video, error) {
	if err := l.o.Check(ctx, id); err != nil {
		return nil, err
	}
	select {
	case l.loads <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-l.loads }()
	rec, err := l.o.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	return New(rec)
}

// entry is that of a video, new if need be.
func (l *Library) entry(id string) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, ok := l.entries[id]; ok {
		l.recent.MoveToFront(at)
		return at.Value.(*entry)
	}
	e := &entry{id: id, busy: make(chan struct{}, 1)}
	l.entries[id] = l.recent.PushFront(e)
	return e
}

// forget lets the next who asks load it anew.
func (l *Library) forget(e *entry) {
	e.video = nil
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, ok := l.entries[e.id]; ok && at.Value == e {
		l.remove(at)
	}
}

// weigh notes how large a video is, and lets others go for it.
func (l *Library) weigh(e *entry, segments int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.entries[e.id]
	if !ok || at.Value != e {
		return // forgotten meanwhile: who holds it has it
	}
	l.segments += segments - e.weight
	e.weight = segments
	for l.segments > maxSegments && l.recent.Len() > 1 {
		l.remove(l.recent.Back())
	}
}

// remove takes an entry out. mu is held.
func (l *Library) remove(at *list.Element) {
	e := at.Value.(*entry)
	l.recent.Remove(at)
	delete(l.entries, e.id)
	l.segments -= e.weight
	e.weight = 0
}
