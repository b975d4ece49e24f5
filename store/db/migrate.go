package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/pressly/goose/v3"

	"mediad/store/db/migrations"
)

// ErrNewer is returned, wrapped, for a database that a later mediad has written.
var ErrNewer = errors.New("db: the database is newer than this program")

// Migration is one numbered change of the schema.
type Migration struct {
	Version int64
	Name    string
	// AppliedAt is zero while it is pending.
	AppliedAt time.Time
}

// MigrateUp applies what is pending, each migration in a transaction of its own, and returns what it applied. Processes
// that start together, be they on several machines, do it one after the other.
func (d *DB) MigrateUp(ctx context.Context) ([]Migration, error) {
	pool, unlock, err := d.migrationPool(ctx)
	if err != nil {
		return nil, fmt.Errorf("db: migrate: %w", err)
	}
	defer unlock()
	if of, there, err := d.Moving(ctx); err != nil || there {
		if there {
			err = fmt.Errorf("%w: they come from %s; move them again, and it goes on", ErrMoving, of.Source)
		}
		return nil, err
	}
	p, err := d.provider(pool)
	if err != nil {
		return nil, err
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return nil, fmt.Errorf("db: migrate: %w", err)
	}
	if current > target {
		return nil, fmt.Errorf("%w: schema %d, known up to %d", ErrNewer, current, target)
	}
	results, err := p.Up(ctx)
	if err != nil {
		return nil, fmt.Errorf("db: migrate: %w", err)
	}
	var applied []Migration
	for _, r := range results {
		applied = append(applied, Migration{Version: r.Source.Version, Name: path.Base(r.Source.Path)})
	}
	return applied, nil
}

// migrationPool is what migrations run on, while no other process migrates.
func (d *DB) migrationPool(ctx context.Context) (pool *sql.DB, unlock func(), err error) {
	if d.engine == SQLite {
		unlock, err = lock(ctx, d.where)
		return d.writes, unlock, err
	}
	c := d.url.primary()
	c.RuntimeParams["statement_timeout"] = "0" // a large table takes its time
	c.RuntimeParams["lock_timeout"] = "10000"  // but who waits for a table to be free keeps everybody behind him waiting
	pool = openPool(c, 2)                      // one holds the lock
	release, err := lockDatabase(ctx, pool)
	if err != nil {
		return nil, nil, errors.Join(err, pool.Close())
	}
	return pool, func() {
		release()
		_ = pool.Close()
	}, nil
}

// Migrations lists every known migration, oldest first.
func (d *DB) Migrations(ctx context.Context) ([]Migration, error) {
	p, err := d.provider(d.writes)
	if err != nil {
		return nil, err
	}
	status, err := p.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("db: migrations: %w", err)
	}
	var all []Migration
	for _, s := range status {
		all = append(all, Migration{Version: s.Source.Version, Name: path.Base(s.Source.Path), AppliedAt: s.AppliedAt})
	}
	return all, nil
}

func (d *DB) provider(pool *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations.FS, string(d.engine))
	if err != nil {
		return nil, fmt.Errorf("db: migrations: %w", err)
	}
	dialect := goose.DialectSQLite3
	if d.engine == PostgreSQL {
		dialect = goose.DialectPostgres
	}
	p, err := goose.NewProvider(dialect, pool, files, goose.WithDisableGlobalRegistry(true), goose.WithSlog(d.log))
	if err != nil {
		return nil, fmt.Errorf("db: migrations: %w", err)
	}
	return p, nil
}
