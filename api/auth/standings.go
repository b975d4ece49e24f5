package auth

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"mediad/store/db"
)

const (
	// standingFor is how old a standing may be: what ends a session takes effect on every node within it, on the one that did it at once.
	standingFor = 4 * time.Second
	// standingPast is how long a standing is still believed while the database is away: nobody can change it meanwhile.
	standingPast = 10 * time.Minute
	// maxStandings bounds the memory: some 100 MB.
	maxStandings = 100_000
)

// standing is what was read of a session, or of an API token, and its user. absent: there is none.
type standing struct {
	user   db.User
	login  db.Login
	token  db.APIToken
	absent bool
	read   time.Time
	// changes is Standings.changes when it was begun to be read.
	changes uint64
}

// Standings remembers for some seconds how sessions, API tokens and their users stand. Its methods may be called from any goroutine.
type Standings struct {
	now     func() time.Time
	asked   func(hit bool)
	flights singleflight.Group

	mu      sync.Mutex // guards the following
	known   map[string]standing
	changes uint64    // counts what was forgotten: what was read before must not be kept after
	sweepAt time.Time // not before
}

// NewStandings makes one that knows nothing. now: nil is time.Now.
func NewStandings(now func() time.Time) *Standings {
	if now == nil {
		now = time.Now
	}
	return &Standings{now: now, asked: func(bool) {}, known: map[string]standing{}}
}

// Observed has asked told of each question and whether the answer was known. It is called before the first one.
func (s *Standings) Observed(asked func(hit bool)) *Standings {
	s.asked = asked
	return s
}

// Forget drops a session or token.
func (s *Standings) Forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	delete(s.known, key)
}

// ForgetUser drops whatever is known of a user: the role, the state or the sessions changed.
func (s *Standings) ForgetUser(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	for key, one := range s.known {
		if one.user.ID == id {
			delete(s.known, key)
		}
	}
}

// get tells how a key stands; read asks the database. One question at a time is asked for each.
func (s *Standings) get(ctx context.Context, key string, read func(context.Context) (standing, error)) (standing, error) {
	for first := true; ; first = false {
		one, changes, ok := s.look(key)
		known := ok && s.now().Sub(one.read) < standingFor
		if first {
			s.asked(known)
		}
		if known {
			return one, nil
		}
		fresh, err, _ := s.flights.Do(key, func() (any, error) {
			now := s.now()
			_, begun, _ := s.look(key)
			// Others may wait for it, so it is not given up when the one who asked first leaves.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), standingFor)
			defer cancel()
			got, err := read(ctx)
			if err != nil {
				return standing{}, err
			}
			got.read, got.changes = now, begun
			s.keep(key, got)
			return got, nil
		})
		switch {
		case err != nil && ok && db.Unavailable(err) && s.now().Sub(one.read) < standingPast:
			return one, nil
		case err != nil:
			return standing{}, err
		}
		// What was begun to be read before something changed, by a question in front of this one, may be from before the change.
		if got := fresh.(standing); got.changes >= changes {
			return got, nil
		}
	}
}

// good says whether a session or token was one when it was asked for last.
func (s *Standings) good(key string) bool {
	one, _, ok := s.look(key)
	return ok && !one.absent
}

func (s *Standings) look(key string) (standing, uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.known[key]
	return one, s.changes, ok
}

// keep remembers what was read, unless something was forgotten since it was begun to be read.
func (s *Standings) keep(key string, got standing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if got.changes != s.changes {
		return
	}
	if now := s.now(); len(s.known) >= maxStandings && !now.Before(s.sweepAt) {
		// Once a second at most, and what is none first: a crowd of made-up tokens neither takes the place of others nor has each call look
		// through them all.
		s.sweepAt = now.Add(time.Second)
		for other, one := range s.known {
			if one.absent || now.Sub(one.read) >= standingFor {
				delete(s.known, other)
			}
		}
	}
	if len(s.known) < maxStandings {
		s.known[key] = got
	}
}
