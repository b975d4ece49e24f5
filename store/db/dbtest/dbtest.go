// Package dbtest opens databases for tests: real ones, migrated, closed and removed with the test.
package dbtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"mediad/store/db"
	"mediad/store/db/pgtest"
)

// variable says which engine Open takes, so that whole suites run on either: postgres or, when it is not set, sqlite.
const variable = "MEDIAD_TEST_DATABASE"

// Run runs a test on SQLite, and on PostgreSQL where it is installed.
func Run(t *testing.T, test func(t *testing.T, on On)) {
	for _, e := range []db.Engine{db.SQLite, db.PostgreSQL} {
		t.Run(string(e), func(t *testing.T) {
			if e == db.PostgreSQL && !pgtest.Installed(t) {
				t.Skip("PostgreSQL is not installed: run deploy/deps.sh test")
			}
			test(t, On(e))
		})
	}
}

// On is an engine that tests run on.
type On db.Engine

// Open makes a migrated database of its own for the test.
func (e On) Open(t testing.TB) *db.DB { return e.OpenWith(t, db.Options{}) }

// OpenWith is Open with options; the place is filled in.
func (e On) OpenWith(t testing.TB, o db.Options) *db.DB {
	t.Helper()
	if o.URL == "" {
		o = e.Place(t, o)
	}
	d, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := d.MigrateUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// Place fills in where a database may be that goes with the test. Where it is not the test's own choice, it is migrated already.
func (e On) Place(t testing.TB, o db.Options) db.Options {
	t.Helper()
	if e == On(db.SQLite) {
		if o.Path != "" {
			return o
		}
		o.Path = filepath.Join(t.TempDir(), "mediad.db")
		file, err := migrated()
		if err == nil {
			err = os.WriteFile(o.Path, file, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	server, err := template()
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("test_%d", databases.Add(1))
	quoted := pgx.Identifier{name}.Sanitize()
	if err := server.Exec("postgres", "CREATE DATABASE "+quoted+" TEMPLATE migrated"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the database is closed
		if err := server.Exec("postgres", "DROP DATABASE "+quoted+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	o.URL = server.URL(name)
	return o
}

// migrated is a migrated SQLite file to copy: under the race detector that is quicker by a second a test than to migrate each time.
var migrated = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "mediad-db-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "mediad.db")
	d, err := db.Open(context.Background(), db.Options{Path: path})
	if err != nil {
		return nil, err
	}
	_, err = d.MigrateUp(context.Background())
	if err = errors.Join(err, d.Close()); err != nil { // Close leaves nothing beside the file
		return nil, err
	}
	return os.ReadFile(path)
})

var databases atomic.Int64

// template is the process's server with a migrated database to copy: that is quicker than to migrate for each test.
var template = sync.OnceValues(func() (*pgtest.Server, error) {
	server, err := pgtest.Shared()
	if err != nil {
		return nil, err
	}
	if err := server.Exec("postgres", "CREATE DATABASE migrated"); err != nil {
		return nil, err
	}
	d, err := db.Open(context.Background(), db.Options{URL: server.URL("migrated")})
	if err != nil {
		return nil, err
	}
	defer d.Close()
	_, err = d.MigrateUp(context.Background())
	return server, err
})

// chosen is what Open takes.
func chosen(t testing.TB) On {
	t.Helper()
	switch e := db.Engine(os.Getenv(variable)); e {
	case "", db.SQLite:
		return On(db.SQLite)
	case db.PostgreSQL:
		if !pgtest.Installed(t) {
			t.Skip("PostgreSQL is not installed: run deploy/deps.sh test")
		}
		return On(e)
	default:
		t.Fatalf("%s is %q, neither sqlite nor postgres", variable, e)
		return ""
	}
}

// Open makes a migrated database of its own for the test, on SQLite unless MEDIAD_TEST_DATABASE is postgres.
func Open(t testing.TB) *db.DB {
	t.Helper()
	return OpenWith(t, db.Options{})
}

// OpenWith is Open with options; with a path it is on SQLite.
func OpenWith(t testing.TB, o db.Options) *db.DB {
	t.Helper()
	if o.Path != "" {
		return On(db.SQLite).OpenWith(t, o)
	}
	return chosen(t).OpenWith(t, o)
}

// Closed is a database that has been closed: it does not answer.
func Closed(t testing.TB) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), chosen(t).Place(t, db.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return d
}
