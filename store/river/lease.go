package river

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/rivertype"
	"golang.org/x/sync/errgroup"

	"mediad/store/db"
	"mediad/store/job"
)

// How long finished jobs can be seen.
const (
	keepDone   = 24 * time.Hour
	keepFailed = 7 * 24 * time.Hour
)

// startAgain is how long to wait where the database did not answer at the start.
const startAgain = 5 * time.Second

// Run works on jobs until ctx ends: then nothing new is begun, what runs has Grace to end, and what does not goes back to be run elsewhere.
func (q *Queue) Run(ctx context.Context) error {
	if len(q.kinds) == 0 {
		<-ctx.Done()
		return nil
	}
	for {
		if err := q.run(ctx); err != nil {
			q.o.Log.Error("jobs do not run", "error", err)
		}
		again := time.NewTimer(startAgain)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return nil
		}
	}
}

func (q *Queue) run(ctx context.Context) error {
	inner, closePool, err := q.listen(ctx)
	if err != nil {
		return err
	}
	defer closePool()
	client, err := q.client(q.driver(inner))
	if err != nil {
		return err
	}
	if q.news != nil {
		// Nobody else has the database, so whoever ran jobs in it before is gone.
		if err := q.o.DB.Write(ctx).ForgetNodes(); err != nil {
			return err
		}
	}
	if err := q.beat(ctx); err != nil { // before the first job is taken
		return err
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("river: start: %w", err)
	}
	defer q.forget(ctx)
	group, work := errgroup.WithContext(context.WithoutCancel(ctx))
	own, stop := context.WithCancel(work)
	defer stop()
	group.Go(func() error { return q.renew(own, client) })
	group.Go(func() error { return q.notes.run(own, q) })
	select {
	case <-ctx.Done():
	case <-work.Done(): // one of them failed, which a bug alone does
	}
	// The lease is renewed, and progress saved, until the last worker has ended.
	err = q.stop(client)
	stop()
	return errors.Join(err, group.Wait())
}

// listen is who waits for news of PostgreSQL.
func (q *Queue) listen(ctx context.Context) (riverdriver.Driver[*sql.Tx], func(), error) {
	pool, err := q.o.DB.ListenPool(ctx)
	if err != nil || pool == nil {
		return nil, func() {}, err
	}
	return riverdatabasesql.NewWithPgxListener(q.o.DB.JobPool(), pool), pool.Close, nil
}

func (q *Queue) client(d *driver) (*river.Client[*sql.Tx], error) {
	workers, queues := river.NewWorkers(), map[string]river.QueueConfig{}
	var periodic []*river.PeriodicJob
	for name, k := range q.kinds {
		river.AddWorkerArgs(workers, arguments{kind: name}, river.Worker[arguments](&worker{queue: q, kind: k}))
		queues[name] = river.QueueConfig{MaxWorkers: k.Workers}
		if k.Every > 0 {
			periodic = append(periodic, every(k))
		}
	}
	config := &river.Config{
		ID: q.node, Logger: q.logger(), Workers: workers, Queues: queues, PeriodicJobs: periodic,
		FetchPollInterval: q.o.Poll, FetchCooldown: 50 * time.Millisecond, SoftStopTimeout: q.o.Grace,
		CompletedJobRetentionPeriod: keepDone, CancelledJobRetentionPeriod: keepFailed, DiscardedJobRetentionPeriod: keepFailed,
	}
	if !d.postgres {
		config.ReindexerIndexNames = []string{} // it would stop every writer, for tables that stay small
	}
	client, err := river.NewClient(d, config)
	if err != nil {
		return nil, fmt.Errorf("river: %w", err)
	}
	return client, nil
}

// every is a job a period, whichever node leads and however often it starts.
func every(k job.Kind) *river.PeriodicJob {
	states := append([]rivertype.JobState{rivertype.JobStateCompleted}, unfinished...)
	return river.NewPeriodicJob(river.PeriodicInterval(k.Every), func() (river.JobArgs, *river.InsertOpts) {
		return arguments{k.Name, []byte("{}")}, &river.InsertOpts{
			Queue: k.Name, MaxAttempts: k.Attempts, Priority: k.Priority,
			UniqueOpts: river.UniqueOpts{ByArgs: true, ByPeriod: k.Every, ByState: states},
		}
	}, &river.PeriodicJobOpts{RunOnStart: true})
}

// stop stops the client within its bounds.
func (q *Queue) stop(client *river.Client[*sql.Tx]) error {
	ctx, cancel := context.WithTimeout(context.Background(), q.o.Grace+q.o.Grace/2)
	defer cancel()
	if err := client.Stop(ctx); err != nil {
		return fmt.Errorf("river: a job does not end although it was told to: %w", err)
	}
	return nil
}

// forget gives the lease back. What still ran is taken over at once.
func (q *Queue) forget(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := q.o.DB.Write(ctx).ForgetNode(q.node); err != nil {
		q.o.Log.Warn("the node's heartbeat stays", "error", err)
	}
}

func (q *Queue) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, q.o.Beat)
	defer cancel()
	return q.o.DB.Write(ctx).Beat(q.node)
}

// renew renews the lease and takes the jobs of silent nodes from them. A lease that could not be renewed is lost a beat before others
// may take it for that: the workers have until then to end.
func (q *Queue) renew(ctx context.Context, client *river.Client[*sql.Tx]) error {
	tick := time.NewTicker(q.o.Beat)
	defer tick.Stop()
	last, lost := time.Now(), false
	for first := true; ; first = false {
		if !first {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
		}
		began := time.Now() // what the database notes is no earlier
		err := q.beat(ctx)
		switch {
		case err == nil:
			last, lost = began, false
		case ctx.Err() != nil:
			return nil
		default:
			q.o.Log.Warn("the node's heartbeat is not renewed", "error", err, "since", last)
			if !lost && time.Since(last) > q.o.Silent-q.o.Beat-q.o.Beat/2 {
				lost = true
				if n := q.runs.stop(job.ErrLost); n > 0 {
					q.o.Log.Error("jobs stopped, for others may have taken them", "jobs", n)
				}
			}
			continue
		}
		if err := q.reap(ctx, client); err != nil && ctx.Err() == nil {
			q.o.Log.Warn("jobs of silent nodes are not taken over", "error", err)
		}
	}
}

// reap takes the jobs of silent nodes.
func (q *Queue) reap(ctx context.Context, client *river.Client[*sql.Tx]) error {
	var reaped []db.ReapedJob
	err := q.o.DB.Tx(ctx, func(in db.Queries) (err error) {
		if reaped, err = in.ReapJobs(q.o.Silent.Milliseconds()); err != nil {
			return err
		}
		var failed []*rivertype.JobRow
		for _, r := range reaped {
			if r.State == string(rivertype.JobStateDiscarded) {
				row, err := client.JobGetTx(ctx, in.SQL(), r.ID)
				if err != nil {
					return err
				}
				failed = append(failed, row)
			}
		}
		return q.failed(ctx, in.SQL(), failed)
	})
	if err != nil || len(reaped) == 0 {
		return err
	}
	var queues []string
	for _, r := range reaped {
		q.o.Log.Info("a job was taken from a silent node", "job", r.ID, "kind", r.Kind, "attempt", r.Attempt, "state", r.State)
		if r.State == string(rivertype.JobStateAvailable) && !slices.Contains(queues, r.Queue) {
			queues = append(queues, r.Queue)
		}
	}
	return q.notify(ctx, client, queues)
}

// notify has the workers of all nodes look at queues.
func (q *Queue) notify(ctx context.Context, client *river.Client[*sql.Tx], queues []string) error {
	payloads := make([]string, len(queues))
	for i, queue := range queues {
		payloads[i] = fmt.Sprintf(`{"queue":%q}`, queue)
	}
	if len(payloads) == 0 {
		return nil
	}
	return client.Driver().GetExecutor().NotifyMany(ctx, &riverdriver.NotifyManyParams{Topic: topicInsert, Payload: payloads})
}

// saveEach is the least time between two writes of progress.
const saveEach = time.Second

// notes are the attempts with progress that is not saved.
type notes struct {
	more chan struct{} // one token: there is something

	mu    sync.Mutex // guards dirty
	dirty map[*control]struct{}
}

func (n *notes) init() { n.more, n.dirty = make(chan struct{}, 1), map[*control]struct{}{} }

func (n *notes) add(c *control) {
	n.mu.Lock()
	n.dirty[c] = struct{}{}
	n.mu.Unlock()
	select {
	case n.more <- struct{}{}:
	default:
	}
}

// flush saves what an attempt has left when it ends.
func (n *notes) flush(c *control) {
	n.mu.Lock()
	delete(n.dirty, c)
	n.mu.Unlock()
	c.save(context.Background())
}

func (n *notes) run(ctx context.Context, q *Queue) error {
	for {
		select {
		case <-n.more:
		case <-ctx.Done():
			return nil
		}
		n.mu.Lock()
		all := n.dirty
		n.dirty = map[*control]struct{}{}
		n.mu.Unlock()
		for c := range all {
			c.save(ctx)
		}
		pause := time.NewTimer(saveEach)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil
		}
	}
}

// save writes what is new. Progress that cannot be written is no reason to stop the work. One save at a time: an older one that
// overtakes the last would undo it, and an attempt that ends before it is written would leave nothing.
func (c *control) save(ctx context.Context) {
	c.saving.Lock()
	defer c.saving.Unlock()
	p, ok := c.take(c.queue.o.Now())
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := c.queue.o.DB.Write(ctx).SaveProgress(p); err != nil && ctx.Err() == nil {
		c.queue.o.Log.Warn("progress of a job is not stored", slog.Int64("job", c.job), slog.Any("error", err))
	}
}
