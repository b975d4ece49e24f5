package db_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"mediad/store/db"
	"mediad/store/db/dbtest"
	"mediad/store/db/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	u1 = "0198f2a0-0000-7000-8000-000000000001"
	s1 = "0198f2a0-0000-7000-8000-000000000011"
	s2 = "0198f2a0-0000-7000-8000-000000000012"
	s3 = "0198f2a0-0000-7000-8000-000000000013"
)

const onSQLite, onPostgres = dbtest.On(db.SQLite), dbtest.On(db.PostgreSQL)

func tx(t *testing.T, d *db.DB, fn func(q db.Queries) error) {
	t.Helper()
	require.NoError(t, d.Tx(t.Context(), fn))
}

func user(id, name, role string) db.User {
	return db.User{
		ID: id, Username: name, DisplayName: name, PasswordHash: "$argon2id$x", Role: role, State: db.UserActive, SessionVersion: 1, Links: []db.Link{},
		CreatedAt: 1, UpdatedAt: 1, Version: 1,
	}
}

func stream(id, slug string) db.Stream {
	return db.Stream{
		ID: id, Slug: slug, OwnerID: u1, Title: slug, Visibility: "public", ReplayVisibility: "public", Latency: "low",
		Record: true, DVRS: 7200, ResumeWindowS: 60, CreatedAt: 1, UpdatedAt: 1, Version: 1,
	}
}

// seeded has one user and the streams given.
func seeded(t *testing.T, on dbtest.On, streams ...db.Stream) *db.DB {
	t.Helper()
	d := on.Open(t)
	tx(t, d, func(q db.Queries) error {
		if err := q.CreateUser(user(u1, "first", "admin")); err != nil {
			return err
		}
		for _, s := range streams {
			if err := q.CreateStream(s); err != nil {
				return err
			}
		}
		return nil
	})
	return d
}

// TestMigrateTwiceAndStatus begins with nothing.
func TestMigrateTwiceAndStatus(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		testMigrateTwiceAndStatus(t, db.Options{Path: filepath.Join(t.TempDir(), "x", "mediad.db")})
	})
	t.Run("postgres", func(t *testing.T) { testMigrateTwiceAndStatus(t, db.Options{URL: emptyPostgres(t)}) })
}

// emptyPostgres is a database of the test's own without a table.
func emptyPostgres(t *testing.T) string {
	t.Helper()
	if !pgtest.Installed(t) {
		t.Skip("PostgreSQL is not installed: run deploy/deps.sh test")
	}
	server, err := pgtest.Shared()
	require.NoError(t, err)
	return server.Database(t, t.Name())
}

func testMigrateTwiceAndStatus(t *testing.T, o db.Options) {
	d, err := db.Open(t.Context(), o)
	require.NoError(t, err)
	defer func() { assert.NoError(t, d.Close()) }()

	pending, err := d.Migrations(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, pending)
	for _, m := range pending {
		assert.True(t, m.AppliedAt.IsZero(), m.Name)
	}
	applied, err := d.MigrateUp(t.Context())
	require.NoError(t, err)
	require.Len(t, applied, len(pending))
	assert.Equal(t, "0001_users.sql", applied[0].Name)

	again, err := d.MigrateUp(t.Context())
	require.NoError(t, err)
	assert.Empty(t, again)
	done, err := d.Migrations(t.Context())
	require.NoError(t, err)
	for _, m := range done {
		assert.False(t, m.AppliedAt.IsZero(), m.Name)
	}
}

func TestMigrationsAtTheSameTime(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		testMigrationsAtTheSameTime(t, db.Options{Path: filepath.Join(t.TempDir(), "mediad.db")})
	})
	t.Run("postgres", func(t *testing.T) { testMigrationsAtTheSameTime(t, db.Options{URL: emptyPostgres(t)}) })
}

func testMigrationsAtTheSameTime(t *testing.T, o db.Options) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			d, err := db.Open(t.Context(), o)
			if !assert.NoError(t, err) {
				return
			}
			_, err = d.MigrateUp(t.Context())
			assert.NoError(t, err)
			assert.NoError(t, d.Close())
		})
	}
	wg.Wait()
}

func TestOpenGivesUpWithItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mediad.db")
	holder, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	require.NoError(t, syscall.Flock(int(holder.Fd()), syscall.LOCK_EX))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = db.Open(ctx, db.Options{Path: path})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, holder.Close())
	dbtest.OpenWith(t, db.Options{Path: path})
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		o := on.Place(t, db.Options{})
		d := on.OpenWith(t, o)
		driver, place := "sqlite", "file:"+d.Where()
		if d.Engine() == db.PostgreSQL {
			driver, place = "pgx", o.URL
		}
		raw, err := sql.Open(driver, place)
		require.NoError(t, err)
		_, err = raw.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, '1')")
		require.NoError(t, err)
		require.NoError(t, raw.Close())
		_, err = d.MigrateUp(t.Context())
		require.ErrorIs(t, err, db.ErrNewer)
	})
}

func TestFileIsForTheOwnerAlone(t *testing.T) {
	d := seeded(t, onSQLite)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(d.Where() + suffix)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), suffix)
	}
}

func TestPragmas(t *testing.T) {
	d := seeded(t, onSQLite)
	raw, err := sql.Open("sqlite", "file:"+d.Where())
	require.NoError(t, err)
	defer func() { assert.NoError(t, raw.Close()) }()
	var mode string
	require.NoError(t, raw.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode))
	assert.Equal(t, "wal", mode)

	orphan := stream(s1, "orphan")
	orphan.OwnerID = "nobody"
	require.Error(t, d.Tx(t.Context(), func(q db.Queries) error { return q.CreateStream(orphan) }), "foreign keys are on")
	require.Error(t, d.Read(t.Context()).CreateStream(stream(s1, "s")), "readers cannot write")
}

func TestPathsThatLookLikeURLs(t *testing.T) {
	for _, name := range []string{"a b.db", "a?mode=memory&x.db", "a#b.db", "ä%20.db"} {
		path := filepath.Join(t.TempDir(), name)
		d := dbtest.OpenWith(t, db.Options{Path: path})
		require.NoError(t, d.Ping(t.Context()))
		require.FileExists(t, path)
		info, err := os.Stat(path + "-wal")
		require.NoError(t, err, name)
		assert.Positive(t, info.Size())
	}
}

func TestCommittedRowsSurviveAKill(t *testing.T) {
	d := seeded(t, onSQLite, stream(s1, "kept"))
	// A copy of file and log while the first is open is what a killed process leaves behind.
	dir := t.TempDir()
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(d.Where() + suffix)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "mediad.db"+suffix), data, 0o600))
	}
	again := dbtest.OpenWith(t, db.Options{Path: filepath.Join(dir, "mediad.db")})
	s, err := again.Read(t.Context()).FindStreamBySlug("kept")
	require.NoError(t, err)
	assert.Equal(t, s1, s.ID)

	// A log torn in the middle of its last transaction loses that transaction at most.
	wal, err := os.ReadFile(d.Where() + "-wal")
	require.NoError(t, err)
	torn := t.TempDir()
	main, err := os.ReadFile(d.Where())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(torn, "mediad.db"), main, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(torn, "mediad.db-wal"), wal[:len(wal)-100], 0o600))
	third := dbtest.OpenWith(t, db.Options{Path: filepath.Join(torn, "mediad.db")})
	require.NoError(t, third.Ping(t.Context()))
}

func TestTransactionIsAllOrNothing(t *testing.T) { dbtest.Run(t, testTransactionIsAllOrNothing) }

func testTransactionIsAllOrNothing(t *testing.T, on dbtest.On) {
	d := seeded(t, on)
	failed := errors.New("no")
	err := d.Tx(t.Context(), func(q db.Queries) error {
		if err := q.CreateStream(stream(s1, "gone")); err != nil {
			return err
		}
		return failed
	})
	require.ErrorIs(t, err, failed)
	_, err = d.Read(t.Context()).FindStream(s1)
	require.ErrorIs(t, err, db.ErrNotFound)
	assert.Panics(t, func() {
		_ = d.Tx(t.Context(), func(q db.Queries) error {
			if err := q.CreateStream(stream(s1, "gone")); err != nil {
				return err
			}
			panic("mid-way")
		})
	})
	_, err = d.Read(t.Context()).FindStream(s1)
	require.ErrorIs(t, err, db.ErrNotFound)
	tx(t, d, func(q db.Queries) error { return q.CreateStream(stream(s1, "there")) })
}

func TestUnavailable(t *testing.T) {
	d := seeded(t, onSQLite)
	assert.False(t, db.Unavailable(nil))
	_, err := d.Read(t.Context()).FindStream("x")
	assert.False(t, db.Unavailable(err))

	ctx, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	_, err = d.Read(ctx).FindStream("x")
	assert.True(t, db.Unavailable(err), "%v", err)
	assert.True(t, db.Unavailable(d.Tx(ctx, func(db.Queries) error { return nil })))

	closed, err := db.Open(t.Context(), db.Options{Path: filepath.Join(t.TempDir(), "c.db")})
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	_, err = closed.Read(t.Context()).FindStream("x")
	assert.True(t, db.Unavailable(err), "%v", err)
	require.Error(t, closed.Ping(t.Context()))

	junk := filepath.Join(t.TempDir(), "junk.db")
	require.NoError(t, os.WriteFile(junk, []byte("this is no database, whatever its name says, and long enough"), 0o600))
	_, err = db.Open(t.Context(), db.Options{Path: junk})
	assert.True(t, db.Unavailable(err), "%v", err)
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []db.Options{
		{}, {Path: "x", Readers: -1}, {Path: "x", Readers: 65}, {Path: "x", URL: "postgres://h/n"}, {Path: "x", Replicas: []string{"postgres://h/n"}},
	} {
		_, err := db.Open(t.Context(), o)
		require.Error(t, err, "%+v", o)
	}
}
