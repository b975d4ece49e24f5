// Package upkeep is what admins have done to the whole site when they want it: a sweep of all that is due, and a backup of the rows.
//
//	POST /admin/sweep, /admin/backup ─► job and record, in one transaction ─► a node that has the site's parts: Parts.Sweeps, Parts.Backup
//
// Of each kind one waits or runs at a time; who asks meanwhile is shown that one. No goroutine is started.
package upkeep

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"mediad/api/audit"
	"mediad/store/db"
	"mediad/store/job"
	"mediad/store/sweep"
)

const (
	// sweepTimeout and backupTimeout bound an attempt.
	sweepTimeout  = time.Hour
	backupTimeout = 4 * time.Hour
	attempts      = 3
)

// Sweep is one of the sweeps of the site.
type Sweep struct {
	// Name says what it deletes, and Unit what it counts.
	Name, Unit string
	Do         sweep.Once
}

// Parts are what does the work.
type Parts struct {
	// Sweeps are done in this order. One that fails keeps no other from it.
	Sweeps []Sweep
	// Backup makes a backup, and reports in the job.
	Backup func(ctx context.Context, j *job.Job) error
}

// Options of New. DB and Jobs are required.
type Options struct {
	DB   *db.DB
	Jobs job.Inserter
	// Record adds an entry to the audit log as the last statement of a transaction. nil: there is none.
	Record func(ctx context.Context, q db.Queries, e audit.Entry) error
}

// Service holds the rules. Its methods may be called from any goroutine.
type Service struct {
	o     Options
	parts Parts
}

// New makes the service.
func New(o Options) *Service {
	if o.Record == nil {
		o.Record = func(context.Context, db.Queries, audit.Entry) error { return nil }
	}
	return &Service{o: o}
}

// Use says what does the work. It is called before the queue runs.
func (s *Service) Use(p Parts) { s.parts = p }

type sweepArgs struct{}

// Kind implements job.Args.
func (sweepArgs) Kind() string { return "site_sweep" }

type backupArgs struct{}

// Kind implements job.Args.
func (backupArgs) Kind() string { return "site_backup" }

// Jobs are the kinds of jobs of this package.
func (s *Service) Jobs() []job.Kind {
	return []job.Kind{
		job.Of(job.Kind{Timeout: sweepTimeout, Attempts: attempts, Unique: true}, func(ctx context.Context, j *job.Job, _ sweepArgs) error { return s.sweep(ctx, j) }),
		job.Of(job.Kind{Timeout: backupTimeout, Attempts: attempts, Unique: true}, func(ctx context.Context, j *job.Job, _ backupArgs) error { return s.parts.Backup(ctx, j) }),
	}
}

// Sweep asks for a sweep, and returns the id of the job: that which waits or runs, where there is one.
func (s *Service) Sweep(ctx context.Context) (int64, error) {
	return s.ask(ctx, sweepArgs{}, "site.sweep")
}

// Backup asks for a backup, likewise.
func (s *Service) Backup(ctx context.Context) (int64, error) {
	return s.ask(ctx, backupArgs{}, "site.backup")
}

func (s *Service) ask(ctx context.Context, args job.Args, action string) (id int64, err error) {
	err = s.o.DB.Tx(ctx, func(q db.Queries) (err error) {
		var inserted bool
		if id, inserted, err = s.o.Jobs.Insert(ctx, q, args, job.Options{}); err != nil || !inserted {
			return err
		}
		return s.o.Record(ctx, q, audit.Entry{Action: action, TargetType: "job", TargetID: strconv.FormatInt(id, 10)})
	})
	return id, err
}

// sweep does all sweeps once.
func (s *Service) sweep(ctx context.Context, j *job.Job) error {
	var failed []error
	for i, one := range s.parts.Sweeps {
		n, err := one.Do(ctx)
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", one.Name, err))
			j.Logf("%s: %d %s, then it failed: %v", one.Name, n, one.Unit, err)
		} else {
			j.Logf("%s: %d %s", one.Name, n, one.Unit)
		}
		j.Progress((i+1)*100/len(s.parts.Sweeps), 0)
	}
	return errors.Join(failed...)
}
