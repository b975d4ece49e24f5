package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
)

const (
	// maxBehind is how old what a replica shows may be: others see a write within a second (api.md 1).
	maxBehind = time.Second
	// watchEvery is how often primary and replicas are asked how far they are. What a replica shows is known to be at most two
	// rounds old while it keeps up.
	watchEvery = 200 * time.Millisecond
	// watchLimit bounds such a question.
	watchLimit = time.Second
	// replicaLimit is how long a replica may take until its first row before the primary is asked instead.
	replicaLimit = 2 * time.Second
	// maxSamples cover ten seconds; a replica that is further behind is not used anyway.
	maxSamples = 50
)

// replicas are the hot standbys that reads may go to.
//
// How old a replica is nobody can read off it alone: one that has lost its primary takes itself for up to date. So the
// primary is asked for its position in the log, and a replica that has replayed that position has everything that was
// committed before the question.
type replicas struct {
	list    []*replica
	primary gorm.ConnPool
	log     *slog.Logger
	began   time.Time // moments below are durations since then

	away atomic.Bool // the primary does not answer
	mu   sync.Mutex  // guards samples
	// samples are positions of the primary's log, oldest first.
	samples []sample
}

type sample struct {
	at       time.Duration // before the primary was asked
	position int64
}

type replica struct {
	where   string
	pool    *sql.DB
	g       *gorm.DB // reads from pool, and where that fails from the primary
	answers atomic.Bool
	asOf    atomic.Int64 // what was committed before that moment is there; 0: not known
}

func openReplicas(o Options, primary gorm.ConnPool) (*replicas, error) {
	r := &replicas{primary: primary, log: o.Log, began: time.Now()}
	for i, text := range o.Replicas {
		u, err := parseURL(text)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("db: the URL of replica %d %w", i+1, err), r.close())
		}
		one := &replica{where: u.where(), pool: openPool(readOnly(u.config), u.conns)}
		r.list = append(r.list, one)
		if one.g, err = handleOf(o, routed{r, one}); err != nil {
			return nil, errors.Join(err, r.close())
		}
	}
	return r, nil
}

func (r *replicas) close() error {
	var errs []error
	for _, one := range r.list {
		errs = append(errs, one.pool.Close())
	}
	return errors.Join(errs...)
}

type ownWrites struct{}

// OwnWrites marks a context whose reads must see what its caller wrote a moment ago, as that of everybody who is signed in. ReadReplica then
// reads from the primary.
func OwnWrites(ctx context.Context) context.Context {
	return context.WithValue(ctx, ownWrites{}, true)
}

// ReadReplica is Read for what may be a second old, and what nothing is decided by: lists and pages for visitors. It reads
// from one replica that is near enough to the primary, or from the primary.
func (d *DB) ReadReplica(ctx context.Context) Queries {
	if d.replicas == nil || ctx.Value(ownWrites{}) != nil {
		return d.Read(ctx)
	}
	one := d.replicas.pick()
	if one == nil {
		return d.Read(ctx)
	}
	return Queries{g: one.g.WithContext(ctx)}
}

// Watch keeps account of the replicas until ctx ends; without it none is read from. Of SQLite it notices what other processes write.
func (d *DB) Watch(ctx context.Context) error {
	if d.engine == SQLite {
		d.watchFile(ctx)
	}
	if d.replicas == nil {
		return nil
	}
	var wg sync.WaitGroup
	wg.Go(func() { d.replicas.watch(ctx, d.replicas.askPrimary) })
	for _, one := range d.replicas.list {
		wg.Go(func() { d.replicas.watch(ctx, func(ctx context.Context) { d.replicas.ask(ctx, one) }) })
	}
	wg.Wait()
	return nil
}

func (r *replicas) watch(ctx context.Context, ask func(context.Context)) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		bounded, cancel := context.WithTimeout(ctx, watchLimit)
		ask(bounded)
		cancel()
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (r *replicas) askPrimary(ctx context.Context) {
	s := sample{at: time.Since(r.began)}
	// Where the next record goes, not what is written: with synchronous_commit = off a commit is told before it is.
	err := first(ctx, r.primary, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint", &s.position)
	r.away.Store(err != nil)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.samples) == maxSamples {
		r.samples = append(r.samples[:0], r.samples[1:]...)
	}
	r.samples = append(r.samples, s)
}

func (r *replicas) ask(ctx context.Context, one *replica) {
	// A server that is no standby any more has no position, whatever it once replayed.
	const question = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint END"
	var position sql.NullInt64
	err := first(ctx, one.pool, question, &position)
	if err == nil && !position.Valid {
		err = errors.New("it is no standby")
	}
	if was := one.answers.Swap(err == nil); was != (err == nil) && !errors.Is(ctx.Err(), context.Canceled) {
		if err != nil {
			r.log.WarnContext(ctx, "replica away: reads go elsewhere", "replica", one.where, "error", err)
		} else {
			r.log.InfoContext(ctx, "replica answers", "replica", one.where)
		}
	}
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.samples) - 1; i >= 0; i-- {
		if r.samples[i].position <= position.Int64 {
			one.asOf.Store(max(int64(r.samples[i].at), one.asOf.Load()))
			return
		}
	}
}

// first reads the one value that a question has for an answer.
func first(ctx context.Context, pool gorm.ConnPool, question string, into any) error {
	rows, err := pool.QueryContext(ctx, question)
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		return errors.Join(errors.New("no answer"), rows.Err())
	}
	return errors.Join(rows.Scan(into), rows.Err())
}

// behind is how old what a replica shows may be; false: it is not known.
func (r *replicas) behind(one *replica) (time.Duration, bool) {
	asOf := time.Duration(one.asOf.Load())
	if asOf == 0 {
		return 0, false
	}
	now := time.Since(r.began)
	if r.away.Load() {
		// Nothing is written while the primary is away: a replica that had all when it was last heard has all now, and is better
		// than no answer.
		r.mu.Lock()
		defer r.mu.Unlock()
		now = r.samples[len(r.samples)-1].at
	}
	return now - asOf, true
}

// pick is a replica to read from; nil where none is near enough.
func (r *replicas) pick() *replica {
	for i, from := 0, rand.IntN(len(r.list)); i < len(r.list); i++ {
		one := r.list[(from+i)%len(r.list)]
		if old, known := r.behind(one); one.answers.Load() && known && old <= maxBehind {
			return one
		}
	}
	return nil
}

// ReplicaState is how a replica stands.
type ReplicaState struct {
	Where string // host:port/name
	// Behind is how old what it shows may be; negative: it is not known.
	Behind time.Duration
	// Used says whether reads go to it.
	Used bool
}

// Replicas tells how the replicas stand, as far as Watch has seen.
func (d *DB) Replicas() []ReplicaState {
	if d.replicas == nil {
		return nil
	}
	var all []ReplicaState
	for _, one := range d.replicas.list {
		s := ReplicaState{Where: one.where, Behind: -1}
		if old, known := d.replicas.behind(one); known {
			s.Behind, s.Used = old, one.answers.Load() && old <= maxBehind
		}
		all = append(all, s)
	}
	return all
}

// routed is the connection pool of ReadReplica's queries.
type routed struct {
	of  *replicas
	one *replica
}

var _ gorm.ConnPool = routed{}

// QueryContext asks the replica, and the primary where it fails for whatever reason: it may be shutting down, cancel what is
// in the way of its replay, or not have a table yet.
func (p routed) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	// Until the first row alone is the replica's time bounded: what cancel ends lives as long as ctx, which the statement ends.
	bounded, cancel := context.WithCancel(ctx)
	patience := time.AfterFunc(replicaLimit, cancel)
	rows, err := p.one.pool.QueryContext(bounded, query, args...)
	if patience.Stop() && err == nil {
		return rows, nil
	}
	cancel()
	if err == nil {
		err = errors.Join(context.DeadlineExceeded, rows.Close())
	}
	if ctx.Err() != nil {
		return nil, err
	}
	if gone(err) || bounded.Err() != nil {
		p.one.answers.Store(false) // until it is asked again
	}
	p.of.log.DebugContext(ctx, "replica failed: the primary is asked", "replica", p.one.where, "error", err)
	return p.of.primary.QueryContext(ctx, query, args...)
}

// The others are not used for reads.

func (p routed) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	return p.of.primary.PrepareContext(ctx, query)
}

func (p routed) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return p.of.primary.ExecContext(ctx, query, args...)
}

func (p routed) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return p.of.primary.QueryRowContext(ctx, query, args...)
}
