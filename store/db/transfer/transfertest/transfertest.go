// Package transfertest makes databases with rows in every table, and empty ones.
package transfertest

import (
	"context"
	"database/sql"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"mediad/store/db"
	"mediad/store/db/dbtest"
	"mediad/store/db/pgtest"
	"mediad/store/db/transfer"
)

var generated = regexp.MustCompile(`generate_series\(1, \d+\)`)

// fillers are the statements with which the tests of plans fill every table (store/db/plan_postgres_test.go), with fewer rows each. The
// first ones get more, as later ones refer to them.
func fillers() (all []string, err error) {
	_, here, _, _ := runtime.Caller(0)
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(filepath.Dir(here), "../../plan_postgres_test.go"), nil, 0)
	if err != nil {
		return nil, err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != "fillers" || err != nil {
			return true
		}
		for _, e := range spec.Values[0].(*ast.CompositeLit).Elts {
			var text string
			if text, err = strconv.Unquote(e.(*ast.BasicLit).Value); err != nil {
				return false
			}
			all = append(all, text)
		}
		return false
	})
	for i := range all {
		all[i] = generated.ReplaceAllString(all[i], fmt.Sprintf("generate_series(1, %d)", len(all)-i+10))
	}
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("store/db has no fillers any more")
	}
	return all, err
}

// Full is a database on PostgreSQL with rows in every table; the test is skipped where that is not installed.
func Full(t testing.TB) *db.DB {
	t.Helper()
	if !pgtest.Installed(t) {
		t.Skip("PostgreSQL is not installed: run deploy/deps.sh test")
	}
	on := dbtest.On(db.PostgreSQL)
	o := on.Place(t, db.Options{})
	d := on.OpenWith(t, o)
	statements, err := fillers()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := Raw(t, o).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// Rows may come in any order; they hold what foreign keys ask, which copying them shows.
	for _, statement := range append([]string{"SET session_replication_role = replica"}, statements...) {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%v: %s", err, statement)
		}
	}
	return d
}

// Raw is a pool beside that of a DB.
func Raw(t testing.TB, o db.Options) *sql.DB {
	t.Helper()
	driver, place := "pgx", o.URL
	if o.URL == "" {
		driver, place = "sqlite", "file:"+o.Path+"?_pragma=busy_timeout(5000)"
	}
	pool, err := sql.Open(driver, place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

var unusual = regexp.MustCompile(`[^a-z0-9]+`)

// Empty is where a database without a schema is.
func Empty(t testing.TB, engine db.Engine) db.Options {
	t.Helper()
	if engine == db.SQLite {
		return db.Options{Path: filepath.Join(t.TempDir(), "mediad.db")}
	}
	server, err := pgtest.Shared()
	if err != nil {
		t.Fatal(err)
	}
	return db.Options{URL: server.Database(t, "empty"+unusual.ReplaceAllString(strings.ToLower(t.Name()), "_"))}
}

// OpenEmpty opens a database without a schema.
func OpenEmpty(t testing.TB, engine db.Engine) (*db.DB, db.Options) {
	t.Helper()
	o := Empty(t, engine)
	d, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d, o
}

// Snapshot takes one that ends with the test.
func Snapshot(t testing.TB, d *db.DB) *transfer.Snapshot {
	t.Helper()
	s, err := transfer.Open(context.Background(), d) // the test's own context ends before it does
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Equal fails unless two databases have the same rows.
func Equal(t testing.TB, a, b *db.DB) {
	t.Helper()
	sums, differ, err := transfer.Compare(t.Context(), Snapshot(t, a), Snapshot(t, b), nil)
	if err != nil || len(differ) > 0 || len(sums) == 0 {
		t.Fatalf("not equal: %v, %v, of %d tables", err, differ, len(sums))
	}
}
