package pgbus_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/store/bus"
	"mediad/store/bus/bustest"
	"mediad/store/db"
	"mediad/store/db/dbtest"
	"mediad/store/db/pgtest"
	"mediad/store/pgbus"
)

func TestMain(m *testing.M) { testx.Main(m) }

// running is a node's bus that hears.
func running(t testing.TB, o db.Options) *pgbus.Bus {
	t.Helper()
	d, err := db.Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, d.Close()) })
	b := pgbus.New(d, nil)
	ready := b.Subscribe("ready")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() { cancel(); assert.NoError(t, <-done) })
	bustest.AwaitResync(t, ready)
	ready.Close()
	return b
}

func TestBus(t *testing.T) {
	if !pgtest.Installed(t) {
		t.Skip("PostgreSQL is not installed: run deploy/deps.sh test")
	}
	o := dbtest.On(db.PostgreSQL).Place(t, db.Options{})
	bustest.Run(t, func(t *testing.T) (a, b bus.Bus) { return running(t, o), running(t, o) })
}

// TestBusAfterTheServerWasGone: what could not be told becomes a Resync, and events go on.
func TestBusAfterTheServerWasGone(t *testing.T) {
	if !pgtest.Installed(t) {
		t.Skip("PostgreSQL is not installed: run deploy/deps.sh test")
	}
	server := pgtest.Start(t)
	o := db.Options{URL: server.Database(t, "site")}
	a, b := running(t, o), running(t, o)
	there := b.Subscribe("stream")
	defer there.Close()
	require.NoError(t, a.Publish(t.Context(), bus.Event{Topic: "stream", Key: "before"}))
	assert.Equal(t, "before", bustest.Next(t, there).Key)

	require.NoError(t, server.Stop())
	require.Error(t, a.Publish(t.Context(), bus.Event{Topic: "stream", Key: "lost"}))
	require.NoError(t, server.Run())
	bustest.AwaitResync(t, there)
	testx.WaitFor(t, "an event to be told again", func() bool {
		if a.Publish(t.Context(), bus.Event{Topic: "stream", Key: "after"}) != nil {
			return false
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		e, err := there.Next(ctx)
		return err == nil && e.Key == "after"
	})
}
