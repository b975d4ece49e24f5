// Package presence counts who watches the streams of a site now.
//
//	beats of pages ────────┐
//	connections that last ─┼─ Tell ──► Set: a window of 45 s a stream ──► Count
//	playlists asked for ───┘
//
// A viewer whose page tells of itself also asks for playlists, and may have a connection. They are known again by where they come from:
// address and agent in one keyed hash. So those two count only where no beat came from there.
package presence

import (
	"context"
	"sync"
	"time"
)

// Window is how long a sign of life counts.
const Window = 45 * time.Second

// Kind is what was seen of a viewer.
type Kind uint8

// The kinds of signs.
const (
	// Beat: a page says that its viewer watches.
	Beat Kind = iota + 1
	// Connection: one over which media is sent. It is told of again while it lasts.
	Connection
	// Playlist: somebody asked for one.
	Playlist
)

// Sign is a sign of life.
type Sign struct {
	Stream string
	Kind   Kind
	// Who is the viewer of a Beat, or names a Connection among all; "" for a Playlist.
	Who string
	// Net is where it came from, as a hash without spaces.
	Net string
	// Age is how long ago that was.
	Age time.Duration
	// Gone: who has left. Where they were still counts as where a beat came from.
	Gone bool
}

// Counts is how many watch a stream.
type Counts struct {
	// Viewers are distinct viewers with a beat, and connections from where none came.
	Viewers int
	// Estimated are the distinct places from where playlists were asked for, and neither a beat came nor a connection is.
	Estimated int
}

// Total is all of them.
func (c Counts) Total() int { return c.Viewers + c.Estimated }

// Set is the contract. Its methods may be called from any goroutine.
type Set interface {
	// Tell takes signs in. Older ones than are known change nothing. An error: some may be missing, and are to be told again.
	Tell(ctx context.Context, signs []Sign) error
	// Count counts who watches the streams now; what nobody watches has no counts.
	Count(ctx context.Context, streams []string) (map[string]Counts, error)
}

const (
	// maxMembers bounds what is remembered of one stream, by kind, and maxStreams the streams: some 200 bytes each. What is beyond is not counted.
	maxMembers = 200_000
	maxStreams = 10_000
	// sweepEvery is how often who has left is dropped while signs come in.
	sweepEvery = Window / 4
)

// Local is a Set within the process.
type Local struct {
	now func() time.Time

	mu      sync.Mutex // guards streams
	streams map[string]*crowd
}

var _ Set = (*Local)(nil)

// crowd is what is known of one stream.
type crowd struct {
	beats     map[string]time.Time // by viewer
	places    map[string]time.Time // from where the newest beat came
	links     map[string]link      // connections
	playlists map[string]time.Time // by place
	swept     time.Time
}

type link struct {
	net string
	at  time.Time
}

// NewLocal makes one; now is the clock, nil: time.Now.
func NewLocal(now func() time.Time) *Local {
	if now == nil {
		now = time.Now
	}
	return &Local{now: now, streams: map[string]*crowd{}}
}

// Tell implements Set. It never fails.
func (l *Local) Tell(_ context.Context, signs []Sign) error {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range signs {
		if c := l.crowd(signs[i].Stream, now); c != nil {
			c.tell(&signs[i], now.Add(-signs[i].Age))
		}
	}
	return nil
}

// crowd is that of a stream; nil where there are too many. l.mu is held.
func (l *Local) crowd(stream string, now time.Time) *crowd {
	c := l.streams[stream]
	if c == nil {
		if len(l.streams) >= maxStreams {
			for name, other := range l.streams {
				if other.sweep(now); other.empty() {
					delete(l.streams, name)
				}
			}
			if len(l.streams) >= maxStreams {
				return nil
			}
		}
		c = &crowd{beats: map[string]time.Time{}, places: map[string]time.Time{}, links: map[string]link{}, playlists: map[string]time.Time{}, swept: now}
		l.streams[stream] = c
	}
	if now.Sub(c.swept) >= sweepEvery {
		c.sweep(now)
	}
	return c
}

func (c *crowd) tell(s *Sign, at time.Time) {
	switch s.Kind {
	case Beat:
		newer(c.places, s.Net, at)
		if s.Gone {
			delete(c.beats, s.Who)
			return
		}
		newer(c.beats, s.Who, at)
	case Connection:
		old, known := c.links[s.Who]
		switch {
		case s.Gone:
			delete(c.links, s.Who)
		case (known || len(c.links) < maxMembers) && at.After(old.at):
			c.links[s.Who] = link{s.Net, at}
		}
	case Playlist:
		newer(c.playlists, s.Net, at)
	}
}

func newer(m map[string]time.Time, key string, at time.Time) {
	if old, known := m[key]; (known || len(m) < maxMembers) && at.After(old) {
		m[key] = at
	}
}

// sweep drops who has left. Places are remembered for as long again: a playlist that was asked for last before them is theirs.
func (c *crowd) sweep(now time.Time) {
	c.swept = now
	for _, m := range []struct {
		of   map[string]time.Time
		keep time.Duration
	}{{c.beats, Window}, {c.places, 2 * Window}, {c.playlists, Window}} {
		for key, at := range m.of {
			if now.Sub(at) > m.keep {
				delete(m.of, key)
			}
		}
	}
	for key, one := range c.links {
		if now.Sub(one.at) > Window {
			delete(c.links, key)
		}
	}
}

func (c *crowd) empty() bool {
	return len(c.beats)+len(c.places)+len(c.links)+len(c.playlists) == 0
}

// Count implements Set. It never fails.
func (l *Local) Count(_ context.Context, streams []string) (map[string]Counts, error) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := make(map[string]Counts, len(streams))
	for _, name := range streams {
		c := l.streams[name]
		if c == nil {
			continue
		}
		if c.sweep(now); c.empty() {
			delete(l.streams, name)
			continue
		}
		if n := c.count(now); n.Total() > 0 {
			counts[name] = n
		}
	}
	return counts, nil
}

// count counts what is left after sweep.
func (c *crowd) count(now time.Time) Counts {
	n := Counts{Viewers: len(c.beats)}
	linked := map[string]bool{}
	for _, one := range c.links {
		linked[one.net] = true
		if at, ok := c.places[one.net]; !ok || now.Sub(at) > Window {
			n.Viewers++
		}
	}
	for net, asked := range c.playlists {
		if at, ok := c.places[net]; (!ok || asked.Sub(at) > Window) && !linked[net] {
			n.Estimated++
		}
	}
	return n
}
