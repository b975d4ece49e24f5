package db

import (
	"context"
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
// that start together do it one after the other.
func (d *DB) MigrateUp(ctx context.Context) ([]Migration, error) {
	unlock, err := lock(ctx, d.path)
	if err != nil {
		return nil, fmt.Errorf("db: migrate: %w", err)
	}
	defer unlock()
	p, err := d.provider()
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

// Migrations lists every known migration, oldest first.
func (d *DB) Migrations(ctx context.Context) ([]Migration, error) {
	p, err := d.provider()
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

func (d *DB) provider() (*goose.Provider, error) {
	files, err := fs.Sub(migrations.FS, "sqlite")
	if err != nil {
		return nil, fmt.Errorf("db: migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, d.writes, files,
		goose.WithDisableGlobalRegistry(true), goose.WithSlog(d.migrationLog))
	if err != nil {
		return nil, fmt.Errorf("db: migrations: %w", err)
	}
	return p, nil
}
