package river

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"

	"mediad/store/db"
	"mediad/store/job"
)

// Options of New.
type Options struct {
	DB *db.DB
	// Node names this process to admins. What makes it unique is added.
	Node string
	// Kinds are what jobs there are. Every node has all of them.
	Kinds []job.Kind
	// Failed is called in the transaction that ends a job of a kind that is not Quiet for good without success. nil: nobody is told.
	Failed func(q db.Queries, f Failure) error
	// Observe is told of every attempt, with how it ended: done, retry, failed, later, interrupted or lost. nil: nobody.
	Observe func(kind, result string, took time.Duration)
	// Beat is how often the node renews its heartbeat and looks for silent ones; 10 s. Silent is after how long a node is taken for
	// dead; 30 s, and at least twice Beat: a write that is slow must not cost a node its jobs.
	Beat, Silent time.Duration
	// Grace is how long running jobs may go on when the node stops, before their contexts end; 5 s. Half of it is what they then have
	// to return.
	Grace time.Duration
	// Poll is how often a kind's queue is looked at without being told of a job: on SQLite for what another process inserted, on
	// PostgreSQL for news that was lost. 5 s. Shorter costs a statement a kind each time, longer is what a lost job waits.
	Poll time.Duration
	// Log gets what goes wrong. nil: none.
	Log *slog.Logger
	Now func() time.Time
}

// Failure is a job that has failed for good.
type Failure struct {
	ID          int64
	Kind        string
	Attempts    int
	Code        string // one word
	Detail      string // for admins
	Subject     string // what it was about; "" is nothing in particular
	FinalizedAt time.Time
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		of    *time.Duration
		value time.Duration
	}{{&o.Beat, 10 * time.Second}, {&o.Silent, 30 * time.Second}, {&o.Grace, 5 * time.Second}, {&o.Poll, 5 * time.Second}} {
		if *d.of == 0 {
			*d.of = d.value
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observe == nil {
		o.Observe = func(string, string, time.Duration) {}
	}
	return o
}

var kindName = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)

func (o Options) validate() error {
	switch {
	case o.DB == nil:
		return errors.New("river: no database")
	case o.Beat <= 0 || o.Silent < 2*o.Beat:
		return fmt.Errorf("river: a node is silent after %s and beats each %s", o.Silent, o.Beat)
	case o.Poll < 100*time.Millisecond:
		return fmt.Errorf("river: poll each %s, want 100 ms at least", o.Poll)
	}
	seen := map[string]bool{}
	for _, k := range o.Kinds {
		switch {
		case len(k.Name) < 2 || len(k.Name) > 64 || !kindName.MatchString(k.Name):
			return fmt.Errorf("river: kind %q: want 2 to 64 of a-z, 0-9 and _ between them", k.Name)
		case seen[k.Name]:
			return fmt.Errorf("river: kind %q twice", k.Name)
		case k.Work == nil:
			return fmt.Errorf("river: kind %q has no worker", k.Name)
		case k.Priority < 0 || k.Priority > 4:
			return fmt.Errorf("river: kind %q: priority %d, want 1 to 4", k.Name, k.Priority)
		case k.Every != 0 && k.Every < time.Second:
			return fmt.Errorf("river: kind %q each %s, want a second at least", k.Name, k.Every)
		}
		seen[k.Name] = true
	}
	return nil
}

// Queue keeps the jobs of a site and, while Run runs, works on them. Its methods may be called from any goroutine.
type Queue struct {
	o     Options
	node  string // of this run of the process
	kinds map[string]job.Kind
	news  *news // nil on PostgreSQL
	asks  *river.Client[*sql.Tx]
	runs  running
	notes notes
}

var _ job.Inserter = (*Queue)(nil)

// New makes a queue. It starts nothing.
func New(o Options) (*Queue, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	q := &Queue{o: o, node: nodeName(o.Node) + "-" + id.String(), kinds: map[string]job.Kind{}}
	for _, k := range o.Kinds {
		q.kinds[k.Name] = withDefaults(k)
	}
	if o.DB.Engine() == db.SQLite {
		q.news = newNews()
	}
	q.notes.init()
	q.asks, err = river.NewClient(q.driver(nil), &river.Config{
		// Of two jobs within it one is told of, and the other may be stored after that one was looked for.
		FetchCooldown: river.FetchCooldownMin, Logger: q.logger(),
	})
	if err != nil {
		return nil, fmt.Errorf("river: %w", err)
	}
	return q, nil
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9]+`)

func nodeName(name string) string {
	name = notInNames.ReplaceAllString(name, "-")
	if name == "" || name[0] == '-' {
		name = "node" + name
	}
	return name[:min(len(name), 50)]
}

func withDefaults(k job.Kind) job.Kind {
	if k.Workers == 0 {
		k.Workers = 1
	}
	if k.Timeout == 0 {
		k.Timeout = time.Minute
	}
	if k.Attempts == 0 {
		k.Attempts = 10
	}
	if k.Priority == 0 {
		k.Priority = 2
	}
	if k.Retry == nil {
		k.Retry = func(attempt int) time.Duration { return min(10*time.Second<<min(attempt-1, 9), time.Hour) }
	}
	return k
}

// driver is River's for the engine; inner is what to use on PostgreSQL by who waits for news there.
func (q *Queue) driver(inner riverdriver.Driver[*sql.Tx]) *driver {
	d := &driver{Driver: inner, postgres: q.news == nil, news: q.news, failed: q.failed}
	switch {
	case q.news != nil:
		d.Driver = riversqlite.New(q.o.DB.JobPool())
	case inner == nil:
		d.Driver = riverdatabasesql.New(q.o.DB.JobPool())
	}
	return d
}

// arguments are a job's, as they are stored.
type arguments struct {
	kind string
	data json.RawMessage
}

var _ river.JobArgs = arguments{}

func (a arguments) Kind() string { return a.kind }

func (a arguments) MarshalJSON() ([]byte, error) { return a.data, nil }

func (a *arguments) UnmarshalJSON(data []byte) error {
	a.data = append(a.data[:0], data...)
	return nil
}

// states in which a job of a Unique kind keeps others out.
var unfinished = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled,
}

// Insert implements job.Inserter.
func (q *Queue) Insert(ctx context.Context, tx job.Tx, args job.Args, o job.Options) (id int64, inserted bool, err error) {
	if tx == nil {
		err = q.o.DB.Tx(ctx, func(own db.Queries) error {
			id, inserted, err = q.Insert(ctx, own, args, o)
			return err
		})
		return id, inserted, err
	}
	in, ok := tx.(db.Queries)
	if !ok || in.SQL() == nil {
		return 0, false, errNoTransaction
	}
	k, ok := q.kinds[args.Kind()]
	if !ok {
		return 0, false, fmt.Errorf("river: kind %q is not known", args.Kind())
	}
	data, err := json.Marshal(args)
	if err != nil {
		return 0, false, fmt.Errorf("river: arguments of %s: %w", k.Name, err)
	}
	opts := &river.InsertOpts{Queue: k.Name, MaxAttempts: k.Attempts, Priority: k.Priority, ScheduledAt: o.At}
	if o.Priority != 0 {
		opts.Priority = o.Priority
	}
	if k.Unique {
		opts.UniqueOpts = river.UniqueOpts{ByArgs: true, ByState: unfinished}
	}
	result, err := q.asks.InsertTx(ctx, in.SQL(), arguments{k.Name, data}, opts)
	if err != nil {
		return 0, false, fmt.Errorf("river: insert %s: %w", k.Name, err)
	}
	if result.UniqueSkippedAsDuplicate {
		return result.Job.ID, false, nil
	}
	if o.Subject != "" {
		if err := in.SetSubject(result.Job.ID, o.Subject, db.At(q.o.Now())); err != nil {
			return 0, false, err
		}
	}
	if q.news != nil {
		tx.AfterCommit(func() { q.tell(topicInsert, insertNews{k.Name}) })
	}
	return result.Job.ID, true, nil
}

// tell gives news to the workers of this process.
func (q *Queue) tell(topic string, what any) {
	if payload, err := json.Marshal(what); err == nil {
		q.news.tell(topic, string(payload))
	}
}

// failed tells whoever wants to know of jobs that have failed for good.
func (q *Queue) failed(ctx context.Context, tx *sql.Tx, rows []*rivertype.JobRow) error {
	if q.o.Failed == nil {
		return nil
	}
	in := q.o.DB.Within(ctx, tx)
	for _, row := range rows {
		if q.kinds[row.Kind].Quiet {
			continue
		}
		f := Failure{ID: row.ID, Kind: row.Kind, Attempts: row.Attempt, FinalizedAt: q.o.Now()}
		if n := len(row.Errors); n > 0 {
			f.Code, f.Detail = reason(row.Errors[n-1])
		}
		known, err := in.FindProgress([]int64{row.ID})
		if err != nil {
			return err
		}
		if len(known) > 0 {
			f.Subject = known[0].Subject
		}
		if err := q.o.Failed(in, f); err != nil {
			return err
		}
	}
	return nil
}
