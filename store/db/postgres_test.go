package db_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/store/db"
	"mediad/store/db/dbtest"
	"mediad/store/db/pgtest"
)

// TestACrowdThatChangesOneRowComesThrough: a hundred at once read a row and write it, and every change counts.
func TestACrowdThatChangesOneRowComesThrough(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := seeded(t, on)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				assert.NoError(t, d.Tx(t.Context(), func(q db.Queries) error {
					u, err := q.FindUser(u1)
					if err != nil {
						return err
					}
					return q.SetPassword(u1, fmt.Sprint(u.Version+1), false, 1)
				}))
			})
		}
		wg.Wait()
		u, err := d.Read(t.Context()).FindUser(u1)
		require.NoError(t, err)
		assert.Equal(t, int64(101), u.Version)
		assert.Equal(t, "101", u.PasswordHash, "nobody wrote over what he had not read")
	})
}

// TestTransactionsRunAsIfOneAfterTheOther: of two admins who each take the other's role away, unless he were the last, one stays.
func TestTransactionsRunAsIfOneAfterTheOther(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := seeded(t, on)
		tx(t, d, func(q db.Queries) error { return q.CreateUser(user(s1, "second", "admin")) })
		for range 10 {
			tx(t, d, func(q db.Queries) error { return errors.Join(q.SetRole(u1, "admin", 1), q.SetRole(s1, "admin", 1)) })
			var wg sync.WaitGroup
			for _, other := range []string{u1, s1} {
				wg.Go(func() {
					assert.NoError(t, d.Tx(t.Context(), func(q db.Queries) error {
						admins, err := q.CountUsersOfRole("admin")
						if err != nil || admins < 2 {
							return err
						}
						return q.SetRole(other, "viewer", 1)
					}))
				})
			}
			wg.Wait()
			admins, err := d.Read(t.Context()).CountUsersOfRole("admin")
			require.NoError(t, err)
			require.Equal(t, int64(1), admins)
		}
	})
}

func TestTextThatCannotBeStored(t *testing.T) {
	if !pgtest.Installed(t) {
		t.Skip("PostgreSQL is not installed: run deploy/deps.sh test")
	}
	d := seeded(t, onPostgres)
	for _, text := range []string{"a\x00b", "a\xff"} {
		_, err := d.Read(t.Context()).FindStream(text)
		require.ErrorIs(t, err, db.ErrInvalid)
		assert.False(t, db.Unavailable(err))
		err = d.Tx(t.Context(), func(q db.Queries) error { return q.CreateStream(stream(s1, text)) })
		require.ErrorIs(t, err, db.ErrInvalid)
	}
	_, err := d.Read(t.Context()).FindStreamBySlug("' OR 1=1 --")
	require.ErrorIs(t, err, db.ErrNotFound)
	require.Error(t, d.Read(t.Context()).CreateStream(stream(s1, "s")), "readers cannot write")
}

const hidden = "s3cr3t-p4ss"

func TestErrorsKeepThePassword(t *testing.T) {
	addr := testx.FreeAddr(t)
	for _, u := range []string{
		"postgres://u:" + hidden + "@" + addr + "/n", "postgres://u:" + hidden + "%zz@" + addr + "/n", "mysql://u:" + hidden + "@" + addr + "/n",
		"postgres://u:" + hidden + "@" + addr + "/n?sslmode=wrong", "postgres://u:" + hidden + "@" + addr + "/n?pool_max_conns=1",
		"postgres://u:" + hidden + "@" + addr + "/n?sslmode=verify-full&sslrootcert=/nowhere.pem",
		"postgres://u:" + hidden + "@" + addr + "/n?connect_timeout=soon",
	} {
		_, err := db.Open(t.Context(), db.Options{URL: u})
		require.Error(t, err)
		assert.NotContains(t, err.Error(), hidden)
		assert.NotContains(t, fmt.Sprintf("%+v", err), hidden)
	}
	began := time.Now()
	_, err := db.Open(t.Context(), db.Options{URL: "postgres://u:" + hidden + "@" + addr + "/n"})
	assert.True(t, db.Unavailable(err), "%v", err)
	assert.Less(t, time.Since(began), 20*time.Second)
}

func TestTLSAsTheURLSays(t *testing.T) {
	t.Parallel()
	server := pgtest.StartTLS(t, testx.Certificate(t))
	with := func(params string) (db.Server, error) {
		u, err := url.Parse(server.URL("postgres"))
		require.NoError(t, err)
		u.RawQuery = params
		d, err := db.Open(t.Context(), db.Options{URL: u.String()})
		if err != nil {
			return db.Server{}, err
		}
		defer func() { assert.NoError(t, d.Close()) }()
		return d.Server(t.Context())
	}
	for params, encrypted := range map[string]bool{
		"sslmode=disable": false, "sslmode=require": true, "sslmode=verify-full&sslrootcert=" + filepath.Join(server.Dir, "server.crt"): true,
	} {
		s, err := with(params)
		require.NoError(t, err, params)
		assert.Equal(t, encrypted, s.Encrypted, params)
		assert.Contains(t, s.Name, "PostgreSQL ")
		assert.Less(t, s.ClockAhead.Abs(), time.Minute)
	}
	_, err := with("sslmode=verify-full")
	require.Error(t, err, "nobody vouches for it")
	assert.True(t, db.Unavailable(err))
}

// TestPostgreSQLRestartsUnderLoad: while it is away everybody is told so at once, and afterwards all goes on by itself, with
// nothing lost that was said to be stored.
func TestPostgreSQLRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, "synchronous_commit = on")
	d, err := db.Open(t.Context(), db.Options{URL: server.Database(t, "load")})
	require.NoError(t, err)
	defer func() { assert.NoError(t, d.Close()) }()
	_, err = d.MigrateUp(t.Context())
	require.NoError(t, err)
	tx(t, d, func(q db.Queries) error { return q.CreateUser(user(u1, "first", "admin")) })

	var stored, unknown, refused, reads atomic.Int64
	var slowest atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	work := func(do func(ctx context.Context) error, good *atomic.Int64) {
		for ctx.Err() == nil {
			began := time.Now()
			err := do(t.Context())
			slowest.Store(max(slowest.Load(), int64(time.Since(began))))
			switch {
			case err == nil:
				good.Add(1)
			case errors.Is(err, db.ErrUnknownOutcome):
				unknown.Add(1)
			case assert.True(t, db.Unavailable(err), "%v", err):
				refused.Add(1)
			}
		}
	}
	for range 6 {
		wg.Go(func() {
			work(func(ctx context.Context) error { _, err := d.Read(ctx).FindUser(u1); return err }, &reads)
		})
		wg.Go(func() {
			work(func(ctx context.Context) error {
				return d.Tx(ctx, func(q db.Queries) error { return q.SetRole(u1, "admin", 1) })
			}, &stored)
		})
	}
	more := func(n *atomic.Int64) {
		from := n.Load()
		testx.WaitFor(t, "more of them", func() bool { return n.Load() > from+20 })
	}
	for range 2 {
		more(&stored)
		more(&reads)
		require.NoError(t, server.Stop())
		more(&refused)
		require.Error(t, d.Ping(t.Context()))
		require.NoError(t, server.Run())
		more(&stored)
		more(&reads)
	}
	stop()
	wg.Wait()
	u, err := d.Read(t.Context()).FindUser(u1)
	require.NoError(t, err)
	t.Logf("%d stored, %d of unknown outcome, %d refused, %d read; the slowest took %s", stored.Load(), unknown.Load(), refused.Load(), reads.Load(), time.Duration(slowest.Load()))
	assert.GreaterOrEqual(t, u.Version-1, stored.Load(), "what was said to be stored is")
	assert.LessOrEqual(t, u.Version-1, stored.Load()+unknown.Load(), "and nothing else")
	assert.Less(t, time.Duration(slowest.Load()), 20*time.Second)
}

// TestAServerThatHangsHoldsNobody longer than his deadline, and serves again when it goes on.
func TestAServerThatHangsHoldsNobody(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	d, err := db.Open(t.Context(), db.Options{URL: server.Database(t, "hang")})
	require.NoError(t, err)
	defer func() { assert.NoError(t, d.Close()) }()
	_, err = d.MigrateUp(t.Context())
	require.NoError(t, err)
	require.NoError(t, server.Pause())
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err = d.Read(ctx).FindUser(u1)
		assert.True(t, db.Unavailable(err), "%v", err)
		err = d.Tx(ctx, func(q db.Queries) error { _, err := q.FindUser(u1); return err })
		assert.True(t, db.Unavailable(err), "%v", err)
		cancel()
	}
	require.NoError(t, server.Resume())
	testx.WaitFor(t, "an answer", func() bool {
		_, err := d.Read(t.Context()).FindUser(u1)
		return errors.Is(err, db.ErrNotFound)
	})
}

// TestALeadOfAServerThatHangsIsLost, and asking for one holds nobody, though the caller has no deadline.
func TestALeadOfAServerThatHangsIsLost(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	d, err := db.Open(t.Context(), db.Options{URL: server.Database(t, "lead")})
	require.NoError(t, err)
	defer func() { assert.NoError(t, d.Close()) }()
	lead, err := d.LeadRelay(t.Context())
	require.NoError(t, err)
	require.NotNil(t, lead)
	require.True(t, lead.Holds(t.Context()))
	require.NoError(t, server.Pause())
	lost, refused := make(chan bool, 1), make(chan error, 1)
	go func() {
		lost <- !lead.Holds(t.Context())
		other, err := d.LeadRelay(t.Context())
		if other != nil {
			other.End(t.Context())
		}
		refused <- err
	}()
	testx.WaitFor(t, "the end of both questions", func() bool { return len(refused) == 1 })
	require.NoError(t, server.Resume())
	assert.True(t, <-lost)
	assert.Error(t, <-refused)
	lead.End(t.Context())
	testx.WaitFor(t, "another lead", func() bool {
		next, err := d.LeadRelay(t.Context())
		if err != nil || next == nil {
			return false
		}
		next.End(t.Context())
		return true
	})
}
