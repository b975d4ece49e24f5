package transfer_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/dbtest"
	"mediad/store/db/pgtest"
	"mediad/store/db/transfer"
)

const (
	onSQLite   = dbtest.On(db.SQLite)
	onPostgres = dbtest.On(db.PostgreSQL)
)

var generated = regexp.MustCompile(`generate_series\(1, \d+\)`)

// fillers are the statements with which the tests of plans fill every table, with less rows each. The first ones get more, as
// the later ones refer to them.
func fillers(t *testing.T) (all []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../plan_postgres_test.go", nil, 0)
	require.NoError(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != "fillers" {
			return true
		}
		for _, e := range spec.Values[0].(*ast.CompositeLit).Elts {
			text, err := strconv.Unquote(e.(*ast.BasicLit).Value)
			require.NoError(t, err)
			all = append(all, text)
		}
		return false
	})
	require.NotEmpty(t, all)
	for i := range all {
		all[i] = generated.ReplaceAllString(all[i], fmt.Sprintf("generate_series(1, %d)", 5*(len(all)-i)+10))
	}
	return all
}

// full is a database on PostgreSQL with rows in every table.
func full(t *testing.T) *db.DB {
	t.Helper()
	if !pgtest.Installed(t) {
		t.Skip("PostgreSQL is not installed: run deploy/deps.sh test")
	}
	o := onPostgres.Place(t, db.Options{})
	d := onPostgres.OpenWith(t, o)
	pool := raw(t, o)
	conn, err := pool.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(t.Context(), "SET session_replication_role = replica")
	require.NoError(t, err)
	for _, filler := range fillers(t) {
		_, err := conn.ExecContext(t.Context(), filler)
		require.NoError(t, err, filler)
	}
	return d
}

// raw is a pool beside that of a DB.
func raw(t *testing.T, o db.Options) *sql.DB {
	t.Helper()
	driver, place := "pgx", o.URL
	if o.URL == "" {
		driver, place = "sqlite", "file:"+o.Path+"?_pragma=busy_timeout(5000)"
	}
	pool, err := sql.Open(driver, place)
	require.NoError(t, err)
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

// empty is a database without a schema.
func empty(t *testing.T, on dbtest.On) (*db.DB, db.Options) {
	t.Helper()
	o := db.Options{Path: t.TempDir() + "/mediad.db"}
	if on == onPostgres {
		server, err := pgtest.Shared()
		require.NoError(t, err)
		o = db.Options{URL: server.Database(t, "empty_"+strings.ToLower(regexp.MustCompile(`\W`).ReplaceAllString(t.Name(), "_")))}
	}
	d, err := db.Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d, o
}

func snapshot(t *testing.T, d *db.DB) *transfer.Snapshot {
	t.Helper()
	s, err := transfer.Open(t.Context(), d)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func options(t *testing.T, from *db.DB) transfer.Options {
	t.Helper()
	schema, err := from.Schema(t.Context())
	require.NoError(t, err)
	return transfer.Options{Name: from.Where(), Schema: schema}
}

// equal says that two databases have the same rows.
func equal(t *testing.T, a, b *db.DB) {
	t.Helper()
	sums, differ, err := transfer.Compare(t.Context(), snapshot(t, a), snapshot(t, b), nil)
	require.NoError(t, err)
	require.Empty(t, differ)
	require.NotEmpty(t, sums)
}

func TestEveryTableThereAndBack(t *testing.T) {
	first := full(t)
	second, _ := empty(t, onSQLite)
	third, o := empty(t, onPostgres)
	for _, move := range []struct{ from, to *db.DB }{{first, second}, {second, third}} {
		from := snapshot(t, move.from)
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
	equal(t, first, third)

	// One bit of one row is seen, and which table it is in.
	_, err := raw(t, o).ExecContext(t.Context(), "UPDATE users SET updated_at = updated_at # 1 WHERE username = 'user7'")
	require.NoError(t, err)
	_, differ, err := transfer.Compare(t.Context(), snapshot(t, first), snapshot(t, third), nil)
	require.NoError(t, err)
	require.Len(t, differ, 1)
	require.Equal(t, "users", differ[0].Table)
	_, differ, err = transfer.Compare(t.Context(), snapshot(t, first), snapshot(t, third), transfer.Ignored{"users": {"updated_at"}})
	require.NoError(t, err)
	require.Empty(t, differ)
}

// TestBothEnginesAreMovedAlike: every table is moved or left out on purpose, and columns are of one kind on both.
func TestBothEnginesAreMovedAlike(t *testing.T) {
	if !pgtest.Installed(t) {
		t.Skip("PostgreSQL is not installed: run deploy/deps.sh test")
	}
	lite, post := snapshot(t, onSQLite.Open(t)).Schema(), snapshot(t, onPostgres.Open(t)).Schema()
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
	from := full(t)
	for _, on := range []dbtest.On{onSQLite, onPostgres} {
		t.Run(string(on), func(t *testing.T) {
			to, _ := empty(t, on)
			o := options(t, from)
			killed := errors.New("killed")
			batches, times := 0, 0
			for done := false; !done; times++ {
				ctx, cancel := context.WithCancelCause(t.Context())
				stop := batches + 1
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
				_, err = transfer.Load(t.Context(), snapshot(t, from), to, other)
				require.ErrorIs(t, err, transfer.ErrNotEmpty)
			}
			require.Greater(t, times, 3)
			equal(t, from, to)
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
	to, _ := empty(t, onSQLite)
	stopped := options(t, from)
	ctx, cancel := context.WithCancel(t.Context())
	stopped.Progress = func(string, int64) { cancel() }
	_, err := transfer.Load(ctx, snapshot(t, from), to, stopped)
	require.ErrorIs(t, err, context.Canceled)
	_, err = raw(t, o).ExecContext(t.Context(), "UPDATE users SET display_name = 'changed' WHERE id = 'anna'")
	require.NoError(t, err)
	_, err = transfer.Load(t.Context(), snapshot(t, from), to, options(t, from))
	require.ErrorIs(t, err, transfer.ErrDiffers)
	require.ErrorContains(t, err, "users has as many rows on both sides, 2")
	_, err = raw(t, o).ExecContext(t.Context(), "DELETE FROM users WHERE id = 'berta'")
	require.NoError(t, err)
	_, err = transfer.Load(t.Context(), snapshot(t, from), to, options(t, from))
	require.ErrorIs(t, err, transfer.ErrDiffers)
	require.ErrorContains(t, err, "that the source has not")
}

func TestNewerSchemasAreRefused(t *testing.T) {
	from := onSQLite.Open(t)
	to, _ := empty(t, onSQLite)
	o := options(t, from)
	o.Schema += 1000
	_, err := transfer.Load(t.Context(), snapshot(t, from), to, o)
	require.ErrorIs(t, err, db.ErrNewer)
}
