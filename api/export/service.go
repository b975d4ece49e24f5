// Package export gives users what is stored about them, as a file to take away.
//
//	POST /me/exports ─► row and job, in one transaction ─► job: file.go writes a zip of JSON to the disk, and it goes into the blob store
//	GET  /me/exports/{id} ─► download_url, signed, good for 7 days ─► serve.go ─► blob store
//
// The zip lies in a file without a name while it is made, so that nothing of it is left by who dies half way. When its time is over the object
// keeper deletes it.
package export

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"mediad/api/audit"
	"mediad/api/object"
	"mediad/api/problem"
	"mediad/store/db"
	"mediad/store/job"
	"mediad/store/seal"
)

const (
	// goodFor is how long an export may be downloaded.
	goodFor = 7 * 24 * time.Hour
	// again is how soon a user may ask for another one.
	again = 24 * time.Hour
	// makeTimeout bounds one attempt at making it.
	makeTimeout = 15 * time.Minute
	attempts    = 5
)

// Options of New. DB, Objects, Secrets, Jobs and Email are required.
type Options struct {
	DB      *db.DB
	Objects *object.Keeper
	// Secrets open what is sealed and sign links.
	Secrets *seal.Ring
	Jobs    job.Inserter
	// Email opens a user's address.
	Email func(db.User) (string, error)
	// Record adds an entry to the audit log as the last statement of a transaction. nil: there is none.
	Record func(ctx context.Context, q db.Queries, e audit.Entry) error
	// Dir is where zips are written before they are stored. "": where the system has temporary files.
	Dir string
	// PublicURL is what links begin with. "": they are paths.
	PublicURL string
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Log; nil: none.
	Log *slog.Logger
}

// Service holds the rules. Its methods may be called from any goroutine.
type Service struct{ o Options }

// New makes the service.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Record == nil {
		o.Record = func(context.Context, db.Queries, audit.Entry) error { return nil }
	}
	return &Service{o}
}

type makeArgs struct {
	ExportID string `json:"export_id"`
}

// Kind implements job.Args.
func (makeArgs) Kind() string { return "account_export" }

// Jobs are the kinds of jobs of this package.
func (s *Service) Jobs() []job.Kind {
	return []job.Kind{job.Of(job.Kind{Timeout: makeTimeout, Attempts: attempts, Unique: true}, s.work)}
}

// Request asks for an export of a user; a problem where there was one within a day.
func (s *Service) Request(ctx context.Context, userID string) (db.Export, error) {
	id, err := db.NewID()
	if err != nil {
		return db.Export{}, err
	}
	now := s.o.Now()
	e := db.Export{ID: id, UserID: userID, State: db.ExportQueued, CreatedAt: db.At(now)}
	err = s.o.DB.Tx(ctx, func(q db.Queries) error {
		if _, err := q.FindOpenUser(userID); err != nil {
			return err
		}
		before, err := q.ListExports(userID, "", 10)
		if err != nil {
			return err
		}
		for _, one := range before {
			if next := one.CreatedAt.Time().Add(again); one.State != db.ExportFailed && next.After(now) {
				return problem.New(problem.RateLimited, "An export is made once a day.").Retry(next.Sub(now))
			}
		}
		if err := q.CreateExport(e); err != nil {
			return err
		}
		if _, _, err := s.o.Jobs.Insert(ctx, q, makeArgs{id}, job.Options{Subject: "user:" + userID}); err != nil {
			return err
		}
		return s.o.Record(ctx, q, audit.Entry{Action: "user.export", TargetType: "user", TargetID: userID})
	})
	return e, err
}

// Find finds one of a user; db.ErrNotFound where there is none.
func (s *Service) Find(ctx context.Context, userID, id string) (db.Export, error) {
	e, err := s.o.DB.Read(ctx).FindExport(id)
	if err == nil && e.UserID != userID {
		return db.Export{}, fmt.Errorf("export: another user's: %w", db.ErrNotFound)
	}
	return e, err
}

// List lists those of a user, the newest first, behind an id.
func (s *Service) List(ctx context.Context, userID, before string, limit int) ([]db.Export, error) {
	return s.o.DB.Read(ctx).ListExports(userID, before, limit)
}

// over says whether an export can be downloaded no more.
func (s *Service) over(e db.Export) bool {
	return e.ExpiresAt != nil && *e.ExpiresAt <= db.At(s.o.Now())
}

// work makes an export.
func (s *Service) work(ctx context.Context, j *job.Job, args makeArgs) error {
	e, err := s.o.DB.Read(ctx).FindExport(args.ExportID)
	if errors.Is(err, db.ErrNotFound) || err == nil && e.State != db.ExportQueued && e.State != db.ExportRunning {
		return nil // its user was erased, or it is made already
	}
	if err != nil {
		return err
	}
	err = s.make(ctx, j, e)
	if err == nil || j.Attempt < j.MaxAttempts || ctx.Err() != nil {
		return err
	}
	return errors.Join(err, s.state(ctx, j, e.ID, db.ExportFailed))
}

// state notes how far an export is.
func (s *Service) state(ctx context.Context, j *job.Job, id, state string) error {
	err := s.o.DB.Tx(ctx, func(q db.Queries) error {
		if err := j.Hold(q); err != nil {
			return err
		}
		return q.SetExportState(id, state, db.At(s.o.Now()))
	})
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	return err
}

func (s *Service) make(ctx context.Context, j *job.Job, e db.Export) error {
	if err := s.state(ctx, j, e.ID, db.ExportRunning); err != nil {
		return err
	}
	u, err := s.o.DB.Read(ctx).FindUser(e.UserID)
	if err != nil {
		return err
	}
	file, err := s.unnamed()
	if err != nil {
		return err
	}
	defer file.Close()
	if err := s.write(ctx, file, u, func(percent int) { j.Progress(percent, 0) }); err != nil {
		return err
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	key := "export/" + rand.Text() + ".zip"
	now := s.o.Now()
	err = s.o.Objects.Add(ctx, key, file, size, "application/zip", func(q db.Queries) error {
		if err := j.Hold(q); err != nil {
			return err
		}
		if err := s.o.Objects.DropAt(q, key, now.Add(goodFor)); err != nil {
			return err
		}
		return q.FinishExport(e.ID, key, size, db.At(now), db.At(now.Add(goodFor)))
	})
	if errors.Is(err, db.ErrNotFound) { // its user was erased meanwhile; what was stored goes
		return nil
	}
	return err
}

// unnamed makes a file that is gone once it is closed, whatever happens.
func (s *Service) unnamed() (*os.File, error) {
	if s.o.Dir != "" {
		if err := os.MkdirAll(s.o.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("export: %w", err)
		}
	}
	file, err := os.CreateTemp(s.o.Dir, "export-*")
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
