package job

import (
	"context"
	"encoding/json"
	"time"
)

// State is how a job stands, in the words that admins read.
type State string

// The states of a job.
const (
	Waiting  State = "waiting" // for its turn, for its time, or to be tried again
	Running  State = "running"
	Done     State = "done"
	Failed   State = "failed" // for good
	Canceled State = "canceled"
)

// States are all of them.
var States = []State{Waiting, Running, Failed, Done, Canceled}

// Info is what admins see of a job.
type Info struct {
	ID          int64
	Kind        string
	State       State
	Subject     string
	Priority    int
	Attempts    int
	MaxAttempts int
	Percent     int
	Left        *time.Duration // nil: nobody knows
	Worker      string         // the node that runs it, or did last; ""
	// LeaseExpiresAt is when it is taken from a node that is silent until then. nil: it does not run.
	LeaseExpiresAt *time.Time
	ErrorCode      string // of the last attempt that failed; "" where none has
	ErrorDetail    string
	LogTail        []string
	Args           json.RawMessage
	CreatedAt      time.Time
	ScheduledAt    time.Time  // when it is, or was, to run
	AttemptedAt    *time.Time // the last attempt
	FinalizedAt    *time.Time
}

// Filter of List. Its zero value lets everything through.
type Filter struct {
	Kind    string
	State   State
	Subject string
	// Before lists jobs with smaller ids. 0: from the newest.
	Before int64
}

// Count is how many jobs of a kind are in a state.
type Count struct {
	Kind  string
	State State
	Count int64
}

// Admin is what admins do with jobs. Its methods may be called from any goroutine.
type Admin interface {
	Inserter
	// Find returns a job. ErrNotFound.
	Find(ctx context.Context, id int64) (Info, error)
	// List lists the newest first.
	List(ctx context.Context, f Filter, limit int) ([]Info, error)
	// Counts counts by kind and state what waits, runs or has failed after all attempts, and tells for how long the oldest waits that may run.
	Counts(ctx context.Context) ([]Count, time.Duration, error)
	// Retry has a job that is over, or waits to be tried again, run now, with at least one more attempt. ErrNotFound; ErrState for
	// one that runs. tx as for Insert.
	Retry(ctx context.Context, tx Tx, id int64) error
	// SetPriority moves a job that waits, to 1 (first) to 4. ErrNotFound; ErrState for one that waits no more. tx as for Insert.
	SetPriority(ctx context.Context, tx Tx, id int64, priority int) error
}
