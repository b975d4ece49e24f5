// Package setting holds what an admin may change while the server runs.
//
//	default ◄── file ◄── environment ◄── row of settings      the last one that says something counts
//
// A value is read from memory, and the rows again once a second at most, so that what one node changes the others see in time. While the
// database is away the values stay as they were. Before the rows were read once nobody has a value: what an admin has closed must not be open
// because the configuration says so.
package setting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/store/db"
)

// ErrVersion is returned where the settings were changed since the caller read them.
var ErrVersion = errors.New("setting: changed meanwhile")

// Sources of a value.
const (
	FromDefault = "default"
	FromFile    = "file"
	FromEnv     = "env"
	FromDB      = "db"
)

// Key is a key of the configuration that may be changed.
type Key struct {
	// Path as the configuration has it: auth.registration.
	Path, Help string
	// Default is what a server has that was told nothing; Value what file or environment say, as Source has it.
	Default, Value, Source string
	// Number says that values are whole numbers.
	Number bool
	// Check says what is wrong with a value. nil: nothing ever is.
	Check func(value string) error
}

// State is a key with the value that counts.
type State struct {
	Key
	Now    string
	Source string
}

// Invalid is returned for a value that is not allowed.
type Invalid struct { //nolint:errname // it is an answer
	Path, Message string
	Number        bool
}

// Error implements error.
func (e *Invalid) Error() string { return "setting: " + e.Path + ": " + e.Message }

// Options of New.
type Options struct {
	DB    *db.DB
	Keys  []Key
	Audit *audit.Log
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Log gets what went wrong. nil: none.
	Log *slog.Logger
}

// Service holds the values. Its methods may be called from any goroutine.
type Service struct {
	o Options

	mu      sync.Mutex            // guards what follows
	rows    map[string]db.Setting // nil: they were never read, and no value counts
	read    time.Time             // when rows were read last, or tried to be
	reading chan struct{}         // closed when they are; nil: nobody reads them
	changes int                   // made by this process: what was begun to be read before one is old
}

const (
	// freshFor is how old rows may be.
	freshFor = time.Second
	// oldAfter is how long those who have older rows wait for those of the one who reads.
	oldAfter = 500 * time.Millisecond
	// readTimeout bounds the reading of the rows: somebody may wait for the value.
	readTimeout = 2 * time.Second
)

// New makes the service.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{o: o}
}

// Load reads the rows for the first time, so that nobody waits for that later.
func (s *Service) Load(ctx context.Context) error {
	found, err := s.find(s.o.DB.Read(ctx))
	if err != nil {
		return err
	}
	now := s.o.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows, s.read = found, now
	return nil
}

// Text is the value of a key that counts now; "" for a key that is none. The error is a problem: the rows were never read.
func (s *Service) Text(path string) (string, error) {
	for _, k := range s.o.Keys {
		if k.Path == path {
			rows := s.fresh()
			if rows == nil {
				return "", problem.New(problem.Unavailable, "What the site's admins have set is not known yet. Try again.").Retry(freshFor)
			}
			return state(k, rows).Now, nil
		}
	}
	return "", nil
}

// Int is Text as a number; 0 for what is none.
func (s *Service) Int(path string) (int, error) {
	text, err := s.Text(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, nil //nolint:nilerr // a key without a number has none
	}
	return n, nil
}

// fresh are the rows, at most a second old; nil: they were never read. One caller reads them again, and the others wait for that; where
// the database hangs they have the old ones after oldAfter, and a second has to pass until the next tries.
func (s *Service) fresh() map[string]db.Setting {
	for {
		now := s.o.Now()
		s.mu.Lock()
		if !s.read.IsZero() && now.Sub(s.read) < freshFor { // where rows is nil, they could not be read just now
			defer s.mu.Unlock()
			return s.rows
		}
		reading := s.reading
		if reading == nil {
			s.reading = make(chan struct{})
			changes := s.changes
			s.mu.Unlock()
			s.readAgain(changes)
			continue
		}
		old := s.rows
		s.mu.Unlock()
		if old == nil {
			<-reading
			continue
		}
		patience := time.NewTimer(oldAfter)
		select {
		case <-reading:
			patience.Stop()
		case <-patience.C:
			return old
		}
	}
}

// readAgain reads the rows for everybody, and keeps none that were changed since changes were counted.
func (s *Service) readAgain(changes int) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		close(s.reading)
		s.reading = nil
	}()
	found, err := s.find(s.o.DB.Read(ctx))
	now := s.o.Now()
	if err != nil {
		s.o.Log.Warn("settings not read", "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if changes != s.changes {
		return // who asks reads again
	}
	if s.read = now; err == nil {
		s.rows = found
	}
}

func (s *Service) find(q db.Queries) (map[string]db.Setting, error) {
	paths := make([]string, len(s.o.Keys))
	for i, k := range s.o.Keys {
		paths[i] = k.Path
	}
	found, err := q.FindSettings(paths)
	rows := make(map[string]db.Setting, len(found))
	for _, row := range found {
		rows[row.Key] = row
	}
	return rows, err
}

func state(k Key, rows map[string]db.Setting) State {
	if row, ok := rows[k.Path]; ok && row.IsSet {
		return State{k, row.Value, FromDB}
	}
	return State{k, k.Value, k.Source}
}

// List tells every key with its value, and the version of them all.
func (s *Service) List(ctx context.Context) ([]State, int64, error) {
	rows, err := s.find(s.o.DB.Read(ctx))
	if err != nil {
		return nil, 0, err
	}
	all := make([]State, len(s.o.Keys))
	for i, k := range s.o.Keys {
		all[i] = state(k, rows)
	}
	return all, version(rows), nil
}

// version rises with each change of any row.
func version(rows map[string]db.Setting) int64 {
	sum := int64(1)
	for _, row := range rows {
		sum += row.Version
	}
	return sum
}

// Change sets values by path; nil takes one back. was is the version that the caller has read, 0: whatever it is.
func (s *Service) Change(ctx context.Context, was int64, values map[string]*string) error {
	for path, value := range values {
		if err := s.check(path, value); err != nil {
			return err
		}
	}
	err := s.o.DB.Tx(ctx, func(q db.Queries) error { return s.change(ctx, q, was, values) })
	if err == nil {
		s.mu.Lock()
		s.read = time.Time{} // who changed it sees it at once
		s.changes++
		s.mu.Unlock()
	}
	return err
}

func (s *Service) check(path string, value *string) error {
	i := slices.IndexFunc(s.o.Keys, func(k Key) bool { return k.Path == path })
	if i < 0 {
		return fmt.Errorf("setting: no key %q", path)
	}
	if check := s.o.Keys[i].Check; check != nil && value != nil {
		if err := check(*value); err != nil {
			return &Invalid{path, err.Error(), s.o.Keys[i].Number}
		}
	}
	return nil
}

func (s *Service) change(ctx context.Context, q db.Queries, was int64, values map[string]*string) error {
	rows, err := s.find(q)
	if err != nil {
		return err
	}
	if was != 0 && was != version(rows) {
		return ErrVersion
	}
	before, after := map[string]string{}, map[string]string{}
	for _, k := range s.o.Keys {
		value, named := values[k.Path]
		if !named {
			continue
		}
		old := rows[k.Path]
		row := db.Setting{
			Key: k.Path, IsSet: value != nil, UpdatedBy: caller.Of(ctx).UserID, UpdatedAt: db.At(s.o.Now()), Version: old.Version + 1,
		}
		if value != nil {
			row.Value = *value
		}
		if old.IsSet == row.IsSet && old.Value == row.Value {
			continue
		}
		if err := q.SaveSetting(row); err != nil {
			return err
		}
		before[k.Path] = state(k, rows).Now
		after[k.Path] = state(k, map[string]db.Setting{k.Path: row}).Now
	}
	if len(after) == 0 {
		return nil
	}
	return s.o.Audit.Add(ctx, q, audit.Entry{Action: "settings.update", TargetType: "site", TargetID: "settings", Before: before, After: after})
}
