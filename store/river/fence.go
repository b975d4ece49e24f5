package river

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
)

// attemptKey is where a worker's result carries the attempt that it is of: River names a result's job alone, and an attempt that was
// handed back and comes late would end the one that runs now.
const attemptKey = "attempt"

// driver is River's, with results that name their attempt, and on SQLite with news from within the process.
type driver struct {
	riverdriver.Driver[*sql.Tx]
	postgres bool
	news     *news // nil on PostgreSQL
	// failed is called in the transaction that ends a job for good without success.
	failed func(ctx context.Context, tx *sql.Tx, jobs []*rivertype.JobRow) error
}

func (d *driver) GetExecutor() riverdriver.Executor {
	return &executor{d.Driver.GetExecutor(), d}
}

func (d *driver) GetListener(p *riverdriver.GetListenenerParams) riverdriver.Listener {
	if d.news == nil {
		return d.Driver.GetListener(p)
	}
	return &listener{news: d.news}
}

func (d *driver) UnwrapExecutor(tx *sql.Tx) riverdriver.ExecutorTx {
	return &executorTx{ExecutorTx: d.Driver.UnwrapExecutor(tx), driver: d}
}

func (d *driver) UnwrapTx(e riverdriver.ExecutorTx) *sql.Tx {
	if ours, ok := e.(*executorTx); ok {
		e = ours.ExecutorTx
	}
	return d.Driver.UnwrapTx(e)
}

type executor struct {
	riverdriver.Executor
	driver *driver
}

func (e *executor) Begin(ctx context.Context) (riverdriver.ExecutorTx, error) {
	tx, err := e.Executor.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return &executorTx{ExecutorTx: tx, driver: e.driver}, nil
}

func (e *executor) NotifyMany(ctx context.Context, p *riverdriver.NotifyManyParams) error {
	if e.driver.news == nil {
		return e.Executor.NotifyMany(ctx, p)
	}
	for _, payload := range p.Payload {
		e.driver.news.tell(p.Topic, payload)
	}
	return nil
}

// JobSetStateIfRunningMany stores results of attempts that still count, and drops the others.
func (e *executor) JobSetStateIfRunningMany(ctx context.Context, p *riverdriver.JobSetStateIfRunningManyParams) (rows []*rivertype.JobRow, err error) {
	tx, err := e.Executor.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreDone(tx.Rollback(context.WithoutCancel(ctx))))
		}
	}()
	counts, err := e.driver.current(ctx, e.driver.Driver.UnwrapTx(tx), p)
	if err != nil {
		return nil, err
	}
	if len(counts.ID) > 0 {
		if rows, err = tx.JobSetStateIfRunningMany(ctx, counts); err != nil {
			return nil, err
		}
		if err = e.driver.tellFailed(ctx, e.driver.Driver.UnwrapTx(tx), counts, rows); err != nil {
			return nil, err
		}
	}
	return rows, tx.Commit(ctx)
}

// current leaves the results whose attempt is the one that runs. On PostgreSQL their rows stay locked, so that it stays so.
func (d *driver) current(ctx context.Context, tx *sql.Tx, p *riverdriver.JobSetStateIfRunningManyParams) (*riverdriver.JobSetStateIfRunningManyParams, error) {
	ids, err := json.Marshal(p.ID)
	if err != nil {
		return nil, err
	}
	question := "SELECT id, attempt FROM river_job WHERE id IN (SELECT value FROM json_each(?)) AND state = 'running'"
	if d.postgres {
		question = "SELECT id, attempt FROM river_job WHERE id IN (SELECT v::bigint FROM json_array_elements_text($1::json) v) AND state = 'running' FOR UPDATE"
	}
	found, err := tx.QueryContext(ctx, question, string(ids))
	if err != nil {
		return nil, fmt.Errorf("river: attempts: %w", err)
	}
	defer found.Close()
	runs := map[int64]int{}
	for found.Next() {
		var id int64
		var attempt int
		if err := found.Scan(&id, &attempt); err != nil {
			return nil, fmt.Errorf("river: attempts: %w", err)
		}
		runs[id] = attempt
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("river: attempts: %w", err)
	}
	kept := &riverdriver.JobSetStateIfRunningManyParams{Now: p.Now, Schema: p.Schema}
	for i, id := range p.ID {
		attempt, ok := runs[id]
		if !ok || claimed(p.MetadataUpdates[i], attempt) != attempt {
			continue
		}
		kept.ID = append(kept.ID, id)
		kept.Attempt = append(kept.Attempt, p.Attempt[i])
		kept.ErrData = append(kept.ErrData, p.ErrData[i])
		kept.FinalizedAt = append(kept.FinalizedAt, p.FinalizedAt[i])
		kept.MetadataDoMerge = append(kept.MetadataDoMerge, p.MetadataDoMerge[i])
		kept.MetadataUpdates = append(kept.MetadataUpdates, p.MetadataUpdates[i])
		kept.ScheduledAt = append(kept.ScheduledAt, p.ScheduledAt[i])
		kept.State = append(kept.State, p.State[i])
	}
	return kept, nil
}

// claimed is the attempt that a result says it is of. A job that no worker has seen (its kind is unknown here, its row cannot be read)
// has none, and counts as any.
func claimed(updates []byte, otherwise int) int {
	var u map[string]json.RawMessage
	if len(updates) == 0 || json.Unmarshal(updates, &u) != nil {
		return otherwise
	}
	var attempt int
	if json.Unmarshal(u[attemptKey], &attempt) != nil {
		return otherwise
	}
	return attempt
}

// tellFailed hands on what has failed for good by these results.
func (d *driver) tellFailed(ctx context.Context, tx *sql.Tx, p *riverdriver.JobSetStateIfRunningManyParams, rows []*rivertype.JobRow) error {
	var failed []*rivertype.JobRow
	for _, row := range rows {
		if over(row) {
			failed = append(failed, row)
		}
	}
	if d.failed == nil || len(failed) == 0 || len(p.ID) == 0 {
		return nil
	}
	return d.failed(ctx, tx, failed)
}

// over says whether a job has failed for good, rather than been cancelled by somebody.
func over(row *rivertype.JobRow) bool {
	switch row.State {
	case rivertype.JobStateDiscarded:
		return true
	case rivertype.JobStateCancelled: // by its worker
		return !cancelRequested(row)
	default:
		return false
	}
}

func cancelRequested(row *rivertype.JobRow) bool {
	var m map[string]json.RawMessage
	return json.Unmarshal(row.Metadata, &m) == nil && m[cancelled] != nil
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// executorTx is a transaction: what it says is heard once it is stored.
type executorTx struct {
	riverdriver.ExecutorTx
	driver *driver
	say    []*riverdriver.NotifyManyParams
}

func (e *executorTx) Begin(ctx context.Context) (riverdriver.ExecutorTx, error) {
	tx, err := e.ExecutorTx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return &executorTx{ExecutorTx: tx, driver: e.driver}, nil
}

func (e *executorTx) NotifyMany(ctx context.Context, p *riverdriver.NotifyManyParams) error {
	if e.driver.news == nil {
		return e.ExecutorTx.NotifyMany(ctx, p)
	}
	e.say = append(e.say, p)
	return nil
}

func (e *executorTx) Commit(ctx context.Context) error {
	if err := e.ExecutorTx.Commit(ctx); err != nil {
		return err
	}
	for _, p := range e.say {
		for _, payload := range p.Payload {
			e.driver.news.tell(p.Topic, payload)
		}
	}
	return nil
}
