package transfer_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/dbtest"
	"mediad/store/db/pgtest"
	"mediad/store/db/transfer"
	"mediad/store/db/transfer/transfertest"
)

const (
	onSQLite   = dbtest.On(db.SQLite)
	onPostgres = dbtest.On(db.PostgreSQL)
)

func options(t *testing.T, from *db.DB) transfer.Options {
	t.Helper()
	schema, err := from.Schema(t.Context())
	require.NoError(t, err)
	return transfer.Options{Name: from.Where(), Schema: schema}
}

func TestEveryTableThereAndBack(t *testing.T) {
	first := transfertest.Full(t)
	second, _ := transfertest.OpenEmpty(t, db.SQLite)
	third, o := transfertest.OpenEmpty(t, db.PostgreSQL)
	for _, move := range []struct{ from, to *db.DB }{{first, second}, {second, third}} {
		from := transfertest.Snapshot(t, move.from)
		result, err := transfer.Load(t.Context(), from, move.to, options(t, move.from))
		require.NoError(t, err)
		require.False(t, result.Resumed)
		for _, one := range result.Tables {
			assert.Positive(t, one.Sum.Rows, "no rows in %s: it needs a filler", one.Name)
			assert.Equal(t, one.Sum.Rows, one.Stored, one.Name)
		}
		_, err = move.to.MigrateUp(t.Context())
		require.NoError(t, err, "a server may start")
		err = transfer.Check(t.Context(), move.to, options(t, move.from))
		require.ErrorIs(t, err, transfer.ErrNotEmpty)
	}
	transfertest.Equal(t, first, third)

	// One bit of one row is seen, and which table it is in.
	_, err := transfertest.Raw(t, o).ExecContext(t.Context(), "UPDATE users SET updated_at = updated_at # 1 WHERE username = 'user7'")
	require.NoError(t, err)
	_, differ, err := transfer.Compare(t.Context(), transfertest.Snapshot(t, first), transfertest.Snapshot(t, third), nil)
	require.NoError(t, err)
	require.Len(t, differ, 1)
	require.Equal(t, "users", differ[0].Table)
	_, differ, err = transfer.Compare(t.Context(), transfertest.Snapshot(t, first), transfertest.Snapshot(t, third), transfer.Ignored{"users": {"updated_at"}})
	require.NoError(t, err)
	require.Empty(t, differ)
}

// TestBothEnginesAreMovedAlike: every table is moved or left out on purpose, and columns are of one kind on both.
func TestBothEnginesAreMovedAlike(t *testing.T) {
	if !pgtest.Installed(t) {
		t.Skip("PostgreSQL is not installed: run deploy/deps.sh test")
	}
	lite, post := transfertest.Snapshot(t, onSQLite.Open(t)).Schema(), transfertest.Snapshot(t, onPostgres.Open(t)).Schema()
	require.Len(t, post.Tables, len(lite.Tables))
	for i := range lite.Tables {
		a, b := &lite.Tables[i], &post.Tables[i]
		require.Equal(t, a.Name, b.Name, "the order is the same")
		require.NoError(t, a.Fits(b))
		require.NoError(t, b.Fits(a))
		require.Equal(t, a.Counter, b.Counter, a.Name)
	}
	require.NotEmpty(t, transfer.Excluded("goose_db_version"))
}

// TestAMoveGoesOn is stopped after each batch, as by a kill: what was committed is there.
func TestAMoveGoesOn(t *testing.T) {
	from := transfertest.Full(t)
	for _, on := range []db.Engine{db.SQLite, db.PostgreSQL} {
		t.Run(string(on), func(t *testing.T) {
			to, _ := transfertest.OpenEmpty(t, on)
			o := options(t, from)
			killed := errors.New("killed")
			batches, times := 0, 0
			for done := false; !done; times++ {
				ctx, cancel := context.WithCancelCause(t.Context())
				stop := batches + 1 + 4*times
				o.Progress = func(string, int64) {
					if batches++; batches > stop {
						cancel(killed)
					}
				}
				o.AfterRows = func(context.Context) error {
					if times%2 == 0 {
						return killed // after the rows, and before the end
					}
					return nil
				}
				source, err := transfer.Open(t.Context(), from)
				require.NoError(t, err)
				result, err := transfer.Load(ctx, source, to, o)
				require.NoError(t, source.Close())
				cancel(nil)
				require.Equal(t, times > 0, result.Resumed)
				if done = err == nil; done {
					break
				}
				_, err = to.MigrateUp(t.Context())
				require.ErrorIs(t, err, db.ErrMoving, "no server starts on a part of a site")
				other := o
				other.Name = "another site"
				_, err = transfer.Load(t.Context(), transfertest.Snapshot(t, from), to, other)
				require.ErrorIs(t, err, transfer.ErrNotEmpty)
			}
			require.Greater(t, times, 2)
			transfertest.Equal(t, from, to)
		})
	}
}

func TestAChangeMeanwhileIsFound(t *testing.T) {
	o := onSQLite.Place(t, db.Options{})
	from := onSQLite.OpenWith(t, o)
	require.NoError(t, from.Tx(t.Context(), func(q db.Queries) error {
		for _, name := range []string{"anna", "berta"} {
			if err := q.CreateUser(db.User{ID: name, Username: name, Role: "viewer", State: "active"}); err != nil {
				return err
			}
		}
		return nil
	}))
	to, _ := transfertest.OpenEmpty(t, db.SQLite)
	stopped := options(t, from)
	ctx, cancel := context.WithCancel(t.Context())
	stopped.Progress = func(string, int64) { cancel() }
	_, err := transfer.Load(ctx, transfertest.Snapshot(t, from), to, stopped)
	require.ErrorIs(t, err, context.Canceled)
	_, err = transfertest.Raw(t, o).ExecContext(t.Context(), "UPDATE users SET display_name = 'changed' WHERE id = 'anna'")
	require.NoError(t, err)
	_, err = transfer.Load(t.Context(), transfertest.Snapshot(t, from), to, options(t, from))
	require.ErrorIs(t, err, transfer.ErrDiffers)
	require.ErrorContains(t, err, "users has as many rows on both sides, 2")
	_, err = transfertest.Raw(t, o).ExecContext(t.Context(), "DELETE FROM users WHERE id = 'berta'")
	require.NoError(t, err)
	_, err = transfer.Load(t.Context(), transfertest.Snapshot(t, from), to, options(t, from))
	require.ErrorIs(t, err, transfer.ErrDiffers)
	require.ErrorContains(t, err, "that the source has not")
}

func TestNewerSchemasAreRefused(t *testing.T) {
	from := onSQLite.Open(t)
	to, _ := transfertest.OpenEmpty(t, db.SQLite)
	o := options(t, from)
	o.Schema += 1000
	_, err := transfer.Load(t.Context(), transfertest.Snapshot(t, from), to, o)
	require.ErrorIs(t, err, db.ErrNewer)
}

// TestASnapshotStaysAsItWas while others write, who do not wait for it.
func TestASnapshotStaysAsItWas(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := on.Open(t)
		add := func(name string) {
			t.Helper()
			require.NoError(t, d.Tx(t.Context(), func(q db.Queries) error { return q.CreateUser(db.User{ID: name, Username: name, Role: "viewer"}) }))
		}
		add("anna")
		s := transfertest.Snapshot(t, d)
		add("berta")
		users, ok := s.Schema().Table("users")
		require.True(t, ok)
		sum, err := transfer.SumOf(t.Context(), s, users, nil)
		require.NoError(t, err)
		require.EqualValues(t, 1, sum.Rows)
		add("carla")
		now, err := transfer.SumOf(t.Context(), transfertest.Snapshot(t, d), users, nil)
		require.NoError(t, err)
		require.EqualValues(t, 3, now.Rows)
	})
}

// TestAnOlderSourceIsBroughtUpToDate after its rows were compared.
func TestAnOlderSourceIsBroughtUpToDate(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		from, o := transfertest.OpenEmpty(t, db.SQLite)
		require.NoError(t, from.MigrateTo(t.Context(), 3))
		_, err := transfertest.Raw(t, o).ExecContext(t.Context(), "INSERT INTO users VALUES ('anna', 'anna', 'Anna', 'h', 'admin', 1, 1, 1, 1)")
		require.NoError(t, err)
		to, _ := transfertest.OpenEmpty(t, db.Engine(on))
		_, err = transfer.Load(t.Context(), transfertest.Snapshot(t, from), to, options(t, from))
		require.NoError(t, err)
		newest, err := to.KnownSchema()
		require.NoError(t, err)
		schema, err := to.Schema(t.Context())
		require.NoError(t, err)
		require.Equal(t, newest, schema)
		anna, err := to.Read(t.Context()).FindUserByName("anna")
		require.NoError(t, err)
		require.True(t, anna.MustChangePassword)
		older, err := from.Schema(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 3, older, "the source is only read")
	})
}
