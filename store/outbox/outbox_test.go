package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/store/db"
	"mediad/store/db/dbtest"
	"mediad/store/event"
	"mediad/store/outbox"
)

func TestMain(m *testing.M) { testx.Main(m) }

// taken is what a consumer has got.
type taken struct {
	mu     sync.Mutex // guards the following
	events []string   // "key n"
	refuse func(e db.Event) error
}

func (c *taken) take(_ context.Context, e db.Event) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != nil {
		if err := c.refuse(e); err != nil {
			return err
		}
	}
	c.events = append(c.events, e.Key+" "+e.Data)
	return nil
}

func (c *taken) got() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.events)
}

func (c *taken) setRefuse(f func(e db.Event) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = f
}

func relay(t *testing.T, d *db.DB, c *taken, poll time.Duration) *outbox.Relay {
	return outbox.New(outbox.Options{
		DB: d, Poll: poll, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Consumers: []outbox.Consumer{{Name: "first", Take: func(context.Context, db.Event) error { return nil }}, {Name: "taken", Take: c.take}},
	})
}

func run(t *testing.T, r *outbox.Relay) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return stop
}

func emit(t *testing.T, d *db.DB, key string, n int) {
	t.Helper()
	require.NoError(t, d.Tx(t.Context(), func(q db.Queries) error {
		return event.Emit(q, event.Event{Type: event.StreamOnline, Key: key, Data: n}, time.Now())
	}))
}

func TestEventsAreHandedOnAsTheirTransactionsAre(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		t.Parallel()
		d, c := on.Open(t), &taken{}
		run(t, relay(t, d, c, time.Minute)) // woken, not polled
		undo := errors.New("undo")
		require.ErrorIs(t, d.Tx(t.Context(), func(q db.Queries) error {
			return errors.Join(event.Emit(q, event.Event{Type: event.StreamOnline, Key: "a", Data: 1}, time.Now()), undo)
		}), undo)
		var want []string
		for n := range 250 { // more than a page
			want = append(want, fmt.Sprintf("k%d %d", n%3, n))
		}
		require.NoError(t, d.Tx(t.Context(), func(q db.Queries) error {
			for n := range want {
				if err := event.Emit(q, event.Event{Type: event.StreamOnline, Key: fmt.Sprint("k", n%3), Data: n}, time.Now()); err != nil {
					return err
				}
			}
			return nil
		}))
		testx.WaitFor(t, "all events", func() bool { return len(c.got()) >= len(want) })
		assert.Equal(t, want, c.got(), "in order, each once, and nothing of the transaction that failed")
		testx.WaitFor(t, "nothing to be left to hand on", func() bool { // a page is noted once all of it is handed on
			left, err := d.Read(t.Context()).ListUnsent(0, 10)
			require.NoError(t, err)
			return len(left) == 0
		})
	})
}

func TestWhatIsNotTakenComesAgainAndKeepsBackItsKey(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		t.Parallel()
		d, c := on.Open(t), &taken{}
		c.refuse = func(e db.Event) error {
			if e.Key == "a" && e.Data == "1" {
				panic("not now")
			}
			return nil
		}
		emit(t, d, "a", 0)
		emit(t, d, "a", 1)
		emit(t, d, "b", 2)
		emit(t, d, "a", 3)
		stop := run(t, relay(t, d, c, 50*time.Millisecond))
		testx.WaitFor(t, "the other key", func() bool { return len(c.got()) == 2 })
		assert.Equal(t, []string{"a 0", "b 2"}, c.got())
		stop()
		c.setRefuse(nil)
		run(t, relay(t, d, c, 50*time.Millisecond))
		testx.WaitFor(t, "the rest", func() bool { return len(c.got()) == 4 })
		assert.Equal(t, []string{"a 0", "b 2", "a 1", "a 3"}, c.got())
	})
}

// TestARelayThatDiesHandsOnAgain: what was taken and not marked comes again.
func TestARelayThatDiesHandsOnAgain(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		t.Parallel()
		o := on.Place(t, db.Options{})
		d := on.OpenWith(t, o)
		dying, err := db.Open(t.Context(), o)
		require.NoError(t, err)
		c := &taken{}
		c.refuse = func(db.Event) error { return dying.Close() } // it takes the event, and cannot mark it
		emit(t, d, "a", 1)
		stop := run(t, relay(t, dying, c, 50*time.Millisecond))
		testx.WaitFor(t, "the event", func() bool { return len(c.got()) > 0 })
		stop()
		c.setRefuse(nil)
		before := len(c.got())
		run(t, relay(t, d, c, 50*time.Millisecond))
		testx.WaitFor(t, "the event again", func() bool { return len(c.got()) > before })
		assert.Equal(t, "a 1", c.got()[before])
	})
}

func TestOneNodeHandsOn(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		t.Parallel()
		if on == dbtest.On(db.SQLite) {
			t.Skip("it has one process")
		}
		d, a, b := on.Open(t), &taken{}, &taken{}
		stopA := run(t, relay(t, d, a, 50*time.Millisecond))
		emit(t, d, "k", 0)
		testx.WaitFor(t, "the first", func() bool { return len(a.got()) == 1 })
		run(t, relay(t, d, b, 50*time.Millisecond))
		for n := range 20 {
			emit(t, d, "k", n)
		}
		testx.WaitFor(t, "the rest", func() bool { return len(a.got()) == 21 })
		assert.Empty(t, b.got())
		stopA()
		emit(t, d, "k", 99)
		testx.WaitFor(t, "the other node", func() bool { return len(b.got()) == 1 })
	})
}

func TestOldEventsAreDeleted(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		t.Parallel()
		d, c := on.Open(t), &taken{}
		emit(t, d, "sent", 1)
		stop := run(t, relay(t, d, c, time.Minute))
		testx.WaitFor(t, "the event", func() bool { return len(c.got()) == 1 })
		stop()
		emit(t, d, "unsent", 2)
		count := func() (n int64) {
			require.NoError(t, d.JobPool().QueryRowContext(t.Context(), "SELECT count(*) FROM outbox").Scan(&n))
			return n
		}
		r := outbox.New(outbox.Options{DB: d, Keep: time.Hour})
		n, err := r.Tidy(t.Context())
		require.NoError(t, err)
		assert.Zero(t, n)
		assert.Equal(t, int64(2), count(), "it is young")
		r = outbox.New(outbox.Options{DB: d, Keep: time.Hour, Now: func() time.Time { return time.Now().Add(2 * time.Hour) }})
		n, err = r.Tidy(t.Context())
		require.NoError(t, err)
		assert.Equal(t, int64(1), n)
		assert.Equal(t, int64(1), count(), "what was never handed on is kept")
	})
}
