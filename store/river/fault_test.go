package river_test

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
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

func plain(text string) string { return strings.Join(strings.Fields(text), " ") }

// victim is the environment of a process that works on a job until it is killed: where the database is.
const victim = "MEDIAD_TEST_VICTIM"

// TestVictim is that process.
func TestVictim(t *testing.T) {
	where := os.Getenv(victim)
	if where == "" {
		t.Skip("for TestAKilledNodesJobGoesOn")
	}
	o := db.Options{Path: where}
	if strings.HasPrefix(where, "postgres") {
		o = db.Options{URL: where}
	}
	d, err := db.Open(t.Context(), o)
	require.NoError(t, err)
	q := queue(t, d, func(o *river.Options) {
		o.Log = slog.New(slog.DiscardHandler)
		o.Kinds = []job.Kind{job.Of(job.Kind{}, func(ctx context.Context, j *job.Job, _ work) error {
			os.Stdout.WriteString("\nworks\n")
			<-ctx.Done()
			return ctx.Err()
		})}
	})
	_ = q.Run(t.Context())
}

// TestAKilledNodesJobGoesOn: a process is killed with SIGKILL while it works, and another takes the job once the first is silent.
func TestAKilledNodesJobGoesOn(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		t.Parallel()
		o := on.Place(t, db.Options{})
		d := on.OpenWith(t, o)
		started := make(chan int, 1)
		q := queue(t, d, func(o *river.Options) {
			o.Kinds = []job.Kind{job.Of(job.Kind{}, func(_ context.Context, j *job.Job, _ work) error {
				started <- j.Attempt
				return nil
			})}
		})
		id := insert(t, q, work{1})
		dead := exec.Command(os.Args[0], "-test.run=^TestVictim$")
		dead.Env = append(os.Environ(), victim+"="+o.Path+o.URL)
		out, err := dead.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, dead.Start())
		t.Cleanup(func() { _ = dead.Process.Kill(); _ = dead.Wait() })
		for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "works"; {
		}
		found := awaitState(t, q, id, job.Running)
		require.NotNil(t, found.LeaseExpiresAt)
		require.NoError(t, dead.Process.Kill())
		_ = dead.Wait()

		run(t, q)
		assert.Equal(t, 2, <-started)
		found = awaitState(t, q, id, job.Done)
		assert.Equal(t, 2, found.Attempts)
	})
}

// TestALateWorkerChangesNothing: an attempt whose node was taken for dead goes on, and all that it does is in vain.
func TestALateWorkerChangesNothing(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		t.Parallel()
		d := on.Open(t)
		attempts, release := make(chan *job.Job, 2), map[int]chan error{1: make(chan error), 2: make(chan error)}
		kinds := []job.Kind{job.Of(job.Kind{Attempts: 3}, func(_ context.Context, j *job.Job, _ work) error { // looks at no context
			attempts <- j
			return <-release[j.Attempt]
		})}
		slow := queue(t, d, func(o *river.Options) { o.Kinds, o.Beat, o.Silent = kinds, time.Hour, 2*time.Hour })
		run(t, slow)
		id := insert(t, slow, work{1})
		late := <-attempts
		late.Progress(90, 0)
		testx.WaitFor(t, "progress", func() bool { f, err := slow.Find(t.Context(), id); return err == nil && f.Percent == 90 })

		quick := queue(t, d, func(o *river.Options) { o.Kinds = kinds })
		stop := run(t, quick)
		now := <-attempts
		assert.Equal(t, []int{1, 2}, []int{late.Attempt, now.Attempt})
		hold := func(j *job.Job) error {
			return d.Tx(t.Context(), func(in db.Queries) error { return j.Hold(in) })
		}
		require.ErrorIs(t, hold(late), job.ErrLost)
		require.NoError(t, hold(now))
		late.Progress(95, 0)
		late.Logf("late")
		now.Progress(10, 0)
		testx.WaitFor(t, "progress", func() bool { f, err := slow.Find(t.Context(), id); return err == nil && f.Percent == 10 })
		release[1] <- nil
		// The late result has been looked at once its client has ended and something after it has been stored.
		found, err := quick.Find(t.Context(), id)
		require.NoError(t, err)
		for range 5 {
			time.Sleep(100 * time.Millisecond) // nothing tells that nothing happened
			found, err = quick.Find(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, job.Running, found.State, "the late worker is done, the job is not")
		}
		assert.Equal(t, 10, found.Percent)
		assert.Empty(t, found.LogTail)
		release[2] <- nil
		found = awaitState(t, quick, id, job.Done)
		assert.Equal(t, 2, found.Attempts)
		stop()
	})
}

// TestAJobThatKillsItsNodesEnds: one that no node survives is not tried for ever, and who is told of failures is told of it.
func TestAJobThatKillsItsNodesEnds(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		t.Parallel()
		d := on.Open(t)
		var once sync.Once
		told := make(chan river.Failure, 1)
		failed := func(_ db.Queries, f river.Failure) error { once.Do(func() { told <- f }); return nil }
		started, release := make(chan struct{}), make(chan struct{})
		kinds := []job.Kind{job.Of(job.Kind{Attempts: 1}, func(context.Context, *job.Job, work) error {
			close(started)
			<-release
			return errors.New("late")
		})}
		slow := queue(t, d, func(o *river.Options) { o.Kinds, o.Beat, o.Silent, o.Failed = kinds, time.Hour, 2*time.Hour, failed })
		run(t, slow)
		t.Cleanup(func() { close(release) })
		id, _, err := slow.Insert(t.Context(), nil, work{1}, job.Options{Subject: "video:v"})
		require.NoError(t, err)
		<-started
		other := queue(t, d, func(o *river.Options) { o.Kinds, o.Failed = kinds, failed })
		run(t, other)
		f := <-told
		assert.Equal(t, []any{id, "node_lost", "video:v", 1}, []any{f.ID, f.Code, f.Subject, f.Attempts})
		awaitState(t, other, id, job.Failed)
	})
}
