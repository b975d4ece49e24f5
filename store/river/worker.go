package river

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"mediad/store/db"
	"mediad/store/job"
)

// worker runs the attempts of a kind.
type worker struct {
	river.WorkerDefaults[arguments]
	queue *Queue
	kind  job.Kind
}

var _ river.Worker[arguments] = (*worker)(nil)

// Timeout implements river.Worker.
func (w *worker) Timeout(*river.Job[arguments]) time.Duration {
	if w.kind.Timeout < 0 {
		return -1
	}
	return w.kind.Timeout
}

// NextRetry implements river.Worker.
func (w *worker) NextRetry(j *river.Job[arguments]) time.Time {
	return time.Now().Add(w.kind.Retry(j.Attempt))
}

// Work implements river.Worker.
func (w *worker) Work(ctx context.Context, j *river.Job[arguments]) (err error) {
	if err := river.MetadataSet(ctx, attemptKey, j.Attempt); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := &control{queue: w.queue, job: j.ID, attempt: j.Attempt}
	defer w.queue.runs.add(cancel)()
	began, returned := time.Now(), false
	defer func() {
		if !returned { // it panicked, and River tells
			err = errPanic
		}
		w.queue.o.Observe(w.kind.Name, outcome(ctx, err, j.JobRow), time.Since(began))
		w.queue.notes.flush(c)
	}()
	err = w.kind.Work(ctx, &job.Job{
		ID: j.ID, Kind: j.Kind, Attempt: j.Attempt, MaxAttempts: j.MaxAttempts, Args: j.Args.data, CreatedAt: j.CreatedAt, Control: c,
	})
	returned = true
	return translate(ctx, err)
}

// translate says in River's words how an attempt ended.
func translate(ctx context.Context, err error) error {
	if in, ok := job.LaterIn(err); ok {
		return river.JobSnooze(in)
	}
	switch {
	case job.IsFailure(err):
		return river.JobCancel(err)
	case errors.Is(err, context.DeadlineExceeded) && errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return fmt.Errorf("[timeout] %w", err)
	case err != nil && errors.Is(context.Cause(ctx), job.ErrLost):
		return fmt.Errorf("[lost] %w", job.ErrLost)
	}
	return err
}

var errPanic = errors.New("panic")

func outcome(ctx context.Context, err error, row *rivertype.JobRow) string {
	var snooze *rivertype.JobSnoozeError
	var stop *rivertype.JobCancelError
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &snooze):
		return "later"
	case errors.As(err, &stop):
		return "failed"
	case errors.Is(context.Cause(ctx), job.ErrLost):
		return "lost"
	case errors.Is(context.Cause(ctx), rivertype.ErrJobCancelledRemotely):
		return "canceled"
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return "interrupted"
	case row.Attempt >= row.MaxAttempts:
		return "failed"
	}
	return "retry"
}

var coded = regexp.MustCompile(`(?s)^(?:JobCancelError: )?\[([a-z_]+)\] (.*)$`)

// reason is what an error says, and in one word.
func reason(e rivertype.AttemptError) (code, detail string) {
	if m := coded.FindStringSubmatch(e.Error); m != nil {
		return m[1], m[2]
	}
	if e.Trace != "" {
		return "panic", e.Error
	}
	return "failed", e.Error
}

// running is what runs here now, to be stopped when the node has lost its lease.
type running struct {
	mu      sync.Mutex // guards the following
	cancels map[int]context.CancelCauseFunc
	next    int
}

func (r *running) add(cancel context.CancelCauseFunc) (done func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancels == nil {
		r.cancels = map[int]context.CancelCauseFunc{}
	}
	id := r.next
	r.next++
	r.cancels[id] = cancel
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.cancels, id)
	}
}

func (r *running) stop(cause error) (stopped int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, cancel := range r.cancels {
		cancel(cause)
	}
	return len(r.cancels)
}

// maxLog is how many lines are kept of what a job says, and maxLine how long one may be.
const (
	maxLog  = 20
	maxLine = 500
)

// control implements job.Control for one attempt.
type control struct {
	queue   *Queue
	job     int64
	attempt int

	saving sync.Mutex // held while what was taken is written; before mu

	mu      sync.Mutex // guards the following
	percent int
	left    time.Duration
	lines   []string
	dirty   bool
}

var _ job.Control = (*control)(nil)

// Hold implements job.Control.
func (c *control) Hold(tx job.Tx) error {
	in, ok := tx.(db.Queries)
	if !ok || in.SQL() == nil {
		return errNoTransaction
	}
	holds, err := in.HoldJob(c.job, c.attempt)
	if err == nil && !holds {
		err = fmt.Errorf("river: job %d, attempt %d: %w", c.job, c.attempt, job.ErrLost)
	}
	return err
}

// Progress implements job.Control.
func (c *control) Progress(percent int, left time.Duration) {
	c.mu.Lock()
	c.percent = max(c.percent, min(max(percent, 0), 100))
	c.left, c.dirty = left, true
	c.mu.Unlock()
	c.queue.notes.add(c)
}

// Logf implements job.Control.
func (c *control) Logf(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	c.mu.Lock()
	c.lines = append(c.lines, line[:min(len(line), maxLine)])
	c.lines = c.lines[max(0, len(c.lines)-maxLog):]
	c.dirty = true
	c.mu.Unlock()
	c.queue.notes.add(c)
}

// take is what is to be saved, if anything is.
func (c *control) take(now time.Time) (p db.JobProgress, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dirty {
		return p, false
	}
	c.dirty = false
	p = db.JobProgress{JobID: c.job, Attempt: c.attempt, Percent: c.percent, LogTail: append([]string{}, c.lines...), UpdatedAt: db.At(now)}
	if c.left > 0 {
		ms := c.left.Milliseconds()
		p.EtaMS = &ms
	}
	return p, true
}
