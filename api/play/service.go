// Package play has what players tell of themselves: who watches now, what was viewed, and where everybody left it.
//
//	POST /plays ─────────► a row
//	POST /plays/…/beats ─► accumulator ──each second──► one transaction: plays, views, marks, what a broadcast was watched
//	                        └► Audience: who watches now, with those who tell nothing
//
// A beat is a few comparisons in memory. Run writes what they changed, by the batch; what the database does not take is kept, and joined by
// newer beats. Locks: one over the accumulator, one over the audience, neither held while anything is waited for.
package play

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"

	"mediad/api/caller"
	"mediad/api/stream"
	"mediad/api/text"
	"mediad/api/video"
	"mediad/store/db"
)

var (
	// ErrNotFound says that there is no such thing to play for the one who asks, or no such play.
	ErrNotFound = errors.New("play: not found")
	// ErrFull says that more is played than is remembered.
	ErrFull = errors.New("play: too many at once")
)

const (
	// BeatEvery is how often a player is to tell of itself: a viewer who misses one beat, and a second one by a little, is still there.
	BeatEvery = 15 * time.Second
	// silence is after how long without a beat a play is over.
	silence = 30 * time.Minute
	// askAgain is after how long without a beat another node may know more of a play than this one.
	askAgain = 2 * time.Minute
	// DefaultMaxPlays bounds the accumulator: some 50 MB.
	DefaultMaxPlays = 100_000
	// maxReferrer is in bytes.
	maxReferrer = 255
)

// Options of New.
type Options struct {
	DB      *db.DB
	Streams *stream.Service
	Videos  *video.Service
	// Relations tells who follows whom; nil: nobody does.
	Relations stream.Relations
	Keys      Keys
	// Audience is told who watches streams.
	Audience *Audience
	// Session tells which broadcast of a stream is on air here. nil: none is.
	Session func(slug string) (id string, ok bool)
	// MaxPlays that are remembered at once. Those that were stored and were silent the longest make room; where there are none nobody new is
	// let in. More costs memory. 0: DefaultMaxPlays.
	MaxPlays int
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Log; nil: none.
	Log *slog.Logger
}

// Service keeps plays. Its methods may be called from any goroutine.
type Service struct {
	o       Options
	loading singleflight.Group
	wake    chan struct{} // there is something to store soon
	turn    chan struct{} // holds a token while somebody stores

	mu      sync.Mutex // guards the following
	plays   map[string]*entry
	dirty   []*entry // in the order of their first beat since they were stored
	storing []*entry // what was dirty, and is being stored
	swept   time.Time
}

// entry is a play in the accumulator.
type entry struct {
	row   db.Play
	slug  string // of the stream
	owner string // of the video
	need  int64  // what has to be watched to be a view, in milliseconds
	end   int64  // and to be one to the end; 0: never
	// counted is the broadcast among whose viewers it is counted already.
	counted string
	dirty   bool
	storing bool
}

// New makes the service. Run stores what it takes.
func New(o Options) *Service {
	if o.MaxPlays == 0 {
		o.MaxPlays = DefaultMaxPlays
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Session == nil {
		o.Session = func(string) (string, bool) { return "", false }
	}
	return &Service{o: o, wake: make(chan struct{}, 1), turn: make(chan struct{}, 1), plays: map[string]*entry{}}
}

// Start is what a player says when its first picture is there.
type Start struct {
	// Kind is db.PlayVideo or db.PlayStream.
	Kind string
	// ID of the video, or id or slug of the stream.
	ID string
	// ViewerID is what the player calls its viewer.
	ViewerID string
	Player   string
	Referrer string
}

// Start begins a play and returns its id. ErrNotFound: the caller may not see what is to be played.
func (s *Service) Start(ctx context.Context, in Start) (string, error) {
	e, err := s.begin(ctx, in)
	if err != nil {
		return "", err
	}
	who, peer, now := caller.Of(ctx), caller.PeerOf(ctx), s.o.Now()
	if e.row.ID, err = db.NewID(); err != nil {
		return "", err
	}
	user := ""
	if who.SignedIn() && who.Has(caller.Interactions) {
		user = who.UserID
		e.row.UserID = &user
	}
	e.row.Kind, e.row.Player, e.row.Referrer, e.row.State = in.Kind, text.Line(in.Player), text.Line(host(in.Referrer)), playing
	e.row.ViewerKey, e.row.PrefixKey = s.o.Keys.viewer(user, strings.ToLower(in.ViewerID), peer, now), s.o.Keys.network(peer)
	e.row.CreatedAt, e.row.UpdatedAt = db.At(now), db.At(now)
	if err := s.o.DB.Tx(ctx, func(q db.Queries) error { return q.CreatePlay(e.row) }); err != nil {
		return "", fmt.Errorf("play: start: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(e) // where there is no room it is read at its first beat
	return e.row.ID, nil
}

// begin finds what is to be played.
func (s *Service) begin(ctx context.Context, in Start) (*entry, error) {
	e := &entry{}
	var may bool
	if in.Kind == db.PlayVideo {
		v, err := s.o.Videos.Ready(ctx, in.ID)
		if errors.Is(err, video.ErrNotFound) {
			return nil, ErrNotFound
		}
		if err != nil {
			return nil, err
		}
		e.row.TargetID, e.owner, e.need, e.end = v.ID, v.OwnerID, needed(v.DurationMS), toTheEnd(v.DurationMS)
		if may, err = video.MayWatch(ctx, s.o.Relations, v); err != nil {
			return nil, err
		}
	} else {
		row, err := s.o.Streams.Find(ctx, in.ID)
		if errors.Is(err, stream.ErrNotFound) {
			return nil, ErrNotFound
		}
		if err != nil {
			return nil, err
		}
		e.row.TargetID, e.slug = row.ID, row.Slug
		if may, err = stream.MayWatch(ctx, s.o.Relations, row.Visibility, row.OwnerID, caller.StreamsRead); err != nil {
			return nil, err
		}
	}
	if !may {
		return nil, ErrNotFound
	}
	return e, nil
}

// host is that of a page's address; "" where there is none.
func host(referrer string) string {
	u, err := url.Parse(referrer)
	if err != nil || len(u.Host) > maxReferrer {
		return ""
	}
	return u.Hostname()
}

// Beat takes a beat. ErrNotFound: there is no such play, or it was silent for so long that it is over.
func (s *Service) Beat(ctx context.Context, id string, b Beat) error {
	if uuid.Validate(id) != nil {
		return ErrNotFound
	}
	loaded := false
	for {
		told, err := s.beat(id, b, loaded)
		if told == nil && err == nil {
			loaded = true
			if _, err, _ := s.loading.Do(id, func() (any, error) { return nil, s.load(context.WithoutCancel(ctx), id) }); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if told.slug != "" && s.o.Audience != nil {
			peer := caller.PeerOf(ctx)
			s.o.Audience.beat(told.slug, told.viewer, id, s.o.Keys.Place(peer.Addr.String(), peer.Agent), b.State == ended)
		}
		return nil
	}
}

// told is what a beat was of.
type told struct{ slug, viewer string }

// beat takes a beat of a play that is in the accumulator; nil: it is to be loaded.
func (s *Service) beat(id string, b Beat, loaded bool) (*told, error) {
	now := db.At(s.o.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.plays[id]
	switch {
	case e == nil && loaded:
		return nil, ErrFull
	case e == nil:
		return nil, nil //nolint:nilnil // see above
	}
	quiet := now.Time().Sub(e.row.UpdatedAt.Time())
	if quiet > askAgain && !loaded {
		return nil, nil //nolint:nilnil // see above
	}
	if quiet > silence {
		return nil, ErrNotFound
	}
	take(&e.row, b, now)
	if e.slug != "" {
		if session, ok := s.o.Session(e.slug); ok {
			e.row.SessionID = session
		}
	}
	if !e.dirty {
		e.dirty = true
		s.dirty = append(s.dirty, e)
	}
	if b.State != playing || len(s.dirty) >= maxBatch {
		s.wakeUp() // others read soon where it was left
	}
	return &told{e.slug, e.row.ViewerKey}, nil
}

func (s *Service) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default: // one that has not begun yet stores this too
	}
}

// load reads a play into the accumulator.
func (s *Service) load(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	q := s.o.DB.Read(ctx)
	row, err := q.FindPlay(id)
	if errors.Is(err, db.ErrNotFound) {
		return ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("play: load: %w", err)
	}
	e := &entry{row: row, counted: row.SessionID}
	if row.Kind == db.PlayVideo {
		v, err := q.FindVideo(row.TargetID)
		if err != nil && !errors.Is(err, db.ErrNotFound) {
			return fmt.Errorf("play: load: %w", err)
		}
		e.owner, e.need, e.end = v.OwnerID, needed(v.DurationMS), toTheEnd(v.DurationMS)
	} else {
		of, err := q.FindStream(row.TargetID)
		if err != nil && !errors.Is(err, db.ErrNotFound) {
			return fmt.Errorf("play: load: %w", err)
		}
		e.slug = of.Slug
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.plays[id]; old != nil {
		old.row = merge(row, old.row)
		return nil
	}
	s.keep(e)
	return nil
}

// keep takes e into the accumulator, where there is room. s.mu is held.
func (s *Service) keep(e *entry) {
	if len(s.plays) >= s.o.MaxPlays && !s.makeRoom() {
		s.o.Log.Debug("a play is not counted yet: too many at once", "plays", len(s.plays))
		return
	}
	s.plays[e.row.ID] = e
}

// makeRoom drops what is stored: once a second all that was silent for longer than askAgain, else any. s.mu is held.
func (s *Service) makeRoom() bool {
	before, now := len(s.plays), s.o.Now()
	if now.Sub(s.swept) >= time.Second {
		s.swept = now
		for id, e := range s.plays {
			if !e.dirty && !e.storing && now.Sub(e.row.UpdatedAt.Time()) > askAgain {
				delete(s.plays, id)
			}
		}
	}
	if len(s.plays) < before || len(s.dirty)+len(s.storing) >= before {
		return len(s.plays) < before
	}
	for id, e := range s.plays {
		if !e.dirty && !e.storing {
			delete(s.plays, id)
			return true
		}
	}
	return false
}
