// Package job is the contract of work that outlives the request that asked for it: what a kind of job is, what its worker is handed,
// how one is asked for. store/river keeps and runs them in the database.
//
//	service ──Insert, in its transaction──► database ──► a node that has the kind ──► Work(ctx, *Job, args)
//	                                            ▲                                          │
//	                                            └── done, failed, again later, handed back ┘
//
// A job runs at least once: its node may die after the work and before it is noted, so work is idempotent, and what it leaves behind is
// written under Job.Hold, by which an attempt that was taken for dead changes nothing.
package job

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ErrLost is returned, wrapped, by Job.Hold, and is the cause of the context of an attempt whose node was silent for too long: the job
// may run elsewhere by now.
var ErrLost = errors.New("job: the attempt no longer counts")

// ErrNotFound is returned, wrapped, for a job that is not there, or no more.
var ErrNotFound = errors.New("job: not found")

// ErrState is returned, wrapped, where a job's state does not allow what was asked.
var ErrState = errors.New("job: not in this state")

// Args are what a job is to do. They are stored as JSON and shown to admins, so they hold ids and no secrets.
type Args interface {
	// Kind is the name of the kind, "webhook_delivery": 2 to 64 of a-z, 0-9 and _ between them.
	Kind() string
}

// Tx is a transaction of the database in which the queue is kept; db.Queries of a db.Tx is one.
type Tx interface {
	SQL() *sql.Tx
	AfterCommit(fn func())
}

// Options of Insert. The zero value: now, at the kind's own priority.
type Options struct {
	// At is when it runs, at the earliest. Zero: at once.
	At time.Time
	// Priority is 1 (first) to 4. 0: that of the kind.
	Priority int
	// Subject is what the job is about, "video:ID": admins find it by this.
	Subject string
}

// Inserter asks for jobs. Its methods may be called from any goroutine, and before Run.
type Inserter interface {
	// Insert stores a job within tx, and wakes a worker when tx is stored; with a nil tx by itself (never within another transaction:
	// SQLite has one writer). Of a Unique kind it changes nothing where such a job waits or runs, and returns that one's id and false.
	Insert(ctx context.Context, tx Tx, args Args, o Options) (id int64, inserted bool, err error)
	// Cancel ends a job that waits, and tells one that runs to stop, once tx is stored; with a nil tx by itself, as Insert. ErrNotFound;
	// ErrState for one that is over.
	Cancel(ctx context.Context, tx Tx, id int64) error
}

// Kind is a kind of job and who works on it.
type Kind struct {
	// Name as Args.Kind returns it.
	Name string
	// Work does it. Its context ends when the job is cancelled, at Timeout, when the node stops, or loses its lease. An error means
	// another attempt, but for those of Fail, Later, and a context that ended because the node stops: such a job goes on elsewhere,
	// unpunished. It returns soon after its context has ended; a panic is an error.
	Work func(ctx context.Context, j *Job) error
	// Workers is how many run at the same time on a node. 0: 1. More than cores for what waits on others; 1 for what encodes.
	Workers int
	// Timeout bounds an attempt. 0: 1 minute; negative: none, for work whose length nobody knows and that reports progress.
	Timeout time.Duration
	// Attempts before it has failed for good. 0: 10.
	Attempts int
	// Retry is how long to wait after that attempt, from 1. nil: 10 s doubled with each, up to an hour.
	Retry func(attempt int) time.Duration
	// Priority is 1 to 4. 0: 2.
	Priority int
	// Unique: of all jobs with the same arguments one waits or runs.
	Unique bool
	// Every has a job with the arguments {} inserted once a period, by one node of all, and soon after a start that has missed one.
	// 0: only what is asked for.
	Every time.Duration
	// Retries are told to nobody: job.failed is not emitted for the kind. For kinds that tell of their failure themselves.
	Quiet bool
}

// Of makes a Kind whose arguments are an A. Arguments that cannot be read are a failure for good.
func Of[A Args](k Kind, work func(ctx context.Context, j *Job, args A) error) Kind {
	var zero A
	k.Name = zero.Kind()
	k.Work = func(ctx context.Context, j *Job) error {
		var args A
		if err := json.Unmarshal(j.Args, &args); err != nil {
			return Fail("malformed_args", fmt.Errorf("arguments: %w", err))
		}
		return work(ctx, j, args)
	}
	return k
}

// Periodic makes a Kind that runs once a period and takes no arguments. How many work has deleted is in what admins see of it.
func Periodic(name string, every time.Duration, work func(ctx context.Context) (n int64, err error)) Kind {
	return Kind{Name: name, Every: every, Unique: true, Work: func(ctx context.Context, j *Job) error {
		n, err := work(ctx)
		j.Logf("%d deleted", n)
		return err
	}}
}

// Job is one attempt.
type Job struct {
	ID          int64
	Kind        string
	Attempt     int // from 1
	MaxAttempts int
	Args        json.RawMessage
	CreatedAt   time.Time
	// Control is how the attempt reports.
	Control
}

// Control is what runs the attempt.
type Control interface {
	// Hold is called first in each transaction that writes something of the job's result. ErrLost: the attempt no longer counts, and the
	// transaction is to fail. Until the transaction ends nobody takes the job away.
	Hold(tx Tx) error
	// Progress notes how far the work is, 0 to 100, and what is left, if that is known (0: not). It never waits and never falls within an
	// attempt; what is newer replaces what is not yet written.
	Progress(percent int, left time.Duration)
	// Logf adds a line to what admins see of the job: the last 20 are kept.
	Logf(format string, args ...any)
}

// failure ends a job although attempts are left.
type failure struct {
	code string
	err  error
}

// Error has the word where store/river finds it again.
func (f *failure) Error() string { return "[" + f.code + "] " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// Fail ends the job for good, with a word for why. err is for logs and admins.
func Fail(code string, err error) error { return &failure{code, err} }

// IsFailure says whether err is of Fail.
func IsFailure(err error) bool {
	var f *failure
	return errors.As(err, &f)
}

// later asks for another attempt without counting this one.
type later struct{ in time.Duration }

func (l *later) Error() string { return "job: again in " + l.in.String() }

// Later has the same attempt run again after that time: it was not the moment. It is no failure and does not count.
func Later(in time.Duration) error { return &later{in} }

// LaterIn is what Later was told, if err is of it.
func LaterIn(err error) (time.Duration, bool) {
	var l *later
	if errors.As(err, &l) {
		return l.in, true
	}
	return 0, false
}
