// Package category keeps the list of what streams and videos may be about.
//
//	admin ──POST, DELETE──► rows of categories ──► GET /categories, the forms of streams
//	                              └──► version, which GET /config tells, so that pages need not ask for the list again
//
// A stream is given a category that is in the list (api/stream asks in the transaction that stores it), and one that is used is not deleted: it
// is refused, or what has it is moved to another first. Streams that had a category before there was a list keep it until they are changed.
package category

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"mediad/api/account"
	"mediad/api/audit"
	"mediad/api/text"
	"mediad/store/db"
)

// What a caller may branch on; each is returned wrapped.
var (
	ErrNotFound = errors.New("no such category")
	ErrTaken    = errors.New("there is a category of that name")
	ErrUsed     = errors.New("streams or videos have the category")
	ErrFull     = errors.New("there are as many categories as are allowed")
	ErrMoveTo   = errors.New("what is moved needs another category of the list, or none")
)

const (
	// Max is how many there may be: more than fits a form.
	Max = 200
	// MaxName in characters.
	MaxName = 50
	// None is where Delete moves what shall have no category, and so the slug of none.
	None = "none"
	// moveBatch bounds one transaction of Delete: nobody else writes to SQLite meanwhile.
	moveBatch = 500
	// freshFor is how old the version may be that is told.
	freshFor = time.Second
	// readTimeout bounds its reading: GET /config waits for it.
	readTimeout = 2 * time.Second
)

// slugRule is that of the column; one in the form of an id is refused, as a path could not tell it from the id of another.
var slugRule = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

// initial is the list of a new site, by slug.
func initial() [][2]string {
	return [][2]string{
		{"art", "Art & making"}, {"education", "Education"}, {"events", "Events"}, {"food", "Food & cooking"}, {"games", "Games"}, {"music", "Music"},
		{"news", "News & politics"}, {"outdoors", "Travel & outdoors"}, {"sports", "Sports"}, {"talk", "Talk & everyday life"},
		{"technology", "Science & technology"}, {"tv", "Film & TV"},
	}
}

// Options of New.
type Options struct {
	DB    *db.DB
	Audit *audit.Log
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Log gets what went wrong. nil: none.
	Log *slog.Logger
}

// Service holds the rules. Its methods may be called from any goroutine.
type Service struct {
	o Options

	mu      sync.Mutex // guards what follows
	version int64
	read    time.Time // when version was read last, or tried to be
}

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

// Ensure gives a site that never had a category the initial list.
func (s *Service) Ensure(ctx context.Context) error {
	return s.o.DB.Tx(ctx, func(q db.Queries) error {
		version, err := q.CategoriesVersion()
		if err != nil || version > 0 {
			return err
		}
		for _, one := range initial() {
			c, err := s.row(one[0], one[1])
			if err != nil {
				return err
			}
			if err := q.CreateCategory(c); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Service) row(slug, name string) (db.Category, error) {
	id, err := db.NewID()
	if err != nil {
		return db.Category{}, fmt.Errorf("category: id: %w", err)
	}
	now := db.At(s.o.Now())
	return db.Category{ID: id, Slug: slug, Name: name, CreatedAt: now, UpdatedAt: now}, nil
}

// Version is that of the list, at most a second old. While the database is away it is the one that was read last.
func (s *Service) Version(ctx context.Context) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	if !s.read.IsZero() && now.Sub(s.read) < freshFor {
		return s.version
	}
	s.read = now
	// Not the caller's: who goes away must not leave the others with an old one.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	version, err := s.o.DB.Read(ctx).CategoriesVersion()
	if err != nil {
		s.o.Log.WarnContext(ctx, "version of categories not read", "error", err)
		return s.version
	}
	s.version = version
	return version
}

// changed lets who asks next read the version.
func (s *Service) changed() {
	s.mu.Lock()
	s.read = time.Time{}
	s.mu.Unlock()
}

// List lists by slug, behind the one of a slug.
func (s *Service) List(ctx context.Context, after string, limit int) ([]db.CountedCategory, error) {
	return s.o.DB.Read(ctx).ListCategories(after, limit)
}

// Get finds one by id or slug.
func (s *Service) Get(ctx context.Context, idOrSlug string) (c db.CountedCategory, err error) {
	q := s.o.DB.Read(ctx)
	one, err := find(q, idOrSlug)
	if err == nil {
		c, err = q.CountCategory(one.Slug)
	}
	if errors.Is(err, db.ErrNotFound) {
		return c, fmt.Errorf("category: %w", ErrNotFound)
	}
	return c, err
}

// Create adds one.
func (s *Service) Create(ctx context.Context, slug, name string) (db.Category, error) {
	var bad account.Invalid
	if !slugRule.MatchString(slug) || uuid.Validate(slug) == nil || slug == None {
		bad.Add("slug", "invalid_format", "1 to 40 characters of a-z, 0-9 and -, not an id, and not "+None, 0)
	}
	switch name = text.Line(name); {
	case name == "":
		bad.Add("name", "too_short", "1 to 50 characters", 0)
	case text.Len(name) > MaxName:
		bad.Add("name", "too_long", "1 to 50 characters", MaxName)
	}
	if len(bad.Fields) > 0 {
		return db.Category{}, &bad
	}
	c, err := s.row(slug, name)
	if err != nil {
		return db.Category{}, err
	}
	err = s.o.DB.Tx(ctx, func(q db.Queries) error {
		n, err := q.CountCategories(Max)
		if err != nil {
			return err
		}
		if n >= Max {
			return ErrFull
		}
		if err := q.CreateCategory(c); err != nil {
			return err
		}
		return s.o.Audit.Add(ctx, q, audit.Entry{
			Action: "category.create", TargetType: "category", TargetID: c.ID, After: map[string]string{"slug": slug, "name": name},
		})
	})
	if errors.Is(err, db.ErrDuplicate) {
		err = ErrTaken
	}
	s.changed()
	if err != nil {
		return db.Category{}, fmt.Errorf("category: %s: %w", slug, err)
	}
	return c, nil
}

// Delete takes one from the list, by id or slug. What has it is moved to the category of a slug, or to None; "": ErrUsed where something has
// it. A call that is cut short has moved a part, and goes on when it is made again.
func (s *Service) Delete(ctx context.Context, idOrSlug, moveTo string) error {
	for total := 0; ; {
		moved, done := 0, false
		err := s.o.DB.Tx(ctx, func(q db.Queries) (err error) {
			moved, done, err = s.delete(ctx, q, idOrSlug, moveTo, total)
			return err
		})
		s.changed()
		switch {
		case errors.Is(err, db.ErrNotFound):
			return fmt.Errorf("category: %w", ErrNotFound)
		case err != nil:
			return fmt.Errorf("category: delete: %w", err)
		case done:
			return nil
		}
		total += moved
	}
}

// delete moves a batch, or, where nothing is left to move, deletes.
func (s *Service) delete(ctx context.Context, q db.Queries, idOrSlug, moveTo string, before int) (moved int, done bool, err error) {
	c, err := find(q, idOrSlug)
	if err != nil {
		return 0, false, err
	}
	now := db.At(s.o.Now())
	if moveTo != "" {
		to, err := target(q, c, moveTo)
		if err != nil {
			return 0, false, err
		}
		if moved, err = q.MoveCategory(c.Slug, to, moveBatch, now); err != nil || moved > 0 {
			return moved, false, err
		}
	}
	used, err := q.CategoryUsed(c.Slug)
	if err != nil {
		return 0, false, err
	}
	if used {
		return 0, false, ErrUsed
	}
	if err := q.DeleteCategory(c.ID, now); err != nil {
		return 0, false, err
	}
	e := audit.Entry{Action: "category.delete", TargetType: "category", TargetID: c.ID, Before: map[string]string{"slug": c.Slug, "name": c.Name}}
	if moveTo != "" {
		e.After = map[string]any{"moved_to": moveTo, "moved": before}
	}
	return 0, true, s.o.Audit.Add(ctx, q, e)
}

func find(q db.Queries, idOrSlug string) (db.Category, error) {
	if uuid.Validate(idOrSlug) == nil {
		return q.FindCategory(strings.ToLower(idOrSlug))
	}
	return q.FindCategoryBySlug(idOrSlug)
}

// target is the slug that what has c gets in its place.
func target(q db.Queries, c db.Category, moveTo string) (string, error) {
	if moveTo == None {
		return "", nil
	}
	to, err := find(q, moveTo)
	if errors.Is(err, db.ErrNotFound) || err == nil && to.ID == c.ID {
		return "", ErrMoveTo
	}
	return to.Slug, err
}
