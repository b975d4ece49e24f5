package river_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/store/db"
	"mediad/store/db/dbtest"
	"mediad/store/job"
	"mediad/store/river"
)

type work struct {
	N int `json:"n"`
}

func (work) Kind() string { return "work" }

// queue makes a queue with short times.
func queue(t *testing.T, d *db.DB, change func(o *river.Options)) *river.Queue {
	t.Helper()
	o := river.Options{
		DB: d, Node: t.Name(), Beat: 200 * time.Millisecond, Silent: 600 * time.Millisecond, Grace: 200 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	change(&o)
	q, err := river.New(o)
	require.NoError(t, err)
	return q
}

// run runs a queue until the test ends or stop is called.
func run(t *testing.T, q *river.Queue) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return stop
}

func insert(t *testing.T, q *river.Queue, args job.Args) int64 {
	t.Helper()
	id, _, err := q.Insert(t.Context(), nil, args, job.Options{})
	require.NoError(t, err)
	return id
}

func awaitState(t *testing.T, q *river.Queue, id int64, want job.State) job.Info {
	t.Helper()
	var last job.Info
	testx.WaitFor(t, fmt.Sprintf("job %d to be %s", id, want), func() bool {
		found, err := q.Find(t.Context(), id)
		last = found
		return err == nil && found.State == want
	})
	return last
}

func TestAJobIsAsGoodAsItsTransaction(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		t.Parallel()
		d := on.Open(t)
		ran := make(chan int, 10)
		q := queue(t, d, func(o *river.Options) {
			o.Poll = time.Minute // news alone brings them
			o.Kinds = []job.Kind{job.Of(job.Kind{}, func(_ context.Context, _ *job.Job, w work) error { ran <- w.N; return nil })}
		})
		run(t, q)
		undo := errors.New("undo")
		require.ErrorIs(t, d.Tx(t.Context(), func(in db.Queries) error {
			_, _, err := q.Insert(t.Context(), in, work{1}, job.Options{})
			return errors.Join(err, undo)
		}), undo)
		var id int64
		require.NoError(t, d.Tx(t.Context(), func(in db.Queries) (err error) {
			id, _, err = q.Insert(t.Context(), in, work{2}, job.Options{Subject: "video:v"})
			return err
		}))
		assert.Equal(t, 2, <-ran)
		found := awaitState(t, q, id, job.Done)
		assert.Equal(t, 100, found.Percent)
		assert.Equal(t, "video:v", found.Subject)
		assert.JSONEq(t, `{"n":2}`, string(found.Args))
		all, err := q.List(t.Context(), job.Filter{}, 10)
		require.NoError(t, err)
		assert.Len(t, all, 1, "nothing is left of the transaction that failed")
	})
}

func TestOfAHundredUniqueJobsThereIsOne(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		t.Parallel()
		q := queue(t, on.Open(t), func(o *river.Options) {
			o.Kinds = []job.Kind{job.Of(job.Kind{Unique: true}, func(context.Context, *job.Job, work) error { return nil })}
		})
		var inserted atomic.Int32
		var ids sync.Map
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				id, first, err := q.Insert(t.Context(), nil, work{7}, job.Options{})
				assert.NoError(t, err)
				ids.Store(id, true)
				if first {
					inserted.Add(1)
				}
			})
		}
		wg.Wait()
		assert.Equal(t, int32(1), inserted.Load())
		all, err := q.List(t.Context(), job.Filter{}, 10)
		require.NoError(t, err)
		require.Len(t, all, 1)
		_, ok := ids.Load(all[0].ID)
		assert.True(t, ok, "all are told of that one")
		other, first, err := q.Insert(t.Context(), nil, work{8}, job.Options{})
		require.NoError(t, err)
		assert.True(t, first, "other arguments are another job")
		assert.NotEqual(t, all[0].ID, other)
		run(t, q)
		awaitState(t, q, all[0].ID, job.Done)
		_, first, err = q.Insert(t.Context(), nil, work{7}, job.Options{})
		require.NoError(t, err)
		assert.True(t, first, "one that is over keeps nobody out")
	})
}

func TestHowAJobEnds(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		t.Parallel()
		var failures sync.Map
		var seen sync.Map // attempts by what the job is to do
		q := queue(t, on.Open(t), func(o *river.Options) {
			o.Poll = 100 * time.Millisecond
			o.Failed = func(_ db.Queries, f river.Failure) error { failures.Store(f.ID, f); return nil }
			o.Kinds = []job.Kind{job.Of(job.Kind{
				Workers: 4, Attempts: 2, Timeout: 200 * time.Millisecond, Retry: func(int) time.Duration { return time.Millisecond },
			}, func(ctx context.Context, j *job.Job, w work) error {
				n, _ := seen.LoadOrStore(w.N, new(atomic.Int32))
				first := n.(*atomic.Int32).Add(1) == 1
				switch {
				case w.N == 1:
					return errors.New("no luck")
				case w.N == 2:
					return job.Fail("corrupt_media", errors.New("no moov"))
				case w.N == 3 && first:
					return job.Later(time.Millisecond)
				case w.N == 4 && first:
					panic("boom")
				case w.N == 5 && first:
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			})}
		})
		run(t, q)
		var ids []int64
		for n := range 6 {
			ids = append(ids, insert(t, q, work{n}))
		}
		awaitState(t, q, ids[0], job.Done)
		found := awaitState(t, q, ids[1], job.Failed)
		assert.Equal(t, 2, found.Attempts)
		assert.Equal(t, "failed: no luck", found.ErrorCode+": "+found.ErrorDetail)
		found = awaitState(t, q, ids[2], job.Failed)
		assert.Equal(t, 1, found.Attempts, "attempts are left, and it is over")
		assert.Equal(t, "corrupt_media: no moov", found.ErrorCode+": "+found.ErrorDetail)
		assert.Equal(t, 1, awaitState(t, q, ids[3], job.Done).Attempts, "a later moment is no attempt")
		assert.Equal(t, 2, awaitState(t, q, ids[4], job.Done).Attempts)
		assert.Equal(t, 2, awaitState(t, q, ids[5], job.Done).Attempts)
		for i, want := range map[int]string{1: "failed", 2: "corrupt_media"} {
			f, ok := failures.Load(ids[i])
			require.True(t, ok)
			assert.Equal(t, want, f.(river.Failure).Code)
		}
		_, ok := failures.Load(ids[4])
		assert.False(t, ok)

		byState := func(s job.State) (n []int64) {
			list, err := q.List(t.Context(), job.Filter{State: s, Kind: "work"}, 10)
			require.NoError(t, err)
			for _, i := range list {
				n = append(n, i.ID)
			}
			return n
		}
		assert.Equal(t, []int64{ids[2], ids[1]}, byState(job.Failed))
		assert.Equal(t, []int64{ids[5], ids[4], ids[3], ids[0]}, byState(job.Done))
		assert.Empty(t, byState(job.Canceled))
		// What has failed may be tried again.
		require.NoError(t, q.Retry(t.Context(), nil, ids[1]))
		testx.WaitFor(t, "the third attempt", func() bool {
			found, err := q.Find(t.Context(), ids[1])
			return err == nil && found.Attempts == 3 && found.State == job.Failed
		})
		require.ErrorIs(t, q.Retry(t.Context(), nil, 1<<40), job.ErrNotFound)
		require.ErrorIs(t, q.Cancel(t.Context(), nil, 1<<40), job.ErrNotFound)
		require.ErrorIs(t, q.Cancel(t.Context(), nil, ids[0]), job.ErrState)
		require.ErrorIs(t, q.SetPriority(t.Context(), nil, ids[0], 1), job.ErrState)
		require.ErrorIs(t, q.SetPriority(t.Context(), nil, 1<<40, 1), job.ErrNotFound)
	})
}

func TestJobsThatWaitAreMovedAndCancelled(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		t.Parallel()
		started, order := make(chan struct{}, 4), make(chan int, 4)
		q := queue(t, on.Open(t), func(o *river.Options) {
			o.Poll = 100 * time.Millisecond
			o.Kinds = []job.Kind{job.Of(job.Kind{}, func(ctx context.Context, j *job.Job, w work) error {
				if w.N == 0 {
					j.Progress(40, 90*time.Second)
					j.Logf("line %d", 1)
					started <- struct{}{}
					<-ctx.Done()
					return ctx.Err()
				}
				order <- w.N
				return nil
			})}
		})
		run(t, q)
		runs := insert(t, q, work{0})
		<-started
		first, second, third := insert(t, q, work{1}), insert(t, q, work{2}), insert(t, q, work{3})
		require.NoError(t, q.SetPriority(t.Context(), nil, second, 1))
		require.NoError(t, q.Cancel(t.Context(), nil, third))
		assert.Equal(t, job.Canceled, awaitState(t, q, third, job.Canceled).State)
		testx.WaitFor(t, "progress", func() bool {
			found, err := q.Find(t.Context(), runs)
			return err == nil && found.Percent == 40 && found.Left != nil && *found.Left == 90*time.Second && len(found.LogTail) == 1 &&
				found.LeaseExpiresAt != nil && found.Worker != ""
		})
		counts, oldest, err := q.Counts(t.Context())
		require.NoError(t, err)
		assert.ElementsMatch(t, []job.Count{{Kind: "work", State: job.Running, Count: 1}, {Kind: "work", State: job.Waiting, Count: 2}}, counts)
		assert.Positive(t, oldest)
		require.ErrorIs(t, q.Retry(t.Context(), nil, runs), job.ErrState)
		require.NoError(t, q.Cancel(t.Context(), nil, runs))
		awaitState(t, q, runs, job.Canceled)
		assert.Equal(t, 2, <-order)
		assert.Equal(t, 1, <-order)
		awaitState(t, q, first, job.Done)
		// What was cancelled runs when it is asked for again, and to its end.
		require.NoError(t, q.Retry(t.Context(), nil, third))
		assert.Equal(t, 3, <-order)
		awaitState(t, q, third, job.Done)
	})
}

// TestAJobThatWaitsAgainHasNotBegun: how far it was when it failed, or was done, says nothing of the next time.
func TestAJobThatWaitsAgainHasNotBegun(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		t.Parallel()
		d := on.Open(t)
		q := queue(t, d, func(o *river.Options) {
			o.Kinds = []job.Kind{job.Of(job.Kind{Retry: func(int) time.Duration { return time.Hour }}, func(_ context.Context, j *job.Job, w work) error {
				j.Progress(40, time.Minute)
				if w.N == 0 {
					return nil
				}
				return errors.New("not now")
			})}
		})
		stop := run(t, q)
		done, fails := insert(t, q, work{0}), insert(t, q, work{1})
		assert.Equal(t, 100, awaitState(t, q, done, job.Done).Percent)
		testx.WaitFor(t, "the first attempt", func() bool {
			i, err := q.Find(t.Context(), fails)
			return err == nil && i.Attempts == 1 && i.State == job.Waiting
		})
		stop() // so that nobody begins anew
		require.NoError(t, q.Retry(t.Context(), nil, done))
		for _, id := range []int64{done, fails} {
			i, err := q.Find(t.Context(), id)
			require.NoError(t, err)
			assert.Equal(t, job.Waiting, i.State)
			assert.Zero(t, i.Percent)
			assert.Nil(t, i.Left)
		}
	})
}

// TestWhatIsDoneToAJobIsOfItsTransaction: without that nothing was done.
func TestWhatIsDoneToAJobIsOfItsTransaction(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		t.Parallel()
		d := on.Open(t)
		q := queue(t, d, func(o *river.Options) {
			o.Kinds = []job.Kind{job.Of(job.Kind{}, func(context.Context, *job.Job, work) error { return nil })}
		})
		id := insert(t, q, work{1})
		broken := errors.New("not recorded")
		for _, do := range []func(in db.Queries) error{
			func(in db.Queries) error { return q.Cancel(t.Context(), in, id) },
			func(in db.Queries) error { return q.SetPriority(t.Context(), in, id, 4) },
			func(in db.Queries) error { return q.Retry(t.Context(), in, id) },
		} {
			require.ErrorIs(t, d.Tx(t.Context(), func(in db.Queries) error {
				if err := do(in); err != nil {
					return err
				}
				return broken
			}), broken)
			i, err := q.Find(t.Context(), id)
			require.NoError(t, err)
			assert.Equal(t, job.Waiting, i.State)
			assert.Equal(t, 2, i.Priority)
		}
		require.NoError(t, d.Tx(t.Context(), func(in db.Queries) error { return q.Cancel(t.Context(), in, id) }))
		awaitState(t, q, id, job.Canceled)
	})
}

// TestTheLastWordsOfAJobAreKept, also where they come while earlier ones are being written.
func TestTheLastWordsOfAJobAreKept(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		t.Parallel()
		d := on.Open(t)
		for n := range 5 { // which of two that wait writes first is chance
			turn := make(chan struct{})
			q := queue(t, d, func(o *river.Options) {
				o.Silent = time.Minute
				o.Kinds = []job.Kind{job.Of(job.Kind{}, func(_ context.Context, j *job.Job, _ work) error {
					turn <- struct{}{}
					turn <- struct{}{}
					j.Logf("first")
					turn <- struct{}{}
					if n%2 == 1 {
						j.Logf("last")
					}
					return nil
				})}
			})
			stop := run(t, q)
			id := insert(t, q, work{n})
			<-turn
			require.NoError(t, d.Tx(t.Context(), func(in db.Queries) error { // others write meanwhile
				_, err := in.HoldJob(id, 1)
				<-turn
				time.Sleep(20 * time.Millisecond) // only makes the fault likelier
				<-turn
				time.Sleep(20 * time.Millisecond)
				return err
			}))
			want := []string{"first"}
			if n%2 == 1 {
				want = append(want, "last")
			}
			require.Equal(t, want, awaitState(t, q, id, job.Done).LogTail)
			stop()
		}
	})
}

func TestWhatRunsWhenTheNodeStopsGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		t.Parallel()
		d := on.Open(t)
		started := make(chan int, 4)
		var finish atomic.Bool
		node := func() *river.Queue {
			return queue(t, d, func(o *river.Options) {
				o.Kinds = []job.Kind{job.Of(job.Kind{Attempts: 1}, func(ctx context.Context, j *job.Job, _ work) error {
					started <- j.Attempt
					if finish.Load() {
						return nil
					}
					<-ctx.Done()
					return ctx.Err()
				})}
			})
		}
		q := node()
		stop := run(t, q)
		id := insert(t, q, work{0})
		assert.Equal(t, 1, <-started)
		stop()
		found, err := q.Find(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, job.Waiting, found.State)
		assert.Equal(t, 0, found.Attempts, "the node's end is not the job's fault")
		finish.Store(true)
		run(t, node())
		assert.Equal(t, 1, <-started)
		awaitState(t, q, id, job.Done)
	})
}

func TestAPeriodHasOneJob(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		t.Parallel()
		d := on.Open(t)
		var ran atomic.Int32
		node := func() *river.Queue {
			return queue(t, d, func(o *river.Options) {
				o.Kinds = []job.Kind{job.Periodic("tidy", 24*time.Hour, func(context.Context) (int64, error) { return int64(ran.Add(1)), nil })}
			})
		}
		q := node()
		stop := run(t, q)
		testx.WaitFor(t, "the job of the period", func() bool { return ran.Load() == 1 })
		all, err := q.List(t.Context(), job.Filter{}, 10)
		require.NoError(t, err)
		require.Len(t, all, 1)
		awaitState(t, q, all[0].ID, job.Done)
		stop()
		// Another start within the period, or another node, makes no other.
		second := node()
		run(t, second)
		id := insertTidy(t, second)
		awaitState(t, second, id, job.Done)
		assert.Equal(t, int32(2), ran.Load())
	})
}

type tidy struct{}

func (tidy) Kind() string { return "tidy" }

func insertTidy(t *testing.T, q *river.Queue) int64 {
	t.Helper()
	id, inserted, err := q.Insert(t.Context(), nil, tidy{}, job.Options{})
	require.NoError(t, err)
	require.True(t, inserted)
	return id
}

func TestBadOptionsAreRefused(t *testing.T) {
	d := dbtest.On(db.SQLite).Open(t)
	works := func(context.Context, *job.Job) error { return nil }
	for what, o := range map[string]river.Options{
		"no database":   {},
		"short silence": {DB: d, Beat: time.Second, Silent: time.Second},
		"poll":          {DB: d, Poll: time.Millisecond},
		"short name":    {DB: d, Kinds: []job.Kind{{Name: "t", Work: works}}},
		"name":          {DB: d, Kinds: []job.Kind{{Name: "a.b", Work: works}}},
		"twice":         {DB: d, Kinds: []job.Kind{{Name: "ab", Work: works}, {Name: "ab", Work: works}}},
		"no worker":     {DB: d, Kinds: []job.Kind{{Name: "ab"}}},
		"priority":      {DB: d, Kinds: []job.Kind{{Name: "ab", Work: works, Priority: 5}}},
	} {
		_, err := river.New(o)
		require.Error(t, err, what)
	}
	q := queue(t, d, func(*river.Options) {})
	_, _, err := q.Insert(t.Context(), nil, work{}, job.Options{})
	require.Error(t, err, "nobody would do it")
}
