package play

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"mediad/store/db"
	"mediad/store/presence"
)

const (
	// countEvery is how often viewers are counted: what is shown is no older.
	countEvery = time.Second
	// tellAgain is how often a connection or playlist is told to other nodes again: well within the window, and no more often than needed.
	tellAgain = 10 * time.Second
	// maxQueue bounds what is to be told to other nodes. Of what is beyond nothing is told until its next sign.
	maxQueue = 100_000
	// maxTabs of a viewer are told apart.
	maxTabs = 8
)

// OnAir is a stream with a broadcast.
type OnAir struct{ Stream, Session string }

// AudienceOptions configure an Audience. OnAir is required.
type AudienceOptions struct {
	// OnAir lists what is on air here.
	OnAir func() []OnAir
	// Connections gives the connections over which the stream's media is sent now, each with a name of its own and its place. nil: none.
	Connections func(stream string, each func(id, place string))
	// Playlists gives the places from where one of the stream's playlists was asked for within the window, and how long ago. nil: none.
	Playlists func(stream string, each func(place string, age time.Duration))
	// Shared is what all nodes are told. nil: this one is alone.
	Shared presence.Set
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Log; nil: none.
	Log *slog.Logger
}

// Audience knows who watches now. Its methods may be called from any goroutine.
type Audience struct {
	o     AudienceOptions
	local *presence.Local

	mu      sync.Mutex // guards the following
	shown   map[string]presence.Counts
	watched map[string]db.Watched // by broadcast on air
	peaks   map[string]int        // by broadcast, those that are not stored yet
	queue   []presence.Sign       // for the other nodes
	seats   map[seat][]tab        // the plays of each viewer
	risen   time.Time             // when seats were looked through

	// Of Run alone.
	links map[presence.Sign]struct{} // connections, as they were a second ago
	told  map[presence.Sign]time.Time
	away  bool // the other nodes could not be told
}

// seat is a viewer of a stream, and tab one of their plays, of which they may have several.
type seat struct{ stream, viewer string }

type tab struct {
	play string
	at   time.Time // of its last beat
}

// NewAudience makes one. Run counts.
func NewAudience(o AudienceOptions) *Audience {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Connections == nil {
		o.Connections = func(string, func(id, place string)) {}
	}
	if o.Playlists == nil {
		o.Playlists = func(string, func(place string, age time.Duration)) {}
	}
	return &Audience{
		o: o, local: presence.NewLocal(o.Now), shown: map[string]presence.Counts{}, watched: map[string]db.Watched{}, peaks: map[string]int{}, seats: map[seat][]tab{},
		links: map[presence.Sign]struct{}{}, told: map[presence.Sign]time.Time{},
	}
}

// Counts is how many watch a stream on air, as it was counted last.
func (a *Audience) Counts(slug string) presence.Counts {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.shown[slug]
}

// Watched is what is known of those who watched a broadcast that is on air: what is stored, and the peak up to now.
func (a *Audience) Watched(session string) db.Watched {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.watched[session]
	w.Peak = max(w.Peak, a.peaks[session])
	return w
}

// beat takes a beat of a viewer's play. Who leaves one of several is still there.
func (a *Audience) beat(slug, viewer, play, place string, gone bool) {
	gone = a.sit(seat{slug, viewer}, play, gone)
	sign := []presence.Sign{{Stream: slug, Kind: presence.Beat, Who: viewer, Net: place, Gone: gone}}
	_ = a.local.Tell(context.Background(), sign) // never fails
	if a.o.Shared == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) < maxQueue {
		a.queue = append(a.queue, sign[0])
	}
}

// sit notes which plays a viewer has, and says whether none is left.
func (a *Audience) sit(of seat, play string, gone bool) bool {
	now := a.o.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	tabs := slices.DeleteFunc(a.seats[of], func(t tab) bool { return t.play == play || now.Sub(t.at) > presence.Window })
	if !gone && len(tabs) < maxTabs {
		tabs = append(tabs, tab{play, now})
	}
	if len(tabs) == 0 {
		delete(a.seats, of)
		return gone
	}
	a.seats[of] = tabs
	return false
}

// rise forgets whose plays are silent; a.mu is held.
func (a *Audience) rise() {
	now := a.o.Now()
	if now.Sub(a.risen) < presence.Window {
		return
	}
	a.risen = now
	maps.DeleteFunc(a.seats, func(_ seat, tabs []tab) bool {
		return !slices.ContainsFunc(tabs, func(t tab) bool { return now.Sub(t.at) <= presence.Window })
	})
}

// Run counts each second until ctx ends.
func (a *Audience) Run(ctx context.Context) error {
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			a.Count(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// Count counts once. It is called by one goroutine at a time.
func (a *Audience) Count(ctx context.Context) {
	onAir := a.o.OnAir()
	streams := make([]string, len(onAir))
	for i, one := range onAir {
		streams[i] = one.Stream
	}
	signs := a.look(streams)
	_ = a.local.Tell(ctx, signs)
	counts, _ := a.local.Count(ctx, streams) // neither fails
	if a.o.Shared != nil {
		a.join(ctx, streams, signs, counts)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rise()
	a.shown = counts
	watched := make(map[string]db.Watched, len(onAir))
	for _, one := range onAir {
		if one.Session == "" {
			continue
		}
		w, known := a.watched[one.Session]
		n := counts[one.Stream].Total()
		if n > max(w.Peak, a.peaks[one.Session]) || !known { // what a former process has stored of it is learnt so
			a.peaks[one.Session] = max(n, a.peaks[one.Session])
		}
		watched[one.Session] = w
	}
	a.watched = watched
}

// look sees who watches without telling.
func (a *Audience) look(streams []string) (signs []presence.Sign) {
	links := make(map[presence.Sign]struct{}, len(a.links))
	for _, stream := range streams {
		a.o.Connections(stream, func(id, place string) {
			s := presence.Sign{Stream: stream, Kind: presence.Connection, Who: id, Net: place}
			links[s] = struct{}{}
			signs = append(signs, s)
		})
		a.o.Playlists(stream, func(place string, age time.Duration) {
			signs = append(signs, presence.Sign{Stream: stream, Kind: presence.Playlist, Net: place, Age: age})
		})
	}
	for s := range a.links {
		if _, on := links[s]; !on {
			s.Gone = true
			signs = append(signs, s)
		}
	}
	a.links = links
	return signs
}

// join tells the other nodes what was seen here, and counts with what they have seen. Without them counts stays.
func (a *Audience) join(ctx context.Context, streams []string, signs []presence.Sign, counts map[string]presence.Counts) {
	now := a.o.Now()
	a.mu.Lock()
	tell := a.queue
	a.queue = nil
	a.mu.Unlock()
	for _, s := range signs {
		key := s
		key.Age, key.Gone = 0, false
		at := now.Add(-s.Age)
		if last, ok := a.told[key]; s.Gone || !ok || at.Sub(last) >= tellAgain {
			tell = append(tell, s)
			a.told[key] = at
		}
	}
	maps.DeleteFunc(a.told, func(_ presence.Sign, at time.Time) bool { return now.Sub(at) > presence.Window })
	err := a.o.Shared.Tell(ctx, tell)
	var all map[string]presence.Counts
	if err == nil {
		all, err = a.o.Shared.Count(ctx, streams)
	}
	if err != nil {
		clear(a.told) // all is told anew
		if !a.away && ctx.Err() == nil {
			a.o.Log.Warn("viewers are counted without those of other nodes", "error", err)
		}
		a.away = true
		return
	}
	a.away = false
	for stream, n := range all {
		// A server that has just begun knows less than this node.
		if n.Total() >= counts[stream].Total() {
			counts[stream] = n
		}
	}
}

// takePeaks are those that are to be stored.
func (a *Audience) takePeaks() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	peaks := a.peaks
	a.peaks = map[string]int{}
	for session, peak := range peaks { // shown until it is known to be stored
		if w, on := a.watched[session]; on {
			w.Peak = max(w.Peak, peak)
			a.watched[session] = w
		}
	}
	return peaks
}

// learn is told what became of peaks that were taken, and what is stored of broadcasts now. What is not stored is tried again, where the
// transaction failed or the row of a broadcast that is on air is not there yet.
func (a *Audience) learn(peaks map[string]int, watched map[string]db.Watched, stored bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for session, peak := range peaks {
		_, done := watched[session]
		if _, on := a.watched[session]; !stored || !done && on {
			a.peaks[session] = max(peak, a.peaks[session])
		}
	}
	if !stored {
		return
	}
	for session, w := range watched {
		if old, on := a.watched[session]; on {
			w.Peak = max(w.Peak, old.Peak)
			a.watched[session] = w
		}
	}
}
