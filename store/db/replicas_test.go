package db_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/store/db"
	"mediad/store/db/pgtest"
)

// TestReadsGoToAReplicaWhileItIsNear, on a real primary with a real hot standby.
func TestReadsGoToAReplicaWhileItIsNear(t *testing.T) {
	t.Parallel()
	primary := pgtest.Start(t, "synchronous_commit = on")
	place := primary.Database(t, "site")
	standby := primary.Standby(t)
	d, err := db.Open(t.Context(), db.Options{URL: place, Replicas: []string{standby.URL("site")}})
	require.NoError(t, err)
	defer func() { assert.NoError(t, d.Close()) }()
	_, err = d.MigrateUp(t.Context())
	require.NoError(t, err)
	tx(t, d, func(q db.Queries) error { return q.CreateUser(user(u1, "first", "admin")) })
	ctx, stop := context.WithCancel(t.Context())
	var watch sync.WaitGroup
	watch.Go(func() { assert.NoError(t, d.Watch(ctx)) })
	defer watch.Wait()
	defer stop()

	used := func(want bool) func() bool {
		return func() bool { s := d.Replicas(); return len(s) == 1 && s[0].Used == want }
	}
	role := func(q db.Queries) string {
		t.Helper()
		u, err := q.FindUser(u1)
		require.NoError(t, err)
		return u.Role
	}
	sees := func(role string) bool {
		u, err := d.ReadReplica(t.Context()).FindUser(u1)
		return err == nil && u.Role == role
	}
	set := func(role string) {
		t.Helper()
		tx(t, d, func(q db.Queries) error { return q.SetRole(u1, role, 1) })
	}
	testx.WaitFor(t, "the standby to be used", used(true))
	set("streamer")
	assert.Equal(t, "streamer", role(d.Read(t.Context())))
	assert.Equal(t, "streamer", role(d.ReadReplica(db.OwnWrites(t.Context()))), "one's own writes at once")
	testx.WaitFor(t, "the write to be seen by others", func() bool { return sees("streamer") })

	t.Log("a standby that falls behind is left alone, though it answers and takes itself for up to date")
	require.NoError(t, standby.Exec("postgres", "SELECT pg_wal_replay_pause()"))
	set("moderator")
	assert.Equal(t, "moderator", role(d.ReadReplica(db.OwnWrites(t.Context()))))
	testx.WaitFor(t, "the standby to be left", used(false))
	assert.Equal(t, "moderator", role(d.ReadReplica(t.Context())))
	assert.Positive(t, d.Replicas()[0].Behind)
	require.NoError(t, standby.Exec("postgres", "SELECT pg_wal_replay_resume()"))
	testx.WaitFor(t, "the standby to be used again", used(true))
	assert.Equal(t, "moderator", role(d.ReadReplica(t.Context())))

	t.Log("a standby that hangs, or goes, costs nothing but a moment")
	require.NoError(t, standby.Pause())
	assert.Equal(t, "moderator", role(d.ReadReplica(t.Context())))
	testx.WaitFor(t, "the standby to be left", used(false))
	require.NoError(t, standby.Resume())
	testx.WaitFor(t, "the standby to be used again", used(true))
	require.NoError(t, standby.Stop())
	assert.Equal(t, "moderator", role(d.ReadReplica(t.Context())))
	testx.WaitFor(t, "the standby to be left", used(false))
	set("viewer")
	written := time.Now()
	assert.Equal(t, "viewer", role(d.ReadReplica(t.Context())))
	require.NoError(t, standby.Run())
	testx.WaitFor(t, "the standby to be used again, with all that was written", func() bool {
		return used(true)() && d.Replicas()[0].Behind < time.Since(written)
	})

	t.Log("while the primary is away, what may be old is still read")
	require.NoError(t, primary.Stop())
	testx.WaitFor(t, "the primary to be missed", func() bool {
		_, err := d.Read(t.Context()).FindUser(u1)
		return db.Unavailable(err)
	})
	testx.WaitFor(t, "answers from the standby", func() bool { return sees("viewer") })
	assert.True(t, db.Unavailable(d.Tx(t.Context(), func(q db.Queries) error { return q.SetRole(u1, "admin", 1) })))
	require.NoError(t, primary.Run())
	testx.WaitFor(t, "the primary to be back", func() bool {
		return d.Tx(t.Context(), func(q db.Queries) error { return q.SetRole(u1, "admin", 1) }) == nil
	})
	testx.WaitFor(t, "the write to be seen by others", func() bool { return sees("admin") })
}

func TestAStandbyIsNoPlaceToWrite(t *testing.T) {
	t.Parallel()
	primary := pgtest.Start(t)
	standby := primary.Standby(t)
	_, err := db.Open(t.Context(), db.Options{URL: standby.URL("postgres")})
	require.Error(t, err)
	assert.True(t, db.Unavailable(err))
	assert.False(t, errors.Is(err, context.DeadlineExceeded))

	// And a server that is none is no replica: what it has is not known.
	d, err := db.Open(t.Context(), db.Options{URL: primary.URL("postgres"), Replicas: []string{primary.URL("postgres")}})
	require.NoError(t, err)
	defer func() { assert.NoError(t, d.Close()) }()
	ctx, stop := context.WithCancel(t.Context())
	var watch sync.WaitGroup
	watch.Go(func() { assert.NoError(t, d.Watch(ctx)) })
	_, err = d.MigrateUp(t.Context())
	require.NoError(t, err)
	_, err = d.ReadReplica(t.Context()).FindUser(u1)
	require.ErrorIs(t, err, db.ErrNotFound)
	assert.False(t, d.Replicas()[0].Used)
	stop()
	watch.Wait()
}
