package river

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"mediad/store/db"
	"mediad/store/job"
)

var _ job.Admin = (*Queue)(nil)

// within runs do in tx, or in a transaction of its own where there is none.
func (q *Queue) within(ctx context.Context, tx job.Tx, do func(in db.Queries) error) error {
	if tx == nil {
		return q.o.DB.Tx(ctx, do)
	}
	in, ok := tx.(db.Queries)
	if !ok || in.SQL() == nil {
		return errNoTransaction
	}
	return do(in)
}

// Cancel implements job.Inserter.
func (q *Queue) Cancel(ctx context.Context, tx job.Tx, id int64) error {
	return q.within(ctx, tx, func(in db.Queries) error {
		before, err := q.asks.JobGetTx(ctx, in.SQL(), id)
		if err != nil {
			return fmt.Errorf("river: cancel job %d: %w", id, known(err))
		}
		if before.FinalizedAt != nil {
			return fmt.Errorf("river: cancel job %d, which is %s: %w", id, before.State, job.ErrState)
		}
		row, err := q.asks.JobCancelTx(ctx, in.SQL(), id)
		if err != nil {
			return fmt.Errorf("river: cancel job %d: %w", id, known(err))
		}
		switch {
		case row.FinalizedAt != nil && row.State != rivertype.JobStateCancelled: // it has ended since it was looked at
			return fmt.Errorf("river: cancel job %d, which is %s: %w", id, row.State, job.ErrState)
		case q.news != nil && row.State == rivertype.JobStateRunning:
			in.AfterCommit(func() { q.tell(topicControl, controlNews{"cancel", row.ID, row.Queue}) })
		}
		return nil
	})
}

// Retry implements job.Admin.
func (q *Queue) Retry(ctx context.Context, tx job.Tx, id int64) error {
	return q.within(ctx, tx, func(in db.Queries) error {
		row, err := q.asks.JobGetTx(ctx, in.SQL(), id)
		if err != nil {
			return fmt.Errorf("river: retry job %d: %w", id, known(err))
		}
		if row.State == rivertype.JobStateRunning {
			return fmt.Errorf("river: retry job %d, which runs: %w", id, job.ErrState)
		}
		if row, err = q.asks.JobRetryTx(ctx, in.SQL(), id); err != nil {
			return fmt.Errorf("river: retry job %d: %w", id, known(err))
		}
		// What somebody has cancelled may run again, and not be cancelled for that.
		if err := in.Uncancel(id); err != nil {
			return err
		}
		in.AfterCommit(func() { q.wake(ctx, row.Queue) })
		return nil
	})
}

// SetPriority implements job.Admin.
func (q *Queue) SetPriority(ctx context.Context, tx job.Tx, id int64, priority int) error {
	return q.within(ctx, tx, func(in db.Queries) error {
		err := in.SetJobPriority(id, priority)
		if !errors.Is(err, db.ErrNotFound) {
			return err
		}
		if _, err := q.asks.JobGetTx(ctx, in.SQL(), id); err != nil {
			return fmt.Errorf("river: priority of job %d: %w", id, known(err))
		}
		return fmt.Errorf("river: priority of job %d: %w", id, job.ErrState)
	})
}

// Find implements job.Admin.
func (q *Queue) Find(ctx context.Context, id int64) (job.Info, error) {
	row, err := q.row(ctx, id)
	if err != nil {
		return job.Info{}, err
	}
	found, err := q.describe(ctx, []*rivertype.JobRow{row})
	if err != nil {
		return job.Info{}, err
	}
	return found[0], nil
}

func (q *Queue) row(ctx context.Context, id int64) (*rivertype.JobRow, error) {
	row, err := q.asks.JobGet(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("river: find job %d: %w", id, known(err))
	}
	return row, nil
}

func known(err error) error {
	if errors.Is(err, rivertype.ErrNotFound) {
		return fmt.Errorf("%w: %w", job.ErrNotFound, err)
	}
	return err
}

// cancelled is how River marks what somebody has cancelled, rather than what its worker gave up.
const cancelled = "cancel_attempted_at"

// List implements job.Admin.
func (q *Queue) List(ctx context.Context, f job.Filter, limit int) ([]job.Info, error) {
	p := river.NewJobListParams().OrderBy(river.JobListOrderByID, river.SortOrderDesc).First(limit)
	if f.Kind != "" {
		p = p.Kinds(f.Kind)
	}
	if f.Before > 0 {
		p = p.Where("id < @before", river.NamedArgs{"before": f.Before})
	}
	gone := "metadata -> '" + cancelled + "' IS "
	if q.news != nil {
		gone = "json_extract(metadata, '$." + cancelled + "') IS "
	}
	switch f.State {
	case job.Waiting:
		p = p.States(rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateScheduled)
	case job.Running:
		p = p.States(rivertype.JobStateRunning)
	case job.Done:
		p = p.States(rivertype.JobStateCompleted)
	case job.Failed:
		p = p.States(rivertype.JobStateDiscarded, rivertype.JobStateCancelled).Where("(state = 'discarded' OR " + gone + "NULL)")
	case job.Canceled:
		p = p.States(rivertype.JobStateCancelled).Where(gone + "NOT NULL")
	}
	if f.Subject != "" {
		ids, err := q.o.DB.Read(ctx).ListJobsOf(f.Subject, f.Before, maxOfSubject)
		if err != nil || len(ids) == 0 {
			return nil, err
		}
		p = p.IDs(ids...)
	}
	result, err := q.asks.JobList(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("river: list jobs: %w", err)
	}
	return q.describe(ctx, result.Jobs)
}

// maxOfSubject bounds how many jobs of one subject are looked through for those in a state: a video has a few dozen.
const maxOfSubject = 1000

// describe puts together what River and we know of jobs.
func (q *Queue) describe(ctx context.Context, rows []*rivertype.JobRow) ([]job.Info, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	ids, runs := make([]int64, len(rows)), false
	for i, row := range rows {
		ids[i] = row.ID
		runs = runs || row.State == rivertype.JobStateRunning
	}
	read := q.o.DB.Read(ctx)
	progress, err := read.FindProgress(ids)
	if err != nil {
		return nil, err
	}
	notes := make(map[int64]db.JobProgress, len(progress))
	for _, p := range progress {
		notes[p.JobID] = p
	}
	leases := map[string]time.Time{}
	if runs {
		beats, err := read.ListHeartbeats()
		if err != nil {
			return nil, err
		}
		for _, b := range beats {
			leases[b.Node] = b.BeatAt.Time().Add(q.o.Silent)
		}
	}
	infos := make([]job.Info, len(rows))
	for i, row := range rows {
		infos[i] = info(row, notes[row.ID], leases)
	}
	return infos, nil
}

func info(row *rivertype.JobRow, p db.JobProgress, leases map[string]time.Time) job.Info {
	out := job.Info{
		ID: row.ID, Kind: row.Kind, State: state(row), Subject: p.Subject, Priority: row.Priority, Attempts: row.Attempt,
		MaxAttempts: row.MaxAttempts, LogTail: p.LogTail, Args: row.EncodedArgs, CreatedAt: row.CreatedAt, ScheduledAt: row.ScheduledAt,
		AttemptedAt: row.AttemptedAt, FinalizedAt: row.FinalizedAt,
	}
	// What an earlier attempt has reported says nothing of this one, nor of the next.
	if p.Attempt == row.Attempt && out.State != job.Waiting {
		out.Percent = p.Percent
		if p.EtaMS != nil {
			left := time.Duration(*p.EtaMS) * time.Millisecond
			out.Left = &left
		}
	}
	if n := len(row.AttemptedBy); n > 0 {
		out.Worker = row.AttemptedBy[n-1]
	}
	if at, ok := leases[out.Worker]; ok && out.State == job.Running {
		out.LeaseExpiresAt = &at
	}
	if out.State == job.Done {
		out.Percent, out.Left = 100, nil
	}
	if n := len(row.Errors); n > 0 && out.State != job.Done {
		out.ErrorCode, out.ErrorDetail = reason(row.Errors[n-1])
	}
	return out
}

func state(row *rivertype.JobRow) job.State {
	switch row.State {
	case rivertype.JobStateRunning:
		return job.Running
	case rivertype.JobStateCompleted:
		return job.Done
	case rivertype.JobStateDiscarded:
		return job.Failed
	case rivertype.JobStateCancelled:
		if cancelRequested(row) {
			return job.Canceled
		}
		return job.Failed
	default:
		return job.Waiting
	}
}

// Counts implements job.Admin.
func (q *Queue) Counts(ctx context.Context) ([]job.Count, time.Duration, error) {
	rows, err := q.o.DB.Read(ctx).CountJobs()
	if err != nil {
		return nil, 0, err
	}
	oldest, now := time.Duration(0), q.o.Now()
	sums := map[job.Count]int64{}
	for _, r := range rows {
		s := state(&rivertype.JobRow{State: rivertype.JobState(r.State)})
		sums[job.Count{Kind: r.Kind, State: s}] += r.Count
		if r.Oldest > 0 {
			oldest = max(oldest, now.Sub(r.Oldest.Time()))
		}
	}
	counts := make([]job.Count, 0, len(sums))
	for c, n := range sums {
		c.Count = n
		counts = append(counts, c)
	}
	return counts, oldest, nil
}

// wake has workers look at a queue.
func (q *Queue) wake(ctx context.Context, queue string) {
	if q.news != nil {
		q.tell(topicInsert, insertNews{queue})
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	// Without it the job waits until its queue is polled.
	_ = q.notify(ctx, q.asks, []string{queue})
}
